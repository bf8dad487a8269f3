//! `tamtam pub`: publishes messages, with mosquitto's letters.

use std::collections::HashMap;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use mio::Waker;
use tamtam_core::client::{Client, Event, Publish, SendError, Token};
use tamtam_core::{Disconnect, Heap, Instant, Properties, Property, QoS, ReasonCode};

use crate::client::args::{Connection, MISSING, Settings, qos};
use crate::client::driver::Driver;
use crate::client::loss::{FAILED, Loss};
use crate::client::payload::Content;
use crate::client::properties::Packet;

/// Above how many bytes a progress is shown on a terminal.
const PROGRESS_BYTES: usize = 1 << 20;
/// How many lines are read ahead of what the broker has acknowledged.
const LINES_AHEAD: usize = 1_000;

/// Publish messages.
///
/// Exit code 0: all were delivered; 1: they were not; 2: the command line is wrong; 128 and above:
/// the reason code by which the broker refused, of MQTT 5 in every version.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, after_help = MISSING)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Publish to this topic.
    #[arg(short, long)]
    topic: Option<String>,
    /// Publish this text.
    #[arg(short, long, group = "what", value_name = "TEXT")]
    message: Option<String>,
    /// Publish a file, as one message.
    #[arg(short, long, group = "what", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Publish each line of the standard input.
    #[arg(short = 'l', long = "stdin-line", group = "what")]
    lines: bool,
    /// Publish a message without a payload.
    #[arg(short, long = "null-message", group = "what")]
    null: bool,
    /// Publish the standard input, as one message.
    #[arg(short, long = "stdin-file", group = "what")]
    stdin: bool,
    /// Publish at this QoS.
    #[arg(short, long, value_parser = qos, default_value = "0")]
    qos: QoS,
    /// Have the broker retain it.
    #[arg(short, long)]
    retain: bool,
    /// How many messages of QoS 1 and 2 are under way at once.
    #[arg(short = 'M', long, value_name = "COUNT", default_value_t = u16::MAX)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..), hide_default_value = true)]
    max_inflight: u16,
    /// Publish it so many times.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    repeat: u64,
    /// Wait so many seconds between them.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    repeat_delay: f64,
    /// Say nothing about what went wrong.
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match publish(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err((what, code)) => {
            if !args.quiet {
                eprintln!("tamtam pub: {what}");
            }
            code
        }
    }
}

/// What went wrong, and the exit code.
pub(crate) type Wrong = (String, ExitCode);

pub(crate) fn failed(what: impl ToString) -> Wrong {
    (what.to_string(), ExitCode::from(FAILED))
}

pub(crate) fn misused(what: impl ToString) -> Wrong {
    (what.to_string(), ExitCode::from(2))
}

fn publish(args: &Args) -> Result<(), Wrong> {
    let settings = args.connection.settings().map_err(misused)?;
    let topic = args.topic.clone().or_else(|| settings.topic.clone());
    let topic = topic.ok_or_else(|| misused("to which topic? -t TOPIC"))?;
    tamtam_core::TopicName::new(&topic).map_err(|error| misused(format!("{topic}: {error}")))?;
    let properties = settings.given.of(Packet::Publish).map_err(misused)?;
    let source = Source::open(args)?;
    let room = source.room();
    let mut driver = settings
        .with_options(args.lines, |options| {
            let options = options.outgoing_bytes(room).in_flight(args.max_inflight);
            Driver::new(settings.route.clone(), &options)
        })
        .map_err(failed)?;
    let mut job = Job {
        topic: &topic,
        qos: args.qos,
        retain: args.retain,
        properties: &properties,
        source,
        next: None,
        again: args.repeat.max(1),
        pause: Duration::try_from_secs_f64(args.repeat_delay).map_err(misused)?,
        not_before: None,
        open: HashMap::new(),
        refused: None,
        connected: false,
    };
    job.source.wake_by(&driver);
    job.work(&mut driver, &settings, args)
}

/// Reads lines on a thread of its own, and wakes whoever waits for them.
type LineReader = Box<dyn FnOnce(Arc<Waker>) + Send>;

/// Where messages come from.
enum Source {
    /// One payload, again and again.
    Once(Vec<u8>),
    /// Lines that a thread reads.
    Lines { lines: Receiver<Vec<u8>>, reader: Option<LineReader> },
}

impl Source {
    fn open(args: &Args) -> Result<Self, Wrong> {
        if args.lines {
            let (send, lines) = sync_channel(LINES_AHEAD);
            let reader = Box::new(move |waker: Arc<Waker>| {
                for line in io::stdin().lock().split(b'\n') {
                    let Ok(mut line) = line else { break };
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    if send.send(line).is_err() {
                        return;
                    }
                    let _ = waker.wake();
                }
                drop(send);
                let _ = waker.wake();
            });
            return Ok(Self::Lines { lines, reader: Some(reader) });
        }
        let content = Content {
            message: args.message.as_deref(),
            file: args.file.as_deref(),
            stdin: args.stdin,
            null: args.null,
        };
        let advice = "what is to be published? -m TEXT, -f FILE, -l, -s or -n";
        Ok(Self::Once(content.read(advice)?))
    }

    /// How many bytes of outgoing packets there has to be room for.
    fn room(&self) -> usize {
        match self {
            Self::Once(payload) => payload.len().saturating_mul(2).saturating_add(1 << 20),
            Self::Lines { .. } => 16 << 20,
        }
    }

    /// Starts to read, where that takes a thread.
    fn wake_by(&mut self, driver: &Driver) {
        if let Self::Lines { reader, .. } = self
            && let Some(reader) = reader.take()
        {
            let waker = driver.waker();
            std::thread::spawn(move || reader(waker));
        }
    }
}

/// What is published, and how far it has come.
struct Job<'a> {
    topic: &'a str,
    qos: QoS,
    retain: bool,
    properties: &'a [Property<'a>],
    source: Source,
    /// A line that there was no room for.
    next: Option<Vec<u8>>,
    /// How many times the payload is still to be published.
    again: u64,
    pause: Duration,
    not_before: Option<Instant>,
    /// Requests that are not answered.
    open: HashMap<Token, ()>,
    refused: Option<Wrong>,
    connected: bool,
}

impl Job<'_> {
    fn work(mut self, driver: &mut Driver, settings: &Settings, args: &Args) -> Result<(), Wrong> {
        let debug = args.connection.debug;
        let mut progress = Progress::new(&self.source, args.quiet);
        loop {
            let until = self.not_before;
            let loss = driver.turn(until, &mut |_, event, _| self.hear(event));
            if let Some(loss) = loss {
                self.lost(&loss, settings, debug)?;
            }
            if let Some(refused) = self.refused.take() {
                return Err(refused);
            }
            let now = driver.now();
            let all_out = self.connected && self.feed(&mut driver.machine, now)?;
            progress.show(driver.machine.output().len());
            if all_out && self.open.is_empty() && driver.machine.output().is_empty() {
                progress.end();
                return leave(driver, settings);
            }
        }
    }

    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Connected { .. } => self.connected = true,
            Event::Delivered { token, reason } => {
                self.open.remove(token);
                if reason.is_error() {
                    let code = reason.as_byte();
                    let what = format!("the broker did not take the message: {reason}");
                    self.refused = Some((what, ExitCode::from(code)));
                }
            }
            Event::Failed { token, why } => {
                self.open.remove(token);
                self.refused = Some(failed(why));
            }
            _ => {}
        }
    }

    /// A connection that was there may come back; one that never was is an error.
    fn lost(&mut self, loss: &Loss, settings: &Settings, debug: bool) -> Result<(), Wrong> {
        let goes_on = self.connected && matches!(self.source, Source::Lines { .. });
        if !goes_on || loss.is_refusal() {
            return Err((loss.to_string(), loss.exit_code()));
        }
        self.connected = false;
        if debug {
            eprintln!("tamtam pub: {}: {loss}; trying again", settings.route.endpoint);
        }
        Ok(())
    }

    /// Hands the machine what it has room for; whether that was all.
    fn feed(&mut self, machine: &mut Client<Heap>, now: Instant) -> Result<bool, Wrong> {
        loop {
            if self.not_before.is_some_and(|moment| moment > now) {
                return Ok(false);
            }
            let payload = match (&self.source, self.next.take()) {
                (_, Some(line)) => line,
                (Source::Once(_), None) if self.again == 0 => return Ok(true),
                (Source::Once(payload), None) => payload.clone(),
                (Source::Lines { lines, .. }, None) => match lines.try_recv() {
                    Ok(line) => line,
                    Err(TryRecvError::Empty) => return Ok(false),
                    Err(TryRecvError::Disconnected) => return Ok(true),
                },
            };
            let publish = Publish::new(self.topic, &payload)
                .qos(self.qos)
                .retain(self.retain)
                .properties(self.properties);
            match machine.publish(publish, now) {
                Ok(token) if self.qos != QoS::AtMostOnce => {
                    self.open.insert(token, ());
                }
                Ok(_) => {}
                Err(SendError::Full | SendError::NotConnected) => {
                    self.next = Some(payload);
                    return Ok(false);
                }
                Err(error) => return Err(failed(error)),
            }
            self.again = self.again.saturating_sub(1);
            if !self.pause.is_zero() && self.again > 0 {
                let pause = u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX);
                self.not_before = Some(now.plus_millis(pause));
            }
        }
    }
}

/// Says goodbye, and waits until that has left.
pub(crate) fn leave(driver: &mut Driver, settings: &Settings) -> Result<(), Wrong> {
    let now = driver.now();
    let properties = settings.given.of(Packet::Disconnect).map_err(misused)?;
    let goodbye = match properties.is_empty() {
        true => driver.machine.disconnect(now),
        false => {
            let properties = Properties::new(&properties);
            driver.machine.disconnect_with(
                Disconnect { properties, ..Disconnect::new(ReasonCode::Success) },
                now,
            )
        }
    };
    goodbye.map_err(failed)?;
    let until = now.plus_secs(5);
    while driver.now() < until {
        if driver.turn(Some(until), &mut |_, _, _| {}).is_some() {
            break;
        }
    }
    Ok(())
}

/// How much of a large message has left, on a terminal.
struct Progress {
    total: usize,
    shown: usize,
}

impl Progress {
    fn new(source: &Source, quiet: bool) -> Self {
        let total = match source {
            Source::Once(payload) if payload.len() >= PROGRESS_BYTES => payload.len(),
            _ => 0,
        };
        let visible = !quiet && io::stderr().is_terminal();
        Self { total: if visible { total } else { 0 }, shown: usize::MAX }
    }

    fn show(&mut self, left: usize) {
        if self.total == 0 {
            return;
        }
        let percent = self.total.saturating_sub(left) * 100 / self.total;
        if percent != self.shown {
            self.shown = percent;
            let bar = "#".repeat(percent / 4);
            eprint!("\r[{bar:<25}] {percent:3} % of {} KiB", self.total >> 10);
        }
    }

    fn end(&self) {
        if self.total != 0 {
            eprintln!();
        }
    }
}
