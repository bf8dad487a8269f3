//! Messages, each known by the number that its payload begins with.

use tamtam_core::Instant;

use super::session::{Name, Who};
use crate::wire::{Prop, Props, Publish, id};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The broker has taken it, and owes an answer.
    Open,
    /// The broker has answered that it has it, or owes no answer.
    Accepted,
    /// The broker has answered that it does not want it.
    Refused,
    /// Nobody can know.
    Unsure,
    /// A will that is not due.
    Armed,
    /// A will that is never to be published.
    Cancelled,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) publisher: Who,
    pub(super) topic: Name,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) payload: (usize, u64),
    pub(super) props: Props,
    pub(super) expires: Option<Instant>,
    /// When it was taken first, and last.
    pub(super) first: u64,
    pub(super) pos: u64,
    pub(super) state: State,
    /// Since when and until when its topic retained it.
    pub(super) kept: Option<(u64, u64)>,
    /// Who got it.
    pub(super) given: Vec<usize>,
}

/// What a number in front of a payload says, if there is one: `m12` and what is no digit.
#[must_use]
pub(super) fn number_of(payload: &[u8]) -> Option<u64> {
    let digits = payload.strip_prefix(b"m")?;
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&digits[..len]).ok()?.parse().ok().filter(|number| *number != 0)
}

fn hash(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

/// The properties that are forwarded as they are [MQTT5-3.3.2-17, MQTT5-3.3.2-18].
fn forwarded(props: &Props) -> Props {
    let own = [id::MESSAGE_EXPIRY, id::TOPIC_ALIAS, id::SUBSCRIPTION_ID, id::WILL_DELAY];
    Props(props.0.iter().filter(|(id, _)| !own.contains(id)).cloned().collect())
}

impl Message {
    pub(super) fn new(publisher: Who, topic: Name, publish: &Publish, pos: u64) -> Self {
        Self {
            publisher,
            topic,
            qos: publish.qos,
            retain: publish.retain,
            payload: (publish.payload.len(), hash(&publish.payload)),
            props: forwarded(&publish.props),
            expires: None,
            first: pos,
            pos,
            state: if publish.qos == 0 { State::Accepted } else { State::Open },
            kept: None,
            given: Vec::new(),
        }
    }

    /// Whether it was taken more than once.
    pub(super) const fn came_again(&self) -> bool {
        self.first != self.pos
    }

    /// Whether a packet with it may be larger than this.
    pub(super) fn may_exceed(&self, most: usize) -> bool {
        let props = self.props.0.iter().map(|(_, prop)| match prop {
            Prop::Number(_) => 5,
            Prop::Bytes(bytes) => bytes.len() + 3,
            Prop::Pair(name, value) => name.len() + value.len() + 5,
        });
        let topic = 64; // the longest in these worlds, and the rest of the head
        self.payload.0 + props.sum::<usize>() + topic > most
    }

    /// Whether a copy says what it said.
    pub(super) fn is_in(&self, publish: &Publish, topic: Name, v5: bool) -> bool {
        self.topic == topic
            && self.payload == (publish.payload.len(), hash(&publish.payload))
            && (!v5 || self.props == forwarded(&publish.props))
    }
}
