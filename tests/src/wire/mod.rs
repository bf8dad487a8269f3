//! MQTT packets as the simulated world sees them: a codec of its own.
//!
//! It shares no line with the one it helps to test. It owns what it reads, checks what a peer would
//! stumble over, and is as slow as it likes.

mod props;
mod read;
mod write;

use std::fmt;

use tamtam_core::Version;

pub use props::{Prop, Props, id};
pub use read::{Bad, decode, frame_len};
pub use write::encode;

/// Which of the four acknowledgements of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the specification does")]
pub enum AckKind {
    PubAck,
    PubRec,
    PubRel,
    PubComp,
}

/// CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The version that it asks for.
    pub version: Version,
    /// Clean Start, or Clean Session.
    pub clean: bool,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    /// Who it is.
    pub client_id: Vec<u8>,
    /// Its properties.
    pub props: Props,
    /// Its will.
    pub will: Option<Will>,
    /// The user.
    pub user_name: Option<Vec<u8>>,
    /// The user's password.
    pub password: Option<Vec<u8>>,
}

/// The will in CONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Will {
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Its properties.
    pub props: Props,
    /// Its topic.
    pub topic: Vec<u8>,
    /// What it says.
    pub payload: Vec<u8>,
}

/// CONNACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether there is a session.
    pub session_present: bool,
    /// The code of the version on the wire.
    pub code: u8,
    /// Its properties.
    pub props: Props,
}

/// PUBLISH.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Publish {
    /// Whether it may have been sent before.
    pub dup: bool,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether it is or was retained.
    pub retain: bool,
    /// Empty behind an alias.
    pub topic: Vec<u8>,
    /// 0 at QoS 0.
    pub id: u16,
    /// Its properties.
    pub props: Props,
    /// What it says.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dup, qos, retain, id, .. } = self;
        let topic = String::from_utf8_lossy(&self.topic);
        let payload = String::from_utf8_lossy(&self.payload);
        write!(f, "PUBLISH {id} to {topic:?} QoS {qos} dup {dup} retain {retain} ")?;
        write!(f, "{:?} {payload:.40} ({} bytes)", self.props, self.payload.len())
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which of them.
    pub kind: AckKind,
    /// For which PUBLISH.
    pub id: u16,
    /// The reason code; 0 before MQTT 5.
    pub code: u8,
    /// Its properties.
    pub props: Props,
}

/// SUBSCRIBE or UNSUBSCRIBE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// By which it is answered.
    pub id: u16,
    /// Its properties.
    pub props: Props,
    /// Filters and, in SUBSCRIBE, options.
    pub filters: Vec<(Vec<u8>, u8)>,
}

/// SUBACK or UNSUBACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it answers.
    pub id: u16,
    /// Its properties.
    pub props: Props,
    /// A code for each filter.
    pub codes: Vec<u8>,
}

/// DISCONNECT or AUTH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// The reason code; 0 before MQTT 5.
    pub code: u8,
    /// Its properties.
    pub props: Props,
}

/// Any packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the specification does")]
pub enum Packet {
    Connect(Connect),
    ConnAck(ConnAck),
    Publish(Publish),
    Ack(Ack),
    Subscribe(Request),
    SubAck(Answer),
    Unsubscribe(Request),
    UnsubAck(Answer),
    PingReq,
    PingResp,
    Disconnect(Notice),
    Auth(Notice),
}

impl Packet {
    /// An acknowledgement of success.
    #[must_use]
    pub const fn ack(kind: AckKind, id: u16) -> Self {
        Self::Ack(Ack { kind, id, code: 0, props: Props::NONE })
    }

    /// DISCONNECT for a reason.
    #[must_use]
    pub const fn disconnect(code: u8) -> Self {
        Self::Disconnect(Notice { code, props: Props::NONE })
    }

    /// The number of its type on the wire.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Connect(_) => 1,
            Self::ConnAck(_) => 2,
            Self::Publish(_) => 3,
            Self::Ack(ack) => match ack.kind {
                AckKind::PubAck => 4,
                AckKind::PubRec => 5,
                AckKind::PubRel => 6,
                AckKind::PubComp => 7,
            },
            Self::Subscribe(_) => 8,
            Self::SubAck(_) => 9,
            Self::Unsubscribe(_) => 10,
            Self::UnsubAck(_) => 11,
            Self::PingReq => 12,
            Self::PingResp => 13,
            Self::Disconnect(_) => 14,
            Self::Auth(_) => 15,
        }
    }
}

/// The complete packets at the front of `stream`, taken out of it.
///
/// # Errors
/// What is there is no packet.
pub fn take_frames(stream: &mut Vec<u8>) -> Result<Vec<Vec<u8>>, Bad> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(len) = frame_len(&stream[at..])?
        && at + len <= stream.len()
    {
        frames.push(stream[at..at + len].to_vec());
        at += len;
    }
    stream.drain(..at);
    Ok(frames)
}
