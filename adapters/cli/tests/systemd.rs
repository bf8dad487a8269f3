//! What systemd does with a broker, done by hand: it is told of each state, hands over sockets, and
//! starts the broker again at once when it was killed.
#![cfg(target_os = "linux")]

mod common;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::broker::Broker;
use common::raw::{Raw, connect};
use common::{Scratch, piped, tamtam};

/// The next thing that the broker says of itself.
fn told(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 4_096];
    let len = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..len].to_vec()).unwrap()
}

/// What the clock says that systemd compares with.
fn monotonic_micros() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000).unwrap()
}

fn is_told_of_each_state(socket: &UnixDatagram, name: &str) {
    let mut command = tamtam();
    command.args(["broker", "--memory", "--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", name);
    let broker = Broker::spawn(&mut command);
    let ready = told(socket);
    assert!(ready.starts_with("READY=1\nSTATUS=tamtam "), "{ready}");
    assert!(ready.contains(&broker.port().to_string()), "{ready}");
    let before = monotonic_micros();
    broker.signal("HUP");
    let reloading = told(socket);
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    let since: u64 = since.parse().unwrap();
    assert!((before..=monotonic_micros()).contains(&since), "{before} {since}");
    assert_eq!(told(socket), "READY=1");
    let (code, _) = broker.stop();
    assert_eq!(told(socket), "STOPPING=1");
    assert_eq!(code, Some(0));
}

#[test]
fn it_is_told_by_a_socket_with_a_path() {
    let scratch = Scratch::new("systemd-notify");
    let path = scratch.path("notify.sock");
    is_told_of_each_state(&UnixDatagram::bind(&path).unwrap(), &path);
}

#[test]
fn it_is_told_by_an_abstract_socket() {
    let name = format!("tamtam-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    is_told_of_each_state(&UnixDatagram::bind_addr(&address).unwrap(), &format!("@{name}"));
}

/// A broker that finds a socket at descriptor 3, as systemd leaves it.
fn handed_over(socket: OwnedFd, options: &str) -> Command {
    let program = tamtam().get_program().to_str().unwrap().to_owned();
    let line = format!(
        "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec {program} broker --memory {options}"
    );
    let mut command = piped("sh");
    command.args(["-c", &line]).stdin(Stdio::from(socket));
    command
}

#[test]
fn a_tcp_socket_is_handed_over_and_kept_when_all_is_read_again() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    // Somebody came before the broker did: it is served once the broker is there.
    let mut early = Raw::open(port);
    early.send(&connect("early", None));
    let scratch = Scratch::new("systemd-socket");
    let config = scratch.write("tamtam.toml", "[limits]\nmaximum_qos = 2\n");
    let mut command = handed_over(socket.into(), &format!("--config {config}"));
    let mut broker = Broker::spawn(&mut command);
    drop(command); // it has the socket, too
    assert_eq!(broker.ports, [port]);
    assert_eq!(early.take(4), [0x20, 2, 0, 0]);
    scratch.write("tamtam.toml", "[limits]\nmaximum_qos = 0\n");
    broker.signal("HUP");
    let line = broker.wait_for_log("read again");
    assert!(!line.contains("can't be changed"), "{line}");
    // The listener has the new limit: QoS 1 is not for it any more.
    early.send(&[0x32, 6, 0, 1, b't', 0, 1, b'x']);
    assert_eq!(early.rest(), []);
    broker.signal("TERM");
    let log = broker.wait();
    assert!(!log.contains("`listen`"), "{log}");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_unix_socket_is_handed_over() {
    let scratch = Scratch::new("systemd-unix");
    let path = scratch.path("mqtt.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let broker = Broker::spawn(&mut handed_over(socket.into(), ""));
    assert!(broker.greeting[0].contains(&format!("unix:{path}")), "{:?}", broker.greeting);
    assert!(broker.greeting[0].contains("anybody on this machine"), "{:?}", broker.greeting);
    let url = format!("unix://{path}");
    let answer = common::run(&["pub", "-L", &url, "-t", "t", "-m", "x", "-q", "1"], b"");
    assert_eq!(answer.code, Some(0), "{answer:?}");
}

#[test]
fn killed_and_started_again_at_once_it_has_its_port() {
    let broker = Broker::start(&["--metrics", "127.0.0.1:0"]);
    let port = broker.port();
    let clients: Vec<Raw> =
        (0..20).map(|number| Raw::connected(port, &format!("client-{number}"))).collect();
    broker.signal("KILL");
    drop(broker);
    // The connections of the first one are still there, half-closed, on that port.
    let again = Broker::start_with(&["--memory", "--listen", &port.to_string()]);
    Raw::connected(again.port(), "new");
    drop(clients);
    let (code, _) = again.stop();
    assert_eq!(code, Some(0));
    Raw::connected(Broker::start_with(&["--memory", "--listen", &port.to_string()]).port(), "new");
}
