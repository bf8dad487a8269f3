//! The filters that are kept, to subscribe anew when the server has lost the session.

use crate::client::Client;
use crate::client::error::SendError;
use crate::client::handshake::RESERVE;
use crate::client::limits::Limits;
use crate::client::subscribe::{Filter, Request};
use crate::codec::{Items, Properties, Subscription, erase, measure};
#[cfg(feature = "v5")]
use crate::codec::{Property, SubscriptionId};
use crate::flow::send::Owed;
use crate::storage::{Storage, copy};
use crate::types::{PacketId, ReasonCode, TopicFilter};

/// A filter that is kept, before its text: the request that asked for it (0 once it was granted)
/// and its place in that, the subscription identifier, the options, and the length of the text.
const KEPT_HEAD: usize = 11;

/// A filter that is kept.
#[derive(Clone, Copy)]
struct Kept<'a> {
    request: u16,
    place: u16,
    id: u32,
    options: u8,
    text: &'a [u8],
}

impl<'a> Kept<'a> {
    /// The one that begins `bytes`, and how long it is.
    fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (head, rest) = bytes.split_first_chunk::<KEPT_HEAD>()?;
        let [r0, r1, p0, p1, i0, i1, i2, i3, options, l0, l1] = *head;
        let text = rest.get(..u16::from_be_bytes([l0, l1]) as usize)?;
        let kept = Self {
            request: u16::from_be_bytes([r0, r1]),
            place: u16::from_be_bytes([p0, p1]),
            id: u32::from_be_bytes([i0, i1, i2, i3]),
            options,
            text,
        };
        Some((kept, KEPT_HEAD.saturating_add(text.len())))
    }

    /// Whether the server of today can be asked for it.
    fn suits(&self, limits: &Limits) -> bool {
        let with_id = self.id != 0;
        (limits.subscription_ids || !with_id)
            && limits.check_filter(TopicFilter::trusted(self.text)).is_ok()
    }

    fn write(&self, out: &mut [u8]) {
        let [r0, r1] = self.request.to_be_bytes();
        let [p0, p1] = self.place.to_be_bytes();
        let [i0, i1, i2, i3] = self.id.to_be_bytes();
        let [l0, l1] = (self.text.len() as u16).to_be_bytes();
        if let Some((head, text)) = out.split_first_chunk_mut::<KEPT_HEAD>() {
            *head = [r0, r1, p0, p1, i0, i1, i2, i3, self.options, l0, l1];
            copy(text, self.text);
        }
    }
}

/// The filters that are kept, for a session that the server may lose.
impl<S: Storage> Client<S> {
    fn kept_filters(&self) -> &[u8] {
        self.outbox.kept().get(self.connect_len..).unwrap_or_default()
    }

    /// How much keeping these filters takes, in bytes.
    pub(in crate::client) fn kept_len(&self, filters: &[Filter<'_>]) -> usize {
        if !self.settings.resubscribe {
            return 0;
        }
        filters.iter().fold(0, |sum: usize, filter| {
            sum.saturating_add(KEPT_HEAD).saturating_add(filter.text().len())
        })
    }

    /// Keeps what a request asks for, if the client is to subscribe anew by itself.
    pub(in crate::client) fn keep_filters(
        &mut self,
        filters: &[Filter<'_>],
        id: u32,
        request: PacketId,
    ) -> Result<(), SendError> {
        if !self.settings.resubscribe {
            return Ok(());
        }
        for (subscription, place) in
            filters.iter().filter_map(|filter| filter.subscription().ok()).zip(0..=u16::MAX)
        {
            self.keep_filter(&subscription, id, request, place)?;
        }
        Ok(())
    }

    fn keep_filter(
        &mut self,
        subscription: &Subscription<'_>,
        id: u32,
        request: PacketId,
        place: u16,
    ) -> Result<(), SendError> {
        self.forget_filter(subscription.filter.as_bytes());
        let kept = Kept {
            request: request.get(),
            place,
            id,
            options: subscription.options(),
            text: subscription.filter.as_bytes(),
        };
        let len = KEPT_HEAD.saturating_add(kept.text.len());
        kept.write(self.outbox.push_kept(len)?);
        Ok(())
    }

    pub(in crate::client) fn forget_filter(&mut self, filter: &[u8]) {
        self.retain_filters(|kept| kept.text != filter);
    }

    /// The server has answered a request: what it refused is not asked for again.
    pub(in crate::client) fn forget_refused_filters(
        &mut self,
        request: PacketId,
        codes: Items<'_, ReasonCode>,
    ) {
        self.retain_filters(|kept| {
            let code = || codes.iter().nth(usize::from(kept.place));
            kept.request != request.get() || code().is_some_and(|code| !code.is_error())
        });
        self.settle_filters(request.get());
    }

    /// The connection is gone: requests without an answer are the application's to repeat, unless
    /// the client made them itself.
    pub(in crate::client) fn forget_unanswered_filters(&mut self) {
        self.retain_filters(|kept| kept.request == 0);
    }

    fn retain_filters(&mut self, mut keep: impl FnMut(&Kept<'_>) -> bool) {
        let mut at = 0;
        loop {
            let rest = self.kept_filters().get(at..).unwrap_or_default();
            let Some((kept, len)) = Kept::read(rest) else { break };
            if keep(&kept) {
                at = at.saturating_add(len);
            } else {
                let start = self.connect_len.saturating_add(at);
                self.outbox.remove_kept(start..start.saturating_add(len));
                if self.resubscribing.saturating_sub(1) > at {
                    self.resubscribing = self.resubscribing.saturating_sub(len);
                }
            }
        }
    }

    /// What was asked for by `request` is granted.
    fn settle_filters(&mut self, request: u16) {
        let connect_len = self.connect_len;
        let mut rest = self.outbox.kept_mut().get_mut(connect_len..).unwrap_or_default();
        while let Some((kept, len)) = Kept::read(rest) {
            if kept.request == request
                && let Some(head) = rest.first_chunk_mut::<2>()
            {
                *head = [0; 2];
            }
            rest = rest.get_mut(len..).unwrap_or_default();
        }
    }

    /// Begins to subscribe anew to all that is kept.
    pub(in crate::client) fn resubscribe(&mut self) {
        self.resubscribe_due = !self.kept_filters().is_empty();
        self.resubscribing = usize::from(self.resubscribe_due);
    }

    /// Goes on subscribing anew, as far as there is room: one filter a request.
    pub(in crate::client) fn send_resubscriptions(&mut self) {
        while let Some(at) = self.resubscribing.checked_sub(1) {
            let rest = self.kept_filters().get(at..).unwrap_or_default();
            let Some((kept, len)) = Kept::read(rest) else {
                self.resubscribing = 0;
                return;
            };
            // What the application has just asked for, and what this server does not take, is left.
            let wanted = kept.request == 0 && kept.suits(&self.limits);
            if wanted && self.send_resubscription(at) == Err(SendError::Full) {
                return; // once there is room
            }
            self.resubscribing = at.saturating_add(len).saturating_add(1);
        }
    }

    /// Asks again for the filter that is kept at `at`.
    fn send_resubscription(&mut self, at: usize) -> Result<(), SendError> {
        let (version, place) = (self.version, self.connect_len.saturating_add(at));
        let packet_id = self.flights.peek_free().ok_or(SendError::Full)?;
        self.send_from_kept(RESERVE, |kept, out| {
            let (kept, _) =
                Kept::read(kept.get(place..).unwrap_or_default()).ok_or(SendError::Full)?;
            let filter = TopicFilter::trusted(kept.text);
            let wanted = Subscription::from_options(filter, kept.options);
            let filters = [Filter::of(&wanted.map_err(|_| SendError::Full)?)];
            #[cfg(feature = "v5")]
            let id = SubscriptionId::new(kept.id).map(Property::SubscriptionIdentifier);
            #[cfg(feature = "v5")]
            let properties = Properties::new(id.as_slice());
            #[cfg(not(feature = "v5"))]
            let properties = Properties::EMPTY;
            let request = Request { packet_id, properties, filters: &filters };
            Ok(measure(erase(&request), version)?.write_if(out)?)
        })?;
        self.flights.take(Owed::SubAck, 0)?;
        self.count_filters(packet_id, 1);
        Ok(())
    }

    /// Whether all that was asked for anew is answered.
    pub(in crate::client) fn note_resubscribed(&mut self) {
        let waits =
            self.flights.each().any(|(_, flight)| flight.owed == Owed::SubAck && flight.token == 0);
        self.resubscribe_due = waits || self.resubscribing != 0;
    }
}
