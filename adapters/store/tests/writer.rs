//! The writer, above an engine that tells what was asked of it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant as Clock};

use tamtam_core::broker::{Broker, Durability, Options};
use tamtam_core::{Heap, Instant, QoS, TopicFilter, TopicName};
use tamtam_store::{Engine, Failure, Findings, Group, Kept, Memory, Store};

const NOW: Instant = Instant::from_millis(1_000_000);

/// Keeps in memory, and says of each commit how much it was and whether it was to survive a power
/// failure.
struct Told(Memory, Sender<(usize, bool)>);

impl Engine for Told {
    fn load(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Findings, Failure> {
        self.0.load(each)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.0.get(key)
    }

    fn commit(&mut self, group: &Group, sync: bool) -> Result<(), Failure> {
        self.1.send((group.changes().count(), sync)).unwrap_or_default();
        self.0.commit(group, sync)
    }

    fn reopen(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

struct Bench {
    broker: Broker<Heap>,
    store: Store,
    commits: Receiver<(usize, bool)>,
}

impl Bench {
    fn new() -> Self {
        let mut broker = Broker::new();
        broker.start(&Options { store: true, ..Options::DEFAULT }, 7);
        let relaxed = (TopicFilter::new("relaxed/#").unwrap(), Durability::Relaxed);
        let memory = (TopicFilter::new("memory/#").unwrap(), Durability::Memory);
        broker.classes(&[relaxed, memory]).unwrap();
        let (send, commits) = channel();
        let kept = Kept::new(Told(Memory::new(), send));
        let store = Store::start(kept, |news| panic!("{news:?}")).unwrap();
        Self { broker, store, commits }
    }

    /// Retains a message of a topic, and waits until that is reported as kept; whether there was
    /// anything to keep.
    fn retain(&mut self, topic: &str) -> bool {
        let topic = TopicName::new(topic).unwrap();
        self.broker.publish(topic, b"x", QoS::AtLeastOnce, true, NOW);
        let Some((ticket, records)) = self.broker.take_records(false) else { return false };
        let (send, done) = channel();
        self.store.keep(&records, move |is_kept| send.send(is_kept).unwrap_or_default());
        assert!(done.recv().unwrap());
        self.broker.handle_persisted(ticket, NOW);
        true
    }
}

#[test]
fn what_is_relaxed_reaches_the_disk_within_a_second_or_with_company() {
    let mut bench = Bench::new();
    let begun = Clock::now();
    assert!(bench.retain("relaxed/a"));
    assert_eq!(bench.commits.recv(), Ok((2, false)), "the message, and that it is retained");
    assert!(bench.retain("relaxed/b"));
    assert_eq!(bench.commits.recv(), Ok((2, false)));
    // Nothing else comes.
    assert_eq!(bench.commits.recv_timeout(Duration::from_secs(10)), Ok((0, true)));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(bench.retain("durable/a"));
    assert_eq!(bench.commits.recv(), Ok((2, true)));
    assert!(bench.retain("relaxed/c"));
    assert_eq!(bench.commits.recv(), Ok((2, false)));
    bench.store.close();
    assert_eq!(bench.commits.recv(), Ok((0, true)), "it does not end before that");
    assert!(bench.commits.recv().is_err());
    let counters = bench.store.counters();
    assert_eq!((counters.commits, counters.syncs, counters.tickets), (6, 3, 4));
}

#[test]
fn what_is_in_memory_is_not_the_stores_business() {
    let mut bench = Bench::new();
    assert!(!bench.retain("memory/a"));
    assert!(!bench.retain("memory/a"));
    bench.store.close();
    assert!(bench.commits.recv().is_err());
}
