//! What a store has kept, on its way back to a broker.

use tamtam_core::Instant;
use tamtam_core::Storage;
use tamtam_core::broker::{Broker, Record, Records};

use crate::group::Known;
use crate::{Engine, Failure, Findings, Group};

/// An engine, and what has to be known of what is in it. It is handed to a broker once
/// ([`Kept::restore`]) and then written to by a [`Store`](crate::Store).
pub struct Kept {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) known: Known,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("known", &self.known).finish_non_exhaustive()
    }
}

/// What came of handing records to a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How many records the broker took.
    pub records: u64,
    /// How many made no sense, as what they belong to is lost.
    pub passed_over: u64,
    /// How many there was no memory for, in a storage of a fixed size.
    pub no_room: u64,
    /// How many messages that waited were dropped, as limits are smaller than they were: by the
    /// policy of their queue.
    pub dropped: u64,
    /// What came to light while they were read.
    pub findings: Findings,
}

impl Kept {
    /// What an engine keeps.
    pub fn new(engine: impl Engine) -> Self {
        Self { engine: Box::new(engine), known: Known::default() }
    }

    /// Shows every record, in an order in which a broker can take them back.
    ///
    /// # Errors
    /// [`Failure`], if nothing can be read.
    pub fn records(&mut self, mut each: impl FnMut(&Record<'_>)) -> Result<Findings, Failure> {
        let (mut strange, known) = (0_u64, &mut self.known);
        let mut findings = self.engine.load(&mut |bytes| match Record::read(bytes) {
            Some(record) => {
                known.found(&record);
                each(&record);
            }
            None => strange += 1,
        })?;
        if strange != 0 {
            findings.lost(format!("{strange} records are none: they are passed over"));
        }
        Ok(findings)
    }

    /// Gives a broker back what it had: after [`Broker::start`], before its first connection.
    /// `now` counts from 1970, as everything that a broker with a store is told.
    ///
    /// # Errors
    /// [`Failure`], if nothing can be read.
    pub fn restore<S: Storage>(
        &mut self,
        broker: &mut Broker<S>,
        now: Instant,
    ) -> Result<Restored, Failure> {
        self.restore_with(broker, now, |_| {})
    }

    /// As [`Kept::restore`]. Once everything is there, and before anything happens because of it,
    /// such as a will that is due, `ready` is called: to say what its sessions may do
    /// ([`Broker::entitle`]).
    ///
    /// # Errors
    /// [`Failure`], if nothing can be read.
    pub fn restore_with<S: Storage>(
        &mut self,
        broker: &mut Broker<S>,
        now: Instant,
        ready: impl FnOnce(&mut Broker<S>),
    ) -> Result<Restored, Failure> {
        let mut restored = Restored::default();
        let findings = self.records(|record| match broker.restore(record) {
            Ok(true) => restored.records += 1,
            Ok(false) => restored.passed_over += 1,
            Err(_) => restored.no_room += 1,
        })?;
        ready(broker);
        restored.dropped = broker.restored(now);
        restored.findings = findings;
        Ok(restored)
    }

    /// Keeps records at once, all of them or none: what an import has made.
    ///
    /// # Errors
    /// [`Failure`]: none of them is kept.
    pub fn keep(&mut self, records: &Records<'_>) -> Result<(), Failure> {
        let mut group = Group::default();
        let engine = &mut self.engine;
        group.add(records.as_bytes(), &mut self.known, &|key| engine.get(key))?;
        engine.commit(&group, true)
    }
}

/// Records that somebody else than a broker makes, as a broker hands them over.
#[derive(Clone, Debug, Default)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// Adds one behind the others.
    pub fn push(&mut self, record: &Record<'_>) {
        let len = record.len();
        self.0.extend((len as u32).to_be_bytes());
        let start = self.0.len();
        self.0.resize(start + len, 0);
        let _ = record.write(self.0.get_mut(start..).unwrap_or_default());
    }

    /// All of them.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::from_bytes(&self.0)
    }
}

impl<'r> FromIterator<Record<'r>> for Packed {
    fn from_iter<I: IntoIterator<Item = Record<'r>>>(records: I) -> Self {
        let mut packed = Self::default();
        records.into_iter().for_each(|record| packed.push(&record));
        packed
    }
}
