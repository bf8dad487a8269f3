//! CONNECT and what answers it.

use tamtam_core::client::{Event, Lost, Options, PeerError, StartError, Transport};

use crate::support::*;

// [MQTT5-3.1.0-1, MQTT3-3.1.0-1]
fn connect_is_the_first_packet<S: Storage>(mut rig: Rig<S>) {
    assert_eq!(rig.client.transport(), Transport::Resting);
    rig.start(&options(rig.version).user_name("u").password(b"p"));
    rig.publish("t", b"waits", QoS::AtLeastOnce);
    assert_eq!(rig.client.output(), b"", "nothing leaves without a transport");
    let connect = rig.open();
    assert_eq!((connect.version, connect.client_id.as_str()), (rig.version, "c"));
    assert_eq!(connect.user_name, Some(text("u")));
    assert_eq!(connect.password, Some(&b"p"[..]));
    assert_eq!(rig.sent(), [], "nothing leaves before the server has accepted");
    rig.accept(false, &[]);
    assert_eq!(names(&rig.sent()), ["waits"]);
}

on_both_storages! {
    EVERY => connect_is_the_first_packet;
}
