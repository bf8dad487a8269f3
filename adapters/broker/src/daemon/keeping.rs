//! The store of a daemon: opened and read at the start, told of each turn's records, and asked
//! again once it works again.

use std::path::Path;
use std::time::{Duration, Instant};

use tamtam_blocking::broker::{Handle, Receipt, Server, Store};
use tamtam_core::Heap;
use tamtam_core::broker::{Broker, Records};
use tamtam_store::{Disk, Kept, News};

use super::Error;
use super::policy::Guard;

/// How often it is said that the store still fails.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Opens the store in a folder, and gives the broker back what it had; `guard` says what its
/// sessions may do.
pub(super) fn begin(mut server: Server, folder: &Path, guard: &Guard) -> Result<Server, Error> {
    let begun = Instant::now();
    let open = |error| Error::Open(format!("{}: {error}", folder.display()));
    let mut kept = Kept::new(Disk::open(folder).map_err(|error| Error::Open(error.to_string()))?);
    let (broker, now) = server.broker();
    let entitle = |broker: &mut Broker<Heap>| guard.entitle(broker, |_| None);
    let restored = kept.restore_with(broker, now, entitle).map_err(open)?;
    for loss in restored.findings.losses() {
        tracing::error!("the store was damaged: {loss}");
    }
    for remark in restored.findings.remarks() {
        tracing::info!("the store: {remark}");
    }
    if restored.passed_over != 0 && !restored.findings.is_whole() {
        tracing::error!("{} records belong to what is lost, and are too", restored.passed_over);
    }
    if restored.dropped != 0 {
        tracing::warn!(
            dropped = restored.dropped,
            "queue_messages, queue_memory or message_memory are smaller than they were: messages \
             that waited were dropped, as queue_full says"
        );
    }
    if restored.no_room != 0 {
        tracing::error!("there is no room for {} records: they are lost", restored.no_room);
    }
    tracing::info!(
        sessions = broker.session_count(),
        retained = broker.retained_count(),
        messages = broker.kept().0,
        took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "the store was read"
    );
    let mut log = Log { handle: server.handle(), said: None };
    let store = tamtam_store::Store::start(kept, move |news| log.tell(&news))?;
    Ok(server.store(Keeper(store)))
}

struct Keeper(tamtam_store::Store);

impl Store for Keeper {
    fn keep(&mut self, records: &Records<'_>, receipt: Receipt) {
        self.0
            .keep(records, move |is_kept| if is_kept { receipt.kept() } else { receipt.failed() });
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// What is said of a store, and how often.
struct Log {
    handle: Handle,
    said: Option<(Instant, String)>,
}

impl Log {
    /// Says why it fails: when that is new, and again now and then.
    fn tell_failure(&mut self, what: String) {
        let is_said = |(at, said): &(Instant, String)| at.elapsed() < SAY_AGAIN && *said == what;
        if !self.said.as_ref().is_some_and(is_said) {
            tracing::error!("nothing more is kept: {what}");
            self.said = Some((Instant::now(), what));
        }
    }

    fn tell(&mut self, news: &News<'_>) {
        match news {
            News::Failed(failure) => self.tell_failure(failure.to_string()),
            News::Back => {
                self.said = None;
                tracing::info!("the store works again");
                let _ = self.handle.post(|turn| turn.broker.records());
            }
            _ => {}
        }
    }
}
