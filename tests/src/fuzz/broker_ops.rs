//! A broker in the hands of a fuzzer: several links, operations, time, a store, and bytes that are
//! anything.

use tamtam_core::broker::{Options, QueueFull};
use tamtam_core::{Heap, Storage, Version};

use super::bytes::Bytes;
use crate::broker::actor::{Actor, Manner};
use crate::broker::store;
use crate::broker::world::World;
use crate::dice::Dice;
use crate::wire::{Props, Publish, Will, id};

/// How many clients there are: the last of them says anything.
const CLIENTS: usize = 5;
/// The most operations in a run.
const MOST_OPS: usize = 200;

const TOPICS: [&str; 5] = ["a", "a/b", "a/b/c", "d", "$x/y"];
const FILTERS: [&str; 8] =
    ["a", "a/#", "+/b", "#", "$share/g/a/#", "$share/g/d", "a/+/c", "$share/h/+/b"];

/// What the last client says, with a byte of it changed.
const SAMPLES: [&[u8]; 16] = [
    b"\x30\x06\x00\x03a/bx",
    b"\x31\x07\x00\x01a\x00xyz",
    b"\x32\x08\x00\x01a\x00\x01\x00xy",
    b"\x34\x08\x00\x03a/b\x00\x02x",
    b"\x34\x0A\x00\x01d\x00\x03\x03\x23\x00\x01x",
    b"\x40\x02\x00\x01",
    b"\x50\x02\x00\x01",
    b"\x50\x03\x00\x02\x92",
    b"\x62\x02\x00\x02",
    b"\x70\x02\x00\x01",
    b"\x82\x06\x00\x05\x00\x01#\x02",
    b"\x82\x0D\x00\x06\x02\x0B\x07\x00\x05+/b/#\x21",
    b"\xA2\x05\x00\x07\x00\x01#",
    b"\xC0\x00",
    b"\xE0\x00",
    b"\xE0\x07\x04\x05\x11\x00\x00\x00\x00",
];

/// Drives a broker by a list of operations while the judge watches.
///
/// The input is: two bytes of options, a byte for each client, and operations, each a byte and what
/// it needs: see `Run::operate`.
///
/// # Panics
/// If a property does not hold: the judge finds nothing; nothing goes round in circles.
pub fn broker_ops(data: &[u8]) {
    run::<Heap>(data);
}

fn options(bytes: &mut Bytes<'_>) -> Options {
    let (flags, sizes) = (bytes.u8(), bytes.u8());
    let pick = |at: u8, choices: [usize; 4]| choices[usize::from(sizes >> at & 3)];
    Options {
        store: flags & 1 != 0,
        queue_qos0: flags & 2 != 0,
        queue_full: if flags & 4 != 0 { QueueFull::DropOldest } else { QueueFull::DropNewest },
        outgoing_aliases: if flags & 8 != 0 { 2 } else { 0 },
        topic_alias_maximum: if flags & 16 != 0 { 2 } else { 0 },
        send_window: if flags & 32 != 0 { 2 } else { 100 },
        receive_maximum: if flags & 64 != 0 { 2 } else { 100 },
        queue: pick(0, [1_000, 2, 10, 100]),
        output_bytes: pick(2, [100_000, 300, 1_000, 5_000]),
        max_packet_size: 2_000,
        max_connect_size: 1_000,
        ..Options::DEFAULT
    }
}

struct Run<S: Storage> {
    world: World<S>,
    next_number: u64,
}

fn run<S: Storage>(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let options = options(&mut bytes);
    let mut world = World::<S>::new(7, &options, store::Manner::default());
    for number in 0..CLIENTS {
        let kind = bytes.u8();
        let manner = Manner {
            window: [65_535, 1, 2, 5][usize::from(kind >> 2 & 3)],
            aliases: u16::from(kind >> 4 & 1) * 2,
            max_packet: u32::from(kind >> 5 & 1) * 60,
            keep_alive: u16::from(kind >> 6 & 1) * 5,
            holds_percent: u64::from(kind >> 7) * 100,
            refuses_percent: 0,
        };
        let version = Version::ALL[usize::from(kind & 3) % Version::ALL.len()];
        world.add(Actor::new(format!("c{number}"), version, manner, Dice::new(number as u64)));
    }
    let mut run = Run { world, next_number: 0 };
    for _ in 0..MOST_OPS {
        if bytes.rest().is_empty() {
            break;
        }
        run.operate(&mut bytes);
        run.world.settle();
        run.world.expect_right();
    }
    run.world.pass(100_000);
    run.world.check(false);
    run.world.expect_right();
}

impl<S: Storage> Run<S> {
    fn operate(&mut self, bytes: &mut Bytes<'_>) {
        let (operation, who) = (bytes.u8(), usize::from(bytes.u8()) % (CLIENTS - 1));
        match operation % 16 {
            0..=2 => self.publish(who, bytes),
            3 => {
                let (filter, options) = (bytes.pick(&FILTERS), bytes.u8());
                let shared = filter.starts_with('$') && filter.starts_with("$share");
                let qos = options % 3;
                let others = if shared { options & 8 } else { options & 12 };
                let handling = options >> 4 & 3;
                let options = qos | others | if handling < 3 { handling << 4 } else { 0 };
                let identifier = u32::from(bytes.u8() & 3);
                self.with_connected(who, |actor| actor.subscribe(&[(filter, options)], identifier));
            }
            4 => {
                let filter = bytes.pick(&FILTERS);
                self.with_connected(who, |actor| actor.unsubscribe(filter));
            }
            5 | 6 => self.connect(who, bytes),
            7 => {
                let (code, expiry) = (bytes.u8(), bytes.pick(&[None, Some(0), Some(3), Some(600)]));
                self.with_connected(who, |actor| {
                    let code = if code & 1 != 0 && actor.version.is_v5() { 4 } else { 0 };
                    actor.disconnect(code, expiry.filter(|_| code == 0));
                });
            }
            8 => self.world.cut(who, bytes.flag()),
            9 => {
                let most = usize::from(bytes.u8() % 8);
                self.with_connected(who, |actor| actor.acknowledge(most));
            }
            10 => {
                let until = self.world.now.plus_millis(u64::from(bytes.u8()) * 20);
                self.with_connected(who, |actor| actor.sleeps_until = until);
            }
            11 => self.world.pass(u64::from(bytes.u8()) * 10),
            12 => self.world.crash(usize::from(bytes.u8() % 3)),
            13 => self.world.fail_store(u64::from(bytes.u8())),
            14 => self.world.store_ms = (0, u64::from(bytes.u8() % 50)),
            _ => self.say_anything(bytes),
        }
    }

    fn with_connected(&mut self, who: usize, act: impl FnOnce(&mut Actor)) {
        if self.world.is_connected(who) {
            self.world.with_actor(who, |actor| {
                if !actor.left {
                    act(actor);
                }
            });
        }
    }

    fn next_payload(&mut self, len: u8) -> Vec<u8> {
        self.next_number += 1;
        let mut payload = format!("m{}.", self.next_number).into_bytes();
        payload.resize(payload.len() + usize::from(len), b'.');
        payload
    }

    fn publish(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let (kind, topic) = (bytes.u8(), bytes.pick(&TOPICS));
        let payload = self.next_payload(bytes.u8());
        let qos = kind & 3;
        let v5 = self.world.with_actor(who, |actor| actor.version.is_v5());
        let expires = v5 && kind & 16 != 0;
        let props = if expires { Props::NONE.with(id::MESSAGE_EXPIRY, 1) } else { Props::NONE };
        let retain = kind & 8 != 0;
        let clears = retain && kind & 32 != 0;
        let payload = if clears { Vec::new() } else { payload };
        let qos = if clears { 0 } else { qos.min(2) };
        let topic = topic.as_bytes().to_vec();
        let publish = Publish { qos, retain, topic, props, payload, ..Publish::default() };
        self.with_connected(who, |actor| actor.publish(publish));
    }

    fn connect(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let kind = bytes.u8();
        let expiry = [0, 3, 600, u32::MAX][usize::from(kind & 3)];
        let v5 = self.world.with_actor(who, |actor| actor.version.is_v5());
        let will = (kind & 4 != 0).then(|| {
            let payload = self.next_payload(0);
            let delay = u32::from(kind >> 4 & 3);
            let delayed = v5 && delay != 0;
            let props = if delayed { Props::NONE.with(id::WILL_DELAY, delay) } else { Props::NONE };
            let (qos, retain) = ((kind >> 6).min(2), kind & 8 != 0);
            Will { qos, retain, props, topic: b"a/b".to_vec(), payload }
        });
        if self.world.open(who) {
            let clean = kind & 3 == 0 || bytes.flag();
            self.world.with_actor(who, |actor| actor.connect(clean, expiry, will));
        }
    }

    /// The last client opens a line and says anything on it: proper packets with noise behind them,
    /// or noise alone.
    fn say_anything(&mut self, bytes: &mut Bytes<'_>) {
        let (who, kind) = (CLIENTS - 1, bytes.u8());
        if kind & 3 == 0 || !self.world.has_line(who) {
            self.world.open(who);
            if kind & 12 != 12 {
                self.world.with_actor(who, |actor| actor.connect(kind & 4 != 0, 600, None));
            }
            if kind & 8 != 0 {
                self.world.settle(); // a proper beginning
            }
        }
        self.world.distrust(who);
        let noise = if kind & 0x80 != 0 {
            let mut packet = bytes.pick(&SAMPLES).to_vec();
            let (at, change) = (usize::from(bytes.u8()) % packet.len(), bytes.u8());
            packet[at] ^= change;
            packet
        } else {
            bytes.take(usize::from(kind >> 4) * 2).to_vec()
        };
        self.world.with_actor(who, |actor| actor.tx.extend(noise));
    }
}
