//! Every state with everything that can be seen in it, beside tables written from chapters 4.3 and
//! 4.4 of the specification.

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::flow::{receive, send};
use crate::types::QoS;

/// The sender. `-` is what a peer may not do, or what never happens.
///
/// - A message owes its PUBLISH until it is sent, then waits for the peer
///   [MQTT5-4.3.2-3, MQTT5-4.3.3-3, MQTT5-4.3.3-5].
/// - After PUBREC there is only PUBREL [MQTT5-4.3.3-4, MQTT5-4.3.3-6]; one of 0x80 or above is the
///   end [MQTT5-4.4.0-2].
/// - The end of a connection sets back what was sent and not acknowledged
///   [MQTT5-4.4.0-1, MQTT3-4.4.0-1, MQTT3-4.3.2-1, MQTT3-4.3.3-1].
const SEND: &str = "
             Sent    PubAck  PubRec  Refusal PubComp SubAck  UnsubAck Loss     End  Told
    Nothing  -       -       -       -       -       -       -        Nothing  -    -
    Publish1 PubAck  -       -       -       -       -       -        Publish1 News -
    Publish2 PubRec  -       -       -       -       -       -        Publish2 News -
    PubAck   -       Nothing -       -       -       -       -        Publish1 News -
    PubRec   -       -       PubRel  Nothing -       -       -        Publish2 News -
    PubRel   PubComp -       PubRel  -       -       -       -        PubRel   News -
    PubComp  -       -       PubRel  -       Nothing -       -        PubRel   News -
    SubAck   -       -       -       -       -       Nothing -        News     News -
    UnsubAck -       -       -       -       -       -       Nothing  News     News -
    News     -       -       -       -       -       -       -        News     -    Nothing
";

/// The receiver. `None` is an identifier that is not in use.
///
/// - A repeated PUBLISH changes nothing until PUBREL [MQTT5-4.3.3-10, MQTT3-4.3.3-2].
/// - A refusal frees the identifier [MQTT5-4.3.3-9], and so does PUBREL [MQTT5-4.3.3-12], which is
///   answered even if the identifier is unknown [MQTT5-4.3.3-11]. Before PUBREC it is not due.
const RECEIVE: &str = "
                 Publish       Accepted      Refused PubRel
    None         Some(PubRec)  -             -       None
    Some(PubRec) Some(PubRec)  Some(PubRel)  None    -
    Some(PubRel) Some(PubRel)  Some(PubRel)  None    None
";

const OWED: [send::Owed; 10] = [
    send::Owed::Nothing,
    send::Owed::Publish1,
    send::Owed::Publish2,
    send::Owed::PubAck,
    send::Owed::PubRec,
    send::Owed::PubRel,
    send::Owed::PubComp,
    send::Owed::SubAck,
    send::Owed::UnsubAck,
    send::Owed::News,
];

pub(super) const SEEN: [send::Seen; 10] = [
    send::Seen::Sent,
    send::Seen::PubAck,
    send::Seen::PubRec,
    send::Seen::Refusal,
    send::Seen::PubComp,
    send::Seen::SubAck,
    send::Seen::UnsubAck,
    send::Seen::Loss,
    send::Seen::End,
    send::Seen::Told,
];

/// What a table says: state, what was seen, state.
fn cells(table: &str) -> Vec<(String, String, String)> {
    let mut rows = table.lines().map(str::split_whitespace).skip(1);
    let seen: Vec<&str> = rows.next().unwrap().collect();
    let mut cells = Vec::new();
    for mut row in rows {
        let Some(state) = row.next() else { continue };
        let after: Vec<&str> = row.collect();
        assert_eq!(after.len(), seen.len(), "the row of {state}");
        for (seen, after) in seen.iter().zip(after) {
            cells.push((state.into(), (*seen).into(), after.into()));
        }
    }
    cells
}

fn shown(state: Result<impl core::fmt::Debug, impl core::fmt::Debug>) -> String {
    state.map_or("-".into(), |state| format!("{state:?}"))
}

#[test]
fn the_sender_follows_its_table() {
    let mut walked = Vec::new();
    for owed in OWED {
        for seen in SEEN {
            walked.push((format!("{owed:?}"), format!("{seen:?}"), shown(owed.next(seen))));
        }
    }
    assert_eq!(walked, cells(SEND));
}

#[test]
fn the_receiver_follows_its_table() {
    let mut walked = Vec::new();
    for owed in [None, Some(receive::Owed::PubRec), Some(receive::Owed::PubRel)] {
        for seen in [
            receive::Seen::Publish,
            receive::Seen::Accepted,
            receive::Seen::Refused,
            receive::Seen::PubRel,
        ] {
            let after = receive::next(owed, seen);
            walked.push((format!("{owed:?}"), format!("{seen:?}"), shown(after)));
        }
    }
    assert_eq!(walked, cells(RECEIVE));
}

#[test]
fn what_a_state_is_called_is_what_it_is() {
    let states = |is: fn(send::Owed) -> bool| OWED.into_iter().filter(move |owed| is(*owed));
    assert!(
        states(send::Owed::is_publish).eq([send::Owed::Publish1, send::Owed::Publish2]),
        "these PUBLISH packets have not left"
    );
    assert!(
        states(send::Owed::is_release).eq([send::Owed::PubRel, send::Owed::PubComp]),
        "these are past their PUBREC"
    );
    assert_eq!(send::Owed::publish(QoS::AtMostOnce), send::Owed::Nothing);
    assert_eq!(send::Owed::publish(QoS::AtLeastOnce), send::Owed::Publish1);
    assert_eq!(send::Owed::publish(QoS::ExactlyOnce), send::Owed::Publish2);
}
