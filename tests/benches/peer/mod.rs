//! The other side of a client that is measured: a process that does nothing but acknowledge, so
//! that nothing of it is in the figures.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::parent_id;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The hidden argument that makes this executable that process.
const SERVE: &str = "--serve";

/// Whether this is the other side; then it has done its work.
pub(crate) fn is_asked_for() -> bool {
    let asked = env::args().nth(1).is_some_and(|argument| argument == SERVE);
    if asked {
        serve();
    }
    asked
}

/// Where it listens. It is started by the first who asks, serves one client after the other, and
/// ends with this process.
pub(crate) fn url() -> &'static str {
    static PEER: OnceLock<(Child, String)> = OnceLock::new();
    let (_, url) = PEER.get_or_init(|| {
        let this = env::current_exe().expect("this executable");
        let mut peer =
            Command::new(this).arg(SERVE).stdout(Stdio::piped()).spawn().expect("a process");
        let mut url = String::new();
        let told = peer.stdout.take().expect("its output");
        BufReader::new(told).read_line(&mut url).expect("an address");
        (peer, url.trim().into())
    });
    url
}

fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("mqtt://{}", listener.local_addr().expect("an address"));
    listener.set_nonblocking(true).expect("a listener that does not wait");
    let parent = parent_id();
    while parent_id() == parent {
        match listener.accept() {
            Ok((socket, _)) => acknowledge(socket),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Acknowledges whatever one client sends.
fn acknowledge(mut socket: TcpStream) {
    socket.set_nonblocking(false).expect("a socket that waits");
    let _ = socket.set_nodelay(true);
    let mut buffer = vec![0; 64 << 10];
    let (mut input, mut output) = (Vec::new(), Vec::new());
    while let Ok(read) = socket.read(&mut buffer)
        && read > 0
    {
        input.extend_from_slice(&buffer[..read]);
        let mut rest = &input[..];
        while let [first, length, body @ ..] = rest
            && let Some((body, after)) = body.split_at_checked(usize::from(*length))
        {
            match first >> 4 {
                1 => output.extend_from_slice(b"\x20\x02\x00\x00"),
                3 => {
                    let topic = usize::from(body[1]);
                    output.extend_from_slice(&[0x40, 2, body[topic + 2], body[topic + 3]]);
                }
                _ => {}
            }
            rest = after;
        }
        let used = input.len() - rest.len();
        input.drain(..used);
        if socket.write_all(&output).is_err() {
            break;
        }
        output.clear();
    }
}
