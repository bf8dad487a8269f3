//! Both ends compared: nothing acknowledged is lost, QoS 2 neither lost nor doubled.

use std::collections::BTreeMap;

use super::Oracle;
use super::ledger::Message;

/// A message that the other end published to the client.
#[derive(Clone, Debug)]
pub struct Published {
    /// What it says; like no other.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether a PUBACK, or a PUBREC, was seen for it that did not refuse it.
    pub acknowledged: bool,
    /// Whether it was dropped with a session: the cause for its absence.
    pub lost: bool,
}

/// What the other end knows when all is over.
#[derive(Debug)]
pub struct Ending<'a> {
    /// How often it took over each payload of this client's.
    pub taken: &'a BTreeMap<Vec<u8>, u32>,
    /// What it published.
    pub published: &'a [Published],
    /// Whether the world came to rest, so that what is to come has come.
    pub settled: bool,
    /// Whether it lost the session and could not say so, as in MQTT 3.1: the client goes on with
    /// what is not there, and both ends may take a new QoS 2 message for an old one, or an old for
    /// a new.
    pub lost_unsaid: bool,
}

impl Oracle {
    /// What got lost, or doubled, without a cause.
    #[must_use]
    pub fn compare(&self, ending: &Ending<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        for (index, message) in self.ledger.messages().iter().enumerate() {
            let count = ending.taken.get(&message.payload).copied().unwrap_or(0);
            if let Some(problem) = self.out_problem(message, count, ending) {
                let payload = String::from_utf8_lossy(&message.payload);
                problems.push(format!(
                    "message {index} (QoS {}, {payload:.40}) {problem}, taken {count} times",
                    message.qos
                ));
            }
        }
        for published in ending.published {
            let count = self.receiving.got(&published.payload);
            if let Some(problem) = in_problem(published, count, ending) {
                let payload = String::from_utf8_lossy(&published.payload);
                problems.push(format!(
                    "the server's {payload:.40} (QoS {}) {problem}, got {count} times",
                    published.qos
                ));
            }
        }
        problems
    }

    fn out_problem(
        &self,
        message: &Message,
        count: u32,
        ending: &Ending<'_>,
    ) -> Option<&'static str> {
        let accepted = message.acked.is_some_and(|code| code < 0x80);
        match message.qos {
            0 => (count > 1).then_some("doubled"),
            _ if message.forgotten && !message.streamed && count > 0 => {
                Some("left without a record")
            }
            2 if ending.lost_unsaid => None,
            1 => (accepted && count == 0).then_some("lost though acknowledged"),
            _ if count > 1 && (self.sending.fails_unknown() || !message.orphaned) => {
                Some("doubled")
            }
            _ if count == 0 && (accepted || message.received) => Some("lost"),
            _ if ending.settled && message.ended.is_none() && !message.forgotten => {
                Some("never ended")
            }
            _ => None,
        }
    }
}

fn in_problem(published: &Published, count: u32, ending: &Ending<'_>) -> Option<&'static str> {
    let due = published.acknowledged || (ending.settled && !published.lost);
    match published.qos {
        0 => (count > 1).then_some("doubled"),
        2 if ending.lost_unsaid => None,
        _ if due && count == 0 => Some("lost"),
        2 if count > 1 => Some("doubled"),
        _ => None,
    }
}
