//! How the tests write packets down, and how they ask the decoder.
//!
//! A packet is a line of tokens:
//!
//! - `32 0001`: bytes in hexadecimal;
//! - `'hi'`: text as it is, `<a/b>`: text behind its two-byte length;
//! - `( … )`: a block behind its length as a variable byte integer: a packet's body, properties;
//! - `@`: protocol name and level of the version at hand;
//! - `~`: no properties: a length of zero in MQTT 5, nothing before;
//! - `^`: no byte, but where the decoder is to find fault.
//!
//! So `32( <a/b> 0001 ~ 'hi' )` is a PUBLISH of QoS 1 in any version.

use tamtam_core::{
    DecodeError, EncodeError, Fault, Field, Packet, PacketId, PacketType, Properties, Property,
    ReasonCode, Sin, Text, TopicFilter, TopicName, frame_len,
};
pub(crate) use tamtam_core::{
    Sender::{self, Client, Server},
    Version::{self, V5, V31, V311},
};

pub(crate) const EVERY: [Version; 3] = [V31, V311, V5];
pub(crate) const BEFORE_5: [Version; 2] = [V31, V311];
pub(crate) const BOTH: [Sender; 2] = [Client, Server];

/// The reason codes of malformed packets and of protocol errors.
pub(crate) const MALFORMED: u8 = 0x81;
pub(crate) const PROTOCOL_ERROR: u8 = 0x82;

/// What the decoder holds against a packet: the sin, the field, the reason code to answer with.
/// (The offset is where the `^` stands.)
pub(crate) type Verdict = (Sin, Field, u8);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    mark: Option<usize>,
}

impl Written {
    fn block(&mut self, inner: Self) {
        let mut length = inner.bytes.len();
        while length >= 0x80 {
            self.bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
        if let Some(at) = inner.mark {
            self.mark = Some(self.bytes.len() + at);
        }
        self.bytes.extend(inner.bytes);
    }

    fn string(&mut self, text: &[u8]) {
        self.bytes.extend(u16::try_from(text.len()).expect("a short string").to_be_bytes());
        self.bytes.extend(text);
    }

    fn protocol(&mut self, version: Version) {
        let (name, level): (&[u8], u8) = match version {
            V31 => (b"MQIsdp", 3),
            V311 => (b"MQTT", 4),
            _ => (b"MQTT", 5),
        };
        self.string(name);
        self.bytes.push(level);
    }
}

fn take_until<'t>(text: &mut &'t [u8], end: u8) -> &'t [u8] {
    let length = text.iter().position(|byte| *byte == end).expect("an end of the text");
    let taken = &text[..length];
    *text = &text[length + 1..];
    taken
}

fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).expect("a hexadecimal digit") as u8
}

/// Reads tokens up to the `)` that closes the block, or to the end.
fn read_block(version: Version, text: &mut &[u8]) -> Written {
    let mut out = Written::default();
    while let [token, rest @ ..] = *text {
        *text = rest;
        match token {
            b' ' | b'\n' => {}
            b'^' => out.mark = Some(out.bytes.len()),
            b'@' => out.protocol(version),
            b'~' if version == V5 => out.bytes.push(0),
            b'~' => {}
            b'\'' => out.bytes.extend(take_until(text, b'\'')),
            b'<' => out.string(take_until(text, b'>')),
            b'(' => out.block(read_block(version, text)),
            b')' => break,
            high => {
                let [low, rest @ ..] = *text else { panic!("half a byte") };
                *text = rest;
                out.bytes.push(digit(*high) << 4 | digit(*low));
            }
        }
    }
    out
}

fn written(version: Version, packet: &str) -> Written {
    let mut text = packet.as_bytes();
    let written = read_block(version, &mut text);
    assert!(text.is_empty(), "a ) too many in {packet}");
    written
}

/// The bytes of a packet, kept until the tests end.
pub(crate) fn bytes(version: Version, packet: &str) -> &'static [u8] {
    written(version, packet).bytes.leak()
}

/// A body behind its fixed header.
pub(crate) fn framed(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Written { bytes: vec![first], mark: None };
    out.block(Written { bytes: body.to_vec(), mark: None });
    out.bytes
}

/// Decodes all of `input`, which must be one packet; an error must leave it where it was.
pub(crate) fn decode(
    version: Version,
    sender: Sender,
    input: &[u8],
) -> Result<Option<Packet<'_>>, DecodeError> {
    let mut rest = input;
    let result = Packet::decode(&mut rest, version, sender);
    let left = if matches!(result, Ok(Some(_))) { 0 } else { input.len() };
    assert_eq!(rest.len(), left, "{result:?}");
    result
}

/// The verdict on a packet that is refused at its `^`, and in the same way however little of it is
/// there, unless more bytes are asked for.
#[track_caller]
pub(crate) fn refused(version: Version, sender: Sender, packet: &str) -> Verdict {
    println!("MQTT {version}, {sender:?}: {packet}"); // seen only if the test fails
    let Written { bytes, mark } = written(version, packet);
    let error = decode(version, sender, &bytes).expect_err("a refusal");
    for end in 0..bytes.len() {
        let early = decode(version, sender, &bytes[..end]);
        assert!(early == Ok(None) || early == Err(error), "{end} bytes: {early:?}");
    }
    assert_eq!(Some(error.offset as usize), mark, "offset of {error}");
    assert_eq!(error.packet, PacketType::of(bytes[0]));
    assert_eq!(error.version, version);
    let code = error.reason_code().as_byte();
    assert_eq!(error.fault() == Fault::Malformed, code == MALFORMED, "{error}");
    (error.sin, error.field, code)
}

/// The packet in these bytes. Whatever is accepted is not there until its last byte is, takes
/// nothing of what follows it, and comes back equal when it is written and read again.
#[track_caller]
pub(crate) fn accepted_bytes(version: Version, sender: Sender, bytes: &[u8]) -> Packet<'_> {
    let packet = decode(version, sender, bytes).expect("a good packet").expect("a whole packet");
    let with_more = [bytes, &[0xFF, 0xFF]].concat();
    let mut rest = with_more.as_slice();
    assert_eq!(Packet::decode(&mut rest, version, sender), Ok(Some(packet)));
    assert_eq!(rest, [0xFF, 0xFF]);
    let again = encoded(version, &packet);
    assert_eq!(decode(version, sender, &again), Ok(Some(packet)), "{again:02X?}");
    assert!(again.len() <= bytes.len(), "{again:02X?}");
    for end in 0..bytes.len().min(256) {
        assert_eq!(decode(version, sender, &bytes[..end]), Ok(None), "{end} bytes of {packet:?}");
        let length = frame_len(&bytes[..end], version).expect("a good header");
        assert!(length.is_none_or(|length| length == bytes.len()));
        assert!(length.is_some() || end < 5);
    }
    packet
}

#[track_caller]
pub(crate) fn accepted(version: Version, sender: Sender, packet: &str) -> Packet<'static> {
    println!("MQTT {version}, {sender:?}: {packet}");
    accepted_bytes(version, sender, bytes(version, packet))
}

/// The bytes of a packet that may be sent; its length was known before.
#[track_caller]
pub(crate) fn encoded(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let length = packet.encoded_len(version).expect("a packet that may be sent");
    let mut out = vec![0xEE; length + 1];
    assert_eq!(packet.encode(version, &mut out), Ok(length));
    assert_eq!(out.pop(), Some(0xEE), "one byte too many was written");
    out
}

/// Why a packet may not be sent: measuring and writing say the same.
#[track_caller]
pub(crate) fn unsendable(version: Version, packet: &Packet<'_>) -> EncodeError {
    let error = packet.encoded_len(version).expect_err("a refusal");
    let mut out = [0xEE; 64];
    assert_eq!(packet.encode(version, &mut out), Err(error));
    assert_eq!(out, [0xEE; 64], "something was written");
    error
}

pub(crate) fn text(text: &str) -> Text<'_> {
    Text::new(text).expect("a string")
}

pub(crate) fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).expect("a topic name")
}

pub(crate) fn filter(filter: &str) -> TopicFilter<'_> {
    TopicFilter::new(filter).expect("a topic filter")
}

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

pub(crate) fn code(byte: u8) -> ReasonCode {
    ReasonCode::from_byte(byte).expect("a reason code")
}

/// Properties that live as long as the tests.
pub(crate) fn properties(list: &[Property<'static>]) -> Properties<'static> {
    Properties::new(list.to_vec().leak())
}

#[test]
fn the_notation_means_what_it_says() {
    let Written { bytes, mark } = written(V5, "32( <a/b> ^0001 ~ 'hi' )");
    assert_eq!(bytes, *b"\x32\x0A\x00\x03a/b\x00\x01\x00hi");
    assert_eq!(mark, Some(7));
    assert_eq!(super::support::bytes(V311, "32( <a/b> 0001 ~ )"), b"\x32\x07\x00\x03a/b\x00\x01");
    assert_eq!(super::support::bytes(V31, "10( @ )"), b"\x10\x09\x00\x06MQIsdp\x03");
    assert_eq!(super::support::bytes(V5, "e0( 04 ( 1F <> ) )"), b"\xE0\x05\x04\x03\x1F\x00\x00");
    assert_eq!(framed(0x30, &[7; 200])[..4], [0x30, 0xC8, 0x01, 7]);
}
