//! Peers: several brokers that are one, as threads of a process or as machines of a network.
//!
//! Each broker keeps its own links and sessions, and tells every other what they want
//! (*interest*). A message goes to the peers that want it and no further; its publisher's
//! acknowledgement waits until each of them has it, as it waits for the store. Every broker keeps
//! all retained messages; of two for the same topic, the later one holds. A client's session is
//! kept by one broker: another one to which the client connects claims it, and it moves there. A
//! shared subscription's group is one group, wherever its members are, and each message goes to one
//! of them: it waits where it came as long as no member is connected, and goes on to the first peer
//! at which one is.
//!
//! While brokers can't reach each other a client may get a session at each. Once they can, the one
//! that it connected to last holds, and the others end: what waited in them is counted as dropped
//! with a session. A session that was on its way while its brokers parted stays where it was as
//! well. It counts as returned, for what waits in it may have arrived elsewhere already.
//!
//! What the brokers say to each other are [`PeerMessage`]s: values that can be sent to another
//! thread, or encoded for a network. The host carries them, in order for each pair of brokers, and
//! says which peers are there ([`Broker::handle_peer_joined`], [`Broker::handle_peer_lost`]). All
//! of them tell the time from the same moment on, as well as their clocks can. Peers are trusted,
//! and so must be the network between them.
//!
//! ```
//! use tamtam_core::broker::{Acceptance, Broker, Options, PeerId, PeerOptions, Post};
//! use tamtam_core::{Connect, Heap, Instant, Subscription, Text, TopicFilter, TopicName, Version};
//!
//! let now = Instant::from_millis(1);
//! let mut brokers = [1, 2].map(|number| {
//!     let mut broker = Broker::<Heap>::new();
//!     broker.start(&Options::DEFAULT, u64::from(number));
//!     broker.start_peers(&PeerOptions::new(PeerId(number)));
//!     broker
//! });
//! brokers[0].handle_peer_joined(PeerId(2), now);
//! brokers[1].handle_peer_joined(PeerId(1), now);
//! let carry = |brokers: &mut [Broker<Heap>; 2]| loop {
//!     let mut idle = true;
//!     for from in [0, 1] {
//!         while let Some((to, message)) = brokers[from].poll_peer() {
//!             brokers[to.0 as usize - 1].handle_peer(PeerId(from as u32 + 1), message, now);
//!             idle = false;
//!         }
//!     }
//!     if idle { break }
//! };
//! let hall = Connect::new(Version::V5, Text::new("hall")?);
//! let hall = brokers[0].attach(&hall, Acceptance::default(), now).expect("nothing against it");
//! carry(&mut brokers); // nobody else has a session of that name
//! brokers[0].subscribe_attached(hall, &Subscription::new(TopicFilter::new("light/#")?), 0, now);
//! carry(&mut brokers);
//! brokers[1].post(&Post::new(TopicName::new("light/7")?, b"on"), now);
//! carry(&mut brokers);
//! assert_eq!(brokers[0].next_message(hall, now).map(|message| message.payload), Some(&b"on"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it does not do: topics below `$SYS/` are each broker's own and not forwarded; a QoS 2
//! message is forwarded once its identifier is durable, so that a broker that crashes between the
//! two loses the copies for its peers. It needs memory that grows (the feature `alloc`): a broker
//! without a heap is always alone.

mod arriving;
mod batches;
mod claim;
mod epochs;
mod forward;
mod ghost;
mod handover;
mod interest;
mod message;
mod moved;
mod moving;
mod retained;
mod shared;
mod waiting;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

pub use message::PeerMessage;

use super::Broker;
use super::link::LinkId;
use crate::Instant;
use crate::storage::Storage;
use arriving::Arriving;
pub(super) use batches::Batch;
use batches::Batches;
use claim::{Claim, Given};
use forward::{Kept, Plan, Sent};
use ghost::{Ghost, Who};
use interest::{Own, Theirs};
use message::{Message, Stamp};
use moved::Moving;
use moving::Passed;

/// A broker among its peers, by a number that the host gave it and no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// What becomes of messages for a peer that is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerLost {
    /// They are kept for it, within [`PeerOptions::kept_bytes`], and their publishers get their
    /// acknowledgements meanwhile.
    #[default]
    Keep,
    /// They are kept for it, and acknowledgements wait until it is there again.
    Wait,
    /// They are dropped, and counted.
    Forget,
}

/// How a broker behaves towards its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerOptions {
    /// Which one of them it is.
    pub id: PeerId,
    /// What becomes of messages for a peer that is lost.
    pub lost: PeerLost,
    /// How many bytes of messages may wait for one peer. Input waits while more do for a peer that
    /// is there; for one that is lost, further ones are dropped, and counted.
    pub kept_bytes: usize,
}

impl PeerOptions {
    /// For a broker with this number: what is for a lost peer is kept, up to 64 MiB.
    #[must_use]
    pub const fn new(id: PeerId) -> Self {
        Self { id, lost: PeerLost::Keep, kept_bytes: 64 << 20 }
    }
}

/// A message to a peer, and the ticket of our store that it waits for.
#[derive(Debug)]
struct Out {
    after: u32,
    /// And what else, of peers.
    batches: Vec<Batch>,
    /// Whether it is dropped if that ticket fails.
    revocable: bool,
    message: Message,
}

/// What is known of a peer.
#[derive(Debug)]
struct Peer {
    id: PeerId,
    present: bool,
    /// Whether it is a loop of this process.
    near: bool,
    /// Whether it has told of all its sessions, and of all that they want, since it is there.
    told: bool,
    /// Its life, which ends when it forgets what it knew; 0 as long as it has not said.
    life: u64,
    /// The number of the last message that it forwarded to us.
    seen: u64,
    /// The number that it was given last, for what it is to confirm.
    ticket: u64,
    /// What is to be sent to it, in order; and what confirms messages of its own, beside that.
    out: VecDeque<Out>,
    answers: VecDeque<Out>,
    /// Sessions that move there, in no order.
    moves: VecDeque<Out>,
    /// What it has not confirmed.
    sent: VecDeque<Sent>,
    /// Bytes of what waits for it, or for its confirmation.
    bytes: usize,
}

/// A broker's part of what its peers and it are together.
#[derive(Debug)]
pub(super) struct Cluster {
    options: PeerOptions,
    life: u64,
    /// Goes on with every decision, and is never behind a peer's: later ones win.
    clock: u64,
    /// The number of the message that was forwarded last.
    seq: u64,
    peers: Vec<Peer>,
    /// Which of them is asked first for what it is to be sent.
    turn: usize,
    batches: Batches,
    /// What the packet that is handled has to wait for.
    current: Batch,
    own: BTreeMap<Vec<u8>, Own>,
    theirs: Theirs,
    /// Where the message that is routed goes, by peer.
    plan: Vec<Plan>,
    arriving: Option<Arriving>,
    /// The number of the message that is routed, 0 for none; and which one it is if it comes by way
    /// of a ghost.
    routed: u64,
    late: Option<(PeerId, u64)>,
    stamps: BTreeMap<Vec<u8>, Stamp>,
    epochs: BTreeMap<Vec<u8>, Stamp>,
    /// Since when the client that is accepted has waited for its session, if it has.
    accepting: Option<Stamp>,
    claims: BTreeMap<Vec<u8>, Claim>,
    /// What a QoS 2 message that may come again waits for: by session and identifier.
    received: BTreeMap<(u32, u32, u16), Batch>,
    /// Connections whose sets are settled, to be released.
    settled: Vec<LinkId>,
    /// Sessions that did not reach the peer that they were to move to.
    returned: Vec<Who>,
    ghosts: BTreeMap<Who, Ghost>,
    moving: BTreeMap<Who, Moving>,
    /// What sessions that came had got already of the retained messages that they are to get.
    passed: BTreeMap<Who, BTreeSet<Passed>>,
    /// Entries of groups that peers are to have, by what confirms that they do.
    handed: BTreeMap<(PeerId, u64), u32>,
    /// Whether input waits for peers.
    blocked: bool,
}

impl Cluster {
    fn find(&self, id: PeerId) -> Option<usize> {
        self.peers.binary_search_by_key(&id, |peer| peer.id).ok()
    }

    /// Later than all that is known of, and as late as the time, which peers that are parted share.
    fn stamp(&mut self, now: Instant) -> Stamp {
        self.clock = self.clock.saturating_add(1).max(now.as_millis());
        Stamp { clock: self.clock, peer: self.options.id.0 }
    }

    /// Something is to be sent to a peer, in order, once `after` is durable.
    fn send(&mut self, at: usize, after: u32, message: Message) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.bytes = peer.bytes.saturating_add(message.cost());
            peer.out.push_back(Out { after, batches: Vec::new(), revocable: false, message });
        }
    }

    /// A number for what a peer is to confirm; the packet that is handled waits for that.
    fn ticket(&mut self, at: usize) -> u64 {
        self.current = self.batches.add(self.current);
        let Some(peer) = self.peers.get_mut(at) else { return 0 };
        peer.ticket = peer.ticket.saturating_add(1);
        peer.sent.push_back(Sent { ticket: peer.ticket, batch: self.current, what: Kept::Nothing });
        peer.ticket
    }

    fn is_present(&self, at: usize) -> bool {
        self.peers.get(at).is_some_and(|peer| peer.present)
    }

    fn present(&self) -> impl Iterator<Item = usize> + use<> {
        let there: Vec<usize> = self
            .peers
            .iter()
            .enumerate()
            .filter_map(|(at, peer)| peer.present.then_some(at))
            .collect();
        there.into_iter()
    }
}

impl<S: Storage> Broker<S> {
    /// The broker is one of several. To be called once, after [`Broker::start`] and
    /// [`Broker::restored`]; the seed of a broker is not that of another, nor that of its own last
    /// life.
    pub fn start_peers(&mut self, options: &PeerOptions) {
        let mut theirs = Theirs::EMPTY;
        theirs.begin(self.random.next());
        self.cluster = Some(Box::new(Cluster {
            options: *options,
            life: self.random.next().max(1),
            clock: 0,
            seq: 0,
            peers: Vec::new(),
            turn: 0,
            batches: Batches::NONE,
            current: Batch::NONE,
            own: BTreeMap::new(),
            theirs,
            plan: Vec::new(),
            arriving: None,
            routed: 0,
            late: None,
            stamps: BTreeMap::new(),
            epochs: BTreeMap::new(),
            accepting: None,
            claims: BTreeMap::new(),
            received: BTreeMap::new(),
            settled: Vec::new(),
            returned: Vec::new(),
            ghosts: BTreeMap::new(),
            moving: BTreeMap::new(),
            passed: BTreeMap::new(),
            handed: BTreeMap::new(),
            blocked: false,
        }));
        self.count_interests();
    }

    /// A peer is there, perhaps again: what it says from now on comes in order, and nothing that it
    /// said before comes any more.
    pub fn handle_peer_joined(&mut self, id: PeerId, now: Instant) {
        self.handle_peer_lost(id, now);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let at = match cluster.peers.binary_search_by_key(&id, |peer| peer.id) {
            Ok(at) => at,
            Err(at) => {
                cluster.peers.insert(at, Peer::new(id));
                cluster.plan.push(Plan::default());
                at
            }
        };
        let Some(peer) = cluster.peers.get_mut(at) else { return };
        (peer.present, peer.told) = (true, false);
        let hello = Message::Hello { life: cluster.life, clock: cluster.clock };
        cluster.send(at, 0, hello);
        cluster.tell_interests(at);
        cluster.ask_newcomer(at);
        self.ask_for_marks(at);
        self.tell_epochs(at);
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.send(at, 0, Message::Ready);
        }
        self.tell_retained(at);
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.send_again(at);
        }
    }

    /// A peer can't be reached any more. What was on its way to it is lost, as far as it has not
    /// confirmed it, and [`PeerOptions::lost`] says what becomes of that.
    pub fn handle_peer_lost(&mut self, id: PeerId, now: Instant) {
        self.now = self.now.max(now);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(at) = cluster.find(id) else { return };
        let Some(peer) = cluster.peers.get_mut(at).filter(|peer| peer.present) else { return };
        peer.present = false;
        peer.answers.clear();
        peer.moves.clear();
        let dropped = cluster.lose(at);
        self.counters.dropped_peers = self.counters.dropped_peers.saturating_add(dropped);
        self.take_back_sessions();
        self.give_up_moves(id);
        self.give_up_claims(id);
        self.drop_ghosts();
        self.take_back_handed(id);
        self.release_settled();
        self.let_input_go();
    }

    /// A peer is lost, and will never be there again: nothing is kept for it.
    pub fn forget_peer(&mut self, id: PeerId, now: Instant) {
        self.handle_peer_lost(id, now);
        self.forget_marks(id);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(at) = cluster.find(id) else { return };
        let dropped = cluster.forget(at);
        cluster.peers.remove(at);
        cluster.plan.pop();
        self.counters.dropped_peers = self.counters.dropped_peers.saturating_add(dropped);
        self.take_back_handed(id);
        self.release_settled();
    }

    /// The next message for a peer. To be asked once a turn, until there is none.
    #[must_use]
    pub fn poll_peer(&mut self) -> Option<(PeerId, PeerMessage)> {
        let cluster = self.cluster.as_deref_mut()?;
        let count = cluster.peers.len();
        for _ in 0..count {
            let at = cluster.turn.checked_rem(count)?;
            let Some(peer) = cluster.peers.get_mut(at).filter(|peer| peer.present) else {
                cluster.turn = cluster.turn.wrapping_add(1);
                continue;
            };
            let journal = &self.journal;
            let batches = &cluster.batches;
            let is_due = |out: &Out| {
                let confirmed = out.batches.iter().all(|batch| batches.is_settled(*batch));
                confirmed && journal.is_durable(out.after)
            };
            let id = peer.id;
            if let Some(answer) = peer.answers.pop_front_if(|out| is_due(out)) {
                return Some((id, PeerMessage(answer.message)));
            }
            if let Some(at) = peer.moves.iter().position(is_due)
                && let Some(moving) = peer.moves.remove(at)
            {
                return Some((id, PeerMessage(moving.message)));
            }
            if let Some(out) = peer.out.pop_front_if(|out| is_due(out)) {
                peer.bytes = peer.bytes.saturating_sub(out.message.cost());
                self.let_input_go();
                return Some((id, PeerMessage(out.message)));
            }
            cluster.turn = cluster.turn.wrapping_add(1);
        }
        None
    }

    /// A peer said something.
    pub fn handle_peer(&mut self, from: PeerId, message: PeerMessage, now: Instant) {
        self.now = self.now.max(now);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(at) = cluster.find(from) else { return };
        if !cluster.peers.get(at).is_some_and(|peer| peer.present) {
            return; // it was lost meanwhile
        }
        match message.0 {
            Message::Hello { life, clock } => cluster.greet(at, life, clock),
            Message::Interest { filter, online, offline, ticket } => {
                cluster.theirs.set(from, &filter, online, offline);
                cluster.answer(at, (0, Batch::NONE), ticket, Vec::new());
                self.serve_named(&filter);
            }
            Message::Ready => cluster.handle_ready(at),
            Message::Forward(forward) => self.handle_forward(at, &forward),
            Message::Accepted { ticket, unserved } => self.handle_accepted(at, ticket, &unserved),
            Message::Claim(wanted) => self.handle_claim(at, *wanted),
            Message::Owned { client_id, epoch, seen, passed, records, ticket, confirm } => {
                let given = Given { peer: from, epoch, seen, passed, confirm, records };
                self.handle_owned(&client_id, ticket, given);
            }
            Message::Lost { client_id, ticket, denied } => {
                self.handle_claim_lost(at, &client_id, ticket, denied);
            }
            Message::Here { client_id, ticket } => self.handle_here(&client_id, from, ticket),
            Message::Moved { client_id, since, from, ticket, done, asked } => {
                self.handle_moved(at, (&client_id, since), (from, &asked), (ticket, done));
            }
            Message::Excused { client_id, since, peer } => {
                cluster.excuse(&client_id, since, peer);
            }
            Message::Passed { client_id, since } => self.handle_passed(at, &client_id, since),
            Message::Late(late) => self.handle_late(at, &late),
            Message::Discard { client_id, since } => self.handle_discard(at, &client_id, since),
            Message::Owns { client_id, epoch } => self.handle_owns(at, &client_id, epoch),
        }
        self.drop_ghosts();
        self.release_settled();
        self.check_journal();
    }

    /// How many of the peers are there.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        let peers = self.cluster.as_deref().map_or(&[][..], |cluster| &cluster.peers);
        peers.iter().filter(|peer| peer.present).count()
    }

    /// Whether so much waits for a peer that no more input should come.
    pub(super) fn peers_are_behind(&mut self) -> bool {
        let Some(cluster) = self.cluster.as_deref_mut() else { return false };
        let most = cluster.options.kept_bytes;
        let waits = cluster.options.lost == PeerLost::Wait;
        let mut peers = cluster.peers.iter();
        let behind = peers.any(|peer| (peer.present || waits) && peer.bytes > most);
        cluster.blocked |= behind;
        behind
    }

    /// Input that waited for peers can go on, if they have caught up.
    fn let_input_go(&mut self) {
        let Some(cluster) = self.cluster.as_deref_mut().filter(|cluster| cluster.blocked) else {
            return;
        };
        let most = cluster.options.kept_bytes / 2;
        let waits = cluster.options.lost == PeerLost::Wait;
        let mut peers = cluster.peers.iter();
        if peers.all(|peer| !(peer.present || waits) || peer.bytes <= most) {
            cluster.blocked = false;
            self.release_gated();
        }
    }
}

impl Peer {
    const fn new(id: PeerId) -> Self {
        Self {
            id,
            present: false,
            near: false,
            told: false,
            life: 0,
            seen: 0,
            ticket: 0,
            out: VecDeque::new(),
            answers: VecDeque::new(),
            moves: VecDeque::new(),
            sent: VecDeque::new(),
            bytes: 0,
        }
    }
}
