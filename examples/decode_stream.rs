//! Takes packets from a stream that arrives in pieces, as a server does: CONNECT says which version
//! follows, a length that is too much is refused before its bytes are kept, an error names its
//! clause.

use std::error::Error;
use std::io::Read;

use tamtam_core::{Connect, Packet, Sender, Version, frame_len};

/// The longest packet that is worth our memory, in bytes.
const LONGEST: usize = 1024;

/// CONNECT, a PUBLISH at QoS 1, and a PUBLISH to a topic that no message may have.
const WIRE: &[u8] = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3C\x00\x05lamp7\
    \x32\x10\x00\x0Aroom/7/set\x00\x01on\
    \x30\x08\x00\x06room/#";

fn main() -> Result<(), Box<dyn Error>> {
    let mut stream = WIRE; // any `Read`: a socket, a serial port, a file
    let mut memory = Vec::new();
    let mut version = None;
    loop {
        let mut piece = [0; 7];
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        memory.extend_from_slice(&piece[..length]);

        let mut input = &memory[..];
        if let Err(error) = take_packets(&mut input, &mut version) {
            println!("closing the connection: {error}");
            return Ok(());
        }
        let taken = memory.len() - input.len();
        memory.drain(..taken); // the beginning of a packet waits here for its end
    }
}

/// Takes every packet that is here as a whole.
fn take_packets(input: &mut &[u8], version: &mut Option<Version>) -> Result<(), Box<dyn Error>> {
    loop {
        let speaks = version.unwrap_or(Version::V5);
        if frame_len(input, speaks)?.is_some_and(|length| length > LONGEST) {
            return Err("a packet is too long".into());
        }
        if version.is_none() {
            let Some(connect) = Connect::decode(input)? else { return Ok(()) };
            println!("{} connects with MQTT {}", connect.client_id, connect.version);
            *version = Some(connect.version);
            continue;
        }
        match Packet::decode(input, speaks, Sender::Client)? {
            Some(Packet::Publish(message)) => println!("{message:?}"),
            Some(packet) => println!("{}", packet.packet_type()),
            None => return Ok(()),
        }
    }
}
