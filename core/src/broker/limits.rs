//! What one client may do and have: by the broker's own [`Options`], or by a set of limits that is
//! kept under a number, for those who come in by a certain listener or are accepted with it.

use super::durability::Durability;
use super::options::{Options, QueueFull};
use super::session::SessionId;
use super::{Broker, LinkId};
use crate::storage::{Full, List, Pool, Storage};
use crate::types::QoS;

/// For a limit that counts, that there is none: [`Limits::queue`] and others. 0 means 0.
pub const UNLIMITED: usize = usize::MAX;

/// A set of limits, by a number that the host chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitsId(pub u32);

/// What a client may do and have. Each field means what it means in [`Options`]; what is only here
/// is said to be nothing there.
///
/// ```
/// use tamtam_core::broker::{Broker, LimitsId, Options};
/// use tamtam_core::{Heap, Instant, QoS};
///
/// let (mut broker, options) = (Broker::<Heap>::new(), Options::DEFAULT);
/// broker.start(&options, 7);
/// let mut outside = options.limits();
/// (outside.maximum_qos, outside.mount_point) = (QoS::AtLeastOnce, "outside/");
/// broker.limits(LimitsId(1), &outside)?;
/// let link = broker.open_with(LimitsId(1), Instant::from_millis(1))?;
/// # let _ = link;
/// # Ok::<(), tamtam_core::Full>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits<'a> {
    /// The largest packet that is taken, in bytes.
    pub max_packet_size: u32,
    /// The highest QoS.
    pub maximum_qos: QoS,
    /// Whether messages can be retained.
    pub retain: bool,
    /// Whether filters may have wildcards.
    pub wildcards: bool,
    /// Whether subscriptions can be shared.
    pub shared: bool,
    /// How many QoS 1 and 2 messages a client may send ahead of their acknowledgement (MQTT 5).
    pub receive_maximum: u16,
    /// How many are sent ahead to a client.
    pub send_window: u16,
    /// The highest topic alias that a client may use.
    pub topic_alias_maximum: u16,
    /// How many topic aliases the broker uses for a client.
    pub outgoing_aliases: u16,
    /// The longest keep alive, in seconds (MQTT 5).
    pub keep_alive_max_secs: Option<u16>,
    /// The longest time that a session outlives its connection, in seconds.
    pub session_expiry_max_secs: u32,
    /// Whether a client without an identifier is given one.
    pub empty_client_id: bool,
    /// Whether the user's name is the client identifier, whatever the client says.
    pub client_id_from_user: bool,
    /// How many subscriptions a session may have.
    pub subscriptions_per_session: u32,
    /// How many levels a topic or a filter may have.
    pub levels: usize,
    /// How many messages wait for the session at most.
    pub queue: usize,
    /// How many bytes they may have.
    pub queue_bytes: usize,
    /// What to do with a message for a session whose queue is full.
    pub queue_full: QueueFull,
    /// Whether QoS 0 messages wait for a session that is not connected.
    pub queue_qos0: bool,
    /// How many messages a second are taken from a connection; `None` for any number.
    pub message_rate: Option<u32>,
    /// How long messages are kept that the client publishes, unless [`Broker::classes`] says
    /// something of their topics; and whether its session is recorded, with all that waits for it.
    pub durability: Durability,
    /// What stands before each topic and filter of the client, unseen by it, such as `tenant/7/`:
    /// it has a world of its own. Rules speak of whole topics. Nothing, unless said otherwise.
    ///
    /// Such a client can't publish to topics that begin with `$`.
    pub mount_point: &'a str,
    /// What the identifiers begin with that the broker gives; `auto-`, unless said otherwise. Of
    /// more than 32 bytes, the first 32.
    pub client_id_prefix: &'a str,
}

/// What the identifiers begin with that the broker gives.
const PREFIX: &str = "auto-";

/// The limits of whoever has no others: all zero bits before they are said, so that an empty broker
/// takes no flash.
#[derive(Debug)]
#[repr(u8)]
pub(super) enum OwnLimits {
    Unsaid = 0,
    Said(Limits<'static>) = 1,
}

static DEFAULT: Limits<'static> = Options::DEFAULT.limits();

impl Options {
    /// The limits of a client for which there are no others.
    #[must_use]
    pub const fn limits(&self) -> Limits<'static> {
        Limits {
            max_packet_size: self.max_packet_size,
            maximum_qos: self.maximum_qos,
            retain: self.retain,
            wildcards: self.wildcards,
            shared: self.shared,
            receive_maximum: self.receive_maximum,
            send_window: self.send_window,
            topic_alias_maximum: self.topic_alias_maximum,
            outgoing_aliases: self.outgoing_aliases,
            keep_alive_max_secs: self.keep_alive_max_secs,
            session_expiry_max_secs: self.session_expiry_max_secs,
            empty_client_id: self.empty_client_id,
            client_id_from_user: self.client_id_from_user,
            subscriptions_per_session: self.subscriptions_per_session,
            levels: self.levels,
            queue: self.queue,
            queue_bytes: self.queue_bytes,
            queue_full: self.queue_full,
            queue_qos0: self.queue_qos0,
            message_rate: self.message_rate,
            durability: self.durability,
            mount_point: "",
            client_id_prefix: PREFIX,
        }
    }
}

/// A set as the broker keeps it: its texts lie in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitSet {
    id: LimitsId,
    limits: Limits<'static>,
    texts: u32,
    mount_len: u16,
}

/// Which limits hold: a place among the sets, plus one; 0 for the broker's own.
pub(crate) type LimitsAt = u16;

impl<S: Storage> Broker<S> {
    /// Stores a set of limits; one of the same number is replaced, at once and for all who have it.
    /// What exceeds it already is left alone, and what a client was told when it connected still
    /// holds for it.
    ///
    /// # Errors
    /// [`Full`]: then the old set still holds.
    pub fn limits(&mut self, id: LimitsId, limits: &Limits<'_>) -> Result<(), Full> {
        let mount_len = u16::try_from(limits.mount_point.len()).map_err(|_| Full)?;
        let texts = [limits.mount_point.as_bytes(), limits.client_id_prefix.as_bytes()];
        let texts = self.rule_runs.insert(&texts)?;
        let limits = Limits { mount_point: "", client_id_prefix: "", ..*limits };
        let new = LimitSet { id, limits, texts, mount_len };
        if let Some(set) = self.limit_sets.as_mut_slice().iter_mut().find(|set| set.id == id) {
            let old = core::mem::replace(set, new);
            self.rule_runs.remove(old.texts);
            return Ok(());
        }
        if u16::try_from(self.limit_sets.as_slice().len()).is_ok_and(|count| count < u16::MAX)
            && self.limit_sets.push(new).is_ok()
        {
            return Ok(());
        }
        self.rule_runs.remove(texts);
        Err(Full)
    }

    /// Where a set is kept; the broker's own, if there is none of this number.
    pub(super) fn limits_at(&self, id: LimitsId) -> LimitsAt {
        let at = self.limit_sets.as_slice().iter().position(|set| set.id == id);
        at.and_then(|at| u16::try_from(at.saturating_add(1)).ok()).unwrap_or_default()
    }

    #[inline]
    pub(super) fn limits_of(&self, at: LimitsAt) -> &Limits<'static> {
        match set(&self.limit_sets, at) {
            Some(set) => &set.limits,
            None => match &self.own_limits {
                OwnLimits::Said(limits) => limits,
                OwnLimits::Unsaid => &DEFAULT,
            },
        }
    }

    /// The limits of a connection.
    pub(super) fn link_limits(&self, id: LinkId) -> &Limits<'static> {
        self.limits_of(self.link(id).map_or(0, |link| link.limits))
    }

    /// The limits of a session.
    pub(super) fn session_limits(&self, id: SessionId) -> &Limits<'static> {
        self.limits_of(self.session(id).map_or(0, |session| session.limits))
    }

    /// What the identifiers begin with that are given.
    pub(super) fn prefix_of(&self, at: LimitsAt) -> &[u8] {
        match set(&self.limit_sets, at) {
            Some(set) => {
                let texts = self.rule_runs.get(set.texts);
                texts.get(usize::from(set.mount_len)..).unwrap_or_default()
            }
            None => PREFIX.as_bytes(),
        }
    }
}

fn set(sets: &impl List<LimitSet>, at: LimitsAt) -> Option<&LimitSet> {
    sets.as_slice().get(usize::from(at.checked_sub(1)?))
}

/// What stands before the topics of a client.
#[inline]
pub(super) fn mount_point<'p>(
    sets: &impl List<LimitSet>,
    texts: &'p impl Pool,
    at: LimitsAt,
) -> &'p [u8] {
    match set(sets, at) {
        Some(set) if set.mount_len != 0 => {
            texts.get(set.texts).get(..usize::from(set.mount_len)).unwrap_or_default()
        }
        _ => &[],
    }
}
