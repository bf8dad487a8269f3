//! The server's answers to our messages.

use super::Client;
use super::error::PeerError;
use super::event::{Event, Token};
use super::inbound::Stop;
use super::messages::Fault;
use crate::codec::{Ack, AckKind};
use crate::flow::send::{Owed, Seen};
use crate::flow::{QOS2, SESSION};
use crate::storage::Storage;
use crate::types::{PacketId, ReasonCode};

impl<S: Storage> Client<S> {
    /// An acknowledgement that says more than that all is well.
    pub(super) fn handle_reason<'a>(
        &mut self,
        kind: AckKind,
        ack: &Ack<'a>,
    ) -> Result<Option<Event<'a>>, Stop<'a>> {
        // "Not found" after a PUBREC was seen: the server has let go of it, so it is complete.
        let reason = if kind == AckKind::Comp { ReasonCode::Success } else { ack.reason };
        match self.handle_ack(kind, ack.packet_id, reason) {
            Ok(token) => Ok(token.map(|token| Event::Delivered { token, reason })),
            Err(fault) => Err(self.stop_for(fault)),
        }
    }

    /// An acknowledgement; the message of ours of which it is the last, if it is.
    #[inline]
    pub(super) fn handle_ack(
        &mut self,
        kind: AckKind,
        id: PacketId,
        reason: ReasonCode,
    ) -> Result<Option<Token>, Fault> {
        match kind {
            AckKind::Ack => self.handle_puback(id).map(Some),
            _ if !QOS2 => Err(PeerError::PacketId.into()),
            AckKind::Rec if reason.is_error() => self.handle_refusal(id).map(Some),
            AckKind::Rec => self.handle_pubrec(id).map(|()| None),
            AckKind::Rel => self.handle_pubrel(id).map(|()| None),
            AckKind::Comp => self.handle_pubcomp(id),
        }
    }

    #[inline(never)]
    fn handle_puback(&mut self, id: PacketId) -> Result<Token, Fault> {
        self.answer_publish(id, Seen::PubAck)
    }

    /// The exchange is over, without PUBREL [MQTT5-4.3.3-4, MQTT5-4.4.0-2].
    #[cold]
    fn handle_refusal(&mut self, id: PacketId) -> Result<Token, Fault> {
        self.answer_publish(id, Seen::Refusal)
    }

    /// The answer that ends an exchange: its PUBLISH is needed no more.
    #[cfg_attr(feature = "alloc", inline(always))]
    fn answer_publish(&mut self, id: PacketId, seen: Seen) -> Result<Token, Fault> {
        let (owed, at) = self.sent(id)?;
        if owed.next(seen) != Ok(Owed::Nothing) {
            return Err(PeerError::PacketId.into());
        }
        let token = self.flights.settle(id);
        if let Some(at) = at {
            self.outbox.settle(at);
        }
        self.settled(id);
        Ok(Token(token))
    }

    /// What is acknowledged, and where it is, if all of it has left. The answer may be read before
    /// whoever writes has said so: then it waits.
    #[cfg_attr(feature = "alloc", inline(always))]
    fn sent(&self, id: PacketId) -> Result<(Owed, Option<usize>), Fault> {
        let Some(flight) = self.flights.get(id) else { return Ok((Owed::Nothing, None)) };
        #[cfg(feature = "stream")]
        if flight.streamed && self.is_streaming(id) {
            return Err(Fault::Later);
        }
        let at = if flight.owed.has_publish() { self.outbox.find(id, flight.place) } else { None };
        match at {
            Some(at) if self.outbox.is_unsent(at) => Err(Fault::Later),
            at => Ok((flight.owed, at)),
        }
    }

    #[inline(never)]
    fn handle_pubrec(&mut self, id: PacketId) -> Result<(), Fault> {
        let (before, at) = self.sent(id)?;
        if let (Owed::PubRec, Some(at)) = (before, at)
            && !self.journal.is_on()
            && self.is_idle()
        {
            self.outbox.settle(at);
            self.flights.release(id);
            self.send_ack(AckKind::Rel, id, ReasonCode::Success); // there was room for an answer
            return Ok(());
        }
        self.handle_odd_pubrec(id, before, at)
    }

    /// A PUBREC that did not come in the usual order, or whose PUBREL has to wait.
    #[cfg_attr(feature = "alloc", inline(never))]
    fn handle_odd_pubrec(
        &mut self,
        id: PacketId,
        before: Owed,
        at: Option<usize>,
    ) -> Result<(), Fault> {
        if before == Owed::Nothing {
            // Unknown here: released all the same, or the server would keep it for ever.
            let reason = self.not_found();
            self.send_ack(AckKind::Rel, id, reason);
            return Ok(());
        }
        self.flights.advance(id, Seen::PubRec).map_err(|_| PeerError::PacketId)?;
        if !SESSION {
            self.send_release(id); // there was room for an answer
            return Ok(());
        }
        if before == Owed::PubRec {
            if let Some(at) = at {
                self.outbox.settle(at);
            }
            self.record_release(id);
        }
        if before != Owed::PubRel {
            self.releases_due = self.releases_due.saturating_add(1);
        }
        self.send_what_may_go();
        Ok(())
    }

    #[inline(never)]
    fn handle_pubcomp(&mut self, id: PacketId) -> Result<Option<Token>, Fault> {
        match self.flights.owed(id) {
            Owed::PubComp => {}
            Owed::Nothing => return Ok(None), // the answer to a PUBREL for an unknown one
            _ => return Err(PeerError::PacketId.into()),
        }
        let token = self.flights.complete(id);
        self.settled(id);
        Ok(Some(Token(token)))
    }

    /// An exchange of ours is over: its place in the window and its record are free.
    #[cfg_attr(feature = "alloc", inline(always))]
    fn settled(&mut self, id: PacketId) {
        self.quota.give();
        self.record_settled(id);
        self.send_what_may_go();
    }

    pub(super) fn token_of(&self, id: PacketId) -> Token {
        Token(self.flights.get(id).map_or(0, |flight| flight.token))
    }
}
