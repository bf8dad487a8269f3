//! What a broker owes the session of a client, as far as the wire tells.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tamtam_core::Instant;

/// Who publishes, of all sessions; the host itself is nobody of them.
pub(super) type Who = usize;
/// The number of a topic, or of a filter.
pub(super) type Name = usize;

/// A subscription.
#[derive(Clone, Debug)]
pub(super) struct Sub {
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) as_published: bool,
    pub(super) id: u32,
    /// Since when it is like this.
    pub(super) pos: u64,
    /// Whether it may be there or not, or be another.
    pub(super) vague: bool,
}

/// A copy of a message that a session is to get.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) number: u64,
    pub(super) pos: u64,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) ids: Vec<u32>,
    /// Whether all this is known for sure.
    pub(super) certain: bool,
    /// Whether it may be missing, for a cause that the broker counts.
    pub(super) optional: Option<Cause>,
    /// Whether it may have been sent before, as a crash made the broker forget.
    pub(super) again: bool,
    pub(super) expires: Option<Instant>,
}

/// Why a copy may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The queue was full.
    Queue,
    /// A peer was lost when it was published: by the time that it came, the queue was full.
    Peer,
    /// The connection ended, or the broker crashed, and nobody was promised anything.
    Loss,
}

/// Where a message of the broker's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// PUBACK or PUBREC is to come.
    Sent,
    /// PUBREC came.
    Received,
    /// PUBREC may have come.
    Unsure,
    /// PUBREL was sent.
    Released,
}

/// A message on its way, above QoS 0.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) id: u16,
    /// 0 for one without a payload to know it by.
    pub(super) number: u64,
    pub(super) qos: u8,
    pub(super) stage: Stage,
    /// On which connection it, or its PUBREL, was sent last.
    pub(super) link: usize,
    /// When its PUBREC was taken.
    pub(super) pos: u64,
    /// When its message was taken.
    pub(super) born: u64,
    /// The filter of the group that it came through.
    pub(super) group: Option<Name>,
}

/// A QoS 2 message of the client's.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub(super) number: u64,
    pub(super) pos: u64,
    /// Whether PUBREC was sent.
    pub(super) told: bool,
}

/// A retained message that a session is to get.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) filter: Name,
    pub(super) qos: u8,
    pub(super) id: u32,
    pub(super) pos: u64,
    pub(super) optional: bool,
    /// Whether the subscription became another meanwhile.
    pub(super) replaced: bool,
    /// Whether it may have been sent before, as a crash made the broker forget.
    pub(super) again: bool,
}

/// A will that was told in CONNECT.
#[derive(Clone, Debug)]
pub(super) struct Will {
    pub(super) number: u64,
    pub(super) delay_secs: u32,
    pub(super) expiry_secs: Option<u32>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) name: Vec<u8>,
    pub(super) exists: bool,
    /// Whether the oracle can't know what there is.
    pub(super) vague: bool,
    /// When it changed last in a way that a crash may undo.
    pub(super) changed: u64,
    pub(super) link: Option<usize>,
    /// The largest packet that its client took last.
    pub(super) max_packet: usize,
    pub(super) expiry_secs: u32,
    pub(super) ends_at: Option<Instant>,
    pub(super) will: Option<Will>,
    pub(super) will_at: Option<Instant>,
    pub(super) subs: BTreeMap<Name, Sub>,
    /// The groups that it ever was in.
    pub(super) groups: BTreeSet<Name>,
    pub(super) pending: BTreeMap<(Who, Name), VecDeque<Copy>>,
    pub(super) waiting: usize,
    /// How many messages may be on their way to it that can't be told apart.
    pub(super) nameless: usize,
    /// Whether its queue was full since it was empty.
    pub(super) pressed: bool,
    /// Whether nothing that waits is sure to come.
    pub(super) doubted: bool,
    pub(super) flights: VecDeque<Flight>,
    /// Messages that were settled when a crash made that uncertain.
    pub(super) ghosts: Vec<Flight>,
    pub(super) received: BTreeMap<u16, Receipt>,
    /// The last first copy from each publisher and topic at each QoS.
    pub(super) last: BTreeMap<(Who, Name, u8), u64>,
    /// When the last live message to be retained on each topic was published.
    pub(super) last_live: BTreeMap<Name, u64>,
    pub(super) due: BTreeMap<Name, Vec<Due>>,
    /// How many of them there are.
    pub(super) dues: usize,
}

impl Session {
    /// All that belonged to it is gone.
    pub(super) fn clear(&mut self, pos: u64) {
        let name = std::mem::take(&mut self.name);
        let last = std::mem::take(&mut self.last); // order holds for clients
        *self = Self { name, last, changed: pos, ..Self::default() };
    }

    /// The message on its way with this identifier.
    pub(super) fn flight(&mut self, id: u16) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.id == id)
    }

    pub(super) fn take_flight(&mut self, id: u16) -> Option<Flight> {
        let at = self.flights.iter().position(|flight| flight.id == id)?;
        self.flights.remove(at)
    }

    /// What is at QoS 0 and was not seen does not outlive the connection.
    pub(super) fn lose_qos0(&mut self) {
        let mut lost = 0;
        for copies in self.pending.values_mut() {
            copies.retain(|copy| {
                lost += usize::from(copy.qos == 0);
                copy.qos != 0
            });
        }
        self.waiting -= lost;
        for dues in self.due.values_mut() {
            for due in dues {
                due.optional |= due.qos == 0;
            }
        }
    }

    /// What is at QoS 0 and may have been on its way need not come.
    pub(super) fn doubt_qos0(&mut self) {
        for copy in self.pending.values_mut().flatten().filter(|copy| copy.qos == 0) {
            copy.optional = Some(Cause::Loss);
        }
    }

    /// What waits may have been sent where nobody saw it.
    pub(super) fn doubt_dup(&mut self) {
        self.pending.values_mut().flatten().for_each(|copy| copy.again = true);
        self.due.values_mut().flatten().for_each(|due| due.again = true);
    }

    /// Nothing that waits is sure to come.
    pub(super) fn doubt(&mut self, cause: Cause) {
        if std::mem::replace(&mut self.doubted, true) {
            return;
        }
        for copy in self.pending.values_mut().flatten() {
            copy.optional.get_or_insert(cause);
        }
        for due in self.due.values_mut().flatten() {
            due.optional = true;
        }
    }

    pub(super) fn drop_waiting(&mut self, count: usize) {
        self.waiting -= count;
        if self.waiting == 0 {
            self.pressed = false;
        }
    }
}
