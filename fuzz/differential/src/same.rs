//! When two packets say the same.

use tamtam_core::{Packet, Properties, Property};

/// Whether two packets say the same, in whatever order their properties stand, and whether or not
/// a property is said whose value holds without it.
pub fn same(one: &Packet<'_>, other: &Packet<'_>) -> bool {
    normal(*one) == normal(*other)
}

fn normal(mut packet: Packet<'_>) -> (String, Vec<String>) {
    let mut said = Vec::new();
    if let Packet::Connect(connect) = &mut packet
        && let Some(will) = &mut connect.will
    {
        take(&mut will.properties, "will ", &mut said);
    }
    if let Some(properties) = properties(&mut packet) {
        take(properties, "", &mut said);
    }
    said.sort();
    (format!("{packet:?}"), said)
}

fn take(properties: &mut Properties<'_>, place: &str, said: &mut Vec<String>) {
    let meant = properties.iter().filter(|property| !is_default(property));
    said.extend(meant.map(|property| format!("{place}{property:?}")));
    *properties = Properties::EMPTY;
}

fn properties<'p, 'a>(packet: &'p mut Packet<'a>) -> Option<&'p mut Properties<'a>> {
    Some(match packet {
        Packet::Connect(packet) => &mut packet.properties,
        Packet::ConnAck(packet) => &mut packet.properties,
        Packet::Publish(packet) => &mut packet.properties,
        Packet::PubAck(packet)
        | Packet::PubRec(packet)
        | Packet::PubRel(packet)
        | Packet::PubComp(packet) => &mut packet.properties,
        Packet::Subscribe(packet) => &mut packet.properties,
        Packet::SubAck(packet) => &mut packet.properties,
        Packet::Unsubscribe(packet) => &mut packet.properties,
        Packet::UnsubAck(packet) => &mut packet.properties,
        Packet::Disconnect(packet) => &mut packet.properties,
        Packet::Auth(packet) => &mut packet.properties,
        _ => return None,
    })
}

/// Whether leaving it out says the same.
fn is_default(property: &Property<'_>) -> bool {
    match property {
        Property::PayloadFormatIndicator(value) | Property::RequestResponseInformation(value) => {
            !value
        }
        Property::RequestProblemInformation(value)
        | Property::RetainAvailable(value)
        | Property::WildcardSubscriptionAvailable(value)
        | Property::SubscriptionIdentifierAvailable(value)
        | Property::SharedSubscriptionAvailable(value) => *value,
        Property::SessionExpiryInterval(value)
        | Property::WillDelayInterval(value)
        | Property::MessageExpiryInterval(value) => *value == 0,
        Property::TopicAliasMaximum(value) => *value == 0,
        Property::ReceiveMaximum(value) => value.get() == u16::MAX,
        _ => false,
    }
}
