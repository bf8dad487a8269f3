//! CONNACK: what a client is told when it is accepted, and when it is not.

#[cfg(feature = "v5")]
use super::USER_PROPERTIES;
use super::event::Event;
#[cfg(feature = "v5")]
use super::handshake::keep_alive_secs;
use super::link::{Link, LinkId, Push};
use super::session::SessionId;
use super::{Acceptance, Broker, Input, Refusal};
#[cfg(feature = "v5")]
use crate::codec::Property;
use crate::codec::{ConnAck, Connect, Disconnect, Properties};
use crate::storage::Storage;
#[cfg(feature = "v5")]
use crate::types::{QoS, Text};
use crate::types::{ReasonCode, Version};

/// What CONNACK says besides the limits.
pub(super) struct Told<'a> {
    pub(super) client_id: &'a [u8],
    pub(super) present: bool,
    pub(super) how: &'a Acceptance<'a>,
    /// Authentication data.
    pub(super) data: Option<&'a [u8]>,
}

impl<S: Storage> Broker<S> {
    /// CONNACK with a failure; nothing that came behind CONNECT is looked at
    /// [MQTT5-3.1.4-6, MQTT3-3.1.4-5].
    pub(super) fn refuse(&mut self, id: LinkId, reason: ReasonCode) -> Input {
        self.refuse_with(id, &Refusal::new(reason))
    }

    pub(super) fn refuse_with(&mut self, id: LinkId, why: &Refusal<'_>) -> Input {
        let reason = if why.reason.is_error() { why.reason } else { ReasonCode::UnspecifiedError };
        if let Some(link) = self.link_mut(id) {
            // Never with a session present [MQTT5-3.2.2-6, MQTT3-3.2.2-4].
            link.push_refusal(Last::ConnAck, &Refusal { reason, ..*why });
            self.counters.count_others(1);
        }
        self.counters.refused = self.counters.refused.saturating_add(1);
        self.tell(Event::Refused { link: id, reason });
        self.drop_link(id, reason)
    }

    /// CONNACK with all that the client must know [MQTT5-3.2.2-2, MQTT5-3.2.2-3]
    /// [MQTT3-3.2.2-1, MQTT3-3.2.2-2, MQTT3-3.2.2-3]. Whether it was sent.
    pub(super) fn answer_connect(
        &mut self,
        id: LinkId,
        session: SessionId,
        connect: &Connect<'_>,
        told: &Told<'_>,
    ) -> bool {
        let session_present = told.present && connect.version != Version::V31;
        let reason = ReasonCode::Success; // [MQTT5-3.1.4-5, MQTT3-3.1.4-4]
        #[cfg(feature = "v5")]
        if connect.version.is_v5() {
            let mut list = self.connack_properties(id, session, connect, told);
            let needed = list.len();
            let pairs = told.how.user_properties.iter().take(USER_PROPERTIES);
            list.extend(pairs.copied().map(Property::UserProperty));
            for list in [list.as_slice(), list.get(..needed).unwrap_or_default()] {
                let properties = Properties::new(list);
                if self.push_connack(id, &ConnAck { session_present, reason, properties }) {
                    return true;
                }
            }
            return false;
        }
        let _ = (session, told.client_id, told.data, told.how);
        self.push_connack(id, &ConnAck::new(reason, session_present))
    }

    fn push_connack(&mut self, id: LinkId, connack: &ConnAck<'_>) -> bool {
        let sent = self.link_mut(id).map(|link| link.push(connack));
        self.touch(id);
        let sent = sent == Some(Push::Sent);
        self.counters.count_others(u64::from(sent));
        sent
    }

    /// What the client can't do without: no reason string and no user properties
    /// [MQTT5-3.2.2-19, MQTT5-3.2.2-20], response information only if it asks [MQTT5-3.1.2-28].
    #[cfg(feature = "v5")]
    fn connack_properties<'p>(
        &self,
        id: LinkId,
        session: SessionId,
        connect: &Connect<'p>,
        told: &Told<'p>,
    ) -> super::verdict::Told<'p> {
        use core::num::{NonZeroU16, NonZeroU32};

        let limits = self.link_limits(id);
        let asked = connect.properties.session_expiry_interval().unwrap_or_default();
        let session = self.session(session);
        let granted = session.map_or(0, |session| session.expiry_secs);
        let ahead = session.map_or(0, |session| session.receipts.limit());
        let ahead = u16::try_from(ahead).unwrap_or(u16::MAX).min(limits.receive_maximum);
        let receive = NonZeroU16::new(ahead).unwrap_or(NonZeroU16::MIN);
        let aliases = self.link(id).map_or(0, |link| link.aliases_in.maximum());
        let keep_alive = keep_alive_secs(limits, connect, told.how);
        let largest = NonZeroU32::new(limits.max_packet_size).unwrap_or(NonZeroU32::MIN);
        let informs = connect.properties.request_response_information().unwrap_or(false);
        let told = [
            (asked != granted).then_some(Property::SessionExpiryInterval(granted)),
            Some(Property::ReceiveMaximum(receive)),
            // [MQTT5-3.2.2-9]
            (limits.maximum_qos < QoS::ExactlyOnce)
                .then_some(Property::MaximumQoS(limits.maximum_qos)),
            (!limits.retain).then_some(Property::RetainAvailable(false)),
            Some(Property::MaximumPacketSize(largest)),
            // [MQTT5-3.1.3-7]
            connect
                .client_id
                .is_empty()
                .then_some(Property::AssignedClientIdentifier(Text::trusted(told.client_id))),
            (aliases != 0).then_some(Property::TopicAliasMaximum(aliases)),
            (!limits.wildcards).then_some(Property::WildcardSubscriptionAvailable(false)),
            (!limits.shared).then_some(Property::SharedSubscriptionAvailable(false)),
            (keep_alive != connect.keep_alive).then_some(Property::ServerKeepAlive(keep_alive)),
            // The method of CONNECT, or none [MQTT5-4.12.0-5, MQTT5-4.12.0-6].
            connect.properties.authentication_method().map(Property::AuthenticationMethod),
            told.data.map(Property::AuthenticationData),
            told.how.response_information.filter(|_| informs).map(Property::ResponseInformation),
        ];
        told.into_iter().flatten().collect()
    }
}

/// The packet that ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    ConnAck,
    Disconnect,
}

impl<S: Storage> Link<S> {
    /// Says why it ends, with as much besides the code as the client wants and takes
    /// [MQTT5-3.2.2-19, MQTT5-3.2.2-20, MQTT5-3.14.2-3, MQTT5-3.14.2-4].
    pub(super) fn push_refusal(&mut self, last: Last, why: &Refusal<'_>) {
        #[cfg(feature = "v5")]
        if self.version.is_v5() {
            let wanted = self.wants_problems;
            for list in [why.properties(wanted), why.properties(false)] {
                if self.push_last(last, why.reason, Properties::new(&list)) != Push::TooLarge {
                    return;
                }
            }
        }
        self.push_last(last, why.reason, Properties::EMPTY);
    }

    fn push_last(&mut self, last: Last, reason: ReasonCode, properties: Properties<'_>) -> Push {
        match last {
            Last::ConnAck => self.push(&ConnAck { session_present: false, reason, properties }),
            Last::Disconnect => self.push(&Disconnect { reason, properties }),
        }
    }
}
