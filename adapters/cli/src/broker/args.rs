//! The options of `tamtam broker`, made of the settings that the daemon has.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};
use tamtam_broker::config::{OptionSpec, options};

/// How it is used.
const EXAMPLES: &str = "\
Examples:
  tamtam broker
      for everybody on this machine, on disk
  tamtam broker --listen 127.0.0.1:18830 --memory
      for a script: on another port, and nothing is kept; it is ready when the port answers
  tamtam passwd users alice; tamtam broker --listen 0.0.0.0:1883 --password-file users
      for other machines; clients need an account
  tamtam broker --config tamtam.toml --listen mqtts://0.0.0.0:8883 --check
      what a file says, with another listener: is it right, and what does it change?

Each option is a key of the file, with _ instead of -: those of Broker at its top, those of Limits
under [limits], of Log under [log] without log-, of Listeners under [[listener]], once for each;
[[rule]] has user, topic and access, and [[topic]] filter and durability. On the command line,
options of Listeners hold for all of them.

SIGHUP reads certificates, accounts, rules, limits and the level of the log again; a client stays as
long as its rights hold. SIGTERM and SIGINT stop it. It tells systemd of each, and takes sockets
from it, in the order of the listeners. One thread serves all clients.

Exit codes:
  0  it was stopped, or the check found nothing wrong
  1  it could not start, or the system ended it
  2  the options or the configuration are wrong";

/// What was asked of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// The file, if one was named.
    pub(super) config: Option<PathBuf>,
    /// Whether to check only.
    pub(super) check: bool,
    /// Every option that was given, with its value.
    pub(super) options: Vec<(String, String)>,
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .short('c')
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Read this file, in TOML; options win over what it says");
        let check = Arg::new("check")
            .long("check")
            .action(ArgAction::SetTrue)
            .help("Check the configuration, show what it changes, and end");
        let command = command.arg(config).arg(check).after_help(EXAMPLES);
        options().iter().map(arg).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The option of a setting.
fn arg(spec: &OptionSpec) -> Arg {
    let about = spec.about.join(" ");
    let default = match spec.default.as_str() {
        "\"none\"" | "\"\"" => String::new(),
        default => format!(" [default: {}]", default.trim_matches('"')),
    };
    let arg = Arg::new(spec.name.clone())
        .long(spec.name.clone())
        .value_name(spec.expects)
        .help(format!("{}{default}", about.trim_end_matches('.')))
        .help_heading(spec.heading)
        .action(if spec.name == "listen" { ArgAction::Append } else { ArgAction::Set });
    if spec.flag {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg.num_args(1)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for OptionSpec { name, .. } in options() {
            if matches.value_source(&name) == Some(ValueSource::CommandLine) {
                let values = matches.get_many::<String>(&name).into_iter().flatten();
                given.extend(values.map(|value| (name.clone(), value.clone())));
            }
        }
        let config = matches.get_one::<PathBuf>("config").cloned();
        Ok(Self { config, check: matches.get_flag("check"), options: given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
