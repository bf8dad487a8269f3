//! What ties embassy to the board on one side and to the adapter on the other.

use core::task::Context;

use board::{Ethernet, FRAME, wake_at_tick};
use embassy_net::tcp::{Error, TcpSocket};
use embassy_net::{IpEndpoint, Ipv4Address, Stack};
use embassy_net_driver as driver;
use embassy_time::{Duration, Timer};
use tamtam_core::Instant;
use tamtam_embedded::embedded_io_async::{ErrorType, Read, Write};
use tamtam_embedded::{Clock, Transport};

/// The network card, as embassy-net wants it.
pub(crate) struct Card {
    ethernet: Ethernet,
    frame: [u8; FRAME],
}

impl Card {
    pub(crate) const fn new(ethernet: Ethernet) -> Self {
        Self { ethernet, frame: [0; FRAME] }
    }
}

/// A frame that came.
pub(crate) struct Received<'c>(&'c mut [u8]);

/// Room for a frame to send.
pub(crate) struct Room<'c>(&'c mut Ethernet);

impl driver::Driver for Card {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room<'_>)> {
        wake_at_tick(context.waker());
        if !self.ethernet.has_room() {
            return None;
        }
        let len = self.ethernet.receive(&mut self.frame)?;
        Some((Received(self.frame.get_mut(..len)?), Room(&mut self.ethernet)))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Room<'_>> {
        wake_at_tick(context.waker());
        self.ethernet.has_room().then_some(Room(&mut self.ethernet))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> driver::LinkState {
        driver::LinkState::Up
    }

    fn capabilities(&self) -> driver::Capabilities {
        let mut capabilities = driver::Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> driver::HardwareAddress {
        driver::HardwareAddress::Ethernet(self.ethernet.address())
    }
}

impl driver::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, work: F) -> R {
        work(self.0)
    }
}

impl driver::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, work: F) -> R {
        let mut frame = [0; FRAME];
        let frame = frame.get_mut(..len).unwrap_or_default();
        let result = work(frame);
        self.0.transmit(frame);
        result
    }
}

/// A TCP connection to the broker: the host, as QEMU's guests see it.
pub(crate) struct Uplink<'s> {
    socket: TcpSocket<'s>,
    broker: IpEndpoint,
}

impl<'s> Uplink<'s> {
    pub(crate) fn new(stack: Stack<'s>, rx: &'s mut [u8], tx: &'s mut [u8], port: u16) -> Self {
        let broker = IpEndpoint::new(Ipv4Address::new(10, 0, 2, 2).into(), port);
        Self { socket: TcpSocket::new(stack, rx, tx), broker }
    }
}

impl ErrorType for Uplink<'_> {
    type Error = Error;
}

impl Read for Uplink<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.socket.read(buffer).await
    }
}

impl Write for Uplink<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.socket.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.socket.flush().await
    }
}

impl Transport for Uplink<'_> {
    async fn open(&mut self) -> Result<(), Error> {
        self.socket.abort();
        // The reset of the connection before has to leave first.
        Timer::after(Duration::from_millis(10)).await;
        self.socket.connect(self.broker).await.map_err(|_| Error::ConnectionReset)
    }

    fn close(&mut self) {
        self.socket.abort();
    }
}

/// The clock of embassy.
pub(crate) struct Ticks;

impl Clock for Ticks {
    fn now(&self) -> Instant {
        Instant::from_millis(embassy_time::Instant::now().as_millis())
    }

    async fn wait_until(&self, when: Instant) {
        Timer::at(at(when)).await;
    }
}

/// A moment of the client's as embassy has it.
pub(crate) fn at(when: Instant) -> embassy_time::Instant {
    embassy_time::Instant::from_millis(when.as_millis())
}
