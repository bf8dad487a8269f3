//! What a store kept becomes the broker's state again.

use super::body::{BodyId, Content};
use super::delivery::Delivery;
use super::event::SessionEnd;
use super::publisher::Publisher;
use super::record::Record;
use super::router::SEVERAL_IDS;
use super::session::SessionId;
use super::will::StoredWill;
use super::{Broker, UNLIMITED};
use crate::Instant;
use crate::codec::Subscription;
use crate::flow::receive::Seen;
use crate::storage::{Arena, Full, Index, Storage};
use crate::types::{PacketId, TopicFilter};

impl<S: Storage> Broker<S> {
    /// Takes back a record that a store kept: after [`Broker::start`] and before the first
    /// connection, one after the other, and then [`Broker::restored`]. A record that makes no sense
    /// here is passed over; whether it did is returned.
    ///
    /// # Errors
    /// [`Full`]: the storage is smaller than what was kept. Limits do not count before
    /// [`Broker::restored`].
    pub fn restore(&mut self, record: &Record<'_>) -> Result<bool, Full> {
        if !self.journal.is_paused() {
            self.lift_room();
        }
        self.journal.pause(true);
        let known = match *record {
            Record::Body { body, topic, properties, payload, expires, publisher } => {
                let (publisher, fleeting) = (Publisher(publisher), false);
                let content = Content { topic, properties, payload, expires, publisher, fleeting };
                self.restore_body(body, &content)?
            }
            Record::Session { session, client_id, user, expiry_secs, ends } => {
                self.restore_session(session, client_id, user)?;
                self.restore_end(session, expiry_secs, ends)
            }
            Record::Group { group, filter } => self.restore_group(group, filter)?,
            Record::Subscription { session, filter, options, id } => {
                self.restore_subscription(session, filter, options, id)
            }
            Record::Queued { session, place, body, qos, retain, ids } => {
                let Some(body) = self.body_numbered(body) else { return Ok(false) };
                let subscription = self.restore_ids(ids)?;
                let len = self.bodies.len_of(body);
                let delivery = Delivery::new(body, qos, retain, subscription).with_len(len);
                match self.group_numbered(session) {
                    Some(group) => self.restore_waiting(group, place, &delivery)?,
                    None => self.restore_queued(session, place, delivery)?,
                }
            }
            Record::Retained { body, qos } => self.restore_retained(body, qos),
            Record::Will { session, body, qos, retain, delay_secs, expiry_secs, due } => {
                let Some(body) = self.body_numbered(body) else { return Ok(false) };
                let will = StoredWill { body, qos, retain, delay_secs, expiry_secs };
                self.restore_will(session, will, due)
            }
            _ => self.restore_change(record)?,
        };
        Ok(known)
    }

    /// Records that change what others said.
    fn restore_change(&mut self, record: &Record<'_>) -> Result<bool, Full> {
        match *record {
            Record::RetainedGone { topic } => self.forget_retained(topic),
            Record::SessionGone { session } => {
                let Some(id) = self.session_numbered(session) else {
                    return Ok(self.forget_group(session));
                };
                self.forget_session(id, session);
            }
            Record::Given { session, place, group, at, qos, retain } => {
                return self.restore_given((session, place), (group, at), qos, retain);
            }
            Record::Reset => self.forget_everything(),
            Record::BodyGone { body } => return Ok(self.forget_body(body)),
            Record::WillGone { session } => {
                let Some(id) = self.session_numbered(session) else { return Ok(false) };
                self.cancel_will(id);
            }
            Record::SubscriptionGone { session, filter } => {
                let Some(id) = self.session_numbered(session) else { return Ok(false) };
                let Ok(filter) = TopicFilter::from_bytes(filter) else { return Ok(false) };
                let Some(slot) = self.find_subscription(id, filter) else { return Ok(false) };
                self.remove_subscription(slot);
            }
            Record::Cursor { session, filter, since, last } => {
                let Some(id) = self.session_numbered(session) else { return Ok(false) };
                let Ok(filter) = TopicFilter::from_bytes(filter) else { return Ok(false) };
                return Ok(self.restore_cursor(id, filter, since, last));
            }
            Record::CursorGone { session, filter } => {
                let Some(id) = self.session_numbered(session) else { return Ok(false) };
                let Ok(filter) = TopicFilter::from_bytes(filter) else { return Ok(false) };
                let Some(slot) = self.find_subscription(id, filter) else { return Ok(false) };
                self.end_cursor(id, slot);
            }
            Record::Sent { session, place, packet_id } => {
                let Some(id) = self.session_numbered(session) else { return Ok(false) };
                if let Some(session) = self.session_mut(id) {
                    session.outgoing.restore_id(place, packet_id, false);
                }
                self.keep_restored(id, place);
            }
            Record::Released { session, place, packet_id } => {
                return self.restore_released(session, place, packet_id);
            }
            Record::Settled { session, place } => {
                if let Some(group) = self.group_numbered(session) {
                    return Ok(self.settle_restored(group, place));
                }
                let Some(id) = self.session_numbered(session) else { return Ok(false) };
                let Some(session) = self.session_mut(id) else { return Ok(false) };
                let settled = session.outgoing.restore_settled(place);
                let Some(before) = settled else { return Ok(false) };
                if before.holds_body() {
                    self.let_go(&before);
                }
            }
            Record::Received { session, packet_id } => {
                return self.restore_received(session, packet_id, &[Seen::Publish, Seen::Accepted]);
            }
            Record::Forgotten { session, packet_id } => {
                return self.restore_received(session, packet_id, &[Seen::PubRel]);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn restore_body(&mut self, number: u64, content: &Content<'_>) -> Result<bool, Full> {
        let body = self.bodies.keep(content)?;
        self.bodies.set_number(body, number);
        self.numbers = self.numbers.max(number);
        let (bodies, hash) = (&self.bodies, self.hash);
        let rehash = |slot| hash.of(2, &bodies.number(BodyId(slot)).to_be_bytes());
        self.body_index.insert(hash.of(2, &number.to_be_bytes()), body.0, rehash)?;
        Ok(true)
    }

    /// Nobody needs a message any more that was held while its holders were still to come.
    pub(super) fn forget_body(&mut self, number: u64) -> bool {
        let Some(body) = self.body_numbered(number) else { return false };
        let (bodies, hash) = (&self.bodies, self.hash);
        let rehash = |slot| hash.of(2, &bodies.number(BodyId(slot)).to_be_bytes());
        self.body_index.remove(hash.of(2, &number.to_be_bytes()), body.0, rehash);
        self.release_body(body);
        true
    }

    fn forget_session(&mut self, id: SessionId, number: u64) {
        let (sessions, hash) = (&self.sessions, self.hash);
        let rehash = |slot| {
            let number = sessions.get(slot).map_or(0, |session| session.number);
            hash.of(1, &number.to_be_bytes())
        };
        self.number_index.remove(hash.of(1, &number.to_be_bytes()), id.slot, rehash);
        self.cancel_will(id);
        self.end_session(id, SessionEnd::Expired); // nobody is told
    }

    /// What comes behind says everything.
    fn forget_everything(&mut self) {
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get(slot) else { continue };
            let (id, number) = (SessionId { slot, serial: session.serial }, session.number);
            self.forget_session(id, number);
        }
        self.forget_groups();
        self.forget_all_retained();
        self.let_go_of_bodies();
    }

    /// Each message was held while its holders were still to come.
    fn let_go_of_bodies(&mut self) {
        for slot in 0..self.bodies.slots() {
            let number = self.bodies.number(BodyId(slot));
            if number != 0 && self.body_numbered(number) == Some(BodyId(slot)) {
                self.forget_body(number);
            }
        }
    }

    pub(super) fn body_numbered(&self, number: u64) -> Option<BodyId> {
        let hash = self.hash.of(2, &number.to_be_bytes());
        let found = self.body_index.find(hash, |slot| self.bodies.number(BodyId(slot)) == number);
        found.map(BodyId)
    }

    fn restore_session(&mut self, number: u64, client_id: &[u8], user: &[u8]) -> Result<(), Full> {
        self.numbers = self.numbers.max(number);
        let id = match self.session_numbered(number) {
            Some(id) => id,
            None => {
                let id = self.make_session(client_id).map_err(|_| Full)?;
                if let Some(session) = self.session_mut(id) {
                    session.number = number;
                    session.outgoing.set_limit(UNLIMITED); // until all is there
                }
                let (sessions, hash) = (&self.sessions, self.hash);
                let rehash = |slot| {
                    let number = sessions.get(slot).map_or(0, |session| session.number);
                    hash.of(1, &number.to_be_bytes())
                };
                let key = hash.of(1, &number.to_be_bytes());
                self.number_index.insert(key, id.slot, rehash)?;
                id
            }
        };
        self.set_user(id, user);
        Ok(())
    }

    fn restore_end(&mut self, number: u64, expiry_secs: u32, ends: Option<Instant>) -> bool {
        let Some(id) = self.session_numbered(number) else { return false };
        if let Some(session) = self.session_mut(id) {
            (session.expiry_secs, session.ends) = (expiry_secs, Instant::or_never(ends));
        }
        true
    }

    pub(super) fn session_numbered(&self, number: u64) -> Option<SessionId> {
        let hash = self.hash.of(1, &number.to_be_bytes());
        let slot = self.number_index.find(hash, |slot| {
            self.sessions.get(slot).is_some_and(|session| session.number == number)
        })?;
        Some(SessionId { slot, serial: self.sessions.get(slot)?.serial })
    }

    fn restore_subscription(&mut self, session: u64, filter: &[u8], options: u8, id: u32) -> bool {
        let Some(session) = self.session_numbered(session) else { return false };
        let Ok(filter) = TopicFilter::from_bytes(filter) else { return false };
        let Ok(wanted) = Subscription::from_options(filter, options) else { return false };
        let (code, _) = self.subscribe(session, &wanted, id);
        !code.is_error()
    }

    pub(super) fn restore_ids(&mut self, ids: &[u8]) -> Result<u32, Full> {
        match ids {
            [] => Ok(0),
            [a, b, c, d] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
            several => Ok(self.bodies.keep_ids(several)? | SEVERAL_IDS),
        }
    }

    fn restore_queued(
        &mut self,
        session: u64,
        place: u64,
        delivery: Delivery,
    ) -> Result<bool, Full> {
        let Some(id) = self.session_numbered(session) else { return Ok(false) };
        self.bodies.hold(delivery.body);
        let restored =
            self.session_mut(id).map(|session| session.outgoing.restore(place, delivery));
        if !matches!(restored, Some(Ok(true))) {
            self.let_go(&delivery);
        }
        restored.unwrap_or(Ok(false))
    }

    /// Past its PUBREC: only the identifier is needed.
    fn restore_released(&mut self, session: u64, place: u64, packet_id: u16) -> Result<bool, Full> {
        let Some(id) = self.session_numbered(session) else { return Ok(false) };
        let Some(session) = self.session_mut(id) else { return Ok(false) };
        let before = session.outgoing.at_place(place).copied();
        if before.is_none() {
            session.outgoing.restore(place, Delivery::released())?;
        }
        session.outgoing.restore_id(place, packet_id, true);
        if let Some(before) = before.filter(Delivery::holds_body) {
            self.let_go(&before);
        }
        Ok(true)
    }

    fn restore_received(
        &mut self,
        session: u64,
        packet_id: u16,
        seen: &[Seen],
    ) -> Result<bool, Full> {
        let Some(id) = self.session_numbered(session) else { return Ok(false) };
        let Some(packet_id) = PacketId::new(packet_id) else { return Ok(false) };
        let Some(session) = self.session_mut(id) else { return Ok(false) };
        for seen in seen {
            session.receipts.advance(packet_id, *seen, 0).map_err(|_| Full)?;
        }
        Ok(true)
    }

    fn restore_will(&mut self, session: u64, will: StoredWill, due: Option<Instant>) -> bool {
        let Some(id) = self.session_numbered(session) else { return false };
        self.cancel_will(id);
        self.bodies.hold(will.body);
        if let Some(session) = self.session_mut(id) {
            (session.will, session.will_due) = (Some(will), Instant::or_never(due));
        }
        true
    }

    /// All records were taken back. Every connection that was open counts as closed now: sessions
    /// that do not outlive theirs end, and wills are due, or begin to wait.
    ///
    /// If limits are smaller than they were, messages that wait are dropped by the policy of their
    /// queue until the others fit, and, if they have more bytes than all may have, those that came
    /// last. How many were dropped is returned, and counted. Of anything else that is more than
    /// there may be now, nothing is dropped, but nothing new is taken either.
    pub fn restored(&mut self, now: Instant) -> u64 {
        self.now = self.now.max(now);
        self.journal.pause(false);
        self.let_go_of_bodies(); // before wills make new ones
        self.body_index = S::BodyIndex::EMPTY;
        self.number_index = S::SessionIndex::EMPTY;
        self.group_index = S::GroupIndex::EMPTY;
        self.end_empty_groups();
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            if let Some(session) = self.sessions.get_mut(slot) {
                session.outgoing.complete_ids();
            }
        }
        self.take_back_restored();
        let dropped = self.fit();
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get(slot) else { continue };
            let id = SessionId { slot, serial: session.serial };
            if session.due().is_none() {
                self.detach(id, true);
            } else {
                self.set_session_timer(id);
            }
        }
        self.handle_timeout(now);
        dropped
    }
}
