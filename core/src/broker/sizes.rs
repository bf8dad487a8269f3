//! What each connection, session, message and filter takes, whatever it has besides: a field more
//! is paid for by all of them.

use super::delivery::Delivery;
use super::{Body, FilterNode, Link, Session, Subscription, TopicNode};
use crate::Heap;

#[test]
fn what_there_are_many_of_is_small() {
    let sizes = [
        ("link", size_of::<Link<Heap>>(), 304),
        ("session", size_of::<Session<Heap>>(), 224),
        ("body", size_of::<Body>(), 40),
        ("delivery", size_of::<Delivery>(), 28),
        ("filter", size_of::<FilterNode>(), 64),
        ("topic", size_of::<TopicNode>(), 56),
        ("subscription", size_of::<Subscription>(), 44),
    ];
    for (what, size, most) in sizes {
        assert!(size <= most, "a {what} has {size} bytes");
    }
}
