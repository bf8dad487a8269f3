//! An engine without a disk: what it keeps ends with the process.

use std::collections::BTreeMap;

use crate::{Engine, Failure, Findings, Group};

/// Keeps records in memory: for tests, and as the plainest example of an [`Engine`].
#[derive(Clone, Debug, Default)]
pub struct Memory {
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Memory {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl Engine for Memory {
    fn load(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Findings, Failure> {
        for value in self.kept.values() {
            each(value);
        }
        Ok(Findings::default())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.kept.get(key).cloned())
    }

    fn commit(&mut self, group: &Group, _: bool) -> Result<(), Failure> {
        if group.begins_again() {
            self.kept.clear();
        }
        for prefix in group.gone() {
            self.kept.retain(|key, _| !key.starts_with(prefix));
        }
        for (key, value) in group.changes() {
            match value {
                Some(value) => self.kept.insert(key.to_vec(), value.to_vec()),
                None => self.kept.remove(key),
            };
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
