//! The sender's half: packet identifiers, and what is owed for each that is in use.
//!
//! One space of identifiers serves PUBLISH, SUBSCRIBE and UNSUBSCRIBE [MQTT5-2.2.1-3]. Identifiers
//! are places in a table, 1 for the first, and are used again first in, first out, so that one that
//! was just settled rests as long as possible.

mod owed;

pub(crate) use owed::{Owed, Seen, Unexpected};

use super::outbox::Place;
use super::{QOS2, SESSION};
use crate::storage::{Full, List};
use crate::types::PacketId;

/// Whether an identifier is given up that the peer may know and mistake when it is used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Retired {
    #[default]
    No,
    /// The application has not been told.
    Untold,
    /// It rests until the session is over.
    Told,
}

/// One packet identifier.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flight {
    pub(crate) owed: Owed,
    /// Whether its record is with a store that has not confirmed it.
    pub(crate) unrecorded: bool,
    /// Whether its payload was streamed, so that it is not in memory.
    pub(crate) streamed: bool,
    /// Whether nothing of a streamed one has ever left.
    pub(crate) unbegun: bool,
    retired: Retired,
    /// What its owner wants to know with the news.
    pub(crate) why: u8,
    /// How many filters were asked for.
    pub(crate) filters: u16,
    /// Identifier of the next in its row: free, in release, or news. 0 for none.
    next: u16,
    /// Identifier of the one before it, among those in release.
    previous: u16,
    /// What the application knows it by.
    pub(crate) token: u32,
    /// Where its PUBLISH is, once it may have left: see [`Outbox`](super::outbox::Outbox).
    pub(crate) place: Place,
}

/// A row of identifiers, linked through the table.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    first: u16,
    last: u16,
}

impl Row {
    const EMPTY: Self = Self { first: 0, last: 0 };
}

/// Whether a PUBREL may have to wait. Where nothing outlives a connection none does: then there is
/// no row of those past their PUBREC.
const RELEASES: bool = QOS2 && SESSION;

/// How many identifiers are made before one is used again, if there is room.
const RESTING: usize = 32;

/// The table of flights.
#[derive(Debug)]
pub(crate) struct Flights<L> {
    list: L,
    free: Row,
    /// Those that owe PUBREL or are owed PUBCOMP, in the order of their PUBRECs [MQTT5-4.6.0-4].
    releases: Row,
    /// The first of them that may owe PUBREL; 0 for none.
    due: u16,
    /// Those of which the application is to be told.
    news: Row,
    in_use: u16,
    released: u16,
    streamed: u16,
    retired: u16,
}

impl<L: List<Flight>> Flights<L> {
    pub(crate) const EMPTY: Self = Self {
        list: L::EMPTY,
        free: Row::EMPTY,
        releases: Row::EMPTY,
        due: 0,
        news: Row::EMPTY,
        in_use: 0,
        released: 0,
        streamed: 0,
        retired: 0,
    };

    pub(crate) fn set_limit(&mut self, limit: u16) {
        self.list.set_limit(limit as usize);
    }

    /// How many may be in use at once.
    pub(crate) fn limit(&self) -> u16 {
        u16::try_from(self.list.limit()).unwrap_or(u16::MAX)
    }

    /// Frees all.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        (self.free, self.releases, self.news) = (Row::EMPTY, Row::EMPTY, Row::EMPTY);
        (self.in_use, self.released, self.streamed, self.retired) = (0, 0, 0, 0);
        self.due = 0;
    }

    /// How many messages in use were streamed.
    #[cfg(feature = "stream")]
    pub(crate) const fn streamed(&self) -> u16 {
        self.streamed
    }

    /// The message is streamed, and is being sent.
    #[cfg(feature = "stream")]
    pub(crate) fn mark_streamed(&mut self, id: PacketId) {
        let Some(flight) = self.get_mut(id) else { return };
        let was = core::mem::replace(&mut flight.streamed, true);
        flight.unbegun = false;
        self.streamed = self.streamed.saturating_add(u16::from(!was));
    }

    /// How many are in use, but for those that only rest.
    pub(crate) const fn in_use(&self) -> u16 {
        self.in_use.saturating_sub(self.retired)
    }

    /// How many are past their PUBREC.
    pub(crate) const fn released(&self) -> u16 {
        self.released
    }

    #[inline]
    pub(crate) fn get(&self, id: PacketId) -> Option<&Flight> {
        self.list.as_slice().get(place(id.get())?)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: PacketId) -> Option<&mut Flight> {
        self.list.as_mut_slice().get_mut(place(id.get())?)
    }

    /// What is owed for `id`; nothing if it was never used.
    #[inline]
    pub(crate) fn owed(&self, id: PacketId) -> Owed {
        self.get(id).map_or(Owed::Nothing, |flight| flight.owed)
    }

    /// An identifier that is not in use, without taking it.
    #[inline]
    pub(crate) fn peek_free(&self) -> Option<PacketId> {
        let count = self.list.as_slice().len();
        // A few new ones first: the longer the row of free ones, the longer each rests.
        if count >= RESTING && self.free.first != 0 || count >= self.list.limit() {
            return PacketId::new(self.free.first);
        }
        PacketId::new(u16::try_from(count).ok()?.checked_add(1)?)
    }

    /// Takes an identifier [MQTT5-4.3.2-1, MQTT5-4.3.3-1, MQTT3-2.3.1-2].
    #[inline]
    pub(crate) fn take(&mut self, owed: Owed, token: u32) -> Result<PacketId, Full> {
        let id = self.peek_free().ok_or(Full)?;
        self.take_peeked(id, owed, token, Place::default())?;
        Ok(id)
    }

    /// Takes the identifier that [`Flights::peek_free`] has just shown.
    #[inline]
    pub(crate) fn take_peeked(
        &mut self,
        id: PacketId,
        owed: Owed,
        token: u32,
        place: Place,
    ) -> Result<(), Full> {
        let fresh = Flight { owed, token, place, ..Flight::default() };
        match self.get_mut(id) {
            Some(flight) => {
                let next = core::mem::replace(flight, fresh).next;
                self.free.first = next;
                if next == 0 {
                    self.free.last = 0;
                }
            }
            None => self.list.push(fresh)?,
        }
        self.in_use = self.in_use.saturating_add(1);
        Ok(())
    }

    /// The PUBLISH has become ready, there.
    pub(crate) fn set_place(&mut self, id: PacketId, place: Place) {
        if let Some(flight) = self.get_mut(id) {
            flight.place = place;
        }
    }

    /// Takes this very identifier, as a record has it.
    pub(crate) fn restore(&mut self, id: PacketId, owed: Owed, token: u32) -> Result<(), Full> {
        while self.get(id).is_none() {
            self.list.push(Flight::default())?;
            let last = u16::try_from(self.list.as_slice().len()).unwrap_or(u16::MAX);
            self.append_free(last);
        }
        if self.owed(id) != Owed::Nothing {
            return Ok(());
        }
        self.unlink_free(id.get());
        self.in_use = self.in_use.saturating_add(1);
        if let Some(flight) = self.get_mut(id) {
            *flight = Flight { owed, token, ..Flight::default() };
        }
        if owed.is_release() {
            self.append_release(id.get());
        }
        Ok(())
    }

    /// Something happened to `id`: what is owed now. An identifier that is settled is free.
    #[inline]
    pub(crate) fn advance(&mut self, id: PacketId, seen: Seen) -> Result<Owed, Unexpected> {
        let Some(flight) = self.get_mut(id) else { return Owed::Nothing.next(seen) };
        let before = flight.owed;
        let after = before.next(seen)?;
        flight.owed = after;
        if RELEASES && (before.is_release() || after.is_release()) {
            self.note_release(id.get(), before, after);
        }
        match after {
            Owed::Nothing if before != Owed::Nothing => _ = self.settle(id),
            Owed::News if before != Owed::News => self.append_news(id.get()),
            _ => {}
        }
        Ok(after)
    }

    /// The peer has the message, and PUBREL leaves at once: PUBCOMP is owed.
    #[inline]
    pub(crate) fn release(&mut self, id: PacketId) {
        let last = self.releases.last;
        if let Some(flight) = self.get_mut(id) {
            flight.owed = Owed::PubComp;
            (flight.previous, flight.next) = (last, 0);
        }
        self.link_release(id.get());
    }

    /// PUBCOMP was owed, and is here: the identifier is free. What the application knows it by.
    #[inline]
    pub(crate) fn complete(&mut self, id: PacketId) -> u32 {
        if RELEASES {
            self.unlink_release(id.get());
        }
        self.settle(id)
    }

    /// Keeps the row of those past their PUBREC, and where in it PUBREL is owed.
    fn note_release(&mut self, number: u16, before: Owed, after: Owed) {
        match (before.is_release(), after) {
            (false, _) => self.append_release(number),
            (true, Owed::PubComp) if self.due == number => self.pass_due(number),
            (true, Owed::PubComp) => {}
            // Owed once more, be it behind others for which PUBREL is not owed.
            (true, Owed::PubRel) => self.due = self.releases.first,
            (true, _) => self.unlink_release(number),
        }
    }

    fn pass_due(&mut self, number: u16) {
        self.due = self.flight(number).map_or(0, |flight| flight.next);
    }

    /// Nothing more will come of `id`, and the application will be told `why`.
    pub(crate) fn fail(&mut self, id: PacketId, why: u8) {
        if let Some(flight) = self.get_mut(id) {
            flight.why = why;
        }
        let _ = self.advance(id, Seen::End);
    }

    /// Whether the application is to be told of any.
    #[inline]
    pub(crate) const fn has_news(&self) -> bool {
        self.news.first != 0
    }

    /// The next of which the application is to be told; it is free then.
    #[inline]
    pub(crate) fn take_news(&mut self) -> Option<Flight> {
        let id = PacketId::new(self.news.first)?;
        let flight = *self.get(id)?;
        self.news.first = flight.next;
        if flight.next == 0 {
            self.news.last = 0;
        }
        match self.get_mut(id) {
            Some(known) if SESSION && known.retired == Retired::Untold => {
                known.retired = Retired::Told;
                self.retired = self.retired.saturating_add(1);
            }
            _ => {
                let _ = self.advance(id, Seen::Told);
            }
        }
        Some(flight)
    }

    /// As [`Flights::fail`], and the identifier is not used again in this session.
    pub(crate) fn retire(&mut self, id: PacketId, why: u8) {
        self.fail(id, why);
        if let Some(flight) = self.get_mut(id) {
            flight.retired = Retired::Untold;
        }
    }

    /// The session is over, and with it what the peer knew of identifiers.
    pub(crate) fn end_retirement(&mut self, id: PacketId) {
        let Some(flight) = self.get_mut(id) else { return };
        if core::mem::take(&mut flight.retired) == Retired::Told {
            self.retired = self.retired.saturating_sub(1);
            self.settle(id);
        }
    }

    /// Frees `id`, whatever was owed for it.
    pub(crate) fn forget(&mut self, id: PacketId) {
        let before = self.owed(id);
        if RELEASES && before.is_release() {
            self.unlink_release(id.get());
        }
        if before != Owed::Nothing {
            self.settle(id);
        }
    }

    /// The last acknowledgement is here: the identifier is free [MQTT3-2.3.1-3]. What the
    /// application knows it by.
    #[cfg_attr(feature = "alloc", inline(always))]
    pub(crate) fn settle(&mut self, id: PacketId) -> u32 {
        let Some(flight) = self.get_mut(id) else { return 0 };
        let (token, was_streamed) = (flight.token, flight.streamed);
        flight.owed = Owed::Nothing;
        flight.next = 0;
        (flight.unrecorded, flight.streamed) = (false, false);
        if cfg!(feature = "stream") && was_streamed {
            self.streamed = self.streamed.saturating_sub(1);
        }
        self.in_use = self.in_use.saturating_sub(1);
        self.link_free(id.get());
        token
    }

    /// Every identifier in use, by number.
    pub(crate) fn each(&self) -> impl Iterator<Item = (PacketId, &Flight)> {
        let numbered = self.list.as_slice().iter().zip(1..=u16::MAX);
        numbered
            .filter(|(flight, _)| flight.owed != Owed::Nothing)
            .filter_map(|(flight, number)| Some((PacketId::new(number)?, flight)))
    }

    /// The first identifier above `after` that is in use.
    pub(crate) fn next_in_use(&self, after: u16) -> Option<PacketId> {
        let rest = self.list.as_slice().get(after as usize..)?;
        let ahead = rest.iter().position(|flight| flight.owed != Owed::Nothing)?;
        PacketId::new(u16::try_from(ahead).ok()?.checked_add(after)?.checked_add(1)?)
    }

    /// The first for which PUBREL is owed, in the order of the PUBRECs.
    pub(crate) fn first_due(&mut self) -> Option<PacketId> {
        loop {
            let id = PacketId::new(self.due)?;
            if self.owed(id) == Owed::PubRel {
                return Some(id);
            }
            self.pass_due(id.get());
        }
    }

    /// All that are past their PUBREC, in their order.
    #[cfg(test)]
    pub(crate) fn each_release(&self) -> impl Iterator<Item = PacketId> {
        let next = |id: &PacketId| PacketId::new(self.get(*id)?.next);
        core::iter::successors(PacketId::new(self.releases.first), next)
    }

    fn flight(&mut self, number: u16) -> Option<&mut Flight> {
        self.list.as_mut_slice().get_mut(place(number)?)
    }

    fn append_free(&mut self, number: u16) {
        if let Some(flight) = self.flight(number) {
            flight.next = 0;
        }
        self.link_free(number);
    }

    /// Puts one that has none behind it at the end of the row of free ones.
    #[inline]
    fn link_free(&mut self, number: u16) {
        match self.flight(self.free.last) {
            Some(last) => last.next = number,
            None => self.free.first = number,
        }
        self.free.last = number;
    }

    /// Takes `number` out of the free ones: only a restored session needs it, so it may walk.
    fn unlink_free(&mut self, number: u16) {
        let next = self.flight(number).map_or(0, |flight| flight.next);
        let mut before = 0;
        let mut here = self.free.first;
        while here != 0 && here != number {
            before = here;
            here = self.flight(here).map_or(0, |flight| flight.next);
        }
        match self.flight(before) {
            Some(flight) => flight.next = next,
            None => self.free.first = next,
        }
        if self.free.last == number {
            self.free.last = before;
        }
    }

    fn append_news(&mut self, number: u16) {
        if let Some(flight) = self.flight(number) {
            flight.next = 0;
        }
        match self.flight(self.news.last) {
            Some(last) => last.next = number,
            None => self.news.first = number,
        }
        self.news.last = number;
    }

    fn append_release(&mut self, number: u16) {
        let last = self.releases.last;
        if let Some(flight) = self.flight(number) {
            (flight.previous, flight.next) = (last, 0);
        }
        self.link_release(number);
        if self.due == 0 {
            self.due = number;
        }
    }

    /// Puts one that has the last of its row before it, and none behind it, at the end of the row.
    #[inline]
    fn link_release(&mut self, number: u16) {
        match self.flight(self.releases.last) {
            Some(last) => last.next = number,
            None => self.releases.first = number,
        }
        self.releases.last = number;
        self.released = self.released.saturating_add(1);
    }

    #[inline]
    fn unlink_release(&mut self, number: u16) {
        let Some(flight) = self.flight(number) else { return };
        let (previous, next) = (flight.previous, flight.next);
        if self.due == number {
            self.due = next;
        }
        match self.flight(previous) {
            Some(flight) => flight.next = next,
            None => self.releases.first = next,
        }
        match self.flight(next) {
            Some(flight) => flight.previous = previous,
            None => self.releases.last = previous,
        }
        self.released = self.released.saturating_sub(1);
    }
}

/// The place of an identifier in the table; none for 0.
#[inline]
const fn place(number: u16) -> Option<usize> {
    match number.checked_sub(1) {
        Some(place) => Some(place as usize),
        None => None,
    }
}
