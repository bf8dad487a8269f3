//! TLS, WebSocket and proxies, from outside: the real binary, and certificates made by `openssl`.
#![cfg(unix)]

mod common;

use common::broker::Broker;
use common::raw::{Raw, connect};
use common::{Answer, Scratch, finish, piped, run};

/// Runs `openssl` in a folder; false if it is not installed.
fn openssl(scratch: &Scratch, line: &str) -> bool {
    let mut command = piped("openssl");
    command.args(line.split(' ')).current_dir(scratch.path(""));
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{line}: {output:?}");
            true
        }
        Err(_) => {
            assert!(std::env::var_os("CI").is_none(), "CI has openssl");
            eprintln!("SKIPPED: openssl is not installed");
            false
        }
    }
}

/// An authority, a server on 127.0.0.1, and a client that is called `alice`.
fn certificates(scratch: &Scratch) -> bool {
    scratch.write("server.ext", "subjectAltName=IP:127.0.0.1\n");
    scratch.write("client.ext", "extendedKeyUsage=clientAuth\n");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    if !openssl(
        scratch,
        &format!("req -x509 {key} -days 2 -subj /CN=ca -keyout ca.key -out ca.pem"),
    ) {
        return false;
    }
    for (name, subject) in [("server", "/CN=here"), ("client", "/CN=alice")] {
        let out = format!("-keyout {name}.key -out {name}.csr");
        openssl(scratch, &format!("req {key} -subj {subject} {out}"));
        openssl(
            scratch,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                 -extfile {name}.ext -out {name}.pem"
            ),
        );
    }
    true
}

fn publish(args: &[&str]) -> Answer {
    run(&[&["pub", "-t", "t/alice", "-m", "x", "-q", "1"], args].concat(), b"")
}

#[test]
fn tls_with_a_certificate_for_each_side() {
    let scratch = Scratch::new("secure-tls");
    if !certificates(&scratch) {
        return;
    }
    let path = |name: &str| scratch.path(name);
    let acl = scratch.write("acl", "pattern readwrite t/%u\n");
    let config = format!(
        "memory = true\nacl_file = {acl:?}\nanonymous = \"never\"\n\
         [[listener]]\nlisten = \"mqtts://127.0.0.1:0\"\ncertificate = {cert:?}\nkey = {key:?}\n\
         client_ca = {ca:?}\nrequire_certificate = true\nidentity = \"common-name\"\n\
         [[listener]]\nlisten = \"wss://127.0.0.1:0/mqtt\"\ncertificate = {cert:?}\nkey = {key:?}\n\
         anonymous = \"everywhere\"\n",
        cert = path("server.pem"),
        key = path("server.key"),
        ca = path("ca.pem"),
    );
    let config = scratch.write("tamtam.toml", &config);
    let mut broker = Broker::start_with(&["--config", &config]);
    let tls = broker.ports[0].to_string();
    let (ca, cert, key) = (path("ca.pem"), path("client.pem"), path("client.key"));
    let trusting = ["-p", &tls, "--cafile", &ca];
    let named = [&trusting[..], &["--cert", &cert, "--key", &key]].concat();
    let answer = publish(&named);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let answer = run(&[&["pub", "-t", "t/bob", "-n", "-q", "1"], &named[..]].concat(), b"");
    assert_eq!(answer.code, Some(0x87), "rules know the name on the certificate: {answer:?}");
    assert_eq!(publish(&trusting).code, Some(1), "no certificate");
    let folder = ["-p", &tls, "--capath", &path("authorities"), "--cert", &cert, "--key", &key];
    assert!(publish(&folder).err.contains("authorities can't be read"), "there is no folder");
    std::fs::create_dir(path("authorities")).unwrap();
    assert_eq!(publish(&folder).code, Some(2), "nothing is in it");
    std::fs::copy(&ca, path("authorities/ca.pem")).unwrap();
    assert_eq!(publish(&folder).code, Some(0), "all that is in it is trusted");
    assert_eq!(publish(&["-p", &tls, "--tls"]).code, Some(1), "nobody vouches for the server");
    assert_eq!(publish(&["-p", &tls]).code, Some(1), "no TLS");

    // Over WebSocket, to a listener that asks for no certificate.
    let url = format!("wss://127.0.0.1:{}/mqtt", broker.ports[1]);
    let answer = run(&["sub", "-L", &url, "--cafile", &ca, "-t", "none", "-E"], b"");
    assert_eq!(answer.code, Some(0x87), "connected, and not allowed: {answer:?}");

    // Another certificate takes its place while the broker runs.
    std::fs::copy(path("client.pem"), path("server.pem")).unwrap();
    std::fs::copy(path("client.key"), path("server.key")).unwrap();
    broker.signal("HUP");
    broker.wait_for_log("were read again");
    assert_eq!(publish(&named).code, Some(1), "the name on it is another");
}

#[test]
fn websocket_carries_the_same() {
    let broker = Broker::start_with(&["--memory", "--listen", "ws://127.0.0.1:0/mqtt"]);
    let port = broker.port().to_string();
    let url = format!("ws://127.0.0.1:{port}/mqtt");
    let answer = run(&["pub", "-L", &url, "-t", "a", "-m", "kept", "-r", "-q", "2"], b"");
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let answer = run(&["sub", "--ws", "-p", &port, "-t", "a", "-C", "1", "-W", "5"], b"");
    assert_eq!(answer.out, "kept\n");
    let url = format!("ws://127.0.0.1:{port}/other");
    assert_eq!(run(&["pub", "-L", &url, "-t", "a", "-n"], b"").code, Some(1));
}

#[test]
fn websocket_without_a_path_is_at_any() {
    let broker = Broker::start_with(&["--memory", "--listen", "ws://127.0.0.1:0"]);
    for path in ["", "/", "/other"] {
        let url = format!("ws://127.0.0.1:{}{path}", broker.port());
        assert_eq!(run(&["pub", "-L", &url, "-t", "a", "-n"], b"").code, Some(0), "{path}");
    }
}

#[test]
fn a_proxy_says_who_connects() {
    let options = ["--proxy-protocol", "--anonymous", "everywhere", "--log-level", "debug"];
    let mut broker = Broker::start(&options);
    let mut raw = Raw::open(broker.port());
    raw.send(b"PROXY TCP4 10.9.8.7 127.0.0.1 4711 1883\r\n");
    raw.send(&connect("far", None));
    assert_eq!(raw.take(4), [0x20, 2, 0, 0]);
    assert!(broker.wait_for_log("connected").contains("10.9.8.7:4711"));
    let mut raw = Raw::open(broker.port());
    raw.send(&connect("near", None));
    assert_eq!(raw.rest(), [], "who is no proxy is not served");
}

#[test]
fn mosquittos_clients_come_by_tls() {
    let scratch = Scratch::new("secure-mosquitto");
    if !certificates(&scratch) || piped("mosquitto_pub").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI installs mosquitto-clients");
        eprintln!("SKIPPED: mosquitto_pub is not installed (Debian: mosquitto-clients)");
        return;
    }
    let (ca, cert, key) =
        (scratch.path("ca.pem"), scratch.path("server.pem"), scratch.path("server.key"));
    let options = ["--listen", "mqtts://127.0.0.1:0", "--memory", "--certificate", &cert];
    let broker = Broker::start_with(&[&options[..], &["--key", &key]].concat());
    let port = broker.port().to_string();
    let args = ["-h", "127.0.0.1", "-p", &port, "--cafile", &ca, "-t", "a", "-m", "b", "-q", "2"];
    let answer = finish(piped("mosquitto_pub").args(args), b"");
    assert_eq!(answer.code, Some(0), "{answer:?}");
}
