//! A client as the durability tests have it: it never crashes, and forgets nothing that MQTT does
//! not allow it to forget. What it sent and saw is kept with the tick at which that was.

use std::collections::BTreeMap;

use tamtam_core::broker::{LimitsId, LinkId};
use tamtam_core::{
    Ack, Connect, Delivery, Disconnect, Items, Packet, PacketId, Properties, Property, Publish,
    QoS, ReasonCode, Subscribe, Subscription, Text, TopicFilter, TopicName, Unsubscribe, Version,
    Will,
};

/// What a client acknowledges with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ack,
    Rec,
    Comp,
}

/// Where a message of a client's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    Sent,
    Released,
    Accepted,
    Refused,
}

/// A message that a client publishes until it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) state: State,
    pub(crate) id: u16,
    pub(crate) ever_sent: bool,
    on_this_link: bool,
    /// Published anew, as the session that knew of it was lost.
    pub(crate) anew: bool,
    pub(crate) first_sent: u64,
    pub(crate) answered: u64,
}

/// A message that came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// A subscription: when it was asked for and granted, when it was to end and did.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) filter: String,
    pub(crate) qos: QoS,
    pub(crate) id: u16,
    pub(crate) on_this_link: bool,
    pub(crate) asked: u64,
    pub(crate) granted: u64,
    pub(crate) wants_end: bool,
    pub(crate) end_asked: u64,
    pub(crate) ended: u64,
}

/// What is to be published if the connection is lost.
#[derive(Clone, Debug)]
pub(crate) struct WillSpec {
    pub(crate) topic: &'static str,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) delay_secs: u32,
}

/// One CONNECT with a will, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct WillRun {
    pub(crate) payload: String,
    pub(crate) topic: &'static str,
    pub(crate) qos: QoS,
    pub(crate) sent: u64,
    pub(crate) accepted: bool,
    /// DISCONNECT 0x00 was sent.
    pub(crate) goodbye: bool,
    pub(crate) lost: u64,
    pub(crate) delayed: bool,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) clean: bool,
    pub(crate) expiry_secs: u32,
    pub(crate) will: Option<WillSpec>,
    pub(crate) window: u16,
    /// The limits of the listener that it comes in by.
    pub(crate) limits: Option<LimitsId>,
    /// Whether its session is recorded.
    pub(crate) recorded: bool,
    /// Whether it connects whenever it has no connection.
    pub(crate) wants: bool,
    pub(crate) link: Option<LinkId>,
    pub(crate) connected: bool,
    /// Whether the broker has to have its session.
    pub(crate) has_session: bool,
    /// Whether the session may have ended meanwhile.
    pub(crate) may_expire: bool,
    /// Whether the broker must not have its session.
    pub(crate) expects_none: bool,
    /// Whether it may find a session that it never heard of.
    pub(crate) uncertain: bool,
    /// When the session was lost last.
    pub(crate) session_lost: u64,
    pub(crate) up: Vec<u8>,
    pub(crate) down: Vec<u8>,
    pub(crate) out: Vec<Out>,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) incoming: BTreeMap<u16, String>,
    pub(crate) got: Vec<Got>,
    pub(crate) wills: Vec<WillRun>,
    /// How many acknowledgements it gives before it holds them back; none for all.
    pub(crate) acks: Option<usize>,
    pub(crate) held: Vec<(Kind, u16)>,
    last_id: u16,
    /// How many packet identifiers it uses.
    pub(crate) ids: u16,
    pub(crate) tick: u64,
    /// Why the broker refused a message last.
    pub(crate) last_refusal: Option<ReasonCode>,
}

pub(crate) fn id_of(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

impl Client {
    pub(crate) fn new(name: &str, version: Version, expiry_secs: u32) -> Self {
        Self {
            name: name.into(),
            version,
            clean: expiry_secs == 0,
            expiry_secs,
            will: None,
            window: 100,
            limits: None,
            recorded: false,
            wants: false,
            link: None,
            connected: false,
            has_session: false,
            may_expire: false,
            expects_none: false,
            uncertain: false,
            session_lost: 0,
            up: Vec::new(),
            down: Vec::new(),
            out: Vec::new(),
            wishes: Vec::new(),
            incoming: BTreeMap::new(),
            got: Vec::new(),
            wills: Vec::new(),
            acks: None,
            held: Vec::new(),
            last_id: 0,
            ids: 60,
            tick: 0,
            last_refusal: None,
        }
    }

    pub(crate) fn put(&mut self, packet: &Packet<'_>) {
        let mut bytes = [0; 1024];
        let len = packet.encode(self.version, &mut bytes).expect("a packet");
        self.up.extend(&bytes[..len]);
    }

    fn fresh_id(&mut self) -> Option<u16> {
        for _ in 0..self.ids {
            self.last_id = self.last_id % self.ids + 1; // soon used again
            let id = self.last_id;
            let busy = self
                .out
                .iter()
                .any(|out| out.id == id && matches!(out.state, State::Sent | State::Released));
            let asked = self.wishes.iter().any(|wish| wish.id == id && wish.on_this_link);
            if !busy && !asked {
                return Some(id);
            }
        }
        None
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &str, qos: QoS, retain: bool) {
        self.out.push(Out {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain,
            state: State::New,
            id: 0,
            ever_sent: false,
            on_this_link: false,
            anew: false,
            first_sent: 0,
            answered: 0,
        });
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.wishes.push(Wish {
            filter: filter.into(),
            qos,
            id: 0,
            on_this_link: false,
            asked: 0,
            granted: 0,
            wants_end: false,
            end_asked: 0,
            ended: 0,
        });
    }

    pub(crate) fn unsubscribe(&mut self, filter: &str) {
        for wish in &mut self.wishes {
            if wish.filter == filter {
                wish.wants_end = true;
                wish.on_this_link = false;
            }
        }
    }

    /// It wants no session that there was; the new one lasts this long.
    pub(crate) fn begin_anew(&mut self, expiry_secs: u32) {
        (self.clean, self.expiry_secs) = (true, expiry_secs);
    }

    /// Its session has ended: there must be none when it comes again.
    pub(crate) fn expect_none(&mut self, expiry_secs: u32) {
        self.expects_none = true;
        (self.clean, self.expiry_secs) = (false, expiry_secs);
    }

    /// CONNECT, into the bytes to be sent.
    pub(crate) fn put_connect(&mut self) {
        let name = self.name.clone();
        let will = self.will.clone();
        let payload = format!("will:{name}:{}", self.wills.len());
        let expiry = [Property::SessionExpiryInterval(self.expiry_secs)];
        let receive = Property::ReceiveMaximum(std::num::NonZeroU16::new(self.window).expect("1"));
        let list = [expiry[0], receive];
        let delay = [Property::WillDelayInterval(will.as_ref().map_or(0, |will| will.delay_secs))];
        let v5 = self.version.is_v5();
        let properties = if v5 { Properties::new(&list) } else { Properties::EMPTY };
        let will_properties = if v5 { Properties::new(&delay) } else { Properties::EMPTY };
        let connect = Connect {
            clean_start: self.clean,
            properties,
            will: will.as_ref().map(|will| Will {
                qos: will.qos,
                retain: will.retain,
                properties: will_properties,
                topic: TopicName::new(will.topic).expect("a topic"),
                payload: payload.as_bytes(),
            }),
            ..Connect::new(self.version, Text::new(&name).expect("a name"))
        };
        self.put(&Packet::Connect(connect));
        if let Some(will) = will {
            self.wills.push(WillRun {
                payload,
                topic: will.topic,
                qos: will.qos,
                sent: self.tick,
                accepted: false,
                goodbye: false,
                lost: 0,
                delayed: v5 && will.delay_secs != 0,
            });
        }
    }

    pub(crate) fn put_disconnect(&mut self, reason: ReasonCode, expiry: Option<u32>) {
        let list = [Property::SessionExpiryInterval(expiry.unwrap_or_default())];
        let properties = if expiry.is_some() { Properties::new(&list) } else { Properties::EMPTY };
        self.put(&Packet::Disconnect(Disconnect { properties, ..Disconnect::new(reason) }));
        if reason == ReasonCode::NORMAL_DISCONNECTION
            && let Some(run) = self.wills.last_mut()
        {
            run.goodbye = true;
        }
        if let Some(secs) = expiry {
            self.expiry_secs = secs;
        }
        if self.expiry_secs == 0 {
            self.may_expire = true;
        }
    }

    /// Everything that is to be sent, into the bytes to be sent.
    pub(crate) fn put_all(&mut self) {
        if !self.connected {
            return;
        }
        for at in 0..self.wishes.len() {
            let wish = self.wishes[at].clone();
            let ends = wish.wants_end && wish.ended == 0;
            if wish.on_this_link || !(wish.granted == 0 && !wish.wants_end || ends) {
                continue;
            }
            let Some(id) = self.fresh_id() else { return };
            let tick = self.tick;
            let wish = &mut self.wishes[at];
            (wish.id, wish.on_this_link) = (id, true);
            let stamp = if ends { &mut wish.end_asked } else { &mut wish.asked };
            if *stamp == 0 {
                *stamp = tick;
            }
            let (text, qos) = (wish.filter.clone(), wish.qos);
            let filter = TopicFilter::new(&text).expect("a filter");
            let (packet_id, properties) = (id_of(id), Properties::EMPTY);
            if ends {
                let filters = [filter];
                let filters = Items::from(&filters);
                self.put(&Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters }));
            } else {
                let wanted = [Subscription::new(filter).qos(qos)];
                let subscriptions = Items::from(&wanted);
                self.put(&Packet::Subscribe(Subscribe { packet_id, properties, subscriptions }));
            }
        }
        for at in 0..self.out.len() {
            self.put_message(at);
        }
    }

    fn put_message(&mut self, at: usize) {
        let out = self.out[at].clone();
        if out.on_this_link || matches!(out.state, State::Accepted | State::Refused) {
            return;
        }
        let needs_id = out.id == 0 && out.qos != QoS::AtMostOnce;
        let id = if needs_id { self.fresh_id() } else { Some(out.id) };
        let Some(id) = id else { return };
        let tick = self.tick;
        let this = &mut self.out[at];
        (this.id, this.on_this_link, this.ever_sent) = (id, true, true);
        if this.first_sent == 0 {
            this.first_sent = tick;
        }
        if out.state == State::Released {
            return self.put(&Packet::PubRel(Ack::new(id_of(id))));
        }
        let dup = out.ever_sent;
        let delivery = match out.qos {
            QoS::AtMostOnce => {
                (this.state, this.answered) = (State::Accepted, u64::MAX);
                Delivery::AtMostOnce
            }
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: id_of(id), dup },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: id_of(id), dup },
        };
        if out.qos != QoS::AtMostOnce {
            this.state = State::Sent;
        }
        let topic = TopicName::new(&out.topic).expect("a topic");
        let publish = Publish::new(topic, out.payload.as_bytes());
        self.put(&Packet::Publish(Publish { delivery, retain: out.retain, ..publish }));
    }

    /// The connection is gone, or the broker is.
    pub(crate) fn lost(&mut self) {
        if self.link.take().is_none() {
            return;
        }
        if !self.connected {
            // A CONNECT may have been taken whose answer never came.
            self.uncertain |= self.expects_none || self.may_expire || self.clean;
            self.expects_none = false;
        }
        self.connected = false;
        self.up.clear();
        self.down.clear();
        self.held.clear();
        for out in &mut self.out {
            out.on_this_link = false;
        }
        for wish in &mut self.wishes {
            wish.on_this_link = false;
        }
        let tick = self.tick;
        if self.will.is_some()
            && let Some(run) = self.wills.last_mut()
        {
            run.lost = tick;
        }
    }

    /// Acknowledges what it held back, and all from now on.
    pub(crate) fn ack_all(&mut self) {
        self.acks = None;
        for (kind, id) in std::mem::take(&mut self.held) {
            self.put_ack(kind, id);
        }
    }

    /// Acknowledges what came last, and nothing before it.
    pub(crate) fn ack_last(&mut self) {
        let (kind, id) = self.held.pop().expect("something");
        self.put_ack(kind, id);
    }

    /// Whether nothing is owed to it any more.
    pub(crate) fn is_settled(&self) -> bool {
        let out = self.out.iter().all(|out| matches!(out.state, State::Accepted | State::Refused));
        let asked = self
            .wishes
            .iter()
            .all(|wish| if wish.wants_end { wish.ended != 0 } else { wish.granted != 0 });
        !self.wants
            || self.connected && out && asked && self.held.is_empty() && self.incoming.is_empty()
    }
}
