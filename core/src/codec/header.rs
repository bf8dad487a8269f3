//! The fixed header: which packet, from whom, how long.

use core::fmt;

use super::BRIEF;
use super::cursor::Cursor;
use super::error::{DecodeError, Field, Sin};
use crate::types::{QoS, Version};

/// Which side of a connection sent a packet: it decides what is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The side that connected.
    Client,
    /// The side that was connected to.
    Server,
}

/// The fifteen control packets; the discriminant is the number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum PacketType {
    /// No packet: a type number that the version does not know.
    Reserved = 0,
    /// A client asks to be connected.
    Connect = 1,
    /// The answer to CONNECT.
    ConnAck = 2,
    /// A message.
    Publish = 3,
    /// Acknowledges a PUBLISH of QoS 1.
    PubAck = 4,
    /// Acknowledges a PUBLISH of QoS 2: received.
    PubRec = 5,
    /// Acknowledges a PUBREC: the identifier may be released.
    PubRel = 6,
    /// Acknowledges a PUBREL: complete.
    PubComp = 7,
    /// Asks for messages.
    Subscribe = 8,
    /// The answer to SUBSCRIBE.
    SubAck = 9,
    /// Asks for no more messages.
    Unsubscribe = 10,
    /// The answer to UNSUBSCRIBE.
    UnsubAck = 11,
    /// Asks whether the connection lives.
    PingReq = 12,
    /// The answer to PINGREQ.
    PingResp = 13,
    /// Ends the connection in order.
    Disconnect = 14,
    /// Enhanced authentication (MQTT 5).
    Auth = 15,
}

impl PacketType {
    /// The type in the upper half of a packet's first byte.
    #[must_use]
    pub const fn of(first_byte: u8) -> Self {
        match first_byte >> 4 {
            0 => Self::Reserved,
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            _ => Self::Auth,
        }
    }

    /// The name as the specification writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved packet",
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    /// The first byte of every packet of this type but PUBLISH, whose flags vary.
    #[inline]
    pub(crate) const fn first_byte(self) -> u8 {
        // Of all others they are 0. [MQTT5-2.1.3-1, MQTT3-2.2.2-1, MQTT5-3.14.1-1, MQTT5-3.15.1-1]
        (self as u8) << 4 | (self.is_in(FLAGGED) as u8) << 1
    }

    /// Which statement fixes the flags of this packet.
    pub(crate) const fn flags_citation(self, version: Version) -> &'static str {
        match (self, version.is_v5()) {
            (Self::PubRel, true) => "MQTT5-3.6.1-1",
            (Self::Subscribe, true) => "MQTT5-3.8.1-1",
            (Self::Unsubscribe, true) => "MQTT5-3.10.1-1",
            (Self::Disconnect, true) => "MQTT5-3.14.1-1",
            (Self::Auth, true) => "MQTT5-3.15.1-1",
            (Self::PubRel, false) => "MQTT3-3.6.1-1",
            (Self::Subscribe, false) => "MQTT3-3.8.1-1",
            (Self::Unsubscribe, false) => "MQTT3-3.10.1-1",
            (Self::Disconnect, false) => "MQTT3-3.14.1-1",
            _ => Sin::ReservedFlags.citation(version),
        }
    }

    /// Which statement or chapter lists the reason codes of this packet.
    pub(crate) const fn reason_codes_citation(self, version: Version) -> &'static str {
        match (self, version.is_v5()) {
            (Self::ConnAck, true) => "MQTT5-3.2.2-8",
            (Self::ConnAck, false) => "MQTT3 3.2.2.3",
            (Self::PubAck, _) => "MQTT5-3.4.2-1",
            (Self::PubRec, _) => "MQTT5-3.5.2-1",
            (Self::PubRel, _) => "MQTT5-3.6.2-1",
            (Self::PubComp, _) => "MQTT5-3.7.2-1",
            (Self::SubAck, true) => "MQTT5-3.9.3-2",
            (Self::UnsubAck, _) => "MQTT5-3.11.3-2",
            (Self::Disconnect, _) => "MQTT5-3.14.2-1",
            (Self::Auth, _) => "MQTT5-3.15.2-1",
            _ => Sin::ReasonCode.citation(version),
        }
    }

    /// Whether `sender` may send it in `version` (MQTT5 2.1.2).
    #[inline]
    const fn sent_by(self, sender: Sender, version: Version) -> bool {
        !self.is_in(match sender {
            Sender::Client => OF_SERVERS,
            Sender::Server if version.is_v5() => OF_CLIENTS,
            Sender::Server => OF_CLIENTS | Self::Disconnect.bit(),
        })
    }

    /// Whether `version` knows it.
    #[inline]
    const fn exists_in(self, version: Version) -> bool {
        !self.is_in(if version.is_v5() { Self::Reserved.bit() } else { Self::RESERVED_IN_V3 })
    }

    const RESERVED_IN_V3: u16 = Self::Reserved.bit() | Self::Auth.bit();

    /// Whether it is in a set, in which each has a bit: what firmware compares with fewer
    /// instructions than a `match` takes.
    #[inline]
    const fn is_in(self, set: u16) -> bool {
        set >> self as u16 & 1 == 1
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Those whose second flag is set.
/// [MQTT5-3.6.1-1, MQTT5-3.8.1-1, MQTT5-3.10.1-1]
/// [MQTT3-3.6.1-1, MQTT3-3.8.1-1, MQTT3-3.10.1-1]
const FLAGGED: u16 =
    PacketType::PubRel.bit() | PacketType::Subscribe.bit() | PacketType::Unsubscribe.bit();

/// What only a client sends.
const OF_CLIENTS: u16 = PacketType::Connect.bit()
    | PacketType::Subscribe.bit()
    | PacketType::Unsubscribe.bit()
    | PacketType::PingReq.bit();

/// What only a server sends.
const OF_SERVERS: u16 = PacketType::ConnAck.bit()
    | PacketType::SubAck.bit()
    | PacketType::UnsubAck.bit()
    | PacketType::PingResp.bit();

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The longest body that a packet can have, in bytes.
pub const MAX_REMAINING_LENGTH: u32 = 268_435_455;

/// The first two to five bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedHeader {
    pub(crate) first: u8,
    /// How many bytes the header itself takes.
    pub(crate) len: usize,
    /// How many bytes follow it.
    pub(crate) remaining: usize,
}

impl FixedHeader {
    /// The PUBLISH at the start of `input`: its first byte, its body, and what is behind it.
    ///
    /// `None` for anything else, be it longer than 16 KiB or wrong.
    #[inline(always)]
    pub(crate) fn split_publish(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
        let (first, remaining, behind) = match input {
            [first, short, behind @ ..] if *short < 0x80 => (*first, *short as usize, behind),
            [first, low, high, behind @ ..] if matches!(*high, 1..0x80) => {
                (*first, (*low & 0x7F) as usize | (*high as usize) << 7, behind)
            }
            _ => return None,
        };
        if !is_publish(first) {
            return None;
        }
        let (body, rest) = behind.split_at_checked(remaining)?;
        Some((first, body, rest))
    }

    /// The header at the start of `input`, or `None` while it is not all here.
    #[inline]
    pub(crate) fn read(input: &[u8]) -> Result<Option<Self>, Sin> {
        match *input {
            [first, short, ..] if short < 0x80 => {
                Ok(Some(Self { first, len: 2, remaining: short as usize }))
            }
            [first, ref rest @ ..] => Self::read_long(first, rest),
            [] => Ok(None),
        }
    }

    fn read_long(first: u8, rest: &[u8]) -> Result<Option<Self>, Sin> {
        let mut cursor = Cursor::new(rest);
        match cursor.var_int(Field::RemainingLength) {
            Some(remaining) => {
                let len = rest.len().wrapping_sub(cursor.left()).wrapping_add(1);
                Ok(Some(Self { first, len, remaining: remaining as usize }))
            }
            None => match cursor.error().sin {
                Sin::Truncated => Ok(None),
                sin => Err(sin),
            },
        }
    }

    pub(crate) const fn frame_len(self) -> usize {
        self.len.wrapping_add(self.remaining) // 5 and 268,435,455 at most
    }

    pub(crate) const fn packet(self) -> PacketType {
        PacketType::of(self.first)
    }

    /// Whether a packet may begin like this.
    #[inline]
    pub(crate) fn check(self, version: Version, sender: Sender) -> Result<(), Sin> {
        if BRIEF {
            return check_rare(self.first, version, sender);
        }
        match self.first {
            0x30..0x38 | 0x3A..0x3E if self.first & 0b110 != 0b110 => Ok(()), // PUBLISH
            0x40 | 0x50 | 0x62 | 0x70 => Ok(()),                              // its answers
            _ => check_rare(self.first, version, sender),
        }
    }
}

/// What is not the first byte of a PUBLISH or of its answers.
#[cfg_attr(not(feature = "alloc"), inline(never))]
fn check_rare(first: u8, version: Version, sender: Sender) -> Result<(), Sin> {
    let packet = PacketType::of(first);
    if matches!(packet, PacketType::Publish) {
        return check_publish_flags(first);
    }
    if !packet.exists_in(version) {
        return Err(Sin::ReservedPacketType);
    }
    let expected = packet.first_byte();
    // MQTT 3.1 sets DUP on everything that it sends again.
    let may_be_dup = matches!(version, Version::V31) && packet.is_in(FLAGGED);
    if first != expected && !(may_be_dup && first == expected | 0b1000) {
        return Err(Sin::ReservedFlags); // [MQTT3-2.2.2-2, MQTT3-3.14.1-1]
    }
    if packet.sent_by(sender, version) { Ok(()) } else { Err(Sin::WrongSender) }
}

/// Whether a PUBLISH may begin like this: not with QoS 3, nor with DUP at QoS 0.
#[inline]
const fn is_publish(first: u8) -> bool {
    const FLAGS: u16 = 0b0011_1100_0011_1111;
    first >> 4 == 3 && FLAGS >> (first & 15) & 1 == 1
}

fn check_publish_flags(first: u8) -> Result<(), Sin> {
    match (first >> 1 & 0b11, first & 0b1000 != 0) {
        (3, _) => Err(Sin::QoS),          // [MQTT5-3.3.1-4, MQTT3-3.3.1-4]
        (0, true) => Err(Sin::DupAtQoS0), // [MQTT5-3.3.1-2, MQTT3-3.3.1-2]
        _ => Ok(()),
    }
}

/// DUP, QoS and RETAIN from the first byte of a PUBLISH that passed its check.
#[inline]
pub(crate) const fn publish_flags(first: u8) -> (bool, QoS, bool) {
    let qos = match first >> 1 & 0b11 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    };
    (first & 0b1000 != 0, qos, first & 1 != 0)
}

/// The length of the packet that begins `input`, fixed header included, from its first bytes alone.
///
/// `None` while the length is not all here, which is decided after five bytes at most. A caller
/// refuses a packet that is too large for it before it keeps a byte of it.
///
/// ```
/// use tamtam_core::{Version, frame_len};
///
/// assert_eq!(frame_len(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], Version::V5), Ok(Some(268_435_460)));
/// assert_eq!(frame_len(&[0x30, 0xFF], Version::V5), Ok(None));
/// ```
///
/// # Errors
/// A length of more than four bytes, or longer than it need be. (Which packet it is, and whether
/// its flags are right, is left to [`Packet::decode`](super::Packet::decode).)
pub fn frame_len(input: &[u8], version: Version) -> Result<Option<usize>, DecodeError> {
    match FixedHeader::read(input) {
        Ok(header) => Ok(header.map(FixedHeader::frame_len)),
        Err(sin) => Err(header_error(input, sin, Field::RemainingLength, version)),
    }
}

/// An error of the fixed header, which has but two fields.
#[cold]
pub(crate) fn header_error(input: &[u8], sin: Sin, field: Field, version: Version) -> DecodeError {
    DecodeError {
        sin,
        field,
        packet: PacketType::of(input.first().copied().unwrap_or_default()),
        offset: u32::from(matches!(field, Field::RemainingLength)),
        version,
    }
}
