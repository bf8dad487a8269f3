//! Batch mode: a line of packets in, a line of verdict out, as a co-process would have it.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use tamtam_core::{Fault, PacketType, Sender, Version};

use super::hex::Hex;
use super::quote::are;
use super::stream::{Step, Stream};
use super::{Args, Failure, Verdict, input};

/// How much of the input is read at once, in bytes.
const READ: usize = 64 * 1024;

/// Answers every line of the input.
pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let (source, name) = input::open(args.file.as_deref())?;
    let mut lines = BufReader::with_capacity(READ, source);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut batch = Batch::default();
    loop {
        match batch.next_line(&mut lines) {
            Ok(true) => batch.answer(&mut out)?,
            Ok(false) => break,
            Err(error) => {
                out.flush()?;
                return Err(Failure::Usage(format!("can't read {name}: {error}")));
            }
        }
        // Before reading may have to wait, who asked gets the answer.
        if !lines.buffer().contains(&b'\n') {
            out.flush()?;
        }
    }
    out.flush()?;
    Ok(if batch.misunderstood { Verdict::Usage } else { Verdict::Good })
}

/// The memory that all lines share.
#[derive(Debug, Default)]
struct Batch {
    line: Vec<u8>,
    /// The first line has 1.
    number: usize,
    hex: Hex,
    packets: Vec<PacketType>,
    /// Whether a line was not of the form that is read here.
    misunderstood: bool,
}

impl Batch {
    /// Reads a line; whether there was one.
    fn next_line(&mut self, lines: &mut BufReader<impl Read>) -> io::Result<bool> {
        self.line.clear();
        self.number = self.number.saturating_add(1);
        Ok(lines.read_until(b'\n', &mut self.line)? != 0)
    }

    /// Answers the line with exactly one, or a blank one and a comment with none.
    fn answer(&mut self, out: &mut impl Write) -> io::Result<()> {
        let line = self.line.trim_ascii();
        if matches!(line, [] | [b'#', ..]) {
            return Ok(());
        }
        self.hex.clear();
        match parse(line, &mut self.hex) {
            Ok((version, sender)) => {
                let bytes = self.hex.bytes().unwrap_or_default();
                let stream = Stream::new(bytes, Some(version), Some(sender));
                judge(stream, &mut self.packets, out)
            }
            Err(wrong) => {
                self.misunderstood = true;
                writeln!(out, "usage line {}: {wrong}", self.number)
            }
        }
    }
}

/// Version and direction of a line, whose bytes go to `hex`.
fn parse(line: &[u8], hex: &mut Hex) -> Result<(Version, Sender), String> {
    let (version, rest) = split_word(line);
    let (direction, digits) = split_word(rest);
    let version = match version {
        b"3" => Version::V31,
        b"4" => Version::V311,
        b"5" => Version::V5,
        _ => return Err(format!("version {} is not 3, 4 or 5", shown(version))),
    };
    let sender = match direction {
        b"c2s" => Sender::Client,
        b"s2c" => Sender::Server,
        b"" => return Err("no direction: say c2s or s2c behind the version".to_owned()),
        _ => return Err(format!("direction {} is not c2s or s2c", shown(direction))),
    };
    let parsed = hex.push(digits).and_then(|()| hex.bytes().map(drop));
    parsed.map_err(|error| format!("hex: {error}"))?;
    Ok((version, sender))
}

/// The first word of a line, and what stands behind the white space after it.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    (word, rest.trim_ascii_start())
}

/// A word of the line for an error, never long and never with line ends.
fn shown(word: &[u8]) -> String {
    let start = word.get(..word.len().min(16)).unwrap_or_default();
    format!("{:?}", String::from_utf8_lossy(start))
}

/// Writes what the packets are found to be.
fn judge(
    stream: Stream<'_>,
    packets: &mut Vec<PacketType>,
    out: &mut impl Write,
) -> io::Result<()> {
    packets.clear();
    for step in stream {
        match step {
            Step::Packet(_, packet) => packets.push(packet.packet_type()),
            Step::Incomplete(frame, needed) => {
                let name = PacketType::of(frame.bytes.first().copied().unwrap_or_default());
                write!(out, "incomplete {name}: {} here", are(frame.bytes.len()))?;
                match needed {
                    Some(needed) => write!(out, ", {needed} needed")?,
                    None => write!(out, ", its length is not")?,
                }
                return writeln!(out, " (packet {} at byte {})", frame.index, frame.offset);
            }
            Step::Wrong(frame, error) => {
                let word = match error.fault() {
                    Fault::Malformed => "malformed",
                    Fault::ProtocolError => "protocol_error",
                };
                write!(out, "{word} {error}")?;
                if frame.index > 1 {
                    write!(out, " in packet {} at byte {}", frame.index, frame.offset)?;
                }
                return writeln!(out);
            }
        }
    }
    write!(out, "ok {}", packets.len())?;
    for packet in packets {
        write!(out, " {packet}")?;
    }
    writeln!(out)
}
