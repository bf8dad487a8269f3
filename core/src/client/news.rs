//! How requests ended that no packet of the moment settled.

use super::Client;
use super::error::{Failure, Unsupported};
use super::event::{Event, Token};
use crate::flow::SESSION;
use crate::storage::Storage;
use crate::types::ReasonCode;

impl<S: Storage> Client<S> {
    /// News of requests that no packet of the moment settled.
    #[inline(never)]
    pub(super) fn poll_news<'a>(&mut self) -> Option<Event<'a>> {
        #[cfg(feature = "stream")]
        if let Some(event) = self.poll_stream_news() {
            return Some(event);
        }
        if SESSION && self.evicted != 0 {
            let token = Token(core::mem::take(&mut self.evicted));
            return Some(Event::Failed { token, why: Failure::Dropped });
        }
        let flight = self.flights.take_news()?;
        let token = Token(flight.token);
        if !SESSION {
            return Some(Event::Failed { token, why: Failure::Disconnected });
        }
        Some(match Failure::from_byte(flight.why) {
            Some(why) => Event::Failed { token, why },
            None => Event::Delivered { token, reason: ReasonCode::Success },
        })
    }
}

/// What stands in a flight for a message that was delivered after all.
pub(super) const DELIVERED: u8 = 0;

impl Failure {
    pub(super) const fn as_byte(self) -> u8 {
        match self {
            Self::Disconnected => 1,
            Self::Unknown => 2,
            Self::TooLarge => 3,
            Self::Dropped => 4,
            Self::SessionEnded => 5,
            Self::Unsupported(Unsupported::QoS) => 6,
            Self::Unsupported(_) => 7,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            DELIVERED => return None,
            1 => Self::Disconnected,
            2 => Self::Unknown,
            3 => Self::TooLarge,
            4 => Self::Dropped,
            5 => Self::SessionEnded,
            6 => Self::Unsupported(Unsupported::QoS),
            _ => Self::Unsupported(Unsupported::Retain),
        })
    }
}
