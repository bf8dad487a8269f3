//! A client's store: keeps the records of a session, after a while, and survives what the client
//! does not.

use tamtam_core::client::Record;

/// Records that are kept, and those that are only on their way.
#[derive(Clone, Debug, Default)]
pub struct Store {
    kept: Vec<Vec<u8>>,
    pending: Vec<Vec<u8>>,
}

impl Store {
    /// Takes a record, as bytes.
    ///
    /// # Panics
    /// If it does not say how long it is, or is not read back as it was.
    pub fn hand(&mut self, record: Record<'_>) {
        let mut bytes = vec![0; record.len()];
        assert_eq!(record.write(&mut bytes), Some(record.len()));
        assert_eq!(Record::read(&bytes), Ok(record));
        self.pending.push(bytes);
    }

    /// Whether something is on its way.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// All that is on its way is kept.
    pub fn keep(&mut self) {
        for bytes in std::mem::take(&mut self.pending) {
            match Record::read(&bytes).expect("was checked") {
                Record::Reset => self.kept.clear(),
                Record::Settled(id) => {
                    self.drop_of(|record| match record {
                        Record::Publish(packet) => packet_id(packet) == id.get(),
                        Record::Release(other) => other == id,
                        _ => false,
                    });
                }
                Record::Forgotten(id) => self.drop_of(|record| record == Record::Received(id)),
                Record::Publish(packet) => {
                    let id = packet_id(packet);
                    // What comes twice, as it came and in a copy, keeps its place.
                    let same = |kept: &&mut Vec<u8>| match Record::read(kept) {
                        Ok(Record::Publish(other)) => packet_id(other) == id,
                        _ => false,
                    };
                    match self.kept.iter_mut().find(same) {
                        Some(kept) => *kept = bytes,
                        None => self.kept.push(bytes),
                    }
                }
                _ if self.kept.contains(&bytes) => {}
                _ => self.kept.push(bytes),
            }
        }
    }

    fn drop_of(&mut self, is_it: impl Fn(Record<'_>) -> bool) {
        self.kept.retain(|bytes| !is_it(Record::read(bytes).expect("was checked")));
    }

    /// What is on its way is lost.
    pub fn crash(&mut self) {
        self.pending.clear();
    }

    /// What is kept.
    pub fn kept(&self) -> impl Iterator<Item = Record<'_>> {
        self.kept.iter().map(|bytes| Record::read(bytes).expect("was checked"))
    }
}

/// The identifier in a PUBLISH above QoS 0.
fn packet_id(packet: &[u8]) -> u16 {
    let header = packet[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 2;
    let topic = usize::from(packet[header]) << 8 | usize::from(packet[header + 1]);
    let at = header + 2 + topic;
    u16::from(packet[at]) << 8 | u16::from(packet[at + 1])
}
