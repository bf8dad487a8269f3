//! Questions to the host about what clients send: where rules say so, each publish and each
//! subscribe is one.
//!
//! The packet is not taken: its bytes wait with whoever drives the broker, and everything behind
//! them does; a copy is kept to be looked at. Once the question is answered, the packet is handed
//! in again, and handled as the answer says. So only its connection waits, and whatever else has to
//! hold before a packet is taken is looked at then.

use super::event::Event;
use super::link::{Link, LinkId, Phase};
use super::rights::Permission;
use super::session::SessionId;
use super::{AskId, Broker, Verdict};
use crate::Instant;
#[cfg(feature = "auth")]
use crate::codec::Auth;
use crate::codec::{Connect, Packet, Publish, Sender, Subscribe};
use crate::storage::{Full, Memory, Storage};
use crate::types::{ReasonCode, TopicName};

/// What a question is about. What it borrows is the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask<'a> {
    /// May this client connect? It is answered by [`Broker::answer`].
    Connect(Connect<'a>),
    /// Is this enough? It may be about a client that is connected. It is answered by
    /// [`Broker::answer_with`].
    #[cfg(feature = "auth")]
    Authenticate(Auth<'a>),
    /// May the client publish this? The topic is that of the alias, if there is one, and without
    /// what stands before the client's topics
    /// ([`Limits::mount_point`](super::Limits::mount_point)). It is answered by [`Broker::answer`]:
    /// any acceptance allows it, a refusal is told as far as the version can.
    Publish(Publish<'a>),
    /// May the client have these subscriptions, as far as the rules say that this is asked? The
    /// filters are as the client said them. It is answered by [`Broker::answer`] for all of them,
    /// or by [`Broker::answer_filters`] for each.
    Subscribe(Subscribe<'a>),
}

/// The question about what a connection sent, and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    /// The packet, while it is open: a run in the bodies, plus one.
    packet: u32,
    /// Which one of the connection, apart from those about CONNECT and AUTH.
    number: u32,
    /// Up to when it can be answered.
    until: Instant,
    /// The answer to all of it, once it is there; or a run of answers, plus one.
    code: Option<ReasonCode>,
    codes: u32,
}

impl Question {
    pub(crate) const NONE: Self =
        Self { packet: 0, number: FIRST, until: Instant::NEVER, code: None, codes: 0 };

    pub(crate) const fn is_open(&self) -> bool {
        self.packet != 0
    }

    const fn is_answered(&self) -> bool {
        self.code.is_some()
    }

    /// When it is answered if nobody does.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.is_open().then_some(self.until)
    }
}

/// Numbers from here on are of these questions.
const FIRST: u32 = 1 << 31;

impl<S: Storage> Broker<S> {
    /// What a question is about, while it is open.
    ///
    /// ```
    /// use tamtam_core::broker::{Ask, AskId, Broker, Verdict};
    /// use tamtam_core::{Heap, Instant, ReasonCode};
    ///
    /// fn decide(broker: &mut Broker<Heap>, ask: AskId, now: Instant) {
    ///     let verdict = match broker.asked(ask) {
    ///         Some(Ask::Publish(publish)) if publish.payload.len() > 1_000 => {
    ///             Verdict::refuse(ReasonCode::QuotaExceeded)
    ///         }
    ///         _ => Verdict::Accept(Default::default()),
    ///     };
    ///     broker.answer(ask, verdict, now);
    /// }
    /// ```
    #[must_use]
    pub fn asked(&self, ask: AskId) -> Option<Ask<'_>> {
        if let Some(link) = self.questioned(ask) {
            let mut bytes = self.bodies.run(link.question.packet.checked_sub(1)?);
            return match Packet::decode(&mut bytes, link.version, Sender::Client).ok()?? {
                Packet::Publish(publish) => {
                    let topic = publish.topic.or_else(|| alias_of(link, &publish));
                    Some(Ask::Publish(Publish { topic, ..publish }))
                }
                Packet::Subscribe(subscribe) => Some(Ask::Subscribe(subscribe)),
                _ => None,
            };
        }
        #[cfg(feature = "auth")]
        if let Some(auth) = self.auth_of(ask) {
            return Some(Ask::Authenticate(auth));
        }
        self.connect_of(ask).map(Ask::Connect)
    }

    /// Answers a question about subscriptions with a code for each filter, in order:
    /// [`ReasonCode::Success`], or why it may not be had. Codes that are missing refuse; those of
    /// filters about which the rules have decided mean nothing. An answer that comes too late does
    /// nothing.
    pub fn answer_filters(&mut self, ask: AskId, codes: &[ReasonCode], now: Instant) {
        self.now = self.now.max(now);
        if self.questioned(ask).is_none() {
            return;
        }
        let mut scratch = self.take_scratch();
        let kept = scratch.resize(codes.len()).and_then(|()| {
            for (byte, code) in scratch.bytes_mut().iter_mut().zip(codes) {
                *byte = code.as_byte();
            }
            self.bodies.keep_ids(scratch.bytes())
        });
        self.put_scratch(scratch);
        self.settle_question(
            ask.link,
            match kept {
                Ok(run) => Ok(run),
                Err(Full) => Err(ReasonCode::QuotaExceeded),
            },
        );
    }

    /// The connection of which a packet waits for this answer.
    fn questioned(&self, ask: AskId) -> Option<&Link<S>> {
        self.link(ask.link).filter(|link| {
            let question = &link.question;
            link.phase == Phase::Open && question.is_open() && question.number == ask.number
        })
    }

    /// Answers a question about a packet. Whether it is one.
    pub(super) fn answer_packet(&mut self, ask: AskId, verdict: &Verdict<'_>) -> bool {
        if self.questioned(ask).is_none() {
            return false;
        }
        let code = match verdict {
            Verdict::Accept(_) => ReasonCode::Success,
            Verdict::Refuse(why) if why.reason.is_error() => why.reason,
            _ => ReasonCode::NotAuthorized,
        };
        self.settle_question(ask.link, Err(code));
        true
    }

    /// The answer is there: a run of codes, or one for all. The packet can be handed in again.
    fn settle_question(&mut self, id: LinkId, answer: Result<u32, ReasonCode>) {
        self.forget_packet(id);
        let now = self.now;
        if let Some(link) = self.link_mut(id) {
            (link.blocked, link.heard) = (false, now); // its silence was ours
            link.question.code = Some(answer.err().unwrap_or(ReasonCode::Success));
            link.question.codes = answer.map_or(0, |run| run.saturating_add(1));
        }
        self.tell(Event::Resume(id));
    }

    /// Asks about a packet that was not taken. Whether the host is asked: if there is no room to
    /// show it, the answer is that.
    pub(super) fn ask_about(&mut self, id: LinkId, packet: &[u8]) -> bool {
        let until = self.now.plus_millis(u64::from(self.options.ask_timeout_ms));
        let kept = self.bodies.keep_ids(packet);
        let Some(link) = self.link_mut(id) else { return true };
        let Ok(run) = kept else {
            link.question.code = Some(ReasonCode::QuotaExceeded);
            return false;
        };
        let question = &mut link.question;
        question.packet = run.saturating_add(1);
        question.number = question.number.wrapping_add(1) | FIRST;
        question.until = until;
        let number = question.number;
        link.blocked = true;
        self.check_open(id); // its deadline is one of the connection's
        self.tell(Event::Ask(AskId { link: id, number }));
        true
    }

    /// Nobody has answered in time.
    pub(super) fn expire_question(&mut self, id: LinkId) {
        self.counters.ask_timeouts = self.counters.ask_timeouts.saturating_add(1);
        self.settle_question(id, Err(ReasonCode::ImplementationSpecificError));
    }

    /// What was kept of a packet to be shown, and the answer to it, is not needed any more.
    pub(super) fn forget_packet(&mut self, id: LinkId) {
        let Some(link) = self.link_mut(id) else { return };
        let question = &mut link.question;
        let runs = [core::mem::take(&mut question.packet), core::mem::take(&mut question.codes)];
        question.code = None;
        for run in runs.into_iter().filter_map(|run| run.checked_sub(1)) {
            self.bodies.release_ids(run);
        }
    }

    /// A packet was taken: the answer was to it, or is to nothing.
    pub(super) fn forget_answer(&mut self, id: LinkId) {
        if self.link(id).is_some_and(|link| link.question.is_answered()) {
            self.forget_packet(id);
        }
    }

    /// The answer to the question about the packet that is handled, or about one of its filters.
    fn answer_at(&self, id: LinkId, at: usize) -> Option<ReasonCode> {
        let question = &self.link(id)?.question;
        let code = question.code?;
        let Some(run) = question.codes.checked_sub(1) else { return Some(code) };
        let code = self.bodies.run(run).get(at).copied().and_then(ReasonCode::from_byte);
        Some(code.unwrap_or(ReasonCode::NotAuthorized))
    }

    /// Whether a client may publish to a topic: why not, as rules or the host say; or the host is
    /// to be asked.
    pub(super) fn permit(
        &self,
        id: LinkId,
        session: SessionId,
        topic: &[u8],
    ) -> Result<Option<ReasonCode>, Unanswered> {
        match self.may_write(session, topic) {
            Permission::Allow => Ok(None),
            Permission::Deny => Ok(Some(ReasonCode::NotAuthorized)),
            Permission::Ask => match self.answer_at(id, 0) {
                None => Err(Unanswered),
                Some(code) => Ok(code.is_error().then(|| said_of_publish(code))),
            },
        }
    }

    /// Whether the host is to be asked about a SUBSCRIBE.
    pub(super) fn must_ask(
        &mut self,
        id: LinkId,
        session: SessionId,
        packet: &Subscribe<'_>,
    ) -> bool {
        if !self.has_asking_rules(session) || self.answer_at(id, 0).is_some() {
            return false;
        }
        let limits = self.link(id).map_or(0, |link| link.limits);
        let mut memory = self.take_mounted();
        let mut filters = packet.subscriptions.iter();
        let asks =
            filters.any(|wanted| match self.mount_filter(limits, wanted.filter, &mut memory) {
                Ok(filter) => {
                    self.may_subscribe(session, filter.inner().as_bytes()) == Permission::Ask
                }
                Err(Full) => false,
            });
        self.mounted = memory;
        asks
    }

    /// Why the host refuses one filter of a SUBSCRIBE, if it was asked about it and does.
    pub(super) fn refusal_of(
        &self,
        id: LinkId,
        session: SessionId,
        filter: &[u8],
        at: usize,
    ) -> Option<ReasonCode> {
        if !self.has_asking_rules(session) || self.may_subscribe(session, filter) != Permission::Ask
        {
            return None;
        }
        let code = self.answer_at(id, at).unwrap_or(ReasonCode::NotAuthorized);
        code.is_error().then(|| said_of_subscribe(code))
    }
}

/// The host has to be asked first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unanswered;

/// The topic that an alias of the client's stands for.
fn alias_of<'l, S: Storage>(link: &'l Link<S>, publish: &Publish<'_>) -> Option<TopicName<'l>> {
    #[cfg(feature = "v5")]
    {
        link.aliases_in.topic(publish.properties.topic_alias()?.get())
    }
    #[cfg(not(feature = "v5"))]
    {
        let _ = (link, publish);
        None
    }
}

/// A code that PUBACK and PUBREC have.
const fn said_of_publish(code: ReasonCode) -> ReasonCode {
    match code {
        ReasonCode::UnspecifiedError
        | ReasonCode::ImplementationSpecificError
        | ReasonCode::TopicNameInvalid
        | ReasonCode::QuotaExceeded
        | ReasonCode::PayloadFormatInvalid => code,
        _ => ReasonCode::NotAuthorized,
    }
}

/// A code that SUBACK has.
const fn said_of_subscribe(code: ReasonCode) -> ReasonCode {
    match code {
        ReasonCode::UnspecifiedError
        | ReasonCode::ImplementationSpecificError
        | ReasonCode::TopicFilterInvalid
        | ReasonCode::QuotaExceeded
        | ReasonCode::SharedSubscriptionsNotSupported
        | ReasonCode::WildcardSubscriptionsNotSupported => code,
        _ => ReasonCode::NotAuthorized,
    }
}
