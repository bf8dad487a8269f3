//! The loop over real sockets, spoken to in bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use tamtam_core::broker::{Acceptance, AskId, Ended, Event, Options, Records, Verdict};
use tamtam_core::{QoS, ReasonCode};

use super::{
    Admission, Handle, HandleError, Listener, Policy, Receipt, Running, Server, Store, Turn,
};

const PATIENCE: Duration = Duration::from_secs(5);

fn start(options: &Options) -> (Running, SocketAddr) {
    let running = Server::bind("127.0.0.1:0", options).unwrap().start().unwrap();
    let address = running.local_addr().unwrap();
    (running, address)
}

/// CONNECT of MQTT 5, with a clean start and a name of four letters.
fn connect(name: &[u8; 4]) -> Vec<u8> {
    [b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x04", &name[..]].concat()
}

fn dial(address: SocketAddr, name: &[u8; 4]) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&connect(name)).unwrap();
    assert_eq!(packet(&mut socket)[..1], [0x20]);
    socket
}

/// The next packet of a socket.
fn packet(socket: &mut impl Read) -> Vec<u8> {
    let (mut bytes, mut len) = (vec![0], 0);
    socket.read_exact(&mut bytes).unwrap();
    for shift in (0..).step_by(7) {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
        len |= usize::from(byte[0] & 0x7F) << shift;
        if byte[0] < 0x80 {
            break;
        }
    }
    let head = bytes.len();
    bytes.resize(head + len, 0);
    socket.read_exact(&mut bytes[head..]).unwrap();
    bytes
}

fn subscribe(socket: &mut (impl Read + Write)) {
    socket.write_all(b"\x82\x07\x00\x07\x00\x00\x01t\x02").unwrap();
    assert_eq!(packet(socket), b"\x90\x04\x00\x07\x00\x02");
}

#[test]
fn a_message_goes_from_one_to_another() {
    let (running, address) = start(&Options::DEFAULT);
    let (mut a, mut b) = (dial(address, b"anna"), dial(address, b"bert"));
    subscribe(&mut b);
    a.write_all(b"\x30\x06\x00\x01t\x00hi").unwrap();
    assert_eq!(packet(&mut b), b"\x30\x06\x00\x01t\x00hi");
    running.stop(PATIENCE).unwrap();
    assert_eq!(packet(&mut a), b"\xE0\x01\x8B"); // server shutting down
    assert_eq!(packet(&mut b), b"\xE0\x01\x8B");
    assert_eq!(a.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_packet_larger_than_any_buffer_arrives_whole() {
    let (running, address) = start(&Options::DEFAULT);
    let (a, mut b) = (dial(address, b"anna"), dial(address, b"bert"));
    subscribe(&mut b);
    let payload: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    let len = payload.len() + 4;
    let remaining = [len as u8 | 0x80, (len >> 7) as u8 | 0x80, (len >> 14) as u8 | 0x80, 2];
    assert_eq!(len >> 21, 2);
    let sent = [b"\x30", &remaining[..], b"\x00\x01t\x00", &payload].concat();
    for _ in 0..2 {
        let (mut a, sent) = (a.try_clone().unwrap(), sent.clone());
        let writer = std::thread::spawn(move || a.write_all(&sent).map(|()| sent).unwrap());
        let received = packet(&mut b);
        assert!(received == writer.join().unwrap());
    }
    drop(running);
}

#[test]
fn packets_in_pieces_are_packets() {
    let (_running, address) = start(&Options::DEFAULT);
    let mut a = TcpStream::connect(address).unwrap();
    a.set_nodelay(true).unwrap();
    a.set_read_timeout(Some(PATIENCE)).unwrap();
    for byte in connect(b"anna").into_iter().chain(*b"\xC0\x00\xC0\x00") {
        a.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(packet(&mut a)[..1], [0x20]);
    assert_eq!(packet(&mut a), b"\xD0\x00");
    assert_eq!(packet(&mut a), b"\xD0\x00");
}

#[cfg(unix)]
#[test]
fn a_unix_socket_serves_too() {
    let path = std::env::temp_dir().join(format!("tamtam-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = Server::new(&Options::DEFAULT).unwrap().listen(Listener::unix(&path).unwrap());
    let running = server.start().unwrap();
    let mut socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
    socket.write_all(&connect(b"anna")).unwrap();
    assert_eq!(packet(&mut socket)[..1], [0x20]);
    subscribe(&mut socket);
    assert_eq!(running.handle().publish("t", "x", QoS::AtMostOnce, false), Ok(true));
    assert_eq!(packet(&mut socket), b"\x30\x05\x00\x01t\x00x");
    drop(running);
    std::fs::remove_file(&path).unwrap();
}

/// Refuses eve, asks another thread about anna, lets others in.
#[derive(Default)]
struct Doorkeeper {
    handle: Mutex<Option<Handle>>,
    ended: Mutex<Vec<Ended>>,
}

impl Policy for &'static Doorkeeper {
    fn started(&self, handle: &Handle) {
        *self.handle.lock().unwrap() = Some(handle.clone());
    }

    fn ask(&self, ask: AskId, turn: &mut Turn<'_>) {
        assert!(turn.peer(ask.link()).is_some_and(|peer| turn.listener_name(&peer) == "front"));
        let name = turn.broker.connect_of(ask).map(|connect| connect.client_id.as_bytes().to_vec());
        let accept = Verdict::Accept(Acceptance::default());
        match name.as_deref() {
            Some(b"eve!") => {
                let refuse = Verdict::refuse(ReasonCode::NotAuthorized);
                turn.broker.answer(ask, refuse, turn.now);
            }
            Some(b"anna") => {
                let handle = self.handle.lock().unwrap().clone().unwrap();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    handle.answer(ask, accept).unwrap();
                });
            }
            _ => turn.broker.answer(ask, accept, turn.now),
        }
    }

    fn event(&self, event: &Event, _: &mut Turn<'_>) {
        if let Event::Disconnected { why, .. } = event {
            self.ended.lock().unwrap().push(*why);
        }
    }
}

#[test]
fn a_policy_answers_now_or_later_and_hears_what_happens() {
    let doorkeeper: &'static Doorkeeper = Box::leak(Box::default());
    let options = Options { ask_connect: true, ..Options::DEFAULT };
    let listener = Listener::tcp("127.0.0.1:0").unwrap().name("front");
    let server = Server::new(&options).unwrap().listen(listener).policy(doorkeeper);
    let running = server.start().unwrap();
    let address = running.local_addr().unwrap();
    // What comes behind CONNECT waits for the answer.
    let mut anna = TcpStream::connect(address).unwrap();
    anna.write_all(&[&connect(b"anna")[..], b"\xC0\x00"].concat()).unwrap();
    let mut bert = dial(address, b"bert");
    let mut eve = TcpStream::connect(address).unwrap();
    eve.write_all(&[&connect(b"eve!")[..], &[0xC0, 0].repeat(50_000)].concat()).unwrap();
    assert_eq!(packet(&mut eve)[..4], [0x20, 0x03, 0x00, 0x87]);
    assert_eq!(eve.read(&mut [0]).unwrap(), 0);
    assert_eq!(packet(&mut anna)[..1], [0x20]);
    assert_eq!(packet(&mut anna), b"\xD0\x00");
    bert.write_all(b"\xE0\x00").unwrap();
    assert_eq!(bert.read(&mut [0]).unwrap(), 0);
    drop(anna);
    while running.handle().run(|turn| turn.broker.session_count()).unwrap() != 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(*doorkeeper.ended.lock().unwrap(), [Ended::Disconnected, Ended::Closed]);
}

/// Signs its receipts on another thread, a little later; the first one not at all.
struct Slow {
    first: bool,
}

impl Store for Slow {
    fn keep(&mut self, records: &Records<'_>, receipt: Receipt) {
        assert_ne!(records.bytes().count(), 0);
        if std::mem::take(&mut self.first) {
            return;
        }
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            receipt.kept();
        });
    }
}

#[test]
fn a_message_is_acknowledged_once_it_is_kept() {
    let options = Options { store: true, ..Options::DEFAULT };
    let server = Server::bind("127.0.0.1:0", &options).unwrap().store(Slow { first: true });
    let running = server.start().unwrap();
    let mut a = dial(running.local_addr().unwrap(), b"anna");
    a.write_all(b"\x33\x07\x00\x01t\x00\x01\x00x").unwrap(); // QoS 1, retained
    assert_eq!(packet(&mut a), b"\x40\x03\x00\x01\x97"); // quota exceeded
    running.handle().post(|turn| turn.broker.records()).unwrap();
    let before = std::time::Instant::now();
    a.write_all(b"\x33\x07\x00\x01t\x00\x02\x00x").unwrap();
    assert_eq!(packet(&mut a), b"\x40\x03\x00\x02\x10"); // kept, for no subscriber
    assert!(before.elapsed() >= Duration::from_millis(20));
    running.stop(PATIENCE).unwrap();
}

#[test]
fn a_handle_outlives_its_broker() {
    let (running, _) = start(&Options::DEFAULT);
    let handle = running.handle().clone();
    let own = handle.clone();
    let asked = handle.run(move |_| own.run(|_| ())).unwrap();
    assert_eq!(asked, Err(HandleError::OwnThread));
    assert!(matches!(
        handle.publish("a/#", "", QoS::AtMostOnce, false),
        Err(HandleError::Topic(_))
    ));
    running.stop(PATIENCE).unwrap();
    assert_eq!(handle.run(|_| ()), Err(HandleError::Stopped));
    handle.stop(PATIENCE);
}

#[test]
fn the_host_subscribes_too() {
    let (running, address) = start(&Options::DEFAULT);
    let (send, receive) = std::sync::mpsc::channel();
    let subscriber = running.handle().subscribe("t", QoS::ExactlyOnce, move |publish| {
        send.send((publish.topic.unwrap().as_str().to_owned(), publish.payload.to_vec())).unwrap();
    });
    let mut a = dial(address, b"anna");
    for packet in [&b"\x30\x05\x00\x01t\x000"[..], b"\x32\x07\x00\x01t\x00\x01\x001"] {
        a.write_all(packet).unwrap();
    }
    assert_eq!(packet(&mut a), b"\x40\x02\x00\x01");
    a.write_all(b"\x34\x07\x00\x01t\x00\x02\x002").unwrap();
    for payload in ["0", "1", "2"] {
        let (topic, received) = receive.recv_timeout(PATIENCE).unwrap();
        assert_eq!((topic.as_str(), received.as_slice()), ("t", payload.as_bytes()));
    }
    drop(subscriber.unwrap());
    let sessions = running.handle().run(|turn| turn.broker.session_count()).unwrap();
    assert_eq!(sessions, 1);
    assert!(running.handle().subscribe("a#", QoS::AtMostOnce, |_| ()).is_err());
}

#[test]
fn as_many_as_there_may_be() {
    let (running, address) = start(&Options { connections: 2, ..Options::DEFAULT });
    let (_a, b) = (dial(address, b"anna"), dial(address, b"bert"));
    let mut c = TcpStream::connect(address).unwrap();
    let _ = c.write_all(&connect(b"carl"));
    assert!(matches!(c.read(&mut [0]), Ok(0) | Err(_)));
    drop(b);
    while running.handle().run(|turn| turn.broker.session_count()).unwrap() != 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    dial(address, b"dora");
}

/// Whether a client that says CONNECT is answered.
fn is_let_in(address: SocketAddr, name: &[u8; 4]) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(address).unwrap();
    let _ = socket.write_all(&connect(name));
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).ok().map(|()| socket)
}

#[test]
fn so_many_from_one_address_and_so_many_by_one_listener() {
    let by = |admission| Listener::tcp("127.0.0.1:0").unwrap().admission(admission);
    let first = by(Admission { connections: Some(2), ..Admission::default() });
    let second = by(Admission { per_address: Some(3), ..Admission::default() });
    let [one, two] = [&first, &second].map(|listener| listener.local_addr().unwrap());
    let server = Server::new(&Options::DEFAULT).unwrap().listen(first).listen(second);
    let running = server.start().unwrap();
    let _a = is_let_in(one, b"anna").unwrap();
    let b = is_let_in(one, b"bert").unwrap();
    assert!(is_let_in(one, b"carl").is_none(), "two by the first listener");
    let _c = is_let_in(two, b"carl").unwrap();
    assert!(is_let_in(two, b"dora").is_none(), "three from this address, by whatever listener");
    let arrivals = |running: &Running| running.handle().run(|turn| turn.arrivals()).unwrap();
    let seen = arrivals(&running);
    assert_eq!((seen.taken, seen.listener_full, seen.address_full), (3, 1, 1));
    drop(b);
    while running.handle().run(|turn| turn.broker.session_count()).unwrap() != 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _d = is_let_in(two, b"dora").unwrap();
    // Limits come and go while it runs, and who is inside counts.
    let set = |per_address| {
        let admission = Admission { per_address, ..Admission::default() };
        running.handle().run(move |turn| turn.set_admission(1, admission)).unwrap()
    };
    assert!(set(None));
    let _e = is_let_in(two, b"emil").unwrap();
    assert!(set(Some(4)));
    assert!(is_let_in(two, b"fred").is_none());
    assert!(set(Some(5)));
    is_let_in(two, b"fred").unwrap();
}

#[test]
fn those_who_come_too_fast_wait() {
    let admission = Admission { rate: Some(20), ..Admission::default() };
    let listener = Listener::tcp("127.0.0.1:0").unwrap().admission(admission);
    let server = Server::new(&Options::DEFAULT).unwrap().listen(listener);
    let running = server.start().unwrap();
    let address = running.local_addr().unwrap();
    let before = std::time::Instant::now();
    let sockets: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (number, mut socket) in sockets.iter().enumerate() {
        let name = format!("c{number:03}");
        socket.write_all(&connect(name.as_bytes().try_into().unwrap())).unwrap();
        assert_eq!(packet(&mut socket)[0], 0x20);
    }
    assert!(before.elapsed() >= Duration::from_millis(900), "{:?}", before.elapsed());
    let arrivals = running.handle().run(|turn| turn.arrivals()).unwrap();
    assert_eq!((arrivals.taken, arrivals.waits > 0), (40, true));
}
