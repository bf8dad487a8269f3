//! What must be true of a client inside, whatever is done to it.
//!
//! Each run is a seed: an application, a driver and a server do as chance has it, rightly and
//! wrongly, and after each step the parts of the machine must still agree with each other.

use std::vec::Vec;

use super::*;
use crate::codec::{
    Ack, ConnAck, Connect, Delivery, Disconnect, Items, Packet, Properties, Property, SubAck,
    UnsubAck,
};
use crate::flow::send::Owed;
use crate::storage::Capacities;
use crate::types::{PacketId, QoS, ReasonCode, TopicName};
use crate::{Heap, Sender};

struct Run<S: Storage> {
    client: Client<S>,
    random: Random,
    now: Instant,
    version: Version,
    /// What the server has sent and the client has not taken.
    input: Vec<u8>,
    /// What has left on this connection.
    left: Vec<u8>,
    acks: Vec<AckToken>,
    tokens: Vec<Token>,
}

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const TOPICS: [&str; 4] = ["t", "a/b", "a/longer/topic", "no/#"];

impl<S: Storage> Run<S> {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let version = Version::ALL[random.up_to(Version::ALL.len() as u32 - 1) as usize];
        let mut run = Self {
            client: Client::new(),
            random,
            now: Instant::from_millis(1),
            version,
            input: Vec::new(),
            left: Vec::new(),
            acks: Vec::new(),
            tokens: Vec::new(),
        };
        run.start();
        run
    }

    fn roll(&mut self, below: u32) -> u32 {
        self.random.up_to(below - 1)
    }

    fn flip(&mut self) -> bool {
        self.roll(2) == 0
    }

    fn start(&mut self) {
        let mut options = Options::new(self.version)
            .client_id("c")
            .clean_start(self.flip())
            .outgoing_bytes(300)
            .in_flight(4)
            .receive_maximum(4)
            .keep_alive_secs(self.roll(20) as u16)
            .manual_ack(self.flip())
            .store(self.roll(3) == 0)
            .adopt_session(self.flip())
            .topic_alias_maximum(3)
            .stream_above(if self.flip() { 40 } else { u32::MAX });
        if self.flip() {
            options = options.when_full(WhenFull::DropOldest);
        }
        if self.flip() {
            options = options.when_unknown(WhenUnknown::SendAgain);
        }
        if self.version.is_v5() && self.flip() {
            options = options.session_expiry_secs(100);
        }
        self.client.start(&options, self.random.next()).unwrap();
        self.client.connect(self.now).unwrap();
    }

    fn id(&mut self) -> PacketId {
        PacketId::new(self.roll(5) as u16 + 1).unwrap()
    }

    /// What the application does.
    fn ask(&mut self) {
        let (now, client) = (self.now, self.roll(12));
        let qos = QOS[self.roll(3) as usize];
        let topic = TOPICS[self.roll(4) as usize];
        let payload = &[0; 80][..self.random.up_to(80) as usize];
        let publish = Publish::new(topic, payload).qos(qos).retain(self.flip());
        let filters = [Filter::new(topic), Filter::new("other")];
        let filters = &filters[..self.random.up_to(2) as usize];
        match client {
            0..5 => drop(self.client.publish(publish, now)),
            5 => drop(self.client.subscribe(filters, now)),
            6 => drop(self.client.unsubscribe(&[topic], now)),
            7 | 8 => {
                if let Some(ack) = self.acks.pop() {
                    let refused = self.roll(4) == 0 && self.version.is_v5();
                    let _ = match refused {
                        true => self.client.refuse(ack, ReasonCode::NotAuthorized, now),
                        false => self.client.ack(ack, now),
                    };
                }
            }
            9 => {
                let len = self.roll(300);
                let _ = match self.tokens.pop() {
                    Some(token) => self.client.resend_stream(token, publish, len, now),
                    None => self.client.publish_stream(publish, len, now).map(|_| ()),
                };
            }
            10 if self.roll(20) == 0 => drop(self.client.disconnect(now)),
            11 if self.roll(20) == 0 => self.client.records(),
            _ => {
                let len = self.roll(100) as usize;
                let _ = self.client.publish_chunk(&[0; 100][..len], now);
            }
        }
    }

    /// What the driver does.
    fn drive(&mut self) {
        match self.client.transport() {
            Transport::Wanted => {
                self.input.clear();
                self.left.clear();
                if self.roll(8) == 0 {
                    return self.client.handle_close(self.now);
                }
                self.client.handle_open(self.now);
            }
            Transport::Unwanted => self.client.handle_close(self.now),
            Transport::Resting => {
                self.now = self.client.poll_timeout().unwrap_or(self.now).max(self.now);
                if self.flip() {
                    let _ = self.client.connect(self.now);
                }
            }
            Transport::Open => {}
        }
        self.now = self.now.plus_millis(u64::from(self.random.up_to(400)));
        self.client.handle_timeout(self.now);
        if self.client.poll_record().is_some() && self.flip() {
            while self.client.poll_record().is_some() {}
            self.client.handle_persisted(self.now);
        }
        let output = self.client.output().len() as u32;
        let len = if self.flip() { output } else { self.random.up_to(output) } as usize;
        self.left.extend(&self.client.output()[..len]);
        self.client.output_written(len, self.now);
        if self.roll(60) == 0 {
            self.client.handle_close(self.now);
        }
    }

    /// What the server does: mostly what is asked of it, now and then anything.
    fn serve_some(&mut self) {
        for _ in 0..8 {
            self.serve();
        }
    }

    fn serve(&mut self) {
        let (id, version) = (self.id(), self.version);
        let codes = [ReasonCode::Success, ReasonCode::UnspecifiedError];
        let properties = Properties::EMPTY;
        let qos = QOS[self.roll(3) as usize];
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: id, dup: self.flip() },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: id, dup: self.flip() },
        };
        let payload = &[0x32; 60][..self.random.up_to(60) as usize];
        let topic = TopicName::new("theirs").unwrap();
        let message =
            crate::codec::Publish { delivery, ..crate::codec::Publish::new(topic, payload) };
        let limits = [
            Property::ReceiveMaximum(2.try_into().unwrap()),
            Property::MaximumPacketSize(60.try_into().unwrap()),
            Property::TopicAliasMaximum(2),
        ];
        let present = self.flip() && version != Version::V31;
        let limits = if version.is_v5() && self.flip() { &limits[..] } else { &[] };
        let connack = ConnAck {
            properties: Properties::new(limits),
            ..ConnAck::new(ReasonCode::Success, present)
        };
        let codes = &codes[..self.roll(2) as usize + 1];
        let unsubscribed = if version.is_v5() { Items::from(&codes[..1]) } else { Items::EMPTY };
        let connecting = self.client.phase == Phase::Connecting;
        let packet = match self.roll(24) {
            _ if connecting => Packet::ConnAck(connack),
            0..5 => Packet::PubAck(Ack::new(id)),
            5..9 => Packet::PubRec(Ack::new(id)),
            9..13 => Packet::PubComp(Ack::new(id)),
            13..16 => Packet::PubRel(Ack::new(id)),
            16 | 17 => {
                Packet::SubAck(SubAck { packet_id: id, properties, codes: Items::from(codes) })
            }
            18 => Packet::UnsubAck(UnsubAck { packet_id: id, properties, codes: unsubscribed }),
            19 if version.is_v5() => Packet::Disconnect(Disconnect::new(ReasonCode::ServerBusy)),
            _ => Packet::Publish(message),
        };
        // A server that is wrong all the time would end every connection at once.
        let wrong = self.roll(60) == 0 && self.client.output().is_empty();
        let answered = connecting && self.input.is_empty();
        if answered || !connecting && (self.is_due(&packet) || wrong) {
            packet.encode_to(version, &mut self.input).unwrap();
        }
    }

    fn is_due(&self, packet: &Packet<'_>) -> bool {
        // What has not left can't be answered: who does so all the same gets what he deserves.
        let all_left = self.client.output().is_empty();
        let owed = |id| if all_left { self.client.flights.owed(id) } else { Owed::Nothing };
        match packet {
            Packet::PubAck(ack) => owed(ack.packet_id) == Owed::PubAck,
            Packet::PubRec(ack) => owed(ack.packet_id) == Owed::PubRec,
            Packet::PubComp(ack) => owed(ack.packet_id) == Owed::PubComp,
            Packet::SubAck(ack) => owed(ack.packet_id) == Owed::SubAck,
            Packet::UnsubAck(ack) => owed(ack.packet_id) == Owed::UnsubAck,
            Packet::Publish(_) => true,
            _ => false,
        }
    }

    fn take_in(&mut self) {
        let arrived = core::mem::take(&mut self.input);
        let mut input = &arrived[..];
        for _ in 0..self.roll(8) {
            match self.client.handle_input(&mut input, self.now) {
                Ok(Some(Event::Message(message))) => self.acks.push(message.ack),
                Ok(Some(Event::MessageEnd { ack })) => self.acks.push(ack),
                Ok(Some(Event::Resend { token })) => self.tokens.push(token),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    self.client.handle_close(self.now);
                    break;
                }
            }
        }
        self.input = input.to_vec();
    }

    /// What each part remembers of an exchange is what the others do.
    fn assert_whole(&mut self, at: &str) {
        let client = &mut self.client;
        let mut owed = Vec::new();
        for (id, flight) in client.flights.each() {
            let kept = client.outbox.publish(id).is_some();
            let wanted = flight.owed.has_publish() && !flight.streamed;
            assert_eq!(kept, wanted, "{at}: the bytes of {id:?}, {:?}", flight.owed);
            owed.push(flight.owed);
        }
        let count = |is: &dyn Fn(Owed) -> bool| owed.iter().filter(|owed| is(**owed)).count();
        let due = count(&|owed| owed == Owed::PubRel);
        assert_eq!(usize::from(client.releases_due), due, "{at}: releases");
        if client.phase == Phase::Open {
            let window = client.limits.receive_maximum.min(client.flights.limit());
            let under_way =
                count(&|owed| matches!(owed, Owed::PubAck | Owed::PubRec) || owed.is_release());
            assert_eq!(client.quota.is_open(), under_way < usize::from(window), "{at}: window");
        }
        for packet in client.outbox.each_waiting() {
            if let Some(id) = crate::codec::publish_packet_id(packet) {
                assert!(client.flights.owed(id).is_publish(), "{at}: {id:?} waits");
            }
        }
        let mut connect = client.outbox.kept();
        let connect = Connect::decode(&mut connect).unwrap().unwrap();
        assert_eq!(connect.client_id.as_str(), "c", "{at}");
        assert!(client.receipts.limit() >= usize::from(client.pubrecs.len() > 4), "{at}");
        assert!(client.outbox.has_room(2), "{at}: there is always room for PINGREQ");
    }

    /// All that has left on this connection are packets of a client's, CONNECT first.
    fn assert_packets(&self, at: &str) {
        let mut input = &self.left[..];
        let mut first = true;
        while let Some(packet) = Packet::decode(&mut input, self.version, Sender::Client)
            .unwrap_or_else(|error| panic!("{at}: {error} in {input:02X?}"))
        {
            assert_eq!(matches!(packet, Packet::Connect(_)), first, "{at}: {packet:?}");
            first = false;
        }
    }
}

fn the_parts_agree<S: Storage>() {
    for seed in 0..200 {
        let mut run = Run::<S>::new(seed);
        for step in 0..500 {
            let at = std::format!("seed {seed}, step {step}, MQTT {}", run.version);
            match run.roll(10) {
                0..3 => run.ask(),
                3..6 => run.drive(),
                6..8 => run.serve_some(),
                _ => run.take_in(),
            }
            run.assert_whole(&at);
            run.assert_packets(&at);
        }
    }
}

#[test]
fn the_parts_of_a_client_agree_on_both_storages() {
    crate::fixed! {
        /// Small enough to be full all the time.
        struct Tiny { out: 300, in_flight: 4, aliases: 40 }
    }
    assert_eq!(Capacities::NONE.out, 0);
    the_parts_agree::<Heap>();
    the_parts_agree::<Tiny>();
}
