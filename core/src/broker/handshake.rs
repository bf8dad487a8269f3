//! CONNECT: who may come in, as whom, and what is agreed.

use super::event::{Acceptance, Ended, Event};
use super::link::{LinkId, Phase, Push};
use super::session::{MAX_SPAN, Session, SessionId};
use super::will::StoredWill;
use super::{Broker, Input};
#[cfg(feature = "v5")]
use crate::codec::Property;
use crate::codec::{ConnAck, Connect, DecodeError, Disconnect, Properties, Sin, frame_len};
use crate::flow::quota::Quota;
use crate::storage::{Arena, Index, Pool, Storage};
#[cfg(feature = "v5")]
use crate::types::QoS;
#[cfg(feature = "v5")]
use crate::types::Text;
use crate::types::{ReasonCode, TopicName, Version};

impl<S: Storage> Broker<S> {
    /// The first packet of a connection [MQTT5-3.1.0-1, MQTT3-3.1.0-1].
    pub(super) fn handle_connect(&mut self, id: LinkId, input: &mut &[u8]) -> Input {
        let limit = self.options.max_connect_size as usize;
        if matches!(frame_len(input, Version::V311), Ok(Some(len)) if len > limit) {
            return self.drop_link(id, ReasonCode::PacketTooLarge);
        }
        let before = *input;
        match Connect::decode(input) {
            Ok(None) => Input::More,
            Ok(Some(connect)) => {
                if let Some(link) = self.link_mut(id) {
                    link.version = connect.version;
                }
                if let Err(reason) = self.check_connect(&connect) {
                    return self.refuse(id, reason);
                }
                if self.options.ask_connect {
                    let len = before.len().saturating_sub(input.len());
                    return self.ask(id, before.get(..len).unwrap_or_default());
                }
                if self.must_claim(&connect) {
                    let len = before.len().saturating_sub(input.len());
                    return self.claim(id, before.get(..len).unwrap_or_default());
                }
                self.accept(id, &connect, Acceptance::default(), None)
            }
            Err(error) => self.refuse_malformed(id, &error),
        }
    }

    /// What MQTT 3 has no code for ends without an answer [MQTT3-3.1.4-1, MQTT3-3.2.2-6].
    fn refuse_malformed(&mut self, id: LinkId, error: &DecodeError) -> Input {
        if error.sin == Sin::ProtocolLevel {
            // In a form that every version can read [MQTT3-3.1.2-2, MQTT5-3.1.2-2].
            return self.refuse(id, ReasonCode::UnsupportedProtocolVersion);
        }
        if error.sin != Sin::FirstPacket
            && error.version.is_v5()
            && let Some(link) = self.link_mut(id)
        {
            link.version = error.version;
            return self.refuse(id, error.reason_code()); // [MQTT5-3.1.4-1]
        }
        self.drop_link(id, error.reason_code())
    }

    /// What the broker itself has against a CONNECT [MQTT5-3.1.4-2]. Against identifiers, whatever
    /// they are made of, it has nothing [MQTT5-3.1.3-5, MQTT3-3.1.3-5].
    pub(super) fn check_connect(&self, connect: &Connect<'_>) -> Result<(), ReasonCode> {
        let nameless = connect.client_id.is_empty();
        let keeps = !connect.clean_start && connect.version == Version::V311;
        if nameless && (!self.options.empty_client_id || keeps || connect.version == Version::V31) {
            // [MQTT5-3.1.3-8, MQTT3-3.1.3-8, MQTT3-3.1.3-9]
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        #[cfg(feature = "v5")]
        let asks = cfg!(feature = "auth") && self.options.ask_connect;
        #[cfg(feature = "v5")]
        if connect.properties.authentication_method().is_some() && !asks {
            return Err(ReasonCode::BadAuthenticationMethod); // [MQTT5-4.12.0-1]
        }
        if let Some(will) = &connect.will {
            if will.qos > self.options.maximum_qos {
                return Err(ReasonCode::QoSNotSupported); // [MQTT5-3.2.2-12]
            }
            if will.retain && !self.options.retain {
                return Err(ReasonCode::RetainNotSupported); // [MQTT5-3.2.2-13]
            }
            if !self.may_publish(will.topic.as_bytes()) {
                return Err(ReasonCode::TopicNameInvalid);
            }
        }
        Ok(())
    }

    /// CONNACK with a failure; nothing that came behind CONNECT is looked at
    /// [MQTT5-3.1.4-6, MQTT3-3.1.4-5].
    pub(super) fn refuse(&mut self, id: LinkId, reason: ReasonCode) -> Input {
        if let Some(link) = self.link_mut(id) {
            // Never with a session present [MQTT5-3.2.2-6, MQTT3-3.2.2-4].
            let _ = link.push(&ConnAck::new(reason, false));
        }
        self.drop_link(id, reason)
    }

    /// The connection ends: what is in the output leaves first [MQTT5-3.2.2-7, MQTT3-3.2.2-5], but
    /// a client that does not read is not waited for.
    pub(super) fn drop_link(&mut self, id: LinkId, _reason: ReasonCode) -> Input {
        let patience = u64::from(self.options.connect_timeout_ms);
        let deadline = self.now.plus_millis(patience);
        if let Some(link) = self.link_mut(id) {
            link.phase = Phase::Closing;
            if link.attached {
                link.clear_output(); // there is nowhere to write it
            }
            let _ = self.link_timers.set(id.slot, deadline);
        }
        self.clear_gate(id);
        self.touch(id);
        self.tell_to_close(id);
        Input::Close
    }

    pub(super) fn accept(
        &mut self,
        id: LinkId,
        connect: &Connect<'_>,
        how: Acceptance,
        data: Option<&[u8]>,
    ) -> Input {
        let mark = self.journal.mark();
        let mut made = [0; MADE_ID];
        let client_id = match connect.client_id.as_bytes() {
            [] => self.make_client_id(&mut made),
            given => given,
        };
        let (session, present) = match self.take_session(client_id, connect.clean_start) {
            Ok(found) => found,
            Err(reason) => return self.refuse(id, reason),
        };
        self.own(session, connect, how);
        self.agree(id, session, connect);
        let told = Told { client_id, present, data };
        // Nothing comes before it, and nothing like it later
        // [MQTT5-3.2.0-1, MQTT5-3.2.0-2, MQTT3-3.2.0-1].
        if !self.answer_connect(id, session, connect, &told) {
            // It takes no packet as large as the CONNACK, so it never was connected.
            if let Some(link) = self.link_mut(id) {
                link.session = None;
            }
            if present {
                self.detach(session, false);
            } else {
                self.end_session(session);
            }
            return self.refuse(id, ReasonCode::PacketTooLarge);
        }
        self.keep_will(session, connect);
        self.record_session(session);
        if self.session(session).is_some_and(|session| session.will.is_some()) {
            self.record_will(session);
        }
        #[cfg(feature = "auth")]
        self.keep_method(id, connect);
        let ticket = self.ticket_since(mark);
        self.fence(id, ticket); // CONNACK waits for what was recorded, be it an end
        self.counters.connects = self.counters.connects.saturating_add(1);
        self.tell(Event::Connected { link: id, session_present: present });
        self.resume(session);
        Input::More
    }

    /// A name that no other session has [MQTT5-3.2.2-16, MQTT5-3.1.3-6, MQTT3-3.1.3-6].
    fn make_client_id<'m>(&mut self, made: &'m mut [u8; MADE_ID]) -> &'m [u8] {
        loop {
            let mut number = self.random.next();
            for (at, byte) in made.iter_mut().enumerate() {
                *byte = match PREFIX.get(at) {
                    Some(letter) => *letter,
                    None => {
                        let digit = (number & 0xF) as u8;
                        number >>= 4;
                        if digit < 10 { b'0'.wrapping_add(digit) } else { b'W'.wrapping_add(digit) }
                    }
                };
            }
            if self.find_session(made.as_slice()).is_none() {
                return made;
            }
        }
    }

    pub(super) fn find_session(&self, client_id: &[u8]) -> Option<SessionId> {
        let slot = self.session_index.find(self.hash.of(0, client_id), |slot| {
            self.sessions.get(slot).is_some_and(|session| self.names.get(session.name) == client_id)
        })?;
        Some(SessionId { slot, serial: self.sessions.get(slot)?.serial })
    }

    /// The session for a client identifier, taken over or made, and whether it was there
    /// [MQTT5-3.1.2-4, MQTT5-3.1.2-5, MQTT5-3.1.2-6, MQTT5-3.1.4-4]
    /// [MQTT3-3.1.2-4, MQTT3-3.1.2-6, MQTT3-3.1.4-3].
    fn take_session(
        &mut self,
        client_id: &[u8],
        clean: bool,
    ) -> Result<(SessionId, bool), ReasonCode> {
        if let Some(old) = self.find_session(client_id) {
            self.take_over(old);
            self.check_session(old.slot); // its time may have passed
        }
        match self.find_session(client_id) {
            Some(old) if !clean => {
                self.cancel_will(old); // [MQTT5-3.1.3-9]
                return Ok((old, true));
            }
            Some(old) => self.end_session(old),
            None => {}
        }
        self.make_session(client_id).map(|session| (session, false))
    }

    pub(super) fn make_session(&mut self, client_id: &[u8]) -> Result<SessionId, ReasonCode> {
        let full = |_| ReasonCode::QuotaExceeded;
        let name = self.names.insert(&[client_id]).map_err(full)?;
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let mut session = Session::new(serial, name);
        // The queue's limit is for those that wait.
        session.outgoing.set_limit(self.options.queue.saturating_add(MAX_SPAN));
        session.receipts.set_limit(u16::MAX); // until it is agreed
        let Ok(slot) = self.sessions.insert(session) else {
            self.names.remove(name);
            return Err(ReasonCode::QuotaExceeded);
        };
        let (sessions, names, hash) = (&self.sessions, &self.names, self.hash);
        let rehash =
            |slot| sessions.get(slot).map_or(0, |session| hash.of(0, names.get(session.name)));
        if self.session_index.insert(hash.of(0, client_id), slot, rehash).is_err() {
            self.sessions.remove(slot);
            self.names.remove(name);
            return Err(ReasonCode::QuotaExceeded);
        }
        Ok(SessionId { slot, serial })
    }

    /// An older connection of the session ends [MQTT5-3.1.4-3, MQTT3-3.1.4-2].
    pub(super) fn take_over(&mut self, session: SessionId) {
        let link = self.session(session).and_then(|session| session.link.checked_sub(1));
        if let Some(link) = link.and_then(|slot| self.link_id(slot)) {
            self.close_link(link, ReasonCode::SessionTakenOver);
        }
    }

    /// The broker ends a connection: with a DISCONNECT, where the version has one and CONNACK was
    /// sent [MQTT5-3.14.0-1].
    pub(super) fn close_link(&mut self, id: LinkId, reason: ReasonCode) {
        if let Some(link) = self.link_mut(id).filter(|link| link.phase == Phase::Open) {
            if link.version.is_v5() {
                let _ = link.push(&Disconnect::new(reason)); // [MQTT5-4.13.1-1]
            }
            let session = link.session.take();
            link.phase = Phase::Closing;
            if let Some(session) = session {
                self.detach(session, true);
            }
            self.tell(Event::Disconnected { link: id, why: Ended::Refused(reason) });
        }
        let _ = self.drop_link(id, reason);
    }

    /// Whose the session is, and what it may do.
    fn own(&mut self, id: SessionId, connect: &Connect<'_>, how: Acceptance) {
        let user = connect.user_name.and_then(|user| self.users.insert(&[user.as_bytes()]).ok());
        let Some(session) = self.session_mut(id) else { return };
        session.rules = how.rules;
        let old =
            core::mem::replace(&mut session.user, user.map_or(0, |user| user.saturating_add(1)));
        if let Some(old) = old.checked_sub(1) {
            self.users.remove(old);
        }
    }

    /// What was agreed begins to hold.
    fn agree(&mut self, id: LinkId, session_id: SessionId, connect: &Connect<'_>) {
        let keep_alive = self.keep_alive_secs(connect);
        let expiry = self.expiry_secs(connect);
        let (window, aliases) = (self.options.send_window, self.options.topic_alias_maximum);
        // Older clients are not told how many messages they may send ahead.
        let ahead = if connect.version.is_v5() { self.options.receive_maximum } else { u16::MAX };
        #[cfg(feature = "v5")]
        let outgoing = self.options.outgoing_aliases;
        let now = self.now;
        let Some(session) = self.session_mut(session_id) else { return };
        session.link = id.slot.saturating_add(1);
        session.expiry_secs = expiry;
        session.ends = None;
        session.will_due = None;
        session.receipts.set_limit(ahead);
        let released = session.outgoing.released();
        self.set_session_timer(session_id);
        self.count_presence(session_id, true);
        let Some(link) = self.link_mut(id) else { return };
        link.phase = Phase::Open;
        link.session = Some(session_id);
        link.heard = now;
        // The host itself is no network.
        let patience = if link.attached { 0 } else { keep_alive };
        link.patience_ms = u64::from(patience).saturating_mul(1_500);
        link.aliases_in.set_limit(ALIAS_BYTES);
        // Without room for a single topic there are none.
        let has_room = link.aliases_in.has_room(TopicName::trusted(b"/"));
        link.aliases_in.begin(if has_room { aliases } else { 0 });
        #[cfg(feature = "v5")]
        let window = match connect.properties.receive_maximum() {
            Some(maximum) => maximum.get().min(window),
            None => window,
        };
        #[cfg(feature = "v5")]
        {
            let largest = connect.properties.maximum_packet_size();
            link.max_packet_size = largest.map_or(u32::MAX, |size| size.get());
            let most = connect.properties.topic_alias_maximum().unwrap_or_default();
            link.aliases_out.set_limit(ALIAS_BYTES);
            link.aliases_out.begin(if link.attached { 0 } else { most.min(outgoing) });
            link.wants_problems = connect.properties.request_problem_information().unwrap_or(true);
        }
        link.quota = Quota::new(window, released);
        let patience = link.patience_ms;
        if patience == 0 {
            self.link_timers.clear(id.slot);
        } else {
            let _ = self.link_timers.set(id.slot, now.plus_millis(patience));
        }
    }

    /// The keep alive that holds: the client's, or ours where it can be told
    /// [MQTT5-3.2.2-21, MQTT5-3.2.2-22].
    fn keep_alive_secs(&self, connect: &Connect<'_>) -> u16 {
        match self.options.keep_alive_max_secs {
            Some(most)
                if connect.version.is_v5()
                    && (connect.keep_alive == 0 || connect.keep_alive > most) =>
            {
                most
            }
            _ => connect.keep_alive,
        }
    }

    /// How long the session will outlive the connection.
    fn expiry_secs(&self, connect: &Connect<'_>) -> u32 {
        #[cfg(feature = "v5")]
        let asked = connect.properties.session_expiry_interval().unwrap_or_default();
        #[cfg(not(feature = "v5"))]
        let asked = 0;
        let asked = match (connect.version.is_v5(), connect.clean_start) {
            (true, _) => asked,
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        asked.min(self.options.session_expiry_max_secs)
    }

    /// CONNACK with all that the client must know [MQTT5-3.2.2-2, MQTT5-3.2.2-3]
    /// [MQTT3-3.2.2-1, MQTT3-3.2.2-2, MQTT3-3.2.2-3]. Whether it was sent.
    fn answer_connect(
        &mut self,
        id: LinkId,
        session: SessionId,
        connect: &Connect<'_>,
        told: &Told<'_>,
    ) -> bool {
        #[cfg(feature = "v5")]
        let list = self.connack_properties(id, session, connect, told);
        #[cfg(feature = "v5")]
        let properties =
            if connect.version.is_v5() { Properties::new(&list) } else { Properties::EMPTY };
        #[cfg(not(feature = "v5"))]
        let properties = Properties::EMPTY;
        let _ = (session, told.client_id, told.data);
        let session_present = told.present && connect.version != Version::V31;
        let reason = ReasonCode::Success; // [MQTT5-3.1.4-5, MQTT3-3.1.4-4]
        let connack = ConnAck { session_present, reason, properties };
        let sent = self.link_mut(id).map(|link| link.push(&connack));
        self.touch(id);
        sent == Some(Push::Sent)
    }

    /// Nothing that the client can do without: no reason string and no user properties
    /// [MQTT5-3.2.2-19, MQTT5-3.2.2-20], no response information [MQTT5-3.1.2-28].
    #[cfg(feature = "v5")]
    fn connack_properties<'p>(
        &self,
        id: LinkId,
        session: SessionId,
        connect: &Connect<'p>,
        told: &Told<'p>,
    ) -> heapless::Vec<Property<'p>, 12> {
        use core::num::{NonZeroU16, NonZeroU32};

        let options = &self.options;
        let asked = connect.properties.session_expiry_interval().unwrap_or_default();
        let session = self.session(session);
        let granted = session.map_or(0, |session| session.expiry_secs);
        let ahead = session.map_or(0, |session| session.receipts.limit());
        let ahead = u16::try_from(ahead).unwrap_or(u16::MAX).min(options.receive_maximum);
        let receive = NonZeroU16::new(ahead).unwrap_or(NonZeroU16::MIN);
        let aliases = self.link(id).map_or(0, |link| link.aliases_in.maximum());
        let keep_alive = self.keep_alive_secs(connect);
        let largest = NonZeroU32::new(options.max_packet_size).unwrap_or(NonZeroU32::MIN);
        let told = [
            (asked != granted).then_some(Property::SessionExpiryInterval(granted)),
            Some(Property::ReceiveMaximum(receive)),
            // [MQTT5-3.2.2-9]
            (options.maximum_qos < QoS::ExactlyOnce)
                .then_some(Property::MaximumQoS(options.maximum_qos)),
            (!options.retain).then_some(Property::RetainAvailable(false)),
            Some(Property::MaximumPacketSize(largest)),
            // [MQTT5-3.1.3-7]
            connect
                .client_id
                .is_empty()
                .then_some(Property::AssignedClientIdentifier(Text::trusted(told.client_id))),
            (aliases != 0).then_some(Property::TopicAliasMaximum(aliases)),
            (!options.wildcards).then_some(Property::WildcardSubscriptionAvailable(false)),
            (!options.shared).then_some(Property::SharedSubscriptionAvailable(false)),
            (keep_alive != connect.keep_alive).then_some(Property::ServerKeepAlive(keep_alive)),
            // The method of CONNECT, or none [MQTT5-4.12.0-5, MQTT5-4.12.0-6].
            connect.properties.authentication_method().map(Property::AuthenticationMethod),
            told.data.map(Property::AuthenticationData),
        ];
        told.into_iter().flatten().collect()
    }

    fn keep_will(&mut self, session: SessionId, connect: &Connect<'_>) {
        let will = connect.will.as_ref().and_then(|will| self.store_will(session, will));
        if let Some(session) = self.session_mut(session) {
            session.will = will;
        }
    }

    /// A will is kept with the session [MQTT5-3.1.2-7, MQTT3-3.1.2-8].
    fn store_will(
        &mut self,
        session: SessionId,
        will: &crate::codec::Will<'_>,
    ) -> Option<StoredWill> {
        let publisher = (session.slot.saturating_add(1), session.serial);
        #[cfg(feature = "v5")]
        let (delay_secs, expiry_secs) = (
            will.properties.will_delay_interval().unwrap_or_default(),
            will.properties.message_expiry_interval(),
        );
        #[cfg(not(feature = "v5"))]
        let (delay_secs, expiry_secs) = (0, None);
        let body = self.keep_message(
            will.topic.as_bytes(),
            &will.properties,
            will.payload,
            None,
            publisher,
        );
        match body {
            Ok(body) => Some(StoredWill {
                body,
                qos: will.qos,
                retain: will.retain,
                delay_secs,
                expiry_secs,
            }),
            Err(_) => {
                self.counters.dropped_memory = self.counters.dropped_memory.saturating_add(1);
                None
            }
        }
    }
}

/// What CONNACK says besides the broker's limits.
struct Told<'a> {
    client_id: &'a [u8],
    present: bool,
    /// Authentication data.
    data: Option<&'a [u8]>,
}

/// What the identifiers begin with that the broker gives.
const PREFIX: &[u8] = b"auto-";

/// How long they are.
const MADE_ID: usize = 21;

/// How many bytes of topics may stand behind a connection's aliases, on `Heap`.
const ALIAS_BYTES: usize = 64 << 10;
