//! Who may read and write what: rules of a file as mosquitto has it and of the configuration, made
//! into the sets that the core decides by.
//!
//! A client's own rules come before those for everybody, and among each the denials come first:
//! the order in which mosquitto asks. Behind the denials come those that mosquitto has not, by
//! which whoever embeds the broker is asked. What no rule speaks of is denied, so an empty file
//! allows nothing. A topic that begins with `$` is meant only by a rule that begins with `$`.

mod acl;

use std::collections::BTreeMap;

use tamtam_core::broker::{Access, Rule, RulesId};

use crate::config::{RuleLine, Value};

/// What a rule says of its topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Permission {
    /// They may be subscribed to and received.
    Read,
    /// They may be published to.
    Write,
    /// Both.
    #[default]
    ReadWrite,
    /// Neither, whatever other rules say.
    Deny,
    /// Whoever embeds the broker is asked each time, whatever rules allow:
    /// [`Hooks::access`](crate::Hooks::access).
    Ask,
}

impl Permission {
    const WORDS: [(&'static str, Self); 5] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("readwrite", Self::ReadWrite),
        ("deny", Self::Deny),
        ("ask", Self::Ask),
    ];

    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|row| row.0 == word).map(|row| row.1)
    }

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|row| row.1 == self).map_or("", |row| row.0)
    }
}

impl Value for Permission {
    const EXPECTS: &'static str = "read|write|readwrite|deny|ask";

    fn read(text: &str, _: &std::path::Path) -> Result<Self, String> {
        let what = || format!("`{text}` is not one of {}", Self::EXPECTS);
        Self::from_word(text).ok_or_else(what)
    }

    fn show(&self) -> String {
        format!("{:?}", self.word())
    }
}

/// Whom a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Anonymous,
    User(String),
    Everybody,
}

/// Every rule there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    lines: Vec<(Whom, String, Permission)>,
}

impl Rules {
    /// Reads an access file as mosquitto has it.
    ///
    /// # Errors
    /// Each line that can't be read, with its number and why.
    pub fn parse_acl(text: &str) -> Result<Self, Vec<(usize, String)>> {
        acl::parse(text)
    }

    /// Adds the rules of a configuration.
    pub fn extend(&mut self, lines: &[RuleLine]) {
        self.lines.extend(lines.iter().map(|line| {
            let whom = match line.user.as_deref() {
                None => Whom::Everybody,
                Some("") => Whom::Anonymous,
                Some(user) => Whom::User(user.to_owned()),
            };
            (whom, line.topic.clone(), line.access)
        }));
    }

    /// Whether there are rules for users by their names.
    #[must_use]
    pub fn name_users(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.0, Whom::User(_)) || line.1.contains("%u"))
    }

    /// The set of one client's rules, in the order in which they decide.
    fn set(&self, whom: &Whom) -> Vec<Rule<'_>> {
        let mut set = Vec::new();
        for owner in [whom, &Whom::Everybody] {
            let mine = || self.lines.iter().filter(|line| line.0 == *owner);
            let rank = |line: &&(Whom, String, Permission)| match line.2 {
                Permission::Deny => 0,
                Permission::Ask => 1,
                _ => 2,
            };
            let ranked = |wanted| mine().filter(move |line| rank(line) == wanted);
            for (_, filter, permission) in (0..3).flat_map(ranked) {
                // Who has no name can't be meant by it.
                if *whom == Whom::Anonymous && filter.contains("%u") {
                    continue;
                }
                set.push(match permission {
                    Permission::Read => Rule::allow(filter, Access::Read),
                    Permission::Write => Rule::allow(filter, Access::Write),
                    Permission::ReadWrite => Rule::allow(filter, Access::ReadWrite),
                    Permission::Deny => Rule::deny(filter, Access::ReadWrite),
                    Permission::Ask => Rule::ask(filter, Access::ReadWrite),
                });
            }
        }
        set
    }
}

/// The sets as the core has them: which user has which number. Numbers never change their owner, so
/// that sets can be replaced while the broker runs.
#[derive(Debug)]
pub struct RuleSets {
    rules: Option<Rules>,
    numbers: BTreeMap<String, u32>,
}

impl RuleSets {
    const ANONYMOUS: u32 = 0;
    const EVERYBODY: u32 = 1;
    const FIRST_USER: u32 = 2;

    /// With these rules; with `None` everything is allowed.
    #[must_use]
    pub fn new(rules: Option<Rules>) -> Self {
        let mut sets = Self { rules: None, numbers: BTreeMap::new() };
        sets.replace(rules);
        sets
    }

    /// Other rules, from now on. To be followed by storing [`RuleSets::each`] anew.
    pub fn replace(&mut self, rules: Option<Rules>) {
        self.rules = rules;
        for (whom, ..) in self.rules.iter().flat_map(|rules| &rules.lines) {
            if let Whom::User(user) = whom
                && !self.numbers.contains_key(user)
            {
                let next = Self::FIRST_USER.saturating_add(self.numbers.len() as u32);
                self.numbers.insert(user.clone(), next);
            }
        }
    }

    /// The set of a user; of clients without a name for `None`. There is none if everything is
    /// allowed.
    #[must_use]
    pub fn of(&self, user: Option<&str>) -> Option<RulesId> {
        self.rules.as_ref()?;
        let number = match user {
            None => Self::ANONYMOUS,
            Some(user) => self.numbers.get(user).copied().unwrap_or(Self::EVERYBODY),
        };
        Some(RulesId(number))
    }

    /// Shows every set that is to be stored in the core, with its number.
    pub fn each(&self, mut show: impl FnMut(RulesId, &[Rule<'_>])) {
        let everything =
            ["#", "$SYS/#"].map(|filter| Rule::allow(filter, Access::ReadWrite)).to_vec();
        let unnamed = Whom::User(String::new());
        let fixed = [(Self::ANONYMOUS, Whom::Anonymous), (Self::EVERYBODY, unnamed)];
        let users = self.numbers.iter().map(|(user, number)| (*number, Whom::User(user.clone())));
        for (number, whom) in fixed.into_iter().chain(users) {
            match &self.rules {
                Some(rules) => show(RulesId(number), &rules.set(&whom)),
                None => show(RulesId(number), &everything),
            }
        }
    }
}

#[cfg(test)]
mod tests;
