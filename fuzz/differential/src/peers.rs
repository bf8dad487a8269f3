//! Two decoders of others. What one has read it writes again, so that our decoder can say whether
//! it is the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::BytesMut;
use tamtam_core::Version;
use tokio_util::codec::{Decoder, Encoder};

/// What a peer made of a packet.
pub enum Read {
    /// Its bytes, written anew.
    As(Vec<u8>),
    /// It refuses it.
    Refused(String),
    /// It has read it and can't write it.
    Mute(String),
    /// It panicked.
    Panicked,
}

/// A decoder.
pub struct Peer {
    pub name: &'static str,
    read: fn(Version, &[u8]) -> Read,
}

pub const PEERS: [Peer; 2] =
    [Peer { name: "mqttbytes", read: mqttbytes }, Peer { name: "rmqtt-codec", read: rmqtt }];

impl Peer {
    pub fn read(&self, version: Version, frame: &[u8]) -> Read {
        catch_unwind(AssertUnwindSafe(|| (self.read)(version, frame))).unwrap_or(Read::Panicked)
    }
}

macro_rules! mqttbytes_version {
    ($name:ident, $disconnect:pat => $written:expr) => {
        fn $name(frame: &[u8]) -> Read {
            use ::mqttbytes::$name::{Packet, PingReq, PingResp, read};
            let mut out = BytesMut::new();
            let written = match read(&mut BytesMut::from(frame), usize::MAX) {
                Err(error) => return Read::Refused(format!("{error:?}")),
                Ok(Packet::Connect(packet)) => packet.write(&mut out),
                Ok(Packet::ConnAck(packet)) => packet.write(&mut out),
                Ok(Packet::Publish(packet)) => packet.write(&mut out),
                Ok(Packet::PubAck(packet)) => packet.write(&mut out),
                Ok(Packet::PubRec(packet)) => packet.write(&mut out),
                Ok(Packet::PubRel(packet)) => packet.write(&mut out),
                Ok(Packet::PubComp(packet)) => packet.write(&mut out),
                Ok(Packet::Subscribe(packet)) => packet.write(&mut out),
                Ok(Packet::SubAck(packet)) => packet.write(&mut out),
                Ok(Packet::Unsubscribe(packet)) => packet.write(&mut out),
                Ok(Packet::UnsubAck(packet)) => packet.write(&mut out),
                Ok(Packet::PingReq) => PingReq.write(&mut out),
                Ok(Packet::PingResp) => PingResp.write(&mut out),
                Ok($disconnect) => ($written)(&mut out),
            };
            match written {
                Ok(_) => Read::As(out.to_vec()),
                Err(error) => Read::Mute(format!("{error:?}")),
            }
        }
    };
}

mqttbytes_version!(v4, Packet::Disconnect => |out: &mut BytesMut| {
    ::mqttbytes::v4::Disconnect.write(out)
});

mod five {
    use super::{BytesMut, Read};
    mqttbytes_version!(v5, Packet::Disconnect(packet) => |out: &mut BytesMut| packet.write(out));

    pub(super) fn read(frame: &[u8]) -> Read {
        v5(frame)
    }
}

fn mqttbytes(version: Version, frame: &[u8]) -> Read {
    if version == Version::V5 { five::read(frame) } else { v4(frame) }
}

fn rmqtt(version: Version, frame: &[u8]) -> Read {
    match version {
        Version::V5 => rmqtt_by(&mut rmqtt_codec::v5::Codec::new(0, 0), frame, |read| read.0),
        _ => rmqtt_by(&mut rmqtt_codec::v3::Codec::new(0), frame, |read| read.0),
    }
}

fn rmqtt_by<C, P, D, E>(codec: &mut C, frame: &[u8], packet: fn(D) -> P) -> Read
where
    C: Decoder<Item = D, Error = E> + Encoder<P>,
    E: std::fmt::Debug,
    <C as Encoder<P>>::Error: std::fmt::Debug,
{
    let mut out = BytesMut::new();
    match codec.decode(&mut BytesMut::from(frame)) {
        Err(error) => Read::Refused(format!("{error:?}")),
        Ok(None) => Read::Refused("more bytes".to_owned()),
        Ok(Some(read)) => match codec.encode(packet(read), &mut out) {
            Ok(()) => Read::As(out.to_vec()),
            Err(error) => Read::Mute(format!("{error:?}")),
        },
    }
}
