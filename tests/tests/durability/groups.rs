//! Shared subscriptions, told with a crash before every call of the host's: what waits for a group
//! is not lost with whoever might have got it.

use tamtam_core::{Heap, QoS, Storage, Version};

use crate::stories::{Small, all, stories};
use crate::world::World;

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;
const V5: Version = Version::V5;
const FOREVER: u32 = u32::MAX;

stories! {
    all:
    it_waits_for_a_member_that_comes_later,
    it_waits_for_a_member_that_makes_room,
    it_goes_on_when_a_session_ends,
    it_goes_on_when_a_member_is_forgotten,
    it_goes_on_when_a_member_leaves,
}

mod story {
    use super::*;

    const GROUP: &str = "$share/g/a/#";

    fn member<S: Storage>(w: &mut World<S>, name: &str, expiry_secs: u32, qos: QoS) -> usize {
        let at = w.add(name, V5, expiry_secs);
        w.clients[at].subscribe(GROUP, qos);
        w.connect(at);
        at
    }

    fn publisher<S: Storage>(w: &mut World<S>) -> usize {
        let at = w.add("pub", V5, FOREVER);
        w.connect(at);
        at
    }

    fn publish<S: Storage>(w: &mut World<S>, at: usize, count: usize, qos: QoS) {
        for number in 0..count {
            w.publish(at, "a/b", &format!("{}{number}", qos.level()), qos, false);
            w.turn();
        }
    }

    pub(super) fn it_waits_for_a_member_that_comes_later<S: Storage>(w: &mut World<S>) {
        let publisher = publisher(w);
        let away = member(w, "m1", FOREVER, TWO);
        w.settle();
        w.cut(away);
        publish(w, publisher, 2, TWO);
        publish(w, publisher, 2, ONE);
        w.turns(2);
        member(w, "m2", FOREVER, TWO);
        w.settle();
        w.finish();
    }

    pub(super) fn it_waits_for_a_member_that_makes_room<S: Storage>(w: &mut World<S>) {
        let publisher = publisher(w);
        for name in ["m1", "m2"] {
            let at = member(w, name, FOREVER, TWO);
            (w.clients[at].window, w.clients[at].acks) = (1, Some(0));
        }
        w.settle();
        publish(w, publisher, 2, TWO);
        publish(w, publisher, 2, ONE);
        w.turns(2);
        w.clients[1].ack_all();
        w.turns(2);
        w.close(1);
        w.finish();
    }

    pub(super) fn it_goes_on_when_a_session_ends<S: Storage>(w: &mut World<S>) {
        let publisher = publisher(w);
        let ends = member(w, "m1", FOREVER, ONE);
        w.clients[ends].acks = Some(1);
        w.settle();
        publish(w, publisher, 3, ONE);
        w.turns(3);
        member(w, "m2", FOREVER, ONE);
        w.settle();
        w.cut(ends);
        w.clients[ends].begin_anew(FOREVER);
        w.connect(ends);
        w.finish();
    }

    pub(super) fn it_goes_on_when_a_member_is_forgotten<S: Storage>(w: &mut World<S>) {
        let publisher = publisher(w);
        let away = member(w, "m1", FOREVER, TWO);
        let forgotten = member(w, "m2", 0, TWO);
        w.clients[forgotten].acks = Some(0);
        w.settle();
        w.cut(away);
        publish(w, publisher, 2, ONE);
        publish(w, publisher, 2, TWO);
        w.turns(3);
        w.cut(forgotten);
        w.turns(2);
        w.finish();
    }

    pub(super) fn it_goes_on_when_a_member_leaves<S: Storage>(w: &mut World<S>) {
        let publisher = publisher(w);
        let leaves = member(w, "m1", FOREVER, TWO);
        w.settle();
        w.cut(leaves);
        publish(w, publisher, 2, TWO);
        member(w, "m2", FOREVER, TWO);
        w.connect(leaves);
        w.turns(1);
        w.clients[leaves].unsubscribe(GROUP);
        publish(w, publisher, 2, ONE);
        w.finish();
    }
}
