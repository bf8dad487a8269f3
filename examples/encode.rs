//! Writes one message as each version of MQTT sends it, into memory of our own.

use std::error::Error;

use tamtam_core::{Delivery, Packet, PacketId, Publish, TopicName, Version};

fn main() -> Result<(), Box<dyn Error>> {
    let mut message = Publish::new(TopicName::new("room/7/temperature")?, b"21.5");
    message.retain = true;
    message.delivery = Delivery::AtLeastOnce { packet_id: PacketId::MIN, dup: false };
    let packet = Packet::Publish(message);

    let mut memory = [0; 64];
    for &version in Version::ALL {
        let length = packet.encode(version, &mut memory)?;
        println!("MQTT {version}: {:02X?}", &memory[..length]);
    }

    // What MQTT does not allow can't be built.
    assert!(TopicName::new("room/+/temperature").is_err());
    Ok(())
}
