//! `tamtam sub`: prints messages as they come, with mosquitto's letters.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tamtam_core::client::{Client, Event, Filter, Message};
use tamtam_core::{Heap, Instant, Property, QoS, ReasonCode, RetainHandling, TopicFilter};

use crate::client::args::{Connection, MISSING, qos};
use crate::client::driver::Driver;
use crate::client::format::{Format, Shown};
use crate::client::loss::{FAILED, TIMED_OUT};
use crate::client::properties::Packet;
use crate::publish::{Wrong, failed, leave, misused};

/// Print messages as they come.
///
/// Exit code 0: as many came as were asked for, or it was interrupted; 1: there was no connection;
/// 2: the command line is wrong; 27: the time of -W was over; 128 and above: the reason code by
/// which the broker refused, of MQTT 5 in every version.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, after_help = MISSING)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Subscribe to this; several times for several filters.
    #[arg(short, long = "topic", value_name = "FILTER")]
    topics: Vec<String>,
    /// Do not print messages to such topics.
    #[arg(short = 'T', long = "filter-out", value_name = "FILTER")]
    filter_out: Vec<String>,
    /// Unsubscribe from this first; for sessions that were kept.
    #[arg(short = 'U', long = "unsubscribe", value_name = "FILTER")]
    unsubscribe: Vec<String>,
    /// Subscribe at this QoS: messages come at it at most.
    #[arg(short, long, value_parser = qos, default_value = "0")]
    qos: QoS,
    /// End after so many messages.
    #[arg(short = 'C', value_name = "COUNT")]
    count: Option<u64>,
    /// End after so many seconds.
    #[arg(short = 'W', value_name = "SECONDS")]
    wait: Option<u32>,
    /// Do not print messages that were retained before.
    #[arg(short = 'R', conflicts_with = "retained_only")]
    no_retained: bool,
    /// Print only messages that were retained before, and end with the first that was not.
    #[arg(long)]
    retained_only: bool,
    /// Delete every retained message that comes.
    #[arg(long)]
    remove_retained: bool,
    /// Show by which flag messages were published, retained or not (MQTT 5).
    #[arg(long)]
    retain_as_published: bool,
    /// Leave out messages that this client publishes itself (MQTT 5).
    #[arg(long)]
    no_local: bool,
    /// End as soon as the broker has answered the subscription.
    #[arg(short = 'E')]
    exit_after_subscribe: bool,
    /// Print the topic before the payload.
    #[arg(short, long, group = "shown")]
    verbose: bool,
    /// Print by a format: %t topic, %p payload, %x and %X the same in hexadecimal, %l its length,
    /// %q QoS, %r retained, %m packet identifier, %I and %U the time, %j and %J all in JSON, %C
    /// content type, %D correlation data, %E expiry, %F payload format, %P user properties, %R
    /// response topic, %S subscription identifiers, %A topic alias; behind the % perhaps -, 0, a
    /// width and a greatest one, as in %-20.20t. @ and a letter is the time by strftime, @N its
    /// nanoseconds.
    #[arg(short = 'F', long, value_name = "FORMAT", group = "shown", value_parser = format)]
    format: Option<Format>,
    /// Print an object in JSON for each message.
    #[arg(long, group = "shown")]
    json: bool,
    /// Print objects in JSON over many lines.
    #[arg(long)]
    pretty: bool,
    /// Print only so many messages of a hundred, chosen at random.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    random_filter: Option<f64>,
    /// Print no end of the line behind a message.
    #[arg(short = 'N')]
    no_newline: bool,
    /// Say nothing about what went wrong.
    #[arg(long)]
    quiet: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 100".to_owned())
}

fn format(text: &str) -> Result<Format, String> {
    Format::parse(text)
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match subscribe(args) {
        Ok(code) => code,
        Err((what, code)) => {
            if !args.quiet {
                eprintln!("tamtam sub: {what}");
            }
            code
        }
    }
}

fn subscribe(args: &Args) -> Result<ExitCode, Wrong> {
    let settings = args.connection.settings().map_err(misused)?;
    let mut topics = args.topics.clone();
    topics.extend(settings.topic.clone());
    if topics.is_empty() && !args.connection.disable_clean_session {
        return Err(misused("what is to be subscribed to? -t FILTER"));
    }
    for topic in topics.iter().chain(&args.filter_out).chain(&args.unsubscribe) {
        TopicFilter::new(topic).map_err(|error| misused(format!("{topic}: {error}")))?;
    }
    let mut driver = settings
        .with_options(true, |options| Driver::new(settings.route.clone(), &options))
        .map_err(failed)?;
    let interrupted = interrupts(&driver).map_err(failed)?;
    let properties = settings.given.of(Packet::Subscribe).map_err(misused)?;
    let mut job = Job::new(args, &topics, &properties);
    let until = args.wait.map(|secs| driver.now().plus_secs(secs));
    loop {
        let loss = driver.turn(until, &mut |machine, event, now| job.hear(machine, event, now));
        if let Some(loss) = loss {
            if !job.connected || loss.is_refusal() {
                return Err((loss.to_string(), loss.exit_code()));
            }
            if args.connection.debug {
                eprintln!("tamtam sub: {}: {loss}; trying again", settings.route.endpoint);
            }
        }
        if job.flush().is_err() {
            job.done = true; // nobody reads it any more
        }
        if let Some(refused) = job.refused.take() {
            return Err(refused);
        }
        let late = until.is_some_and(|until| until <= driver.now());
        if job.done || late || interrupted.load(Ordering::Relaxed) {
            let _ = leave(&mut driver, &settings);
            let code = if late && !job.done { TIMED_OUT } else { 0 };
            return Ok(ExitCode::from(code));
        }
    }
}

/// Becomes true when the process is asked to end.
fn interrupts(driver: &Driver) -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let waker = driver.waker();
    let flag = Arc::clone(&interrupted);
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
    ])?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130); // it was asked before, and does not hear
            }
            let _ = waker.wake();
        }
    });
    Ok(interrupted)
}

/// What is printed, and how far it has come.
struct Job<'a> {
    args: &'a Args,
    topics: &'a [String],
    properties: &'a [Property<'a>],
    format: Format,
    out: Vec<u8>,
    left: Option<u64>,
    connected: bool,
    refused: Option<Wrong>,
    done: bool,
}

impl<'a> Job<'a> {
    fn new(args: &'a Args, topics: &'a [String], properties: &'a [Property<'a>]) -> Self {
        let format = match args {
            Args { format: Some(format), .. } => format.clone(),
            Args { json: true, .. } => Format::Json,
            Args { verbose: true, .. } => Format::Verbose,
            _ => Format::Payload,
        };
        let (out, left) = (Vec::new(), args.count);
        let (connected, refused, done) = (false, None, false);
        Self { args, topics, properties, format, out, left, connected, refused, done }
    }

    fn hear(&mut self, machine: &mut Client<Heap>, event: &Event<'_>, now: Instant) {
        match event {
            // Later the machine subscribes anew by itself, where that is needed.
            Event::Connected { .. } if !self.connected => {
                self.connected = true;
                if let Err(wrong) = self.subscribe(machine, now) {
                    self.refused = Some(wrong);
                }
            }
            Event::Subscribed { codes, .. } => self.subscribed(codes.iter()),
            Event::Message(message) => self.print(machine, message, now),
            Event::Failed { why, .. } => self.refused = Some(failed(why)),
            _ => {}
        }
    }

    fn subscribe(&self, machine: &mut Client<Heap>, now: Instant) -> Result<(), Wrong> {
        if !self.args.unsubscribe.is_empty() {
            let filters: Vec<&str> = self.args.unsubscribe.iter().map(String::as_str).collect();
            machine.unsubscribe(&filters, now).map_err(failed)?;
        }
        let handling =
            if self.args.no_retained { RetainHandling::DoNotSend } else { RetainHandling::Send };
        let is_v5 = machine.version() == tamtam_core::Version::V5;
        let filter = |topic: &'a String| {
            let filter = Filter::new(topic).qos(self.args.qos);
            match is_v5 {
                true => filter
                    .no_local(self.args.no_local)
                    .retain_as_published(self.args.retain_as_published)
                    .retain_handling(handling),
                false => filter,
            }
        };
        let filters: Vec<Filter<'_>> = self.topics.iter().map(filter).collect();
        if filters.is_empty() {
            return Ok(());
        }
        let id = self.properties.iter().find_map(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(*id),
            _ => None,
        });
        match id {
            Some(id) => machine.subscribe_with_id(&filters, id, now),
            None => machine.subscribe(&filters, now),
        }
        .map(drop)
        .map_err(failed)
    }

    fn subscribed(&mut self, codes: impl Iterator<Item = ReasonCode>) {
        let mut granted = 0;
        let mut worst = None;
        for (topic, reason) in self.topics.iter().zip(codes) {
            if reason.is_error() {
                let code = reason.as_byte();
                let what = format!("no subscription to {topic}: {reason}");
                if !self.args.quiet {
                    eprintln!("tamtam sub: {what}");
                }
                worst = Some(code);
            } else {
                granted += 1;
            }
        }
        if self.args.connection.debug {
            eprintln!("tamtam sub: subscribed to {granted} of {}", self.topics.len());
        }
        match worst {
            Some(code) if granted == 0 => {
                let what = "nothing is subscribed to".to_owned();
                self.refused = Some((what, ExitCode::from(code.max(FAILED))));
            }
            _ => self.done |= self.args.exit_after_subscribe,
        }
    }

    fn print(&mut self, machine: &mut Client<Heap>, message: &Message<'_>, now: Instant) {
        let Some(topic) = machine.topic(message.topic) else { return };
        let shown = Shown::now(topic, message);
        let is_out =
            |filter: &String| TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic));
        let unwanted =
            self.args.no_retained && message.retain || self.args.filter_out.iter().any(is_out);
        if self.done || unwanted {
            return;
        }
        if self.args.random_filter.is_some_and(|percent| !is_chosen(percent)) {
            return;
        }
        if self.args.retained_only && !message.retain {
            self.done = true;
            return;
        }
        self.out.extend(self.format.render(&shown, self.args.pretty));
        if !self.args.no_newline {
            self.out.push(b'\n');
        }
        if self.args.remove_retained && message.retain {
            let topic = topic.as_str().to_owned();
            let empty = tamtam_core::client::Publish::new(&topic, b"").retain(true);
            let _ = machine.publish(empty, now); // what can't be deleted now comes again
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            self.done = *left == 0;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.out)?;
        self.out.clear();
        stdout.flush()
    }
}

/// Whether one is among so many of a hundred.
fn is_chosen(percent: f64) -> bool {
    let mut dice = [0; 4];
    let thrown = getrandom::fill(&mut dice).is_ok();
    let share = f64::from(u32::from_ne_bytes(dice)) / (f64::from(u32::MAX) + 1.0);
    !thrown || share * 100.0 < percent
}

/// What `rr` prints with.
pub(crate) fn write_answer(bytes: &[u8], newline: bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    if newline {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}
