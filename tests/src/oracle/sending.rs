//! The client as a sender: identifiers, DUP, resends, PUBREL, the window.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;
use super::ledger::{Ledger, Message};
use super::link::Link;
use super::stored::Stored;
use crate::wire::Publish;

/// The bit that says that a PUBLISH may have been sent before.
const DUP: u8 = 8;

#[derive(Debug)]
struct Flight {
    message: usize,
    qos: u8,
    /// As it was sent first, without DUP.
    frame: Vec<u8>,
    /// The connection on which it was sent last.
    link: u64,
    /// Whether its PUBREC was seen.
    released: bool,
}

#[derive(Debug)]
enum Slot {
    Message(Flight),
    Request,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sending {
    fails_unknown: bool,
    link: u64,
    window: u32,
    /// What each identifier in use stands for.
    slots: BTreeMap<u16, Slot>,
    /// Those past their PUBREC, in the order of their PUBRECs.
    releases: Vec<u16>,
    /// PUBRELs that must be sent on this connection, in order.
    due: Vec<u16>,
    /// PUBRELs that may be sent besides: for a PUBREC that came twice, or out of nothing.
    strays: Vec<u16>,
    /// Requests that were answered before they left.
    early: BTreeSet<u16>,
    /// The last message that left on this connection, and the last above QoS 0.
    last: Option<usize>,
    last_owed: Option<usize>,
    /// Beginnings of PUBLISH packets of which the rest did not leave.
    fragments: Vec<Vec<u8>>,
}

impl Sending {
    pub(super) const fn new(fails_unknown: bool) -> Self {
        Self {
            fails_unknown,
            link: 0,
            window: 0,
            slots: BTreeMap::new(),
            releases: Vec::new(),
            due: Vec::new(),
            strays: Vec::new(),
            early: BTreeSet::new(),
            last: None,
            last_owed: None,
            fragments: Vec::new(),
        }
    }

    // What the client sent.

    /// Whether its record must have been kept: it left for the first time above QoS 0, and is not
    /// streamed, which no store can keep.
    pub(super) fn publish(
        &mut self,
        frame: &[u8],
        publish: &Publish,
        topic: &[u8],
        link: &Link,
        ledger: &mut Ledger,
    ) -> Result<bool, String> {
        let Some(index) = ledger.find(&publish.payload) else {
            return Err(format!("a message that nobody published: {publish:?}"));
        };
        let message = ledger.message(index);
        check_content(message, publish, topic)?;
        // What is streamed again has to wait for the application; QoS 0 does not wait for it.
        let last = if message.streamed { self.last_owed } else { self.last };
        let behind = last.filter(|last| *last >= index);
        self.last = self.last.max(Some(index));
        if publish.qos > 0 {
            self.last_owed = Some(index);
        }
        if publish.qos == 0 {
            if std::mem::replace(&mut message.sent, true) {
                return Err("QoS 0 sent twice".into());
            }
            return check_order(index, behind).map(|()| false);
        }
        let masked = masked(frame);
        let first = match self.slots.get_mut(&publish.id) {
            Some(Slot::Message(flight)) if flight.message == index => {
                check_resend(flight, publish, &masked, link.number)?;
                flight.link = link.number;
                false
            }
            Some(_) => return Err(format!("identifier {} is in use", publish.id)),
            None => {
                self.check_first(index, message, publish, &masked)?;
                let flight = Flight {
                    message: index,
                    qos: publish.qos,
                    frame: masked,
                    link: link.number,
                    released: false,
                };
                self.slots.insert(publish.id, Slot::Message(flight));
                true
            }
        };
        message.sent = true;
        check_order(index, behind)?;
        let used = self.flights().filter(|flight| flight.link == self.link || flight.released);
        let used = used.count();
        if used > self.window as usize {
            return Err(format!("{used} in flight, Receive Maximum is {}", self.window));
        }
        Ok(first && !message.streamed)
    }

    fn check_first(
        &self,
        index: usize,
        message: &Message,
        publish: &Publish,
        masked: &[u8],
    ) -> Verdict {
        if message.received && !message.restored {
            return Err("published though its PUBREC was seen".into());
        }
        if (message.acked.is_some() || message.ended.is_some()) && !message.restored {
            return Err("published though it is settled".into());
        }
        if message.orphaned && publish.qos == 2 && self.fails_unknown && !message.restored {
            return Err("QoS 2 published to a new session though it had left".into());
        }
        if self.flights().any(|flight| flight.message == index) {
            return Err("published under a second identifier".into());
        }
        let begun = self.fragments.iter().any(|fragment| masked.starts_with(fragment));
        let head = 9 + publish.topic.len(); // enough of it to be no other packet's
        let surely = self
            .fragments
            .iter()
            .any(|fragment| fragment.len() >= head && masked.starts_with(fragment));
        match publish.dup {
            true if !begun && !message.restored => Err("DUP though nothing of it had left".into()),
            false if surely => Err("no DUP though a part of it had left".into()),
            _ => Ok(()),
        }
    }

    /// A SUBSCRIBE or UNSUBSCRIBE left.
    pub(super) fn request(&mut self, id: u16, link: u64) -> Verdict {
        if self.early.remove(&id) {
            return Ok(());
        }
        self.link = link;
        match self.slots.insert(id, Slot::Request) {
            Some(_) => Err(format!("identifier {id} is in use")),
            None => Ok(()),
        }
    }

    pub(super) fn pubrel(&mut self, id: u16) -> Verdict {
        if self.due.first() == Some(&id) {
            self.due.remove(0);
            return Ok(());
        }
        if let Some(at) = self.strays.iter().position(|stray| *stray == id) {
            self.strays.remove(at);
            return Ok(());
        }
        if self.due.contains(&id) {
            return Err(format!("PUBREL {id} before {}", self.due[0])); // [MQTT5-4.6.0-4]
        }
        Err(format!("PUBREL {id} without PUBREC, or twice"))
    }

    /// Whether a message of this identifier is past its PUBREC.
    pub(super) fn is_released(&self, id: u16) -> bool {
        self.releases.contains(&id)
    }

    // What the client took in.

    pub(super) fn puback(&mut self, id: u16, code: u8, ledger: &mut Ledger) {
        if let Some(Slot::Message(flight)) = self.slots.get(&id)
            && flight.qos == 1
            && flight.link == self.link
        {
            ledger.message(flight.message).acked = Some(code);
            self.slots.remove(&id);
        }
    }

    pub(super) fn pubrec(&mut self, id: u16, code: u8, ledger: &mut Ledger) {
        match self.slots.get_mut(&id) {
            Some(Slot::Message(flight)) if flight.qos == 2 && !flight.released => {
                if flight.link != self.link {
                    return;
                }
                let message = ledger.message(flight.message);
                if code >= 0x80 {
                    message.acked = Some(code);
                    self.slots.remove(&id);
                } else {
                    message.received = true;
                    flight.released = true;
                    self.releases.push(id);
                    self.due.push(id);
                }
            }
            _ => self.strays.push(id),
        }
    }

    pub(super) fn pubcomp(&mut self, id: u16, ledger: &mut Ledger) {
        if let Some(Slot::Message(flight)) = self.slots.get(&id)
            && flight.released
        {
            ledger.message(flight.message).acked = Some(0);
            self.slots.remove(&id);
            self.releases.retain(|release| *release != id);
            // A PUBREL that is on its way still leaves.
            let due = self.due.len();
            self.due.retain(|release| *release != id);
            if self.due.len() < due {
                self.strays.push(id);
            }
        }
    }

    /// A SUBACK or UNSUBACK.
    pub(super) fn answered(&mut self, id: u16) {
        if matches!(self.slots.get(&id), Some(Slot::Request)) {
            self.slots.remove(&id);
        } else {
            self.early.insert(id);
        }
    }

    /// The application was told that nothing more comes of a message. Its identifier is free at QoS
    /// 1; at QoS 2 the server may know it, and take the next message for this one.
    pub(super) fn given_up(&mut self, message: usize) {
        self.slots.retain(|_, slot| match slot {
            Slot::Message(flight) => flight.message != message || flight.qos == 2,
            Slot::Request => true,
        });
    }

    // Connections and sessions.

    pub(super) fn link_lost(&mut self, unfinished: &[u8]) {
        self.slots.retain(|_, slot| matches!(slot, Slot::Message(_)));
        self.due.clear();
        self.strays.clear();
        self.early.clear();
        (self.last, self.last_owed) = (None, None);
        let is_publish = unfinished.first().is_some_and(|first| first >> 4 == 3 && first & 6 != 0);
        if is_publish {
            self.fragments.push(masked(unfinished));
        }
    }

    /// The server goes on with the session.
    pub(super) fn resumed(&mut self, (link, window): (u64, u32)) {
        (self.link, self.window) = (link, window);
        self.due = self.releases.clone();
    }

    /// The server has no session.
    pub(super) fn lost(&mut self, (link, window): (u64, u32), ledger: &mut Ledger) {
        (self.link, self.window) = (link, window);
        for flight in std::mem::take(&mut self.slots).into_values() {
            if let Slot::Message(flight) = flight {
                ledger.message(flight.message).orphaned = true;
                ledger.message(flight.message).sent = false;
            }
        }
        self.releases.clear();
        self.due.clear();
        self.fragments.clear();
    }

    /// The client died: what the store has is what is left.
    pub(super) fn crashed(&mut self, stored: &Stored, ledger: &Ledger) {
        let before = std::mem::take(&mut self.slots);
        self.releases = stored.releases();
        for (id, message, frame) in stored.publishes() {
            let released = stored.has_release(id);
            let was_sent = ledger.messages()[message].sent
                || matches!(before.get(&id), Some(Slot::Message(_)));
            if was_sent || released {
                let qos = frame[0] >> 1 & 3;
                let flight = Flight { message, qos, frame: masked(frame), link: 0, released };
                self.slots.insert(id, Slot::Message(flight));
            }
        }
        for (id, message) in stored.bare_releases() {
            let flight = Flight { message, qos: 2, frame: Vec::new(), link: 0, released: true };
            self.slots.insert(id, Slot::Message(flight));
        }
    }

    pub(super) const fn fails_unknown(&self) -> bool {
        self.fails_unknown
    }

    pub(super) fn unsettled(&self) -> Option<String> {
        (!self.due.is_empty()).then(|| format!("PUBREL is owed for {:?}", self.due))
    }

    fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.slots.values().filter_map(|slot| match slot {
            Slot::Message(flight) => Some(flight),
            Slot::Request => None,
        })
    }
}

fn masked(frame: &[u8]) -> Vec<u8> {
    let mut masked = frame.to_vec();
    if let Some(first) = masked.first_mut() {
        *first &= !DUP;
    }
    masked
}

fn check_content(message: &Message, publish: &Publish, topic: &[u8]) -> Verdict {
    let same = message.topic.as_bytes() == topic
        && message.qos == publish.qos
        && message.retain == publish.retain;
    if same { Ok(()) } else { Err(format!("{message:?} left as {publish:?}")) }
}

/// [MQTT5-4.6.0-1]
fn check_order(index: usize, behind: Option<usize>) -> Verdict {
    match behind {
        Some(last) => Err(format!("message {index} behind message {last}")),
        None => Ok(()),
    }
}

fn check_resend(flight: &Flight, publish: &Publish, masked: &[u8], link: u64) -> Verdict {
    if flight.released {
        return Err(format!("PUBLISH {} behind its PUBREC", publish.id)); // [MQTT5-4.3.3-6]
    }
    if flight.link == link {
        return Err("sent again on the same connection".into()); // [MQTT5-4.4.0-1]
    }
    if !publish.dup {
        return Err("sent again without DUP".into()); // [MQTT5-3.3.1-1, MQTT3-3.3.1-1]
    }
    if flight.frame != masked {
        return Err(format!("sent again as another packet: {publish:?}"));
    }
    Ok(())
}
