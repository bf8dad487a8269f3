//! What keeps the records of a broker.

use tamtam_core::broker::{Records, Ticket};

use super::Handle;

/// Keeps the records of a broker: see
/// [`Broker::take_records`](tamtam_core::broker::Broker::take_records).
///
/// It is called on the thread of the broker, and should only take the bytes: writing them belongs
/// on a thread of its own. Nothing that stands on these records is acknowledged before the receipt
/// is signed.
pub trait Store: Send + 'static {
    /// Keep these records, together or not at all, and sign the receipt when they are safe.
    fn keep(&mut self, records: &Records<'_>, receipt: Receipt);

    /// The broker ends; every receipt was signed, or the time for that is over.
    fn close(&mut self) {}
}

/// What is signed once records are kept: now or later, on any thread.
///
/// One that is dropped without [`Receipt::kept`] says that they could not be kept.
#[derive(Debug)]
pub struct Receipt {
    ticket: Ticket,
    handle: Handle,
    is_kept: bool,
}

impl Receipt {
    pub(super) const fn new(ticket: Ticket, handle: Handle) -> Self {
        Self { ticket, handle, is_kept: false }
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
    /// later [`Broker::records`](tamtam_core::broker::Broker::records) on the broker's thread says
    /// everything again, to a store that works again.
    pub fn failed(self) {
        drop(self);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.handle.tell_kept(self.ticket, self.is_kept);
    }
}
