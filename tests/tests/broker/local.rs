//! The host speaks itself: it publishes, and it has clients without a transport.

use tamtam_core::broker::{Outcome, Post};

use crate::support::*;

fn post<'a>(name: &'a str, payload: &'a str, qos: QoS) -> Post<'a> {
    Post { qos, ..Post::new(topic(name), payload.as_bytes()) }
}

impl<S: Storage> Rig<S> {
    #[track_caller]
    fn attach(&mut self, connect: Connect<'_>) -> LinkId {
        let link = self.broker.attach(&connect, Acceptance::default(), self.now);
        self.turn();
        link.expect("nothing is against it")
    }

    fn post(&mut self, post: Post<'_>) -> ReasonCode {
        let outcome = self.broker.post(&post, self.now);
        self.turn();
        outcome.reason
    }

    #[track_caller]
    fn subscribe_attached(&mut self, link: LinkId, wanted: Subscription<'_>) {
        let outcome = self.broker.subscribe_attached(link, &wanted, 0, self.now);
        self.turn();
        let reason = ReasonCode::from_byte(wanted.qos.level()).expect("a code");
        assert_eq!(outcome, Outcome { reason, ticket: None });
    }

    /// All that comes without an acknowledgement, in words, and the identifiers.
    fn polled(&mut self, link: LinkId) -> (Vec<String>, Vec<PacketId>) {
        let (mut said, mut numbers) = (Vec::new(), Vec::new());
        while let Some(message) = self.broker.next_message(link, self.now) {
            said.push(words(&Packet::Publish(message)));
            numbers.extend(message.delivery.packet_id());
        }
        (said, numbers)
    }

    /// All that comes while each message is acknowledged, in words.
    fn taken(&mut self, link: LinkId) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let (said, numbers) = self.polled(link);
            if said.is_empty() {
                self.turn();
                return all;
            }
            all.extend(said);
            for number in numbers {
                let done = self.broker.acknowledge(link, number, ReasonCode::Success, self.now);
                assert_eq!(done, Ok(()));
            }
        }
    }
}

fn what_the_host_publishes_finds_who_wants_it<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe(a, "t/#", Q2);
    for qos in QOS {
        assert_eq!(rig.post(post("t/1", "x", qos)), ReasonCode::Success);
        let expected = ["t/1=x", "t/1=x@1", "t/1=x@2"][usize::from(qos.level())];
        assert_eq!(rig.receive(a), [expected]);
        assert_eq!(rig.post(post("u", "x", qos)), ReasonCode::NoMatchingSubscribers);
    }
    let own = Post { retain: true, ..post("$SYS/broker/uptime", "7", Q0) };
    assert_eq!(rig.post(own), ReasonCode::NoMatchingSubscribers, "but it is retained");
    rig.subscribe(a, "$SYS/#", Q0);
    assert_eq!(rig.said(a), ["$SYS/broker/uptime=7!"]);
    rig.keeps_only_retained(0);
}

fn its_properties_are_passed_on<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe(a, "t", Q0);
    let list = [
        Property::MessageExpiryInterval(10),
        Property::ContentType(text("json")),
        Property::UserProperty((text("k"), text("v"))),
    ];
    rig.post(Post { properties: Properties::new(&list), ..post("t", "x", Q0) });
    let message = rig.message(a);
    assert_eq!(message.properties.iter().collect::<Vec<_>>(), list);
}

/// Options that limit clients do not bind the host; what the broker's memory holds does.
fn the_host_may_more_than_clients<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { maximum_qos: Q0, levels: 2, ..Options::DEFAULT });
    let a = rig.connect("a");
    rig.subscribe(a, "t", Q0);
    assert_eq!(rig.post(post("t", "x", Q2)), ReasonCode::Success);
    assert_eq!(rig.receive(a), ["t=x"]);
    assert_eq!(rig.post(post("t/1/2", "x", Q0)), ReasonCode::TopicNameInvalid);
}

// [MQTT5-3.8.3-3]
fn a_publisher_may_be_named<S: Storage>(mut rig: Rig<S>) {
    let (a, b) = (rig.connect("a"), rig.connect("b"));
    for raw in [a, b] {
        rig.subscribe_with(raw, Subscription { no_local: true, ..sub("t") });
    }
    let named = Post { publisher: "a", ..post("t", "x", Q0) };
    assert_eq!(rig.post(named), ReasonCode::Success);
    assert_eq!((rig.said(a), rig.said(b)), (vec![], vec!["t=x".to_owned()]));
}

fn an_attached_client_gets_messages_at_every_qos<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let host = rig.attach(hello(rig.version, "host"));
    rig.subscribe_attached(host, sub("t/#").qos(Q2));
    for qos in QOS {
        rig.publish(a, "t/1", "x", qos);
    }
    assert_eq!(rig.taken(host), ["t/1=x", "t/1=x@1", "t/1=x@2"]);
    let other = rig.broker.unsubscribe_attached(host, filter("t/+"), rig.now);
    assert_eq!(other.reason, ReasonCode::NoSubscriptionExisted);
    assert_eq!(
        rig.broker.unsubscribe_attached(host, filter("t/#"), rig.now).reason,
        ReasonCode::Success
    );
    rig.turn();
    assert_eq!(rig.publish(a, "t/1", "x", Q1), no_subscribers(rig.version));
    rig.keeps_only_retained(0);
}

fn no_subscribers(version: Version) -> ReasonCode {
    if version == V5 { ReasonCode::NoMatchingSubscribers } else { ReasonCode::Success }
}

fn it_gets_what_is_retained<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.retain(a, "t/1", "x", Q1);
    let host = rig.attach(hello(rig.version, "host"));
    rig.subscribe_attached(host, sub("t/+").qos(Q1));
    assert_eq!(rig.taken(host), ["t/1=x@1!"]);
    let group = rig.broker.subscribe_attached(host, &sub("$share/g/t/+"), 0, rig.now);
    assert_eq!((group.reason, rig.taken(host)), (ReasonCode::GrantedQoS2, vec![]));
}

/// What it does not acknowledge holds back what follows, up to its window, and nobody else.
fn it_is_not_sent_more_than_it_takes<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 3, queue: 4, ..Options::DEFAULT });
    let a = rig.connect("a");
    let host = rig.attach(hello(rig.version, "host"));
    rig.subscribe_attached(host, sub("t").qos(Q1));
    for number in 0..10 {
        assert_eq!(rig.publish(a, "t", &number.to_string(), Q1), ReasonCode::Success);
    }
    let (said, numbers) = rig.polled(host);
    assert_eq!(said, ["t=0@1", "t=1@1", "t=2@1"]);
    assert_eq!(rig.counters().dropped_queue, 3, "the newest");
    for number in numbers {
        rig.broker.acknowledge(host, number, ReasonCode::Success, rig.now).expect("room");
    }
    assert_eq!(rig.taken(host), ["t=3@1", "t=4@1", "t=5@1", "t=6@1"]);
    rig.keeps_only_retained(0);
}

/// Messages at QoS 0 wait in its output, which is bounded.
fn it_need_not_read<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { output_bytes: 256, ..Options::DEFAULT });
    let a = rig.connect("a");
    let host = rig.attach(hello(rig.version, "host"));
    rig.subscribe_attached(host, sub("t"));
    for _ in 0..1_000 {
        rig.publish(a, "t", "x", Q0);
    }
    let dropped = rig.counters().dropped_qos0;
    assert!(dropped > 500);
    assert_eq!(rig.taken(host).len() as u64 + dropped, 1_000);
}

fn its_session_may_outlive_it<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let host = rig.attach(kept(rig.version, "host"));
    rig.subscribe_attached(host, sub("t").qos(Q2));
    for number in 1..4 {
        rig.publish(a, "t", &number.to_string(), QOS[number % 3]);
    }
    rig.publish(a, "t", "4", Q2);
    let (said, numbers) = rig.polled(host);
    assert_eq!(said, ["t=1@1", "t=2@2", "t=3", "t=4@2"]);
    rig.broker.acknowledge(host, numbers[1], ReasonCode::Success, rig.now).expect("room");
    rig.broker.leave(host, rig.now);
    rig.publish(a, "t", "5", Q1);
    rig.events();
    let host = rig.attach(kept(rig.version, "host"));
    let connected = Event::Connected { link: host, session_present: true };
    rig.turn();
    assert_eq!(rig.events(), [connected]);
    assert_eq!(rig.taken(host), ["t=1@1*", "t=4@2*", "t=5@1"], "2 was taken over");
    rig.keeps_only_retained(0);
}

// [MQTT5-4.4.0-2]
fn it_may_refuse<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let host = rig.attach(kept(V5, "host"));
    rig.subscribe_attached(host, sub("t").qos(Q2));
    for qos in [Q1, Q2] {
        rig.publish(a, "t", "x", qos);
        let (_, numbers) = rig.polled(host);
        let refusal = ReasonCode::UnspecifiedError;
        for _ in 0..2 {
            let done = rig.broker.acknowledge(host, numbers[0], refusal, rig.now);
            assert_eq!(done, Ok(()), "the second time it means nothing");
        }
    }
    assert_eq!(rig.counters().dropped_refused, 2);
    rig.keeps_only_retained(0);
}

fn it_is_one_client_among_others<S: Storage>(mut rig: Rig<S>) {
    let b = rig.connect("b");
    rig.subscribe(b, "w", Q0);
    let connect = Connect { will: Some(will("w", "gone")), ..hello(rig.version, "host") };
    let host = rig.attach(connect);
    rig.subscribe_attached(host, sub("t").qos(Q1));
    rig.publish(b, "t", "x", Q1);
    rig.events();
    let a = rig.broker.open(rig.now).expect("room");
    let mut input = &bytes(rig.version, &[Packet::Connect(hello(rig.version, "host"))])[..];
    assert_eq!(rig.broker.handle_input(a, &mut input, rig.now), Input::More);
    let events: Vec<_> = core::iter::from_fn(|| rig.broker.poll_event()).collect();
    let why = Ended::Refused(ReasonCode::SessionTakenOver);
    let ended = Event::Disconnected { link: host, why };
    let connected = Event::Connected { link: a, session_present: false };
    assert_eq!(events, [ended, Event::Close(host), connected]);
    rig.broker.handle_close(a, rig.now);
    assert_eq!(rig.polled(host).0, [""; 0], "it is over");
    rig.broker.handle_close(host, rig.now);
    rig.turn();
    assert_eq!(rig.said(b), ["w=gone"]);
    // Who says goodbye leaves no will.
    let host = rig.attach(connect);
    rig.broker.leave(host, rig.now);
    let host = rig.attach(connect);
    rig.broker.handle_close(host, rig.now);
    rig.turn();
    assert_eq!(rig.said(b), ["w=gone"]);
    rig.keeps_only_retained(0);
}

fn silence_does_not_end_it<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { keep_alive_max_secs: Some(10), ..Options::DEFAULT });
    let host = rig.attach(Connect { keep_alive: 5, ..hello(rig.version, "host") });
    rig.wait_ms(100_000);
    rig.subscribe_attached(host, sub("t"));
    rig.post(post("t", "x", Q0));
    assert_eq!(rig.taken(host), ["t=x"]);
}

fn there_may_be_no_room_for_it<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { sessions: 1, ..Options::DEFAULT });
    let fixed = rig.session_count();
    assert_eq!(fixed, 0);
    let named: Vec<String> = (0..20).map(|number| format!("host {number}")).collect();
    let mut refused = 0;
    for name in &named {
        let done = rig.broker.attach(&hello(rig.version, name), Acceptance::default(), rig.now);
        refused += usize::from(done == Err(ReasonCode::QuotaExceeded));
    }
    assert!((8..20).contains(&refused), "{refused}");
    assert_eq!(rig.session_count(), 20 - refused);
}

/// With a store, what the host published counts once its ticket is kept; and what comes at QoS 2
/// comes then.
#[test]
fn a_ticket_says_what_it_stands_on() {
    let mut rig = Rig::<Heap>::new(V5);
    rig.restart(Options { store: true, ..Options::DEFAULT });
    let host = rig.attach(kept(V5, "host"));
    let outcome = rig.broker.subscribe_attached(host, &sub("t").qos(Q2), 0, rig.now);
    let (first, _) = rig.broker.take_records(false).expect("a session and a subscription");
    assert_eq!(outcome, Outcome { reason: ReasonCode::GrantedQoS2, ticket: Some(first) });
    rig.broker.handle_persisted(first, rig.now);
    for qos in [Q1, Q2] {
        let outcome = rig.broker.post(&post("t", "x", qos), rig.now);
        let (ticket, _) = rig.broker.take_records(false).expect("a message and its place");
        assert_eq!(outcome, Outcome { reason: ReasonCode::Success, ticket: Some(ticket) });
        let before = rig.polled(host).0;
        assert_eq!(before.len(), usize::from(qos == Q1), "at QoS 2 only what is kept leaves");
        rig.broker.handle_persisted(ticket, rig.now);
        let (_, numbers) = rig.polled(host);
        assert_eq!(numbers.len(), usize::from(qos == Q2));
    }
    rig.broker.handle_persist_failed(rig.now);
    let outcome = rig.broker.post(&post("t", "x", Q1), rig.now);
    assert_eq!(outcome, Outcome { reason: ReasonCode::QuotaExceeded, ticket: None });
}

on_every_kind! {
    EVERY => the_host_may_more_than_clients,
        an_attached_client_gets_messages_at_every_qos,
        it_gets_what_is_retained, it_is_not_sent_more_than_it_takes, it_need_not_read,
        its_session_may_outlive_it, it_is_one_client_among_others, silence_does_not_end_it;
    [V5] => its_properties_are_passed_on, it_may_refuse, a_publisher_may_be_named;
}

/// Limits are of each broker, and so are the topics of its own.
mod of_one {
    use super::*;

    on_both_storages! {
        EVERY => what_the_host_publishes_finds_who_wants_it, there_may_be_no_room_for_it;
    }
}
