//! A decoded packet laid out over its bytes again: which field stands where.
//!
//! The decoder has vouched for the bytes, so where a field ends follows from its value alone.

use std::io;

use tamtam_core::{
    Ack, Auth, ConnAck, Connect, Disconnect, Field, Items, Packet, PacketId, PacketType,
    Properties, Publish, ReasonCode, SubAck, Subscribe, Text, TopicName, UnsubAck, Unsubscribe,
    Will,
};

use super::stream::Frame;
use super::value::{self, Value, text_len, var_int_len};

/// One field of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// Where it begins in the input.
    pub(crate) offset: usize,
    /// Its bytes, lengths and identifiers included.
    pub(crate) bytes: &'a [u8],
    /// Whether it is one of several that belong to a field before it.
    pub(crate) is_inner: bool,
    pub(crate) name: &'static str,
    pub(crate) value: Value<'a>,
}

/// Hands every field of a packet to `see`, in order and without gaps.
pub(crate) fn walk<'a>(
    frame: Frame<'a>,
    packet: Packet<'a>,
    see: impl FnMut(Part<'a>) -> io::Result<()>,
) -> io::Result<()> {
    let mut walk = Walk { frame, at: 0, see };
    walk.fixed_header()?;
    match packet {
        Packet::Connect(connect) => walk.connect(&connect),
        Packet::ConnAck(ack) => walk.connack(&ack),
        Packet::Publish(publish) => walk.publish(&publish),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            walk.ack(&ack)
        }
        Packet::Subscribe(subscribe) => walk.subscribe(&subscribe),
        Packet::SubAck(SubAck { packet_id, properties, codes })
        | Packet::UnsubAck(UnsubAck { packet_id, properties, codes }) => {
            walk.codes(packet_id, &properties, codes)
        }
        Packet::Unsubscribe(unsubscribe) => walk.unsubscribe(&unsubscribe),
        Packet::Disconnect(Disconnect { reason, properties })
        | Packet::Auth(Auth { reason, properties }) => walk.outcome(reason, &properties),
        _ => Ok(()), // PINGREQ and PINGRESP
    }
}

/// A packet and how much of it was handed out.
struct Walk<'a, F> {
    frame: Frame<'a>,
    at: usize,
    see: F,
}

impl<'a, F: FnMut(Part<'a>) -> io::Result<()>> Walk<'a, F> {
    /// The next `len` bytes.
    fn take(
        &mut self,
        len: usize,
        name: &'static str,
        value: impl Into<Value<'a>>,
    ) -> io::Result<()> {
        self.take_part(len, false, name, value.into())
    }

    fn take_part(
        &mut self,
        len: usize,
        is_inner: bool,
        name: &'static str,
        value: Value<'a>,
    ) -> io::Result<()> {
        let bytes = self.rest().get(..len).unwrap_or_else(|| self.rest());
        let offset = self.frame.offset.saturating_add(self.at);
        self.at = self.at.saturating_add(bytes.len());
        (self.see)(Part { offset, bytes, is_inner, name, value })
    }

    fn rest(&self) -> &'a [u8] {
        self.frame.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte, which stays.
    fn peek(&self) -> u8 {
        self.rest().first().copied().unwrap_or_default()
    }

    fn fixed_header(&mut self) -> io::Result<()> {
        let first = self.peek();
        self.take(1, Field::PacketType.name(), value::first_byte(first))?;
        let width = 1 + self.rest().iter().take_while(|byte| **byte & 0x80 != 0).count();
        let remaining = self.rest().len().saturating_sub(width);
        self.take(width, Field::RemainingLength.name(), remaining.to_string())
    }

    fn text(&mut self, field: Field, text: Text<'a>) -> io::Result<()> {
        self.take(text_len(text), field.name(), Value::Text(text.as_str()))
    }

    fn topic(&mut self, field: Field, topic: TopicName<'a>) -> io::Result<()> {
        self.text(field, topic.text())
    }

    fn binary(&mut self, field: Field, bytes: &'a [u8]) -> io::Result<()> {
        self.take(bytes.len().saturating_add(2), field.name(), Value::Bytes(bytes))
    }

    fn packet_id(&mut self, id: PacketId) -> io::Result<()> {
        self.take(2, Field::PacketId.name(), id.to_string())
    }

    fn properties(&mut self, name: &'static str, properties: &Properties<'a>) -> io::Result<()> {
        if !self.frame.version.is_v5() {
            return Ok(());
        }
        let len = properties.iter().map(|property| 1 + value::property(property).0).sum::<usize>();
        let width = var_int_len(u32::try_from(len).unwrap_or(u32::MAX));
        self.take(width, name, len.to_string())?;
        for property in properties.iter() {
            let (len, value) = value::property(property);
            self.take_part(len.saturating_add(1), true, property.id().name(), value)?;
        }
        Ok(())
    }

    fn reason(&mut self, code: ReasonCode) -> io::Result<()> {
        let packet = PacketType::of(self.frame.bytes.first().copied().unwrap_or_default());
        let is_old = packet == PacketType::ConnAck && !self.frame.version.is_v5();
        let name = if is_old { "return code" } else { Field::ReasonCode.name() };
        self.take(1, name, value::reason(code, packet, self.frame.version))
    }

    /// Reason code and properties, as far as they are there.
    fn outcome(&mut self, reason: ReasonCode, properties: &Properties<'a>) -> io::Result<()> {
        if !self.rest().is_empty() {
            self.reason(reason)?;
        }
        if !self.rest().is_empty() {
            self.properties(Field::PropertyLength.name(), properties)?;
        }
        Ok(())
    }

    fn connect(&mut self, connect: &Connect<'a>) -> io::Result<()> {
        let version = connect.version;
        let name = version.protocol_name();
        self.take(name.len().saturating_add(2), Field::ProtocolName.name(), Value::Text(name))?;
        self.take(1, Field::ProtocolLevel.name(), value::protocol_level(version))?;
        let flags = self.peek();
        self.take(1, Field::ConnectFlags.name(), value::connect_flags(flags, version))?;
        self.take(2, Field::KeepAlive.name(), value::keep_alive(connect.keep_alive))?;
        self.properties(Field::PropertyLength.name(), &connect.properties)?;
        self.text(Field::ClientId, connect.client_id)?;
        if let Some(Will { properties, topic, payload, .. }) = connect.will {
            self.properties("will property length", &properties)?;
            self.topic(Field::WillTopic, topic)?;
            self.binary(Field::WillPayload, payload)?;
        }
        if let Some(user_name) = connect.user_name {
            self.text(Field::UserName, user_name)?;
        }
        if let Some(password) = connect.password {
            self.binary(Field::Password, password)?;
        }
        Ok(())
    }

    fn connack(&mut self, ack: &ConnAck<'a>) -> io::Result<()> {
        let present = if ack.session_present { "session present" } else { "no session present" };
        self.take(1, Field::AcknowledgeFlags.name(), present)?;
        self.reason(ack.reason)?;
        self.properties(Field::PropertyLength.name(), &ack.properties)
    }

    fn publish(&mut self, publish: &Publish<'a>) -> io::Result<()> {
        match publish.topic {
            Some(topic) => self.topic(Field::TopicName, topic)?,
            None => self.take(2, Field::TopicName.name(), "\"\" (the topic alias says it)")?,
        }
        if let Some(id) = publish.delivery.packet_id() {
            self.packet_id(id)?;
        }
        self.properties(Field::PropertyLength.name(), &publish.properties)?;
        let payload = publish.payload;
        self.take(payload.len(), Field::Payload.name(), Value::Bytes(payload))
    }

    fn ack(&mut self, ack: &Ack<'a>) -> io::Result<()> {
        self.packet_id(ack.packet_id)?;
        self.outcome(ack.reason, &ack.properties)
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'a>) -> io::Result<()> {
        self.packet_id(subscribe.packet_id)?;
        self.properties(Field::PropertyLength.name(), &subscribe.properties)?;
        for subscription in subscribe.subscriptions {
            self.text(Field::TopicFilter, subscription.filter.text())?;
            let words = value::subscription_options(subscription, self.frame.version);
            self.take(1, Field::SubscriptionOptions.name(), words)?;
        }
        Ok(())
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'a>) -> io::Result<()> {
        self.packet_id(unsubscribe.packet_id)?;
        self.properties(Field::PropertyLength.name(), &unsubscribe.properties)?;
        for filter in unsubscribe.filters {
            self.text(Field::TopicFilter, filter.text())?;
        }
        Ok(())
    }

    /// SUBACK and UNSUBACK.
    fn codes(
        &mut self,
        packet_id: PacketId,
        properties: &Properties<'a>,
        codes: Items<'a, ReasonCode>,
    ) -> io::Result<()> {
        self.packet_id(packet_id)?;
        self.properties(Field::PropertyLength.name(), properties)?;
        for code in codes {
            self.reason(code)?;
        }
        Ok(())
    }
}
