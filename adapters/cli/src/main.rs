//! The `tamtam` command: MQTT for people at a terminal.
//!
//! This file decides which subcommands there are; each has a module of its own.

mod bench;
mod broker;
mod client;
#[cfg(unix)]
mod control;
mod decode;
mod passwd;
mod publish;
mod request;
mod shell;
mod store;
mod subscribe;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// MQTT 3.1, 3.1.1 and 5.0 on the command line.
#[derive(Debug, Parser)]
#[command(name = "tamtam", version, after_help = FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to try first.
const FIRST_STEPS: &str = "\
First steps, each in a terminal of its own:
  tamtam broker                            a broker for everybody on this machine
  tamtam sub -v -t 'house/#'               what is published below house/
  tamtam pub -t house/door -m open         publishes there
`tamtam help COMMAND` says more of each; `tamtam man FOLDER` writes it as manual pages.";

/// What can be asked of it.
#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Args),
    /// Serve MQTT: without options on port 1883 of loopback, to anybody on this machine.
    Broker(broker::Args),
    #[cfg(unix)]
    Ctl(control::Args),
    /// Read MQTT packets, field by field, or say what is wrong with them.
    Decode(decode::Args),
    Passwd(passwd::Args),
    Pub(publish::Args),
    Rr(request::Args),
    Store(store::Args),
    Sub(subscribe::Args),
    Completions(shell::Completions),
    Man(shell::Man),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Broker(args)) => broker::run(&args),
        #[cfg(unix)]
        Some(Command::Ctl(args)) => control::run(&args),
        Some(Command::Decode(args)) => decode::run(&args),
        Some(Command::Passwd(args)) => passwd::run(&args),
        Some(Command::Pub(args)) => publish::run(&args),
        Some(Command::Rr(args)) => request::run(&args),
        Some(Command::Store(args)) => store::run(&args),
        Some(Command::Sub(args)) => subscribe::run(&args),
        Some(Command::Completions(args)) => shell::completions(&args, Cli::command()),
        Some(Command::Man(args)) => shell::man(&args, Cli::command()),
        None => help(),
    }
}

/// Without a subcommand there is nothing to do but to say which there are.
fn help() -> ExitCode {
    match Cli::command().print_help() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command tells somebody what to do, `Publish messages`; texts begin with a capital, and
    /// end without a full stop where they are a line.
    fn check(command: &clap::Command) {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let verb = about.split(' ').next().unwrap_or_default();
        assert!(!verb.ends_with('s'), "{name}: {about}");
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let id = argument.get_id();
            assert!(help.starts_with(|letter: char| !letter.is_lowercase()), "{name} {id}: {help}");
            assert!(!help.is_empty() && !help.ends_with('.'), "{name} {id}: {help}");
        }
        command.get_subcommands().filter(|inner| inner.get_name() != "help").for_each(check);
    }

    #[test]
    fn help_is_of_one_style() {
        let command = Cli::command();
        command.get_subcommands().for_each(check);
    }
}
