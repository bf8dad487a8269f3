//! What a client does with what comes.

use tamtam_core::{Ack, ConnAck, Delivery, Packet, Publish, QoS, ReasonCode, Sender, Version};

use crate::client::{Client, Got, Kind, Out, State, id_of};

impl Client {
    /// Reads what came.
    pub(crate) fn read(&mut self) {
        let down = std::mem::take(&mut self.down);
        let mut input = &down[..];
        while let Some(packet) =
            Packet::decode(&mut input, self.version, Sender::Server).expect("a packet")
        {
            self.handle(&packet);
        }
        self.down = input.to_vec();
    }

    fn handle(&mut self, packet: &Packet<'_>) {
        assert!(
            self.connected || matches!(packet, Packet::ConnAck(_)),
            "{}: {packet:?} before CONNACK",
            self.name
        );
        match packet {
            Packet::ConnAck(answer) => self.handle_connack(answer),
            Packet::Publish(publish) => self.handle_publish(publish),
            Packet::PubAck(ack) => self.answered(ack, QoS::AtLeastOnce, State::Sent),
            Packet::PubRec(ack) => self.answered(ack, QoS::ExactlyOnce, State::Sent),
            Packet::PubComp(ack) => {
                if let Some(out) = self.out_with(ack.packet_id.get(), State::Released) {
                    (out.state, out.id) = (State::Accepted, 0);
                }
            }
            Packet::PubRel(ack) => self.ack(Kind::Comp, ack.packet_id.get()),
            Packet::SubAck(answer) => {
                let tick = self.tick;
                for wish in &mut self.wishes {
                    if wish.id == answer.packet_id.get() && wish.on_this_link {
                        assert!(!answer.codes.iter().any(ReasonCode::is_error));
                        wish.on_this_link = false;
                        wish.granted = tick;
                    }
                }
            }
            Packet::UnsubAck(answer) => {
                let tick = self.tick;
                for wish in &mut self.wishes {
                    if wish.id == answer.packet_id.get() && wish.on_this_link && wish.wants_end {
                        wish.on_this_link = false;
                        wish.ended = tick;
                    }
                }
            }
            Packet::Disconnect(_) => {}
            other => panic!("{}: {other:?}", self.name),
        }
    }

    fn handle_connack(&mut self, answer: &ConnAck<'_>) {
        if answer.reason.is_error() {
            return;
        }
        assert!(!self.connected, "{}: CONNACK twice", self.name);
        self.connected = true;
        if let Some(run) = self.wills.last_mut().filter(|_| self.will.is_some()) {
            run.accepted = true;
        }
        // MQTT 3.1 can't say it.
        let v31 = self.version == Version::V31;
        let present = answer.session_present || v31 && self.has_session && !self.clean;
        if self.clean || self.expects_none {
            assert!(!present, "{}: a session that must not be", self.name);
        } else if self.has_session && !self.may_expire {
            assert!(present, "{}: its session is lost", self.name);
        }
        if !present || self.uncertain {
            self.forget_session();
        } else if self.may_expire {
            self.session_lost = self.tick; // it goes on, and may have ended for a while
        }
        self.recorded = self.recorded && present || self.limits.is_none();
        self.has_session = self.expiry_secs != 0;
        self.clean = self.expiry_secs == 0;
        (self.may_expire, self.expects_none, self.uncertain) = (false, false, false);
    }

    fn forget_session(&mut self) {
        self.session_lost = self.tick;
        self.incoming.clear();
        for out in &mut self.out {
            match out.state {
                // Seen and never published again; the other side knows nothing of it any more.
                State::Released => (out.state, out.id) = (State::Accepted, 0),
                State::Sent => {
                    (out.state, out.id) = (State::New, 0);
                    (out.ever_sent, out.anew) = (false, true);
                }
                _ => {}
            }
        }
    }

    fn out_with(&mut self, id: u16, state: State) -> Option<&mut Out> {
        self.out.iter_mut().find(|out| out.id == id && out.state == state)
    }

    fn answered(&mut self, ack: &Ack<'_>, qos: QoS, state: State) {
        let (tick, name) = (self.tick, self.name.clone());
        let id = ack.packet_id.get();
        let Some(out) = self.out_with(id, state) else {
            // A PUBREC once more is answered once more.
            let known = qos == QoS::ExactlyOnce && self.out_with(id, State::Released).is_some();
            assert!(known, "{name}: {ack:?} for nothing");
            return self.put(&Packet::PubRel(Ack::new(ack.packet_id)));
        };
        assert_eq!(out.qos, qos, "{name}");
        out.answered = tick;
        if ack.reason.is_error() {
            (out.state, out.id) = (State::Refused, 0);
            self.last_refusal = Some(ack.reason);
        } else if qos == QoS::AtLeastOnce {
            (out.state, out.id) = (State::Accepted, 0);
        } else {
            out.state = State::Released;
            self.put(&Packet::PubRel(Ack::new(ack.packet_id)));
        }
    }

    fn handle_publish(&mut self, publish: &Publish<'_>) {
        let payload = String::from_utf8(publish.payload.to_vec()).expect("text");
        let topic = publish.topic.expect("no alias").as_str().to_string();
        let got = Got {
            topic,
            payload: payload.clone(),
            qos: publish.delivery.qos(),
            retain: publish.retain,
        };
        match publish.delivery {
            Delivery::AtMostOnce => self.got.push(got),
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.got.push(got);
                self.ack(Kind::Ack, packet_id.get());
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                let id = packet_id.get();
                match self.incoming.get(&id) {
                    Some(before) => assert_eq!(*before, payload, "{}: {id} is in use", self.name),
                    None => {
                        self.incoming.insert(id, payload);
                        self.got.push(got);
                    }
                }
                self.ack(Kind::Rec, id);
            }
        }
    }

    fn ack(&mut self, kind: Kind, id: u16) {
        if self.acks == Some(0) {
            self.held.push((kind, id));
        } else {
            self.acks = self.acks.map(|left| left - 1);
            self.put_ack(kind, id);
        }
    }

    pub(crate) fn put_ack(&mut self, kind: Kind, id: u16) {
        if kind == Kind::Comp {
            self.incoming.remove(&id);
        }
        let ack = Ack::new(id_of(id));
        self.put(&match kind {
            Kind::Ack => Packet::PubAck(ack),
            Kind::Rec => Packet::PubRec(ack),
            Kind::Comp => Packet::PubComp(ack),
        });
    }
}
