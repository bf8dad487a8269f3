//! Many clients on one thread.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant as Moment};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tamtam_core::Heap;
use tamtam_core::client::{Client, Event, Filter, Options, Publish, Reconnect};

use super::{Load, Report};
use crate::clock::Clock;

const SCRATCH_BYTES: usize = 64 << 10;

/// What a publisher has room for beside the messages of its window, in bytes.
const ROOM: usize = 64 << 10;

/// A client, and its connection.
struct Member {
    client: Client<Heap>,
    socket: TcpStream,
    tail: Vec<u8>,
    writable: bool,
    readable: bool,
    /// Publishers: copies that are on their way.
    under_way: usize,
    /// Whether it is connected, and subscribed where it is to.
    is_ready: bool,
}

/// All of them: publishers first.
pub(super) struct Crowd<'a> {
    load: &'a Load,
    poll: Poll,
    clock: Clock,
    members: Vec<Member>,
    topics: Vec<String>,
    payload: Vec<u8>,
    scratch: Vec<u8>,
    report: Report,
    /// Publishers that may have room in their windows.
    idle: Vec<usize>,
}

impl<'a> Crowd<'a> {
    /// Connects everybody, and subscribes.
    pub(super) fn gather(load: &'a Load, broker: SocketAddr) -> io::Result<Self> {
        let mut crowd = Self {
            load,
            poll: Poll::new()?,
            clock: Clock::new(),
            members: Vec::new(),
            topics: (0..load.publishers).map(|number| format!("load/{number}")).collect(),
            payload: vec![0; load.payload_bytes.max(4)],
            scratch: vec![0; SCRATCH_BYTES],
            report: Report::default(),
            idle: Vec::new(),
        };
        for place in 0..load.publishers.saturating_add(load.subscribers) {
            let member = crowd.join(place, broker)?;
            crowd.members.push(member);
            crowd.send(place)?;
        }
        let deadline = Moment::now() + load.patience;
        while !crowd.members.iter().all(|member| member.is_ready) {
            if Moment::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "not all were let in"));
            }
            crowd.turn()?;
        }
        Ok(crowd)
    }

    fn join(&mut self, place: usize, broker: SocketAddr) -> io::Result<Member> {
        let socket = std::net::TcpStream::connect(broker)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, Token(place), both)?;
        let frame = self.payload.len().saturating_add(64);
        let name = format!("load-{}-{place}", std::process::id());
        let options = Options::new(self.load.version)
            .client_id(&name)
            .keep_alive_secs(0)
            .outgoing_bytes(frame.saturating_mul(self.load.window).saturating_add(ROOM))
            .reconnect(Reconnect::Never);
        let mut client = Client::new();
        let now = self.clock.now();
        client.start(&options, place as u64).map_err(io::Error::other)?;
        client.connect(now).map_err(io::Error::other)?;
        client.handle_open(now);
        let (writable, readable) = (true, false);
        Ok(Member {
            client,
            socket,
            tail: Vec::new(),
            writable,
            readable,
            under_way: 0,
            is_ready: false,
        })
    }

    /// Publishes until all has arrived, or is lost.
    pub(super) fn work(&mut self) -> io::Result<Report> {
        let begin = Moment::now();
        let (mut last, mut seen) = (begin, 0);
        let copies = self.load.messages.saturating_mul(self.load.fan_out as u64);
        self.idle = (0..self.load.publishers).collect();
        while self.report.delivered < copies {
            for place in std::mem::take(&mut self.idle) {
                self.publish(place)?;
            }
            self.turn()?;
            if self.report.delivered != seen {
                (last, seen) = (Moment::now(), self.report.delivered);
            } else if last.elapsed() > self.load.patience {
                break;
            }
        }
        self.report.lost = copies.saturating_sub(self.report.delivered);
        self.report.elapsed = last.duration_since(begin);
        Ok(self.report)
    }

    /// Waits, and takes in what has come.
    fn turn(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        let again = self.members.iter().any(|member| member.readable);
        let wait = if again { Duration::ZERO } else { Duration::from_millis(100) };
        self.poll.poll(&mut events, Some(wait))?;
        for event in &events {
            let place = event.token().0;
            let Some(member) = self.members.get_mut(place) else { continue };
            member.readable |= event.is_readable() || event.is_read_closed();
            if event.is_writable() && !member.writable {
                member.writable = true;
                self.send(place)?;
            }
        }
        for place in 0..self.members.len() {
            if self.members.get(place).is_some_and(|member| member.readable) {
                self.receive(place)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, place: usize) -> io::Result<()> {
        let Some(member) = self.members.get_mut(place) else { return Ok(()) };
        let kept = member.tail.len();
        if self.scratch.len() < kept.saturating_mul(2) {
            self.scratch.resize(kept.saturating_mul(4), 0);
        }
        let Some((head, room)) = self.scratch.split_at_mut_checked(kept) else { return Ok(()) };
        head.copy_from_slice(&member.tail);
        let len = match member.socket.read(room) {
            Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                member.readable = false;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        member.readable = len == room.len();
        self.take_in(place, kept.saturating_add(len))?;
        self.send(place)
    }

    fn take_in(&mut self, place: usize, len: usize) -> io::Result<()> {
        let now = self.clock.now();
        let scratch = std::mem::take(&mut self.scratch);
        let mut input = scratch.get(..len).unwrap_or_default();
        let subscriber = place.checked_sub(self.load.publishers);
        while let Some(member) = self.members.get_mut(place) {
            let event = member.client.handle_input(&mut input, now);
            match event.map_err(|lost| io::Error::other(lost.to_string()))? {
                None if !member.client.output().is_empty() && member.writable => {
                    let before = member.client.output().len();
                    self.send(place)?;
                    let member = self.members.get(place);
                    if member.is_none_or(|member| member.client.output().len() == before) {
                        break;
                    }
                }
                None => break,
                Some(Event::Message(message)) => {
                    self.report.delivered += 1;
                    let from = message.payload.first_chunk().copied().map(u32::from_be_bytes);
                    let from = from.unwrap_or_default() as usize;
                    if let Some(publisher) = self.members.get_mut(from) {
                        publisher.under_way = publisher.under_way.saturating_sub(1);
                        if publisher.under_way.is_multiple_of(self.load.fan_out) {
                            self.idle.push(from);
                        }
                    }
                }
                Some(Event::Connected { .. }) => match subscriber {
                    None => member.is_ready = true,
                    Some(number) => {
                        let filter = self.load.filter.replace("{}", &number.to_string());
                        let filter = Filter::new(&filter).qos(self.load.qos);
                        member.client.subscribe(&[filter], now).map_err(io::Error::other)?;
                    }
                },
                Some(Event::Subscribed { .. }) => member.is_ready = true,
                Some(_) => {}
            }
        }
        if let Some(member) = self.members.get_mut(place) {
            member.tail.clear();
            member.tail.extend_from_slice(input);
        }
        self.scratch = scratch;
        Ok(())
    }

    /// Fills the window of a publisher.
    fn publish(&mut self, place: usize) -> io::Result<()> {
        let (Some(member), Some(topic)) = (self.members.get_mut(place), self.topics.get(place))
        else {
            return Ok(());
        };
        let number = u32::try_from(place).unwrap_or_default().to_be_bytes();
        if let Some(head) = self.payload.first_chunk_mut() {
            *head = number;
        }
        let most = self.load.window.saturating_mul(self.load.fan_out);
        let now = self.clock.now();
        while member.under_way < most && self.report.published < self.load.messages {
            let publish = Publish::new(topic, &self.payload).qos(self.load.qos);
            if member.client.publish(publish, now).is_err() {
                self.idle.push(place); // there is room once acknowledgements have come
                break;
            }
            member.under_way = member.under_way.saturating_add(self.load.fan_out);
            self.report.published += 1;
        }
        self.send(place)
    }

    fn send(&mut self, place: usize) -> io::Result<()> {
        let now = self.clock.now();
        let Some(member) = self.members.get_mut(place) else { return Ok(()) };
        while member.writable && !member.client.output().is_empty() {
            match member.socket.write(member.client.output()) {
                Ok(len) => member.client.output_written(len, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => member.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
