//! Subscribers within the process of the broker.

use tamtam_core::broker::{Acceptance, LinkId};
use tamtam_core::{Connect, Publish, QoS, ReasonCode, Subscription, Text, TopicFilter, Version};

use super::turn::Loop;
use super::{Handle, HandleError};

/// What takes the messages of a subscriber.
pub(super) type Take = Box<dyn FnMut(&Publish<'_>) + Send>;

/// Subscribers without a socket: few, so each is looked at in every turn.
#[derive(Default)]
pub(super) struct Locals(Vec<(LinkId, Take)>);

impl Locals {
    pub(super) fn insert(&mut self, link: LinkId, take: Take) {
        self.0.push((link, take));
    }

    pub(super) fn remove(&mut self, link: LinkId) {
        self.0.retain(|(other, _)| *other != link);
    }

    pub(super) fn links(&self) -> Vec<LinkId> {
        self.0.iter().map(|(link, _)| *link).collect()
    }
}

impl Handle {
    /// Hands the messages that a filter matches to `take`, on the thread of the broker: so it must
    /// be quick; what takes long is sent on through a channel. Each is acknowledged when `take`
    /// returns.
    ///
    /// The session is one of its own, and ends when what is returned is dropped.
    ///
    /// # Errors
    /// [`HandleError::Stopped`] and [`HandleError::OwnThread`]; or the filter is none, or refused.
    pub fn subscribe(
        &self,
        filter: &str,
        qos: QoS,
        take: impl FnMut(&Publish<'_>) + Send + 'static,
    ) -> Result<Subscriber, HandleError> {
        TopicFilter::new(filter)?;
        let filter = filter.to_owned();
        let link = self.run(move |turn| {
            let wanted = TopicFilter::new(&filter).map_err(|_| ReasonCode::TopicFilterInvalid)?;
            let wanted = Subscription::new(wanted).qos(qos);
            let nameless = Text::new("").map_err(|_| ReasonCode::ClientIdentifierNotValid)?;
            let connect = Connect::new(Version::V5, nameless);
            let link = turn.broker.attach(&connect, Acceptance::default(), turn.now)?;
            turn.locals.insert(link, Box::new(take));
            match turn.broker.subscribe_attached(link, &wanted, 0, turn.now).reason {
                reason if reason.is_error() => {
                    turn.locals.remove(link);
                    turn.broker.leave(link, turn.now);
                    Err(reason)
                }
                _ => Ok(link),
            }
        })?;
        let link = link.map_err(HandleError::Refused)?;
        Ok(Subscriber { handle: self.clone(), link })
    }
}

/// A subscriber within the process of the broker: see [`Handle::subscribe`]. Dropping it
/// unsubscribes.
#[derive(Debug)]
pub struct Subscriber {
    handle: Handle,
    link: LinkId,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let link = self.link;
        let _ = self.handle.post(move |turn| {
            turn.locals.remove(link);
            turn.broker.leave(link, turn.now);
        });
    }
}

impl Loop {
    /// Hands the subscribers of this process what has come for them. Whether there was anything.
    pub(super) fn serve_locals(&mut self) -> bool {
        let mut served = false;
        for (link, take) in &mut self.locals.0 {
            while let Some(publish) = self.broker.next_message(*link, self.now) {
                served = true;
                take(&publish);
                if let Some(id) = publish.delivery.packet_id()
                    && self.broker.acknowledge(*link, id, ReasonCode::Success, self.now).is_err()
                {
                    break; // it comes again
                }
            }
        }
        served
    }
}
