//! The client: one connection at a time, one session, and whatever it takes to keep both.
//!
//! A [`Client`] decides what to send, when to connect again, and what the application is told. It
//! never touches a transport: whoever drives it opens one when [`Client::transport`] wants it,
//! hands in what arrives, and writes what is in [`Client::output`]. Of the server it needs nothing
//! that the specification does not have [MQTT3-7.0.0-2].
//!
//! # The drive loop
//!
//! ```
//! # use tamtam_core::client::{Client, Event, Filter, Options, Publish, Transport};
//! # use tamtam_core::{Fixed, Instant, Version};
//! # struct Uart(Vec<u8>, u32);
//! # impl Uart {
//! #     fn open(&mut self) -> Result<(), ()> { Ok(()) }
//! #     fn close(&mut self) {}
//! #     fn write(&mut self, bytes: &[u8]) -> Result<usize, ()> {
//! #         self.0.extend(bytes);
//! #         Ok(bytes.len())
//! #     }
//! #     fn read_until(&mut self, rx: &mut Vec<u8>, _: Option<Instant>) -> Result<bool, ()> {
//! #         self.1 += 1;
//! #         match self.1 {
//! #             1 => rx.extend(b"\x20\x03\x00\x00\x00"),
//! #             2 => rx.extend(b"\x90\x04\x00\x01\x00\x02"),
//! #             3 => rx.extend(b"\x30\x0D\x00\x0Aroom/7/set\x00"),
//! #             _ => return Ok(false),
//! #         }
//! #         Ok(true)
//! #     }
//! # }
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! # let (mut uart, now, seed) = (Uart(Vec::new(), 0), Instant::from_millis(1), 7);
//! type Mqtt = Client<Fixed<1024, 8>>; // 1 KiB outgoing, 8 in flight. On a server: Client<Heap>
//! let mut client = Mqtt::new(); // firmware keeps it in a static
//! client.start(&Options::new(Version::V5).client_id("thermostat-7").keep_alive_secs(30), seed)?;
//! client.connect(now)?;
//! let mut rx = Vec::new(); // or an array with a length
//! loop {
//!     client.handle_timeout(now); // first: it may be time for a transport
//!     match client.transport() {
//!         Transport::Wanted => match uart.open() {
//!             Ok(()) => { rx.clear(); client.handle_open(now) }
//!             Err(_) => client.handle_close(now), // poll_timeout() says when to try again
//!         },
//!         Transport::Unwanted => { uart.close(); client.handle_close(now) }
//!         Transport::Open | Transport::Resting => {}
//!     }
//!     let mut input = &rx[..];
//!     let lost = loop {
//!         match client.handle_input(&mut input, now) {
//!             Ok(Some(Event::Connected { session_present: false, .. })) => {
//!                 client.subscribe(&[Filter::new("room/7/set")], now)?;
//!             }
//!             Ok(Some(Event::Message(m))) => { // m borrows rx, so one may publish
//!                 client.publish(Publish::new("room/7/echo", m.payload), now)?;
//!             }
//!             Ok(Some(_)) => {}
//!             Ok(None) => break None,
//!             Err(lost) => break Some(lost.to_string()),
//!         }
//!     };
//!     let read = rx.len() - input.len();
//!     rx.drain(..read); // an incomplete packet waits here
//!     if !client.output().is_empty() {
//!         let n = uart.write(client.output()).unwrap_or(0);
//!         client.output_written(n, now);
//!         if lost.is_none() { continue }
//!     }
//!     if lost.is_some() { uart.close(); client.handle_close(now); continue }
//!     if !uart.read_until(&mut rx, client.poll_timeout()).unwrap_or(false) { break }
//! }
//! # assert!(uart.0.ends_with(b"\x30\x0E\x00\x0Broom/7/echo\x00"));
//! # Ok(()) }
//! # run().unwrap();
//! ```
//!
//! The order of a turn: [`Client::handle_input`] until it says `None`; if [`Client::output`] is not
//! empty, write and start again; wait only with an empty output. `None` with an empty output means
//! that more bytes are needed; with a full one it may mean that there was no room for an
//! acknowledgement. Events that no input caused come out of the same call, also with empty input.

mod acks;
#[cfg(feature = "auth")]
mod auth;
mod error;
mod event;
mod handshake;
mod inbound;
mod limits;
mod messages;
mod news;
mod options;
mod outbound;
mod publish;
mod reconnect;
#[cfg(feature = "v5")]
mod request;
#[cfg_attr(not(feature = "session"), path = "no_session.rs")]
mod session;
#[cfg(feature = "stream")]
mod stream;
mod subscribe;

#[cfg(all(test, not(feature = "session")))]
mod no_session_tests;
#[cfg(all(test, feature = "std"))]
mod tests;

pub use error::{Failure, Lost, PeerError, SendError, StartError, Unsupported};
pub use event::{AckToken, Event, Message, Token, Topic};
pub use options::{Options, Reconnect};
#[cfg(feature = "session")]
pub use options::{WhenFull, WhenUnknown};
pub use publish::Publish;
pub use reconnect::Transport;
#[cfg(feature = "session")]
pub use session::{Record, RecordError};
pub use subscribe::Filter;

use crate::Instant;
use crate::flow::alias::Aliases;
use crate::flow::deadlines::Deadlines;
use crate::flow::gate::{self, Gate};
use crate::flow::keep_alive::KeepAlive;
use crate::flow::outbox::Outbox;
use crate::flow::quota::Quota;
use crate::flow::random::Random;
use crate::flow::receive::{Receipts, Received};
use crate::flow::send::{Flight, Flights};
use crate::storage::Storage;
use crate::types::Version;
use limits::Limits;
use options::Settings;
use session::{Change, Journal};

/// Where a client is between one connection and the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Not asked to connect.
    #[default]
    Idle,
    /// A transport is wanted.
    Wanted,
    /// CONNECT is on its way, or has been answered by AUTH.
    Connecting,
    /// The server has accepted.
    Open,
    /// The connection is to end once the output has left; the application knows.
    Closing,
    /// DISCONNECT is on its way; the application will be told when it has left.
    Leaving,
    /// Waits for the moment to try again.
    Resting,
}

/// What a client has to wake up for.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// CONNACK must be there.
    Connect,
    /// PINGRESP must be there; or DISCONNECT must have left.
    PingResponse,
    /// Try again.
    Reconnect,
}

const TIMERS: usize = 3;

/// Why a connection ended that no packet of the server's ended.
///
/// Numbered from 1 on, so that none of them is all zero bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Closed = 1,
    ConnectTimeout,
    Done,
}

/// The client machine: see the [module](self).
///
/// `S` is where it keeps what it remembers: [`Heap`](crate::Heap), or [`Fixed`](crate::Fixed) for
/// firmware. A client that was not started is all zero bits, so a static one takes no flash.
#[derive(Debug)]
pub struct Client<S: Storage> {
    phase: Phase,
    version: Version,
    settings: Settings,
    /// Up to how many bytes behind its header a packet is surely taken whole; 0 for none.
    whole_up_to: usize,
    limits: Limits,
    now: Instant,
    random: Random,
    deadlines: Deadlines<TIMERS>,
    keep_alive: KeepAlive,
    /// Attempts to connect that failed in a row.
    attempts: u8,

    /// CONNECT, the filters to subscribe to anew, and every packet that waits or is owed.
    outbox: Outbox<S::Outgoing>,
    /// How long the CONNECT in front of the outbox is, and how much of it has left.
    connect_len: usize,
    connect_sent: usize,

    flights: Flights<S::InFlight<Flight>>,
    quota: Quota,
    next_token: u32,
    /// How many flights are past their PUBREC but wait for PUBREL to be sent.
    releases_due: u16,
    /// How many messages of the server's are not settled on this connection.
    received: u32,
    /// How many of them the server may send ahead; before MQTT 5 it can't be told.
    receive_limit: u32,
    receipts: Receipts<S::InFlight<Received>>,
    pubacks: Gate<S::Owed<gate::Entry>>,
    pubrecs: Gate<S::Owed<gate::Entry>>,
    aliases_in: Aliases<S::Aliases>,
    aliases_out: Aliases<S::Aliases>,

    /// The message that the application was handed last, to be acknowledged by the next call, if
    /// it wants that.
    handed: AckToken,
    ending: Option<Ending>,
    /// Whether there is to be no next attempt, whatever the options say.
    refused: bool,
    /// When the server accepted.
    opened: Instant,
    /// Whether the client has state of a session that the server may have too.
    has_session: bool,
    /// Whether a re-authentication is under way.
    reauthenticating: bool,
    /// Whether the server has asked for authentication data, and waits for them.
    challenged: bool,
    /// Whether PINGREQ was sent and nothing has come since.
    pinged: bool,
    /// How many bytes of an unfinished packet were there when the client last looked.
    partial: usize,
    /// Where the client is in subscribing anew, in bytes of the kept filters, plus one.
    resubscribing: usize,
    /// Whether subscribing anew has not been confirmed for all filters.
    resubscribe_due: bool,
    /// Messages that were dropped with nobody told: QoS 0, or too large for a new server.
    dropped: u64,
    /// The token of a message that had to give its identifier away, until the application knows.
    evicted: u32,
    journal: Journal<S::Owed<Change>>,
    /// What the correlation data of this client's requests begin with.
    #[cfg(feature = "v5")]
    salt: u32,
    #[cfg(feature = "stream")]
    streams: stream::Streams,
}

impl<S: Storage> Client<S> {
    /// A client that does nothing until it is started.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            version: Version::V31,
            settings: Settings::NONE,
            whole_up_to: 0,
            limits: Limits::NONE,
            now: Instant::ZERO,
            random: Random::new(0),
            deadlines: Deadlines::NONE,
            keep_alive: KeepAlive::OFF,
            attempts: 0,
            outbox: Outbox::EMPTY,
            connect_len: 0,
            connect_sent: 0,
            flights: Flights::EMPTY,
            quota: Quota::CLOSED,
            next_token: 0,
            releases_due: 0,
            received: 0,
            receive_limit: 0,
            receipts: Receipts::EMPTY,
            pubacks: Gate::EMPTY,
            pubrecs: Gate::EMPTY,
            aliases_in: Aliases::EMPTY,
            aliases_out: Aliases::EMPTY,
            handed: AckToken::NOTHING,
            ending: None,
            refused: false,
            opened: Instant::ZERO,
            has_session: false,
            reauthenticating: false,
            challenged: false,
            pinged: false,
            partial: 0,
            resubscribing: 0,
            resubscribe_due: false,
            dropped: 0,
            evicted: 0,
            journal: Journal::EMPTY,
            #[cfg(feature = "v5")]
            salt: 0,
            #[cfg(feature = "stream")]
            streams: stream::Streams::NONE,
        }
    }

    /// The version that the client speaks.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Whether the server has accepted the connection, and it is not on its way out.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// How many published messages and other requests are not settled.
    #[must_use]
    pub const fn in_flight(&self) -> u16 {
        self.flights.in_use()
    }

    /// How many messages were dropped with nobody told: QoS 0 ones that had not left when a
    /// connection ended, or that a new server does not take.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The topic of a received message: its own, or the one that its alias stands for.
    ///
    /// `None` for an alias of an earlier connection.
    #[must_use]
    pub fn topic<'t>(&'t self, topic: Topic<'t>) -> Option<crate::TopicName<'t>> {
        match topic {
            Topic::Text(name) => Some(name),
            #[cfg(feature = "v5")]
            Topic::Alias(alias) => self.aliases_in.topic(alias),
        }
    }

    /// What is to be written to the transport.
    ///
    /// What the application asks for comes behind it, and changes nothing of what was there: so a
    /// host may take a copy, and write it while others publish.
    #[must_use]
    #[inline]
    pub fn output(&self) -> &[u8] {
        match self.phase {
            Phase::Idle | Phase::Wanted | Phase::Resting => &[],
            // The answer may be read before whoever writes has said that CONNECT has left.
            _ if self.connect_sent < self.connect_len => {
                self.outbox.kept().get(self.connect_sent..self.connect_len).unwrap_or_default()
            }
            _ => self.outbox.output(),
        }
    }

    /// The first `len` bytes of the output were written at `now`.
    #[inline]
    pub fn output_written(&mut self, len: usize, now: Instant) {
        if len == 0 {
            return;
        }
        self.set_now(now);
        self.keep_alive.sent(self.now);
        if self.connect_sent < self.connect_len {
            self.connect_sent = self.connect_sent.saturating_add(len).min(self.connect_len);
        } else {
            #[cfg(feature = "stream")]
            self.note_stream(len);
            self.outbox.written(len);
            #[cfg(feature = "stream")]
            self.end_sent_stream();
            self.send_what_may_go();
        }
    }

    /// When to call [`Client::handle_timeout`], if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Closing {
            return None; // the transport is to be closed now
        }
        let ping = if self.may_ping() { self.keep_alive.ping_at() } else { None };
        [self.deadlines.next(), ping].into_iter().flatten().min()
    }

    /// Time has passed.
    ///
    /// Whether an answer of the server's is late is seen by the next [`Client::handle_input`], once
    /// it has taken in what is here already.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.set_now(now);
        if self.deadlines.take_due(Timer::Reconnect as usize, now) {
            self.want_transport();
        }
        if self.phase == Phase::Wanted && self.deadlines.take_due(Timer::Connect as usize, now) {
            self.end(Ending::ConnectTimeout);
        }
        let patience = Timer::PingResponse as usize;
        if self.phase == Phase::Leaving && self.deadlines.take_due(patience, now) {
            self.end(Ending::Done); // though not all has left
        }
        if self.may_ping() && self.keep_alive.ping_at().is_some_and(|when| when <= now) {
            self.ping_now();
        }
    }

    /// It is `now`, at the earliest: time does not go back.
    #[cfg_attr(feature = "alloc", inline(always))]
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Whether a PINGREQ may leave: not while an earlier one has not left.
    fn may_ping(&self) -> bool {
        let stuck = self.outbox.has_output() || self.outbox.is_streaming();
        self.phase == Phase::Open && !(self.pinged && stuck)
    }
}

impl<S: Storage> Default for Client<S> {
    fn default() -> Self {
        Self::new()
    }
}
