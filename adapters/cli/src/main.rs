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
#[command(name = "tamtam", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

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
