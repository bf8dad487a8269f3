//! Holds the decoder against those of two other crates: packets as the encoder writes them, half
//! of them with a byte changed.
//!
//! ```text
//! cargo run --release --manifest-path fuzz/differential/Cargo.toml -- [ROUNDS] [SEED]
//! ```
//!
//! What ours takes, the others must take and write again as the same packet; what ours refuses and
//! both of them take must be refused for a reason that was looked at. All else fails, but for the
//! faults of theirs in [`FAULTS`].

mod peers;
mod same;

use std::collections::BTreeMap;
use std::process::ExitCode;

use peers::{PEERS, Peer, Read};
use same::same;
use tamtam_core::{DecodeError, Packet, PacketType, Sender, Sin, Version};

/// What is wrong with the others: who, and how the outcome begins.
const FAULTS: [(&str, &str); 12] = [
    // An empty user name or password is not the same as none.
    ("mqttbytes", "3.1.1 Connect differs"),
    ("mqttbytes", "5.0 Connect differs"),
    // A password, or the text of a will, need not be UTF-8.
    ("mqttbytes", "3.1.1 Connect is refused: TopicNotUtf8"),
    ("mqttbytes", "5.0 Connect is refused: TopicNotUtf8"),
    ("mqttbytes", "3.1.1 Connect is written wrong: PasswordWithoutUserName"),
    // Of several subscription identifiers it keeps one.
    ("mqttbytes", "5.0 Publish differs"),
    // It does not know AUTH, nor a DISCONNECT without reason code or properties.
    ("mqttbytes", "5.0 Auth is refused"),
    ("mqttbytes", "5.0 Disconnect is refused"),
    // It writes a CONNACK of 5.0 without the length of no properties.
    ("mqttbytes", "5.0 ConnAck is written wrong: Truncated"),
    // An empty identifier with a kept session is refused by CONNACK, it is not malformed.
    ("rmqtt-codec", "Connect is refused: InvalidClientId"),
    // A message may expire at once.
    ("rmqtt-codec", "5.0 Publish is refused: MalformedPacket"),
    // An AUTH of success without properties may be left out, AUTH with a length of none may not.
    ("rmqtt-codec", "5.0 Auth is written wrong: AuthenticationMethod"),
];

/// Why ours is right to refuse what both others take.
const RIGHTLY: [Sin; 21] = [
    Sin::NullInText,
    Sin::TrailingBytes,
    Sin::DupAtQoS0,
    Sin::LengthNotMinimal,
    Sin::SingleLevelWildcard,
    Sin::MultiLevelWildcard,
    Sin::WildcardInTopic,
    Sin::SubscriptionOptions,
    Sin::PasswordWithoutUserName,
    Sin::PropertyValue,
    Sin::ReasonCode,
    Sin::NoReasonCode,
    Sin::PropertyFromWrongSender,
    Sin::EmptyTopic,
    Sin::ShareName,
    Sin::ShareNameWildcard,
    Sin::ShareWithoutFilter,
    Sin::NoLocalOnShared,
    Sin::AuthenticationData,
    Sin::SessionPresentOnError,
    Sin::WildcardInResponseTopic,
];

/// How often each outcome came, and the first packet of each.
type Outcomes = BTreeMap<String, (u64, Vec<u8>)>;

/// Numbers that follow from a seed: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as usize
    }
}

fn draw(random: &mut Random) -> Option<(Version, Vec<u8>)> {
    let len = 8 + random.next() % 120;
    let mut seed: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
    let version = if random.next().is_multiple_of(3) { Version::V311 } else { Version::V5 };
    seed[0] = if version == Version::V5 { 2 } else { 1 };
    let mut frame = tamtam_tests::fuzz::encoded(&seed)?;
    if random.next().is_multiple_of(2) {
        let at = random.next() % frame.len();
        frame[at] = random.next() as u8;
    }
    Some((version, frame))
}

/// What ours makes of it, whoever sends it.
fn ours(version: Version, frame: &[u8]) -> Result<Option<(Packet<'_>, Sender)>, DecodeError> {
    let by = |sender| {
        let read = Packet::decode(&mut &frame[..], version, sender);
        read.map(|read| read.map(|packet| (packet, sender)))
    };
    by(Sender::Client).or_else(|error| by(Sender::Server).map_err(|other| worse(error, other)))
}

/// Of two errors, the one that is not about the sender.
fn worse(error: DecodeError, other: DecodeError) -> DecodeError {
    if other.offset > error.offset { other } else { error }
}

/// The outcome of a packet that ours takes: empty, if the peer sees it as we do.
fn compare(packet: &Packet<'_>, sender: Sender, version: Version, read: Read) -> String {
    let kind = packet.packet_type();
    match read {
        Read::As(bytes) => match Packet::decode(&mut &bytes[..], version, sender) {
            Ok(Some(again)) if same(packet, &again) => String::new(),
            Ok(Some(_)) => format!("{version} {kind:?} differs"),
            Ok(None) => format!("{version} {kind:?} is written short"),
            Err(error) => format!("{version} {kind:?} is written wrong: {:?}", error.sin),
        },
        Read::Refused(why) => format!("{version} {kind:?} is refused: {why}"),
        Read::Mute(why) => format!("{version} {kind:?} can't be written: {why}"),
        Read::Panicked => format!("{version} {kind:?} makes it panic"),
    }
}

/// Whether this is left out: mqttbytes prints every UNSUBSCRIBE of 5.0 that it reads.
fn is_noisy(peer: &Peer, version: Version, frame: &[u8]) -> bool {
    peer.name == "mqttbytes" && version == Version::V5 && frame[0] >> 4 == 10
}

fn round(version: Version, frame: &[u8], note: &mut impl FnMut(&str, String)) {
    let ours = ours(version, frame);
    let mut takers = 0;
    for peer in &PEERS {
        if is_noisy(peer, version, frame) {
            continue;
        }
        let read = peer.read(version, frame);
        match &ours {
            Ok(Some((packet, sender))) => note(peer.name, compare(packet, *sender, version, read)),
            _ => takers += usize::from(matches!(read, Read::As(_) | Read::Mute(_))),
        }
    }
    if let Err(DecodeError { sin, .. }) = ours
        && takers == PEERS.len()
    {
        let kind = PacketType::of(frame[0]);
        note(if RIGHTLY.contains(&sin) { "right" } else { "ours" }, format!("{kind:?}: {sin:?}"));
    }
}

fn is_excused(who: &str, outcome: &str) -> bool {
    let known = |fault: &(&str, &str)| fault.0 == who && outcome.contains(fault.1);
    outcome.is_empty() || who == "right" || FAULTS.iter().any(known)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let rounds = arguments.next().unwrap_or(1_000_000_u64);
    let mut random = Random(arguments.next().unwrap_or(0x9E37_79B9_7F4A_7C15));
    std::panic::set_hook(Box::new(|_| {}));
    let mut outcomes = Outcomes::new();
    for _ in 0..rounds {
        let Some((version, frame)) = draw(&mut random) else { continue };
        round(version, &frame, &mut |who, outcome| {
            let key = format!("{who}: {outcome}");
            outcomes.entry(key).or_insert_with(|| (0, frame.clone())).0 += 1;
        });
    }
    let mut findings = 0;
    for (key, (count, frame)) in &outcomes {
        let (who, outcome) = key.split_once(": ").unwrap_or((key, ""));
        if is_excused(who, outcome) {
            println!("{count:9} {who}: {}", if outcome.is_empty() { "agrees" } else { outcome });
        } else {
            findings += 1;
            println!("{count:9} FINDING {key}, as {:02X?}", &frame[..frame.len().min(200)]);
        }
    }
    println!("{rounds} rounds, {findings} findings");
    ExitCode::from(u8::from(findings > 0 || outcomes.is_empty()))
}
