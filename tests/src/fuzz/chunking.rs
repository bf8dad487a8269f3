//! The same bytes in any pieces: the same packets, and the same error at the same place.

use tamtam_core::{
    Connect, DecodeError, Packet, Piece, Pieces, Publish, Sender, Version, frame_len,
};

use super::bytes::Bytes;

/// The most different chunk lengths.
const MOST_CUTS: u8 = 16;
/// The longest packet that is completed with zeros, to see what it would have become.
const LONGEST_COMPLETED: usize = 1 << 16;

/// Cuts a stream into chunks and compares what comes of them with the stream in one piece.
///
/// The input is: version and sender, above which length PUBLISH packets come in pieces, how many
/// chunk lengths there are (modulo 17), those lengths, and the stream, cut by them in turn.
///
/// # Panics
/// If a property does not hold.
pub fn chunking(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (version, sender) = bytes.dialect();
    let above = usize::from(bytes.u8());
    let count = usize::from(bytes.u8() % (MOST_CUTS + 1));
    let lengths = bytes.take(count);
    let stream = Stream { bytes: bytes.rest(), lengths, version, sender };

    let whole = stream.decode_whole();
    stream.check_packets(&whole);
    stream.check_pieces(&whole, above);
    stream.check_connect();
}

/// A stream, and how it is cut.
struct Stream<'a> {
    bytes: &'a [u8],
    lengths: &'a [u8],
    version: Version,
    sender: Sender,
}

/// What a stream holds.
struct Whole<'a> {
    packets: Vec<Found<'a>>,
    /// Why it ends, if not for want of bytes.
    error: Option<DecodeError>,
    /// What is left behind the last packet.
    rest: &'a [u8],
}

/// A packet, and how long it was on the wire.
struct Found<'a> {
    packet: Packet<'a>,
    length: usize,
}

impl<'a> Stream<'a> {
    fn decode_whole(&self) -> Whole<'a> {
        let mut rest = self.bytes;
        let mut packets = Vec::new();
        loop {
            let before = rest.len();
            match Packet::decode(&mut rest, self.version, self.sender) {
                Ok(Some(packet)) => packets.push(Found { packet, length: before - rest.len() }),
                Ok(None) => return Whole { packets, error: None, rest },
                Err(error) => return Whole { packets, error: Some(error), rest },
            }
        }
    }

    /// The bytes in chunks; they end where the bytes do.
    fn chunks(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.bytes;
        let mut lengths = self.lengths.iter().cycle();
        let endless = self.lengths.iter().any(|length| *length > 0);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let length =
                if endless { lengths.next().map(|length| usize::from(*length)) } else { None };
            let (chunk, behind) = rest.split_at(length.unwrap_or(1).min(rest.len()));
            rest = behind;
            Some(chunk)
        })
    }

    /// Chunk by chunk into a buffer that keeps what is incomplete.
    fn check_packets(&self, whole: &Whole<'a>) {
        let mut expected = whole.packets.iter();
        let mut buffer = Vec::new();
        for chunk in self.chunks() {
            buffer.extend_from_slice(chunk);
            let mut input = &buffer[..];
            loop {
                match Packet::decode(&mut input, self.version, self.sender) {
                    Ok(Some(packet)) => {
                        assert_eq!(Some(packet), expected.next().map(|found| found.packet));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(Some(error), whole.error, "another error in chunks");
                        assert!(expected.next().is_none(), "an error came early");
                        return;
                    }
                }
            }
            buffer = input.to_vec();
        }
        assert!(expected.next().is_none(), "packets got lost");
        assert_eq!(whole.error, None, "the error got lost");
        assert_eq!(buffer, whole.rest);
    }

    /// The same where PUBLISH packets of more than `above` bytes come in pieces.
    fn check_pieces(&self, whole: &Whole<'a>, above: usize) {
        let completed = complete(whole.rest, self.version);
        let mut pieces = Pieces::new(self.version, self.sender, above);
        let mut watch = Watch::new(self, whole, above, &completed);
        let mut buffer = Vec::new();
        for chunk in self.chunks() {
            buffer.extend_from_slice(chunk);
            let mut input = &buffer[..];
            loop {
                let within = pieces.within_payload();
                assert_eq!(within, watch.payload.is_some());
                match pieces.next(&mut input) {
                    Ok(Some(piece)) => watch.see(piece),
                    Ok(None) => {
                        assert!(!within || input.is_empty(), "payload left lying");
                        break;
                    }
                    Err(error) => return watch.see_error(error),
                }
            }
            buffer = input.to_vec();
        }
        watch.see_end(&buffer);
    }

    /// The first packet of a connection, byte by byte.
    fn check_connect(&self) {
        let mut whole = self.bytes;
        let expected = Connect::decode(&mut whole);
        let length = self.bytes.len() - whole.len();
        let mut here = 0;
        for chunk in self.chunks() {
            here += chunk.len();
            let mut input = &self.bytes[..here];
            match Connect::decode(&mut input) {
                Ok(None) => {}
                found => {
                    assert_eq!(found, expected);
                    assert_eq!(here - input.len(), length);
                    return;
                }
            }
        }
        assert!(matches!(expected, Ok(None)), "{expected:?} got lost");
    }
}

/// An incomplete packet filled up with zeros, unless that would take too many.
fn complete(rest: &[u8], version: Version) -> Vec<u8> {
    match frame_len(rest, version) {
        Ok(Some(length)) if length <= LONGEST_COMPLETED => {
            let mut completed = rest.to_vec();
            completed.resize(length.max(rest.len()), 0);
            completed
        }
        _ => Vec::new(),
    }
}

/// Compares pieces with the packets that they are pieces of.
struct Watch<'w> {
    expected: std::slice::Iter<'w, Found<'w>>,
    error: Option<DecodeError>,
    rest: &'w [u8],
    /// What the rest would be if it were complete, where that is known.
    last: Option<Result<Packet<'w>, DecodeError>>,
    above: usize,
    /// The payload that is coming: what is expected of it, and how much more.
    payload: Option<(Option<&'w [u8]>, usize)>,
    /// Whether the pieces are of the last, incomplete packet.
    beyond: bool,
}

impl<'w> Watch<'w> {
    fn new(stream: &Stream<'w>, whole: &'w Whole<'w>, above: usize, completed: &'w [u8]) -> Self {
        let mut input = completed;
        let last = Packet::decode(&mut input, stream.version, stream.sender).transpose();
        Self {
            expected: whole.packets.iter(),
            error: whole.error,
            rest: whole.rest,
            last,
            above,
            payload: None,
            beyond: false,
        }
    }

    fn see(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Packet(packet) => {
                let found = self.expected.next().expect("a packet out of nothing");
                assert_eq!(packet, found.packet);
                let is_publish = matches!(packet, Packet::Publish(_));
                assert!(!is_publish || found.length <= self.above, "whole, though it is long");
            }
            Piece::Start { head, payload_len } => self.see_start(head, payload_len as usize),
            Piece::Chunk(chunk) => {
                let (expected, left) = self.payload.expect("a chunk outside a payload");
                assert!(!chunk.is_empty() && chunk.len() <= left, "{} of {left}", chunk.len());
                let rest = expected.map(|expected| {
                    let (here, rest) = expected.split_at(chunk.len());
                    assert_eq!(chunk, here);
                    rest
                });
                self.payload = Some((rest, left - chunk.len()));
            }
            Piece::End => {
                assert!(matches!(self.payload, Some((_, 0))), "the end came early");
                assert!(!self.beyond, "the end of an incomplete packet");
                self.payload = None;
            }
        }
    }

    fn see_start(&mut self, head: Publish<'_>, payload_len: usize) {
        assert!(self.payload.is_none() && !self.beyond);
        assert!(head.payload.is_empty());
        let publish = match self.expected.next() {
            Some(Found { packet: Packet::Publish(publish), length }) => {
                assert!(*length > self.above, "in pieces, though it is short");
                Some(*publish)
            }
            Some(found) => panic!("{head:?} instead of {:?}", found.packet),
            None => {
                self.beyond = true;
                assert_eq!(self.error, None);
                match self.last {
                    Some(Ok(Packet::Publish(publish))) => Some(publish),
                    Some(other) => panic!("{head:?} begins what would be {other:?}"),
                    None => None,
                }
            }
        };
        if let Some(publish) = publish {
            assert_eq!(publish, Publish { payload: publish.payload, ..head });
            assert_eq!(publish.payload.len(), payload_len);
        }
        self.payload = Some((publish.map(|publish| publish.payload), payload_len));
    }

    /// An error of the stream, or of its last packet, seen before that is complete.
    fn see_error(mut self, error: DecodeError) {
        assert!(self.expected.next().is_none(), "an error came early: {error}");
        match (self.error, self.last) {
            (Some(expected), _) | (None, Some(Err(expected))) => assert_eq!(error, expected),
            (None, Some(Ok(packet))) => panic!("{error} in what would be {packet:?}"),
            (None, None) => {
                assert!(error.offset as usize <= self.rest.len(), "{error} behind the end");
            }
        }
    }

    fn see_end(mut self, left: &[u8]) {
        assert!(self.expected.next().is_none(), "packets got lost");
        assert_eq!(self.error, None, "the error got lost");
        if self.payload.is_none() {
            assert_eq!(left, self.rest);
        }
    }
}
