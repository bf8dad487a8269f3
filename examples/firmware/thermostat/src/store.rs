//! Records of the session in flash: a log in one of two pages.
//!
//! A page begins with its generation, which is programmed last, so that a page that was not filled
//! to the end of a copy means nothing. Records follow: length, bytes, and a mark that says that
//! they are all there. When a page is full, the client is asked for a copy of what is true, which
//! goes into the other page.

use board::Flash;
use tamtam_core::client::{Client, Record, RecordError};
use tamtam_core::{Packet, Sender, Storage, Version};

const HEAD: usize = 4;
/// Length before and mark behind a record.
const FRAME: usize = 3;
const MARK: u8 = 0x00;
/// What erased flash reads as.
const ERASED: u16 = 0xFFFF;

/// The store.
#[derive(Debug)]
pub struct Store {
    flash: Flash,
    /// Where the page begins that is being written.
    page: usize,
    /// Behind its last record.
    end: usize,
    generation: u16,
    /// Whether the page is a copy that is not complete.
    copying: bool,
}

impl Store {
    /// Finds the newest page, and begins one if there is none.
    #[must_use]
    pub fn open(flash: Flash) -> Self {
        let mut store = Self { flash, page: 0, end: HEAD, generation: 0, copying: false };
        for page in (0..Flash::LEN).step_by(Flash::PAGE) {
            let generation = store.u16(page);
            if generation != ERASED && generation >= store.generation {
                (store.page, store.generation) = (page, generation);
            }
        }
        if store.generation == 0 {
            store.begin_page(0);
            store.complete_page();
        }
        while let Some(len) = store.record_len(store.end) {
            store.end += FRAME + len;
        }
        store
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_be_bytes([self.flash.read(offset), self.flash.read(offset + 1)])
    }

    /// How long the record is that begins at `at` in the page, if there is one and all of it.
    fn record_len(&self, at: usize) -> Option<usize> {
        let len = usize::from(self.u16(self.page + at));
        let end = at + FRAME + len;
        let whole = end <= Flash::PAGE && self.flash.read(self.page + end - 1) == MARK;
        whole.then_some(len)
    }

    fn begin_page(&mut self, page: usize) {
        self.flash.erase(page);
        (self.page, self.end, self.copying) = (page, HEAD, true);
    }

    /// The page counts from now on.
    fn complete_page(&mut self) {
        self.generation += 1;
        self.flash.program(self.page, &self.generation.to_be_bytes());
        self.copying = false;
    }

    /// Hands the client back what it had, before it connects. `memory` is lent for the work, and
    /// holds a record.
    ///
    /// # Errors
    /// The storage of the client is smaller than that of the one which wrote the records.
    pub fn restore<S: Storage>(
        &self,
        client: &mut Client<S>,
        memory: &mut [u8],
    ) -> Result<u32, RecordError> {
        let mut restored = 0;
        let mut at = HEAD;
        while at < self.end
            && let Some(record) = self.read(at, memory)
        {
            at += FRAME + record.len();
            if !self.is_over(&record, client.version(), at) {
                client.restore(record)?;
                restored += 1;
            }
        }
        Ok(restored)
    }

    fn read<'m>(&self, at: usize, memory: &'m mut [u8]) -> Option<Record<'m>> {
        let len = self.record_len(at)?;
        let bytes = memory.get_mut(..len)?;
        for (byte, offset) in bytes.iter_mut().zip(self.page + at + 2..) {
            *byte = self.flash.read(offset);
        }
        Record::read(bytes).ok()
    }

    /// Whether a record behind `from` says that this one is over.
    fn is_over(&self, record: &Record<'_>, version: Version, from: usize) -> bool {
        let (id, end) = match record {
            Record::Publish(packet) => {
                let Ok(Some(Packet::Publish(publish))) =
                    Packet::decode(&mut &packet[..], version, Sender::Client)
                else {
                    return true;
                };
                (publish.delivery.packet_id(), 3)
            }
            Record::Release(id) => (Some(*id), 3),
            Record::Received(id) => (Some(*id), 5),
            _ => return true,
        };
        let mut at = from;
        while at < self.end
            && let Some(len) = self.record_len(at)
        {
            let here = self.page + at + 2;
            let same = id.is_some_and(|id| self.u16(here + 1) == id.get());
            // The kinds that settle and forget: see `Record::write`.
            if len == 3 && self.flash.read(here) == end && same {
                return true;
            }
            at += FRAME + len;
        }
        false
    }

    /// Keeps what the client has to keep, and tells it so. `memory` is lent, and holds a record.
    pub fn keep<S: Storage>(
        &mut self,
        client: &mut Client<S>,
        memory: &mut [u8],
        now: tamtam_core::Instant,
    ) {
        let mut kept = false;
        let mut full = false;
        while let Some(record) = client.poll_record() {
            if let Record::Reset = record {
                let other = Flash::PAGE - self.page;
                self.begin_page(other);
                full = false;
            }
            if let Some(len) = record.write(memory) {
                let bytes = memory.get(..len).unwrap_or_default();
                full |= !self.append(bytes);
            }
            kept = true;
            if full {
                client.records(); // a copy of everything, which holds this one too
            }
        }
        if self.copying {
            self.complete_page();
        }
        if kept {
            client.handle_persisted(now);
        }
    }

    fn append(&mut self, bytes: &[u8]) -> bool {
        let end = self.end + FRAME + bytes.len();
        if end > Flash::PAGE {
            return false;
        }
        let at = self.page + self.end;
        self.flash.program(at, &(bytes.len() as u16).to_be_bytes());
        self.flash.program(at + 2, bytes);
        self.flash.program(at + 2 + bytes.len(), &[MARK]);
        self.end = end;
        true
    }
}
