//! Bytes to packets.

use tamtam_core::Version;

use super::props::{Shape, shape};
use super::{
    Ack, AckKind, Answer, ConnAck, Connect, Notice, Packet, Prop, Props, Publish, Request, Will, id,
};

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad(pub &'static str);

/// How long the packet is that begins `stream`, once its length is there.
///
/// # Errors
/// Its length is malformed.
pub fn frame_len(stream: &[u8]) -> Result<Option<usize>, Bad> {
    let mut len = 0;
    for place in 0..4 {
        let Some(byte) = stream.get(1 + place) else { return Ok(None) };
        len |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            if place > 0 && *byte == 0 {
                return Err(Bad("a remaining length that is longer than it need be"));
            }
            return Ok(Some(2 + place + len));
        }
    }
    Err(Bad("a remaining length of more than four bytes"))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Result<Vec<u8>, Bad> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Bad("cut off"))?;
        self.0 = rest;
        Ok(taken.to_vec())
    }

    fn u8(&mut self) -> Result<u8, Bad> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Bad> {
        Ok(u16::from(self.u8()?) << 8 | u16::from(self.u8()?))
    }

    fn id(&mut self) -> Result<u16, Bad> {
        match self.u16()? {
            0 => Err(Bad("packet identifier 0")),
            id => Ok(id),
        }
    }

    fn binary(&mut self) -> Result<Vec<u8>, Bad> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    fn text(&mut self) -> Result<Vec<u8>, Bad> {
        let bytes = self.binary()?;
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(bytes),
            _ => Err(Bad("text that is not UTF-8, or has a U+0000 in it")),
        }
    }

    fn variable(&mut self) -> Result<u32, Bad> {
        let mut number = 0;
        for place in 0..4 {
            let byte = self.u8()?;
            number |= u32::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Bad("a variable byte integer of more than four bytes"))
    }

    fn props(&mut self, version: Version) -> Result<Props, Bad> {
        if !version.is_v5() {
            return Ok(Props::NONE);
        }
        let len = self.variable()? as usize;
        let block = self.take(len)?;
        let mut block = Reader(&block);
        let mut props = Props::NONE;
        while !block.0.is_empty() {
            let id = block.u8()?;
            let prop = match shape(id).ok_or(Bad("an unknown property"))? {
                Shape::Byte => Prop::Number(block.u8()?.into()),
                Shape::Two => Prop::Number(block.u16()?.into()),
                Shape::Four => {
                    Prop::Number(u32::from(block.u16()?) << 16 | u32::from(block.u16()?))
                }
                Shape::Variable => Prop::Number(block.variable()?),
                Shape::Text => Prop::Bytes(block.text()?),
                Shape::Binary => Prop::Bytes(block.binary()?),
                Shape::Pair => Prop::Pair(block.text()?, block.text()?),
            };
            // A message may come through several subscriptions [MQTT5-3.3.4-3].
            let many = matches!(id, id::USER_PROPERTY | id::SUBSCRIPTION_ID);
            if props.0.iter().any(|(there, _)| *there == id) && !many {
                return Err(Bad("a property twice"));
            }
            props.0.push((id, prop));
        }
        Ok(props)
    }

    /// A code and properties, which are cut off where they say nothing.
    fn notice(&mut self, version: Version) -> Result<Notice, Bad> {
        let code = if self.0.is_empty() { 0 } else { self.u8()? };
        let props = if self.0.is_empty() { Props::NONE } else { self.props(version)? };
        Ok(Notice { code, props })
    }
}

/// The packet that is all of `frame`.
///
/// # Errors
/// It is none.
pub fn decode(frame: &[u8], version: Version) -> Result<Packet, Bad> {
    let len = frame_len(frame)?.ok_or(Bad("cut off"))?;
    if len != frame.len() {
        return Err(Bad("not one packet"));
    }
    let first = frame[0];
    let header = frame[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 2;
    let mut body = Reader(&frame[header..]);
    check_flags(first, version)?;
    let packet = match first >> 4 {
        1 => Packet::Connect(connect(&mut body)?),
        2 => Packet::ConnAck(connack(&mut body, version)?),
        3 => return publish(first, body, version).map(Packet::Publish),
        4 => ack(AckKind::PubAck, &mut body, version)?,
        5 => ack(AckKind::PubRec, &mut body, version)?,
        6 => ack(AckKind::PubRel, &mut body, version)?,
        7 => ack(AckKind::PubComp, &mut body, version)?,
        8 => Packet::Subscribe(request(&mut body, version, true)?),
        9 => Packet::SubAck(answer(&mut body, version)?),
        10 => Packet::Unsubscribe(request(&mut body, version, false)?),
        11 => Packet::UnsubAck(answer(&mut body, version)?),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => Packet::Disconnect(body.notice(version)?),
        15 if version.is_v5() => Packet::Auth(body.notice(version)?),
        _ => return Err(Bad("a reserved packet type")),
    };
    if body.0.is_empty() { Ok(packet) } else { Err(Bad("bytes behind its end")) }
}

const fn check_flags(first: u8, version: Version) -> Result<(), Bad> {
    let flags = first & 0x0F;
    let right = match first >> 4 {
        3 => return Ok(()),
        // MQTT 3.1 allows DUP on these.
        6 | 8 | 10 => flags == 2 || (matches!(version, Version::V31) && flags == 0b1010),
        _ => flags == 0,
    };
    if right { Ok(()) } else { Err(Bad("reserved flags")) }
}

fn connect(body: &mut Reader<'_>) -> Result<Connect, Bad> {
    let name = body.binary()?;
    let version = match (&name[..], body.u8()?) {
        (b"MQIsdp", 3) => Version::V31,
        (b"MQTT", 4) => Version::V311,
        (b"MQTT", 5) => Version::V5,
        _ => return Err(Bad("an unknown protocol")),
    };
    let flags = body.u8()?;
    if flags & 1 != 0 {
        return Err(Bad("the reserved connect flag"));
    }
    let keep_alive = body.u16()?;
    let props = body.props(version)?;
    let client_id = body.text()?;
    let mut will = None;
    if flags & 4 != 0 {
        let (qos, retain) = (flags >> 3 & 3, flags & 0x20 != 0);
        let (props, topic, payload) = (body.props(version)?, body.text()?, body.binary()?);
        will = Some(Will { qos, retain, props, topic, payload });
    } else if flags & 0x38 != 0 {
        return Err(Bad("flags of a will that is not there"));
    }
    let user_name = if flags & 0x80 != 0 { Some(body.text()?) } else { None };
    let password = if flags & 0x40 != 0 { Some(body.binary()?) } else { None };
    let clean = flags & 2 != 0;
    Ok(Connect { version, clean, keep_alive, client_id, props, will, user_name, password })
}

fn connack(body: &mut Reader<'_>, version: Version) -> Result<ConnAck, Bad> {
    let flags = body.u8()?;
    let code = body.u8()?;
    let props = body.props(version)?;
    let session_present = flags & 1 != 0 && version != Version::V31;
    Ok(ConnAck { session_present, code, props })
}

fn publish(first: u8, mut body: Reader<'_>, version: Version) -> Result<Publish, Bad> {
    let qos = first >> 1 & 3;
    let dup = first & 8 != 0;
    if qos == 3 || (qos == 0 && dup) {
        return Err(Bad("QoS 3, or DUP at QoS 0"));
    }
    let topic = body.text()?;
    if topic.contains(&b'+') || topic.contains(&b'#') {
        return Err(Bad("a wildcard in a topic name"));
    }
    let id = if qos == 0 { 0 } else { body.id()? };
    let props = body.props(version)?;
    if topic.is_empty() && props.number(id::TOPIC_ALIAS).is_none() {
        return Err(Bad("no topic"));
    }
    let payload = body.0.to_vec();
    Ok(Publish { dup, qos, retain: first & 1 != 0, topic, id, props, payload })
}

fn ack(kind: AckKind, body: &mut Reader<'_>, version: Version) -> Result<Packet, Bad> {
    let id = body.id()?;
    let Notice { code, props } = body.notice(version)?;
    if code != 0 && !version.is_v5() {
        return Err(Bad("a reason code before MQTT 5"));
    }
    Ok(Packet::Ack(Ack { kind, id, code, props }))
}

fn request(body: &mut Reader<'_>, version: Version, options: bool) -> Result<Request, Bad> {
    let id = body.id()?;
    let props = body.props(version)?;
    let mut filters = Vec::new();
    while !body.0.is_empty() {
        let filter = body.text()?;
        filters.push((filter, if options { body.u8()? } else { 0 }));
    }
    if filters.is_empty() || filters.iter().any(|(filter, _)| filter.is_empty()) {
        return Err(Bad("no filter"));
    }
    Ok(Request { id, props, filters })
}

fn answer(body: &mut Reader<'_>, version: Version) -> Result<Answer, Bad> {
    let id = body.id()?;
    let props = body.props(version)?;
    let codes = body.take(body.0.len())?;
    Ok(Answer { id, props, codes })
}
