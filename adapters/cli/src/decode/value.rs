//! What the values of fields mean, in words.

use std::borrow::Cow;

use tamtam_core::{
    PacketType, Property, QoS, ReasonCode, RetainHandling, Subscription, Text, Version,
};

/// A field's value, as it is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// As it stands here.
    Words(Cow<'static, str>),
    /// A string, in quotes.
    Text(&'a str),
    /// Two strings.
    Pair(&'a str, &'a str),
    /// Anything: text if it reads like text.
    Bytes(&'a [u8]),
}

impl From<&'static str> for Value<'_> {
    fn from(words: &'static str) -> Self {
        Self::Words(Cow::Borrowed(words))
    }
}

impl From<String> for Value<'_> {
    fn from(words: String) -> Self {
        Self::Words(Cow::Owned(words))
    }
}

/// How many bytes the shortest variable byte integer of this value takes.
pub(crate) const fn var_int_len(number: u32) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// How many bytes a string takes with the length in front of it.
pub(crate) const fn text_len(text: Text<'_>) -> usize {
    text.len().saturating_add(2)
}

/// How many bytes a property's value takes, and what it says.
pub(crate) fn property(property: Property<'_>) -> (usize, Value<'_>) {
    match property {
        Property::PayloadFormatIndicator(is_text) => {
            (1, if is_text { "1 (UTF-8 text)" } else { "0 (bytes)" }.into())
        }
        Property::RequestProblemInformation(yes)
        | Property::RequestResponseInformation(yes)
        | Property::RetainAvailable(yes)
        | Property::WildcardSubscriptionAvailable(yes)
        | Property::SubscriptionIdentifierAvailable(yes)
        | Property::SharedSubscriptionAvailable(yes) => {
            (1, if yes { "1 (yes)" } else { "0 (no)" }.into())
        }
        Property::MaximumQoS(qos) => (1, format!("QoS {}", qos.level()).into()),
        Property::MessageExpiryInterval(secs) | Property::WillDelayInterval(secs) => {
            (4, format!("{secs} s").into())
        }
        Property::SessionExpiryInterval(u32::MAX) => (4, "4294967295 (never)".into()),
        Property::SessionExpiryInterval(secs) => (4, format!("{secs} s").into()),
        Property::MaximumPacketSize(len) => (4, format!("{len} bytes").into()),
        Property::ServerKeepAlive(secs) => (2, keep_alive(secs).into()),
        Property::TopicAliasMaximum(number) => (2, number.to_string().into()),
        Property::ReceiveMaximum(number) | Property::TopicAlias(number) => {
            (2, number.to_string().into())
        }
        Property::SubscriptionIdentifier(id) => {
            (var_int_len(id.get()), id.get().to_string().into())
        }
        Property::ContentType(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => (text_len(text), Value::Text(text.as_str())),
        Property::ResponseTopic(topic) => (text_len(topic.text()), Value::Text(topic.as_str())),
        Property::CorrelationData(bytes) | Property::AuthenticationData(bytes) => {
            (bytes.len().saturating_add(2), Value::Bytes(bytes))
        }
        Property::UserProperty((name, value)) => {
            let len = text_len(name).saturating_add(text_len(value));
            (len, Value::Pair(name.as_str(), value.as_str()))
        }
    }
}

/// Packet type and flags: the first byte.
pub(crate) fn first_byte(byte: u8) -> String {
    let packet = PacketType::of(byte);
    let mut words = packet.name().to_owned();
    if packet == PacketType::Publish {
        words.push_str(&format!(", QoS {}", byte >> 1 & 0b11));
    }
    if byte & 0b1000 != 0 {
        words.push_str(", DUP"); // in MQTT 3.1 also where it is not a PUBLISH
    }
    if packet == PacketType::Publish && byte & 1 != 0 {
        words.push_str(", RETAIN");
    }
    words
}

/// The connect flags by name, as they lie in the byte.
pub(crate) fn connect_flags(flags: u8, version: Version) -> String {
    let clean = if version.is_v5() { "clean start" } else { "clean session" };
    let will = format!("will at QoS {}", flags >> 3 & 0b11);
    let names = [
        (0x80, "user name"),
        (0x40, "password"),
        (0x20, "will retain"),
        (0x04, will.as_str()),
        (0x02, clean),
    ];
    let set: Vec<&str> =
        names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "none".to_owned() } else { set.join(", ") }
}

/// A keep alive.
pub(crate) fn keep_alive(secs: u16) -> String {
    if secs == 0 { "0 (off)".to_owned() } else { format!("{secs} s") }
}

/// The protocol level with the version's usual name.
pub(crate) fn protocol_level(version: Version) -> String {
    format!("{} (MQTT {version})", version.level())
}

/// A reason code, in the words of the packet that carries it.
pub(crate) fn reason(code: ReasonCode, packet: PacketType, version: Version) -> String {
    let byte = code.as_byte();
    match packet {
        PacketType::ConnAck if !version.is_v5() => {
            let number = code.to_v3_return_code().unwrap_or(byte);
            let name = if number == 0 { "accepted" } else { code.name() };
            format!("{name} ({number})")
        }
        PacketType::SubAck => match code.granted_qos() {
            Some(qos) => format!("granted QoS {} (0x{byte:02X})", qos.level()),
            None if !version.is_v5() => format!("failure (0x{byte:02X})"),
            None => code.to_string(),
        },
        PacketType::Disconnect if byte == 0 => "normal disconnection (0x00)".to_owned(),
        _ => code.to_string(),
    }
}

/// The subscription options that say more than the default.
pub(crate) fn subscription_options(subscription: Subscription<'_>, version: Version) -> String {
    let mut words = qos(subscription.qos);
    if !version.is_v5() {
        return words;
    }
    if subscription.no_local {
        words.push_str(", no local");
    }
    if subscription.retain_as_published {
        words.push_str(", retain as published");
    }
    words.push_str(match subscription.retain_handling {
        RetainHandling::Send => ", send retained messages",
        RetainHandling::SendIfNew => ", send retained messages if new",
        RetainHandling::DoNotSend => ", send no retained messages",
    });
    words
}

/// A QoS.
fn qos(qos: QoS) -> String {
    format!("QoS {}", qos.level())
}
