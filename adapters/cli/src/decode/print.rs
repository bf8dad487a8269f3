//! A stream of packets in print, for a person.

use std::io::{self, BufWriter, Write};

use tamtam_core::{Packet, PacketType, Sender};

use super::fault;
use super::quote::{Extent, are, as_text, count, digits, hex, quoted, write_rows};
use super::stream::{Frame, Step, Stream};
use super::value::Value;
use super::walk::{Part, walk};
use super::{Args, Failure, Verdict, input};

/// How many bytes of a field stand before its name; of a longer one there is one less.
const COLUMN: usize = 8;

/// Prints every packet of the input up to the first that is wrong or incomplete.
pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let input = input::bytes(args)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let extent = if args.all { Extent::All } else { Extent::Beginning };
    let page = Page { width: digits(input.len()), extent };
    let mut packets = 0_usize;
    for step in Stream::new(&input, args.version, args.from) {
        match step {
            Step::Packet(frame, packet) => page.packet(&mut out, frame, packet)?,
            Step::Incomplete(frame, needed) => {
                page.incomplete(&mut out, frame, needed)?;
                out.flush()?;
                return Ok(Verdict::Bad);
            }
            Step::Wrong(frame, error) => {
                heading(&mut out, frame, error.packet)?;
                fault::write(&mut out, &input, frame, &error)?;
                out.flush()?;
                return Ok(Verdict::Bad);
            }
        }
        packets = packets.saturating_add(1);
        writeln!(out)?;
    }
    writeln!(out, "valid: {} in {}", count(packets, "packet"), count(input.len(), "byte"))?;
    out.flush()?;
    Ok(Verdict::Good)
}

/// What all packets of an input have in common in print.
#[derive(Clone, Copy, Debug)]
struct Page {
    /// How wide the column of offsets is, in characters.
    width: usize,
    extent: Extent,
}

impl Page {
    fn packet<'a>(
        self,
        out: &mut impl Write,
        frame: Frame<'a>,
        packet: Packet<'a>,
    ) -> io::Result<()> {
        heading(out, frame, packet.packet_type())?;
        walk(frame, packet, |part| self.part(out, &part))
    }

    /// One field: offset, bytes, name, value.
    fn part(self, out: &mut impl Write, part: &Part<'_>) -> io::Result<()> {
        let Self { width, extent } = self;
        let column = COLUMN.saturating_mul(3).saturating_sub(1);
        let indent = if part.is_inner { "  " } else { "" };
        write!(out, "  {:>width$}  {:<column$}  ", part.offset, few(part.bytes))?;
        write!(out, "{indent}{}: ", part.name)?;
        match &part.value {
            Value::Words(words) => writeln!(out, "{words}"),
            Value::Text(text) => writeln!(out, "{}", quoted(text, extent)),
            Value::Pair(name, value) => {
                writeln!(out, "{} = {}", quoted(name, extent), quoted(value, extent))
            }
            Value::Bytes(bytes) => match as_text(bytes) {
                Some(text) => writeln!(out, "{}", quoted(text, extent)),
                None => {
                    writeln!(out, "{}, not text", count(bytes.len(), "byte"))?;
                    // The value is what stands last in the field.
                    let before = part.bytes.len().saturating_sub(bytes.len());
                    let offset = part.offset.saturating_add(before);
                    write_rows(out, "      ", offset, bytes, extent)
                }
            },
        }
    }

    /// A packet of which the end is not here.
    fn incomplete(
        self,
        out: &mut impl Write,
        frame: Frame<'_>,
        needed: Option<usize>,
    ) -> io::Result<()> {
        let here = frame.bytes.len();
        heading(out, frame, PacketType::of(frame.bytes.first().copied().unwrap_or_default()))?;
        write_rows(out, "  ", frame.offset, frame.bytes, self.extent)?;
        match needed {
            Some(needed) => writeln!(
                out,
                "incomplete: {} here, the packet takes {needed}; {} missing",
                are(here),
                are(needed.saturating_sub(here)),
            ),
            None => writeln!(
                out,
                "incomplete: {} here, and they end before the remaining length does",
                are(here),
            ),
        }
    }
}

/// Which packet it is, where, how long, from whom.
fn heading(out: &mut impl Write, frame: Frame<'_>, packet: PacketType) -> io::Result<()> {
    writeln!(
        out,
        "packet {}, byte {}, {}: {packet} from {}, MQTT {}",
        frame.index,
        frame.offset,
        count(frame.bytes.len(), "byte"),
        side(frame.sender),
        frame.version,
    )
}

/// The sender in words.
pub(crate) const fn side(sender: Sender) -> &'static str {
    match sender {
        Sender::Client => "a client",
        Sender::Server => "a server",
    }
}

/// The first bytes of a field in hex.
fn few(bytes: &[u8]) -> String {
    if bytes.len() <= COLUMN {
        return hex(bytes);
    }
    let start = bytes.get(..COLUMN.saturating_sub(1)).unwrap_or(bytes);
    format!("{} ..", hex(start))
}
