//! Where the bytes come from: arguments, a file, or standard input; raw or in hex.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::hex::{Hex, HexError, looks_like_text};
use super::{Args, Failure};

/// All the bytes of the call.
pub(crate) fn bytes(args: &Args) -> Result<Vec<u8>, Failure> {
    if !args.digits.is_empty() {
        return from_arguments(&args.digits);
    }
    let mut input = Vec::new();
    let (mut source, name) = open(args.file.as_deref())?;
    if let Err(error) = source.read_to_end(&mut input) {
        return Err(Failure::Usage(format!("can't read {name}: {error}")));
    }
    if args.raw || !(args.hex || looks_like_text(&input)) {
        return if args.raw { Ok(input) } else { not_a_capture(input, &name) };
    }
    let mut hex = Hex::default();
    let parsed = hex.push(&input).and_then(|()| hex.into_bytes());
    parsed.map_err(|error| {
        let otherwise =
            if args.hex { "" } else { "; if these are the bytes themselves, say --raw" };
        Failure::Usage(format!("{name}: {error}{otherwise}"))
    })
}

/// The file or standard input, and what to call it.
pub(crate) fn open(file: Option<&Path>) -> Result<(Box<dyn Read>, String), Failure> {
    let Some(path) = file.filter(|path| path.as_os_str() != "-") else {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            eprintln!("reading from the terminal; Ctrl-D ends it");
        }
        return Ok((Box::new(stdin.lock()), "standard input".to_owned()));
    };
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((Box::new(file), name)),
        Err(error) => Err(Failure::Usage(format!("can't open {name}: {error}"))),
    }
}

/// The arguments as one run of digits.
fn from_arguments(arguments: &[String]) -> Result<Vec<u8>, Failure> {
    let mut hex = Hex::default();
    for argument in arguments {
        hex.push(argument.as_bytes()).map_err(|error| bad_argument(argument, error))?;
    }
    hex.into_bytes().map_err(|error| Failure::Usage(error.to_string()))
}

/// What is wrong with an argument, which may have been meant as a file.
fn bad_argument(argument: &str, error: HexError) -> Failure {
    let advice = match error {
        HexError::NotADigit { .. } if argument == "-" || Path::new(argument).exists() => {
            format!("; to read it as a file: tamtam decode --file {argument}")
        }
        _ => String::new(),
    };
    Failure::Usage(format!("{argument:?}: {error}{advice}"))
}

/// Refuses a packet capture, which holds MQTT within TCP within IP.
fn not_a_capture(input: Vec<u8>, name: &str) -> Result<Vec<u8>, Failure> {
    // pcap of microseconds and nanoseconds in both byte orders, pcapng.
    const MAGIC: [&[u8]; 5] = [
        b"\xD4\xC3\xB2\xA1",
        b"\xA1\xB2\xC3\xD4",
        b"\x4D\x3C\xB2\xA1",
        b"\xA1\xB2\x3C\x4D",
        b"\x0A\x0D\x0D\x0A",
    ];
    if !MAGIC.iter().any(|magic| input.starts_with(magic)) {
        return Ok(input);
    }
    Err(Failure::Usage(format!(
        "{name} is a packet capture; take one direction of one connection out of it:\n  \
         tshark -r {name} -Y 'tcp.stream == 0 && tcp.dstport == 1883' \
         -T fields -e tcp.payload | tamtam decode"
    )))
}
