//! A thermostat over a UART, with an event loop of its own: no executor, no heap.
#![no_std]
#![no_main]

use board::{Board, Clock, Flash, Once, Uart, argument, entry, exit, say, say_number};
use tamtam_core::client::{Client, Transport};
use tamtam_core::{Fixed, Instant, Version};
use thermostat::{Store, Thermostat, WHOLE, Wish, options, report, report_lost};

type Mqtt = Client<Fixed<1024, 8>>;

/// What a record may take: a packet of all the outgoing memory, and its kind.
const RECORD: usize = 1025;

/// How many turns without anything to do come before a rest.
const PATIENCE: u32 = 2_000;

/// How long the host takes to dial again, in milliseconds.
const DIAL_MS: u64 = 1_500;

/// A PUBLISH with QoS 3, which no version knows.
const NO_PACKET: [u8; 2] = [0x36, 0];

static CLIENT: Once<Mqtt> = Once::new(Mqtt::new());
static LINE: Once<Line> = Once::new(Line { bytes: [0; WHOLE], len: 0 });
static MEMORY: Once<[u8; RECORD]> = Once::new([0; RECORD]);

entry!(main);

/// The receive buffer: what has come of a packet that is not complete.
struct Line {
    bytes: [u8; WHOLE],
    len: usize,
}

impl Line {
    /// Takes what the UART has; whether that was anything.
    fn fill(&mut self, uart: &mut Uart) -> bool {
        let read = uart.read(self.bytes.get_mut(self.len..).unwrap_or_default());
        self.len += read;
        read != 0
    }

    /// The last `left` bytes are the beginning of the next packet.
    fn keep(&mut self, left: usize) {
        let from = self.len.saturating_sub(left);
        self.bytes.copy_within(from..self.len, 0);
        self.len = left;
    }
}

fn main(mut board: Board) -> ! {
    let (Some(client), Some(line), Some(memory)) =
        (CLIENT.take(&mut board), LINE.take(&mut board), MEMORY.take(&mut board))
    else {
        exit(1)
    };
    let mut word = [0; 64];
    let version = if argument(&mut word) == b"311" { Version::V311 } else { Version::V5 };
    let mut device = Device {
        store: Store::open(Flash::new(&mut board)),
        uart: Uart::new(&mut board),
        clock: Clock::new(&mut board),
        thermostat: Thermostat::new(),
        dialing: None,
    };
    // A seed that differs from device to device: an identity in silicon would do.
    if client.start(&options(version), 7).is_err() {
        exit(2);
    }
    match device.store.restore(client, memory) {
        Ok(0) => say(b"started\n"),
        Ok(records) => {
            say(b"started, records of the session: ");
            say_number(records);
            say(b"\n");
        }
        Err(_) => exit(3),
    }
    device.run(client, line, memory)
}

struct Device {
    store: Store,
    uart: Uart,
    clock: Clock,
    thermostat: Thermostat,
    /// Since when it makes a new connection.
    dialing: Option<Instant>,
}

impl Device {
    fn now(&mut self) -> Instant {
        Instant::from_millis(self.clock.millis())
    }

    fn run(&mut self, client: &mut Mqtt, line: &mut Line, memory: &mut [u8]) -> ! {
        let (mut leaving, mut quiet) = (false, 0);
        let now = self.now();
        let _ = client.connect(now);
        loop {
            let now = self.now();
            client.handle_timeout(now);
            match client.transport() {
                Transport::Wanted => {
                    if self.dial(now) {
                        client.handle_open(now);
                    }
                }
                Transport::Unwanted => client.handle_close(now),
                Transport::Open | Transport::Resting => {}
            }
            let is_over = self.handle_input(client, line, now);
            let _ = self.thermostat.handle_timeout(client, now);
            self.store.keep(client, memory, now);
            match self.thermostat.wish() {
                Wish::Run => {}
                // What is to survive is in flash, and has not left.
                Wish::Reset => {
                    say(b"reset\n");
                    board::reset()
                }
                Wish::Quit if !leaving && client.in_flight() == 0 => {
                    leaving = client.disconnect(now).is_ok();
                }
                Wish::Quit => {}
            }
            let written = self.uart.write(client.output());
            client.output_written(written, now);
            if is_over {
                self.flush(client, now);
                self.thermostat.handle_lost();
                client.handle_close(now);
                if leaving {
                    exit(0);
                }
            }
            // While bytes come, the next one is near: a rest would last until the next tick.
            quiet = if written != 0 || line.fill(&mut self.uart) { 0 } else { quiet + 1 };
            if quiet > PATIENCE {
                quiet = PATIENCE;
                self.clock.idle();
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8]) {
        for _ in 0..PATIENCE {
            let written = self.uart.write(bytes);
            bytes = bytes.get(written..).unwrap_or_default();
        }
    }

    /// Makes sure of a new connection; whether there is one.
    ///
    /// A UART can't hang up, and whoever is at its other end may have a connection from before, be
    /// it from before a reset. What is no packet of MQTT makes the server close that one, and the
    /// host dials again.
    fn dial(&mut self, now: Instant) -> bool {
        if self.dialing.is_none() {
            self.send(&NO_PACKET);
        }
        let since = *self.dialing.get_or_insert(now);
        let is_open = now.millis_since(since) >= DIAL_MS;
        if is_open {
            self.dialing = None;
        }
        is_open
    }

    /// Sends the last words, within a moment.
    fn flush(&mut self, client: &mut Mqtt, now: Instant) {
        while !client.output().is_empty() && self.now().millis_since(now) < 100 {
            let written = self.uart.write(client.output());
            client.output_written(written, now);
        }
    }

    /// Takes in what has come; whether the connection is over.
    fn handle_input(&mut self, client: &mut Mqtt, line: &mut Line, now: Instant) -> bool {
        if client.transport() != Transport::Open {
            line.len = 0; // what a connection brought that is no more
        }
        let Line { bytes, len } = line;
        let mut input = bytes.get(..*len).unwrap_or_default();
        let is_over = loop {
            match client.handle_input(&mut input, now) {
                Ok(Some(event)) => {
                    report(&event);
                    let _ = self.thermostat.handle_event(client, &event, now);
                }
                Ok(None) => break false,
                Err(lost) => {
                    report_lost(&lost);
                    break true;
                }
            }
        };
        let left = input.len();
        line.keep(left);
        // A message comes in pieces, so this is no message, and none that a server need send.
        let too_large = left == WHOLE && client.output().is_empty();
        if too_large {
            say(b"lost: a packet larger than the buffer\n");
        }
        is_over || too_large
    }
}
