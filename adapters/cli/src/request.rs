//! `tamtam rr`: publishes a request and prints the answer, with mosquitto's letters.

use std::path::PathBuf;
use std::process::ExitCode;

use tamtam_core::client::{Client, Event, Filter, Publish};
use tamtam_core::{Heap, Instant, Property, QoS, TopicName, Version};

use crate::client::args::{Connection, MISSING, qos};
use crate::client::driver::Driver;
use crate::client::format::{Format, Shown};
use crate::client::loss::TIMED_OUT;
use crate::client::payload::Content;
use crate::client::properties::Packet;
use crate::publish::{Wrong, failed, leave, misused};
use crate::subscribe::write_answer;

/// Publish a request, and print the answer.
///
/// Exit code 0: there was an answer; 1: there was no connection; 2: the command line is wrong; 27:
/// the time of -W was over; 128 and above: the reason code by which the broker refused.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, after_help = MISSING)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Publish the request to this topic.
    #[arg(short, long)]
    topic: Option<String>,
    /// Wait for the answer at this topic: `tamtam/answer/` and the number of the process, if
    /// nothing is said. Whoever answers learns it by MQTT 5, or must know it.
    #[arg(short = 'e', long, value_name = "TOPIC")]
    response_topic: Option<String>,
    /// Ask this text.
    #[arg(short, long, group = "what", value_name = "TEXT")]
    message: Option<String>,
    /// Ask with a file.
    #[arg(short, long, group = "what", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Ask with the standard input.
    #[arg(short, long = "stdin-file", group = "what")]
    stdin: bool,
    /// Ask without a payload.
    #[arg(short, long = "null-message", group = "what")]
    null: bool,
    /// Ask at this QoS.
    #[arg(short, long, value_parser = qos, default_value = "1")]
    qos: QoS,
    /// Wait so many seconds for the answer.
    #[arg(short = 'W', value_name = "SECONDS", default_value_t = 30)]
    wait: u32,
    /// Print the topic before the payload.
    #[arg(short, long, group = "shown")]
    verbose: bool,
    /// Print by a format: see `tamtam sub --help`.
    #[arg(short = 'F', long, value_name = "FORMAT", group = "shown", value_parser = Format::parse)]
    format: Option<Format>,
    /// Print an object in JSON.
    #[arg(long, group = "shown")]
    json: bool,
    /// Print objects in JSON over many lines.
    #[arg(long)]
    pretty: bool,
    /// Pass over answers that were retained before.
    #[arg(short = 'R')]
    no_retained: bool,
    /// Print no end of the line behind the answer.
    #[arg(short = 'N')]
    no_newline: bool,
    /// Say nothing about what went wrong.
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match ask(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err((what, code)) => {
            if !args.quiet {
                eprintln!("tamtam rr: {what}");
            }
            code
        }
    }
}

fn payload(args: &Args) -> Result<Vec<u8>, Wrong> {
    let content = Content {
        message: args.message.as_deref(),
        file: args.file.as_deref(),
        stdin: args.stdin,
        null: args.null,
    };
    content.read("what is asked? -m TEXT, -f FILE, -s or -n")
}

/// A request under way.
struct Job<'a> {
    topic: &'a str,
    answer_topic: &'a str,
    payload: &'a [u8],
    properties: Vec<Property<'a>>,
    qos: QoS,
    args: &'a Args,
    format: Format,
    answer: Option<Vec<u8>>,
    wrong: Option<Wrong>,
}

fn ask(args: &Args) -> Result<(), Wrong> {
    let settings = args.connection.settings().map_err(misused)?;
    let topic = args.topic.clone().or_else(|| settings.topic.clone());
    let topic = topic.ok_or_else(|| misused("whom to ask? -t TOPIC"))?;
    let answer_topic = args.response_topic.clone();
    let answer_topic =
        answer_topic.unwrap_or_else(|| format!("tamtam/answer/{}", std::process::id()));
    let response = TopicName::new(&answer_topic).map_err(misused)?;
    let payload = payload(args)?;
    let mut properties = settings.given.of(Packet::Publish).map_err(misused)?;
    if args.connection.protocol_version == Version::V5 {
        properties.push(Property::ResponseTopic(response));
    }
    let room = payload.len().saturating_add(1 << 16);
    let mut driver = settings
        .with_options(false, |options| {
            let options = options.outgoing_bytes(room);
            Driver::new(settings.route.clone(), &options)
        })
        .map_err(failed)?;
    let format = match args {
        Args { format: Some(format), .. } => format.clone(),
        Args { json: true, .. } => Format::Json,
        Args { verbose: true, .. } => Format::Verbose,
        _ => Format::Payload,
    };
    let (topic, payload, answer_topic) = (&topic[..], &payload[..], &answer_topic[..]);
    let (qos, answer, wrong) = (args.qos, None, None);
    let mut job =
        Job { topic, answer_topic, payload, properties, qos, args, format, answer, wrong };
    let until = driver.now().plus_secs(args.wait);
    loop {
        let loss =
            driver.turn(Some(until), &mut |machine, event, now| job.hear(machine, event, now));
        if let Some(loss) = loss {
            return Err((loss.to_string(), loss.exit_code()));
        }
        if let Some(wrong) = job.wrong.take() {
            return Err(wrong);
        }
        if let Some(answer) = job.answer.take() {
            write_answer(&answer, !args.no_newline).map_err(failed)?;
            return leave(&mut driver, &settings);
        }
        if driver.now() >= until {
            let _ = leave(&mut driver, &settings);
            let what =
                format!("no answer within {} seconds: does anybody serve {topic}?", args.wait);
            return Err((what, ExitCode::from(TIMED_OUT)));
        }
    }
}

impl Job<'_> {
    fn hear(&mut self, machine: &mut Client<Heap>, event: &Event<'_>, now: Instant) {
        let done = match event {
            Event::Connected { .. } => {
                let filter = Filter::new(self.answer_topic).qos(self.qos);
                machine.subscribe(&[filter], now).map(drop).map_err(failed)
            }
            Event::Subscribed { codes, .. } => match codes.iter().find(|code| code.is_error()) {
                Some(reason) => {
                    let code = reason.as_byte();
                    let what = format!("no answer can come to {}: {reason}", self.answer_topic);
                    Err((what, ExitCode::from(code)))
                }
                None => {
                    let request = Publish::new(self.topic, self.payload)
                        .qos(self.qos)
                        .properties(&self.properties);
                    machine.publish(request, now).map(drop).map_err(failed)
                }
            },
            Event::Delivered { reason, .. } if reason.is_error() => {
                let code = reason.as_byte();
                let what = format!("the broker did not take the request: {reason}");
                Err((what, ExitCode::from(code)))
            }
            Event::Failed { why, .. } => Err(failed(why)),
            Event::Message(message) if self.args.no_retained && message.retain => Ok(()),
            Event::Message(message) => {
                if let Some(topic) = machine.topic(message.topic) {
                    let shown = Shown::now(topic, message);
                    self.answer = Some(self.format.render(&shown, self.args.pretty));
                }
                Ok(())
            }
            _ => Ok(()),
        };
        self.wrong = self.wrong.take().or(done.err());
    }
}
