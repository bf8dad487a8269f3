//! What the server said that it does, and does not.

use super::error::{SendError, Unsupported};
use super::options::Settings;
use crate::codec::ConnAck;
#[cfg(feature = "v5")]
use crate::codec::PropertyId;
use crate::flow::HIGHEST_QOS;
use crate::types::{QoS, TopicFilter};

/// Whether there is a version in which a server says what it does not do.
const SAYS: bool = cfg!(feature = "v5");

/// The server's half of the agreement, from its CONNACK; MQTT 3.1 and 3.1.1 have no say in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: u32,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) maximum_qos: QoS,
    pub(crate) retain: bool,
    pub(crate) wildcards: bool,
    pub(crate) shared: bool,
    pub(crate) subscription_ids: bool,
    pub(crate) keep_alive_secs: u16,
    /// Seconds that the session outlives this connection.
    pub(crate) session_expiry: u32,
}

impl Limits {
    /// What an empty client has: zeros.
    pub(crate) const NONE: Self = Self {
        receive_maximum: 0,
        max_packet_size: 0,
        topic_alias_maximum: 0,
        maximum_qos: QoS::AtMostOnce,
        retain: false,
        wildcards: false,
        shared: false,
        subscription_ids: false,
        keep_alive_secs: 0,
        session_expiry: 0,
    };

    /// What holds where the server is silent.
    pub(crate) const fn silent(settings: &Settings) -> Self {
        Self {
            receive_maximum: u16::MAX,
            max_packet_size: u32::MAX,
            topic_alias_maximum: 0, // [MQTT5-3.2.2-18]
            maximum_qos: HIGHEST_QOS,
            retain: true,
            wildcards: true,
            shared: true,
            subscription_ids: true,
            keep_alive_secs: settings.keep_alive_secs,
            session_expiry: settings.session_expiry,
        }
    }

    #[cfg(feature = "v5")]
    pub(crate) fn of(connack: &ConnAck<'_>, settings: &Settings) -> Self {
        let mut limits = Self::silent(settings);
        for (id, number, _) in connack.properties.raw() {
            match id {
                PropertyId::ReceiveMaximum => limits.receive_maximum = number as u16,
                PropertyId::MaximumPacketSize => limits.max_packet_size = number,
                PropertyId::TopicAliasMaximum => limits.topic_alias_maximum = number as u16,
                PropertyId::MaximumQoS if number == 0 => limits.maximum_qos = QoS::AtMostOnce,
                PropertyId::MaximumQoS => limits.maximum_qos = QoS::AtLeastOnce,
                PropertyId::RetainAvailable => limits.retain = number != 0,
                PropertyId::WildcardSubscriptionAvailable => limits.wildcards = number != 0,
                PropertyId::SharedSubscriptionAvailable => limits.shared = number != 0,
                PropertyId::SubscriptionIdentifierAvailable => {
                    limits.subscription_ids = number != 0;
                }
                // [MQTT5-3.1.2-21, MQTT5-3.2.2-21]
                PropertyId::ServerKeepAlive => limits.keep_alive_secs = number as u16,
                PropertyId::SessionExpiryInterval => limits.session_expiry = number,
                _ => {}
            }
        }
        limits
    }

    #[cfg(not(feature = "v5"))]
    pub(crate) const fn of(_: &ConnAck<'_>, settings: &Settings) -> Self {
        Self::silent(settings)
    }

    /// Whether a message may be sent [MQTT5-3.2.2-11, MQTT5-3.2.2-14].
    #[inline]
    pub(crate) fn check_message(&self, qos: QoS, retain: bool) -> Result<(), Unsupported> {
        if qos > HIGHEST_QOS || SAYS && qos > self.maximum_qos {
            return Err(Unsupported::QoS);
        }
        if SAYS && retain && !self.retain {
            return Err(Unsupported::Retain);
        }
        Ok(())
    }

    /// Whether one may subscribe to the filter.
    pub(crate) fn check_filter(&self, filter: TopicFilter<'_>) -> Result<(), Unsupported> {
        if !SAYS {
            return Ok(());
        }
        if !self.wildcards && filter.has_wildcards() {
            return Err(Unsupported::Wildcards);
        }
        if !self.shared && filter.is_shared() {
            return Err(Unsupported::Shared);
        }
        Ok(())
    }

    /// Whether a packet is small enough [MQTT5-3.2.2-15].
    #[inline]
    pub(crate) const fn check_size(&self, len: usize) -> Result<(), SendError> {
        if SAYS && len > self.max_packet_size as usize {
            return Err(SendError::TooLarge { limit: self.max_packet_size as usize });
        }
        Ok(())
    }
}
