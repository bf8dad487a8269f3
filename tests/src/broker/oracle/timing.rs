//! Whether a copy that leaves for a client may leave now: within its window, behind what goes
//! before it, and as long as it is of use.

use super::delivery::Claim;
use super::message::{Message, number_of};
use super::session::{Flight, Stage};
use super::{Oracle, Verdict};
use crate::wire::{Publish, id};

impl Oracle {
    /// [MQTT5-3.3.4-9], and what was sent before goes before what is new.
    pub(super) fn check_window(
        &self,
        line: usize,
        at: usize,
        publish: &Publish,
        again: bool,
    ) -> Verdict {
        let late = |flight: &&Flight| flight.stage == Stage::Sent && flight.link != line;
        let late = self.sessions[at].flights.iter().find(late);
        if let Some(late) = late.filter(|_| !again && !self.sessions[at].vague) {
            return Err(format!("{publish:?} before {} was sent again", late.id));
        }
        self.check_occupied(line, at, publish, 1)
    }

    pub(super) fn check_occupied(
        &self,
        line: usize,
        at: usize,
        publish: &Publish,
        more: usize,
    ) -> Verdict {
        let known = !self.sessions[at].vague;
        let occupies =
            |flight: &&Flight| flight.link == line || flight.stage != Stage::Sent && known;
        let occupied = self.sessions[at].flights.iter().filter(occupies).count() + more;
        let window = self.links[&line].window;
        if occupied > window {
            return Err(format!("{publish:?} is number {occupied} in a window of {window}"));
        }
        Ok(())
    }

    /// [MQTT5-3.3.2-5, MQTT5-3.3.2-6]
    pub(super) fn check_expiry(&self, line: usize, claim: &Claim, publish: &Publish) -> Verdict {
        // What was hidden behind a CONNACK was written earlier, but at QoS 0.
        let hidden = publish.qos > 0 && self.links[&line].accepted_at == self.now;
        // Of one that was taken twice, copies through groups can't be told apart.
        let message = number_of(&publish.payload).and_then(|number| self.messages.get(&number));
        let twice = message.is_some_and(Message::came_again);
        let again = claim.again || hidden || claim.group.is_some() && twice;
        let expires = claim.expires;
        let told = publish.props.number(id::MESSAGE_EXPIRY);
        let Some(when) = expires else {
            let none = told.is_none();
            return none.then_some(()).ok_or_else(|| format!("{publish:?} never expires"));
        };
        if when <= self.now && !again {
            return Err(format!("{publish:?} has expired"));
        }
        let left = when.millis_since(self.now).div_ceil(1_000);
        match told {
            None if self.links[&line].version.is_v5() => {
                Err(format!("{publish:?}: {left} s are left, which it does not say"))
            }
            Some(told) if u64::from(told) != left && !again => {
                Err(format!("{publish:?}: {left} s are left, not {told}"))
            }
            _ => Ok(()),
        }
    }
}
