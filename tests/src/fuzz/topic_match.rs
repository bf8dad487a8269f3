//! Topic names and filters against a second opinion, written to be obvious.

use tamtam_core::{FilterError, Text, TextError, TopicError, TopicFilter, TopicName};

use super::walk::walk_text;

const SHARE: &str = "$share/";

/// Reads a filter up to the first line feed and a topic behind it.
///
/// Both must be accepted or refused, and match or not, as the specification's own words say when
/// they are followed naively.
///
/// # Panics
/// If a property does not hold.
pub fn topic_match(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let filter = parts.next().unwrap_or_default();
    let topic = parts.next().unwrap_or_default();
    // Each as both, for whatever is wrong with one is interesting in the other.
    for bytes in [filter, topic] {
        check_text(bytes);
        check_name(bytes);
        check_filter(bytes);
    }
    if let (Ok(filter), Ok(topic)) = (TopicFilter::from_bytes(filter), TopicName::from_bytes(topic))
    {
        check_match(filter, topic);
    }
    if let Ok(topic) = TopicName::from_bytes(topic) {
        check_laws(topic);
    }
}

/// A string that MQTT can carry, by the standard library.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= 65_535 && !text.contains('\0')).then_some(text)
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['+', '#'])
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !has_wildcard(text)
}

/// The group's name, if it is a shared subscription, and the filter.
fn split_share(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix(SHARE) {
        Some(shared) => {
            let (name, filter) = shared.split_once('/').unwrap_or((shared, ""));
            (Some(name), filter)
        }
        None => (None, text),
    }
}

fn is_filter(text: &str) -> bool {
    let (group, filter) = split_share(text);
    let levels: Vec<&str> = filter.split('/').collect();
    let last = levels.len() - 1;
    let is_level = |(at, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => at == last,
        other => !has_wildcard(other),
    };
    // A shared filter is not shared once more.
    let plain = group.is_none() || !filter.starts_with("$share/");
    let legal = !filter.is_empty() && levels.iter().enumerate().all(is_level);
    group.is_none_or(is_name) && plain && legal
}

/// Level by level; `filter` is not shared.
fn matches_levels(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => matches_levels(filter, topic),
        ([want, filter @ ..], [level, topic @ ..]) => {
            want == level && matches_levels(filter, topic)
        }
        _ => false,
    }
}

fn matches_naively(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    matches_levels(&filter, &topic)
}

fn check_text(bytes: &[u8]) {
    match (Text::from_bytes(bytes), as_text(bytes)) {
        (Ok(text), Some(expected)) => {
            assert_eq!(text, expected);
            walk_text(text);
        }
        (Err(error), None) => check_text_error(error, bytes),
        (found, expected) => panic!("{found:?}, but {expected:?}"),
    }
}

/// That the error points at what it speaks of.
fn check_text_error(error: TextError, bytes: &[u8]) {
    assert!(!error.to_string().is_empty());
    match error {
        TextError::TooLong { length } => assert!(length > Text::MAX_LEN && length == bytes.len()),
        TextError::IllFormed { at } => {
            let found = std::str::from_utf8(bytes).map_err(|error| error.valid_up_to());
            assert_eq!(found, Err(at));
        }
        TextError::Null { at } => assert_eq!(bytes.iter().position(|byte| *byte == 0), Some(at)),
    }
}

fn check_name(bytes: &[u8]) {
    match (TopicName::from_bytes(bytes), as_text(bytes).filter(|text| is_name(text))) {
        (Ok(name), Some(expected)) => {
            assert_eq!(name, expected);
            assert_eq!((name.as_str(), name.as_bytes()), (expected, bytes));
            assert_eq!(name.to_string(), expected);
            assert_eq!(name.is_reserved(), expected.starts_with('$'));
            assert_eq!(name.levels(), expected.split('/').count());
            assert_eq!(TopicName::new(expected), Ok(name));
        }
        (Err(error), None) => {
            assert!(!error.to_string().is_empty());
            match error {
                TopicError::Empty => assert!(bytes.is_empty()),
                TopicError::Wildcard { at } => {
                    let first = bytes.iter().position(|byte| matches!(byte, b'+' | b'#'));
                    assert_eq!(first, Some(at));
                }
                TopicError::Text(error) => check_text_error(error, bytes),
            }
        }
        (found, expected) => panic!("{found:?}, but {expected:?}"),
    }
}

fn check_filter(bytes: &[u8]) {
    match (TopicFilter::from_bytes(bytes), as_text(bytes).filter(|text| is_filter(text))) {
        (Ok(filter), Some(expected)) => check_accepted(filter, expected),
        (Err(error), None) => {
            assert!(!error.to_string().is_empty());
            match error {
                FilterError::Empty => assert!(bytes.is_empty()),
                FilterError::MultiLevel { at } => assert_eq!(bytes.get(at), Some(&b'#')),
                FilterError::SingleLevel { at } => assert_eq!(bytes.get(at), Some(&b'+')),
                FilterError::ShareName
                | FilterError::ShareNameWildcard
                | FilterError::ShareWithoutFilter => {
                    assert!(bytes.starts_with(SHARE.as_bytes()));
                }
                FilterError::Text(error) => check_text_error(error, bytes),
            }
        }
        (found, expected) => panic!("{found:?}, but {expected:?}"),
    }
}

/// What a filter says of itself.
fn check_accepted(filter: TopicFilter<'_>, expected: &str) {
    let (group, inner) = split_share(expected);
    assert_eq!(filter, expected);
    assert_eq!((filter.as_str(), filter.to_string().as_str()), (expected, expected));
    assert_eq!(TopicFilter::new(expected), Ok(filter));
    assert_eq!(filter.levels(), expected.split('/').count());
    assert_eq!(filter.share_name().map(Text::as_str), group);
    assert_eq!(filter.inner(), inner);
    assert_eq!(filter.has_wildcards(), has_wildcard(inner));
    if group.is_none() {
        assert_eq!(filter.inner(), filter);
    }
}

fn check_match(filter: TopicFilter<'_>, topic: TopicName<'_>) {
    let expected = matches_naively(split_share(filter.as_str()).1, topic.as_str());
    assert_eq!(filter.matches(topic), expected, "{filter} and {topic}");
}

/// What holds for every topic that a filter can name; one that looks shared only wildcards reach.
fn check_laws(topic: TopicName<'_>) {
    let matched_by = |filter: &str| match TopicFilter::new(filter) {
        Ok(filter) => filter.matches(topic),
        Err(error) => panic!("{filter}: {error}"),
    };
    let name = topic.as_str();
    assert_eq!(matched_by("#"), !topic.is_reserved());
    assert_eq!(matched_by("+"), !topic.is_reserved() && topic.levels() == 1);
    // A topic that is as long as can be leaves no room for more.
    let is_long = name.len() > Text::MAX_LEN - "$share/g/".len();
    if is_long || split_share(&format!("{name}/")).0.is_some() {
        return;
    }
    assert!(matched_by(name));
    assert!(matched_by(&format!("$share/g/{name}")));
    assert!(matched_by(&format!("{name}/#")));
    assert!(!matched_by(&format!("{name}/+")));
    if let Some((first, rest)) = name.split_once('/') {
        let plus = rest.split('/').map(|_| "+").collect::<Vec<_>>().join("/");
        assert!(matched_by(&format!("{first}/#")));
        assert!(matched_by(&format!("{first}/{plus}")));
        assert!(!matched_by(&format!("{first}/{plus}/+")));
        assert!(!matched_by(&format!("{first}x/{plus}")));
    }
}
