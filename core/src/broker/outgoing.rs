//! The messages on their way to one session, in order.

mod restoring;
mod showing;

use super::delivery::Delivery;
use crate::flow::send::{Owed, Seen, Unexpected};
use crate::storage::{Full, Queue};
use crate::types::{PacketId, QoS};

/// The messages on their way to one session, in the order in which they were accepted.
///
/// Those in front were sent. Packet identifiers follow one another, so that an acknowledgement
/// finds its message by counting; one that was settled keeps its place, and its identifier, until
/// all before it are.
#[derive(Debug)]
pub(crate) struct Outgoing<Q> {
    queue: Q,
    /// How many in front were sent on this connection.
    sent: usize,
    /// How many in front were sent ever: they are no part of what waits.
    begun: usize,
    /// How many were taken out at the front, ever: the place of the first among all.
    base: u64,
    /// The identifier that was given last.
    last_id: u16,
    /// How many bytes the messages have that were never sent.
    waiting_bytes: usize,
    /// How many are settled, and keep their places behind others.
    settled: u32,
    /// Whether any at QoS 0 may wait that is not of a group.
    at_most_once: bool,
}

impl<Q: Queue<Delivery>> Outgoing<Q> {
    pub(crate) const EMPTY: Self = Self {
        queue: Q::EMPTY,
        sent: 0,
        begun: 0,
        base: 0,
        last_id: 0,
        waiting_bytes: 0,
        settled: 0,
        at_most_once: false,
    };

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.queue.set_limit(limit);
    }

    /// How many have not been sent on this connection.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len().saturating_sub(self.sent)
    }

    /// How many are behind the last that was sent ever.
    pub(crate) fn in_line(&self) -> usize {
        self.queue.len().saturating_sub(self.begun)
    }

    /// How many bytes those have.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether no more can be added, though messages that are settled may be the most of them.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= self.queue.limit()
    }

    /// Adds a message at the end.
    pub(crate) fn push(&mut self, delivery: Delivery) -> Result<(), Full> {
        self.at_most_once &= self.waiting() != 0;
        self.queue.push_back(delivery)?;
        self.waiting_bytes = self.waiting_bytes.saturating_add(delivery.len as usize);
        Ok(())
    }

    /// One at QoS 0 was added: those that come later wait behind it.
    pub(crate) const fn hold_at_most_once(&mut self) {
        self.at_most_once = true;
    }

    /// Whether messages at QoS 0 wait, perhaps: later ones wait behind them.
    pub(crate) fn holds_at_most_once(&self) -> bool {
        self.at_most_once && self.waiting() != 0
    }

    /// The next message, which is at QoS 0, and those at QoS 0 behind it are to leave once `ticket`
    /// is kept, and never to come back from a store: one of them, if there are any.
    pub(crate) fn let_leave(&mut self, ticket: u32) -> Option<(u64, Delivery)> {
        for at in self.sent..self.queue.len().min(self.sent.saturating_add(MOST_LEAVING)) {
            let one = self.at(at).filter(|one| one.qos == QoS::AtMostOnce)?;
            if one.sent || one.owed == Owed::Nothing {
                continue;
            }
            self.waits_no_more(&one);
            if let Some(one) = self.queue.get_mut(at) {
                (one.sent, one.ticket, one.revocable) = (true, ticket, false);
            }
            return Some((self.place(at), one));
        }
        None
    }

    /// Takes out one at QoS 0, `from` places behind the first or later: where, and what it was.
    pub(crate) fn drop_at_most_once(&mut self, from: usize) -> Option<(usize, Delivery)> {
        for at in from..self.queue.len() {
            let one = self.at(at)?;
            if one.qos == QoS::AtMostOnce && one.owed != Owed::Nothing {
                self.waits_no_more(&one);
                self.settle_at(at);
                return Some((at, one));
            }
        }
        None
    }

    /// The message `at` places behind the first needs nothing more, but keeps its place.
    fn settle_at(&mut self, at: usize) {
        if let Some(delivery) = self.queue.get_mut(at)
            && core::mem::replace(&mut delivery.owed, Owed::Nothing) != Owed::Nothing
        {
            self.settled = self.settled.saturating_add(1);
        }
    }

    /// A message does not wait any more, or never will.
    fn waits_no_more(&mut self, delivery: &Delivery) {
        if delivery.holds_body() && !delivery.sent {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(delivery.len as usize);
        }
    }

    /// The next message that is to be sent, if it has an identifier or there is one to be had.
    #[inline]
    pub(crate) fn next(&self) -> Option<&Delivery> {
        self.queue.get(self.sent).filter(|next| next.id != 0 || self.sent < MAX_SPAN)
    }

    /// The next message is sent: under the identifier that it has, or a new one. At QoS 0, and if
    /// it is settled, it only steps aside.
    #[inline]
    pub(crate) fn send_next(&mut self) -> Option<PacketId> {
        self.choose_id();
        let next = *self.queue.get(self.sent)?;
        self.waits_no_more(&next);
        let delivery = self.queue.get_mut(self.sent)?;
        self.sent = self.sent.saturating_add(1);
        self.begun = self.begun.max(self.sent);
        delivery.sent = true;
        if let Ok(owed) = delivery.owed.next(Seen::Sent) {
            delivery.owed = owed;
        }
        PacketId::new(delivery.id)
    }

    /// The next message gets its identifier, if it has none.
    pub(crate) fn choose_id(&mut self) {
        let last_id = self.last_id;
        if let Some(delivery) = self.queue.get_mut(self.sent)
            && delivery.id == 0
            && self.sent < MAX_SPAN
        {
            delivery.id = next_id(last_id);
            self.last_id = delivery.id;
        }
    }

    /// The next message was kept, and now waits for another ticket.
    pub(crate) fn set_next_ticket(&mut self, ticket: u32) {
        if let Some(delivery) = self.queue.get_mut(self.sent) {
            delivery.revocable &= delivery.ticket == ticket;
            delivery.ticket = ticket;
        }
    }

    /// The message that was added last waits for this ticket.
    pub(crate) fn set_last_ticket(&mut self, ticket: u32, revocable: bool) {
        if let Some(last) = self.queue.len().checked_sub(1)
            && let Some(delivery) = self.queue.get_mut(last)
        {
            // What is a group's at QoS 1 is the group's to take back.
            let own = delivery.entry == 0 || delivery.qos == QoS::ExactlyOnce;
            (delivery.ticket, delivery.revocable) = (ticket, revocable && own);
        }
    }

    /// The messages that were added last do not wait for this ticket.
    pub(crate) fn free_last(&mut self, ticket: u32) {
        for at in (0..self.queue.len()).rev() {
            match self.queue.get_mut(at) {
                Some(delivery) if delivery.ticket == ticket => delivery.ticket = 0,
                _ => return,
            }
        }
    }

    /// How many messages are not settled.
    pub(crate) fn owed(&self) -> usize {
        let owed = self.queue.len().saturating_sub(self.settled as usize);
        debug_assert_eq!(owed, {
            let all = (0..self.queue.len()).filter_map(|at| self.queue.get(at));
            all.filter(|delivery| delivery.owed != Owed::Nothing).count()
        });
        owed
    }

    /// How many places behind the first the next message is.
    pub(crate) const fn next_at(&self) -> usize {
        self.sent
    }

    /// How many messages there are, settled ones among others included.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The message `at` places behind the first.
    pub(crate) fn at(&self, at: usize) -> Option<Delivery> {
        self.queue.get(at).copied()
    }

    /// The place of the message `at` places behind the first, among all that ever waited.
    pub(crate) const fn place(&self, at: usize) -> u64 {
        self.base.saturating_add(at as u64)
    }

    /// The place of the message with this identifier, as far as it was sent.
    pub(crate) fn place_of(&mut self, id: PacketId) -> Option<u64> {
        let (at, _) = self.find(id)?;
        Some(self.place(at))
    }

    /// The tickets from `first` on failed: takes back the next message that was not kept, at `from`
    /// or behind it; those in between that are not to be taken back wait for `ticket`.
    pub(crate) fn withdraw(
        &mut self,
        from: usize,
        first: u32,
        ticket: u32,
    ) -> Option<(usize, Delivery)> {
        for at in from..self.queue.len() {
            let Some(delivery) = self.queue.get_mut(at) else { break };
            if delivery.ticket < first || delivery.owed == Owed::Nothing {
                continue;
            }
            if !delivery.revocable || delivery.sent {
                delivery.ticket = ticket;
                continue;
            }
            let withdrawn = *delivery;
            self.settle_at(at);
            self.waits_no_more(&withdrawn);
            return Some((at, withdrawn));
        }
        None
    }

    /// Takes back the next message that was not sent and is one of these, at `from` or behind it.
    pub(crate) fn take_unsent(
        &mut self,
        from: usize,
        is_it: impl Fn(&Delivery) -> bool,
    ) -> Option<(usize, Delivery)> {
        for at in from..self.queue.len() {
            let Some(delivery) = self.queue.get_mut(at) else { break };
            if delivery.sent || delivery.owed == Owed::Nothing || !is_it(delivery) {
                continue;
            }
            let taken = *delivery;
            delivery.entry = 0;
            self.settle_at(at);
            self.waits_no_more(&taken);
            return Some((at, taken));
        }
        None
    }

    /// The next message, to be changed.
    pub(crate) fn next_mut(&mut self) -> Option<&mut Delivery> {
        self.queue.get_mut(self.sent)
    }

    /// The identifier under which the next message is sent.
    #[inline]
    pub(crate) fn peek_id(&self) -> Option<PacketId> {
        let delivery = self.next()?;
        PacketId::new(if delivery.id == 0 { next_id(self.last_id) } else { delivery.id })
    }

    /// The next message needs nothing more: it was at QoS 0, or is dropped.
    pub(crate) fn settle_next(&mut self) {
        if let Some(delivery) = self.queue.get(self.sent).copied() {
            self.waits_no_more(&delivery);
        }
        self.settle_at(self.sent);
        self.send_next();
    }

    /// Something happened to a message that was sent on this connection: what it was before, and
    /// what is owed now.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        id: PacketId,
        seen: Seen,
    ) -> Result<(Delivery, Owed), Unexpected> {
        let sent = self.sent;
        // A PUBREL goes ahead of messages that wait for the window.
        let was_sent = |at: usize, delivery: &Delivery| at < sent || delivery.owed.is_release();
        let found = self.find(id).filter(|(at, delivery)| was_sent(*at, delivery));
        let (_, delivery) = found.ok_or(Unexpected)?;
        let before = *delivery;
        let owed = delivery.owed.next(seen)?;
        delivery.owed = owed;
        if owed == Owed::Nothing && before.owed != Owed::Nothing {
            self.settled = self.settled.saturating_add(1);
        }
        Ok((before, owed))
    }

    /// Whether a message with this identifier is not settled.
    pub(crate) fn holds(&mut self, id: PacketId) -> bool {
        self.find(id).is_some_and(|(_, delivery)| delivery.owed != Owed::Nothing)
    }

    /// The first message whose PUBREL is to be sent again, at `from` or behind it.
    pub(crate) fn next_release(&self, from: usize) -> Option<(usize, PacketId)> {
        (from..self.queue.len()).find_map(|at| {
            let delivery = self.queue.get(at).filter(|one| one.owed == Owed::PubRel)?;
            Some((at, PacketId::new(delivery.id)?))
        })
    }

    /// The PUBREL of the message at `at` was sent.
    pub(crate) fn released_at(&mut self, at: usize) {
        if let Some(delivery) = self.queue.get_mut(at) {
            delivery.owed = Owed::PubComp;
        }
    }

    #[inline]
    fn find(&mut self, id: PacketId) -> Option<(usize, &mut Delivery)> {
        let first = self.queue.get(0)?.id;
        if first == 0 {
            return None;
        }
        let ahead = if id.get() >= first {
            id.get().wrapping_sub(first)
        } else {
            id.get().wrapping_sub(first).wrapping_sub(1) // 0 is no identifier
        };
        let at = ahead as usize;
        let delivery = self.queue.get_mut(at)?;
        if delivery.id == id.get() { Some((at, delivery)) } else { None }
    }

    /// Takes out the first message if it is settled.
    #[inline]
    pub(crate) fn pop_settled(&mut self) -> Option<Delivery> {
        let first = *self.queue.get(0)?;
        if first.owed != Owed::Nothing {
            return None;
        }
        self.queue.pop_front();
        self.settled = self.settled.saturating_sub(1);
        self.base = self.base.saturating_add(1);
        self.sent = self.sent.saturating_sub(1);
        self.begun = self.begun.saturating_sub(1);
        Some(first)
    }

    /// Takes out the first message, whatever is owed for it.
    pub(crate) fn pop_any(&mut self) -> Option<Delivery> {
        self.sent = self.sent.saturating_sub(1);
        self.begun = self.begun.saturating_sub(1);
        self.queue.pop_front() // the session ends: nobody counts any more
    }

    /// Whether dropping the oldest makes room: one that records know keeps its place behind others.
    pub(crate) fn gives_room(&self, recorded: bool) -> bool {
        !recorded || !self.is_full() || self.queue.get(0).is_some_and(|first| !first.sent)
    }

    /// Drops the oldest message that was never sent: its place, and what it was. Those before it
    /// move up, but where records know their places.
    pub(crate) fn drop_oldest(&mut self, recorded: bool) -> Option<(u64, Delivery)> {
        let mut waiting = self.sent..self.queue.len();
        let at = waiting.find(|at| {
            let one = self.queue.get(*at).filter(|one| !one.sent && one.owed != Owed::Nothing);
            one.is_some_and(|one| recorded || one.id == 0)
        })?;
        let (place, oldest) = (self.place(at), self.at(at)?);
        self.waits_no_more(&oldest);
        if recorded {
            self.settle_at(at);
        } else {
            for to in (1..=at).rev() {
                let before = self.at(to.saturating_sub(1))?;
                *self.queue.get_mut(to)? = before;
            }
            self.queue.pop_front();
        }
        while self.pop_settled().is_some() {}
        Some((place, oldest))
    }

    /// How many messages were never sent.
    pub(crate) fn unsent(&self) -> usize {
        let all = (self.sent..self.queue.len()).filter_map(|at| self.queue.get(at));
        all.filter(|delivery| delivery.is_unsent()).count()
    }

    /// Drops the oldest message at `from` or behind it that was never sent: its place, and what it
    /// was. `from` is behind it then.
    pub(crate) fn drop_unsent(&mut self, from: &mut usize) -> Option<(u64, Delivery)> {
        let mut waiting = *from..self.queue.len();
        let at = waiting.find(|at| self.queue.get(*at).is_some_and(Delivery::is_unsent))?;
        let (place, oldest) = (self.place(at), self.at(at)?);
        self.waits_no_more(&oldest);
        self.settle_at(at);
        *from = at.saturating_add(1);
        Some((place, oldest))
    }

    /// The last message, if it was never sent. Those behind it that are settled go.
    pub(crate) fn newest(&mut self) -> Option<Delivery> {
        loop {
            let last = self.queue.len().checked_sub(1).filter(|last| *last >= self.sent)?;
            let newest = self.at(last)?;
            if newest.owed != Owed::Nothing {
                return Some(newest).filter(Delivery::is_unsent);
            }
            self.queue.pop_back();
            self.settled = self.settled.saturating_sub(1);
            self.begun = self.begun.min(last);
        }
    }

    /// Drops the last message, if it was never sent: its place, and what it was.
    pub(crate) fn drop_newest(&mut self) -> Option<(u64, Delivery)> {
        let newest = self.newest()?;
        self.queue.pop_back();
        self.begun = self.begun.min(self.queue.len());
        self.waits_no_more(&newest);
        Some((self.place(self.queue.len()), newest))
    }

    /// The connection is gone: what was sent and not settled is to be sent again, in this order.
    pub(crate) fn lose(&mut self) {
        // A PUBREL may have gone ahead of messages that waited for the window.
        for at in 0..self.queue.len() {
            let Some(delivery) = self.queue.get_mut(at).filter(|one| one.id != 0) else { break };
            if let Ok(owed) = delivery.owed.next(Seen::Loss) {
                delivery.owed = owed;
            }
        }
        self.sent = 0;
    }

    /// How many exchanges are past their PUBREC.
    pub(crate) fn released(&self) -> u16 {
        let all = (0..self.queue.len()).filter_map(|at| self.queue.get(at));
        let released = all.filter(|delivery| delivery.owed.is_release()).count();
        u16::try_from(released).unwrap_or(u16::MAX)
    }
}

/// How many messages may have been settled between two that are not, if a store tells the truth.
const MOST_GAP: u64 = (1 << 20) + MAX_SPAN as u64;

/// How many messages at QoS 0 may leave the store for good at once.
const MOST_LEAVING: usize = 64;

/// How many identifiers may lie between the first and the last that is in use.
pub(crate) const MAX_SPAN: usize = 32_768;

/// The next identifier, which nothing that is on its way has [MQTT5-2.2.1-4, MQTT3-2.3.1-4].
const fn next_id(last: u16) -> u16 {
    match last.checked_add(1) {
        Some(next) => next,
        None => 1,
    }
}

const fn previous_id(next: u16) -> u16 {
    match next {
        0 | 1 => u16::MAX,
        _ => next.wrapping_sub(1),
    }
}
