//! `tamtam bench`: load for a broker, any broker, and what comes of it.

mod crowd;
mod process;
mod tally;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use tamtam_core::QoS;

use crate::client::args::{Connection, qos};
use crate::client::loss::FAILED;

/// Load a broker with messages, and say how many came, how fast, and in which state.
///
/// Without --rate each publisher keeps --window messages under way and publishes the next one when
/// one has reached every subscriber: this finds the throughput. With --rate messages are due at
/// fixed moments, and their latency counts from there, also if the broker (or this command) was
/// late: no pause of the broker hides the messages that had to wait for it.
///
/// Exit code 0: all came, once and in order; 1: not so, or there was no connection.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// How many publish.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    publishers: u32,
    /// How many subscribe.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    subscribers: u32,
    /// To how many topics; publishers and subscribers are spread over them. As many as there are
    /// publishers, if nothing is said and there are as many subscribers or --wildcard; else one.
    #[arg(long, value_name = "COUNT")]
    topics: Option<u32>,
    /// The subscribers are one group that shares the messages.
    #[arg(long)]
    shared: bool,
    /// The length of a payload, in bytes: 20 at least.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// At which QoS messages are published and subscribed to.
    #[arg(short, long, value_parser = qos, default_value = "0")]
    qos: QoS,
    /// How many messages a second are published, by all together.
    #[arg(long, value_name = "PER SECOND")]
    rate: Option<f64>,
    /// How many messages of a publisher are under way at once.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    window: u64,
    /// How many messages are published in all, instead of --seconds.
    #[arg(long, value_name = "COUNT")]
    messages: Option<u64>,
    /// How long messages are published.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,
    /// Each subscriber gets what is published to all topics, by one filter with a wildcard.
    #[arg(long, conflicts_with = "topics")]
    wildcard: bool,
    /// The process of the broker, whose processor time is measured (Linux).
    #[arg(long, value_name = "NUMBER")]
    pid: Option<u32>,
    /// Count the calls that the broker makes into the system, with `perf`.
    #[arg(long, requires = "pid")]
    calls: bool,
    /// Print JSON, also on a terminal.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn topic_count(&self) -> u32 {
        let pairs = self.publishers == self.subscribers || self.wildcard;
        self.topics.unwrap_or(if pairs { self.publishers } else { 1 }).max(1)
    }

    fn check(&self) -> Result<(), String> {
        let rate_is_none = self.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0));
        if self.publishers == 0 {
            return Err("without publishers there is no load: --publishers".to_owned());
        }
        if rate_is_none || self.window == 0 || Duration::try_from_secs_f64(self.seconds).is_err() {
            return Err("--rate, --window and --seconds are above 0".to_owned());
        }
        Ok(())
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let checked = args.check().and_then(|()| args.connection.settings());
    let settings = match checked {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("tamtam bench: {error}");
            return ExitCode::from(2);
        }
    };
    let tally = match crowd::run(args, &settings) {
        Ok(tally) => tally,
        Err(error) => {
            eprintln!("tamtam bench: {error}");
            return ExitCode::from(FAILED);
        }
    };
    if args.json || !io::stdout().is_terminal() {
        println!("{}", tally.json());
    } else {
        print!("{}", tally.text());
    }
    let flaws = tally.lost + tally.misordered + tally.duplicated;
    ExitCode::from(if flaws == 0 { 0 } else { FAILED })
}
