//! Who a simulated client is: its options, owned, so that it can be started again after a crash.

use tamtam_core::client::{Options, Reconnect, WhenFull, WhenUnknown};
use tamtam_core::{Text, Version};

/// The options of a client.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the option of that name")]
pub struct Profile {
    pub version: Version,
    pub client_id: String,
    pub clean_start: bool,
    pub session_expiry_secs: u32,
    pub keep_alive_secs: u16,
    pub outgoing_bytes: usize,
    pub in_flight: u16,
    pub receive_maximum: u16,
    pub max_packet_size: u32,
    pub topic_alias_maximum: u16,
    pub outgoing_aliases: u16,
    pub stream_above: u32,
    pub connect_timeout_ms: u32,
    pub ping_timeout_ms: u32,
    /// The bounds of the first wait and of every wait; `None` for no second attempt.
    pub backoff_ms: Option<(u32, u32)>,
    pub manual_ack: bool,
    pub queue_qos0: bool,
    pub drop_oldest: bool,
    pub send_again_unknown: bool,
    pub resubscribe: bool,
    pub adopt_session: bool,
    pub store: bool,
    pub authentication_method: Option<String>,
}

impl Profile {
    /// A client that keeps its session, and has the defaults otherwise.
    #[must_use]
    pub fn new(version: Version, client_id: &str) -> Self {
        Self {
            version,
            client_id: client_id.into(),
            clean_start: false,
            session_expiry_secs: u32::MAX,
            keep_alive_secs: 60,
            outgoing_bytes: 1 << 20,
            in_flight: u16::MAX,
            receive_maximum: u16::MAX,
            max_packet_size: u32::MAX,
            topic_alias_maximum: 0,
            outgoing_aliases: u16::MAX,
            stream_above: u32::MAX,
            connect_timeout_ms: 10_000,
            ping_timeout_ms: 10_000,
            backoff_ms: Some((500, 60_000)),
            manual_ack: false,
            queue_qos0: true,
            drop_oldest: false,
            send_again_unknown: false,
            resubscribe: true,
            adopt_session: false,
            store: false,
            authentication_method: None,
        }
    }

    /// The same as options.
    ///
    /// # Panics
    /// If the authentication method is no text.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        let (when_full, when_unknown) = (
            if self.drop_oldest { WhenFull::DropOldest } else { WhenFull::Refuse },
            if self.send_again_unknown { WhenUnknown::SendAgain } else { WhenUnknown::Fail },
        );
        let reconnect = match self.backoff_ms {
            Some((first_ms, most_ms)) => Reconnect::Backoff { first_ms, most_ms },
            None => Reconnect::Never,
        };
        let mut options = Options::new(self.version)
            .client_id(&self.client_id)
            .clean_start(self.clean_start)
            .keep_alive_secs(self.keep_alive_secs)
            .outgoing_bytes(self.outgoing_bytes)
            .in_flight(self.in_flight)
            .receive_maximum(self.receive_maximum)
            .max_packet_size(self.max_packet_size)
            .stream_above(self.stream_above)
            .connect_timeout_ms(self.connect_timeout_ms)
            .ping_timeout_ms(self.ping_timeout_ms)
            .reconnect(reconnect)
            .manual_ack(self.manual_ack)
            .queue_qos0(self.queue_qos0)
            .when_full(when_full)
            .when_unknown(when_unknown)
            .resubscribe(self.resubscribe)
            .adopt_session(self.adopt_session)
            .store(self.store);
        if self.version.is_v5() {
            options = options
                .session_expiry_secs(self.session_expiry_secs)
                .topic_alias_maximum(self.topic_alias_maximum)
                .outgoing_aliases(self.outgoing_aliases);
            if let Some(method) = &self.authentication_method {
                options = options.authentication_method(Text::new(method).expect("text"));
            }
        }
        options
    }
}
