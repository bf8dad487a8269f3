//! What the machine tells, and to whom it goes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tamtam_core::client::{AckToken, Event as Told, Message as Borrowed, Token, Topic};
use tamtam_core::{Instant, Packet, Publish, ReasonCode, TopicName, Version, frame_len};

use super::completions::Outcome;
use super::message::Message;
use super::payload::{Body, OVERRUN_BYTES, Payload};
use super::shared::{Shared, State};
use super::{Event, Lost};

/// Where the bytes of events lie.
pub(super) struct Source<'a> {
    /// Shared memory; none, if the bytes have to be copied.
    pub(super) chunk: Option<&'a Bytes>,
    pub(super) shared: &'a Arc<Shared>,
}

impl Source<'_> {
    fn keep(&self, bytes: &[u8]) -> Bytes {
        match self.chunk {
            Some(chunk) => chunk.slice_ref(bytes),
            None => Bytes::copy_from_slice(bytes),
        }
    }
}

/// What the loop itself remembers of messages.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    /// One string for each topic that has an alias.
    aliases: Vec<Bytes>,
    /// The payload that is coming.
    body: Option<u64>,
    bodies: u64,
}

impl Receiving {
    /// The connection is gone.
    pub(super) fn lose(&mut self) {
        self.aliases.clear();
        self.body = None;
    }

    /// Takes in plaintext up to its end, or until the machine takes no more. Moves `input` behind
    /// what was taken.
    pub(super) fn take_in(
        &mut self,
        state: &mut State,
        source: &Source<'_>,
        input: &mut &[u8],
        now: Instant,
    ) -> Result<(), Lost> {
        while !state.is_crowded() {
            let unread = *input;
            let Some(told) = state.machine.handle_input(input, now)? else { return Ok(()) };
            if let Told::Delivered { token, reason } = told {
                state.deliver(token, reason); // the most frequent by far
                continue;
            }
            let packets = unread.get(..unread.len() - input.len()).unwrap_or_default();
            self.dispatch(state, source, told, packets)?;
        }
        Ok(())
    }

    /// Takes in what no input has caused.
    pub(super) fn take_news(
        &mut self,
        state: &mut State,
        source: &Source<'_>,
        now: Instant,
    ) -> Result<(), Lost> {
        while let Some(told) = state.machine.handle_input(&mut &[][..], now)? {
            self.dispatch(state, source, told, &[])?;
        }
        Ok(())
    }

    /// `packets` are the bytes of the event's packet, and of those before it that made no event.
    fn dispatch(
        &mut self,
        state: &mut State,
        source: &Source<'_>,
        told: Told<'_>,
        packets: &[u8],
    ) -> Result<(), Lost> {
        match told {
            Told::Message(message) => return self.message(state, source, message, packets),
            Told::Delivered { token, reason } => state.deliver(token, reason),
            Told::MessageStart { message, payload_len } => {
                return self.begin(state, source, message, payload_len);
            }
            Told::MessageChunk(chunk) => return self.chunk(state, source.keep(chunk)),
            Told::MessageEnd { ack } => self.end(state, Some(ack)),
            Told::MessageAborted => self.end(state, None),
            Told::Connected { session_present, connack } => {
                let assigned = connack.properties.assigned_client_identifier();
                let proposed = connack.properties.response_information();
                if let Some(proposed) = proposed.filter(|_| !state.replies.is_fixed) {
                    state.replies.topic = format!("{}/reply", proposed.as_str());
                    state.replies.is_fixed = true;
                }
                let client_id = assigned.map(|id| id.as_str().to_owned());
                state.note(Event::Connected { session_present, client_id });
            }
            Told::Subscribed { token: Some(token), codes } => {
                state.complete(token, Outcome::Codes(codes.iter().collect()));
                state.changed();
            }
            Told::Subscribed { token: None, .. } => state.note(Event::Resubscribed),
            Told::Unsubscribed { token, codes } => {
                state.complete(token, Outcome::Codes(codes.iter().collect()));
                state.changed();
            }
            Told::Failed { token, why } => {
                state.complete(token, Outcome::Failed(why));
                state.changed();
            }
            Told::Resend { token } => resend(state, token),
            Told::Auth { reason: ReasonCode::ContinueAuthentication, properties } => {
                answer_challenge(state, properties.authentication_data().unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn message(
        &mut self,
        state: &mut State,
        source: &Source<'_>,
        message: Borrowed<'_>,
        packets: &[u8],
    ) -> Result<(), Lost> {
        let answers = state.machine.answers(&message);
        let answers = answers.filter(|token| state.completions.is_expected(*token));
        if answers.is_none() && !state.inbox.is_open {
            let _ = state.machine.ack(message.ack, state.now); // nobody receives
            return Ok(());
        }
        let frame = match message.properties.is_empty() {
            true => Bytes::new(),
            false => source.keep(last_frame(packets, state.machine.version())),
        };
        let owned = Message {
            topic: self.topic(state, source, message.topic),
            payload: source.keep(message.payload),
            qos: message.qos,
            retain: message.retain,
            dup: message.dup,
            frame,
            ack: message.ack,
            stream: None,
        };
        if let Some(token) = answers {
            let _ = state.machine.ack(owned.ack, state.now);
            state.complete(token, Outcome::Response(Box::new(owned)));
            return Ok(());
        }
        state.receive(owned)
    }

    fn topic(&mut self, state: &State, source: &Source<'_>, topic: Topic<'_>) -> Bytes {
        let alias = match topic {
            Topic::Text(text) => return source.keep(text.as_bytes()),
            Topic::Alias(alias) => usize::from(alias),
            _ => return Bytes::new(),
        };
        let known = state.machine.topic(topic).map(TopicName::as_bytes).unwrap_or_default();
        if self.aliases.len() <= alias {
            self.aliases.resize(alias + 1, Bytes::new());
        }
        match self.aliases.get_mut(alias) {
            Some(shared) if shared == known => shared.clone(),
            Some(shared) => {
                *shared = Bytes::copy_from_slice(known);
                shared.clone()
            }
            None => Bytes::copy_from_slice(known),
        }
    }

    fn begin(
        &mut self,
        state: &mut State,
        source: &Source<'_>,
        message: Borrowed<'_>,
        len: u32,
    ) -> Result<(), Lost> {
        self.bodies += 1;
        self.body = Some(self.bodies);
        let mut body = Body::default();
        if !state.inbox.is_open {
            body.abandon(true);
            state.bodies.insert(self.bodies, body);
            return Ok(());
        }
        state.bodies.insert(self.bodies, body);
        let stream = Payload { shared: Arc::clone(source.shared), id: self.bodies, len };
        state.receive(Message {
            topic: Bytes::copy_from_slice(&self.topic(state, source, message.topic)),
            payload: Bytes::new(),
            qos: message.qos,
            retain: message.retain,
            dup: message.dup,
            frame: head(&message).into(),
            ack: AckToken::NOTHING,
            stream: Some(stream),
        })
    }

    fn chunk(&mut self, state: &mut State, chunk: Bytes) -> Result<(), Lost> {
        let body = self.body.and_then(|id| state.bodies.get_mut(&id));
        if let Some(body) = body {
            if body.waiting() + chunk.len() > OVERRUN_BYTES {
                return Err(Lost::Overrun);
            }
            let waker = body.push(chunk);
            state.wake.extend(waker);
        }
        Ok(())
    }

    fn end(&mut self, state: &mut State, ack: Option<AckToken>) {
        let Some(id) = self.body.take() else { return };
        if let Some(body) = state.bodies.get_mut(&id) {
            let waker = match ack {
                Some(ack) => body.complete(ack),
                None => body.abort(),
            };
            state.wake.extend(waker);
        }
        state.close_body(id);
    }
}

/// The last of several packets.
fn last_frame(mut packets: &[u8], version: Version) -> &[u8] {
    while let Ok(Some(len)) = frame_len(packets, version) {
        match packets.get(len..) {
            Some(rest) if !rest.is_empty() => packets = rest,
            _ => break,
        }
    }
    packets
}

/// A PUBLISH with the properties of a message whose payload is to come; empty if there are none.
fn head(message: &Borrowed<'_>) -> Vec<u8> {
    if message.properties.is_empty() {
        return Vec::new();
    }
    let Ok(topic) = TopicName::new("?") else { return Vec::new() };
    let publish = Publish { properties: message.properties, ..Publish::new(topic, b"") };
    // As long as they were on the wire, and a little for the rest.
    let mut memory = vec![0; 1 << 10];
    loop {
        match Packet::Publish(publish).encode(Version::V5, &mut memory) {
            Ok(len) => {
                memory.truncate(len);
                return memory;
            }
            Err(_) if memory.len() < 1 << 20 => memory.resize(memory.len() * 4, 0),
            Err(_) => return Vec::new(),
        }
    }
}

/// The payload of a message is wanted again; if nobody has it, the message is given up.
fn resend(state: &mut State, token: Token) {
    if state.completions.is_expected(token) {
        state.complete(token, Outcome::Again);
        state.changed();
    } else {
        state.abandon(token);
    }
}

fn answer_challenge(state: &mut State, data: &[u8]) {
    if let Some(authenticator) = &mut state.authenticator {
        let answer = authenticator(data);
        let _ = state.machine.authenticate(Some(&answer), state.now);
    }
}

impl State {
    /// Requests that nobody answered in time are given up; when the next one is.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        for (patience, token) in std::mem::take(&mut self.new_timeouts) {
            self.timeouts.insert((plus(now, patience), token));
        }
        while let Some((when, token)) = self.timeouts.first().copied() {
            if self.completions.is_expected(token) && when > now {
                return Some(when);
            }
            self.timeouts.pop_first();
            self.complete(token, Outcome::TimedOut);
        }
        None
    }
}

pub(super) fn plus(now: Instant, patience: Duration) -> Instant {
    now.plus_millis(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX))
}
