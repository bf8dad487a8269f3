//! The outbox against a model that holds a vector for each packet.
//!
//! What is ready to leave must be the same, byte for byte, after every operation; nothing that is
//! still owed may be lost; and there must be room for exactly as much as the living bytes leave.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::{Dice, id};
use crate::codec::publish_packet_id;
use crate::flow::outbox::{Outbox, Place};
use crate::flow::packets::{is_dup, is_publish, set_dup};
use crate::storage::{FixedMemory, Full, HeapMemory, Memory};
use crate::types::PacketId;

/// A packet that is ready or was sent.
#[derive(Clone, Debug)]
struct Flying {
    bytes: Vec<u8>,
    /// Whether it stays until it is settled.
    owed: bool,
}

#[derive(Default)]
struct Model {
    kept: Vec<u8>,
    flying: Vec<Flying>,
    /// The bytes of a streamed payload that have not all left.
    raw: Option<Vec<u8>>,
    /// How many bytes of what flies, the payload last, have left.
    sent: usize,
    waiting: Vec<Vec<u8>>,
}

impl Model {
    fn flying_len(&self) -> usize {
        self.flying.iter().map(|packet| packet.bytes.len()).sum()
    }

    fn output(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            self.flying.iter().flat_map(|packet| packet.bytes.clone()).collect();
        bytes.extend(self.raw.iter().flatten());
        bytes.split_off(self.sent)
    }

    /// How many bytes can't be given up.
    fn living(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(Vec::len).sum();
        let raw = self.raw.as_ref().map_or(0, Vec::len);
        self.kept.len() + self.flying_len() + raw + waiting
    }

    /// Forgets what has left and is not owed.
    fn forget_dead(&mut self) {
        let mut at = 0;
        let sent = self.sent;
        self.flying.retain(|packet| {
            at += packet.bytes.len();
            let dead = at <= sent && !packet.owed;
            self.sent -= if dead { packet.bytes.len() } else { 0 };
            !dead
        });
    }

    fn written(&mut self, len: usize) {
        let output = self.output().len();
        self.sent += len.min(output);
        if len >= output
            && let Some(raw) = &mut self.raw
        {
            self.sent -= raw.len();
            raw.clear();
        }
        self.forget_dead();
    }

    /// The identifiers of PUBLISH packets of which something has left.
    fn unsettled(&self) -> Vec<PacketId> {
        let mut at = 0;
        let begun = self.flying.iter().filter(|packet| {
            let begins = at;
            at += packet.bytes.len();
            packet.owed && begins < self.sent
        });
        begun.filter_map(|packet| publish_packet_id(&packet.bytes)).collect()
    }

    fn settle(&mut self, id: PacketId) {
        let mut flying = self.flying.iter_mut();
        let owed =
            flying.find(|packet| packet.owed && publish_packet_id(&packet.bytes) == Some(id));
        if let Some(packet) = owed {
            packet.owed = false;
        }
        self.forget_dead();
    }

    /// What is no PUBLISH waited for the end of a payload only.
    fn promote_others(&mut self) {
        let (waiting, others) = self.waiting.drain(..).partition(|packet| is_publish(packet));
        self.waiting = waiting;
        let others: Vec<Vec<u8>> = others;
        self.flying.extend(others.into_iter().map(|bytes| Flying { bytes, owed: false }));
    }

    /// Returns how many QoS 0 messages were dropped.
    fn lose(&mut self) -> usize {
        let (mut at, mut dropped, mut again) = (0, 0, Vec::new());
        for mut packet in core::mem::take(&mut self.flying) {
            let begins = at;
            at += packet.bytes.len();
            if packet.owed {
                if begins < self.sent {
                    set_dup(&mut packet.bytes, true);
                }
                again.push(packet.bytes);
            } else if packet.bytes[0] & 0xF6 == 0x30 && at > self.sent {
                dropped += 1;
            }
        }
        again.extend(self.waiting.drain(..).filter(|packet| is_publish(packet)));
        self.waiting = again;
        (self.sent, self.raw) = (0, None);
        dropped
    }
}

/// A run: both, and where the choices come from.
struct Run<M> {
    outbox: Outbox<M>,
    model: Model,
    places: BTreeMap<Option<PacketId>, Place>,
    dice: Dice,
    limit: usize,
    next_id: u16,
}

impl<M: Memory> Run<M> {
    fn new(limit: usize, seed: u64) -> Self {
        let mut outbox = Outbox::EMPTY;
        outbox.set_limit(limit);
        Self {
            outbox,
            model: Model::default(),
            places: BTreeMap::new(),
            dice: Dice::new(seed),
            limit,
            next_id: 0,
        }
    }

    fn payload(&mut self, most: usize) -> Vec<u8> {
        let len = self.dice.roll(0..most);
        // Some look like packets: zeros, and a PUBLISH of the last identifier.
        let [high, low] = self.next_id.to_be_bytes();
        let publish = [0x32, 5, 0, 1, b't', high, low];
        match self.dice.roll(0..4) {
            0 => publish.into_iter().cycle().take(len).collect(),
            1 => [0; 300][..len].to_vec(),
            _ => (0..len).map(|_| self.dice.roll(0..256) as u8).collect(),
        }
    }

    fn publish(&mut self, qos: u8) -> Vec<u8> {
        let mut body = std::vec![0, 1, b't'];
        if qos != 0 {
            self.next_id = self.next_id % 60_000 + 1;
            body.extend(self.next_id.to_be_bytes());
        }
        let most = if self.dice.one_in(6) { 200 } else { 20 };
        body.extend(self.payload(most));
        let mut packet = std::vec![0x30 | qos << 1];
        match body.len() {
            len @ 0..128 => packet.push(len as u8),
            len => packet.extend([(len % 128) as u8 | 0x80, (len / 128) as u8]),
        }
        packet.extend(body);
        packet
    }

    fn any_packet(&mut self) -> Vec<u8> {
        match self.dice.roll(0..4) {
            0 => std::vec![0x40, 2, 0, 9],
            1 => std::vec![0xC0, 0],
            _ => self.publish(0),
        }
    }

    /// Whether both say that there is room.
    fn has_room(&mut self, len: usize) -> bool {
        let expected = self.model.living() + len <= self.limit;
        assert_eq!(self.outbox.has_room(len), expected, "room for {len} bytes");
        expected
    }

    fn push(&mut self) {
        let (packet, owed) = match self.dice.roll(0..3) {
            0 => (self.any_packet(), false),
            _ => {
                let qos = self.dice.roll(1..3) as u8;
                (self.publish(qos), true)
            }
        };
        if !self.has_room(packet.len()) {
            return;
        }
        let streaming = self.model.raw.is_some();
        let wait = owed && (streaming || self.dice.one_in(2));
        let out = match (wait, owed) {
            (true, _) => self.outbox.push_waiting(packet.len()),
            (_, true) => self.outbox.push_ready_publish(packet.len()).map(|(place, out)| {
                self.places.insert(publish_packet_id(&packet), place);
                out
            }),
            _ => self.outbox.push_ready(packet.len()),
        };
        out.unwrap().copy_from_slice(&packet);
        if wait || streaming {
            self.model.waiting.push(packet);
        } else {
            self.model.flying.push(Flying { bytes: packet, owed });
        }
    }

    fn promote(&mut self) {
        if self.model.raw.is_none() {
            let place = self.outbox.promote();
            if !self.model.waiting.is_empty() {
                let bytes = self.model.waiting.remove(0);
                self.places.insert(publish_packet_id(&bytes), place);
                let owed = is_publish(&bytes) && bytes[0] & 0x06 != 0;
                self.model.flying.push(Flying { bytes, owed });
            }
        }
    }

    fn write(&mut self) {
        let output = self.model.output().len();
        let len = if self.dice.one_in(3) { output } else { self.dice.roll(0..output + 1) };
        self.outbox.written(len);
        if len != 0 {
            self.model.written(len);
        }
    }

    fn keep(&mut self) {
        let len = self.dice.roll(1..20);
        if self.has_room(len) && self.model.kept.len() < 60 {
            let bytes = self.payload(2).repeat(len)[..].to_vec();
            self.outbox.push_kept(bytes.len()).unwrap().copy_from_slice(&bytes);
            self.model.kept.extend(bytes);
        }
    }

    /// A request, and what is kept of it: room for both is made sure of before.
    fn push_and_keep(&mut self) {
        let (packet, len) = (self.any_packet(), self.dice.roll(1..20));
        if self.model.raw.is_some() || !self.has_room(packet.len() + len) {
            return;
        }
        self.outbox.push_ready(packet.len()).unwrap().copy_from_slice(&packet);
        self.model.flying.push(Flying { bytes: packet, owed: false });
        self.outbox.push_kept(len).unwrap().fill(7);
        self.model.kept.resize(self.model.kept.len() + len, 7);
    }

    fn unkeep(&mut self) {
        let start = self.dice.roll(0..self.model.kept.len() + 1);
        let end = self.dice.roll(start..self.model.kept.len() + 1);
        self.outbox.remove_kept(start..end);
        self.model.kept.drain(start..end);
    }

    fn lose(&mut self) {
        let mut dropped = 0;
        self.outbox.lose(|| dropped += 1);
        assert_eq!(self.model.lose(), dropped);
    }

    /// Begins, goes on with, or ends a streamed payload.
    fn stream(&mut self) {
        match &self.model.raw {
            None if self.model.waiting.is_empty() => {
                self.outbox.begin_raw();
                self.model.raw = Some(Vec::new());
            }
            None => {}
            Some(_) if self.dice.one_in(4) => {
                let over = self.outbox.end_raw();
                assert_eq!(over, self.model.output().is_empty());
                if over {
                    self.model.raw = None;
                    self.model.promote_others();
                }
            }
            Some(_) => {
                let bytes = self.payload(40);
                if self.has_room(bytes.len()) {
                    let out = self.outbox.push_raw(bytes.len()).unwrap();
                    out.copy_from_slice(&bytes);
                    self.model.raw.as_mut().unwrap().extend(bytes);
                }
            }
        }
    }

    fn change_waiting(&mut self) {
        if self.dice.one_in(2) {
            let dropped = self.outbox.drop_waiting(|packet| !is_dup(packet));
            let at = self.model.waiting.iter().position(|packet| !is_dup(packet));
            let packet = at.map(|at| self.model.waiting.remove(at));
            assert_eq!(dropped, packet.map(|packet| publish_packet_id(&packet)));
            return;
        }
        let odd = self.dice.roll(0..5);
        let rule = |packet: &mut [u8]| {
            set_dup(packet, is_publish(packet) && packet[1].is_multiple_of(2));
            packet.len() % 5 != odd
        };
        self.outbox.retain_waiting(rule);
        self.model.waiting.retain_mut(|packet| rule(packet));
    }

    fn settle(&mut self) {
        let unsettled = self.model.unsettled();
        // Mostly the oldest; now and then one that is not there.
        let some = match self.dice.roll(0..6) {
            0 => Some(id(60_001)),
            1 => self.dice.pick(&unsettled),
            _ => unsettled.first().copied(),
        };
        if let Some(id) = some {
            // Of some the place is not known any more, or never was.
            let place = self.places.get(&Some(id)).copied().unwrap_or_default();
            if let Some(at) = self.outbox.find(id, place) {
                self.outbox.settle(at);
            }
            self.model.settle(id);
        }
    }

    fn operate(&mut self) {
        match self.dice.roll(0..40) {
            0..12 => self.push(),
            12..17 => self.promote(),
            17..24 => self.write(),
            24..30 => self.settle(),
            30..34 => self.stream(),
            34 if self.dice.one_in(2) => self.push_and_keep(),
            34 => self.keep(),
            35 => self.unkeep(),
            36 => self.change_waiting(),
            37 if self.dice.one_in(3) => self.lose(),
            38 if self.dice.one_in(20) => {
                self.outbox.clear();
                self.model = Model { kept: self.model.kept.clone(), ..Model::default() };
            }
            _ => {
                let len = self.dice.roll(0..self.limit);
                self.has_room(len);
            }
        }
    }

    fn assert_agree(&self, at: &str) {
        let Self { outbox, model, .. } = self;
        assert_eq!(outbox.kept(), model.kept, "{at}");
        assert_eq!(outbox.output(), model.output(), "{at}");
        assert_eq!(outbox.has_output(), !model.output().is_empty(), "{at}");
        assert_eq!(outbox.is_streaming(), model.raw.is_some(), "{at}");
        assert_eq!(outbox.has_waiting(), !model.waiting.is_empty(), "{at}");
        assert_eq!(outbox.first_waiting(), model.waiting.first().map(Vec::as_slice), "{at}");
        assert!(outbox.each_waiting().eq(model.waiting.iter()), "{at}");
        assert_eq!(outbox.most_room(), self.limit - model.kept.len(), "{at}");
        let flying = model.flying.iter().filter(|packet| packet.owed).map(|packet| &packet.bytes);
        for packet in flying.chain(&model.waiting) {
            if let Some(id) = publish_packet_id(packet) {
                assert_eq!(outbox.publish(id), Some(packet.as_slice()), "{at}");
            }
        }
    }
}

fn outbox_agrees_with_the_model<M: Memory>(limit: usize, seeds: u64) {
    for seed in 0..seeds {
        let mut run = Run::<M>::new(limit, seed);
        for step in 0..400 {
            run.operate();
            run.assert_agree(&std::format!("limit {limit}, seed {seed}, step {step}"));
        }
        run.outbox.clear_all();
        run.model = Model::default();
        run.assert_agree("at last");
        assert!(run.outbox.has_room(limit) && !run.outbox.has_room(limit + 1));
    }
}

#[test]
fn the_outbox_agrees_with_a_model_under_pressure() {
    outbox_agrees_with_the_model::<FixedMemory<128>>(128, 100);
    outbox_agrees_with_the_model::<FixedMemory<512>>(512, 60);
}

#[test]
fn the_outbox_agrees_with_a_model_with_plenty_of_room() {
    outbox_agrees_with_the_model::<HeapMemory>(512, 40);
    outbox_agrees_with_the_model::<HeapMemory>(8_000, 15);
}

#[test]
fn a_packet_can_be_written_from_what_is_kept() {
    for waiting in [false, true] {
        let mut outbox = Outbox::<FixedMemory<64>>::EMPTY;
        outbox.push_kept(3).unwrap().copy_from_slice(b"abc");
        if waiting {
            outbox.push_waiting(2).unwrap().copy_from_slice(&[0xC0, 0]);
        }
        let written = outbox.push_ready_from_kept(5, |kept, out| {
            out[..2].copy_from_slice(&[0x30, 3]);
            out[2..].copy_from_slice(kept);
            kept.len()
        });
        assert_eq!(written, Ok(3));
        assert_eq!(outbox.output(), b"\x30\x03abc");
        assert_eq!(outbox.push_ready_from_kept(65, |_, _| ()), Err(Full));
    }
}

#[test]
fn what_was_refused_for_want_of_room_changes_nothing() {
    let mut outbox = Outbox::<FixedMemory<8>>::EMPTY;
    outbox.push_ready(4).unwrap().copy_from_slice(&[0x40, 2, 0, 1]);
    assert!(outbox.push_ready(5).is_err());
    assert!(outbox.push_ready_publish(5).is_err());
    assert!(outbox.push_waiting(5).is_err());
    assert!(outbox.push_kept(5).is_err());
    outbox.written(4);
    assert!(outbox.has_room(8), "and nothing is owed");
}

#[test]
fn memory_is_given_back_without_being_asked_for() {
    let mut outbox = Outbox::<FixedMemory<1200>>::EMPTY;
    for number in 1..=10_000_u16 {
        let [high, low] = number.to_be_bytes();
        let packet = [0x32, 8, 0, 1, b't', high, low, 0, 0, 0];
        let pushed = outbox.push_ready_publish(10);
        let (_, out) = pushed.expect("room for 20 messages six times over");
        out.copy_from_slice(&packet);
        outbox.written(10);
        if let Some(settled) = number.checked_sub(20).and_then(PacketId::new) {
            let at = outbox.find(settled, Place::default()).expect("one of the last 20");
            outbox.settle(at);
        }
    }
}
