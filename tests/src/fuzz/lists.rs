//! The lists inside a packet, held apart from it.

use tamtam_core::{
    Ack, Auth, ConnAck, Connect, Disconnect, Items, Packet, Properties, Property, Publish,
    ReasonCode, SubAck, Subscribe, Subscription, TopicFilter, UnsubAck, Unsubscribe, Will,
};

/// What a packet borrows as a list where it was not decoded.
#[derive(Debug, Default)]
pub(super) struct Lists<'a> {
    pub(super) properties: Vec<Property<'a>>,
    pub(super) will_properties: Vec<Property<'a>>,
    pub(super) subscriptions: Vec<Subscription<'a>>,
    pub(super) filters: Vec<TopicFilter<'a>>,
    pub(super) codes: Vec<ReasonCode>,
}

impl<'a> Lists<'a> {
    /// Those of `packet`.
    pub(super) fn of(packet: &Packet<'a>) -> Self {
        let properties = properties_of(packet).iter().collect();
        let lists = Self { properties, ..Self::default() };
        match packet {
            Packet::Connect(connect) => {
                let will = connect.will.map(|will| will.properties).unwrap_or_default();
                Self { will_properties: will.iter().collect(), ..lists }
            }
            Packet::Subscribe(subscribe) => {
                Self { subscriptions: subscribe.subscriptions.iter().collect(), ..lists }
            }
            Packet::Unsubscribe(unsubscribe) => {
                Self { filters: unsubscribe.filters.iter().collect(), ..lists }
            }
            Packet::SubAck(ack) => Self { codes: ack.codes.iter().collect(), ..lists },
            Packet::UnsubAck(ack) => Self { codes: ack.codes.iter().collect(), ..lists },
            _ => lists,
        }
    }

    /// `packet` with these lists in place of its own.
    pub(super) fn put_into<'b>(&'b self, packet: Packet<'b>) -> Packet<'b> {
        let properties = Properties::new(&self.properties);
        let with = |ack| Ack { properties, ..ack };
        match packet {
            Packet::Connect(connect) => {
                let will_properties = Properties::new(&self.will_properties);
                let will = connect.will.map(|will| Will { properties: will_properties, ..will });
                Packet::Connect(Connect { properties, will, ..connect })
            }
            Packet::ConnAck(ack) => Packet::ConnAck(ConnAck { properties, ..ack }),
            Packet::Publish(publish) => Packet::Publish(Publish { properties, ..publish }),
            Packet::PubAck(ack) => Packet::PubAck(with(ack)),
            Packet::PubRec(ack) => Packet::PubRec(with(ack)),
            Packet::PubRel(ack) => Packet::PubRel(with(ack)),
            Packet::PubComp(ack) => Packet::PubComp(with(ack)),
            Packet::Subscribe(subscribe) => {
                let subscriptions = Items::from(&self.subscriptions[..]);
                Packet::Subscribe(Subscribe { properties, subscriptions, ..subscribe })
            }
            Packet::Unsubscribe(unsubscribe) => {
                let filters = Items::from(&self.filters[..]);
                Packet::Unsubscribe(Unsubscribe { properties, filters, ..unsubscribe })
            }
            Packet::SubAck(ack) => {
                Packet::SubAck(SubAck { properties, codes: Items::from(&self.codes[..]), ..ack })
            }
            Packet::UnsubAck(ack) => {
                let codes = Items::from(&self.codes[..]);
                Packet::UnsubAck(UnsubAck { properties, codes, ..ack })
            }
            Packet::Disconnect(end) => Packet::Disconnect(Disconnect { properties, ..end }),
            Packet::Auth(auth) => Packet::Auth(Auth { properties, ..auth }),
            other => other,
        }
    }
}

/// The packet's own properties: not those of its will.
pub(super) fn properties_of<'a>(packet: &Packet<'a>) -> Properties<'a> {
    match packet {
        Packet::Connect(connect) => connect.properties,
        Packet::ConnAck(ack) => ack.properties,
        Packet::Publish(publish) => publish.properties,
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.properties
        }
        Packet::Subscribe(subscribe) => subscribe.properties,
        Packet::SubAck(ack) => ack.properties,
        Packet::Unsubscribe(unsubscribe) => unsubscribe.properties,
        Packet::UnsubAck(ack) => ack.properties,
        Packet::Disconnect(disconnect) => disconnect.properties,
        Packet::Auth(auth) => auth.properties,
        _ => Properties::EMPTY,
    }
}
