//! What a broker allows, and how it behaves where MQTT leaves a choice.

use super::durability::Durability;
use crate::types::QoS;

/// What to do with a message for a session whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueFull {
    /// The new message is dropped for this session.
    #[default]
    DropNewest,
    /// The oldest that was not sent yet is dropped.
    DropOldest,
    /// The session's connection is closed; the session is kept.
    Disconnect,
    /// The session ends, and its connection.
    EndSession,
}

/// What a broker allows, and how it behaves.
///
/// A limit of 0 means 0; [`UNLIMITED`](super::UNLIMITED) stands for none. What concerns one client
/// can be said for some of them alone: [`Limits`](super::Limits).
///
/// ```
/// use tamtam_core::broker::Options;
///
/// let options = Options { keep_alive_max_secs: Some(300), ..Options::DEFAULT };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many connections at once.
    pub connections: usize,
    /// How many sessions, connected or not.
    pub sessions: usize,
    /// How many subscriptions in all.
    pub subscriptions: usize,
    /// How many subscriptions a session may have.
    pub subscriptions_per_session: u32,
    /// How many levels a topic or a filter may have.
    pub levels: usize,
    /// How many retained messages.
    pub retained: usize,
    /// How many bytes they may have, topics and properties included.
    pub retained_bytes: usize,
    /// Bytes of messages that are retained, queued, in flight, or wills.
    pub message_bytes: usize,
    /// How long a connection may take to its CONNECT, in milliseconds.
    pub connect_timeout_ms: u32,
    /// The largest packet that is taken, in bytes.
    pub max_packet_size: u32,
    /// The largest packet that is taken before a connection is accepted, in bytes.
    pub max_connect_size: u32,
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
    /// How many are sent ahead to a client that does not say, as in MQTT 3.
    pub send_window: u16,
    /// The highest topic alias that a client may use.
    pub topic_alias_maximum: u16,
    /// How many topic aliases the broker uses for a client, within what the client allows.
    pub outgoing_aliases: u16,
    /// The longest keep alive, in seconds; also for a client that asks for none. MQTT 5 only: older
    /// clients can't be told.
    pub keep_alive_max_secs: Option<u16>,
    /// The longest time that a session outlives its connection, in seconds.
    pub session_expiry_max_secs: u32,
    /// Whether a client without an identifier is given one.
    pub empty_client_id: bool,
    /// Whether the user's name is the client identifier, whatever the client says; without a name
    /// it is refused.
    pub client_id_from_user: bool,
    /// How many messages wait for one session at most. What can be sent at once does not wait.
    pub queue: usize,
    /// How many bytes they may have, topics and properties included.
    pub queue_bytes: usize,
    /// How many messages a second are taken from a connection, once those of a whole second came
    /// at once; `None` for any number. Others wait, and the client with them.
    pub message_rate: Option<u32>,
    /// How many bytes wait in the output of one connection before messages wait in the queue.
    pub output_bytes: usize,
    /// What to do with a message for a session whose queue is full.
    pub queue_full: QueueFull,
    /// Whether QoS 0 messages wait for a session that is not connected.
    pub queue_qos0: bool,
    /// Whether there is a store: see [`Broker::take_records`](super::Broker::take_records).
    pub store: bool,
    /// With a store, how long messages are kept, unless [`Limits`](super::Limits) or
    /// [`Broker::classes`](super::Broker::classes) say something else of them.
    pub durability: Durability,
    /// Whether the host is asked about each CONNECT: see [`Event::Ask`](super::Event::Ask). Then a
    /// session belongs to its user, and no other may take it over unless the answer says so.
    pub ask_connect: bool,
    /// How long the host may take to answer what a rule says it is asked, in milliseconds; then it
    /// is refused (0x83), and counted. A question about a CONNECT has
    /// [`Options::connect_timeout_ms`].
    pub ask_timeout_ms: u32,
}

impl Options {
    /// What a broker has before it is started: zeros, so that an empty broker is all zero bits.
    pub(crate) const NONE: Self = Self {
        connections: 0,
        sessions: 0,
        subscriptions: 0,
        subscriptions_per_session: 0,
        levels: 0,
        retained: 0,
        retained_bytes: 0,
        message_bytes: 0,
        connect_timeout_ms: 0,
        max_packet_size: 0,
        max_connect_size: 0,
        maximum_qos: QoS::AtMostOnce,
        retain: false,
        wildcards: false,
        shared: false,
        receive_maximum: 0,
        send_window: 0,
        topic_alias_maximum: 0,
        outgoing_aliases: 0,
        keep_alive_max_secs: None,
        session_expiry_max_secs: 0,
        empty_client_id: false,
        client_id_from_user: false,
        queue: 0,
        queue_bytes: 0,
        message_rate: None,
        output_bytes: 0,
        queue_full: QueueFull::DropNewest,
        queue_qos0: false,
        store: false,
        durability: Durability::Durable,
        ask_connect: false,
        ask_timeout_ms: 0,
    };

    /// Sane limits for a host with some memory. Everything that MQTT has is allowed, to anybody.
    pub const DEFAULT: Self = Self {
        connections: 1_000_000,
        sessions: 1_000_000,
        subscriptions: 10_000_000,
        subscriptions_per_session: u32::MAX,
        levels: 128,
        retained: 10_000_000,
        retained_bytes: usize::MAX,
        message_bytes: 1 << 30,
        connect_timeout_ms: 10_000,
        max_packet_size: 16 << 20,
        max_connect_size: 64 << 10,
        maximum_qos: QoS::ExactlyOnce,
        retain: true,
        wildcards: true,
        shared: true,
        receive_maximum: 1_000,
        send_window: 1_000,
        topic_alias_maximum: 32,
        outgoing_aliases: 16,
        keep_alive_max_secs: None,
        session_expiry_max_secs: u32::MAX,
        empty_client_id: true,
        client_id_from_user: false,
        queue: 1_000_000,
        queue_bytes: 256 << 20,
        message_rate: None,
        output_bytes: 256 << 10,
        queue_full: QueueFull::DropNewest,
        queue_qos0: false,
        store: false,
        durability: Durability::Durable,
        ask_connect: false,
        ask_timeout_ms: 10_000,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}
