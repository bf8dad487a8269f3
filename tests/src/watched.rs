//! A client of which the oracle sees every byte and every call.

use std::collections::BTreeMap;
use std::fmt;

use tamtam_core::client::{
    AckToken, Client, Event, Filter, Message, Publish, SendError, Token, Transport,
};
use tamtam_core::{Instant, QoS, ReasonCode, Storage};

use crate::happened::{Happened, Loss, Received};
use crate::oracle::{Call, Oracle};
use crate::profile::Profile;
use crate::store::Store;
use crate::wire::take_frames;

/// A message to publish, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its topic.
    pub topic: String,
    /// What it says: like no other message.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether it is to be retained.
    pub retain: bool,
}

impl Draft {
    /// A message at this QoS.
    #[must_use]
    pub fn new(topic: &str, payload: &[u8], qos: u8) -> Self {
        Self { topic: topic.into(), payload: payload.to_vec(), qos, retain: false }
    }

    fn head<'a>(&'a self, payload: &'a [u8]) -> Publish<'a> {
        let qos = QoS::from_level(self.qos).unwrap_or_default();
        Publish::new(&self.topic, payload).qos(qos).retain(self.retain)
    }

    fn call(&self, streamed: bool) -> Call {
        Call::Publish {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            qos: self.qos,
            retain: self.retain,
            streamed,
        }
    }
}

/// Meddles with what leaves a client and what its application is told, so that the oracle has
/// something to find.
pub trait Meddler {
    /// What leaves instead of this packet.
    fn sent(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        vec![frame]
    }

    /// How often the application is told of this.
    fn told(&mut self, _: &Happened) -> usize {
        1
    }
}

/// See the module.
pub struct Watched<S: Storage> {
    /// The client itself: to be asked, and driven only by the methods here.
    pub machine: Client<S>,
    /// Its judge.
    pub oracle: Oracle,
    manual: bool,
    /// Whether messages that want an answer get one.
    pub replies: bool,
    replied: u32,
    /// The message that the next call of `input` acknowledges.
    handed: Option<AckToken>,
    /// The message that arrives in pieces, and how long its payload is said to be.
    arriving: Option<(Received, u32)>,
    /// Streamed messages that are not settled.
    streams: BTreeMap<Token, Draft>,
    /// The payload that is being handed in, from here on.
    sending: Option<(Vec<u8>, usize)>,
    meddler: Option<Box<dyn Meddler>>,
    meddled: Vec<u8>,
    unmeddled: Vec<u8>,
}

impl<S: Storage> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("oracle", &self.oracle).finish_non_exhaustive()
    }
}

impl<S: Storage> Watched<S> {
    /// A client that was started, and its judge.
    ///
    /// # Panics
    /// If it can't be started so.
    #[must_use]
    pub fn new(profile: &Profile, seed: u64) -> Self {
        let mut machine = Client::new();
        machine.start(&profile.options(), seed).expect("options that fit the storage");
        Self {
            machine,
            oracle: Oracle::new(profile.version, !profile.send_again_unknown, profile.store),
            manual: profile.manual_ack,
            replies: false,
            replied: 0,
            handed: None,
            arriving: None,
            streams: BTreeMap::new(),
            sending: None,
            meddler: None,
            meddled: Vec::new(),
            unmeddled: Vec::new(),
        }
    }

    /// From now on, this meddles.
    pub fn meddle(&mut self, meddler: Box<dyn Meddler>) {
        self.meddler = Some(meddler);
    }

    // The transport.

    /// What the client wants of its transport.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.machine.transport() {
            Transport::Unwanted if !self.meddled.is_empty() => Transport::Open,
            other => other,
        }
    }

    /// A transport opened.
    pub fn open(&mut self, now: Instant) {
        self.oracle.opened(now);
        self.machine.handle_open(now);
    }

    /// The transport is gone.
    pub fn close(&mut self, now: Instant) {
        self.machine.handle_close(now);
        self.oracle.closed();
        self.sending = None;
        self.arriving = None;
        self.meddled.clear();
        self.unmeddled.clear();
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    /// What is to be written.
    pub fn output(&mut self, now: Instant) -> Vec<u8> {
        let Some(meddler) = &mut self.meddler else { return self.machine.output().to_vec() };
        while !self.machine.output().is_empty() {
            let output = self.machine.output();
            self.unmeddled.extend_from_slice(output);
            self.machine.output_written(output.len(), now);
        }
        for frame in take_frames(&mut self.unmeddled).unwrap_or_default() {
            meddler.sent(frame).iter().for_each(|frame| self.meddled.extend(frame));
        }
        self.meddled.clone()
    }

    /// The first `len` bytes of `output` were written.
    pub fn written(&mut self, output: &[u8], len: usize, now: Instant) {
        if len == 0 {
            return self.oracle.blocked();
        }
        if self.meddler.is_some() {
            self.meddled.drain(..len);
        } else {
            assert!(self.machine.output().starts_with(output), "the output changed");
            self.machine.output_written(len, now);
        }
        self.oracle.written(&output[..len], now);
    }

    /// Hands in what has come; takes out of `rx` what the client took.
    ///
    /// # Errors
    /// The connection is over.
    pub fn input(&mut self, rx: &mut Vec<u8>, now: Instant) -> Result<Option<Happened>, Loss> {
        if let Some(token) = self.handed.take() {
            self.oracle.acknowledged(token, 0);
        }
        let mut input = &rx[..];
        let result = self.machine.handle_input(&mut input, now);
        let left = input.len();
        let happened = match result {
            Ok(Some(event)) => Ok(Some(self.own(event, now))),
            Ok(None) => Ok(None),
            Err(lost) => Err(Loss::from(lost)),
        };
        let took: Vec<u8> = rx.drain(..rx.len() - left).collect();
        let tell = match (&happened, &mut self.meddler) {
            (Ok(Some(happened)), Some(meddler)) => meddler.told(happened),
            _ => 1,
        };
        if tell == 0 {
            self.oracle.took(&took, &Ok(None), now);
        } else {
            self.oracle.took(&took, &happened, now);
        }
        for _ in 1..tell {
            self.oracle.took(&[], &happened, now);
        }
        happened
    }

    fn own(&mut self, event: Event<'_>, now: Instant) -> Happened {
        match event {
            Event::Connected { session_present, .. } => Happened::Connected { session_present },
            Event::Message(message) => {
                let received = self.receive(&message, now);
                self.hand(received)
            }
            Event::MessageStart { message, payload_len } => {
                let received = self.receive(&message, now);
                assert!(message.payload.is_empty());
                self.arriving = Some((Received { streamed: true, ..received }, payload_len));
                Happened::Piece
            }
            Event::MessageChunk(chunk) => {
                let (arriving, _) = self.arriving.as_mut().expect("a chunk within a message");
                arriving.payload.extend_from_slice(chunk);
                Happened::Piece
            }
            Event::MessageEnd { ack } => {
                let (arriving, len) = self.arriving.take().expect("the end of a message");
                assert_eq!(arriving.payload.len(), len as usize, "another length than was said");
                self.hand(Received { ack, ..arriving })
            }
            Event::MessageAborted => Happened::Aborted,
            Event::Delivered { token, reason } => {
                self.streams.remove(&token);
                Happened::Delivered(token, reason)
            }
            Event::Subscribed { token, codes } => {
                Happened::Subscribed(token, codes.iter().collect())
            }
            Event::Unsubscribed { token, .. } => Happened::Unsubscribed(token),
            Event::Failed { token, why } => {
                self.streams.remove(&token);
                Happened::Failed(token, why)
            }
            Event::Resend { token } => Happened::Resend(token),
            Event::Auth { reason, .. } => Happened::Auth(reason),
            other => panic!("a new kind of event: {other:?}"),
        }
    }

    fn receive(&mut self, message: &Message<'_>, now: Instant) -> Received {
        let topic = self.machine.topic(message.topic).expect("a topic behind the alias");
        let topic = topic.as_str().to_owned();
        if self.replies && message.properties.response_topic().is_some() {
            self.reply(message, now);
        }
        Received {
            topic,
            payload: message.payload.to_vec(),
            qos: message.qos.level(),
            retain: message.retain,
            dup: message.dup,
            ack: message.ack,
            streamed: false,
            answers: self.machine.answers(message),
        }
    }

    fn reply(&mut self, message: &Message<'_>, now: Instant) {
        self.replied += 1;
        let mut payload = format!("answer {} to ", self.replied).into_bytes();
        payload.extend_from_slice(message.payload);
        if let Ok(token) = self.machine.reply(message, &payload, now) {
            let topic = message.properties.response_topic().expect("was there").as_str();
            self.oracle.called(Draft::new(topic, &payload, message.qos.level()).call(false), token);
        }
    }

    fn hand(&mut self, received: Received) -> Happened {
        if !self.manual && received.qos > 0 {
            self.handed = Some(received.ack);
        }
        Happened::Message(received)
    }

    // The application.

    /// Publishes.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn publish(&mut self, draft: &Draft, now: Instant) -> Result<Token, SendError> {
        let token = self.machine.publish(draft.head(&draft.payload), now)?;
        self.oracle.called(draft.call(false), token);
        Ok(token)
    }

    /// Publishes a request that is to be answered to `reply_to`.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn request(
        &mut self,
        draft: &Draft,
        reply_to: &str,
        now: Instant,
    ) -> Result<Token, SendError> {
        let token = self.machine.request(draft.head(&draft.payload), reply_to, now)?;
        self.oracle.called(draft.call(false), token);
        Ok(token)
    }

    /// Subscribes.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub fn subscribe(&mut self, filters: &[Filter<'_>], now: Instant) -> Result<Token, SendError> {
        let token = self.machine.subscribe(filters, now)?;
        self.oracle.called(Call::Request, token);
        Ok(token)
    }

    /// Unsubscribes.
    ///
    /// # Errors
    /// As [`Client::unsubscribe`].
    pub fn unsubscribe(&mut self, filters: &[&str], now: Instant) -> Result<Token, SendError> {
        let token = self.machine.unsubscribe(filters, now)?;
        self.oracle.called(Call::Request, token);
        Ok(token)
    }

    /// Acknowledges a message, in manual mode.
    ///
    /// # Errors
    /// As [`Client::ack`].
    pub fn ack(&mut self, token: AckToken, now: Instant) -> Result<(), SendError> {
        self.machine.ack(token, now)?;
        self.oracle.acknowledged(token, 0);
        Ok(())
    }

    /// Refuses a message, in manual mode.
    ///
    /// # Errors
    /// As [`Client::refuse`].
    pub fn refuse(
        &mut self,
        token: AckToken,
        reason: ReasonCode,
        now: Instant,
    ) -> Result<(), SendError> {
        self.machine.refuse(token, reason, now)?;
        let code = if self.machine.version().is_v5() { reason.as_byte() } else { 0 };
        self.oracle.acknowledged(token, code);
        Ok(())
    }

    // Streams.

    /// Begins to publish a message whose payload is handed in by [`Watched::pump`].
    ///
    /// # Errors
    /// As [`Client::publish_stream`].
    pub fn publish_stream(&mut self, draft: &Draft, now: Instant) -> Result<Token, SendError> {
        let len = u32::try_from(draft.payload.len()).unwrap_or(u32::MAX);
        let token = self.machine.publish_stream(draft.head(&[]), len, now)?;
        self.oracle.called(draft.call(true), token);
        if draft.qos > 0 {
            self.streams.insert(token, draft.clone());
        }
        self.sending = Some((draft.payload.clone(), 0));
        Ok(token)
    }

    /// Sends a streamed message again.
    ///
    /// # Errors
    /// As [`Client::resend_stream`].
    pub fn resend(&mut self, token: Token, now: Instant) -> Result<(), SendError> {
        let draft = self.streams.get(&token).ok_or(SendError::Token)?.clone();
        let len = u32::try_from(draft.payload.len()).unwrap_or(u32::MAX);
        self.machine.resend_stream(token, draft.head(&[]), len, now)?;
        self.sending = Some((draft.payload, 0));
        Ok(())
    }

    /// Whether a payload is to be handed in.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Hands in up to `most` bytes of it; returns how many were taken.
    pub fn pump(&mut self, most: usize, now: Instant) -> usize {
        let Some((payload, at)) = &mut self.sending else { return 0 };
        let end = payload.len().min(*at + most);
        let taken = self.machine.publish_chunk(&payload[*at..end], now).unwrap_or(0);
        *at += taken;
        if *at == payload.len() {
            self.sending = None;
        }
        taken
    }

    // The store.

    /// Hands the store every record that there is.
    pub fn hand_records(&mut self, store: &mut Store) {
        while let Some(record) = self.machine.poll_record() {
            self.oracle.recorded(record);
            store.hand(record);
        }
    }

    /// The store has kept all that it was handed.
    pub fn persisted(&mut self, now: Instant) {
        self.oracle.persisted();
        self.machine.handle_persisted(now);
    }

    /// The client dies, and is born again with what the store kept.
    ///
    /// # Panics
    /// If a record is not taken back.
    pub fn crash(&mut self, profile: &Profile, store: &Store, seed: u64) {
        self.machine = Client::new();
        self.machine.start(&profile.options(), seed).expect("as before");
        self.oracle.crashed();
        (self.handed, self.arriving, self.sending) = (None, None, None);
        self.streams.clear();
        for record in store.kept() {
            let token = self.machine.restore(record).expect("what it gave away");
            self.oracle.restored(record, token);
        }
    }
}
