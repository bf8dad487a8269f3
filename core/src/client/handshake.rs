//! CONNECT and what answers it: what is asked for, what was agreed, and enhanced authentication.

use super::error::{Lost, PeerError, StartError};
use super::event::Event;
use super::limits::Limits;
use super::options::Options;
use super::{Client, Phase, Timer};
use crate::Instant;
use crate::codec::{ConnAck, Connect, Properties, measure};
use crate::flow::keep_alive::KeepAlive;
use crate::flow::random::Random;
use crate::storage::Storage;
use crate::types::{ReasonCode, Text, Version};

/// Room that other packets leave for PINGREQ, DISCONNECT and an acknowledgement, in bytes.
pub(super) const RESERVE: usize = 16;

/// Room that all others leave for a payload that is streamed, so that it gets on, in bytes.
pub(super) const PAYLOAD_ROOM: usize = 64;

/// How many bytes of topics may stand behind aliases, in each direction, on `Heap`.
const ALIAS_BYTES: usize = 64 * 1024;

impl<S: Storage> Client<S> {
    /// Prepares the client: its CONNECT is encoded here, once for all connections to come.
    ///
    /// `seed` makes its reconnects spread out; with the same seed and the same calls it does the
    /// same, bit for bit. Everything that the client held before is forgotten.
    ///
    /// # Errors
    /// The options make no CONNECT, or it does not fit.
    pub fn start(&mut self, options: &Options<'_>, seed: u64) -> Result<(), StartError> {
        check_client_id(options)?;
        self.set_limits(options);
        self.connect_len = 0;
        self.forget_everything();
        if !self.journal.has_room() {
            return Err(StartError::Full); // for two changes, where there is a store
        }
        #[cfg(feature = "v5")]
        if options.too_many_properties {
            return Err(StartError::Properties);
        }
        #[cfg(feature = "v5")]
        let implied = options.implied_properties(self.settings.receive_maximum);
        #[cfg(feature = "v5")]
        let properties = if options.version.is_v5() {
            Properties::chain(&options.properties, &implied)
        } else {
            Properties::EMPTY
        };
        #[cfg(not(feature = "v5"))]
        let properties = Properties::EMPTY;
        let connect = Connect {
            version: options.version,
            clean_start: options.settings.clean_start,
            keep_alive: options.settings.keep_alive_secs,
            properties,
            // It names the session [MQTT5-3.1.3-2, MQTT3-3.1.3-2].
            client_id: Text::new(options.client_id).map_err(|_| StartError::ClientId)?,
            will: options.will,
            user_name: match options.user_name.map(Text::new) {
                Some(name) => Some(name.map_err(|_| StartError::UserName)?),
                None => None,
            },
            password: options.password,
        };
        let packet = measure(&connect, options.version)?;
        packet.write(self.outbox.keep(packet.len())?)?;
        if !self.outbox.has_room(RESERVE) {
            return Err(StartError::Full);
        }
        self.connect_len = packet.len();
        self.version = options.version;
        self.random = Random::new(seed);
        #[cfg(feature = "v5")]
        {
            self.salt = self.random.up_to(u32::MAX);
        }
        self.limits = Limits::silent(&self.settings);
        Ok(())
    }

    fn set_limits(&mut self, options: &Options<'_>) {
        let mut settings = options.settings;
        settings.receive_maximum = settings.receive_maximum.max(1); // 0 is none that can be said
        self.settings = settings;
        self.whole_up_to = settings.whole_up_to();
        self.outbox.set_limit(settings.outgoing_bytes);
        self.flights.set_limit(settings.in_flight);
        self.receipts.set_limit(settings.receive_maximum);
        self.pubacks.set_limit(settings.receive_maximum);
        self.pubrecs.set_limit(settings.receive_maximum);
        let room = u16::try_from(self.receipts.limit()).unwrap_or(u16::MAX);
        self.settings.receive_maximum = settings.receive_maximum.min(room);
        self.receive_limit = if options.version.is_v5() {
            u32::from(self.settings.receive_maximum)
        } else {
            u32::MAX
        };
        self.journal.set_limit(settings.in_flight);
        self.aliases_in.set_limit(ALIAS_BYTES);
        self.aliases_out.set_limit(ALIAS_BYTES);
    }

    /// How much room other packets leave, in bytes.
    pub(super) fn reserve(&self) -> usize {
        let payload = if self.outbox.is_streaming() { PAYLOAD_ROOM } else { 0 };
        self.idle_reserve().saturating_add(payload)
    }

    /// The same while no payload is streamed.
    #[inline]
    pub(super) fn idle_reserve(&self) -> usize {
        #[cfg(feature = "stream")]
        let heads = if self.flights.streamed() == 0 { 0 } else { self.streams.room };
        #[cfg(not(feature = "stream"))]
        let heads: usize = 0;
        heads.saturating_add(RESERVE)
    }

    /// The server has answered.
    pub(super) fn handle_connack<'a>(
        &mut self,
        connack: ConnAck<'a>,
    ) -> Result<Option<Event<'a>>, Lost<'a>> {
        if self.phase != Phase::Connecting {
            return Err(self.misbehaved(PeerError::SecondConnAck)); // [MQTT5-3.2.0-2]
        }
        if connack.reason != ReasonCode::Success {
            self.refused = is_final(connack.reason);
            self.phase = Phase::Closing; // [MQTT5-3.2.2-7, MQTT5-4.13.2-1, MQTT3-3.2.2-5]
            return Err(Lost::Refused(connack));
        }
        #[cfg(feature = "auth")]
        self.check_authentication(&connack)?;
        if connack.session_present && !self.may_resume() {
            self.begin_anew();
            return Err(self.misbehaved(PeerError::SessionPresent)); // [MQTT5-3.2.2-4]
        }
        self.open(&connack);
        self.begin_session(&connack);
        self.send_what_may_go();
        let session_present = connack.session_present;
        Ok(Some(Event::Connected { session_present, connack }))
    }

    /// What was agreed begins to hold.
    fn open(&mut self, connack: &ConnAck<'_>) {
        self.phase = Phase::Open;
        self.opened = self.now.max(Instant::from_millis(1));
        self.deadlines.clear(Timer::Connect as usize);
        self.limits = Limits::of(connack, &self.settings);
        self.keep_alive = KeepAlive::new(self.limits.keep_alive_secs, self.now);
        // A receiver and a sender of aliases begin with none [MQTT5-3.3.2-7].
        self.aliases_in.begin(self.settings.topic_alias_maximum);
        self.aliases_out.begin(self.limits.topic_alias_maximum.min(self.settings.outgoing_aliases));
    }
}

/// Whether trying again would be answered alike.
pub(super) const fn is_final(reason: ReasonCode) -> bool {
    !matches!(
        reason,
        ReasonCode::UnspecifiedError
            | ReasonCode::ImplementationSpecificError
            | ReasonCode::ServerUnavailable
            | ReasonCode::ServerBusy
            | ReasonCode::QuotaExceeded
            | ReasonCode::ConnectionRateExceeded
    )
}

fn check_client_id(options: &Options<'_>) -> Result<(), StartError> {
    // All bytes but those that go on with a character.
    let characters = options.client_id.bytes().filter(|byte| byte & 0xC0 != 0x80).count();
    match options.version {
        Version::V31 if !(1..=23).contains(&characters) => Err(StartError::ClientId),
        // [MQTT3-3.1.3-7]
        Version::V311 if characters == 0 && !options.settings.clean_start => {
            Err(StartError::CleanSession)
        }
        _ => Ok(()),
    }
}
