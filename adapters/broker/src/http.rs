//! A small HTTP server, for those who watch over the broker: it answers GET, one request after the
//! other, on a thread of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// How many bytes a request may have.
const REQUEST_BYTES_MAX: u64 = 8 << 10;
/// How long a request may take, and its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status: 200, 404, …
    pub status: u16,
    /// Of which type the text is.
    pub content_type: &'static str,
    /// What is shown.
    pub text: String,
}

impl Page {
    /// Plain text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", text: text.to_owned() }
    }
}

/// Serves pages by their path at an address; returns the address, with the port that was chosen.
///
/// # Errors
/// Nobody can listen there, or no thread can be started.
pub fn serve(
    address: SocketAddr,
    page: impl Fn(&str) -> Option<Page> + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("http".to_owned()).spawn(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let _ = answer(&stream, &page); // whoever asked is gone
                }
                // No descriptor is free, perhaps: the next moment may bring one.
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    })?;
    Ok(address)
}

fn answer(stream: &TcpStream, page: &impl Fn(&str) -> Option<Page>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut input = BufReader::new(stream.take(REQUEST_BYTES_MAX));
    let mut request = String::new();
    input.read_line(&mut request)?;
    // The whole request is read, so that closing does not cut off the answer.
    let (began, mut line) = (std::time::Instant::now(), String::new());
    while input.read_line(&mut line)? > 2 && began.elapsed() < PATIENCE {
        line.clear();
    }
    let mut words = request.split(' ');
    let page = match (words.next(), words.next()) {
        (Some("GET" | "HEAD"), Some(path)) => page(path.split('?').next().unwrap_or_default())
            .unwrap_or_else(|| Page::text(404, "there is /metrics and /health\n")),
        (Some(_), Some(_)) => Page::text(405, "only GET is served\n"),
        _ => Page::text(400, "this is no request\n"),
    };
    let Page { status, content_type, text } = page;
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        reason(status),
        text.len()
    );
    let body = if request.starts_with("HEAD") { "" } else { &text };
    let mut output = stream;
    output.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).expect("a server");
        stream.write_all(request).expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        text
    }

    #[test]
    fn pages_are_served_and_everything_else_is_answered() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let page = |path: &str| (path == "/health").then(|| Page::text(200, "well\n"));
        let address = serve(any, page).expect("a port");
        let text = ask(address, b"GET /health?now HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nwell\n"));
        let text = ask(address, b"HEAD /health HTTP/1.1\r\n\r\n");
        assert!(text.contains("Content-Length: 5\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(ask(address, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 Not Found\r\n"));
        assert!(ask(address, b"PUT /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(ask(address, b"\r\n\r\n").starts_with("HTTP/1.1 400 "));
    }
}
