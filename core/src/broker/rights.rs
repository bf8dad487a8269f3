//! Who may publish and read what: sets of rules that many sessions share.
//!
//! A set is stored once, under a number of the host's; a session has the number. Whoever has none
//! may do everything. Of a set, the first rule that speaks of the topic decides; if none does, it
//! is denied, so an empty set allows nothing.

use super::rule_index::SAID;
use super::session::SessionId;
use super::topic_tree::FilterId;
use super::{Broker, filter_table};
use crate::storage::{Full, List, Memory, Pool, Storage, copy};

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
    /// Where they are in the tree of rules, if they are many.
    tree: Option<(u32, FilterId)>,
}

impl<S: Storage> Broker<S> {
    /// Stores a set of rules; one of the same number is replaced, at once and for all who have it.
    ///
    /// # Errors
    /// [`Full`]: then the old set still holds.
    pub fn rules(&mut self, id: RulesId, rules: &[Rule<'_>]) -> Result<(), Full> {
        let entries = rules.iter().map(|rule| {
            ([rule.access as u8, rule.permission as u8, 0, 0, 0, 0], rule.filter.as_bytes())
        });
        let mut scratch = self.take_scratch();
        let stored = filter_table::write(entries, &mut scratch).and_then(|()| {
            let tree = self.index_rules(rules, scratch.bytes_mut());
            match self.rule_runs.insert(&[scratch.bytes()]) {
                Ok(run) => Ok((run, tree)),
                Err(full) => {
                    self.unindex_rules(tree, scratch.bytes());
                    Err(full)
                }
            }
        });
        self.put_scratch(scratch);
        let (run, tree) = stored?;
        let asks = rules.iter().any(|rule| rule.permission == Permission::Ask);
        let new = RuleSet { id, run, asks, tree };
        match self.place_of_rules(id) {
            Ok(at) => {
                let place = self.rule_sets.as_mut_slice().get_mut(at);
                if let Some(old) = place.map(|place| core::mem::replace(place, new)) {
                    self.forget_rules(&old);
                }
                Ok(())
            }
            Err(at) => self.rule_sets.insert(at, new).inspect_err(|_| self.forget_rules(&new)),
        }
    }

    /// Where a set is among the others, or would be.
    fn place_of_rules(&self, id: RulesId) -> Result<usize, usize> {
        self.rule_sets.as_slice().binary_search_by_key(&id.0, |set| set.id.0)
    }

    fn rules_of(&self, id: RulesId) -> Option<&RuleSet> {
        self.rule_sets.as_slice().get(self.place_of_rules(id).ok()?)
    }

    fn forget_rules(&mut self, set: &RuleSet) {
        let mut scratch = self.take_scratch();
        let run = self.rule_runs.get(set.run);
        if set.tree.is_some() && scratch.resize(run.len()).is_ok() {
            copy(scratch.bytes_mut(), run);
            self.unindex_rules(set.tree, scratch.bytes());
        }
        self.put_scratch(scratch);
        self.rule_runs.remove(set.run);
    }

    /// Whether a session may publish to a topic.
    pub(super) fn may_write(&self, id: SessionId, topic: &[u8]) -> Permission {
        self.decides(id, Access::Write, Some(topic), |pattern| matches(pattern, topic))
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
        let what = self.decides(id, Access::Read, Some(topic), |pattern| matches(pattern, topic));
        what != Permission::Deny
    }

    /// Whether a session may read anything at all of what a filter asks for. What it may not, it is
    /// not sent. If there may be anything in it that the host decides, the host does.
    pub(super) fn may_subscribe(&self, id: SessionId, filter: &[u8]) -> Permission {
        if self.has_asking_rules(id) {
            let asks = |pattern: &Pattern<'_>| {
                pattern.permission == Permission::Ask && overlaps(pattern, filter)
            };
            if self.decides(id, Access::Read, None, asks) == Permission::Ask {
                return Permission::Ask;
            }
        }
        self.decides(id, Access::Read, None, |pattern| {
            pattern.permission == Permission::Allow && overlaps(pattern, filter)
        })
    }

    /// Whether any rule of a session says that the host is asked.
    pub(super) fn has_asking_rules(&self, id: SessionId) -> bool {
        let rules = self.session(id).and_then(|session| session.rules);
        rules.and_then(|rules| self.rules_of(rules)).is_some_and(|set| set.asks)
    }

    /// The verdict of the first rule that speaks of it; if it is a topic, of this one.
    #[inline]
    fn decides(
        &self,
        id: SessionId,
        access: Access,
        topic: Option<&[u8]>,
        speaks: impl Fn(&Pattern<'_>) -> bool,
    ) -> Permission {
        let Some(session) = self.session(id) else { return Permission::Deny };
        let Some(rules) = session.rules else { return Permission::Allow };
        let Some(set) = self.rules_of(rules) else { return Permission::Deny };
        let client_id = self.names.get(session.name);
        let user = session.user.checked_sub(1).map_or(&[][..], |user| self.users.get(user));
        let said = |[kept, permission, ..]: &[u8; SAID], filter: &[u8]| {
            let permission = Permission::read(*permission);
            let pattern = Pattern { filter, client_id, user, permission };
            (kept & access as u8 != 0 && speaks(&pattern)).then_some(permission)
        };
        let table = self.rule_runs.get(set.run);
        if let (Some((_, under)), Some(topic)) = (set.tree, topic)
            && let Ok(first) = self.first_rule(under, table, topic, said)
        {
            return first.unwrap_or(Permission::Deny);
        }
        let mut all = filter_table::read(table);
        all.find_map(|(words, filter)| said(&words, filter)).unwrap_or(Permission::Deny)
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
