//! CONNECT: who may come in, as whom, and what is agreed.

use super::connack::{Last, Told};
use super::event::SessionEnd;
use super::event::{Ended, Event};
use super::limits::{Limits, LimitsAt};
use super::link::{LinkId, Phase};
use super::outgoing::MAX_SPAN;
use super::publisher::Publisher;
use super::rights::RulesId;
use super::session::{Session, SessionId};
use super::{Acceptance, Broker, Input, Refusal};
use crate::Instant;
use crate::codec::{Connect, DecodeError, Sin, frame_len};
use crate::flow::quota::Quota;
use crate::storage::{Arena, Index, Pool, Queue, Storage};
use crate::types::{ReasonCode, Text, TopicName, Version};

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
                let limits = self.note_connect(id, &connect);
                if let Err(reason) = self.check_connect(limits, &connect) {
                    return self.refuse(id, reason);
                }
                if self.options.ask_connect {
                    let len = before.len().saturating_sub(input.len());
                    return self.ask(id, before.get(..len).unwrap_or_default());
                }
                if self.must_claim(id, &connect, &Acceptance::default()) {
                    let len = before.len().saturating_sub(input.len());
                    return self.claim(id, before.get(..len).unwrap_or_default());
                }
                self.accept(id, &connect, &Acceptance::default(), None)
            }
            Err(error) => self.refuse_malformed(id, &error),
        }
    }

    /// What has to be known of a CONNECT before it is answered; and which limits hold for it.
    pub(super) fn note_connect(&mut self, id: LinkId, connect: &Connect<'_>) -> LimitsAt {
        let Some(link) = self.link_mut(id) else { return 0 };
        link.version = connect.version;
        #[cfg(feature = "v5")]
        {
            let largest = connect.properties.maximum_packet_size();
            link.max_packet_size = largest.map_or(u32::MAX, |size| size.get());
            link.wants_problems = connect.properties.request_problem_information().unwrap_or(true);
        }
        link.limits
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
    pub(super) fn check_connect(
        &self,
        at: LimitsAt,
        connect: &Connect<'_>,
    ) -> Result<(), ReasonCode> {
        let limits = self.limits_of(at);
        let nameless = connect.client_id.is_empty() && !limits.client_id_from_user;
        let keeps = !connect.clean_start && connect.version == Version::V311;
        if nameless && (!limits.empty_client_id || keeps || connect.version == Version::V31) {
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
            if will.qos > limits.maximum_qos {
                return Err(ReasonCode::QoSNotSupported); // [MQTT5-3.2.2-12]
            }
            if will.retain && !limits.retain {
                return Err(ReasonCode::RetainNotSupported); // [MQTT5-3.2.2-13]
            }
            if !self.may_publish(at, will.topic.as_bytes()) {
                return Err(ReasonCode::TopicNameInvalid);
            }
        }
        Ok(())
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
        how: &Acceptance<'_>,
        data: Option<&[u8]>,
    ) -> Input {
        let mark = self.journal.mark();
        let limits = self.choose_limits(id, how);
        if how.limits.is_some()
            && let Err(reason) = self.check_connect(limits, connect)
        {
            return self.refuse(id, reason);
        }
        let user = how.user.or(connect.user_name).map_or(&[][..], Text::as_bytes);
        let mut made = [0; MADE_ID];
        let client_id = match self.client_id_of(id, connect, how) {
            [] if self.limits_of(limits).client_id_from_user => {
                return self.refuse(id, ReasonCode::BadUserNameOrPassword);
            }
            [] => self.make_client_id(limits, &mut made),
            known => known,
        };
        if !how.take_over && !self.owns(user, client_id) {
            return self.refuse(id, ReasonCode::NotAuthorized);
        }
        let (session, present) = match self.take_session(client_id, connect.clean_start) {
            Ok(found) => found,
            Err(reason) => return self.refuse(id, reason),
        };
        self.own(session, user, limits, how.rules);
        self.agree(id, session, connect, how);
        let told = Told { client_id, present, how, data };
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
                self.end_session(session, SessionEnd::Disconnected);
            }
            return self.refuse(id, ReasonCode::PacketTooLarge);
        }
        self.renew_epoch(session);
        self.keep_will(session, connect);
        self.record_connected(session, present);
        #[cfg(feature = "auth")]
        self.keep_method(id, connect);
        let ticket = self.ticket_since(mark);
        self.fence(id, ticket); // CONNACK waits for what was recorded, be it an end
        self.counters.connects = self.counters.connects.saturating_add(1);
        self.tell(Event::Connected { link: id, session_present: present });
        self.refresh_cursors(session);
        self.resume(session);
        Input::More
    }

    /// The limits that hold from now on: those that the host says, else those of the listener.
    fn choose_limits(&mut self, id: LinkId, how: &Acceptance<'_>) -> LimitsAt {
        let chosen = how.limits.map(|limits| self.limits_at(limits));
        let at = chosen.unwrap_or_else(|| self.link(id).map_or(0, |link| link.limits));
        let ahead = usize::from(self.limits_of(at).receive_maximum).saturating_mul(2);
        if let Some(link) = self.link_mut(id) {
            link.limits = at;
            link.gate.set_limit(ahead);
        }
        at
    }

    /// The client identifier: what the host says, or the name of the user where wanted, else what
    /// the client says; empty if it is to be made.
    pub(super) fn client_id_of<'a>(
        &self,
        id: LinkId,
        connect: &Connect<'a>,
        how: &Acceptance<'a>,
    ) -> &'a [u8] {
        let at = how.limits.map(|limits| self.limits_at(limits));
        let at = at.unwrap_or_else(|| self.link(id).map_or(0, |link| link.limits));
        match how.client_id.filter(|given| !given.is_empty()) {
            Some(given) => given.as_bytes(),
            None if self.limits_of(at).client_id_from_user => {
                how.user.or(connect.user_name).map_or(&[][..], Text::as_bytes)
            }
            None => connect.client_id.as_bytes(),
        }
    }

    /// Whether a session is this user's, if there is one. Where nobody is asked who somebody is, it
    /// is everybody's.
    pub(super) fn owns(&self, user: &[u8], client_id: &[u8]) -> bool {
        let session = self.find_session(client_id).filter(|_| self.options.ask_connect);
        session.and_then(|id| self.session(id)).is_none_or(|session| {
            session.user.checked_sub(1).map_or(&[][..], |user| self.users.get(user)) == user
        })
    }

    /// A name that no other session has [MQTT5-3.2.2-16, MQTT5-3.1.3-6, MQTT3-3.1.3-6].
    fn make_client_id<'m>(&mut self, at: LimitsAt, made: &'m mut [u8; MADE_ID]) -> &'m [u8] {
        loop {
            let mut number = self.random.next();
            let (prefix, digits) = made.split_at_mut(PREFIX_BYTES);
            let wanted = self.prefix_of(at);
            let len = wanted.len().min(PREFIX_BYTES);
            let start = PREFIX_BYTES.saturating_sub(len);
            for (to, byte) in prefix.iter_mut().skip(start).zip(wanted) {
                *to = *byte;
            }
            for byte in digits {
                let digit = (number & 0xF) as u8;
                number >>= 4;
                *byte =
                    if digit < 10 { b'0'.wrapping_add(digit) } else { b'W'.wrapping_add(digit) };
            }
            let name = made.get(start..).unwrap_or_default();
            if self.find_session(name).is_none() {
                break made.get(start..).unwrap_or_default();
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
            Some(old) => self.end_session(old, SessionEnd::CleanStart),
            None => {}
        }
        self.make_session(client_id).map(|session| (session, false))
    }

    pub(super) fn make_session(&mut self, client_id: &[u8]) -> Result<SessionId, ReasonCode> {
        let full = |_| ReasonCode::QuotaExceeded;
        let name = self.names.insert(&[client_id]).map_err(full)?;
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let mut session = Session::new(serial, name, Publisher::of(client_id));
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
        self.close_link_with(id, &Refusal::new(reason));
    }

    pub(super) fn close_link_with(&mut self, id: LinkId, why: &Refusal<'_>) {
        if let Some(link) = self.link_mut(id).filter(|link| link.phase == Phase::Open) {
            let is_told = link.version.is_v5();
            if is_told {
                link.push_refusal(Last::Disconnect, why); // [MQTT5-4.13.1-1]
            }
            let session = link.session.take();
            link.phase = Phase::Closing;
            self.counters.count_others(u64::from(is_told));
            if let Some(session) = session {
                self.detach(session, true);
            }
            self.tell(Event::Disconnected { link: id, why: Ended::Refused(why.reason) });
        }
        let _ = self.drop_link(id, why.reason);
    }

    /// Whose the session is, and what it may do.
    fn own(&mut self, id: SessionId, user: &[u8], limits: LimitsAt, rules: Option<RulesId>) {
        if let Some(session) = self.session_mut(id) {
            (session.rules, session.limits, session.overrun) = (rules, limits, false);
        }
        self.set_user(id, user);
    }

    pub(super) fn set_user(&mut self, id: SessionId, user: &[u8]) {
        let user = (!user.is_empty()).then(|| self.users.insert(&[user]).ok()).flatten();
        let Some(session) = self.session_mut(id) else { return };
        let old =
            core::mem::replace(&mut session.user, user.map_or(0, |user| user.saturating_add(1)));
        if let Some(old) = old.checked_sub(1) {
            self.users.remove(old);
        }
    }

    /// What was agreed begins to hold.
    fn agree(
        &mut self,
        id: LinkId,
        session_id: SessionId,
        connect: &Connect<'_>,
        how: &Acceptance<'_>,
    ) {
        let limits = *self.link_limits(id);
        let keep_alive = keep_alive_secs(&limits, connect, how);
        let expiry = expiry_secs(&limits, connect, how);
        let (window, aliases) = (limits.send_window, limits.topic_alias_maximum);
        // Older clients are not told how many messages they may send ahead.
        let ahead = if connect.version.is_v5() { limits.receive_maximum } else { u16::MAX };
        #[cfg(feature = "v5")]
        let outgoing = limits.outgoing_aliases;
        let now = self.now;
        let Some(session) = self.session_mut(session_id) else { return };
        session.link = id.slot.saturating_add(1);
        session.expiry_secs = expiry;
        session.ends = Instant::NEVER;
        session.will_due = Instant::NEVER;
        session.receipts.set_limit(ahead);
        let released = session.outgoing.released();
        self.set_session_timer(session_id);
        self.count_presence(session_id, true);
        let Some(link) = self.link_mut(id) else { return };
        link.phase = Phase::Open;
        link.session = Some(session_id);
        link.expiry_max_secs = how.session_expiry_secs.unwrap_or(limits.session_expiry_max_secs);
        link.heard = now;
        // The host itself is no network.
        let patience = if link.attached { 0 } else { keep_alive };
        link.patience_ms = u32::from(patience).saturating_mul(1_500);
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
            let most = connect.properties.topic_alias_maximum().unwrap_or_default();
            link.aliases_out.set_limit(ALIAS_BYTES);
            link.aliases_out.begin(if link.attached { 0 } else { most.min(outgoing) });
        }
        link.quota = Quota::new(window, released);
        let patience = link.patience_ms;
        if patience == 0 {
            self.link_timers.clear(id.slot);
        } else {
            let _ = self.link_timers.set(id.slot, now.plus_millis(u64::from(patience)));
        }
    }
}

/// The keep alive that holds: the client's, or ours where it can be told
/// [MQTT5-3.2.2-21, MQTT5-3.2.2-22].
pub(super) fn keep_alive_secs(
    limits: &Limits<'_>,
    connect: &Connect<'_>,
    how: &Acceptance<'_>,
) -> u16 {
    let asked = connect.keep_alive;
    match (how.keep_alive_secs, limits.keep_alive_max_secs) {
        _ if !connect.version.is_v5() => asked,
        (Some(given), _) => given,
        (None, Some(most)) if asked == 0 || asked > most => most,
        _ => asked,
    }
}

/// How long the session will outlive the connection.
fn expiry_secs(limits: &Limits<'_>, connect: &Connect<'_>, how: &Acceptance<'_>) -> u32 {
    #[cfg(feature = "v5")]
    let asked = connect.properties.session_expiry_interval().unwrap_or_default();
    #[cfg(not(feature = "v5"))]
    let asked = 0;
    let asked = match (connect.version.is_v5(), connect.clean_start) {
        (true, _) => asked,
        (false, true) => return 0, // [MQTT3-3.1.2-6]
        (false, false) => u32::MAX,
    };
    how.session_expiry_secs.unwrap_or_else(|| asked.min(limits.session_expiry_max_secs))
}

/// How long the beginning of an identifier may be that is given, in bytes.
const PREFIX_BYTES: usize = 32;

/// How long such an identifier is at most.
const MADE_ID: usize = PREFIX_BYTES + 16;

/// How many bytes of topics may stand behind a connection's aliases, on `Heap`.
const ALIAS_BYTES: usize = 64 << 10;
