//! Messages that come to the scripted server, and what comes back for those that it sent.

use tamtam_core::Instant;

use super::scripted::Scripted;
use crate::wire::{Ack, AckKind, Props, Publish, id};

impl Scripted {
    /// A message came.
    pub(super) fn take(&mut self, line: usize, mut publish: Publish, now: Instant) {
        let Some(link) = self.link(line) else { return };
        let client_id = link.client_id.clone().unwrap_or_default();
        let refuses = link.version.is_v5();
        if let Some(alias) = publish.props.number(id::TOPIC_ALIAS) {
            if publish.topic.is_empty() {
                publish.topic = link.aliases_in.get(&alias).cloned().unwrap_or_default();
            } else {
                link.aliases_in.insert(alias, publish.topic.clone());
            }
        }
        if publish.topic.is_empty() {
            return self.complain(format!("an alias without a topic: {publish:?}"));
        }
        let refused = refuses && self.roll(self.manners.refuse_percent);
        let Some(session) = self.session(line) else {
            return self.complain(format!("before a session: {publish:?}"));
        };
        let known = publish.qos == 2 && session.received.contains(&publish.id);
        let refused = refused && !known;
        if publish.qos == 2 && !refused {
            session.received.insert(publish.id);
        }
        if !known && !refused {
            self.count_taken(&client_id, &publish.payload);
            self.send_back(&client_id, &publish);
        }
        let code = if refused { 0x97 } else { 0 };
        match publish.qos {
            0 => {}
            1 => self.reply(line, &Self::ack(AckKind::PubAck, publish.id, code), now),
            _ => self.reply(line, &Self::ack(AckKind::PubRec, publish.id, code), now),
        }
    }

    /// Echoes, and answers to requests.
    fn send_back(&mut self, client_id: &[u8], publish: &Publish) {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        if let Some(reply_to) = publish.props.bytes(id::RESPONSE_TOPIC) {
            let reply_to = String::from_utf8_lossy(reply_to).into_owned();
            let data = publish.props.bytes(id::CORRELATION_DATA).unwrap_or_default();
            let props = Props::NONE.with_bytes(id::CORRELATION_DATA, data);
            let payload = [self.number("answer").as_bytes(), &publish.payload[..]].concat();
            self.publish_with(client_id, &reply_to, &payload, publish.qos, props);
        } else if self.manners.echoes
            && let Some(rest) = topic.strip_prefix("echo/")
        {
            let payload = [self.number("echo").as_bytes(), &publish.payload[..]].concat();
            self.publish(client_id, &format!("back/{rest}"), &payload, publish.qos);
        }
    }

    /// A beginning that no other letter has: the same message may be answered twice.
    fn number(&self, what: &str) -> String {
        format!("{what} {} to ", self.letter_count())
    }

    /// An acknowledgement came.
    pub(super) fn acknowledged(&mut self, line: usize, ack: &Ack, now: Instant) {
        let Some(session) = self.session(line) else { return };
        if ack.kind == AckKind::PubRel {
            session.received.remove(&ack.id);
            return self.reply(line, &Self::ack(AckKind::PubComp, ack.id, 0), now);
        }
        let Some(at) = session.flights.iter().position(|flight| flight.id == ack.id) else {
            return self.complain(format!("{ack:?} for nothing"));
        };
        let flight = &mut session.flights[at];
        let (number, qos, was_released) =
            (flight.letter.number, flight.letter.qos, flight.released);
        let refused = ack.code >= 0x80;
        match (ack.kind, qos, was_released) {
            (AckKind::PubAck, 1, _) => {
                session.flights.remove(at);
            }
            (AckKind::PubRec, 2, _) if refused => {
                session.flights.remove(at);
            }
            (AckKind::PubRec, 2, _) => {
                flight.released = true;
                self.reply(line, &Self::ack(AckKind::PubRel, ack.id, 0), now);
            }
            (AckKind::PubComp, 2, true) => {
                session.flights.remove(at);
                return;
            }
            _ => return self.complain(format!("{ack:?} was not due")),
        }
        let published = self.published_mut(number);
        published.acknowledged |= !refused;
        published.lost |= refused;
    }
}
