//! The PROXY protocol, versions 1 and 2: what a proxy in front says of the client that it stands
//! for, before the client's own bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How long a header can be at most, in bytes: one that is longer is refused.
pub const HEADER_BYTES_MAX: usize = 16 + 1_024;

/// What begins a header of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// A line of version 1 has at most so many bytes, its end included.
const LINE_BYTES_MAX: usize = 107;

/// What a proxy said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where the client connects from; `None` if the proxy speaks for itself, or does not know.
    pub source: Option<SocketAddr>,
    /// How many bytes the header has; the client's follow.
    pub len: usize,
}

/// Why something is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came first is not a header of the PROXY protocol")]
pub struct NoHeader;

/// Reads the header at the beginning of a connection; `None` if more bytes are needed.
///
/// # Errors
/// It is none: whoever connected is no proxy, and is not to be served.
pub fn read(input: &[u8]) -> Result<Option<Header>, NoHeader> {
    if starts_alike(input, SIGNATURE) {
        return if input.len() < SIGNATURE.len() { Ok(None) } else { read_v2(input) };
    }
    if !starts_alike(input, b"PROXY ") {
        return Err(NoHeader);
    }
    match input.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') {
        Some(end) => read_v1(input.get(..=end).unwrap_or_default()).map(Some),
        None if input.len() < LINE_BYTES_MAX => Ok(None),
        None => Err(NoHeader),
    }
}

/// Whether the shorter of both is how the longer begins.
fn starts_alike(input: &[u8], wanted: &[u8]) -> bool {
    input.iter().zip(wanted).all(|(a, b)| a == b)
}

fn read_v1(line: &[u8]) -> Result<Header, NoHeader> {
    let text = std::str::from_utf8(line).map_err(|_| NoHeader)?;
    let text = text.strip_suffix("\r\n").ok_or(NoHeader)?;
    let mut words = text.split(' ').skip(1);
    let mut next = || words.next().ok_or(NoHeader);
    let source = match next()? {
        "UNKNOWN" => None,
        "TCP4" => Some(IpAddr::V4(next()?.parse().map_err(|_| NoHeader)?)),
        "TCP6" => Some(IpAddr::V6(next()?.parse().map_err(|_| NoHeader)?)),
        _ => return Err(NoHeader),
    };
    let Some(address) = source else { return Ok(Header { source: None, len: line.len() }) };
    next()?.parse::<IpAddr>().map_err(|_| NoHeader)?;
    let port = next()?.parse().map_err(|_| NoHeader)?;
    next()?.parse::<u16>().map_err(|_| NoHeader)?;
    match next() {
        Ok(_) => Err(NoHeader),
        Err(_) => Ok(Header { source: Some(SocketAddr::new(address, port)), len: line.len() }),
    }
}

fn read_v2(input: &[u8]) -> Result<Option<Header>, NoHeader> {
    let rest = input.get(SIGNATURE.len()..).unwrap_or_default();
    let Some(([command, family, high, low], rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let whole = SIGNATURE.len() + 4 + len;
    if !matches!(command, 0x20 | 0x21) || whole > HEADER_BYTES_MAX {
        return Err(NoHeader);
    }
    let Some(addresses) = rest.get(..len) else { return Ok(None) };
    let source = match (command, family) {
        (0x20, _) => None,
        (_, 0x11) => {
            let (source, behind) = addresses.split_first_chunk::<4>().ok_or(NoHeader)?;
            Some((IpAddr::V4(Ipv4Addr::from(*source)), behind.get(..8).ok_or(NoHeader)?))
        }
        (_, 0x21) => {
            let (source, behind) = addresses.split_first_chunk::<16>().ok_or(NoHeader)?;
            Some((IpAddr::V6(Ipv6Addr::from(*source)), behind.get(..20).ok_or(NoHeader)?))
        }
        _ => None,
    };
    // Behind the source's address: the destination's, the source's port, the destination's.
    let source = source.map(|(address, behind)| {
        let ports = behind.last_chunk::<4>().copied().unwrap_or_default();
        SocketAddr::new(address, u16::from_be_bytes([ports[0], ports[1]]))
    });
    Ok(Some(Header { source, len: whole }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let len = u16::try_from(addresses.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, addresses].concat()
    }

    #[test]
    fn both_versions_say_who_connects_however_the_bytes_arrive() {
        let four = [10, 0, 0, 7, 192, 168, 0, 1, 0x30, 0x39, 0x07, 0x5b];
        let mut six = [0; 36];
        (six[15], six[31], six[33]) = (1, 2, 9);
        let mut longer = four.to_vec();
        longer.extend([3, 0, 2, 9, 9]);
        for (bytes, source) in [
            (b"PROXY TCP4 10.0.0.7 192.168.0.1 12345 1883\r\n".to_vec(), Some("10.0.0.7:12345")),
            (b"PROXY TCP6 ::1 ::2 9 1883\r\n".to_vec(), Some("[::1]:9")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ::1 ::2 9 1883\r\n".to_vec(), None),
            (v2(0x21, 0x11, &four), Some("10.0.0.7:12345")),
            (v2(0x21, 0x11, &longer), Some("10.0.0.7:12345")),
            (v2(0x21, 0x21, &six), Some("[::1]:9")),
            (v2(0x20, 0, &[]), None),
            (v2(0x21, 0x31, &[0; 216]), None),
        ] {
            for len in 0..bytes.len() {
                assert_eq!(read(&bytes[..len]), Ok(None), "{len} of {bytes:?}");
            }
            let source = source.map(|source| source.parse().expect("an address"));
            let header = Header { source, len: bytes.len() };
            assert_eq!(read(&[&bytes[..], b"\x10\x0c"].concat()), Ok(Some(header)));
        }
    }

    #[test]
    fn whoever_is_no_proxy_is_not_served() {
        for bytes in [
            &b"\x10\x10\x00\x04MQTT"[..],
            b"PROXY TCP4 10.0.0.7 192.168.0.1 123456 1883\r\n",
            b"PROXY TCP4 10.0.0.7 192.168.0.1 12345\r\n",
            b"PROXY TCP4 10.0.0.7 192.168.0.1 12345 1883 1\r\n",
            b"PROXY TCP4 ::1 ::2 9 1883\r\n",
            b"PROXY TCP4 10.0.0.7 192.168.0.1 12345 1883\n",
            b"PROXY TCP9 a b c d\r\n",
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 1_025]),
            &[b"PROXY ".to_vec(), vec![b'a'; 101]].concat(),
        ] {
            assert_eq!(read(bytes), Err(NoHeader), "{bytes:?}");
        }
    }
}
