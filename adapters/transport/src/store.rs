//! The seam between a broker's loop and what keeps its records: one for the loops of all adapters.

use std::sync::Arc;

use tamtam_core::broker::{Records, Ticket};

/// Keeps the records of a broker: see
/// [`Broker::take_records`](tamtam_core::broker::Broker::take_records).
///
/// It is called within a turn of the broker's loop, and should only take the bytes: writing them
/// belongs on a thread of its own. Nothing that stands on these records is acknowledged before the
/// receipt is signed.
pub trait Store: Send + 'static {
    /// Keep these records, together or not at all, and sign the receipt when they are safe.
    fn keep(&mut self, records: &Records<'_>, receipt: Receipt);

    /// The broker ends; every receipt was signed, or the time for that is over.
    fn close(&mut self) {}
}

/// Whom a receipt tells, and whether the records of its ticket are kept: the loop. It is called
/// once for each ticket, on the thread that signs, which may be in a turn of that loop.
pub type Teller = Arc<dyn Fn(Ticket, bool) + Send + Sync>;

/// What is signed once records are kept: now or later, on any thread.
///
/// One that is dropped without [`Receipt::kept`] says that they could not be kept.
pub struct Receipt {
    ticket: Ticket,
    teller: Teller,
    is_kept: bool,
}

impl Receipt {
    /// For a loop: the receipt of the records with this ticket.
    #[must_use]
    pub fn new(ticket: Ticket, teller: &Teller) -> Self {
        Self { ticket, teller: Arc::clone(teller), is_kept: false }
    }

    /// The ticket of the records.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The records are safe.
    pub fn kept(mut self) {
        self.is_kept = true;
    }

    /// They are not: see
    /// [`Broker::handle_persist_failed`](tamtam_core::broker::Broker::handle_persist_failed). A
    /// later [`Broker::records`](tamtam_core::broker::Broker::records), by way of the broker's
    /// handle, says everything again, to a store that works again.
    pub fn failed(self) {
        drop(self);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        (self.teller)(self.ticket, self.is_kept);
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
