//! The network card, as smoltcp wants it.

use board::{Ethernet, FRAME};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// A frame that came, and one that is to leave.
pub(crate) struct Frames {
    received: [u8; FRAME],
    sent: [u8; FRAME],
}

impl Frames {
    pub(crate) const EMPTY: Self = Self { received: [0; FRAME], sent: [0; FRAME] };
}

/// The network card.
pub(crate) struct Card {
    ethernet: Ethernet,
    frames: &'static mut Frames,
}

impl Card {
    pub(crate) const fn new(ethernet: Ethernet, frames: &'static mut Frames) -> Self {
        Self { ethernet, frames }
    }

    pub(crate) fn has_frame(&self) -> bool {
        self.ethernet.has_frame()
    }
}

/// A frame that came.
pub(crate) struct Received<'c>(&'c [u8]);

/// Room for a frame to send.
pub(crate) struct Room<'c>(&'c mut Ethernet, &'c mut [u8; FRAME]);

impl Device for Card {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Room<'_>)> {
        if !self.ethernet.has_room() {
            return None;
        }
        let Frames { received, sent } = self.frames;
        let len = self.ethernet.receive(received)?;
        Some((Received(received.get(..len)?), Room(&mut self.ethernet, sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        self.ethernet.has_room().then_some(Room(&mut self.ethernet, &mut self.frames.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, work: F) -> R {
        work(self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, work: F) -> R {
        let frame = self.1.get_mut(..len).unwrap_or_default();
        let result = work(frame);
        self.0.transmit(frame);
        result
    }
}
