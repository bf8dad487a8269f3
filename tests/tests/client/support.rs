//! A client under test, and the server's end of its connection, played by hand.

use tamtam_core::client::{
    AckToken, Client, Event, Filter, Lost, Message, Options, Publish, Token, Transport,
};
pub(crate) use tamtam_core::{
    Ack, ConnAck, Connect, Delivery, Disconnect, Fixed, Heap, Instant, Items, Packet, PacketId,
    Properties, Property, QoS, ReasonCode, Sender, Storage, SubAck, Text, TopicName, UnsubAck,
    Version::{self, V5, V31, V311},
};

pub(crate) const EVERY: [Version; 3] = [V31, V311, V5];
pub(crate) const BEFORE_5: [Version; 2] = [V31, V311];
pub(crate) const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// What a small device may have.
pub(crate) type Firmware = Fixed<1024, 8, 256>;

/// Runs each story with a client on either storage, once for every version.
macro_rules! on_both_storages {
    ($($versions:expr => $($story:ident),+ $(,)?;)+) => {
        mod on_heap {
            $($(#[test] fn $story() {
                for version in $versions {
                    super::$story(crate::support::Rig::<tamtam_core::Heap>::new(version));
                }
            })+)+
            use crate::support::*;
        }
        mod on_fixed {
            $($(#[test] fn $story() {
                for version in $versions {
                    super::$story(crate::support::Rig::<crate::support::Firmware>::new(version));
                }
            })+)+
            use crate::support::*;
        }
    };
}
pub(crate) use on_both_storages;

/// A client, the time, and what has left and not been looked at.
pub(crate) struct Rig<S: Storage> {
    pub(crate) client: Client<S>,
    pub(crate) now: Instant,
    pub(crate) version: Version,
    left: Vec<u8>,
}

/// A first wait of at most this long makes tests that reconnect easy to read.
pub(crate) const SOON_MS: u32 = 100;

/// Options that most tests share: a name, and a session that is kept.
pub(crate) fn options(version: Version) -> Options<'static> {
    let backoff = tamtam_core::client::Reconnect::Backoff { first_ms: SOON_MS, most_ms: 60_000 };
    let options = Options::new(version).client_id("c").clean_start(false).reconnect(backoff);
    if version == V5 { options.session_expiry_secs(3_600) } else { options }
}

/// Bytes that live as long as the tests: events that borrow from them do too.
fn leak(bytes: Vec<u8>) -> &'static [u8] {
    bytes.leak()
}

/// The bytes of what a server sends.
pub(crate) fn bytes(version: Version, packets: &[Packet<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        packet.encode_to(version, &mut bytes).expect("a packet that a server may send");
    }
    bytes
}

impl<S: Storage> Rig<S> {
    pub(crate) fn new(version: Version) -> Self {
        println!("MQTT {version}"); // seen only if the test fails
        let now = Instant::from_millis(1_000);
        Self { client: Client::new(), now, version, left: Vec::new() }
    }

    /// The client is started, and wants to connect.
    pub(crate) fn start(&mut self, options: &Options<'_>) {
        self.client.start(options, 7).expect("options that make a CONNECT");
        self.client.connect(self.now).expect("a client that was started");
    }

    /// The client has a transport; this is the CONNECT that it sends.
    #[track_caller]
    pub(crate) fn open(&mut self) -> Connect<'static> {
        assert_eq!(self.client.transport(), Transport::Wanted);
        self.client.handle_open(self.now);
        assert_eq!(self.client.transport(), Transport::Open);
        let (bytes, rest) = (leak(self.take_output()), &mut self.left);
        let mut input = bytes;
        let connect = Connect::decode(&mut input).expect("a CONNECT").expect("a whole CONNECT");
        rest.extend(input);
        connect
    }

    /// The server accepts; these are the events behind [`Event::Connected`].
    #[track_caller]
    pub(crate) fn accept(
        &mut self,
        session_present: bool,
        list: &[Property<'_>],
    ) -> Vec<Event<'static>> {
        let session_present = session_present && self.version != V31;
        let properties = Properties::new(list);
        let connack = ConnAck { properties, ..ConnAck::new(ReasonCode::Success, session_present) };
        let mut events = self.feed(&[Packet::ConnAck(connack)]);
        assert!(!events.is_empty(), "no news of the connection");
        match events.remove(0) {
            Event::Connected { session_present: told, .. } => assert_eq!(told, session_present),
            other => panic!("{other:?}"),
        }
        assert!(self.client.is_connected());
        events
    }

    /// The client is started with these options, and connected to a server without a session.
    #[track_caller]
    pub(crate) fn online_with(&mut self, options: &Options<'_>) {
        self.start(options);
        self.open();
        assert_eq!(self.accept(false, &[]), []);
    }

    #[track_caller]
    pub(crate) fn online(&mut self) {
        self.online_with(&options(self.version));
    }

    /// These bytes arrive: what the client tells, and what is left of them.
    pub(crate) fn take_in(
        &mut self,
        arrived: Vec<u8>,
    ) -> (Vec<Event<'static>>, Option<Lost<'static>>, &'static [u8]) {
        let mut input = leak(arrived);
        let mut events = Vec::new();
        loop {
            match self.client.handle_input(&mut input, self.now) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => return (events, None, input),
                Err(lost) => return (events, Some(lost), input),
            }
        }
    }

    /// These packets arrive, and all is well.
    #[track_caller]
    pub(crate) fn feed(&mut self, packets: &[Packet<'_>]) -> Vec<Event<'static>> {
        let (events, lost, left) = self.take_in(bytes(self.version, packets));
        assert_eq!((lost, left), (None, &[][..]), "after {events:?}");
        events
    }

    /// These packets arrive, and the last is the end of the connection.
    #[track_caller]
    pub(crate) fn feed_last(&mut self, packets: &[Packet<'_>]) -> Lost<'static> {
        let (events, lost, _) = self.take_in(bytes(self.version, packets));
        lost.unwrap_or_else(|| panic!("still there after {events:?}"))
    }

    /// What the client tells though nothing arrives.
    #[track_caller]
    pub(crate) fn news(&mut self) -> Vec<Event<'static>> {
        self.feed(&[])
    }

    fn take_output(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while !self.client.output().is_empty() {
            let output = self.client.output();
            all.extend_from_slice(output);
            let len = output.len();
            self.client.output_written(len, self.now);
        }
        all
    }

    /// All that has left since this was asked last.
    pub(crate) fn sent_bytes(&mut self) -> Vec<u8> {
        let output = self.take_output();
        self.left.extend(output);
        core::mem::take(&mut self.left)
    }

    /// The packets that have left since this was asked last.
    #[track_caller]
    pub(crate) fn sent(&mut self) -> Vec<Packet<'static>> {
        let mut input = leak(self.sent_bytes());
        let mut packets = Vec::new();
        while let Some(packet) = Packet::decode(&mut input, self.version, Sender::Client)
            .expect("a packet of a client's")
        {
            packets.push(packet);
        }
        assert_eq!(input, b"", "behind {packets:?}");
        packets
    }

    /// The only packet that has left since this was asked last.
    #[track_caller]
    pub(crate) fn sent_one(&mut self) -> Packet<'static> {
        let packets = self.sent();
        let [packet] = packets[..] else { panic!("not one packet: {packets:?}") };
        packet
    }

    pub(crate) fn wait_ms(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
        self.client.handle_timeout(self.now);
    }

    /// The transport breaks; these are the events before the client says so.
    #[track_caller]
    pub(crate) fn cut(&mut self) -> Vec<Event<'static>> {
        self.client.handle_close(self.now);
        self.left.clear();
        let (events, lost, _) = self.take_in(Vec::new());
        assert_eq!(lost, Some(Lost::Closed), "after {events:?}");
        events
    }

    /// The transport is closed after the client said why.
    pub(crate) fn close(&mut self) {
        self.client.handle_close(self.now);
        self.left.clear();
    }

    /// Waits until the client wants a transport again, and gives it one.
    #[track_caller]
    pub(crate) fn reopen(&mut self) -> Connect<'static> {
        if self.client.transport() == Transport::Resting {
            let when = self.client.poll_timeout().expect("an attempt to come");
            self.wait_ms(when.millis_since(self.now));
        }
        self.open()
    }

    /// Publishes; without quota or connection it waits.
    #[track_caller]
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS) -> Token {
        let publish = Publish::new(topic, payload).qos(qos);
        self.client.publish(publish, self.now).expect("room for the message")
    }

    /// Subscribes, and the server grants it.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filter: &str) {
        let token = self.client.subscribe(&[Filter::new(filter)], self.now).expect("a request");
        let Packet::Subscribe(subscribe) = self.sent_one() else { panic!("no SUBSCRIBE") };
        let suback = suback(subscribe.packet_id, &[ReasonCode::Success]);
        let events = self.feed(&[suback]);
        assert!(matches!(events[..], [Event::Subscribed { token: Some(it), .. }] if it == token));
    }
}

// What a server sends.

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

pub(crate) fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).expect("a topic name")
}

pub(crate) fn text(text: &str) -> Text<'_> {
    Text::new(text).expect("a text")
}

pub(crate) fn delivery(qos: QoS, number: u16, dup: bool) -> Delivery {
    match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: id(number), dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: id(number), dup },
    }
}

/// A message to the topic `t`.
pub(crate) fn message(qos: QoS, number: u16, payload: &[u8]) -> Packet<'_> {
    let delivery = delivery(qos, number, false);
    Packet::Publish(tamtam_core::Publish {
        delivery,
        ..tamtam_core::Publish::new(topic("t"), payload)
    })
}

/// The same, once more.
pub(crate) fn message_again(qos: QoS, number: u16, payload: &[u8]) -> Packet<'_> {
    let delivery = delivery(qos, number, true);
    Packet::Publish(tamtam_core::Publish {
        delivery,
        ..tamtam_core::Publish::new(topic("t"), payload)
    })
}

pub(crate) fn puback(number: u16) -> Packet<'static> {
    Packet::PubAck(Ack::new(id(number)))
}

pub(crate) fn pubrec(number: u16) -> Packet<'static> {
    Packet::PubRec(Ack::new(id(number)))
}

pub(crate) fn pubrel(number: u16) -> Packet<'static> {
    Packet::PubRel(Ack::new(id(number)))
}

pub(crate) fn pubcomp(number: u16) -> Packet<'static> {
    Packet::PubComp(Ack::new(id(number)))
}

pub(crate) fn suback(packet_id: PacketId, codes: &[ReasonCode]) -> Packet<'_> {
    let properties = Properties::EMPTY;
    Packet::SubAck(SubAck { packet_id, properties, codes: Items::from(codes) })
}

pub(crate) fn unsuback(version: Version, packet_id: PacketId) -> Packet<'static> {
    let codes: &[ReasonCode] = if version == V5 { &[ReasonCode::Success] } else { &[] };
    let properties = Properties::EMPTY;
    Packet::UnsubAck(UnsubAck { packet_id, properties, codes: Items::from(codes) })
}

// What is looked for.

/// The messages among events: payload and acknowledgement.
pub(crate) fn messages(events: &[Event<'static>]) -> Vec<Message<'static>> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(*message),
            _ => None,
        })
        .collect()
}

/// How the only message among events is acknowledged.
#[track_caller]
pub(crate) fn only_ack(events: &[Event<'static>]) -> AckToken {
    let [Event::Message(message)] = events else { panic!("not one message: {events:?}") };
    message.ack
}

/// The payloads of PUBLISH packets, with DUP marked by an asterisk; other packets by their name.
pub(crate) fn names(packets: &[Packet<'_>]) -> Vec<String> {
    packets
        .iter()
        .map(|packet| match packet {
            Packet::Publish(publish) => {
                let payload = String::from_utf8_lossy(publish.payload);
                format!("{payload}{}", if publish.delivery.dup() { "*" } else { "" })
            }
            Packet::PubAck(ack) => format!("PUBACK {}", ack.packet_id.get()),
            Packet::PubRec(ack) => format!("PUBREC {}", ack.packet_id.get()),
            Packet::PubRel(ack) => format!("PUBREL {}", ack.packet_id.get()),
            Packet::PubComp(ack) => format!("PUBCOMP {}", ack.packet_id.get()),
            other => other.packet_type().to_string(),
        })
        .collect()
}

/// The packet identifier of the only packet, a PUBLISH.
#[track_caller]
pub(crate) fn publish_id(packet: Packet<'_>) -> u16 {
    let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
    publish.delivery.packet_id().expect("a packet identifier").get()
}

pub(crate) fn delivered(token: Token) -> Event<'static> {
    Event::Delivered { token, reason: ReasonCode::Success }
}
