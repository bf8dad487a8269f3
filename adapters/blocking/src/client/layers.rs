//! Client and broker over TLS, WebSocket and both, in all their corners.

use std::io::{Read, Write};
use std::time::Duration;

use tamtam_core::{QoS, Version, broker};
use tamtam_transport::{ClientLayers, ServerLayers, TlsClient, TlsServer};

use super::{Client, ConnectError, Filter, Lost, Options, Publish, Setup};
use crate::broker::{Listener, Origin, Running, Server};

const CA: &[u8] = include_bytes!("../../../../tests/certificates/ca.pem");
const STRANGER: &[u8] = include_bytes!("../../../../tests/certificates/stranger.pem");
const SERVER: &[u8] = include_bytes!("../../../../tests/certificates/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("../../../../tests/certificates/server.key");

const SOON: Duration = Duration::from_secs(10);

fn start(layers: ServerLayers) -> (Running, u16) {
    let listener = Listener::tcp("127.0.0.1:0").unwrap().layers(layers);
    let port = listener.local_addr().unwrap().port();
    let server = Server::new(&broker::Options::DEFAULT).unwrap().listen(listener);
    (server.start().unwrap(), port)
}

fn server_tls() -> TlsServer {
    TlsServer::pem(SERVER, SERVER_KEY).unwrap()
}

fn trusting(roots: &[u8]) -> Setup<'static> {
    let layers = ClientLayers::new().tls(TlsClient::roots_pem(roots).unwrap());
    Setup::new(Options::new(Version::V5).client_id("anna")).layers(layers)
}

/// Small messages, a large one in pieces, and a goodbye.
fn works(address: &str) {
    let client = trusting(CA).connect(address).unwrap();
    client.subscribe(Filter::new("t")).unwrap();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client.publish(Publish::new("t", b"small").qos(qos)).unwrap();
        assert_eq!(client.next_message(SOON).unwrap().payload(), b"small");
    }
    let large = vec![7; 3 << 20];
    let mut reader = std::io::Cursor::new(&large);
    let publish = Publish::new("t", b"").qos(QoS::AtLeastOnce);
    client.publish_reader(publish, 3 << 20, &mut reader).unwrap();
    assert!(client.next_message(SOON).unwrap().payload() == large);
    client.disconnect().unwrap();
}

#[test]
fn over_tls() {
    let (running, port) = start(ServerLayers::new().tls(server_tls()));
    works(&format!("mqtts://localhost:{port}"));
    let refused = trusting(STRANGER).connect(&format!("mqtts://localhost:{port}"));
    assert!(matches!(refused, Err(ConnectError::Lost(Lost::Layer(_)))), "{refused:?}");
    running.stop(SOON).unwrap();
}

#[test]
fn over_websocket() {
    let (running, port) = start(ServerLayers::new().websocket());
    works(&format!("ws://localhost:{port}"));
    running.stop(SOON).unwrap();
}

#[test]
fn over_websocket_in_tls() {
    let (running, port) = start(ServerLayers::new().tls(server_tls()).websocket());
    works(&format!("wss://localhost:{port}/mqtt"));
    running.stop(SOON).unwrap();
}

#[cfg(unix)]
#[test]
fn over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("tamtam-layers-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = Server::new(&broker::Options::DEFAULT).unwrap();
    let running = server.listen(Listener::unix(&path).unwrap()).start().unwrap();
    works(&format!("unix://{}", path.display()));
    running.stop(SOON).unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_proxy_says_for_whom_it_speaks() {
    fn header(input: &[u8]) -> std::io::Result<Option<Origin>> {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let address = std::str::from_utf8(&input[..end]).unwrap().parse();
        let address = address.map_err(|_| std::io::ErrorKind::InvalidData)?;
        Ok(Some(Origin { len: end + 1, address: Some(address) }))
    }
    let listener = Listener::tcp("127.0.0.1:0").unwrap().preamble(header);
    let address = listener.local_addr().unwrap();
    let server = Server::new(&broker::Options::DEFAULT).unwrap().listen(listener);
    let running = server.start().unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    for piece in ["192.0.2.1:", "77\n"] {
        socket.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let setup = Setup::new(Options::new(Version::V5).client_id("anna"));
    let client: Client = setup.connect_over(socket).unwrap();
    let peer = running.handle().run(|turn| {
        let link = turn.broker.session_of("anna").and_then(|session| session.link);
        turn.peer(link.unwrap())
    });
    assert_eq!(peer.unwrap().unwrap().address.to_string(), "192.0.2.1:77");
    client.disconnect().unwrap();
    // Who is no proxy is not served.
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.write_all(b"\x10\n").unwrap();
    assert!(matches!(socket.read(&mut [0]), Ok(0) | Err(_)));
}
