//! What clients do: connect, subscribe, publish, receive.

use crate::support::*;

/// What clients do.
impl<S: Storage> Rig<S> {
    /// A client connects, and is accepted.
    #[track_caller]
    pub(crate) fn connect_with(&mut self, connect: Connect<'_>) -> (Raw, ConnAck<'static>) {
        let raw = self.open_as(connect.version);
        self.send(raw, &[Packet::Connect(connect)]);
        let Packet::ConnAck(connack) = self.first(raw) else { panic!("no CONNACK") };
        assert_eq!(connack.reason, ReasonCode::Success);
        (raw, connack)
    }

    /// A client connects with a session that ends with the connection.
    #[track_caller]
    pub(crate) fn connect(&mut self, client_id: &str) -> Raw {
        self.connect_with(Connect::new(self.version, text(client_id))).0
    }

    /// A client connects with a session that is kept, new or not.
    #[track_caller]
    pub(crate) fn connect_kept(&mut self, client_id: &str) -> Raw {
        self.connect_with(kept(self.version, client_id)).0
    }

    /// A client asks to connect, and is refused: with this CONNACK, or with none.
    #[track_caller]
    pub(crate) fn refused(&mut self, connect: Connect<'_>) -> Option<ReasonCode> {
        let raw = self.open_as(connect.version);
        self.send_last(raw, &[Packet::Connect(connect)]);
        self.refusal(raw)
    }

    /// The CONNACK that a client was refused with, if there was one, and nothing else.
    #[track_caller]
    pub(crate) fn refusal(&mut self, raw: Raw) -> Option<ReasonCode> {
        match self.got(raw)[..] {
            [] => None,
            [Packet::ConnAck(ConnAck { session_present: false, reason, .. })] => Some(reason),
            ref other => panic!("{other:?}"),
        }
    }

    /// A packet identifier that this client has not used yet.
    pub(crate) fn next_id(&mut self, raw: Raw) -> PacketId {
        let wire = &mut self.wires[raw.0];
        wire.last_id += 1;
        id(wire.last_id)
    }

    #[track_caller]
    pub(crate) fn subscribe(&mut self, raw: Raw, filter: &str, qos: QoS) {
        self.subscribe_with(raw, sub(filter).qos(qos));
    }

    /// Subscribes, with options, and is granted what it asked for.
    #[track_caller]
    pub(crate) fn subscribe_with(&mut self, raw: Raw, subscription: Subscription<'_>) {
        self.subscribe_as(raw, subscription, 0);
    }

    /// The same with a subscription identifier, if it is not 0.
    #[track_caller]
    pub(crate) fn subscribe_as(&mut self, raw: Raw, subscription: Subscription<'_>, number: u32) {
        let codes = self.subscribe_all(raw, &[subscription], number);
        let granted = ReasonCode::from_byte(subscription.qos.level());
        assert_eq!(codes, [granted.expect("a code")], "{}", subscription.filter);
    }

    /// Subscribes to several filters; the codes of the answer.
    #[track_caller]
    pub(crate) fn subscribe_all(
        &mut self,
        raw: Raw,
        subscriptions: &[Subscription<'_>],
        number: u32,
    ) -> Vec<ReasonCode> {
        let packet_id = self.next_id(raw);
        let list: Vec<_> =
            SubscriptionId::new(number).map(Property::SubscriptionIdentifier).into_iter().collect();
        let properties = Properties::new(&list);
        let subscriptions = Items::from(subscriptions);
        self.send(raw, &[Packet::Subscribe(Subscribe { packet_id, properties, subscriptions })]);
        let answer = self.pick(raw, |packet| match packet {
            Packet::SubAck(suback) if suback.packet_id == packet_id => Some(suback.codes),
            _ => None,
        });
        answer.iter().collect()
    }

    /// Unsubscribes; the codes of the answer, of which there are none before MQTT 5.
    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, raw: Raw, filters: &[&str]) -> Vec<ReasonCode> {
        let packet_id = self.next_id(raw);
        let filters: Vec<_> = filters.iter().map(|text| filter(text)).collect();
        let (properties, filters) = (Properties::EMPTY, Items::from(&filters[..]));
        self.send(raw, &[Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters })]);
        let answer = self.pick(raw, |packet| match packet {
            Packet::UnsubAck(unsuback) if unsuback.packet_id == packet_id => Some(unsuback.codes),
            _ => None,
        });
        answer.iter().collect()
    }

    /// Publishes, with all that its QoS takes; how it was acknowledged.
    #[track_caller]
    pub(crate) fn publish(&mut self, raw: Raw, name: &str, payload: &str, qos: QoS) -> ReasonCode {
        self.publish_with(raw, qos, Publish::new(topic(name), payload.as_bytes()))
    }

    /// The same with RETAIN.
    #[track_caller]
    pub(crate) fn retain(&mut self, raw: Raw, name: &str, payload: &str, qos: QoS) -> ReasonCode {
        let publish = Publish::new(topic(name), payload.as_bytes());
        self.publish_with(raw, qos, Publish { retain: true, ..publish })
    }

    #[track_caller]
    pub(crate) fn publish_with(&mut self, raw: Raw, qos: QoS, publish: Publish<'_>) -> ReasonCode {
        let packet_id = self.next_id(raw);
        let publish = Publish { delivery: delivery(qos, packet_id.get(), false), ..publish };
        self.send(raw, &[Packet::Publish(publish)]);
        match qos {
            QoS::AtMostOnce => ReasonCode::Success,
            QoS::AtLeastOnce => self.ack_of(raw, "PUBACK", packet_id),
            QoS::ExactlyOnce => {
                let reason = self.ack_of(raw, "PUBREC", packet_id);
                if !reason.is_error() {
                    self.send(raw, &[pubrel(packet_id.get())]);
                    assert_eq!(self.ack_of(raw, "PUBCOMP", packet_id), ReasonCode::Success);
                }
                reason
            }
        }
    }

    /// Picks an answer out of what has arrived.
    #[track_caller]
    fn pick<T>(&mut self, raw: Raw, is_it: impl Fn(&Packet<'static>) -> Option<T>) -> T {
        let arrived = &mut self.wires[raw.0].arrived;
        let found = arrived.iter().enumerate().find_map(|(at, packet)| Some((at, is_it(packet)?)));
        let (at, found) = found.unwrap_or_else(|| panic!("no answer among {arrived:?}"));
        arrived.remove(at);
        found
    }

    #[track_caller]
    fn ack_of(&mut self, raw: Raw, kind: &str, packet_id: PacketId) -> ReasonCode {
        self.pick(raw, |packet| match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack)
                if packet.packet_type().to_string() == kind && ack.packet_id == packet_id =>
            {
                Some(ack.reason)
            }
            _ => None,
        })
    }

    /// Says goodbye.
    #[track_caller]
    pub(crate) fn leave(&mut self, raw: Raw) {
        self.send_last(raw, &[disconnect(ReasonCode::NORMAL_DISCONNECTION)]);
    }

    /// The next packet that arrived.
    #[track_caller]
    pub(crate) fn first(&mut self, raw: Raw) -> Packet<'static> {
        self.wires[raw.0].arrived.pop_front().expect("a packet")
    }

    /// All that arrived since this was asked last.
    pub(crate) fn got(&mut self, raw: Raw) -> Vec<Packet<'static>> {
        self.wires[raw.0].arrived.drain(..).collect()
    }

    /// The same in words: see [`words`].
    pub(crate) fn said(&mut self, raw: Raw) -> Vec<String> {
        self.got(raw).iter().map(words).collect()
    }

    /// The only message that arrived.
    #[track_caller]
    pub(crate) fn message(&mut self, raw: Raw) -> Publish<'static> {
        let got = self.got(raw);
        let [Packet::Publish(publish)] = got[..] else { panic!("not one message: {got:?}") };
        publish
    }

    /// All messages that arrive while each is acknowledged, in words.
    #[track_caller]
    pub(crate) fn receive(&mut self, raw: Raw) -> Vec<String> {
        let mut messages = Vec::new();
        while let Some(packet) = self.wires[raw.0].arrived.pop_front() {
            match packet {
                Packet::Publish(publish) => {
                    messages.push(words(&packet));
                    match publish.delivery {
                        Delivery::AtMostOnce => {}
                        Delivery::AtLeastOnce { packet_id, .. } => {
                            self.send(raw, &[puback(packet_id.get())]);
                        }
                        Delivery::ExactlyOnce { packet_id, .. } => {
                            self.send(raw, &[pubrec(packet_id.get())]);
                        }
                    }
                }
                Packet::PubRel(ack) => self.send(raw, &[pubcomp(ack.packet_id.get())]),
                other => messages.push(words(&other)),
            }
        }
        messages
    }
}
