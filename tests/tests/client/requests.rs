//! Request and response: who asks knows what is answered.

use tamtam_core::client::{Options, Publish, SendError};

use crate::support::*;

fn an_answer_finds_its_request<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let mut other = Rig::<Heap>::new(V5);
    other.client.start(&Options::new(V5), 99).expect("options");
    other.client.connect(other.now).expect("started");
    other.open();
    other.accept(false, &[]);
    let ask = |payload| Publish::new("service", payload);
    let first = rig.client.request(ask(b"one"), "replies/c", rig.now).expect("room");
    let Packet::Publish(request) = rig.sent_one() else { panic!("no PUBLISH") };
    assert_eq!(request.properties.response_topic(), Some(topic("replies/c")));
    let [request] = messages(&other.feed(&[Packet::Publish(request)]))[..] else { panic!() };
    let second = rig.client.request(ask(b"two"), "replies/c", rig.now).expect("room");
    rig.sent();
    assert_ne!(first, second);
    assert_eq!(other.client.answers(&request), None, "it is not its own");
    other.client.reply(&request, b"answer", other.now).expect("it wants one");
    let packet = other.sent_one();
    let Packet::Publish(reply) = packet else { panic!("no PUBLISH") };
    assert_eq!((reply.topic, reply.payload), (Some(topic("replies/c")), &b"answer"[..]));
    let [answer] = messages(&rig.feed(&[packet]))[..] else { panic!("no message") };
    assert_eq!(rig.client.answers(&answer), Some(first));
}

fn a_reply_goes_at_the_qos_of_its_request<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for qos in QOS {
        let list =
            [Property::ResponseTopic(topic("back")), Property::CorrelationData(b"not eight bytes")];
        let properties = Properties::new(&list);
        let Packet::Publish(request) = message(qos, 1, b"?") else { unreachable!() };
        let request = Packet::Publish(tamtam_core::Publish { properties, ..request });
        let [request] = messages(&rig.feed(&[request]))[..] else { panic!("no message") };
        rig.sent();
        rig.client.reply(&request, b"!", rig.now).expect("it wants one");
        let Packet::Publish(reply) = rig.sent_one() else { panic!("no PUBLISH") };
        assert_eq!((reply.delivery.qos(), reply.topic), (qos, Some(topic("back"))));
        assert_eq!(reply.properties.correlation_data(), Some(&b"not eight bytes"[..]));
        assert_eq!(rig.client.answers(&request), None);
        if qos == QoS::ExactlyOnce {
            rig.feed(&[pubrel(1)]);
        }
    }
}

fn who_wants_no_answer_gets_none<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let [told] = messages(&rig.feed(&[message(QoS::AtMostOnce, 0, b"x")]))[..] else { panic!() };
    assert_eq!(rig.client.reply(&told, b"!", rig.now), Err(SendError::Token));
    assert_eq!(rig.client.answers(&told), None);
    assert_eq!(rig.sent(), []);
}

fn a_request_keeps_the_properties_that_it_has<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let list = [Property::MessageExpiryInterval(5)];
    let publish = Publish::new("service", b"x").qos(QoS::AtLeastOnce).properties(&list);
    let token = rig.client.request(publish, "replies/c", rig.now).expect("room");
    let Packet::Publish(request) = rig.sent_one() else { panic!("no PUBLISH") };
    assert_eq!(request.properties.message_expiry_interval(), Some(5));
    assert_eq!(request.properties.iter().count(), 3);
    assert_eq!(rig.feed(&[puback(1)]), [delivered(token)]);
    let many = [Property::UserProperty((text("k"), text("v"))); 15];
    let publish = publish.properties(&many);
    assert_eq!(rig.client.request(publish, "replies/c", rig.now), Err(SendError::Full));
    let publish = publish.properties(&[]);
    let result = rig.client.request(publish, "replies/#", rig.now);
    assert!(matches!(result, Err(SendError::Topic(_))), "{result:?}");
    assert_eq!(rig.sent(), []);
}

fn before_mqtt_5_there_are_no_requests<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let result = rig.client.request(Publish::new("service", b"x"), "replies/c", rig.now);
    assert!(matches!(result, Err(SendError::Packet(_))), "{result:?}");
}

/// A client that was restarted does not take an answer for its own that was meant for its past.
fn another_seed_makes_other_requests<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.client.request(Publish::new("service", b"x"), "replies/c", rig.now).expect("room");
    let mut reborn = Rig::<Firmware>::new(V5);
    reborn.client.start(&options(V5), 8).expect("options");
    reborn.client.connect(reborn.now).expect("started");
    reborn.open();
    reborn.accept(false, &[]);
    let [told] = messages(&reborn.feed(&[rig.sent_one()]))[..] else { panic!("no message") };
    assert_eq!(reborn.client.answers(&told), None);
}

on_both_storages! {
    BEFORE_5 => before_mqtt_5_there_are_no_requests;
    [V5] => an_answer_finds_its_request, a_reply_goes_at_the_qos_of_its_request,
        who_wants_no_answer_gets_none, a_request_keeps_the_properties_that_it_has,
        another_seed_makes_other_requests;
}
