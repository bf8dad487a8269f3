//! The access file of mosquitto.
//!
//! ```text
//! topic read news/#            for clients without a name, up to the first `user`
//! user alice                   from here on for alice
//! topic readwrite alice/#
//! topic deny alice/secret
//! pattern write %u/%c/status   for everybody, wherever it stands
//! topic ask alice/door         whoever embeds the broker is asked: mosquitto does not have this
//! ```

use tamtam_core::TopicFilter;

use super::{Permission, Rules, Whom};
use crate::config::nearest;

/// Reads the text of a file; every wrong line with its number.
pub(super) fn parse(text: &str) -> Result<Rules, Vec<(usize, String)>> {
    let mut rules = Rules::default();
    let mut wrong = Vec::new();
    let mut whom = Whom::Anonymous;
    for (index, line) in text.lines().enumerate() {
        if let Err(what) = read(line, &mut whom, &mut rules) {
            wrong.push((index + 1, what));
        }
    }
    if wrong.is_empty() { Ok(rules) } else { Err(wrong) }
}

fn read(line: &str, whom: &mut Whom, rules: &mut Rules) -> Result<(), String> {
    let line = line.trim_end_matches('\r');
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim();
    match word {
        "user" if rest.is_empty() => Err("`user` needs a name behind it".to_owned()),
        "user" => {
            *whom = Whom::User(rest.to_owned());
            Ok(())
        }
        "topic" => rule(rest, whom.clone(), rules),
        "pattern" => rule(rest, Whom::Everybody, rules),
        _ => {
            let near = nearest(word, ["user", "topic", "pattern"]);
            let near = near.map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default();
            Err(format!("a line begins with user, topic, pattern or #, not with `{word}`{near}"))
        }
    }
}

/// `[read|write|readwrite|deny|ask] filter`. A filter may hold spaces.
fn rule(rest: &str, whom: Whom, rules: &mut Rules) -> Result<(), String> {
    let permission = rest
        .split_once([' ', '\t'])
        .and_then(|(word, filter)| Some((Permission::from_word(word)?, filter.trim_start())));
    let (permission, filter) = match permission {
        Some(found) => found,
        None if Permission::from_word(rest).is_some() => {
            return Err(format!("there is no topic behind `{rest}`"));
        }
        None => match rest.split_once([' ', '\t']) {
            // mosquitto takes this for an unknown permission, too.
            Some((word, _)) => {
                let words = Permission::WORDS.map(|row| row.0).join(", ");
                return Err(format!("`{word}` is not one of {words}"));
            }
            None => (Permission::ReadWrite, rest),
        },
    };
    TopicFilter::new(filter).map_err(|error| format!("topic `{filter}`: {error}"))?;
    rules.lines.push((whom, filter.to_owned(), permission));
    Ok(())
}
