//! Topics of clients that have a world of their own: what stands before them is put there when they
//! come in, and taken away when they go out.

use super::Broker;
use super::limits::{LimitsAt, mount_point};
use super::session::SessionId;
use crate::storage::{Full, Memory, Storage};
use crate::types::TopicFilter;

/// The longest topic or filter, in bytes.
const MOST: usize = 65_535;

impl<S: Storage> Broker<S> {
    fn mount(&self, at: LimitsAt) -> &[u8] {
        mount_point(&self.limit_sets, &self.rule_runs, at)
    }

    /// Whether something stands before the topics of a client.
    pub(super) fn is_mounted(&self, at: LimitsAt) -> bool {
        !self.mount(at).is_empty()
    }

    /// How many levels stand before the topics of a session.
    pub(super) fn levels_before(&self, id: SessionId) -> usize {
        let mount = self.mount(self.session(id).map_or(0, |session| session.limits));
        mount.iter().filter(|byte| **byte == b'/').count()
    }

    /// Takes the memory for whole topics out.
    pub(super) fn take_mounted(&mut self) -> S::Aliases {
        let mut memory = core::mem::replace(&mut self.mounted, S::Aliases::EMPTY);
        memory.set_limit(usize::MAX);
        memory
    }

    /// The whole topic of one that a client said.
    ///
    /// # Errors
    /// There is no room for it, or it would be too long.
    pub(super) fn mount_topic<'t>(
        &self,
        at: LimitsAt,
        topic: &'t [u8],
        memory: &'t mut S::Aliases,
    ) -> Result<&'t [u8], Full> {
        match self.mount(at) {
            [] => Ok(topic),
            mount => join(&[mount, topic], memory),
        }
    }

    /// The whole filter of one that a client said; a group's name stays in front.
    ///
    /// # Errors
    /// As [`mount_topic`](Self::mount_topic).
    pub(super) fn mount_filter<'t>(
        &self,
        at: LimitsAt,
        filter: TopicFilter<'t>,
        memory: &'t mut S::Aliases,
    ) -> Result<TopicFilter<'t>, Full> {
        let mount = self.mount(at);
        if mount.is_empty() {
            return Ok(filter);
        }
        let (whole, inner) = (filter.as_bytes(), filter.inner().as_bytes());
        let group = whole.len().saturating_sub(inner.len());
        let group = whole.get(..group).unwrap_or_default();
        join(&[group, mount, inner], memory).map(TopicFilter::trusted)
    }
}

fn join<'m>(parts: &[&[u8]], memory: &'m mut impl Memory) -> Result<&'m [u8], Full> {
    let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    if len > MOST {
        return Err(Full);
    }
    memory.resize(len)?;
    let mut rest = memory.bytes_mut();
    for part in parts {
        let (to, behind) = rest.split_at_mut_checked(part.len()).ok_or(Full)?;
        to.copy_from_slice(part);
        rest = behind;
    }
    Ok(memory.bytes())
}
