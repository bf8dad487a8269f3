//! Both ends in memory, at every split of what goes between them.

use crate::{ClientCertificates, ClientLayers, Endpoint, Error, ServerLayers, Stack};
use crate::{TlsClient, TlsError, TlsServer, WebSocketError};

const CA: &[u8] = include_bytes!("../../../tests/certificates/ca.pem");
const STRANGER: &[u8] = include_bytes!("../../../tests/certificates/stranger.pem");
const SERVER: &[u8] = include_bytes!("../../../tests/certificates/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("../../../tests/certificates/server.key");
const CLIENT: &[u8] = include_bytes!("../../../tests/certificates/client.pem");
const CLIENT_KEY: &[u8] = include_bytes!("../../../tests/certificates/client.key");

/// Two ends, and what each has read.
struct Pair {
    client: Stack,
    server: Stack,
    client_read: Vec<u8>,
    server_read: Vec<u8>,
    client_error: Option<Error>,
    server_error: Option<Error>,
}

impl Pair {
    fn new(address: &str, client: &ClientLayers, server: &ServerLayers) -> Self {
        Self {
            client: Stack::client(&endpoint(address), client).unwrap(),
            server: Stack::server(server).unwrap(),
            client_read: Vec::new(),
            server_read: Vec::new(),
            client_error: None,
            server_error: None,
        }
    }

    /// Carries bytes, `chunk` at a time, until both have nothing to say.
    fn carry(&mut self, chunk: usize) {
        while !self.client.output().is_empty() || !self.server.output().is_empty() {
            let error = step(&mut self.client, &mut self.server, &mut self.server_read, chunk);
            self.server_error = self.server_error.take().or(error);
            let error = step(&mut self.server, &mut self.client, &mut self.client_read, chunk);
            self.client_error = self.client_error.take().or(error);
        }
    }
}

fn step(from: &mut Stack, to: &mut Stack, read: &mut Vec<u8>, chunk: usize) -> Option<Error> {
    let len = from.output().len().min(chunk);
    let bytes = from.output()[..len].to_vec();
    from.output_written(len);
    to.handle_wire(&mut &bytes[..], read).err()
}

fn endpoint(address: &str) -> Endpoint {
    address.parse().unwrap()
}

fn tls_client() -> TlsClient {
    TlsClient::roots_pem(CA).unwrap()
}

fn tls_server() -> TlsServer {
    TlsServer::pem(SERVER, SERVER_KEY).unwrap()
}

/// Every kind of stack.
fn pairs() -> Vec<Pair> {
    let client = ClientLayers::new().tls(tls_client());
    let with_tls = ServerLayers::new().tls(tls_server());
    vec![
        Pair::new("mqtts://localhost", &client, &with_tls),
        Pair::new("ws://localhost", &client, &ServerLayers::new().websocket()),
        Pair::new("wss://127.0.0.1/a", &client, &with_tls.websocket_at("/a")),
    ]
}

#[test]
fn what_is_sent_is_read_at_every_split() {
    let message: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
    for chunk in [1, 2, 3, 7, 100, usize::MAX] {
        for mut pair in pairs() {
            assert_eq!(pair.client.write(b"early"), Ok(0), "before it is open");
            pair.carry(chunk);
            assert_eq!((&pair.client_error, &pair.server_error), (&None, &None));
            assert!(pair.client.is_open() && pair.server.is_open());
            assert_eq!(pair.client.write(&message), Ok(message.len()));
            assert_eq!(pair.server.write(b"hello"), Ok(5));
            pair.carry(chunk);
            assert!(pair.server_read == message, "chunks of {chunk}");
            assert_eq!(pair.client_read, b"hello");
        }
    }
}

#[test]
fn a_full_output_takes_no_more() {
    for mut pair in pairs() {
        pair.carry(usize::MAX);
        let megabyte = vec![7; 1 << 20];
        let taken = pair.client.write(&megabyte).unwrap();
        assert!(taken < 100_000, "{taken}");
        assert!(pair.client.output().len() < 100_000);
        assert_eq!(pair.client.write(&megabyte), Ok(0));
        pair.carry(usize::MAX);
        assert_eq!(pair.server_read.len(), taken);
    }
}

#[test]
fn farewells_are_heard() {
    for mut pair in pairs() {
        pair.carry(usize::MAX);
        assert_eq!(pair.client.write(b"last"), Ok(4));
        pair.client.close();
        assert_eq!(pair.client.write(b"late"), Ok(0));
        pair.carry(3);
        assert!(pair.server.is_ended());
        assert_eq!(pair.server_read, b"last");
        assert_eq!(pair.server_error, None);
        pair.server.close();
        pair.carry(3);
        assert!(pair.client.is_ended());
        assert_eq!(pair.client_error, None);
    }
}

#[test]
fn a_plain_stack_is_not_there() {
    let mut stack = Stack::client(&endpoint("mqtt://a"), &ClientLayers::new()).unwrap();
    assert!(stack.is_plain() && stack.is_open() && !stack.is_ended());
    assert_eq!(size_of::<Stack>(), size_of::<usize>());
    assert_eq!(stack.write(b"x"), Ok(0));
    stack.close();
    assert!(stack.output().is_empty());
    assert!(Stack::server(&ServerLayers::new()).unwrap().is_plain());
}

#[test]
fn a_client_certificate_says_who_it_is() {
    for clients in [ClientCertificates::Optional, ClientCertificates::Required] {
        let server = TlsServer::pem_with_clients(SERVER, SERVER_KEY, CA, clients).unwrap();
        let server = ServerLayers::new().tls(server);
        let identity = tls_client().identity_pem(CLIENT, CLIENT_KEY).unwrap();
        let layers = ClientLayers::new().tls(identity);
        let mut pair = Pair::new("mqtts://localhost", &layers, &server);
        pair.carry(1_000);
        let certificate = pair.server.peer_certificate().unwrap();
        assert_eq!(certificate.common_name().as_deref(), Some("thermostat-7"));
        assert_eq!(certificate.subject(), "CN=thermostat-7,O=Forêt\\, Nord,C=FR");
        assert_eq!(pair.server.server_name(), Some("localhost"));
        let certificate = pair.client.peer_certificate().unwrap();
        assert_eq!(certificate.subject(), "CN=localhost");

        let mut pair =
            Pair::new("mqtts://localhost", &ClientLayers::new().tls(tls_client()), &server);
        pair.carry(1_000);
        match clients {
            ClientCertificates::Optional => assert_eq!(pair.server.peer_certificate(), None),
            ClientCertificates::Required => {
                assert!(says(&pair.server_error, "the client must show a certificate"));
                assert!(says(&pair.client_error, "the server wants a client certificate"));
            }
        }
    }
}

fn says(error: &Option<Error>, text: &str) -> bool {
    error.as_ref().is_some_and(|error| error.to_string().contains(text))
}

#[test]
fn errors_of_tls_say_what_to_do() {
    let server = ServerLayers::new().tls(tls_server());
    let stranger = ClientLayers::new().tls(TlsClient::roots_pem(STRANGER).unwrap());
    let mut pair = Pair::new("mqtts://localhost", &stranger, &server);
    pair.carry(1_000);
    assert!(says(&pair.client_error, "name the file with the authority's certificate as roots"));
    assert!(says(&pair.server_error, "the peer does not trust who signed"));

    let known = ClientLayers::new().tls(tls_client());
    let mut pair = Pair::new("mqtts://elsewhere", &known, &server);
    pair.carry(1_000);
    assert!(says(&pair.client_error, "use a host name that stands in the certificate"));

    let mut pair = Pair::new("mqtts://localhost", &known, &ServerLayers::new());
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let error = pair.client.handle_wire(&mut &answer[..], &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("check port and scheme"), "{error}");

    let wrong = TlsServer::pem(SERVER, CLIENT_KEY).unwrap_err();
    assert!(wrong.to_string().contains("the key does not belong to the certificate"), "{wrong}");
    assert_eq!(TlsServer::pem(b"", SERVER_KEY).unwrap_err(), TlsError::Pem("certificate"));
    assert_eq!(TlsServer::pem(SERVER, b"").unwrap_err(), TlsError::Pem("private key"));
    let missing = TlsClient::roots_file("/nowhere/ca.pem").unwrap_err();
    assert!(missing.to_string().starts_with("/nowhere/ca.pem can't be read"), "{missing}");
}

#[test]
fn insecure_trusts_anybody_and_nothing_else_does() {
    let server = ServerLayers::new().tls(tls_server());
    let insecure = ClientLayers::new().tls(TlsClient::insecure_trusting_anybody().unwrap());
    let mut pair = Pair::new("mqtts://elsewhere", &insecure, &server);
    pair.carry(1_000);
    assert!(pair.client.is_open() && pair.server.is_open());
}

#[test]
fn tls_sessions_are_resumed() {
    let server = ServerLayers::new().tls(tls_server());
    let client = ClientLayers::new().tls(tls_client());
    let mut pair = Pair::new("mqtts://localhost", &client, &server);
    let hello = pair.client.output().len();
    pair.carry(usize::MAX);
    let pair = Pair::new("mqtts://localhost", &client, &server);
    assert!(pair.client.output().len() > hello, "the hello holds a ticket");
}

mod websocket {
    use super::*;

    fn request(extra: &str) -> String {
        format!(
            "GET /mqtt HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
        )
    }

    fn server() -> Stack {
        Stack::server(&ServerLayers::new().websocket_at("/mqtt")).unwrap()
    }

    /// A server's WebSocket that is open.
    fn open() -> Stack {
        let mut server = server();
        let request = request("Sec-WebSocket-Protocol: mqtt\r\n");
        server.handle_wire(&mut request.as_bytes(), &mut Vec::new()).unwrap();
        let len = server.output().len();
        server.output_written(len);
        assert!(server.is_open());
        server
    }

    /// A client's frame, whose mask is `[1, 2, 3, 4]`.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(a, b)| a ^ b));
        frame
    }

    fn refuses(wire: &[u8], answer: &[u8]) -> Error {
        let mut server = open();
        let error = server.handle_wire(&mut &wire[..], &mut Vec::new()).unwrap_err();
        assert!(server.is_ended());
        assert_eq!(server.output(), answer);
        server.close();
        assert_eq!(server.output(), answer, "no second farewell");
        error
    }

    #[test]
    fn the_sub_protocol_is_mqtt_and_is_answered() {
        // [MQTT5-6.0.0-3, MQTT5-6.0.0-4, MQTT3-6.0.0-3, MQTT3-6.0.0-4]
        let mut stack = server();
        let request = request("Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n");
        stack.handle_wire(&mut request.as_bytes(), &mut Vec::new()).unwrap();
        let answer = String::from_utf8(stack.output().to_vec()).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        assert!(answer.contains("sec-websocket-protocol: mqtt\r\n"), "{answer}");
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"));

        // MQTT 3.1 is older than that rule, and its clients have a name of their own.
        let mut stack = server();
        let request = super::websocket::request("Sec-WebSocket-Protocol: mqttv3.1\r\n");
        stack.handle_wire(&mut request.as_bytes(), &mut Vec::new()).unwrap();
        assert!(stack.output().ends_with(b"mqttv3.1\r\n\r\n"));

        let client = Stack::client(&endpoint("ws://a"), &ClientLayers::new()).unwrap();
        let request = String::from_utf8(client.output().to_vec()).unwrap();
        assert!(request.contains("Sec-WebSocket-Protocol: mqtt\r\n"), "{request}");
    }

    #[test]
    fn without_the_sub_protocol_there_is_no_websocket() {
        // [MQTT5-6.0.0-3, MQTT5-6.0.0-4, MQTT3-6.0.0-3, MQTT3-6.0.0-4]
        for extra in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
            let mut stack = server();
            let request = request(extra);
            let error = stack.handle_wire(&mut request.as_bytes(), &mut Vec::new()).unwrap_err();
            assert_eq!(error, WebSocketError::SubProtocol.into());
            assert!(stack.output().starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
        }
        for chosen in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
            let mut client = Stack::client(&endpoint("ws://a"), &ClientLayers::new()).unwrap();
            let request = String::from_utf8(client.output().to_vec()).unwrap();
            let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap();
            let key = key.split("\r\n").next().unwrap();
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n"
            );
            let error = client.handle_wire(&mut answer.as_bytes(), &mut Vec::new()).unwrap_err();
            assert_eq!(error, WebSocketError::SubProtocol.into());
        }
    }

    #[test]
    fn other_paths_and_other_requests_are_refused() {
        let mut stack = server();
        let request = request("Sec-WebSocket-Protocol: mqtt\r\n").replace("/mqtt ", "/x?y ");
        let error = stack.handle_wire(&mut request.as_bytes(), &mut Vec::new()).unwrap_err();
        assert_eq!(error, WebSocketError::Path("/x".into()).into());
        assert!(stack.output().starts_with(b"HTTP/1.1 404 Not Found\r\n"));

        for wrong in [
            "\x10\x10\x00\x04MQTT\r\n\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "GET /mqtt HTTP/1.0\r\n\r\n",
        ] {
            let error = server().handle_wire(&mut wrong.as_bytes(), &mut Vec::new()).unwrap_err();
            assert!(matches!(error, Error::WebSocket(WebSocketError::Http(_))), "{error}");
        }
        let error = server().handle_wire(&mut &[b'a'; 9_000][..], &mut Vec::new()).unwrap_err();
        assert_eq!(error, WebSocketError::HeadTooLong.into());
    }

    #[test]
    fn a_client_says_why_it_was_refused() {
        for (answer, advice) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n", "check the path"),
            ("HTTP/1.1 401 Who\r\n\r\n", "login by HTTP header"),
            ("HTTP/1.1 301 Moved\r\n\r\n", "it moved"),
            ("HTTP/1.1 503 Busy\r\n\r\n", "try again later"),
            ("SSH-2.0-x\r\n\r\n\r\n", "check port and scheme"),
            ("HTTP/1.1 101 Yes\r\n\r\n", "does not say that it upgrades"),
        ] {
            let mut client = Stack::client(&endpoint("ws://a"), &ClientLayers::new()).unwrap();
            let error = client.handle_wire(&mut answer.as_bytes(), &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains(advice), "{error}");
        }
    }

    #[test]
    fn headers_are_sent_and_checked() {
        let layers = ClientLayers::new().websocket_header("Authorization", "Bearer x");
        let client = Stack::client(&endpoint("ws://a:80/b?c"), &layers).unwrap();
        let request = String::from_utf8(client.output().to_vec()).unwrap();
        assert!(request.starts_with("GET /b?c HTTP/1.1\r\nHost: a\r\n"), "{request}");
        assert!(request.contains("\r\nAuthorization: Bearer x\r\n"), "{request}");
        let layers = ClientLayers::new().websocket_header("X", "a\r\nb");
        let error = Stack::client(&endpoint("ws://a"), &layers).unwrap_err();
        assert_eq!(error, WebSocketError::Header("X".into()).into());
    }

    #[test]
    fn text_closes_the_connection() {
        // [MQTT5-6.0.0-1, MQTT3-6.0.0-1]
        assert_eq!(
            refuses(&frame(0x81, b"hi"), b"\x88\x02\x03\xEB"),
            WebSocketError::NotBinary.into()
        );
    }

    #[test]
    fn packets_need_not_keep_to_frames() {
        // [MQTT5-6.0.0-2, MQTT3-6.0.0-2]: one packet in two frames, with a ping between them; two
        // packets in one frame.
        let mut wire = frame(0x02, b"\xC0");
        wire.extend(frame(0x89, b"?"));
        wire.extend(frame(0x80, b"\x00"));
        wire.extend(frame(0x82, b"\xC0\x00\xC0\x00"));
        for chunk in 1..wire.len() {
            let (mut server, mut read) = (open(), Vec::new());
            for chunk in wire.chunks(chunk) {
                server.handle_wire(&mut &chunk[..], &mut read).unwrap();
            }
            assert_eq!(read, b"\xC0\x00\xC0\x00\xC0\x00");
            assert_eq!(server.output(), b"\x8A\x01?");
        }
    }

    #[test]
    fn frames_follow_behind_the_request_at_once() {
        let mut wire = request("Sec-WebSocket-Protocol: mqtt\r\n").into_bytes();
        wire.extend(frame(0x82, b"abcde"));
        for chunk in [1, 50, wire.len()] {
            let (mut server, mut read) = (server(), Vec::new());
            for chunk in wire.chunks(chunk) {
                server.handle_wire(&mut &chunk[..], &mut read).unwrap();
            }
            assert_eq!(read, b"abcde");
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_answered_1002() {
        let broken = [
            vec![0x82, 0x01, b'a'],                                 // no mask
            frame(0xC2, b""),                                       // a reserved bit
            frame(0x83, b""),                                       // an unknown kind
            frame(0x80, b""),                                       // a continuation of nothing
            [frame(0x02, b""), frame(0x82, b"")].concat(),          // a message within another
            frame(0x09, b""),                                       // a ping in pieces
            vec![0x89, 0xFE, 0, 126, 0, 0, 0, 0],                   // a long ping
            frame(0x88, b"\x03"),                                   // half a code
            frame(0x88, b"\x03\xED"),                               // a code that is not sent
            frame(0x88, b"\x03\xE8\xFF"),                           // a reason that is not UTF-8
            vec![0x82, 0xFF, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // a length of 64 bits
        ];
        for wire in broken {
            let error = refuses(&wire, b"\x88\x02\x03\xEA");
            assert!(matches!(error, Error::WebSocket(WebSocketError::Frame(_))), "{wire:?}");
        }
    }

    #[test]
    fn a_claimed_length_takes_no_memory() {
        let (mut server, mut read) = (open(), Vec::new());
        let wire = [0x82, 0xFF, 0, 0, 0, 255, 0, 0, 0, 0, 1, 2, 3, 4, 5];
        server.handle_wire(&mut &wire[..], &mut read).unwrap();
        assert_eq!(read, [4]);
        assert!(read.capacity() < 100);
    }

    #[test]
    fn a_close_is_echoed_once() {
        let (mut server, mut read) = (open(), Vec::new());
        let wire = [frame(0x88, b"\x03\xE8bye"), frame(0x82, b"late")].concat();
        server.handle_wire(&mut &wire[..], &mut read).unwrap();
        server.close();
        assert!(server.is_ended() && read.is_empty());
        assert_eq!(server.output(), b"\x88\x05\x03\xE8bye");
    }
}
