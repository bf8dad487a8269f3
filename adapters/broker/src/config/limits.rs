//! The limits of the configuration, as the core has them: the broker's, and those of a listener.

use tamtam_blocking::broker::Admission;
use tamtam_core::TopicFilter;
use tamtam_core::broker::{self, Options};

use super::{Config, Limits, Listener, Span};

impl From<&Limits> for Options {
    fn from(limits: &Limits) -> Self {
        Self {
            connections: limits.connections,
            sessions: limits.sessions,
            subscriptions: limits.subscriptions,
            subscriptions_per_session: limits.subscriptions_per_session,
            levels: limits.topic_levels,
            retained: limits.retained_messages,
            retained_bytes: limits.retained_memory.bytes(),
            message_bytes: limits.message_memory.bytes(),
            connect_timeout_ms: millis(limits.connect_timeout),
            ask_timeout_ms: millis(limits.ask_timeout),
            max_packet_size: limits.max_packet_size.bytes_u32(),
            max_connect_size: limits.max_connect_size.bytes_u32(),
            maximum_qos: limits.maximum_qos,
            retain: limits.retain,
            wildcards: limits.wildcards,
            shared: limits.shared_subscriptions,
            receive_maximum: limits.receive_maximum,
            send_window: limits.send_window,
            topic_alias_maximum: limits.topic_alias_maximum,
            outgoing_aliases: limits.outgoing_aliases,
            keep_alive_max_secs: keep_alive_secs(limits.keep_alive_max),
            session_expiry_max_secs: limits.session_expiry_max.whole_secs(),
            empty_client_id: limits.empty_client_id,
            client_id_from_user: limits.client_id_from_user,
            message_rate: limits.message_rate,
            queue: limits.queue_messages,
            queue_bytes: limits.queue_memory.bytes(),
            output_bytes: limits.output_memory.bytes(),
            queue_full: limits.queue_full,
            queue_qos0: limits.queue_qos0,
            ..Self::DEFAULT
        }
    }
}

/// A time as the core has it.
fn millis(span: Span) -> u32 {
    u32::try_from(span.millis).unwrap_or(u32::MAX)
}

/// A keep alive as the core limits it.
fn keep_alive_secs(span: Span) -> Option<u16> {
    (span != Span::UNLIMITED).then(|| u16::try_from(span.whole_secs()).unwrap_or(u16::MAX))
}

impl Config {
    /// How many may come in by a listener, and how fast.
    #[must_use]
    pub fn admission_of(&self, listener: &Listener) -> Admission {
        let per_address = listener.connections_per_address;
        let per_address = per_address.unwrap_or(self.limits.connections_per_address);
        let rate = listener.connect_rate.unwrap_or(self.limits.connect_rate);
        Admission {
            connections: listener.connections.filter(|count| *count != usize::MAX),
            per_address: (per_address != usize::MAX).then_some(per_address),
            rate: (rate != u32::MAX).then_some(rate),
        }
    }

    /// How many connections a user may have who comes in by a listener.
    #[must_use]
    pub fn connections_per_user(&self, listener: &Listener) -> usize {
        listener.connections_per_user.unwrap_or(self.limits.connections_per_user)
    }

    /// The limits of the broker.
    #[must_use]
    pub fn options(&self) -> Options {
        let durability = self.general.durability;
        Options { ask_connect: true, durability, ..Options::from(&self.limits) }
    }

    /// How long messages of some topics are kept; the first that matches counts.
    pub fn classes(&self) -> impl Iterator<Item = (TopicFilter<'_>, broker::Durability)> {
        let said = self.topics.iter();
        said.filter_map(|line| Some((TopicFilter::new(&line.filter).ok()?, line.durability)))
    }

    /// The limits of a listener's clients: the broker's, but for what the listener says itself.
    #[must_use]
    pub fn limits_of<'a>(&self, listener: &'a Listener) -> broker::Limits<'a> {
        let own = &self.limits;
        let either = Limits {
            max_packet_size: listener.max_packet_size.unwrap_or(own.max_packet_size),
            maximum_qos: listener.maximum_qos.unwrap_or(own.maximum_qos),
            retain: listener.retain.unwrap_or(own.retain),
            wildcards: listener.wildcards.unwrap_or(own.wildcards),
            shared_subscriptions: listener.shared_subscriptions.unwrap_or(own.shared_subscriptions),
            receive_maximum: listener.receive_maximum.unwrap_or(own.receive_maximum),
            keep_alive_max: listener.keep_alive_max.unwrap_or(own.keep_alive_max),
            session_expiry_max: listener.session_expiry_max.unwrap_or(own.session_expiry_max),
            subscriptions_per_session: listener
                .subscriptions_per_session
                .unwrap_or(own.subscriptions_per_session),
            message_rate: listener.message_rate.or(own.message_rate),
            queue_messages: listener.queue_messages.unwrap_or(own.queue_messages),
            queue_full: listener.queue_full.unwrap_or(own.queue_full),
            ..own.clone()
        };
        let mut limits: broker::Limits<'a> = Options::from(&either).limits();
        limits.mount_point = &listener.mount_point;
        limits.client_id_prefix = &listener.client_id_prefix;
        limits.durability = listener.durability.unwrap_or(self.general.durability);
        limits
    }
}
