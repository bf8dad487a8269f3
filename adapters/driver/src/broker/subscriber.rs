//! A subscriber within the broker's own process.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tamtam_core::broker::LinkId;
use tamtam_core::{Packet, PacketId, Publish, ReasonCode, Sender, Version};

use super::handle::Shared;

/// The messages of a subscription without a transport: see
/// [`Handle::subscribe`](super::Handle::subscribe).
///
/// As with any client, one that does not keep up is sent no more than its window; the rest waits
/// in its queue, or is dropped and counted. Who asks for the next message has handled the one
/// before. Dropping it ends its session.
#[derive(Debug)]
pub struct Subscriber {
    shared: Arc<Shared>,
    link: LinkId,
    handed: Option<PacketId>,
}

/// A message that a [`Subscriber`] received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received(Vec<u8>);

impl Received {
    /// The message: topic, payload, properties.
    #[must_use]
    pub fn publish(&self) -> Option<Publish<'_>> {
        match Packet::decode(&mut &self.0[..], Version::V5, Sender::Server) {
            Ok(Some(Packet::Publish(publish))) => Some(publish),
            _ => None,
        }
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        let topic = self.publish().and_then(|publish| publish.topic);
        topic.map(tamtam_core::TopicName::as_str).unwrap_or_default()
    }

    /// What it says.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.publish().map(|publish| publish.payload).unwrap_or_default()
    }

    fn copy(publish: &Publish<'_>) -> Self {
        let packet = Packet::Publish(*publish);
        let mut memory = vec![0; publish.payload.len() + (1 << 10)];
        loop {
            match packet.encode(Version::V5, &mut memory) {
                Ok(len) => {
                    memory.truncate(len);
                    return Self(memory);
                }
                Err(_) if memory.len() < publish.payload.len() + (1 << 20) => {
                    memory.resize(memory.len() * 2, 0); // properties may be long
                }
                Err(_) => return Self(Vec::new()),
            }
        }
    }
}

impl Subscriber {
    pub(super) const fn new(shared: Arc<Shared>, link: LinkId) -> Self {
        Self { shared, link, handed: None }
    }

    /// The next message; `None` once the broker has stopped, or the session was ended.
    pub async fn next(&mut self) -> Option<Received> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Received>> {
        let (link, now) = (self.link, self.shared.now());
        let handed = &mut self.handed;
        let found = self.shared.with(|state| {
            if let Some(id) = handed.take()
                && state.broker.acknowledge(link, id, ReasonCode::Success, now).is_err()
            {
                *handed = Some(id); // once there is room
            }
            if let Some(publish) = state.broker.next_message(link, now) {
                *handed = handed.take().or(publish.delivery.packet_id());
                return Poll::Ready(Some(Received::copy(&publish)));
            }
            match state.locals.get_mut(&link) {
                Some(local) if !local.is_over => {
                    local.waker = Some(context.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(None),
            }
        });
        found.unwrap_or(Poll::Ready(None))
    }
}

impl Stream for Subscriber {
    type Item = Received;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Received>> {
        self.get_mut().poll(context)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let (link, now) = (self.link, self.shared.now());
        let _ = self.shared.with(|state| {
            state.broker.leave(link, now);
            state.locals.remove(&link);
        });
    }
}
