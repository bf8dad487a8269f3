//! Bytes that wait to be written.

/// Above this capacity the memory is given back once all has been written.
const KEPT_BYTES: usize = 1024;

/// Bytes that wait to be written, of which a part may have been.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Outgoing {
    pub(crate) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.written)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to add to it.
    #[cfg(any(feature = "tls", feature = "websocket"))]
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        if self.written > 0 && self.written * 2 >= self.bytes.len() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        &mut self.bytes
    }

    pub(crate) fn wrote(&mut self, len: usize) {
        self.written = self.written.saturating_add(len).min(self.bytes.len());
        if self.is_empty() {
            self.written = 0;
            if self.bytes.capacity() > KEPT_BYTES {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_gone_and_large_memory_is_given_back() {
        let mut outgoing = Outgoing { bytes: vec![7; 5_000], written: 0 };
        outgoing.wrote(4_000);
        assert_eq!(outgoing.waiting(), [7; 1_000]);
        outgoing.wrote(10_000);
        assert!(outgoing.is_empty());
        assert_eq!(outgoing.bytes.capacity(), 0);
    }
}
