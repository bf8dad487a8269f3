//! `-D PACKET NAME VALUE`: properties of MQTT 5 from the command line.

use tamtam_core::{Place, Property, QoS, SubscriptionId, Text, TopicName};

/// Packets that can be given properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connect,
    Publish,
    Subscribe,
    Unsubscribe,
    Disconnect,
    Will,
}

impl Packet {
    const ALL: [(&'static str, Self, Place); 6] = [
        ("connect", Self::Connect, Place::Connect),
        ("publish", Self::Publish, Place::ClientPublish),
        ("subscribe", Self::Subscribe, Place::Subscribe),
        ("unsubscribe", Self::Unsubscribe, Place::Unsubscribe),
        ("disconnect", Self::Disconnect, Place::ClientDisconnect),
        ("will", Self::Will, Place::Will),
    ];
}

/// A property as it was given.
#[derive(Clone, Debug)]
struct Entry {
    packet: Packet,
    name: String,
    values: Vec<String>,
}

/// Every property that was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(Vec<Entry>);

impl Given {
    /// Reads the words behind every `-D`.
    ///
    /// # Errors
    /// A packet or a property that there is not, or a value that it can't have.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut entries = Vec::new();
        let mut words = words.iter();
        while let Some(packet) = words.next() {
            let lower = packet.to_lowercase();
            let Some((_, packet, _)) = Packet::ALL.into_iter().find(|row| row.0 == lower) else {
                let names = Packet::ALL.map(|row| row.0).join(", ");
                return Err(format!("-D {packet}: properties are of {names}"));
            };
            let name = words.next().ok_or("-D needs PACKET NAME VALUE")?.to_lowercase();
            let count = if name == "user-property" { 2 } else { 1 };
            let values: Vec<String> = words.by_ref().take(count).cloned().collect();
            if values.len() < count {
                return Err(format!("-D {lower} {name}: there is no value"));
            }
            entries.push(Entry { packet, name, values });
        }
        let given = Self(entries);
        for (_, packet, _) in Packet::ALL {
            given.of(packet)?;
        }
        Ok(given)
    }

    /// The properties of a packet.
    ///
    /// # Errors
    /// One that it can't have, or a value that the property can't have.
    pub(crate) fn of(&self, packet: Packet) -> Result<Vec<Property<'_>>, String> {
        let mine = self.0.iter().filter(|entry| entry.packet == packet);
        mine.map(|entry| {
            let property = entry.property().map_err(|what| format!("-D {}: {what}", entry.name))?;
            let (name, _, place) =
                Packet::ALL.into_iter().find(|row| row.1 == packet).unwrap_or(Packet::ALL[0]);
            if !property.id().allowed_in(place) {
                return Err(format!("-D {}: {name} has no such property", entry.name));
            }
            Ok(property)
        })
        .collect()
    }
}

impl Entry {
    fn property(&self) -> Result<Property<'_>, String> {
        let value = self.values.first().map(String::as_str).unwrap_or_default();
        fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("`{value}` is no number that it can be"))
        }
        let text = |value| Text::new(value).map_err(|error| error.to_string());
        let flag = |value| match value {
            "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            _ => Err(format!("`{value}` is neither 0 nor 1")),
        };
        Ok(match self.name.as_str() {
            "payload-format-indicator" => Property::PayloadFormatIndicator(flag(value)?),
            "message-expiry-interval" => Property::MessageExpiryInterval(number(value)?),
            "content-type" => Property::ContentType(text(value)?),
            "response-topic" => {
                Property::ResponseTopic(TopicName::new(value).map_err(|error| error.to_string())?)
            }
            "correlation-data" => Property::CorrelationData(value.as_bytes()),
            "subscription-identifier" => Property::SubscriptionIdentifier(
                SubscriptionId::new(number(value)?).ok_or("it is 1 to 268435455")?,
            ),
            "session-expiry-interval" => Property::SessionExpiryInterval(number(value)?),
            "authentication-method" => Property::AuthenticationMethod(text(value)?),
            "authentication-data" => Property::AuthenticationData(value.as_bytes()),
            "request-problem-information" => Property::RequestProblemInformation(flag(value)?),
            "request-response-information" => Property::RequestResponseInformation(flag(value)?),
            "will-delay-interval" => Property::WillDelayInterval(number(value)?),
            "receive-maximum" => Property::ReceiveMaximum(number(value)?),
            "topic-alias-maximum" => Property::TopicAliasMaximum(number(value)?),
            "maximum-packet-size" => Property::MaximumPacketSize(number(value)?),
            "reason-string" => Property::ReasonString(text(value)?),
            "user-property" => {
                let second = self.values.get(1).map(String::as_str).unwrap_or_default();
                Property::UserProperty((text(value)?, text(second)?))
            }
            _ => return Err("there is no such property".to_owned()),
        })
    }
}

/// A level of quality as a digit.
pub(crate) const fn digit(qos: QoS) -> char {
    match qos {
        QoS::AtMostOnce => '0',
        QoS::AtLeastOnce => '1',
        QoS::ExactlyOnce => '2',
    }
}
