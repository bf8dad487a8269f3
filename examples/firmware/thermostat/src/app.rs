//! The thermostat itself: events in, publishes out.

use tamtam_core::client::{Client, Event, Filter, Message, Options, Publish, Reconnect, SendError};
use tamtam_core::{Instant, QoS, Storage, TopicName, Version, Will};

use crate::crc::Crc;

const STATE: &str = "thermostat/7/state";
const CELSIUS: &str = "thermostat/7/celsius";
const SET: &str = "thermostat/7/set";
const TARGET: &str = "thermostat/7/target";
const LAST: &str = "thermostat/7/last";
const IMAGE: &str = "thermostat/7/image";
const IMAGE_CRC: &str = "thermostat/7/image/crc";

/// How often the temperature is published, in milliseconds.
const PERIOD_MS: u64 = 500;

/// What the program is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Go on.
    Run,
    /// Begin anew, once the store has what it is to keep.
    Reset,
    /// Take leave, and end.
    Quit,
}

/// Who the thermostat is, and how it wants to be connected.
#[must_use]
pub fn options(version: Version) -> Options<'static> {
    let options = Options::new(version)
        .client_id("thermostat-7")
        .clean_start(false)
        .adopt_session(true) // what it remembers is in its store, be it nothing
        .keep_alive_secs(4)
        .ping_timeout_ms(2_000)
        .connect_timeout_ms(4_000)
        .reconnect(Reconnect::Backoff { first_ms: 200, most_ms: 1_500 })
        .max_packet_size(1 << 20)
        .stream_above(crate::WHOLE as u32)
        .store(true);
    let options = if version.is_v5() { options.session_expiry_secs(3_600) } else { options };
    match TopicName::new(STATE) {
        Ok(topic) => options.will(Will {
            qos: QoS::AtLeastOnce,
            retain: true,
            ..Will::new(topic, b"offline")
        }),
        Err(_) => options,
    }
}

/// The thermostat.
#[derive(Debug)]
pub struct Thermostat {
    wish: Wish,
    /// Whether the server has granted that once; from then on the client sees to it.
    subscribed: bool,
    connected: bool,
    /// The temperature that it holds, in tenths of a degree.
    target: u16,
    /// The temperature that it has.
    now: u16,
    next_reading: Instant,
    image: Crc,
}

impl Thermostat {
    /// A thermostat in a room of 18 degrees.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            wish: Wish::Run,
            subscribed: false,
            connected: false,
            target: 200,
            now: 180,
            next_reading: Instant::ZERO,
            image: Crc::new(),
        }
    }

    /// What the program is to do.
    #[must_use]
    pub const fn wish(&self) -> Wish {
        self.wish
    }

    /// When it next has something to say by itself.
    #[must_use]
    pub const fn next_reading(&self) -> Instant {
        self.next_reading
    }

    /// The connection is gone.
    pub fn handle_lost(&mut self) {
        self.connected = false;
    }

    /// Something happened. An error is one of its own publishes that found no room: the next
    /// reading will say more.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn handle_event<S: Storage>(
        &mut self,
        client: &mut Client<S>,
        event: &Event<'_>,
        now: Instant,
    ) -> Result<(), SendError> {
        match event {
            Event::Connected { .. } => {
                self.connected = true;
                if !self.subscribed {
                    client.subscribe(&[Filter::new(SET), Filter::new(IMAGE)], now)?;
                }
                let online = Publish::new(STATE, b"online").qos(QoS::AtLeastOnce).retain(true);
                client.publish(online, now)?;
            }
            Event::Subscribed { .. } => self.subscribed = true,
            Event::Message(message) => self.handle_message(client, message, now)?,
            Event::MessageStart { .. } | Event::MessageAborted => self.image = Crc::new(),
            Event::MessageChunk(chunk) => self.image.update(chunk),
            Event::MessageEnd { .. } => self.report_image(client, now)?,
            _ => {}
        }
        Ok(())
    }

    fn handle_message<S: Storage>(
        &mut self,
        client: &mut Client<S>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), SendError> {
        if client.topic(message.topic).is_some_and(|topic| topic == IMAGE) {
            self.image = Crc::new(); // a small one, which came whole
            self.image.update(message.payload);
            return self.report_image(client, now);
        }
        match message.payload {
            b"quit" => {
                self.wish = Wish::Quit;
                client
                    .publish(Publish::new(STATE, b"off").qos(QoS::AtLeastOnce).retain(true), now)?;
            }
            // At QoS 2 alone: any other comes again after the reset, and again.
            b"reset" if message.qos == QoS::ExactlyOnce => {
                self.wish = Wish::Reset;
                client
                    .publish(Publish::new(LAST, b"before the reset").qos(QoS::ExactlyOnce), now)?;
            }
            payload => {
                if let Some(target) = tenths(payload) {
                    self.target = target;
                    let said = Publish::new(TARGET, payload).qos(QoS::AtLeastOnce).retain(true);
                    client.publish(said, now)?;
                }
            }
        }
        Ok(())
    }

    fn report_image<S: Storage>(
        &mut self,
        client: &mut Client<S>,
        now: Instant,
    ) -> Result<(), SendError> {
        let hash = self.image.hex();
        client.publish(Publish::new(IMAGE_CRC, &hash).qos(QoS::AtLeastOnce), now).map(|_| ())
    }

    /// Time has passed: publishes a reading if one is due and the last ones have left.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn handle_timeout<S: Storage>(
        &mut self,
        client: &mut Client<S>,
        now: Instant,
    ) -> Result<(), SendError> {
        if now < self.next_reading || self.wish != Wish::Run {
            return Ok(());
        }
        self.next_reading = now.plus_millis(PERIOD_MS);
        // The room warms up, or cools down, by a tenth of a degree.
        match self.now.cmp(&self.target) {
            core::cmp::Ordering::Less => self.now += 1,
            core::cmp::Ordering::Greater => self.now -= 1,
            core::cmp::Ordering::Equal => {}
        }
        if self.connected && client.in_flight() < 4 {
            let text = [digit(self.now / 100), digit(self.now / 10), b'.', digit(self.now)];
            client.publish(Publish::new(CELSIUS, &text).qos(QoS::ExactlyOnce), now)?;
        }
        Ok(())
    }
}

impl Default for Thermostat {
    fn default() -> Self {
        Self::new()
    }
}

fn digit(number: u16) -> u8 {
    b'0' + (number % 10) as u8
}

/// `21.5` as 215; `None` for anything else.
fn tenths(text: &[u8]) -> Option<u16> {
    let [a, b, b'.', c] = text else { return None };
    let mut number = 0;
    for digit in [a, b, c] {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number * 10 + u16::from(digit);
    }
    Some(number)
}
