//! What has come for the application: messages, answers, and news of the connection.

use std::collections::VecDeque;

use tamtam_core::client::{AckToken, Client as Machine, Event as Told, Failure, Token};
use tamtam_core::{Heap, QoS, ReasonCode, TopicFilter};

use super::message::Message;
use super::{Event, Lost};

/// How many news, and how many answers that nobody fetches, are kept.
const NEWS_KEPT: usize = 64;
const ANSWERS_KEPT: usize = 70_000;

/// How much of a streamed payload waits for its reader, in bytes; and how much while somebody waits
/// for something else.
const STREAM_BYTES: usize = 64 << 10;
const STREAM_BYTES_MAX: usize = 16 << 20;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    Reason(ReasonCode),
    Codes(Vec<ReasonCode>),
    Failed(Failure),
    /// The payload has to be streamed once more.
    Again,
}

/// A payload that is read as it comes.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) id: u32,
    pub(super) bytes: VecDeque<u8>,
    pub(super) ended: bool,
    pub(super) aborted: bool,
    /// How to acknowledge it, once it has ended.
    pub(super) ack: AckToken,
    /// Nobody reads it; it is acknowledged when it ends.
    pub(super) is_unwanted: bool,
}

/// Which filter's messages go to which callback.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) id: u32,
    pub(super) filter: String,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) queue: VecDeque<Message>,
    /// Those that callbacks take, with the callback's number.
    pub(super) routed: VecDeque<(u32, Message)>,
    /// The most specific first.
    pub(super) routes: Vec<Route>,
    pub(super) limit: usize,
    pub(super) overrun: usize,
    answers: VecDeque<(Token, Answer)>,
    /// Requests whose answers somebody waits for right now: more than one only within callbacks.
    waits: Vec<(Token, Option<Answer>)>,
    /// Where answers to requests come to. What a request of ours is published to may come here too,
    /// with the same correlation data.
    pub(super) reply_topic: Option<String>,
    /// Requests whose answers are messages, and those that came.
    pub(super) requests: Vec<Token>,
    pub(super) replies: Vec<(Token, Message)>,
    pub(super) streams: VecDeque<Incoming>,
    next_stream: u32,
    /// What is to be acknowledged at once.
    pub(super) acks: Vec<AckToken>,
    pub(super) abandoned: Vec<Token>,
    pub(super) challenge: Option<Vec<u8>>,
    news: VecDeque<Event>,
    /// Why the last connection ended.
    pub(super) lost: Option<Lost>,
    pub(super) connections: u64,
    pub(super) dropped: u64,
    pub(super) is_overrun: bool,
}

impl Inbox {
    pub(super) fn new(limit: usize, overrun: usize) -> Self {
        Self { limit, overrun, ..Self::default() }
    }

    /// Whether nothing more is to be taken in; `awaited` says that somebody waits for an answer.
    pub(super) fn is_full(&self, awaited: bool) -> bool {
        if let Some(stream) = self.receiving() {
            let most = if awaited { STREAM_BYTES_MAX } else { STREAM_BYTES };
            return stream.bytes.len() >= most && !stream.is_unwanted && !awaited;
        }
        !awaited && self.waiting() >= self.limit
    }

    fn waiting(&self) -> usize {
        self.queue.len().saturating_add(self.routed.len())
    }

    /// The payload that is coming.
    fn receiving(&self) -> Option<&Incoming> {
        self.streams.back().filter(|stream| !stream.ended && !stream.aborted)
    }

    pub(super) fn stream(&mut self, id: u32) -> Option<&mut Incoming> {
        self.streams.iter_mut().find(|stream| stream.id == id)
    }

    /// Nobody reads a payload any more. How to acknowledge it, if it is here.
    pub(super) fn leave_stream(&mut self, id: u32) -> Option<AckToken> {
        let stream = self.stream(id)?;
        stream.is_unwanted = true;
        stream.bytes = VecDeque::new();
        let (ended, aborted, ack) = (stream.ended, stream.aborted, stream.ack);
        if ended || aborted {
            self.streams.retain(|stream| stream.id != id);
        }
        ended.then_some(ack)
    }

    /// Takes in what the machine tells.
    pub(super) fn take(&mut self, told: Told<'_>, machine: &Machine<Heap>) {
        match told {
            Told::Message(message) => {
                let Some(topic) = machine.topic(message.topic) else { return };
                let token = machine.answers(&message);
                let message = Message::new(topic, &message);
                let is_answer = self.reply_topic.as_deref() == Some(message.topic());
                let token = token.filter(|token| is_answer && self.requests.contains(token));
                if let Some(token) = token {
                    self.requests.retain(|asked| *asked != token);
                    self.acks.push(message.ack);
                    self.replies.push((token, message));
                    return;
                }
                self.receive(message);
            }
            Told::MessageStart { message, payload_len } => {
                let Some(topic) = machine.topic(message.topic) else { return };
                self.next_stream = self.next_stream.wrapping_add(1);
                let mut message = Message::new(topic, &message);
                message.stream = Some((self.next_stream, payload_len));
                self.streams.push_back(Incoming {
                    id: self.next_stream,
                    bytes: VecDeque::new(),
                    ended: false,
                    aborted: false,
                    ack: AckToken::NOTHING,
                    is_unwanted: false,
                });
                self.receive(message);
            }
            Told::MessageChunk(bytes) => self.receive_chunk(bytes),
            Told::MessageEnd { ack } => self.end_stream(ack),
            Told::MessageAborted => self.abort_stream(),
            Told::Delivered { token, reason } => self.answer(token, Answer::Reason(reason)),
            Told::Subscribed { token: Some(token), codes }
            | Told::Unsubscribed { token, codes } => {
                self.answer(token, Answer::Codes(codes.iter().collect()));
            }
            Told::Subscribed { token: None, .. } => self.tell(Event::Resubscribed),
            Told::Failed { token, why } => self.answer(token, Answer::Failed(why)),
            Told::Resend { token } => {
                self.abandoned.push(token);
                self.answer(token, Answer::Again);
            }
            Told::Connected { session_present, connack } => {
                self.connections = self.connections.saturating_add(1);
                let client_id = connack.properties.assigned_client_identifier();
                let client_id = client_id.map(|text| text.as_str().to_owned());
                self.tell(Event::Connected { session_present, client_id });
            }
            Told::Auth { reason: ReasonCode::ContinueAuthentication, properties } => {
                let data = properties.authentication_data().unwrap_or_default();
                self.challenge = Some(data.to_vec());
            }
            _ => {}
        }
    }

    fn receive(&mut self, message: Message) {
        let is_full = self.waiting() >= self.limit;
        if message.qos == QoS::AtMostOnce {
            if is_full && self.make_room() {
                self.dropped = self.dropped.saturating_add(1);
            }
        } else if self.waiting() >= self.limit.max(self.overrun) {
            self.is_overrun = true;
            return;
        }
        match self.route(&message.topic) {
            Some(id) => self.routed.push_back((id, message)),
            None => self.queue.push_back(message),
        }
    }

    /// Drops the oldest message at QoS 0. Whether there was one.
    fn make_room(&mut self) -> bool {
        let is_loose = |message: &Message| message.qos == QoS::AtMostOnce;
        let stream = if let Some(at) = self.queue.iter().position(is_loose) {
            self.queue.remove(at).and_then(|message| message.stream)
        } else if let Some(at) = self.routed.iter().position(|(_, message)| is_loose(message)) {
            self.routed.remove(at).and_then(|(_, message)| message.stream)
        } else {
            return false;
        };
        if let Some((id, _)) = stream {
            self.leave_stream(id);
        }
        true
    }

    /// Lets a callback have what a filter matches.
    pub(super) fn add_route(&mut self, route: Route) {
        // Of two that are alike, the older one stays in front.
        let at = self.routes.partition_point(|other| {
            specificity(&other.filter).cmp(specificity(&route.filter)).is_le()
        });
        self.routes.insert(at, route);
    }

    fn route(&self, topic: &str) -> Option<u32> {
        let topic = tamtam_core::TopicName::new(topic).ok()?;
        let found = self.routes.iter().find(|route| {
            TopicFilter::new(&route.filter).is_ok_and(|filter| filter.inner().matches(topic))
        });
        found.map(|route| route.id)
    }

    fn receive_chunk(&mut self, bytes: &[u8]) {
        if let Some(stream) = self.streams.back_mut().filter(|stream| !stream.is_unwanted) {
            stream.bytes.extend(bytes);
            self.is_overrun |= stream.bytes.len() > STREAM_BYTES_MAX;
        }
    }

    fn end_stream(&mut self, ack: AckToken) {
        let Some(stream) = self.streams.back_mut() else { return };
        (stream.ended, stream.ack) = (true, ack);
        if stream.is_unwanted {
            self.acks.push(ack);
            self.streams.pop_back();
        }
    }

    /// The message comes anew, or is lost (QoS 0): whoever has not seen it begin never will.
    fn abort_stream(&mut self) {
        let Some(stream) = self.streams.back_mut() else { return };
        stream.aborted = true;
        let (id, is_unwanted) = (stream.id, stream.is_unwanted);
        let is_it = |message: &Message| message.stream.is_some_and(|(stream, _)| stream == id);
        let before = self.waiting();
        self.queue.retain(|message| !is_it(message));
        self.routed.retain(|(_, message)| !is_it(message));
        if is_unwanted || self.waiting() != before {
            self.streams.pop_back();
        }
    }

    fn answer(&mut self, token: Token, answer: Answer) {
        if let Some((_, wanted)) = self.waits.iter_mut().find(|(waits, _)| *waits == token) {
            *wanted = Some(answer);
            return;
        }
        if self.answers.len() >= ANSWERS_KEPT {
            self.answers.pop_front(); // nobody asked for it
        }
        self.answers.push_back((token, answer));
    }

    /// The answer to a request, if it is here already. Who waits for several mostly does so in
    /// order, so the first is looked at first.
    pub(super) fn take_answer(&mut self, token: Token) -> Option<Answer> {
        let at = self.answers.iter().position(|(answered, _)| *answered == token)?;
        let (_, answer) = if at == 0 { self.answers.pop_front() } else { self.answers.remove(at) }?;
        Some(answer)
    }

    /// Somebody waits for the answer to a request, which is not here.
    pub(super) fn begin_wait(&mut self, token: Token) {
        self.waits.push((token, None));
    }

    /// The answer that is waited for, if it has come; that ends the waiting.
    pub(super) fn awaited_answer(&mut self, token: Token) -> Option<Answer> {
        let (_, answer) = self.waits.iter_mut().find(|(waits, _)| *waits == token)?;
        let answer = answer.take()?;
        self.end_wait(token);
        Some(answer)
    }

    /// Nobody waits for it any more; what comes from now on is kept.
    pub(super) fn end_wait(&mut self, token: Token) {
        self.waits.retain(|(waits, _)| *waits != token);
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.news.len() >= NEWS_KEPT {
            self.news.pop_front();
        }
        self.news.push_back(event);
    }

    pub(super) fn lose(&mut self, lost: Lost) {
        self.tell(Event::Lost(lost.clone()));
        self.lost = Some(lost);
    }

    pub(super) fn next_news(&mut self) -> Option<Event> {
        self.news.pop_front()
    }
}

/// How specific a filter is, level by level: a name comes before `+`, and that before `#`.
fn specificity(filter: &str) -> impl Iterator<Item = u8> + '_ {
    let filter = TopicFilter::new(filter).map_or("", |filter| filter.inner().as_str());
    // A filter that ends is more specific than one that goes on with `#`, which matches more.
    filter.split('/').map(|level| match level {
        "#" => 2,
        "+" => 1,
        _ => 0,
    })
}
