//! The client as a receiver: what it owes for each message, and what it told the application.

use std::collections::{BTreeMap, VecDeque};

use tamtam_core::client::AckToken;

use super::Verdict;
use super::stored::Stored;
use crate::happened::Received;
use crate::wire::{AckKind, Publish};

/// An acknowledgement that is owed for the message with this number.
#[derive(Debug)]
struct Due {
    serial: u64,
    id: u16,
}

/// A QoS 2 message whose PUBREL has not come.
#[derive(Debug)]
struct Held {
    serial: u64,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Untold {
    serial: u64,
    publish: Publish,
    topic: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    serial: u64,
    held: BTreeMap<u16, Held>,
    /// PUBACKs and PUBRECs owed, each in order of arrival; and PUBCOMPs.
    acks: VecDeque<Due>,
    recs: VecDeque<Due>,
    comps: Vec<u16>,
    /// Messages that came, of which the application must hear.
    untold: VecDeque<Untold>,
    /// Whether the application was told pieces of one, and not yet of its end.
    in_pieces: bool,
    tokens: Vec<(AckToken, u64)>,
    /// Messages that the application took over, and with which code.
    taken: BTreeMap<u64, u8>,
    /// How often the application got each payload.
    got: BTreeMap<Vec<u8>, u32>,
}

impl Receiving {
    pub(super) fn got(&self, payload: &[u8]) -> u32 {
        self.got.get(payload).copied().unwrap_or(0)
    }

    // What came.

    pub(super) fn publish(&mut self, publish: Publish, topic: Option<Vec<u8>>) -> Verdict {
        let Some(topic) = topic else {
            return Err("took in an alias that stands for nothing".into());
        };
        let id = publish.id;
        if publish.qos == 2
            && let Some(held) = self.held.get(&id)
        {
            self.recs.push_back(Due { serial: held.serial, id });
            return Ok(()); // it is known, and not told again [MQTT5-4.3.3-10]
        }
        self.serial += 1;
        let serial = self.serial;
        match publish.qos {
            1 => self.acks.push_back(Due { serial, id }),
            2 => {
                self.recs.push_back(Due { serial, id });
                self.held.insert(id, Held { serial, payload: publish.payload.clone() });
            }
            _ => {}
        }
        self.untold.push_back(Untold { serial, publish, topic });
        Ok(())
    }

    pub(super) fn pubrel(&mut self, id: u16) {
        let taken = self.held.get(&id).is_none_or(|held| self.taken.contains_key(&held.serial));
        if taken {
            self.held.remove(&id);
            self.comps.push(id);
        }
    }

    // What the application was told, and did.

    pub(super) fn told(&mut self, message: &Received) -> Verdict {
        self.in_pieces = false;
        let Some(Untold { serial, publish, topic }) = self.untold.pop_front() else {
            return Err(format!("a message that did not come: {message:?}"));
        };
        let same = topic == message.topic.as_bytes()
            && publish.payload == message.payload
            && publish.qos == message.qos
            && publish.retain == message.retain
            && publish.dup == message.dup;
        if !same {
            return Err(format!("{publish:?} was told as {message:?}"));
        }
        if publish.qos > 0 {
            self.tokens.push((message.ack, serial));
        }
        *self.got.entry(publish.payload).or_default() += 1;
        Ok(())
    }

    /// The application was told of a piece of a message.
    pub(super) const fn told_piece(&mut self) {
        self.in_pieces = true;
    }

    /// All that came was told.
    pub(super) fn check_told(&self) -> Verdict {
        match self.untold.front().filter(|_| !self.in_pieces) {
            Some(untold) => Err(format!("nobody was told of {:?}", untold.publish)),
            None => Ok(()),
        }
    }

    /// The connection ended: what came with its end was not taken in.
    pub(super) fn forget_untold(&mut self) {
        self.in_pieces = false;
        for untold in std::mem::take(&mut self.untold) {
            self.held.retain(|_, held| held.serial != untold.serial);
            self.acks.retain(|due| due.serial != untold.serial);
            self.recs.retain(|due| due.serial != untold.serial);
        }
    }

    pub(super) fn taken(&mut self, token: AckToken, code: u8) {
        let Some((_, serial)) = self.tokens.iter().rev().find(|(known, _)| *known == token) else {
            return;
        };
        self.taken.entry(*serial).or_insert(code);
        if code >= 0x80 {
            self.refused(*serial);
        }
    }

    /// A QoS 2 message that is refused was not got: it comes again, if the server does not hear of
    /// it.
    fn refused(&mut self, serial: u64) {
        let held = self.held.iter().find(|(_, held)| held.serial == serial);
        let Some((id, payload)) = held.map(|(id, held)| (*id, held.payload.clone())) else {
            return;
        };
        if let Some(count) = self.got.get_mut(&payload) {
            *count = count.saturating_sub(1);
        }
        self.held.remove(&id); // what comes under it next is new [MQTT 5, 4.3.3]
    }

    // What the client sent.

    /// A PUBACK or PUBREC left.
    pub(super) fn acknowledged(&mut self, kind: AckKind, id: u16, code: u8) -> Verdict {
        let queue = if kind == AckKind::PubAck { &mut self.acks } else { &mut self.recs };
        let Some(front) = queue.front() else {
            return Err(format!("{kind:?} {id} for nothing"));
        };
        if front.id != id {
            return Err(format!("{kind:?} {id} before {}", front.id)); // [MQTT5-4.6.0-2, -3]
        }
        match self.taken.get(&front.serial) {
            None => return Err(format!("{kind:?} {id} before the application took the message")),
            Some(taken) if *taken != code => {
                return Err(format!("{kind:?} {id} with {code:#x} instead of {taken:#x}"));
            }
            Some(_) => {}
        }
        queue.pop_front();
        Ok(())
    }

    pub(super) fn pubcomp(&mut self, id: u16) -> Verdict {
        match self.comps.iter().position(|due| *due == id) {
            Some(at) => {
                self.comps.remove(at);
                Ok(())
            }
            None => Err(format!("PUBCOMP {id} without PUBREL")),
        }
    }

    // Connections and sessions.

    pub(super) fn link_lost(&mut self) {
        self.forget_untold();
        self.acks.clear();
        self.recs.clear();
        self.comps.clear();
    }

    pub(super) fn lost(&mut self) {
        self.held.clear();
    }

    /// The client died. What the application did with a message whose record was not kept is
    /// undone: both are one transaction.
    pub(super) fn crashed(&mut self, stored: &Stored) {
        self.tokens.clear();
        let held = std::mem::take(&mut self.held);
        for (id, held) in held {
            if stored.has_received(id) {
                self.held.insert(id, held);
            } else if let Some(count) = self.got.get_mut(&held.payload) {
                *count = count.saturating_sub(1);
            }
        }
        for id in stored.received() {
            if !self.held.contains_key(&id) {
                self.serial += 1;
                self.held.insert(id, Held { serial: self.serial, payload: Vec::new() });
            }
            let serial = self.held[&id].serial;
            self.taken.entry(serial).or_insert(0);
        }
    }

    pub(super) fn unsettled(&self) -> Option<String> {
        if let Some(untold) = self.untold.front() {
            return Some(format!("nobody was told of {:?}", untold.publish));
        }
        let queues = [("PUBACK", &self.acks), ("PUBREC", &self.recs)];
        for (name, queue) in queues {
            if let Some(front) = queue.front()
                && self.taken.contains_key(&front.serial)
            {
                return Some(format!("{name} {} is owed", front.id));
            }
        }
        (!self.comps.is_empty()).then(|| format!("PUBCOMP is owed for {:?}", self.comps))
    }
}
