//! The judge of a client: it sees wire bytes and application calls, and nothing else.
//!
//! It shares no code with the machines. What it holds, and where:
//!
//! - `link`: one connection. CONNECT first and once, nothing behind DISCONNECT, keep alive,
//!   the limits of CONNACK, aliases.
//! - `sending`: packet identifiers, DUP, resends and their order, PUBREL, the window.
//! - `receiving`: acknowledgements in order, each as the QoS demands, none before the application
//!   took the message.
//! - `ledger`: what the application asked for, and that each token is completed once, rightly.
//! - `stored`: with a store, nothing leaves before what it stands on is kept.
//! - `ends`: both ends compared: nothing lost, nothing doubled, unless a named cause applies.

mod ends;
mod ledger;
mod link;
mod receiving;
mod sending;
mod stored;

use tamtam_core::client::{AckToken, Record, Token};
use tamtam_core::{Instant, Version};

pub use ends::{Ending, Published};
pub use ledger::{Call, Message};

use crate::happened::{Happened, Loss};
use crate::wire::{AckKind, Packet, decode, take_frames};
use ledger::Ledger;
use link::Link;
use receiving::Receiving;
use sending::Sending;
use stored::Stored;

/// What is wrong, in words.
type Verdict = Result<(), String>;

/// The judge of one client.
#[derive(Debug)]
pub struct Oracle {
    version: Version,
    violations: Vec<String>,
    link: Option<Link>,
    links: u64,
    /// Whether a server has accepted this client since it was born, or it was restored.
    has_session: bool,
    /// How often a session was lost, with state in it or without.
    sessions_lost: u64,
    ledger: Ledger,
    sending: Sending,
    receiving: Receiving,
    stored: Stored,
}

impl Oracle {
    /// A judge who has seen nothing yet. `fails_unknown` is whether a QoS 2 message that had left
    /// when the session was lost is given up; `store` whether the client has a store.
    #[must_use]
    pub fn new(version: Version, fails_unknown: bool, store: bool) -> Self {
        Self {
            version,
            violations: Vec::new(),
            link: None,
            links: 0,
            has_session: false,
            sessions_lost: 0,
            ledger: Ledger::default(),
            sending: Sending::new(fails_unknown),
            receiving: Receiving::default(),
            stored: Stored::new(store),
        }
    }

    /// What was found wrong so far.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// What the application asked to be sent.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        self.ledger.messages()
    }

    /// The token of the message with this payload, if it is to be completed.
    #[must_use]
    pub fn token_of(&self, payload: &[u8]) -> Option<Token> {
        self.ledger.token_of(payload)
    }

    /// Whether CONNECT has left on the current connection.
    #[must_use]
    pub fn has_sent_connect(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.connect.is_some())
    }

    /// How often the server turned out to have lost the session.
    #[must_use]
    pub const fn sessions_lost(&self) -> u64 {
        self.sessions_lost
    }

    /// The number of the current connection, which counts from 1, and whether it is open.
    #[must_use]
    pub fn connection(&self) -> Option<(u64, bool)> {
        self.link.as_ref().map(|link| (link.number, link.open))
    }

    fn judge(&mut self, verdict: Verdict) {
        if let Err(words) = verdict {
            let number = self.link.as_ref().map_or(self.links, |link| link.number);
            self.violations.push(format!("connection {number}: {words}"));
        }
    }

    // The transport.

    /// A transport opened.
    pub fn opened(&mut self, now: Instant) {
        self.links += 1;
        self.link = Some(Link::new(self.links, now));
    }

    /// The transport is gone.
    pub fn closed(&mut self) {
        if let Some(link) = self.link.take() {
            self.sending.link_lost(link.unfinished());
            self.receiving.link_lost();
        }
    }

    /// These bytes left the client.
    pub fn written(&mut self, bytes: &[u8], now: Instant) {
        let Some(link) = &mut self.link else {
            return self.judge(Err("bytes without a transport".into()));
        };
        let verdict = link.written(bytes, now);
        let frames = take_frames(&mut link.up);
        self.judge(verdict);
        match frames {
            Ok(frames) => frames.iter().for_each(|frame| self.sent(frame)),
            Err(bad) => self.judge(Err(format!("sent {}", bad.0))),
        }
    }

    /// The transport takes nothing now.
    pub const fn blocked(&mut self) {
        if let Some(link) = &mut self.link {
            link.blocked();
        }
    }

    /// Time has passed: silence may have become too long.
    pub fn tick(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            let verdict = link.check_silence(now);
            self.judge(verdict);
        }
    }

    /// A packet left the client.
    fn sent(&mut self, frame: &[u8]) {
        let packet = match decode(frame, self.version) {
            Ok(packet) => packet,
            Err(bad) => {
                return self.judge(Err(format!("sent a packet with {}: {frame:x?}", bad.0)));
            }
        };
        let verdict = self.judge_sent(frame, packet);
        self.judge(verdict);
    }

    fn judge_sent(&mut self, frame: &[u8], packet: Packet) -> Verdict {
        let Some(link) = &mut self.link else { return Ok(()) };
        link.check_sent(frame, &packet, self.version)?;
        match packet {
            Packet::Publish(publish) => {
                let topic = link.resolve_out(&publish)?;
                let first =
                    self.sending.publish(frame, &publish, &topic, link, &mut self.ledger)?;
                if first { self.stored.check_publish(publish.id) } else { Ok(()) }
            }
            Packet::Subscribe(request) | Packet::Unsubscribe(request) => {
                self.sending.request(request.id, link.number)
            }
            Packet::Ack(ack) => match ack.kind {
                AckKind::PubRel => {
                    self.sending.pubrel(ack.id)?;
                    self.stored.check_release(ack.id, self.sending.is_released(ack.id))
                }
                AckKind::PubComp => {
                    self.receiving.pubcomp(ack.id)?;
                    self.stored.check_forgotten(ack.id)
                }
                kind => {
                    self.receiving.acknowledged(kind, ack.id, ack.code)?;
                    let keeps = kind == AckKind::PubRec && ack.code < 0x80;
                    if keeps { self.stored.check_received(ack.id) } else { Ok(()) }
                }
            },
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                Err("sent a packet that only a server sends".into())
            }
            _ => Ok(()),
        }
    }

    // What the client was told by the server, and what it told the application.

    /// A call of `handle_input` took these bytes, and returned this.
    pub fn took(&mut self, bytes: &[u8], returned: &Result<Option<Happened>, Loss>, now: Instant) {
        if let Some(link) = &mut self.link {
            link.down.extend_from_slice(bytes);
            let frames = take_frames(&mut link.down).unwrap_or_default();
            // The packet that ended the connection has no other effect. One that is no packet, or
            // is too large, is not taken.
            let ended_by_last = match returned {
                Err(Loss::Peer(tamtam_core::client::PeerError::PacketTooLarge)) => false,
                Err(Loss::Peer(_) | Loss::Refused(_)) => link.down.is_empty(),
                _ => false,
            };
            let count = frames.len().saturating_sub(usize::from(ended_by_last));
            for frame in &frames[..count] {
                if let Ok(packet) = decode(frame, self.version) {
                    self.heard(packet, now);
                }
            }
        }
        match returned {
            Ok(Some(happened)) => {
                let verdict = self.told(happened);
                self.judge(verdict);
            }
            Ok(None) => {
                let verdict = self.receiving.check_told();
                self.judge(verdict);
            }
            Err(_) => {
                self.receiving.forget_untold();
                if let Some(link) = &mut self.link {
                    link.over = true;
                }
            }
        }
    }

    /// The client took in a packet, and went on.
    fn heard(&mut self, packet: Packet, now: Instant) {
        let Some(link) = &mut self.link else { return };
        match packet {
            Packet::ConnAck(connack) if connack.code == 0 => {
                let clean = link.connect.as_ref().is_some_and(|connect| connect.clean);
                let blind = self.version == Version::V31 && !clean && self.has_session;
                link.accepted(&connack, now);
                let link = (link.number, link.limits.receive_maximum);
                if connack.session_present || blind {
                    self.sending.resumed(link);
                } else {
                    self.sessions_lost += u64::from(self.has_session);
                    self.sending.lost(link, &mut self.ledger);
                    self.receiving.lost();
                }
                self.has_session = true;
            }
            Packet::Publish(publish) => {
                let topic = link.resolve_in(&publish);
                let verdict = self.receiving.publish(publish, topic);
                self.judge(verdict);
            }
            Packet::Ack(ack) => match ack.kind {
                AckKind::PubAck => self.sending.puback(ack.id, ack.code, &mut self.ledger),
                AckKind::PubRec => self.sending.pubrec(ack.id, ack.code, &mut self.ledger),
                AckKind::PubComp => self.sending.pubcomp(ack.id, &mut self.ledger),
                AckKind::PubRel => self.receiving.pubrel(ack.id),
            },
            Packet::SubAck(answer) | Packet::UnsubAck(answer) => self.sending.answered(answer.id),
            _ => {}
        }
    }

    fn told(&mut self, happened: &Happened) -> Verdict {
        match happened {
            Happened::Message(message) => self.receiving.told(message),
            Happened::Piece => {
                self.receiving.told_piece();
                Ok(())
            }
            Happened::Delivered(token, reason) => {
                self.ledger.delivered(*token, reason.as_byte(), self.sessions_lost > 0)
            }
            Happened::Failed(token, why) => {
                if let Some(message) = self.ledger.message_of(*token) {
                    self.sending.given_up(message);
                }
                self.ledger.failed(*token, *why)
            }
            Happened::Subscribed(Some(token), _) | Happened::Unsubscribed(token) => {
                self.ledger.answered(*token)
            }
            _ => Ok(()),
        }
    }

    // The application's calls.

    /// The application asked for this, and got a token.
    pub fn called(&mut self, call: Call, token: Token) {
        let verdict = self.ledger.called(call, token);
        self.judge(verdict);
    }

    /// The application took a message over, or refused it with this code.
    pub fn acknowledged(&mut self, token: AckToken, code: u8) {
        self.receiving.taken(token, code);
    }

    // The store.

    /// The store was handed this record.
    pub fn recorded(&mut self, record: Record<'_>) {
        self.stored.recorded(record, self.version, &self.ledger);
    }

    /// The store has kept every record that it was handed.
    pub fn persisted(&mut self) {
        self.stored.persisted();
    }

    /// The client died; what the store has not kept is gone.
    pub fn crashed(&mut self) {
        self.closed();
        self.has_session = false;
        self.stored.crashed();
        self.ledger.crashed(&self.stored);
        self.sending.crashed(&self.stored, &self.ledger);
        self.receiving.crashed(&self.stored);
    }

    /// A new client was given back this record, and named the message so.
    pub fn restored(&mut self, record: Record<'_>, token: Option<Token>) {
        self.has_session = true;
        let message = self.stored.message_of(record, self.version, &self.ledger);
        if let (Some(message), Some(token)) = (message, token) {
            self.ledger.renamed(message, token);
        }
    }

    // The end.

    /// What is still open though the world has come to rest with a connection.
    #[must_use]
    pub fn unsettled(&self) -> Vec<String> {
        let mut open = self.ledger.unsettled();
        open.extend(self.sending.unsettled());
        open.extend(self.receiving.unsettled());
        open
    }
}
