//! Faults: whatever stands between the broker and its lines or its store may rewrite, drop, double
//! or forge what passes, so that the oracle has something to find.

use crate::wire::Packet;

/// Meddles with what passes. The oracle sees what clients really said, and what really leaves.
pub trait Meddler {
    /// What the broker is handed instead of a packet that came on a line.
    fn up(&mut self, _line: usize, packet: Packet) -> Vec<Packet> {
        vec![packet]
    }

    /// What leaves instead of a packet of the broker's, and where.
    fn down(&mut self, line: usize, packet: Packet) -> Vec<(usize, Packet)> {
        vec![(line, packet)]
    }

    /// What the store keeps instead of a record.
    fn record(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        vec![bytes.to_vec()]
    }

    /// Whether the broker is told that a ticket is kept before it is.
    fn hurries(&mut self) -> bool {
        false
    }

    /// A line opened, or is gone.
    fn line(&mut self, _line: usize, _name: &str, _open: bool) {}
}
