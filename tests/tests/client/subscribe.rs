//! Subscribing and unsubscribing, and subscribing anew to what the server has lost.

use tamtam_core::client::{Event, Failure, Filter, Lost, PeerError, Publish, SendError, Token};
use tamtam_core::{RetainHandling, Subscribe, SubscriptionId};

use crate::support::*;

const GRANTED: ReasonCode = ReasonCode::Success;
const REFUSED: ReasonCode = ReasonCode::UnspecifiedError;

/// Subscribes; the request as it left.
#[track_caller]
fn request<S: Storage>(rig: &mut Rig<S>, filters: &[&str]) -> (Token, Subscribe<'static>) {
    let filters: Vec<_> = filters.iter().map(|filter| Filter::new(filter)).collect();
    let token = rig.client.subscribe(&filters, rig.now).expect("room");
    let Packet::Subscribe(subscribe) = rig.sent_one() else { panic!("no SUBSCRIBE") };
    (token, subscribe)
}

/// Subscribes, and these are the answers.
#[track_caller]
fn subscribe<S: Storage>(rig: &mut Rig<S>, filters: &[&str], codes: &[ReasonCode]) {
    let (token, subscribe) = request(rig, filters);
    let events = rig.feed(&[suback(subscribe.packet_id, codes)]);
    let codes = Items::from(codes);
    assert_eq!(events, [Event::Subscribed { token: Some(token), codes }]);
}

/// What is asked for without the application having asked, and under which identifiers.
#[track_caller]
fn requests_anew<S: Storage>(rig: &mut Rig<S>) -> Vec<(PacketId, String)> {
    let filters = rig.sent().into_iter().flat_map(|packet| match packet {
        Packet::Subscribe(one) => one.subscriptions.iter().map(move |s| (one.packet_id, s.filter)),
        other => panic!("{other:?}"),
    });
    filters.map(|(id, filter)| (id, filter.as_str().to_owned())).collect()
}

#[track_caller]
fn asked_anew<S: Storage>(rig: &mut Rig<S>) -> Vec<String> {
    requests_anew(rig).into_iter().map(|(_, filter)| filter).collect()
}

/// A connection to a server that has no session, after one that had.
#[track_caller]
fn begin_anew<S: Storage>(rig: &mut Rig<S>) -> Vec<String> {
    rig.cut();
    rig.reopen();
    rig.accept(false, &[]);
    asked_anew(rig)
}

fn a_request_is_answered_filter_by_filter<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let filters = [
        Filter::new("a/+").qos(QoS::AtLeastOnce),
        Filter::new("b/#").qos(QoS::AtMostOnce),
        Filter::new("c"),
    ];
    let token = rig.client.subscribe(&filters, rig.now).expect("room");
    let Packet::Subscribe(subscribe) = rig.sent_one() else { panic!("no SUBSCRIBE") };
    let asked: Vec<_> =
        subscribe.subscriptions.iter().map(|one| (one.filter.as_str(), one.qos)).collect();
    let [at_most, at_least, exactly] = QOS;
    assert_eq!(asked, [("a/+", at_least), ("b/#", at_most), ("c", exactly)]);
    let codes = [ReasonCode::from_byte(1).expect("QoS 1"), GRANTED, REFUSED];
    let [Event::Subscribed { token: Some(told), codes: answers }] =
        rig.feed(&[suback(subscribe.packet_id, &codes)])[..]
    else {
        panic!("no answer")
    };
    assert_eq!((told, answers), (token, Items::from(&codes)));
    assert_eq!(rig.client.in_flight(), 0);
}

fn the_options_of_mqtt_5_are_asked_for<S: Storage>(mut rig: Rig<S>) {
    let filter = Filter::new("t").no_local(true).retain_as_published(true);
    let filter = filter.retain_handling(RetainHandling::DoNotSend);
    rig.online();
    if rig.version != V5 {
        let result = rig.client.subscribe(&[filter], rig.now);
        assert!(matches!(result, Err(SendError::Packet(_))), "{result:?}");
        let number = SubscriptionId::new(1).expect("in range");
        let result = rig.client.subscribe_with_id(&[Filter::new("t")], number, rig.now);
        assert!(matches!(result, Err(SendError::Packet(_))), "{result:?}");
        return assert_eq!((rig.sent(), rig.client.in_flight()), (vec![], 0));
    }
    let number = SubscriptionId::new(300).expect("in range");
    rig.client.subscribe_with_id(&[filter], number, rig.now).expect("room");
    let Packet::Subscribe(subscribe) = rig.sent_one() else { panic!("no SUBSCRIBE") };
    rig.feed(&[suback(subscribe.packet_id, &[GRANTED])]);
    let check = |subscribe: Subscribe<'_>| {
        assert_eq!(subscribe.properties.subscription_identifiers().next(), Some(number));
        let asked = subscribe.subscriptions.iter().next().expect("a filter");
        assert!(asked.no_local && asked.retain_as_published);
        assert_eq!(asked.retain_handling, RetainHandling::DoNotSend);
    };
    check(subscribe);
    rig.cut();
    rig.reopen();
    rig.accept(false, &[]);
    let Packet::Subscribe(again) = rig.sent_one() else { panic!("no SUBSCRIBE") };
    check(again);
}

fn unsubscribing_is_answered<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let token = rig.client.unsubscribe(&["a", "b/#"], rig.now).expect("room");
    let Packet::Unsubscribe(unsubscribe) = rig.sent_one() else { panic!("no UNSUBSCRIBE") };
    let filters: Vec<_> = unsubscribe.filters.iter().map(|filter| filter.as_str()).collect();
    assert_eq!(filters, ["a", "b/#"]);
    let list = [GRANTED, ReasonCode::NoSubscriptionExisted];
    let codes = if rig.version == V5 { Items::from(&list) } else { Items::EMPTY };
    let properties = Properties::EMPTY;
    let unsuback = UnsubAck { packet_id: unsubscribe.packet_id, properties, codes };
    let events = rig.feed(&[Packet::UnsubAck(unsuback)]);
    assert_eq!(events, [Event::Unsubscribed { token, codes }]);
}

fn an_answer_that_does_not_fit_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    let mut fails = |filters: &[&str], answer: &dyn Fn(PacketId) -> Packet<'static>, sin| {
        rig.online();
        let (_, subscribe) = request(&mut rig, filters);
        let lost = rig.feed_last(&[answer(subscribe.packet_id)]);
        assert_eq!(lost, Lost::Peer(sin));
    };
    fails(&["a", "b"], &|id| suback(id, &[GRANTED]), PeerError::CodeCount);
    fails(&["a"], &|id| suback(id, &[GRANTED, GRANTED]), PeerError::CodeCount);
    fails(&["a"], &|_| suback(id(7), &[GRANTED]), PeerError::PacketId);
    fails(&["a"], &|id| puback(id.get()), PeerError::PacketId);
    fails(&["a"], &|id| unsuback(V311, id), PeerError::PacketId);
}

fn a_request_needs_a_connection<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version));
    let now = rig.now;
    assert_eq!(rig.client.subscribe(&[Filter::new("a")], now), Err(SendError::NotConnected));
    assert_eq!(rig.client.unsubscribe(&["a"], now), Err(SendError::NotConnected));
    rig.open();
    rig.accept(false, &[]);
    let (token, _) = request(&mut rig, &["a"]);
    let left = rig.client.unsubscribe(&["b"], now).expect("room");
    rig.sent();
    let failed = |token| Event::Failed { token, why: Failure::Disconnected };
    assert_eq!(rig.cut(), [failed(token), failed(left)]);
    assert_eq!(begin_nothing(&mut rig), [""; 0], "it is the application's to repeat");
}

/// As [`begin_anew`], where the transport is gone already.
fn begin_nothing<S: Storage>(rig: &mut Rig<S>) -> Vec<String> {
    rig.reopen();
    rig.accept(false, &[]);
    asked_anew(rig)
}

fn what_is_no_filter_is_an_error_and_changes_nothing<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for bad in ["", "a/#/b", "a+", "nul\0", "$share/g", "$share//t"] {
        let result = rig.client.subscribe(&[Filter::new("good"), Filter::new(bad)], rig.now);
        assert!(matches!(result, Err(SendError::Filter(_))), "{bad}: {result:?}");
        let result = rig.client.unsubscribe(&["good", bad], rig.now);
        assert!(matches!(result, Err(SendError::Filter(_))), "{bad}: {result:?}");
    }
    assert!(matches!(rig.client.subscribe(&[], rig.now), Err(SendError::Packet(_))));
    assert!(matches!(rig.client.unsubscribe(&[], rig.now), Err(SendError::Packet(_))));
    let large: Vec<String> = (0..200).map(|number| format!("filter/{number}")).collect();
    let large: Vec<_> = large.iter().map(|filter| Filter::new(filter)).collect();
    rig.start(&options(rig.version).outgoing_bytes(1_024));
    rig.open();
    rig.accept(false, &[]);
    assert_eq!(rig.client.subscribe(&large, rig.now), Err(SendError::Full));
    assert_eq!((rig.sent(), rig.client.in_flight()), (vec![], 0));
    assert_eq!(begin_anew(&mut rig), [""; 0]);
}

#[test]
fn more_filters_than_can_be_counted_are_not_asked_for_at_once() {
    let mut rig = Rig::<Heap>::new(V311);
    rig.online_with(&options(V311).resubscribe(false));
    let filters = vec![Filter::new("f"); 65_536];
    assert_eq!(rig.client.subscribe(&filters, rig.now), Err(SendError::Full));
    rig.client.subscribe(&filters[1..], rig.now).expect("room");
    rig.sent();
    rig.feed(&[suback(id(1), &[GRANTED; 65_535])]);
    assert_eq!(rig.client.unsubscribe(&["f"; 65_536], rig.now), Err(SendError::Full));
}

/// A pain: after a reconnect nothing arrives any more. And another: everything retained arrives
/// once more though the server had forgotten nothing.
fn subscribing_anew_is_done_only_if_the_session_was_lost<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    subscribe(&mut rig, &["a", "b"], &[GRANTED, GRANTED]);
    subscribe(&mut rig, &["c"], &[GRANTED]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    let expected: &[&str] = if rig.version == V31 { &["a", "b", "c"] } else { &[] };
    assert_eq!(asked_anew(&mut rig), expected, "3.1 does not say whether the session is there");
    assert_eq!(begin_anew(&mut rig), ["a", "b", "c"]);
    rig.cut();
    rig.reopen();
    rig.accept(false, &[]);
    let asked = requests_anew(&mut rig);
    assert_eq!(asked.len(), 3, "again, for it was not answered");
    for (packet_id, _) in asked {
        let events = rig.feed(&[suback(packet_id, &[GRANTED])]);
        assert!(matches!(events[..], [Event::Subscribed { token: None, .. }]));
    }
}

/// The connection broke before all was asked for, or answered: the session is there, but not whole.
fn subscribing_anew_goes_on_on_the_next_connection<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    subscribe(&mut rig, &["a"], &[GRANTED]);
    subscribe(&mut rig, &["b"], &[GRANTED]);
    rig.cut();
    rig.reopen();
    rig.accept(false, &[]);
    let asked = requests_anew(&mut rig);
    rig.feed(&[suback(asked[0].0, &[GRANTED])]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    let asked = requests_anew(&mut rig);
    assert_eq!(asked.iter().map(|(_, filter)| filter).collect::<Vec<_>>(), ["a", "b"]);
    for (packet_id, _) in asked {
        rig.feed(&[suback(packet_id, &[GRANTED])]);
    }
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    let expected: &[&str] = if rig.version == V31 { &["a", "b"] } else { &[] };
    assert_eq!(asked_anew(&mut rig), expected);
}

fn what_was_refused_or_left_is_not_asked_for_anew<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    subscribe(&mut rig, &["granted", "refused", "left"], &[GRANTED, REFUSED, GRANTED]);
    rig.client.unsubscribe(&["left"], rig.now).expect("room");
    rig.sent();
    request(&mut rig, &["unanswered"]);
    assert_eq!(begin_anew(&mut rig), ["granted"]);
}

/// The answers of one request are told apart even if another has taken some of its filters over.
fn requests_that_overlap_are_told_apart<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let (_, first) = request(&mut rig, &["a", "b", "c"]);
    let (_, second) = request(&mut rig, &["a"]);
    rig.feed(&[suback(first.packet_id, &[GRANTED, REFUSED, GRANTED])]);
    rig.feed(&[suback(second.packet_id, &[GRANTED])]);
    assert_eq!(begin_anew(&mut rig), ["c", "a"]);
}

fn without_the_option_nothing_is_asked_for_anew<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).resubscribe(false));
    subscribe(&mut rig, &["a"], &[GRANTED]);
    assert_eq!(begin_anew(&mut rig), [""; 0]);
}

/// Two packet identifiers, four filters.
#[test]
fn subscribing_anew_takes_turns() {
    for version in EVERY {
        let mut rig = Rig::<Fixed<1_024, 2>>::new(version);
        rig.online();
        for filter in ["a", "b", "ccc", "d"] {
            rig.subscribe(filter);
        }
        assert_eq!(begin_anew(&mut rig), ["a", "b"]);
        rig.feed(&[suback(id(1), &[GRANTED])]);
        assert_eq!(asked_anew(&mut rig), ["ccc"]);
        rig.feed(&[suback(id(2), &[GRANTED])]);
        assert_eq!(asked_anew(&mut rig), ["d"]);
    }
}

/// An earlier filter goes while the later ones wait for an identifier and the end of a payload.
#[test]
fn a_filter_that_goes_does_not_confuse_subscribing_anew() {
    let mut rig = Rig::<Fixed<1_024, 2>>::new(V5);
    rig.online();
    for filter in ["first", "b", "ccc", "d"] {
        rig.subscribe(filter);
    }
    assert_eq!(begin_anew(&mut rig), ["first", "b"]);
    rig.client.publish_stream(Publish::new("t", b""), 4, rig.now).expect("room");
    rig.feed(&[suback(id(1), &[GRANTED])]);
    let token = rig.client.unsubscribe(&["first"], rig.now).expect("room");
    rig.client.publish_chunk(b"done", rig.now).expect("room");
    let sent = rig.sent();
    assert_eq!(names(&sent), ["done", "UNSUBSCRIBE"]);
    rig.feed(&[suback(id(2), &[GRANTED])]);
    assert_eq!(asked_anew(&mut rig), ["ccc"]);
    let events = rig.feed(&[unsuback(V5, id(1))]);
    assert!(matches!(events[..], [Event::Unsubscribed { token: told, .. }] if told == token));
    assert_eq!(asked_anew(&mut rig), ["d"]);
    assert_eq!(begin_anew(&mut rig), ["b", "ccc"]);
}

/// The server of today does not take what the one before took: it is not asked, and stays.
fn subscribing_anew_keeps_within_the_new_limits<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let number = SubscriptionId::new(1).expect("in range");
    rig.client.subscribe_with_id(&[Filter::new("with/id")], number, rig.now).expect("room");
    rig.sent();
    rig.feed(&[suback(id(1), &[GRANTED])]);
    let long = "x".repeat(90);
    for filter in ["plain", "wild/#", "$share/g/t", &long] {
        rig.subscribe(filter);
    }
    rig.cut();
    rig.reopen();
    let limits = [
        Property::MaximumPacketSize(50.try_into().expect("not 0")),
        Property::WildcardSubscriptionAvailable(false),
        Property::SharedSubscriptionAvailable(false),
        Property::SubscriptionIdentifierAvailable(false),
    ];
    rig.accept(false, &limits);
    assert_eq!(asked_anew(&mut rig), ["plain"]);
    assert_eq!(begin_anew(&mut rig), ["with/id", "plain", "wild/#", "$share/g/t", &long]);
}

on_both_storages! {
    EVERY => a_request_is_answered_filter_by_filter, the_options_of_mqtt_5_are_asked_for,
        unsubscribing_is_answered, a_request_needs_a_connection,
        what_is_no_filter_is_an_error_and_changes_nothing,
        subscribing_anew_is_done_only_if_the_session_was_lost,
        subscribing_anew_goes_on_on_the_next_connection,
        what_was_refused_or_left_is_not_asked_for_anew, requests_that_overlap_are_told_apart,
        without_the_option_nothing_is_asked_for_anew;
    BEFORE_5 => an_answer_that_does_not_fit_ends_the_connection;
    [V5] => subscribing_anew_keeps_within_the_new_limits;
}
