//! Packets one after the other, as they come over a connection.

use tamtam_core::{Connect, DecodeError, Packet, PacketType, Sender, Version, frame_len};

/// The packets of one direction of one connection.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    input: &'a [u8],
    rest: &'a [u8],
    /// As it was asked for, or as the CONNECT in front said.
    version: Option<Version>,
    sender: Sender,
    index: usize,
}

/// A packet with its place in the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// The first packet has 1.
    pub(crate) index: usize,
    /// Where it begins in the input.
    pub(crate) offset: usize,
    /// All its bytes; of one that is wrong or incomplete, what there is of them.
    pub(crate) bytes: &'a [u8],
    pub(crate) version: Version,
    pub(crate) sender: Sender,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// A packet that is all here and all right.
    Packet(Frame<'a>, Packet<'a>),
    /// The input ends before the packet does, which takes so many bytes; `None` if its length is
    /// not all here.
    Incomplete(Frame<'a>, Option<usize>),
    /// The packet is wrong; the offset is the one in the input.
    Wrong(Frame<'a>, DecodeError),
}

impl<'a> Stream<'a> {
    /// What is not known is deduced from the first packet.
    pub(crate) fn new(input: &'a [u8], version: Option<Version>, sender: Option<Sender>) -> Self {
        let first = input.first().copied().unwrap_or_default();
        let sender = sender.unwrap_or_else(|| usual_sender(PacketType::of(first)));
        Self { input, rest: input, version, sender, index: 0 }
    }

    /// Decodes the front; a CONNECT there says which version it is if nobody else did.
    fn decode(&mut self) -> Result<Option<Packet<'a>>, DecodeError> {
        let first = self.rest.first().copied().unwrap_or_default();
        let says_itself = self.version.is_none()
            && self.sender == Sender::Client
            && PacketType::of(first) == PacketType::Connect;
        if !says_itself {
            let version = *self.version.get_or_insert(Version::V5);
            return Packet::decode(&mut self.rest, version, self.sender);
        }
        let connect = Connect::decode(&mut self.rest)?;
        self.version = connect.map(|connect| connect.version);
        Ok(connect.map(Packet::Connect))
    }
}

/// An error or an incomplete packet is the last step: where the next packet begins is not known.
impl<'a> Iterator for Stream<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let here = self.rest;
        self.index = self.index.saturating_add(1);
        let decoded = self.decode();
        let version = self.version.unwrap_or(Version::V5);
        let needed = frame_len(here, version).ok().flatten();
        let end = needed.unwrap_or(here.len()).min(here.len());
        let frame = Frame {
            index: self.index,
            offset: self.input.len().saturating_sub(here.len()),
            bytes: here.get(..end).unwrap_or_default(),
            version,
            sender: self.sender,
        };
        if !matches!(decoded, Ok(Some(_))) {
            self.rest = &[];
        }
        Some(match decoded {
            Ok(Some(packet)) => Step::Packet(frame, packet),
            Ok(None) => Step::Incomplete(frame, needed),
            Err(error) => {
                let base = u32::try_from(frame.offset).unwrap_or(u32::MAX);
                let offset = error.offset.saturating_add(base);
                let frame = Frame { version: error.version, ..frame };
                Step::Wrong(frame, DecodeError { offset, ..error })
            }
        })
    }
}

/// Who sends packets of this type; of those that both send, a client.
const fn usual_sender(packet: PacketType) -> Sender {
    match packet {
        PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck | PacketType::PingResp => {
            Sender::Server
        }
        _ => Sender::Client,
    }
}
