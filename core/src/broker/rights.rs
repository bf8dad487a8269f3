//! Who may publish and read what: sets of rules that many sessions share.
//!
//! A set is stored once, under a number of the host's; a session has the number. Whoever has none
//! may do everything. Of a set, the first rule that speaks of the topic decides; if none does, it
//! is denied, so an empty set allows nothing.

use super::session::SessionId;
use super::{Broker, filter_table};
use crate::storage::{Full, List, Pool, Storage};

/// A set of rules, by a number that the host chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RulesId(pub u32);

/// What a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Access {
    /// Receiving messages.
    Read = 1,
    /// Publishing messages.
    Write = 2,
    /// Both.
    ReadWrite = 3,
}

/// What a rule says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Permission {
    /// It may not be.
    Deny = 0,
    /// It may be.
    Allow = 1,
    /// The host is asked, each time: see [`Ask::Publish`](super::Ask::Publish) and
    /// [`Ask::Subscribe`](super::Ask::Subscribe). What was subscribed is sent without a question.
    ///
    /// A will that is due has no client that could wait: it is published if the host was asked
    /// about its CONNECT ([`Options::ask_connect`](super::Options::ask_connect)), which tells of
    /// it, and else it is not.
    Ask = 2,
}

/// One rule: whether topics that a filter matches may be read or written.
///
/// In the filter, `%c` stands for the client identifier and `%u` for the user's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// Which topics.
    pub filter: &'a str,
    /// What with them.
    pub access: Access,
    /// Whether that is allowed.
    pub permission: Permission,
}

impl<'a> Rule<'a> {
    /// A rule that allows.
    #[must_use]
    pub const fn allow(filter: &'a str, access: Access) -> Self {
        Self { filter, access, permission: Permission::Allow }
    }

    /// A rule that denies.
    #[must_use]
    pub const fn deny(filter: &'a str, access: Access) -> Self {
        Self { filter, access, permission: Permission::Deny }
    }

    /// A rule by which the host decides.
    #[must_use]
    pub const fn ask(filter: &'a str, access: Access) -> Self {
        Self { filter, access, permission: Permission::Ask }
    }
}

/// A set as the broker keeps it: its number, and its rules in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleSet {
    id: RulesId,
    run: u32,
    /// Whether any of them says that the host is asked.
    asks: bool,
}

impl<S: Storage> Broker<S> {
    /// Stores a set of rules; one of the same number is replaced, at once and for all who have it.
    ///
    /// # Errors
    /// [`Full`]: then the old set still holds.
    pub fn rules(&mut self, id: RulesId, rules: &[Rule<'_>]) -> Result<(), Full> {
        let entries = rules
            .iter()
            .map(|rule| ([rule.access as u8, rule.permission as u8], rule.filter.as_bytes()));
        let mut scratch = self.take_scratch();
        let written = filter_table::write(entries, &mut scratch);
        let stored = written.and_then(|()| {
            use crate::storage::Memory;
            self.rule_runs.insert(&[scratch.bytes()])
        });
        self.put_scratch(scratch);
        let run = stored?;
        let asks = rules.iter().any(|rule| rule.permission == Permission::Ask);
        let old = self.rule_sets.as_mut_slice().iter_mut().find(|set| set.id == id);
        match old {
            Some(set) => {
                let old = core::mem::replace(set, RuleSet { id, run, asks });
                self.rule_runs.remove(old.run);
                Ok(())
            }
            None => match self.rule_sets.push(RuleSet { id, run, asks }) {
                Ok(()) => Ok(()),
                Err(full) => {
                    self.rule_runs.remove(run);
                    Err(full)
                }
            },
        }
    }

    /// Whether a session may publish to a topic.
    pub(super) fn may_write(&self, id: SessionId, topic: &[u8]) -> Permission {
        self.decides(id, Access::Write, |pattern| matches(pattern, topic))
    }

    /// Whether its will may be published to a topic.
    pub(super) fn may_write_will(&self, id: SessionId, topic: &[u8]) -> bool {
        match self.may_write(id, topic) {
            Permission::Allow => true,
            Permission::Deny => false,
            Permission::Ask => self.options.ask_connect,
        }
    }

    /// Whether a session may be sent a message of a topic. What it was asked about, it has
    /// subscribed.
    #[inline]
    pub(super) fn may_read(&self, id: SessionId, topic: &[u8]) -> bool {
        self.decides(id, Access::Read, |pattern| matches(pattern, topic)) != Permission::Deny
    }

    /// Whether a session may read anything at all of what a filter asks for. What it may not, it is
    /// not sent. If there may be anything in it that the host decides, the host does.
    pub(super) fn may_subscribe(&self, id: SessionId, filter: &[u8]) -> Permission {
        if self.has_asking_rules(id) {
            let asks = |pattern: &Pattern<'_>| {
                pattern.permission == Permission::Ask && overlaps(pattern, filter)
            };
            if self.decides(id, Access::Read, asks) == Permission::Ask {
                return Permission::Ask;
            }
        }
        self.decides(id, Access::Read, |pattern| {
            pattern.permission == Permission::Allow && overlaps(pattern, filter)
        })
    }

    /// Whether any rule of a session says that the host is asked.
    pub(super) fn has_asking_rules(&self, id: SessionId) -> bool {
        let rules = self.session(id).and_then(|session| session.rules);
        let mut sets = self.rule_sets.as_slice().iter();
        rules.is_some_and(|rules| sets.any(|set| set.id == rules && set.asks))
    }

    /// The verdict of the first rule that speaks of it.
    #[inline]
    fn decides(
        &self,
        id: SessionId,
        access: Access,
        speaks: impl Fn(&Pattern<'_>) -> bool,
    ) -> Permission {
        let Some(session) = self.session(id) else { return Permission::Deny };
        let Some(rules) = session.rules else { return Permission::Allow };
        let set = self.rule_sets.as_slice().iter().find(|set| set.id == rules);
        let Some(set) = set else { return Permission::Deny };
        let client_id = self.names.get(session.name);
        let user = session.user.checked_sub(1).map_or(&[][..], |user| self.users.get(user));
        for ([kept, permission], filter) in filter_table::read(self.rule_runs.get(set.run)) {
            let permission = Permission::read(permission);
            let pattern = Pattern { filter, client_id, user, permission };
            if kept & access as u8 != 0 && speaks(&pattern) {
                return permission;
            }
        }
        Permission::Deny
    }
}

impl Permission {
    const fn read(byte: u8) -> Self {
        match byte {
            1 => Self::Allow,
            2 => Self::Ask,
            _ => Self::Deny,
        }
    }
}

/// The filter of a rule, and who it is applied to.
struct Pattern<'a> {
    filter: &'a [u8],
    client_id: &'a [u8],
    user: &'a [u8],
    permission: Permission,
}

fn is_separator(byte: &u8) -> bool {
    *byte == b'/'
}

impl Pattern<'_> {
    /// Whether a level of the pattern, with its names put in, is this text. A name that holds a
    /// separator or a wildcard can't widen a rule: it would have to be one level.
    fn level_is(&self, mut pattern: &[u8], mut text: &[u8]) -> bool {
        while let Some((first, rest)) = pattern.split_first() {
            let (wanted, behind) = match (first, rest) {
                (b'%', [b'c', behind @ ..]) => (self.client_id, behind),
                (b'%', [b'u', behind @ ..]) => (self.user, behind),
                _ => (core::slice::from_ref(first), rest),
            };
            match text.strip_prefix(wanted) {
                Some(left) => text = left,
                None => return false,
            }
            pattern = behind;
        }
        text.is_empty()
    }
}

/// Whether a topic is one of the pattern's.
fn matches(pattern: &Pattern<'_>, topic: &[u8]) -> bool {
    if topic.first() == Some(&b'$') && matches!(pattern.filter, [b'+' | b'#', ..]) {
        return false;
    }
    let mut wanted = pattern.filter.split(is_separator);
    let mut given = topic.split(is_separator);
    loop {
        match (wanted.next(), given.next()) {
            (Some(b"#"), _) | (None, None) => return true,
            (Some(b"+"), Some(_)) => {}
            (Some(want), Some(level)) if pattern.level_is(want, level) => {}
            _ => return false,
        }
    }
}

/// Whether there may be a topic that is one of the pattern's and of the filter's.
fn overlaps(pattern: &Pattern<'_>, filter: &[u8]) -> bool {
    let mut ours = pattern.filter.split(is_separator);
    let mut theirs = filter.split(is_separator);
    loop {
        match (ours.next(), theirs.next()) {
            (Some(b"#"), _) | (_, Some(b"#")) | (None, None) => return true,
            (Some(b"+"), Some(_)) | (Some(_), Some(b"+")) => {}
            (Some(want), Some(level)) if pattern.level_is(want, level) => {}
            _ => return false,
        }
    }
}
