//! Words for the log, without `core::fmt`.

use board::say;
use tamtam_core::client::{Event, Lost};

/// Says what happened.
pub fn report(event: &Event<'_>) {
    say(match event {
        Event::Connected { session_present: true, .. } => b"connected, session goes on\n",
        Event::Connected { .. } => b"connected\n",
        Event::Subscribed { .. } => b"subscribed\n",
        Event::MessageAborted => b"image aborted\n",
        Event::Failed { .. } => b"failed\n",
        Event::Delivered { reason, .. } if reason.is_error() => b"refused\n",
        _ => return,
    });
}

/// Says why the connection ended.
pub fn report_lost(lost: &Lost<'_>) {
    say(match lost {
        Lost::Packet(_) => b"lost: not a packet\n",
        Lost::Peer(_) => b"lost: the server broke the protocol\n",
        Lost::Refused(_) => b"lost: refused\n",
        Lost::Disconnected(_) => b"lost: the server ended it\n",
        Lost::ConnectTimeout => b"lost: no answer to CONNECT\n",
        Lost::KeepAlive => b"lost: no answer to PINGREQ\n",
        Lost::Done => b"done\n",
        _ => b"lost\n",
    });
}
