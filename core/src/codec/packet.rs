//! Any packet: from bytes, and into them.

use super::BRIEF;
use super::ack::{Ack, AckKind};
#[cfg(feature = "auth")]
use super::auth::Auth;
use super::connack::ConnAck;
use super::connect::Connect;
use super::cursor::Cursor;
use super::disconnect::Disconnect;
use super::error::{DecodeError, EncodeError, Field, Found, Sin};
use super::header::{FixedHeader, PacketType, Sender, header_error};
use super::publish::Publish;
use super::sink::{Body, Refusal, Sink, measure};
use super::suback::{SubAck, UnsubAck};
use super::subscribe::{Subscribe, Unsubscribe};
use crate::types::Version;

/// A control packet of any version.
///
/// ```
/// use tamtam_core::{Packet, Publish, Sender, TopicName, Version};
///
/// let packet = Packet::Publish(Publish::new(TopicName::new("a/b")?, b"hi"));
/// let mut memory = [0; 16];
/// let length = packet.encode(Version::V311, &mut memory)?;
/// assert_eq!(memory[..length], *b"\x30\x07\x00\x03a/bhi");
///
/// let mut input = &memory[..length];
/// assert_eq!(Packet::decode(&mut input, Version::V311, Sender::Client)?, Some(packet));
/// assert!(input.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is a packet, documented at its struct or its PacketType")]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    PubAck(Ack<'a>),
    PubRec(Ack<'a>),
    PubRel(Ack<'a>),
    PubComp(Ack<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    UnsubAck(UnsubAck<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    #[cfg(feature = "auth")]
    Auth(Auth<'a>),
}

/// A packet's bytes, once they are all here.
struct Frame<'a> {
    header: FixedHeader,
    bytes: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    #[inline]
    fn split(
        input: &'a [u8],
        version: Version,
        sender: Sender,
    ) -> Result<Option<Self>, DecodeError> {
        let header = match FixedHeader::read(input) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(sin) => return Err(header_error(input, sin, Field::RemainingLength, version)),
        };
        if let Err(sin) = header.check(version, sender) {
            return Err(header_error(input, sin, Field::PacketType, version));
        }
        let Some((bytes, rest)) = input.split_at_checked(header.frame_len()) else {
            return Ok(None);
        };
        Ok(Some(Self { header, bytes, rest }))
    }

    #[inline]
    fn body(&self) -> Cursor<'a> {
        Cursor::new(self.bytes.get(self.header.len..).unwrap_or_default())
    }

    /// `packet`, with `input` moved behind it.
    #[inline(always)]
    fn take(
        &self,
        input: &mut &'a [u8],
        packet: Packet<'a>,
    ) -> Result<Option<Packet<'a>>, DecodeError> {
        *input = self.rest;
        Ok(Some(packet))
    }

    #[cold]
    fn error(&self, found: Found, version: Version) -> DecodeError {
        DecodeError {
            sin: found.sin,
            field: found.field,
            packet: self.header.packet(),
            offset: u32::try_from(self.bytes.len().saturating_sub(found.left)).unwrap_or(u32::MAX),
            version,
        }
    }
}

impl<'a> Packet<'a> {
    /// The packet that begins `input`, which is moved behind it.
    ///
    /// `None` while it is not all here: `input` stays, and the caller comes again with more. (How
    /// much more, and whether it is too much, [`frame_len`](super::frame_len) says.) Nothing is
    /// copied; the packet borrows from the input.
    ///
    /// # Errors
    /// Not a packet that `sender` may send in `version`. `input` stays.
    #[inline]
    pub fn decode(
        input: &mut &'a [u8],
        version: Version,
        sender: Sender,
    ) -> Result<Option<Self>, DecodeError> {
        if BRIEF {
            return Self::decode_any(input, version, sender);
        }
        // Nearly every other packet is an acknowledgement of success in its shortest form.
        if let Some((kind, id)) = AckKind::take_ordinary(input) {
            return Ok(Some(Self::ack(kind, Ack::new(id))));
        }
        if version.is_v5() {
            Self::decode_publish::<true>(input, version, sender)
        } else {
            Self::decode_publish::<false>(input, version, sender)
        }
    }

    /// A PUBLISH as nearly all are, with few live values and no errors to carry around.
    #[inline(never)]
    fn decode_publish<const V5: bool>(
        input: &mut &'a [u8],
        version: Version,
        sender: Sender,
    ) -> Result<Option<Self>, DecodeError> {
        if let Some((first, body, rest)) = FixedHeader::split_publish(input)
            && let Some(publish) = Publish::ordinary::<V5>(first, body, sender)
        {
            *input = rest;
            return Ok(Some(Self::Publish(publish)));
        }
        Self::decode_any(input, version, sender)
    }

    /// Any packet, and whatever is wrong with it.
    #[inline(never)]
    fn decode_any(
        input: &mut &'a [u8],
        version: Version,
        sender: Sender,
    ) -> Result<Option<Self>, DecodeError> {
        let Some(frame) = Frame::split(input, version, sender)? else { return Ok(None) };
        let cursor = &mut frame.body();
        // A PUBLISH is built where the caller will find it: a move would cost more than the rest.
        match frame.header.packet() {
            PacketType::Publish => {
                if let Some(publish) = Publish::read(frame.header.first, cursor, version, sender) {
                    return frame.take(input, Self::Publish(publish));
                }
            }
            packet => {
                if let Some(packet) = Self::read_rare(packet, cursor, version, sender) {
                    return frame.take(input, packet);
                }
            }
        }
        Err(frame.error(cursor.error(), version))
    }

    /// The packets of which a connection sees few, and acknowledgements that say more.
    #[inline(never)]
    fn read_rare(
        packet: PacketType,
        cursor: &mut Cursor<'a>,
        version: Version,
        sender: Sender,
    ) -> Option<Self> {
        let from_client = matches!(sender, Sender::Client);
        let packet = match packet {
            PacketType::PubAck => Self::PubAck(Ack::read(cursor, version, AckKind::Ack)?),
            PacketType::PubRec => Self::PubRec(Ack::read(cursor, version, AckKind::Rec)?),
            PacketType::PubRel => Self::PubRel(Ack::read(cursor, version, AckKind::Rel)?),
            PacketType::PubComp => Self::PubComp(Ack::read(cursor, version, AckKind::Comp)?),
            // What only one side sends is linked only into programs that hear that side.
            PacketType::PingReq => Self::PingReq,
            PacketType::PingResp => Self::PingResp,
            PacketType::Connect if from_client => {
                Self::Connect(Connect::read(cursor, Some(version))?)
            }
            PacketType::ConnAck if !from_client => Self::ConnAck(ConnAck::read(cursor, version)?),
            PacketType::Subscribe if from_client => {
                Self::Subscribe(Subscribe::read(cursor, version)?)
            }
            PacketType::SubAck if !from_client => Self::SubAck(SubAck::read(cursor, version)?),
            PacketType::Unsubscribe if from_client => {
                Self::Unsubscribe(Unsubscribe::read(cursor, version)?)
            }
            PacketType::UnsubAck if !from_client => {
                Self::UnsubAck(UnsubAck::read(cursor, version)?)
            }
            PacketType::Disconnect => Self::Disconnect(Disconnect::read(cursor, version, sender)?),
            #[cfg(feature = "auth")]
            PacketType::Auth => Self::Auth(Auth::read(cursor, version, sender)?),
            _ => return cursor.found(Sin::ReservedPacketType, Field::PacketType),
        };
        cursor.end()?;
        Some(packet)
    }

    #[inline]
    const fn ack(kind: AckKind, ack: Ack<'a>) -> Self {
        match kind {
            AckKind::Ack => Self::PubAck(ack),
            AckKind::Rec => Self::PubRec(ack),
            AckKind::Rel => Self::PubRel(ack),
            AckKind::Comp => Self::PubComp(ack),
        }
    }

    /// Which packet it is.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            #[cfg(feature = "auth")]
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// How many bytes [`Packet::encode`] would write.
    ///
    /// # Errors
    /// As [`Packet::encode`], but for room.
    pub fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        self.with_body(Measure { version })
    }

    /// Writes the packet to the front of `out` and returns how long it is.
    ///
    /// # Errors
    /// It may not be sent, can't be said in `version`, or `out` is too small. What `out` holds
    /// then is not a packet.
    #[inline]
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        let written = match self {
            Self::Publish(publish) => publish.write_ordinary(version, out),
            Self::PubAck(ack) => ack.write_ordinary(AckKind::Ack, out),
            Self::PubRec(ack) => ack.write_ordinary(AckKind::Rec, out),
            Self::PubRel(ack) => ack.write_ordinary(AckKind::Rel, out),
            Self::PubComp(ack) => ack.write_ordinary(AckKind::Comp, out),
            _ => None,
        };
        match written {
            Some(length) => Ok(length),
            None => self.encode_any(version, out),
        }
    }

    #[inline(never)]
    fn encode_any(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.with_body(Write { version, out })
    }

    /// Appends the packet to `out` and returns how long it is.
    ///
    /// # Errors
    /// As [`Packet::encode`]; then nothing was written.
    #[cfg(feature = "bytes")]
    pub fn encode_to(
        &self,
        version: Version,
        out: &mut impl bytes::BufMut,
    ) -> Result<usize, EncodeError> {
        self.with_body(Append { version, out })
    }

    /// Hands the packet's body to `work`.
    #[inline]
    fn with_body<W: Work>(&self, work: W) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(body) => work.with(body),
            Self::ConnAck(body) => work.with(body),
            Self::Publish(body) => work.with(body),
            Self::PubAck(ack) => work.with(&(AckKind::Ack, *ack)),
            Self::PubRec(ack) => work.with(&(AckKind::Rec, *ack)),
            Self::PubRel(ack) => work.with(&(AckKind::Rel, *ack)),
            Self::PubComp(ack) => work.with(&(AckKind::Comp, *ack)),
            Self::Subscribe(body) => work.with(body),
            Self::SubAck(body) => work.with(body),
            Self::Unsubscribe(body) => work.with(body),
            Self::UnsubAck(body) => work.with(body),
            Self::PingReq => work.with(&Ping(PacketType::PingReq)),
            Self::PingResp => work.with(&Ping(PacketType::PingResp)),
            Self::Disconnect(body) => work.with(body),
            #[cfg(feature = "auth")]
            Self::Auth(body) => work.with(body),
        }
    }
}

impl<'a> Connect<'a> {
    /// The CONNECT that begins `input`, which is moved behind it; it says its version itself.
    ///
    /// This is how a server reads the first packet of a connection. `None` while it is not all
    /// here.
    ///
    /// # Errors
    /// Another packet [MQTT5-3.1.0-1, MQTT3-3.1.0-1], or not a CONNECT of a version that this build
    /// speaks.
    pub fn decode(input: &mut &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let newest = Version::ALL.last().copied().unwrap_or(Version::V311);
        if let Some(first) = input.first()
            && PacketType::of(*first) != PacketType::Connect
        {
            return Err(header_error(input, Sin::FirstPacket, Field::PacketType, newest));
        }
        let Some(frame) = Frame::split(input, newest, Sender::Client)? else { return Ok(None) };
        let mut cursor = frame.body();
        match Self::read(&mut cursor, None).and_then(|connect| cursor.end().map(|()| connect)) {
            Some(connect) => {
                *input = frame.rest;
                Ok(Some(connect))
            }
            None => {
                let version = claimed_version(frame.body()).unwrap_or(newest);
                Err(frame.error(cursor.error(), version))
            }
        }
    }
}

/// The version that a CONNECT claims, for the clause that it breaks.
fn claimed_version(mut body: Cursor<'_>) -> Option<Version> {
    body.binary(Field::ProtocolName)?;
    Version::from_level(body.u8(Field::ProtocolLevel)?)
}

/// PINGREQ and PINGRESP: a fixed header and nothing else.
#[derive(Debug)]
pub(crate) struct Ping(pub(crate) PacketType);

impl Ping {
    /// Either is two bytes, in every version.
    pub(crate) const fn bytes(&self) -> [u8; 2] {
        [self.0.first_byte(), 0]
    }
}

impl Body for Ping {
    fn first_byte(&self) -> u8 {
        self.0.first_byte()
    }

    fn check(&self, _: Version) -> Result<(), Refusal> {
        Ok(())
    }

    fn write(&self, _: Version, _: &mut impl Sink) {}
}

/// What can be done with any body.
trait Work {
    fn with(self, body: &impl Body) -> Result<usize, EncodeError>;
}

struct Measure {
    version: Version,
}

impl Work for Measure {
    fn with(self, body: &impl Body) -> Result<usize, EncodeError> {
        Ok(measure(body, self.version)?.len())
    }
}

struct Write<'b> {
    version: Version,
    out: &'b mut [u8],
}

impl Work for Write<'_> {
    #[inline]
    fn with(self, body: &impl Body) -> Result<usize, EncodeError> {
        measure(body, self.version)?.write(self.out)
    }
}

#[cfg(feature = "bytes")]
struct Append<'b, B> {
    version: Version,
    out: &'b mut B,
}

#[cfg(feature = "bytes")]
impl<B: bytes::BufMut> Work for Append<'_, B> {
    fn with(self, body: &impl Body) -> Result<usize, EncodeError> {
        measure(body, self.version)?.append(self.out)
    }
}
