//! `tamtam decode`: bytes to readable packets, one stream of them or many lines.
//!
//! What is legal, `tamtam-core` decides; nothing here checks a packet again. This file knows the
//! options and the exit codes.

mod batch;
mod fault;
mod hex;
mod input;
mod print;
mod quote;
mod stream;
#[cfg(test)]
mod tests;
mod value;
mod walk;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tamtam_core::{Sender, Version};

/// What `--help` teaches beyond the options.
const LESSON: &str = "\
Examples:
  tamtam decode 30 06 00 01 61 00 62 63
      one packet; bytes may be written 3006, 30:06 or 0x30,0x06, in one argument or many
  tamtam decode --mqtt 3.1.1 --from server --file answers.bin
      what a server sent, kept in a file as it came or in hex
  tshark -r capture.pcapng -Y 'tcp.dstport == 1883' -T fields -e tcp.payload | tamtam decode
      what the clients of a capture sent (of one connection: add && tcp.stream == 0)
  printf '5 c2s 3006000161006263\\n' | tamtam decode --batch
      many questions, a line each

Each packet is printed under its number, its offset and its length; each field with its offset in
the input, its bytes, its name and its value. What is wrong is named with packet, field, offset and
the clause of the specification, and marked in the bytes.

Batch mode reads lines VERSION DIRECTION HEX: VERSION is the protocol level 3, 4 or 5, DIRECTION is
c2s (a client sent it) or s2c (a server did). It answers each at once with one line, which begins
  ok              every packet is valid; then their number and names
  malformed       the bytes can't be parsed; then packet, field, offset in the line's bytes, clause
  protocol_error  they can, but say what they must not; the same
  incomplete      they end within a packet; how many are here and how many are needed
  usage           the line itself is wrong
Blank lines and lines that begin with # are not answered.

Exit codes:
  0  every packet is valid (--batch: every line was understood)
  1  a packet is wrong or incomplete
  2  the call is wrong (--batch: a line is), or a file can't be read";

/// Read MQTT packets, field by field, or say what is wrong with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "--help shows examples and exit codes.", after_long_help = LESSON)]
pub(crate) struct Args {
    /// Packets in hex; without any, and without --file, standard input is read.
    ///
    /// Several arguments are one input. Spaces, line ends, colons, commas and 0x are ignored.
    #[arg(value_name = "HEX")]
    digits: Vec<String>,

    /// Read this file, or standard input for -.
    ///
    /// Raw bytes or hex are told apart by their looks; --raw and --hex say which it is.
    #[arg(short, long, value_name = "PATH", conflicts_with = "digits")]
    file: Option<PathBuf>,

    /// The input is the bytes themselves.
    #[arg(long, conflicts_with_all = ["hex", "digits"])]
    raw: bool,

    /// The input is hex text.
    #[arg(long)]
    hex: bool,

    /// The version that is spoken: 3.1, 3.1.1 or 5.0.
    ///
    /// Also 3, 4, 5 (the protocol levels), 31, 311, mqttv31, mqttv311, mqttv5. Left out, it is
    /// taken from the CONNECT with which the input begins, and is 5.0 if it begins otherwise.
    #[arg(short = 'V', long = "mqtt", value_name = "VERSION", value_parser = parse_version)]
    version: Option<Version>,

    /// Who sent it: client or server.
    ///
    /// It decides which packets, codes and properties are legal. Left out, it is who may send the
    /// first packet, and the client if both may.
    #[arg(long, value_name = "SIDE", value_parser = side_parser())]
    from: Option<Sender>,

    /// Show long payloads and strings to their end.
    #[arg(long)]
    all: bool,

    /// Answer lines VERSION DIRECTION HEX, each with one line.
    #[arg(long, conflicts_with_all = ["digits", "raw", "hex", "version", "from", "all"])]
    batch: bool,
}

/// The versions by the names that people and other tools give them.
fn parse_version(name: &str) -> Result<Version, String> {
    match name {
        "3" | "31" | "3.1" | "mqttv31" => Ok(Version::V31),
        "4" | "311" | "3.1.1" | "mqttv311" => Ok(Version::V311),
        "5" | "50" | "5.0" | "mqttv5" => Ok(Version::V5),
        _ => Err("say 3.1, 3.1.1 or 5.0".to_owned()),
    }
}

/// The two sides of a connection.
fn side_parser() -> impl TypedValueParser<Value = Sender> {
    PossibleValuesParser::new(["client", "server"])
        .map(|side| if side == "server" { Sender::Server } else { Sender::Client })
}

/// What the bytes were found to be; the discriminant is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Verdict {
    /// Valid; in batch mode, understood.
    Good = 0,
    /// Wrong or incomplete.
    Bad = 1,
    /// In batch mode: a line that was not understood.
    Usage = 2,
}

/// Why there is no verdict.
#[derive(Debug)]
enum Failure {
    /// The call is wrong, or what it names can't be read: what to do about it.
    Usage(String),
    /// The answer can't be written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Runs the command; answers go to standard output, what is wrong with the call to standard error.
pub(crate) fn run(args: &Args) -> ExitCode {
    let verdict = if args.batch { batch::run(args) } else { print::run(args) };
    match verdict {
        Ok(verdict) => ExitCode::from(verdict as u8),
        // Who reads the answer has seen enough: `tamtam decode … | head`.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failure::Output(error)) => complain(&format!("can't write the answer: {error}")),
        Err(Failure::Usage(words)) => complain(&words),
    }
}

/// Says what is wrong with the call.
fn complain(words: &str) -> ExitCode {
    eprintln!("error: {words}");
    ExitCode::from(Verdict::Usage as u8)
}
