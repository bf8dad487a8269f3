//! Brokers with a store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tamtam_driver::broker::{Handle, Open, Receipt, Server, Store};
use tamtam_driver::client::Error;
use tamtam_driver::core::broker::{Options as BrokerOptions, Records};
use tamtam_driver::core::client::Publish;
use tamtam_driver::core::{QoS, ReasonCode, Version};
use tamtam_store::{Disk, Kept};

use super::adapter::Adapter;
use super::cancelling::polled;
use super::house::{House, next, publish, setup, soon, subscribe};

/// What a test holds in its hands.
#[derive(Default)]
struct Held {
    receipts: Vec<Receipt>,
    /// Signs at once, within the turn, and how.
    at_once: Option<bool>,
    is_closed: bool,
}

/// A store that keeps nothing, and says what the test wants.
#[derive(Clone, Default)]
struct HeldStore(Arc<Mutex<Held>>);

impl Store for HeldStore {
    fn keep(&mut self, records: &Records<'_>, receipt: Receipt) {
        assert_ne!(records.bytes().count(), 0);
        let mut held = self.0.lock().unwrap();
        match held.at_once {
            None => held.receipts.push(receipt),
            Some(true) => receipt.kept(),
            Some(false) => receipt.failed(),
        }
    }

    fn close(&mut self) {
        self.0.lock().unwrap().is_closed = true;
    }
}

impl HeldStore {
    fn sign(&self) -> usize {
        let receipts = std::mem::take(&mut self.0.lock().unwrap().receipts);
        let count = receipts.len();
        receipts.into_iter().for_each(Receipt::kept);
        count
    }

    /// From now on receipts are signed as soon as they are written, so or so.
    fn sign_at_once(&self, is_kept: bool) {
        self.0.lock().unwrap().at_once = Some(is_kept);
        self.sign();
    }
}

pub(crate) async fn an_acknowledgement_waits_for_a_slow_store<A: Adapter>() {
    let store = HeldStore::default();
    let house = House::<A>::open_keeping(store.clone()).await;
    for version in [Version::V311, Version::V5] {
        let (client, _messages) = A::connect(house.url(), setup(version, "client")).await.unwrap();
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let publish = Publish::new("a", b"x").qos(qos).retain(true);
            let mut sent = std::pin::pin!(client.try_publish(publish).unwrap());
            assert!(!polled::<A>(sent.as_mut(), 30).await, "nothing is kept yet");
            let signing = async {
                while store.sign() == 0 {
                    A::sleep(Duration::from_millis(1)).await;
                }
            };
            soon::<A, _>(signing).await;
            store.sign_at_once(true); // what completes a QoS 2 message is kept too
            soon::<A, _>(sent).await.unwrap();
            store.0.lock().unwrap().at_once = None;
        }
        // QoS 0 waits for nothing.
        subscribe(&client, "b").await;
        publish(&client, "b", b"x", QoS::AtMostOnce).await;
    }
}

pub(crate) async fn what_a_store_fails_to_keep_is_not_acknowledged<A: Adapter>() {
    let store = HeldStore::default();
    store.sign_at_once(false);
    let house = House::<A>::open_keeping(store.clone()).await;
    let (new, _none) = house.client("new").await;
    let retained = |payload| Publish::new("a", payload).qos(QoS::AtLeastOnce).retain(true);
    for _ in 0..2 {
        let refused = soon::<A, _>(new.publish(retained(b"1"))).await;
        assert_eq!(refused, Err(Error::Refused(ReasonCode::QuotaExceeded)));
    }
    // An older client can't be told, and loses its connection; it goes on trying.
    let (old, _none) = A::connect(house.url(), setup(Version::V311, "old")).await.unwrap();
    let mut events = old.events();
    let sent = old.try_publish(retained(b"2")).unwrap();
    let lost = soon::<A, _>(events.next()).await;
    assert!(matches!(lost, Some(tamtam_driver::Event::Lost(_))), "{lost:?}");
    // The store works again, and is told everything.
    store.sign_at_once(true);
    house.handle.with(|broker, _| broker.records()).unwrap();
    soon::<A, _>(sent).await.unwrap();
    soon::<A, _>(new.publish(retained(b"3"))).await.unwrap();
}

pub(crate) async fn a_graceful_stop_waits_for_the_store<A: Adapter>() {
    let store = HeldStore::default();
    let house = House::<A>::open_keeping(store.clone()).await;
    let (client, _messages) = house.client("client").await;
    let publish = Publish::new("a", b"x").qos(QoS::AtLeastOnce).retain(true);
    drop(client.try_publish(publish).unwrap());
    while store.0.lock().unwrap().receipts.is_empty() {
        A::sleep(Duration::from_millis(1)).await;
    }
    let (handle, ended) = (house.handle.clone(), Arc::new(Mutex::new(false)));
    let end = Arc::clone(&ended);
    A::spawn(async move {
        handle.stop(Duration::from_secs(20)).await;
        *end.lock().unwrap() = true;
    });
    A::sleep(Duration::from_millis(50)).await;
    assert!(!*ended.lock().unwrap() && !store.0.lock().unwrap().is_closed);
    let ending = async {
        while !*ended.lock().unwrap() {
            store.sign();
            A::sleep(Duration::from_millis(1)).await;
        }
    };
    soon::<A, _>(ending).await;
    assert!(store.0.lock().unwrap().is_closed);
}

/// The store of the broker that is a program, in a broker within one.
struct Keeper(tamtam_store::Store);

impl Store for Keeper {
    fn keep(&mut self, records: &Records<'_>, receipt: Receipt) {
        let sign = |is_kept, receipt: Receipt| if is_kept { receipt.kept() } else { drop(receipt) };
        self.0.keep(records, move |is_kept| sign(is_kept, receipt));
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// A broker that keeps in this folder what it acknowledges.
async fn open_in<A: Adapter>(folder: &std::path::Path) -> House<A> {
    let options = BrokerOptions { store: true, ..BrokerOptions::DEFAULT };
    let (handle, server): (Handle, _) = Server::new(A::Runtime::default(), &options, Open);
    let mut kept = Kept::new(Disk::open(folder).unwrap());
    let restored = handle.with(|broker, now| kept.restore(broker, now)).unwrap().unwrap();
    assert!(restored.findings.is_whole());
    let store = tamtam_store::Store::start(kept, |_| {}).unwrap();
    House::open_server(0, (handle, server.store(Keeper(store)))).await
}

pub(crate) async fn what_was_acknowledged_is_there_after_a_restart<A: Adapter>() {
    let runtime = std::any::type_name::<A>().replace("::", "-");
    let folder = std::env::temp_dir().join(format!("tamtam-{}-{runtime}", std::process::id()));
    for round in 0..3_u32 {
        let house = open_in::<A>(&folder).await;
        let (client, mut messages) = house.client("client").await;
        if round > 0 {
            subscribe(&client, "kept").await;
            let message = next::<A>(&mut messages).await;
            assert_eq!(message.payload()[..], (round - 1).to_be_bytes());
        }
        let payload = round.to_be_bytes();
        let publish = Publish::new("kept", &payload).qos(QoS::AtLeastOnce).retain(true);
        soon::<A, _>(client.publish(publish)).await.unwrap();
        soon::<A, _>(house.handle.stop(Duration::from_secs(20))).await;
    }
    let _ = std::fs::remove_dir_all(folder);
}
