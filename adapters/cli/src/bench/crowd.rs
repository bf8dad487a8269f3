//! Many clients on one thread, each with its own connection.

use std::io::IsTerminal;
use std::time::{Duration, Instant as Moment};

use mio::{Events, Poll, Token};
use tamtam_core::client::{Client, Event, Filter, Options, Publish};
use tamtam_core::{Heap, Instant, QoS};

use super::Args;
use super::process::{Calls, cpu_of};
use super::tally::{Seen, Tally};
use crate::client::args::Settings;
use crate::client::driver::Line;
use crate::client::loss::Loss;

/// How many bytes are read at once.
const READ_BYTES: usize = 256 << 10;
/// How long to wait for messages that do not come.
const PATIENCE: Duration = Duration::from_secs(3);
/// What a payload begins with: publisher, number, and when it was due.
const HEAD_BYTES: usize = 20;

struct Member {
    machine: Client<Heap>,
    line: Line,
    input: Vec<u8>,
    /// Whether it is connected, and subscribed where it is to.
    is_ready: bool,
    is_listed: bool,
}

/// A publisher's part of the load.
#[derive(Clone, Debug, Default)]
struct Part {
    sent: u64,
    /// Copies of its messages that have arrived.
    arrived: u64,
    /// How many subscribers get each.
    fan_out: u64,
}

struct Crowd<'a> {
    args: &'a Args,
    poll: Poll,
    members: Vec<Member>,
    parts: Vec<Part>,
    /// By subscriber and publisher; of a shared group, by publisher.
    seen: Vec<Vec<Seen>>,
    ready: Vec<usize>,
    buffer: Vec<u8>,
    payload: Vec<u8>,
    began: Moment,
    tally: Tally,
}

/// Connects everybody, publishes, and counts.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<Tally, String> {
    let mut crowd = Crowd::gather(args, settings)?;
    let calls = args.pid.filter(|_| args.calls).map(Calls::begin).transpose()?;
    let cpu_before = args.pid.and_then(cpu_of);
    crowd.began = Moment::now();
    crowd.work()?;
    let cpu_after = args.pid.and_then(cpu_of);
    crowd.tally.broker_cpu = cpu_after.zip(cpu_before).map(|(after, before)| after - before);
    crowd.tally.broker_calls = calls.map(Calls::end).transpose()?;
    crowd.count();
    Ok(crowd.tally)
}

impl<'a> Crowd<'a> {
    fn gather(args: &'a Args, settings: &Settings) -> Result<Self, String> {
        let (publishers, subscribers) = (args.publishers as usize, args.subscribers as usize);
        let topics = args.topic_count();
        let gets = |subscriber: u32, topic| args.wildcard || subscriber % topics == topic;
        let of_topic = |topic: u32| (0..args.subscribers).filter(|s| gets(*s, topic)).count();
        let fan_out = |publisher: u32| match args.shared {
            true => u64::from(of_topic(publisher % topics) > 0),
            false => of_topic(publisher % topics) as u64,
        };
        let part = |publisher| Part { fan_out: fan_out(publisher), ..Part::default() };
        let rows = if args.shared { 1 } else { subscribers };
        let mut crowd = Self {
            args,
            poll: Poll::new().map_err(|error| error.to_string())?,
            members: Vec::new(),
            parts: (0..args.publishers).map(part).collect(),
            seen: vec![vec![Seen::default(); publishers]; rows],
            ready: Vec::new(),
            buffer: vec![0; READ_BYTES],
            payload: vec![b'.'; args.size.max(HEAD_BYTES)],
            began: Moment::now(),
            tally: Tally::new()?,
        };
        for place in 0..publishers + subscribers {
            crowd.join(place, settings)?;
        }
        let until = Moment::now() + Duration::from_secs(10);
        while !crowd.members.iter().all(|member| member.is_ready) {
            if Moment::now() > until {
                return Err("not all clients were let in within 10 seconds".to_owned());
            }
            crowd.turn(Duration::from_millis(100))?;
        }
        Ok(crowd)
    }

    fn join(&mut self, place: usize, settings: &Settings) -> Result<(), String> {
        let name = match settings.client_id.as_str() {
            "" => format!("bench-{}-{place}", std::process::id()),
            id => format!("{id}-{place}"),
        };
        let frame = self.payload.len().saturating_add(64);
        let window = usize::try_from(self.args.window).unwrap_or(usize::MAX).min(u16::MAX.into());
        let room = frame.saturating_mul(window).saturating_add(1 << 20);
        let now = self.now();
        let machine = settings.with_options(false, |options: Options<'_>| {
            let mut machine = Client::new();
            let options = options.client_id(&name).outgoing_bytes(room).in_flight(u16::MAX);
            machine.start(&options, place as u64).map_err(|error| error.to_string())?;
            machine.connect(now).map_err(|error| error.to_string())?;
            Ok(machine)
        })?;
        let line = Line::open(&settings.route, self.poll.registry(), Token(place))?;
        let input = Vec::new();
        self.members.push(Member { machine, line, input, is_ready: false, is_listed: false });
        if let Some(member) = self.members.last_mut() {
            member.machine.handle_open(now);
        }
        self.write(place)
    }

    /// In the machines' time.
    fn now(&self) -> Instant {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Instant::from_millis(passed.saturating_add(1))
    }

    /// Publishes until it is enough, and waits for what is under way.
    fn work(&mut self) -> Result<(), String> {
        let seconds = Duration::try_from_secs_f64(self.args.seconds).unwrap_or_default();
        let most = self.args.messages.unwrap_or(u64::MAX);
        let (mut last, mut shown) = (Moment::now(), Progress::default());
        let mut received = 0;
        loop {
            let is_over = self.args.messages.is_none() && self.began.elapsed() >= seconds;
            let is_done = is_over || self.tally.published >= most;
            let wait = if is_done { Duration::from_millis(50) } else { self.publish(most)? };
            self.turn(wait)?;
            if self.tally.received != received {
                (received, last) = (self.tally.received, Moment::now());
                self.tally.elapsed = self.began.elapsed();
            }
            shown.show(&self.tally, self.args.json);
            let all_here = self.parts.iter().all(|part| part.arrived >= part.sent * part.fan_out);
            let all_out = self.members.iter().all(|member| {
                member.machine.output().is_empty() && member.machine.in_flight() == 0
            });
            let stalled = last.elapsed() > PATIENCE && (is_done || self.args.rate.is_none());
            if is_done && all_here && all_out || stalled {
                if self.args.subscribers == 0 {
                    self.tally.elapsed = self.began.elapsed();
                }
                return Ok(());
            }
        }
    }

    /// Publishes what is due; how long nothing will be.
    fn publish(&mut self, most: u64) -> Result<Duration, String> {
        let publishers = self.parts.len() as u64;
        let Some(rate) = self.args.rate else {
            for place in 0..self.parts.len() {
                let now = self.began.elapsed();
                while self.tally.published < most && self.has_window(place) {
                    if !self.publish_one(place, now)? {
                        break;
                    }
                }
                self.write(place)?;
            }
            return Ok(Duration::from_millis(50));
        };
        // Message n is due n / rate after the beginning, whatever became of those before it.
        let interval = Duration::from_secs_f64(1.0 / rate);
        loop {
            let due = Duration::from_secs_f64(self.tally.published as f64 / rate);
            let now = self.began.elapsed();
            if due > now || self.tally.published >= most {
                return Ok(due.saturating_sub(now).min(Duration::from_millis(50)));
            }
            let place = usize::try_from(self.tally.published % publishers).unwrap_or_default();
            if !self.publish_one(place, due)? {
                return Ok(interval);
            }
            self.write(place)?;
        }
    }

    /// Whether a publisher may have another message under way.
    fn has_window(&self, place: usize) -> bool {
        let (Some(part), Some(member)) = (self.parts.get(place), self.members.get(place)) else {
            return false;
        };
        let unacknowledged = u64::from(member.machine.in_flight());
        let here = part.arrived.checked_div(part.fan_out).unwrap_or(part.sent);
        let waiting = part.sent.saturating_sub(here);
        let unsent = member.machine.output().len() / self.payload.len();
        waiting.max(unacknowledged).max(unsent as u64) < self.args.window
    }

    /// Whether there was room for it.
    fn publish_one(&mut self, place: usize, due: Duration) -> Result<bool, String> {
        let now = self.now();
        let topic = format!("bench/{}", place as u32 % self.args.topic_count());
        let (Some(part), Some(member)) = (self.parts.get_mut(place), self.members.get_mut(place))
        else {
            return Ok(false);
        };
        let due = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        let head =
            [&(place as u32).to_be_bytes()[..], &part.sent.to_be_bytes(), &due.to_be_bytes()]
                .concat();
        if let Some(start) = self.payload.get_mut(..HEAD_BYTES) {
            start.copy_from_slice(&head);
        }
        let publish = Publish::new(&topic, &self.payload).qos(self.args.qos);
        match member.machine.publish(publish, now) {
            Ok(_) => {
                part.sent += 1;
                self.tally.published += 1;
                Ok(true)
            }
            Err(tamtam_core::client::SendError::Full) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits, and takes in what has come.
    fn turn(&mut self, wait: Duration) -> Result<(), String> {
        let mut events = Events::with_capacity(1_024);
        // The machines are content with milliseconds; rates are not.
        let wait = if self.ready.is_empty() { wait } else { Duration::ZERO };
        if let Err(error) = self.poll.poll(&mut events, Some(wait))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.to_string());
        }
        for event in &events {
            self.list(event.token().0);
        }
        for place in std::mem::take(&mut self.ready) {
            if let Some(member) = self.members.get_mut(place) {
                member.is_listed = false;
            }
            self.receive(place)?;
            self.write(place)?;
        }
        Ok(())
    }

    fn list(&mut self, place: usize) {
        if let Some(member) = self.members.get_mut(place)
            && !member.is_listed
        {
            member.is_listed = true;
            self.ready.push(place);
        }
    }

    fn receive(&mut self, place: usize) -> Result<(), String> {
        let now = self.now();
        let Some(member) = self.members.get_mut(place) else { return Ok(()) };
        let read = member.line.read(&mut self.buffer, &mut member.input);
        member.machine.handle_timeout(now);
        let input = std::mem::take(&mut member.input);
        let mut rest = &input[..];
        let subscriber = place.checked_sub(self.parts.len());
        loop {
            let Some(member) = self.members.get_mut(place) else { return Ok(()) };
            match member.machine.handle_input(&mut rest, now) {
                Ok(None) if !member.machine.output().is_empty() && !rest.is_empty() => {
                    let before = member.machine.output().len();
                    self.write(place)?;
                    let left = self.members.get(place).map_or(0, |one| one.machine.output().len());
                    if left == before {
                        break;
                    }
                }
                Ok(None) => break,
                Ok(Some(event)) => self.hear(place, subscriber, &event, now)?,
                Err(lost) => return Err(Loss::from(&lost).to_string()),
            }
        }
        let rest = rest.to_vec();
        if let Some(member) = self.members.get_mut(place) {
            member.input = rest;
        }
        read.map(drop).map_err(|error| format!("a connection was lost: {error}"))
    }

    fn hear(
        &mut self,
        place: usize,
        subscriber: Option<usize>,
        event: &Event<'_>,
        now: Instant,
    ) -> Result<(), String> {
        let Some(member) = self.members.get_mut(place) else { return Ok(()) };
        match event {
            Event::Connected { .. } => match subscriber {
                None => member.is_ready = true,
                Some(number) => {
                    let topic = number as u32 % self.args.topic_count();
                    let group = if self.args.shared { "$share/bench/" } else { "" };
                    let filter = match self.args.wildcard {
                        true => format!("{group}bench/+"),
                        false => format!("{group}bench/{topic}"),
                    };
                    let filter = Filter::new(&filter).qos(self.args.qos);
                    let asked = member.machine.subscribe(&[filter], now);
                    asked.map_err(|error| error.to_string())?;
                }
            },
            Event::Subscribed { codes, .. } => match codes.iter().find(|code| code.is_error()) {
                Some(reason) => return Err(format!("no subscription: {reason}")),
                None => member.is_ready = true,
            },
            Event::Message(message) => self.arrived(subscriber, message.payload),
            Event::Delivered { reason, .. } if reason.is_error() => {
                return Err(format!("the broker did not take a message: {reason}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn arrived(&mut self, subscriber: Option<usize>, payload: &[u8]) {
        let Some((publisher, rest)) = payload.split_first_chunk::<4>() else { return };
        let Some((number, rest)) = rest.split_first_chunk::<8>() else { return };
        let Some((due, _)) = rest.split_first_chunk::<8>() else { return };
        let publisher = u32::from_be_bytes(*publisher) as usize;
        let due = Duration::from_nanos(u64::from_be_bytes(*due));
        let row = if self.args.shared { 0 } else { subscriber.unwrap_or_default() };
        let seen = self.seen.get_mut(row).and_then(|row| row.get_mut(publisher));
        let (Some(seen), Some(part)) = (seen, self.parts.get_mut(publisher)) else { return };
        let mut came = seen.note(u64::from_be_bytes(*number));
        if self.args.shared && came == super::tally::Came::Late {
            came = super::tally::Came::Due; // members of a group are not ordered
        }
        part.arrived += 1;
        self.tally.note(came, self.began.elapsed().saturating_sub(due));
    }

    fn write(&mut self, place: usize) -> Result<(), String> {
        let now = self.now();
        let Some(member) = self.members.get_mut(place) else { return Ok(()) };
        let lost = |error: std::io::Error| format!("a connection was lost: {error}");
        while !member.machine.output().is_empty() {
            match member.line.write(member.machine.output()).map_err(lost)? {
                0 => break,
                len => member.machine.output_written(len, now),
            }
        }
        member.line.flush().map(drop).map_err(lost)
    }

    /// Counts what never came.
    fn count(&mut self) {
        let topics = self.args.topic_count() as usize;
        for (subscriber, row) in self.seen.iter().enumerate() {
            for (publisher, seen) in row.iter().enumerate() {
                let Some(part) = self.parts.get(publisher) else { continue };
                let all = self.args.shared || self.args.wildcard;
                let is_for = all || publisher % topics == subscriber % topics;
                if is_for && part.fan_out > 0 {
                    self.tally.lost += seen.lost(part.sent);
                }
            }
        }
        if self.args.qos == QoS::AtMostOnce && self.args.subscribers == 0 {
            self.tally.lost = 0;
        }
    }
}

/// A line each second, on a terminal.
#[derive(Debug, Default)]
struct Progress {
    next: Option<Moment>,
    before: (u64, u64),
}

impl Progress {
    fn show(&mut self, tally: &Tally, quiet: bool) {
        let now = Moment::now();
        if quiet || !std::io::stderr().is_terminal() || self.next.is_some_and(|next| now < next) {
            return;
        }
        if self.next.is_some() {
            let (published, received) = self.before;
            let rates = (tally.published - published, tally.received - received);
            eprintln!("{:>9} published /s   {:>9} received /s", rates.0, rates.1);
        }
        self.before = (tally.published, tally.received);
        self.next = Some(now + Duration::from_secs(1));
    }
}
