//! Questions to the host: may this client connect, and is what it says of itself enough?
//!
//! While a question about a CONNECT is open, the packet is kept, and its connection's input waits.
//! With an authentication method the answer may be to go on: AUTH goes out, and the client's AUTH
//! is the next question. Later it may authenticate again, by the same method, while everything else
//! goes on.

use super::event::{Event, Input};
use super::link::{Link, LinkId, Phase};
use super::{Acceptance, AskId, Broker, SessionInfo, Verdict};
use crate::Instant;
use crate::codec::Connect;
#[cfg(feature = "auth")]
use crate::codec::{Auth, Packet, Properties, Property, Sender, frame_len};
use crate::storage::{Memory, Storage};
use crate::types::ReasonCode;
#[cfg(feature = "auth")]
use crate::types::{Text, Version};

impl<S: Storage> Broker<S> {
    /// Asks about a CONNECT, which is kept.
    pub(super) fn ask(&mut self, id: LinkId, packet: &[u8]) -> Input {
        let Ok(run) = self.bodies.keep_ids(packet) else {
            return self.refuse(id, ReasonCode::QuotaExceeded);
        };
        if let Some(link) = self.link_mut(id) {
            link.connect = run.saturating_add(1);
            link.phase = Phase::Asking;
        }
        self.tell_to_answer(id);
        Input::Blocked
    }

    /// The host is asked. An answer to an earlier question about the connection is none to this.
    pub(super) fn tell_to_answer(&mut self, id: LinkId) {
        let Some(link) = self.link_mut(id) else { return };
        link.asks = link.asks.wrapping_add(1);
        let number = link.asks;
        self.tell(Event::Ask(AskId { link: id, number }));
    }

    /// The connection that a question is about, while it is open.
    pub(super) fn asked_link(&self, ask: AskId) -> Option<&Link<S>> {
        self.link(ask.link).filter(|link| link.asks == ask.number)
    }

    /// The session that a CONNECT would go on with or end: the host sees whose it is.
    #[must_use]
    pub fn session_asked_for(&self, ask: AskId) -> Option<SessionInfo<'_>> {
        let connect = self.connect_of(ask)?;
        self.session_info(self.find_session(connect.client_id.as_bytes())?)
    }

    /// The CONNECT that a question is about, or began with.
    #[must_use]
    pub fn connect_of(&self, ask: AskId) -> Option<Connect<'_>> {
        self.asked_link(ask)?;
        self.kept_connect(ask.link)
    }

    pub(super) fn kept_connect(&self, id: LinkId) -> Option<Connect<'_>> {
        let run = self.link(id)?.connect.checked_sub(1)?;
        Connect::decode(&mut self.bodies.run(run)).ok()?
    }

    /// The AUTH that a question is about; `None` for a question about a CONNECT alone.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn auth_of(&self, ask: AskId) -> Option<Auth<'_>> {
        let run = self.asked_link(ask)?.auth.checked_sub(1)?;
        match Packet::decode(&mut self.bodies.run(run), Version::V5, Sender::Client) {
            Ok(Some(Packet::Auth(auth))) => Some(auth),
            _ => None,
        }
    }

    /// Answers a question. An answer that comes too late does nothing.
    pub fn answer(&mut self, ask: AskId, verdict: Verdict<'_>, now: Instant) {
        self.answer_with(ask, verdict, None, now);
    }

    /// Answers a question, with authentication data for the client.
    pub fn answer_with(
        &mut self,
        ask: AskId,
        verdict: Verdict<'_>,
        data: Option<&[u8]>,
        now: Instant,
    ) {
        self.now = self.now.max(now);
        let id = ask.link;
        if self.answer_packet(ask, &verdict) {
            return;
        }
        match self.asked_link(ask).map(|link| (link.phase, link.auth != 0)) {
            Some((Phase::Asking, _)) => self.answer_connect_question(id, verdict, data),
            #[cfg(feature = "auth")]
            Some((Phase::Open, true)) => self.answer_again(id, verdict, data),
            _ => return,
        }
        #[cfg(feature = "alloc")]
        if self.link(id).is_some_and(|link| link.phase == Phase::Moved) {
            return;
        }
        self.tell(Event::Resume(id));
    }

    fn answer_connect_question(&mut self, id: LinkId, verdict: Verdict<'_>, data: Option<&[u8]>) {
        match verdict {
            Verdict::Accept(how) if self.claim_kept(id, &how, data) => {}
            Verdict::Accept(how) => self.accept_kept(id, &how, data),
            Verdict::Refuse(why) => {
                self.forget_question(id);
                let _ = self.refuse_with(id, &why); // [MQTT5-4.12.0-4]
            }
            #[cfg(feature = "alloc")]
            Verdict::MoveTo(peer) => self.move_link(id, peer),
            #[cfg(feature = "auth")]
            Verdict::Continue => {
                if !self.send_auth(id, ReasonCode::ContinueAuthentication, data) {
                    self.forget_question(id);
                    let _ = self.refuse(id, ReasonCode::BadAuthenticationMethod);
                    return;
                }
                self.forget_auth(id);
                if let Some(link) = self.link_mut(id) {
                    link.phase = Phase::Continuing;
                }
            }
        }
    }

    /// Accepts the CONNECT that is kept.
    pub(super) fn accept_kept(&mut self, id: LinkId, how: &Acceptance<'_>, data: Option<&[u8]>) {
        let run = self.link(id).and_then(|link| link.connect.checked_sub(1));
        let mut scratch = self.take_scratch();
        let bytes = run.map_or(&[][..], |run| self.bodies.run(run));
        let copied = scratch.resize(bytes.len());
        if copied.is_ok() {
            scratch.bytes_mut().copy_from_slice(bytes);
        }
        self.forget_question(id);
        if let Some(link) = self.link_mut(id) {
            link.phase = Phase::Silent;
        }
        let _ = match Connect::decode(&mut scratch.bytes()) {
            Ok(Some(connect)) if copied.is_ok() => self.accept(id, &connect, how, data),
            _ => self.refuse(id, ReasonCode::QuotaExceeded),
        };
        self.put_scratch(scratch);
    }

    /// What was kept for a question is not needed any more.
    pub(super) fn forget_question(&mut self, id: LinkId) {
        let connect = self.link_mut(id).map_or(0, |link| core::mem::take(&mut link.connect));
        if let Some(run) = connect.checked_sub(1) {
            self.bodies.release_ids(run);
        }
        self.forget_auth(id);
    }

    fn forget_auth(&mut self, id: LinkId) {
        let auth = self.link_mut(id).map_or(0, |link| core::mem::take(&mut link.auth));
        if let Some(run) = auth.checked_sub(1) {
            self.bodies.release_ids(run);
        }
    }

    /// All that a connection keeps goes with it.
    pub(super) fn forget_link(&mut self, id: LinkId) {
        self.forget_question(id);
        self.forget_packet(id);
        let method = self.link_mut(id).map_or(0, |link| core::mem::take(&mut link.method));
        if let Some(run) = method.checked_sub(1) {
            self.bodies.release_ids(run);
        }
    }
}

/// AUTH, on both sides of the acceptance.
#[cfg(feature = "auth")]
impl<S: Storage> Broker<S> {
    /// The method of a connection: that of its CONNECT.
    fn method(&self, id: LinkId) -> Option<Text<'_>> {
        let link = self.link(id)?;
        if let Some(run) = link.method.checked_sub(1) {
            return Some(Text::trusted(self.bodies.run(run)));
        }
        let run = link.connect.checked_sub(1)?;
        let connect = Connect::decode(&mut self.bodies.run(run)).ok()??;
        connect.properties.authentication_method()
    }

    /// Keeps the method of an accepted connection, for later.
    pub(super) fn keep_method(&mut self, id: LinkId, connect: &Connect<'_>) {
        let Some(method) = connect.properties.authentication_method() else { return };
        let Ok(run) = self.bodies.keep_ids(method.as_bytes()) else { return };
        if let Some(link) = self.link_mut(id) {
            link.method = run.saturating_add(1);
        }
    }

    /// AUTH to the client, always with the method of its CONNECT, and never without one
    /// [MQTT5-4.12.0-2, MQTT5-4.12.0-5, MQTT5-4.12.0-6]. Whether it was sent.
    fn send_auth(&mut self, id: LinkId, reason: ReasonCode, data: Option<&[u8]>) -> bool {
        let mut scratch = self.take_scratch();
        let method = self.method(id).map_or(&[][..], Text::as_bytes);
        let copied = !method.is_empty() && scratch.resize(method.len()).is_ok();
        if copied {
            scratch.bytes_mut().copy_from_slice(method);
            let method = Property::AuthenticationMethod(Text::trusted(scratch.bytes()));
            let mut list = heapless::Vec::<_, 2>::from_array([method]);
            list.extend(data.map(Property::AuthenticationData));
            let auth = Auth { reason, properties: Properties::new(&list) };
            if let Some(link) = self.link_mut(id) {
                let _ = link.push(&auth);
                self.counters.count_others(1);
            }
            self.touch(id);
        }
        self.put_scratch(scratch);
        copied
    }

    /// While AUTH is awaited, nothing else may come but DISCONNECT [MQTT5-3.1.2-30].
    pub(super) fn handle_continuing(&mut self, id: LinkId, input: &mut &[u8]) -> Input {
        let limit = self.options.max_connect_size as usize;
        if matches!(frame_len(input, Version::V5), Ok(Some(len)) if len > limit) {
            return self.drop_link(id, ReasonCode::PacketTooLarge);
        }
        let before = *input;
        match Packet::decode(input, Version::V5, Sender::Client) {
            Ok(None) => Input::More,
            Ok(Some(Packet::Auth(auth)))
                if auth.reason == ReasonCode::ContinueAuthentication
                    && auth.properties.authentication_method() == self.method(id) =>
            {
                let len = before.len().saturating_sub(input.len());
                self.ask_again(id, before.get(..len).unwrap_or_default());
                if let Some(link) = self.link_mut(id) {
                    link.phase = Phase::Asking;
                }
                Input::Blocked
            }
            Ok(Some(_)) => self.refuse(id, ReasonCode::ProtocolError),
            Err(error) => self.refuse(id, error.reason_code()),
        }
    }

    fn ask_again(&mut self, id: LinkId, packet: &[u8]) {
        let run = self.bodies.keep_ids(packet);
        if let (Ok(run), Some(link)) = (run, self.link_mut(id)) {
            link.auth = run.saturating_add(1);
        }
        self.tell_to_answer(id);
    }

    /// A client that is connected authenticates again [MQTT5-4.12.1-1], one question at a time.
    pub(super) fn handle_auth(&mut self, id: LinkId, auth: &Auth<'_>) {
        let method = auth.properties.authentication_method();
        let asked = self.link(id).is_some_and(|link| link.auth != 0);
        let goes_on = self.link(id).is_some_and(|link| link.authenticates_again);
        let is_due = match auth.reason {
            ReasonCode::ReAuthenticate => !goes_on,
            _ => goes_on,
        };
        if asked || !is_due || method.is_none() || method != self.method(id) {
            return self.close_link(id, ReasonCode::ProtocolError);
        }
        if let Some(link) = self.link_mut(id) {
            link.authenticates_again = true;
        }
        let mut bytes = self.take_scratch();
        let packet = Packet::Auth(*auth);
        let kept = packet.encoded_len(Version::V5).ok().filter(|len| bytes.resize(*len).is_ok());
        if kept.is_some() && packet.encode(Version::V5, bytes.bytes_mut()).is_ok() {
            self.ask_again(id, bytes.bytes());
        } else {
            self.close_link(id, ReasonCode::QuotaExceeded);
        }
        self.put_scratch(bytes);
    }

    fn answer_again(&mut self, id: LinkId, verdict: Verdict<'_>, data: Option<&[u8]>) {
        self.forget_auth(id);
        match verdict {
            Verdict::Continue => {
                self.send_auth(id, ReasonCode::ContinueAuthentication, data);
            }
            Verdict::Accept(how) => {
                if let Some(link) = self.link_mut(id) {
                    link.authenticates_again = false;
                }
                if let Some((_, session)) = self.open_session(id)
                    && let Some(session) = self.session_mut(session)
                {
                    session.rules = how.rules;
                }
                self.send_auth(id, ReasonCode::Success, data);
            }
            Verdict::Refuse(why) => self.close_link_with(id, &why), // [MQTT5-4.12.1-2]
            #[cfg(feature = "alloc")]
            Verdict::MoveTo(_) => self.close_link(id, ReasonCode::UseAnotherServer),
        }
    }
}
