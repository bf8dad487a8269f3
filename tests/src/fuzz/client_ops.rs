//! A client in the hands of a fuzzer: calls, time, and a server that says anything.

use std::collections::VecDeque;

use tamtam_core::client::{AckToken, Filter, Token, Transport};
use tamtam_core::{Fixed, Heap, Instant, ReasonCode, Storage, Version};

use super::bytes::Bytes;
use crate::happened::Happened;
use crate::profile::Profile;
use crate::store::Store;
use crate::watched::{Draft, Watched};
use crate::wire::{
    Ack, AckKind, Answer, ConnAck, Notice, Packet, Props, Publish, decode, encode, id, take_frames,
};

/// What firmware might have; less, so that the ends of it are met.
type Small = Fixed<300, 4, 24>;

/// The most calls in a run.
const MOST_OPS: usize = 300;
/// The most bytes of outgoing packets, where options decide.
const OUTGOING: usize = 600;

/// Drives a client by a list of operations, on both storages, while the oracle watches.
///
/// The input is: version, three bytes of options, and operations, each a byte and what it needs:
/// see `Run::operate`. What the server says is made of the same bytes, from proper answers to
/// noise.
///
/// # Panics
/// If a property does not hold: the oracle finds nothing; output stays within its memory and begins
/// with what it began with until that was written; a deadline that has passed does not stay.
pub fn client_ops(data: &[u8]) {
    run::<Heap>(data);
    run::<Small>(data);
}

fn run<S: Storage>(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let profile = profile(&mut bytes);
    let mut run = Run::<S> {
        client: Watched::new(&profile, 7),
        profile,
        now: Instant::from_millis(1_000),
        rx: Vec::new(),
        sent: Vec::new(),
        owed: VecDeque::new(),
        to_ack: Vec::new(),
        resends: Vec::new(),
        store: Store::default(),
        drafts: 0,
        births: 0,
    };
    for _ in 0..MOST_OPS {
        if bytes.rest().is_empty() {
            break;
        }
        run.operate(&mut bytes);
        run.check();
    }
}

fn profile(bytes: &mut Bytes<'_>) -> Profile {
    let version = bytes.pick(Version::ALL);
    let (flags, sizes) = (bytes.u8(), bytes.u8());
    let flag = |bit: u8| flags >> bit & 1 != 0;
    let limits = bytes.u8();
    Profile {
        clean_start: flag(0),
        session_expiry_secs: if flag(0) { 0 } else { 600 },
        manual_ack: flag(1),
        store: flag(2),
        drop_oldest: flag(3),
        send_again_unknown: flag(4),
        resubscribe: flag(5),
        adopt_session: flag(6),
        queue_qos0: flag(7),
        authentication_method: (sizes & 1 != 0 && version.is_v5()).then(|| "m".into()),
        stream_above: if sizes & 2 != 0 { 30 } else { u32::MAX },
        max_packet_size: if sizes & 4 != 0 { 200 } else { u32::MAX },
        topic_alias_maximum: u16::from(sizes >> 3 & 3),
        receive_maximum: [65_535, 1, 2, 4][usize::from(limits & 3)],
        in_flight: [65_535, 1, 2, 4][usize::from(limits >> 2 & 3)],
        keep_alive_secs: u16::from(limits >> 4) * 3,
        outgoing_bytes: OUTGOING,
        ..Profile::new(version, "c")
    }
}

struct Run<S: Storage> {
    profile: Profile,
    client: Watched<S>,
    now: Instant,
    /// What the client has not taken.
    rx: Vec<u8>,
    /// What the client sent and a server has not looked at.
    sent: Vec<u8>,
    /// Answers that a proper server owes.
    owed: VecDeque<Packet>,
    to_ack: Vec<AckToken>,
    resends: Vec<Token>,
    store: Store,
    drafts: u32,
    births: u64,
}

impl<S: Storage> Run<S> {
    fn operate(&mut self, bytes: &mut Bytes<'_>) {
        let now = self.now;
        match bytes.u8() % 32 {
            0..=2 => {
                let draft = self.draft(bytes);
                let _ = self.client.publish(&draft, now);
            }
            3 => {
                let draft = self.draft(bytes);
                let _ = self.client.publish_stream(&draft, now);
            }
            4 => {
                let filter = bytes.pick(&["a", "b/#", "$share/g/c", "x/y"]);
                let _ = self.client.subscribe(&[Filter::new("d"), Filter::new(filter)], now);
            }
            5 => drop(self.client.unsubscribe(&[bytes.pick(&["a", "d", "b/#"])], now)),
            6 => self.acknowledge(bytes),
            7 => self.pass(u64::from(bytes.u8()) * 10, false),
            8 => self.pass(u64::from(bytes.u16()) * 10, bytes.flag()),
            9 | 10 => self.write(usize::from(bytes.u8())),
            11 => self.write(usize::MAX),
            12 | 13 => drop(self.events(usize::from(bytes.u8() % 4) + 1)),
            14 => self.drive(),
            15 => self.transport(),
            16 => self.close(),
            17 => drop(self.client.machine.connect(now)),
            18 => drop(self.client.machine.disconnect(now)),
            19 => self.authenticate(bytes.flag()),
            20 => drop(self.client.pump(usize::from(bytes.u8()), now)),
            21 => self.resend(),
            22 => self.client.hand_records(&mut self.store),
            23 => self.persist(),
            24 => self.crash(),
            25 => self.answer(usize::from(bytes.u8() % 8) + 1),
            26 => self.connack(bytes),
            27 => self.acknowledgement(bytes),
            28 => self.message(bytes),
            29 => self.notice(bytes),
            30 => {
                let noise =
                    bytes.take(usize::from(bytes.rest().first().copied().unwrap_or(0) % 16));
                if self.client.oracle.has_sent_connect() {
                    self.rx.extend(noise);
                }
            }
            _ => self.greet(),
        }
    }

    fn draft(&mut self, bytes: &mut Bytes<'_>) -> Draft {
        self.drafts += 1;
        let mut payload = format!("{} ", self.drafts).into_bytes();
        payload.resize(payload.len() + usize::from(bytes.u8()), b'.');
        let topic = bytes.pick(&["a", "some/longer/topic", "b/c"]);
        let kind = bytes.u8();
        Draft { retain: kind & 8 != 0, ..Draft::new(topic, &payload, kind % 3) }
    }

    // What a driver does.

    fn events(&mut self, most: usize) -> bool {
        for _ in 0..most {
            match self.client.input(&mut self.rx, self.now) {
                Ok(None) => return true,
                Ok(Some(Happened::Message(message))) => {
                    if self.profile.manual_ack {
                        self.to_ack.push(message.ack);
                    }
                }
                Ok(Some(Happened::Resend(token))) => self.resends.push(token),
                Ok(Some(_)) => {}
                Err(_) => {
                    // Whatever the application still asks for before the transport is closed,
                    // DISCONNECT is the last that leaves.
                    if let Some(token) = self.to_ack.pop() {
                        let _ = self.client.ack(token, self.now);
                    }
                    self.write(usize::MAX);
                    self.close();
                    return true;
                }
            }
        }
        false
    }

    fn write(&mut self, most: usize) {
        if self.client.machine.transport() != Transport::Open {
            return;
        }
        let output = self.client.output(self.now);
        let len = output.len().min(most);
        self.sent.extend(&output[..len]);
        if !output.is_empty() {
            self.client.written(&output, len, self.now);
            if len == output.len() {
                self.write(most - len); // what waited for that
            }
        }
    }

    /// A whole turn of the documented loop.
    fn drive(&mut self) {
        for _ in 0..100 {
            self.client.timeout(self.now);
            self.transport();
            if self.events(usize::MAX) && self.client.machine.output().is_empty() {
                return;
            }
            self.write(usize::MAX);
        }
    }

    fn transport(&mut self) {
        match self.client.machine.transport() {
            Transport::Wanted => {
                self.rx.clear();
                self.sent.clear();
                self.owed.clear();
                self.client.open(self.now);
            }
            Transport::Unwanted => self.close(),
            _ => {}
        }
    }

    fn close(&mut self) {
        self.client.close(self.now);
        self.rx.clear();
        self.resends.clear();
    }

    /// Time passes, deadline by deadline, with a transport that takes everything, or nothing.
    fn pass(&mut self, millis: u64, blocked: bool) {
        let end = self.now.plus_millis(millis);
        let most = if blocked { 0 } else { usize::MAX };
        self.write(most);
        for _ in 0..50 {
            let next = self.client.machine.poll_timeout().filter(|next| *next <= end);
            self.now = next.unwrap_or(end).max(self.now);
            if self.client.is_sending() {
                self.client.oracle.blocked(); // by an application that hands nothing in
            }
            self.client.oracle.tick(self.now);
            self.client.timeout(self.now);
            self.write(most);
            if next.is_none() {
                break;
            }
            self.events(usize::MAX);
            self.write(most);
        }
    }

    // What an application does.

    fn acknowledge(&mut self, bytes: &mut Bytes<'_>) {
        if self.to_ack.is_empty() {
            return;
        }
        let choice = usize::from(bytes.u8());
        let token = self.to_ack.swap_remove(choice / 2 % self.to_ack.len());
        let _ = if choice & 1 == 0 {
            self.client.ack(token, self.now)
        } else {
            self.client.refuse(token, ReasonCode::QuotaExceeded, self.now)
        };
    }

    fn authenticate(&mut self, again: bool) {
        let machine = &mut self.client.machine;
        let _ = if again {
            machine.reauthenticate(None, self.now)
        } else {
            machine.authenticate(Some(b"data"), self.now)
        };
    }

    fn resend(&mut self) {
        if let Some(token) = self.resends.pop()
            && self.client.resend(token, self.now).is_err()
        {
            self.resends.push(token);
        }
    }

    fn persist(&mut self) {
        self.store.keep();
        self.client.persisted(self.now);
    }

    fn crash(&mut self) {
        if !self.profile.store {
            return;
        }
        self.store.crash();
        self.births += 1;
        self.client.crash(&self.profile, &self.store, self.births);
        self.rx.clear();
        self.to_ack.clear();
        self.resends.clear();
    }

    // What a server does.

    /// Before CONNECT has left there is nobody who could say anything.
    fn says(&mut self, packet: &Packet) {
        if self.rx.len() < 4_096 && self.client.oracle.has_sent_connect() {
            self.rx.extend(encode(packet, self.profile.version));
        }
    }

    /// Connects, the proper way.
    fn greet(&mut self) {
        let _ = self.client.machine.connect(self.now);
        self.pass(60_000, false);
        self.transport();
        self.write(usize::MAX);
        let mut props = Props::NONE;
        if let Some(method) = &self.profile.authentication_method {
            props = props.with_bytes(id::AUTHENTICATION_METHOD, method.as_bytes());
        }
        self.says(&Packet::ConnAck(ConnAck { session_present: false, code: 0, props }));
        self.drive();
    }

    /// Answers to what the client has sent, the proper way.
    fn answer(&mut self, most: usize) {
        for frame in take_frames(&mut self.sent).unwrap_or_default() {
            let answer = match decode(&frame, self.profile.version) {
                Ok(Packet::Publish(publish)) => match publish.qos {
                    1 => Packet::ack(AckKind::PubAck, publish.id),
                    2 => Packet::ack(AckKind::PubRec, publish.id),
                    _ => continue,
                },
                Ok(Packet::Ack(ack)) => match ack.kind {
                    AckKind::PubRec if ack.code < 0x80 => Packet::ack(AckKind::PubRel, ack.id),
                    AckKind::PubRel => Packet::ack(AckKind::PubComp, ack.id),
                    _ => continue,
                },
                Ok(Packet::Subscribe(request)) => {
                    let codes = vec![0; request.filters.len()];
                    Packet::SubAck(Answer { id: request.id, props: Props::NONE, codes })
                }
                Ok(Packet::Unsubscribe(request)) => {
                    let codes = vec![0; request.filters.len()];
                    Packet::UnsubAck(Answer { id: request.id, props: Props::NONE, codes })
                }
                Ok(Packet::PingReq) => Packet::PingResp,
                _ => continue,
            };
            self.owed.push_back(answer);
        }
        for _ in 0..most {
            let Some(packet) = self.owed.pop_front() else { break };
            self.says(&packet);
        }
    }

    fn connack(&mut self, bytes: &mut Bytes<'_>) {
        let (flags, kinds) = (bytes.u8(), bytes.u8());
        let mut props = Props::NONE;
        let numbers = [
            (id::RECEIVE_MAXIMUM, u32::from(bytes.u8() % 4) + 1),
            (id::MAXIMUM_PACKET_SIZE, u32::from(bytes.u8()) + 12),
            (id::MAXIMUM_QOS, u32::from(flags >> 1 & 1)),
            (id::RETAIN_AVAILABLE, 0),
            (id::TOPIC_ALIAS_MAXIMUM, u32::from(flags >> 2 & 3)),
            (id::SERVER_KEEP_ALIVE, u32::from(flags >> 4)),
        ];
        for (bit, (id, number)) in numbers.into_iter().enumerate() {
            if kinds >> bit & 1 != 0 {
                props = props.with(id, number);
            }
        }
        if let Some(method) = &self.profile.authentication_method {
            props = props.with_bytes(id::AUTHENTICATION_METHOD, method.as_bytes());
        }
        let code = if kinds >> 6 == 3 { 0x80 | flags } else { 0 };
        self.says(&Packet::ConnAck(ConnAck { session_present: flags & 1 != 0, code, props }));
    }

    fn acknowledgement(&mut self, bytes: &mut Bytes<'_>) {
        let kind = bytes.u8();
        let id = u16::from(bytes.u8() % 8);
        let code = if kind & 0x80 != 0 { 0x80 | bytes.u8() } else { 0 };
        let codes = vec![code; usize::from(kind >> 4 & 3)];
        let ack = |kind| Packet::Ack(Ack { kind, id, code, props: Props::NONE });
        let packet = match kind % 6 {
            0 => ack(AckKind::PubAck),
            1 => ack(AckKind::PubRec),
            2 => ack(AckKind::PubRel),
            3 => ack(AckKind::PubComp),
            4 => Packet::SubAck(Answer { id, props: Props::NONE, codes }),
            _ => Packet::UnsubAck(Answer { id, props: Props::NONE, codes }),
        };
        self.says(&packet);
    }

    fn message(&mut self, bytes: &mut Bytes<'_>) {
        let kind = bytes.u8();
        let qos = kind % 3;
        let alias = kind >> 2 & 7;
        let mut props = Props::NONE;
        if alias < 4 {
            props = props.with(id::TOPIC_ALIAS, alias.into());
        }
        let topic = if kind & 0x20 != 0 { Vec::new() } else { b"down".to_vec() };
        let payload = vec![b'd'; usize::from(bytes.u8() % 64)];
        let id = if qos == 0 { 0 } else { u16::from(bytes.u8() % 6) };
        let dup = qos > 0 && kind & 0x40 != 0;
        let (props, retain) = (if alias < 4 { props } else { Props::NONE }, kind & 0x80 != 0);
        self.says(&Packet::Publish(Publish { dup, qos, retain, topic, id, props, payload }));
    }

    fn notice(&mut self, bytes: &mut Bytes<'_>) {
        let (kind, code) = (bytes.u8(), bytes.u8());
        let props = match &self.profile.authentication_method {
            Some(method) if kind & 4 != 0 => {
                Props::NONE.with_bytes(id::AUTHENTICATION_METHOD, method.as_bytes())
            }
            _ => Props::NONE,
        };
        let packet = match kind % 4 {
            0 => Packet::Auth(Notice { code: 0x18, props }),
            1 => Packet::Auth(Notice { code: 0, props }),
            2 => Packet::Disconnect(Notice { code, props: Props::NONE }),
            _ => Packet::PingResp,
        };
        self.says(&packet);
    }

    // What must hold.

    fn check(&mut self) {
        let found = self.client.oracle.violations();
        assert!(found.is_empty(), "{found:#?}");
        let machine = &self.client.machine;
        assert!(machine.output().len() <= OUTGOING, "{} bytes", machine.output().len());
        assert!(machine.in_flight() <= self.profile.in_flight.max(4)); // or what is fixed
        self.check_deadlines();
    }

    /// A deadline that has passed is gone once the client was told, and asked.
    fn check_deadlines(&mut self) {
        let is_late =
            |run: &Self| run.client.machine.poll_timeout().is_some_and(|next| next <= run.now);
        // One may lead to another: to come back at once, say.
        for _ in 0..3 {
            if !is_late(self) {
                return;
            }
            self.client.timeout(self.now);
            self.transport();
            self.events(usize::MAX);
        }
        assert!(!is_late(self), "{:?}", self.client.machine.poll_timeout());
    }
}
