//! Topic names and filters: which strings are one, and which match.

use tamtam_core::{FilterError, TopicError, TopicFilter, TopicName};

use crate::support::*;

/// Every string of up to `longest` of these characters, shortest first.
fn strings(alphabet: &[u8], longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..longest {
        let to = all.len();
        for at in from..to {
            let longer = alphabet.iter().map(|c| format!("{}{}", all[at], char::from(*c)));
            all.extend(longer.collect::<Vec<_>>());
        }
        from = to;
    }
    all
}

/// Every sequence of one to `deepest` of these levels, joined.
fn paths(levels: &[&str], deepest: usize) -> Vec<String> {
    let mut all: Vec<String> = levels.iter().map(|level| (*level).to_owned()).collect();
    let mut from = 0;
    for _ in 1..deepest {
        let to = all.len();
        for at in from..to {
            let deeper = levels.iter().map(|level| format!("{}/{level}", all[at]));
            all.extend(deeper.collect::<Vec<_>>());
        }
        from = to;
    }
    all
}

/// The first wildcard that stands where it must not, judged by its neighbours.
fn misplaced(filter: &str) -> Option<FilterError> {
    let bytes = filter.as_bytes();
    (0..bytes.len()).find_map(|at| {
        let begins = at == 0 || bytes[at - 1] == b'/';
        let last = at + 1 == bytes.len();
        match bytes[at] {
            b'+' if !begins || !(last || bytes[at + 1] == b'/') => {
                Some(FilterError::SingleLevel { at })
            }
            b'#' if !begins || !last => Some(FilterError::MultiLevel { at }),
            _ => None,
        }
    })
}

// [MQTT5-4.7.1-1, MQTT3-4.7.1-2, MQTT5-4.7.1-2, MQTT3-4.7.1-3, MQTT5-4.7.3-1, MQTT3-4.7.3-1]
// [MQTT5-4.7.0-1, MQTT3-4.7.1-1]
#[test]
fn every_short_string_is_judged_as_filter_and_as_name() {
    for string in strings(b"a/+#$", 6) {
        let as_filter =
            if string.is_empty() { Some(FilterError::Empty) } else { misplaced(&string) };
        assert_eq!(TopicFilter::new(&string).err(), as_filter, "{string}");
        let as_name = match string.find(['+', '#']) {
            _ if string.is_empty() => Some(TopicError::Empty),
            at => at.map(|at| TopicError::Wildcard { at }),
        };
        assert_eq!(TopicName::new(&string).err(), as_name, "{string}");
    }
}

/// What is wrong with a filter that begins with `$share/`.
fn share_error(shared: &str) -> Option<FilterError> {
    let (name, inner) = shared.split_once('/').unwrap_or((shared, ""));
    let start = "$share/".len() + name.len() + 1;
    if name.is_empty() {
        Some(FilterError::ShareName)
    } else if name.contains(['+', '#']) {
        Some(FilterError::ShareNameWildcard)
    } else if inner.is_empty() {
        Some(FilterError::ShareWithoutFilter)
    } else {
        misplaced(inner).map(|error| match error {
            FilterError::MultiLevel { at } => FilterError::MultiLevel { at: at + start },
            FilterError::SingleLevel { at } => FilterError::SingleLevel { at: at + start },
            error => error,
        })
    }
}

// [MQTT5-4.8.2-1, MQTT5-4.8.2-2]
#[test]
fn every_short_shared_filter_is_judged() {
    for shared in strings(b"g/+#", 6) {
        let string = format!("$share/{shared}");
        match (TopicFilter::new(&string), share_error(&shared)) {
            (Err(error), Some(expected)) => assert_eq!(error, expected, "{string}"),
            (Ok(filter), None) => {
                let (name, inner) = shared.split_once('/').expect("a group");
                assert_eq!(filter.share_name(), Some(text(name)));
                assert_eq!(filter.inner(), TopicFilter::new(inner).expect("a filter"));
                assert_eq!(filter.has_wildcards(), inner.contains(['+', '#']));
                assert_eq!(filter, string.as_str());
            }
            (found, expected) => panic!("{string}: {found:?}, not {expected:?}"),
        }
    }
    for plain in ["$share", "share/g/a", "$SHARE/g/a", "$shared/g", "/$share/g/a", "$queue/a"] {
        let filter = filter(plain);
        assert_eq!((filter.share_name(), filter.inner()), (None, filter));
    }
}

/// Matching by its definition, level by level from the front.
fn matches(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        ([], []) | (["#"], _) => true,
        (["+", filter @ ..], [_, topic @ ..]) => matches(filter, topic),
        ([wanted, filter @ ..], [given, topic @ ..]) => wanted == given && matches(filter, topic),
        _ => false,
    }
}

#[test]
fn every_small_filter_matches_the_topics_that_it_should() {
    let topics: Vec<String> = paths(&["", "a", "b", "$x"], 4);
    let plain = paths(&["", "a", "b", "$x", "+"], 4);
    let multi = paths(&["", "a", "b", "$x", "+"], 3).into_iter().map(|path| path + "/#");
    let filters: Vec<String> = plain.into_iter().chain(multi).chain(["#".to_owned()]).collect();
    assert_eq!((topics.len(), filters.len()), (340, 936));
    let mut hits = 0;
    for wanted in filters.iter().filter(|filter| !filter.is_empty()) {
        let filter_levels: Vec<&str> = wanted.split('/').collect();
        let shared = format!("$share/group/{wanted}");
        let (plain, shared) = (filter(wanted), filter(&shared));
        for name in topics.iter().filter(|topic| !topic.is_empty()) {
            let topic_levels: Vec<&str> = name.split('/').collect();
            let passed_by = name.starts_with('$') && wanted.starts_with(['+', '#']);
            let expected = !passed_by && matches(&filter_levels, &topic_levels);
            assert_eq!(plain.matches(topic(name)), expected, "{wanted} and {name}");
            assert_eq!(shared.matches(topic(name)), expected, "{shared} and {name}");
            hits += usize::from(expected);
        }
    }
    assert!(hits > 5_000, "{hits} are too few to prove anything");
}

#[test]
fn the_examples_of_chapter_4_7_hold() {
    for (wanted, hits, misses) in [
        (
            "sport/tennis/player1/#",
            &["sport/tennis/player1", "sport/tennis/player1/ranking"] as &[&str],
            &["sport/tennis/player2", "sport/tennis"] as &[&str],
        ),
        ("sport/tennis/player1/#", &["sport/tennis/player1/score/wimbledon"], &[]),
        ("sport/#", &["sport", "sport/", "sport/a/b"], &["sports", "/sport"]),
        ("#", &["a", "/", "a/b/c", "/finance"], &["$SYS", "$SYS/monitor/Clients"]),
        (
            "sport/tennis/+",
            &["sport/tennis/player1", "sport/tennis/player2"],
            &["sport/tennis/player1/ranking", "sport/tennis"],
        ),
        ("sport/+", &["sport/", "sport/a"], &["sport", "sport/a/"]),
        ("+/+", &["/finance", "a/b"], &["finance", "$SYS/a"]),
        ("/+", &["/finance"], &["finance", "a/finance"]),
        ("+", &["finance"], &["/finance", "finance/", "$SYS"]),
        ("+/tennis/#", &["sport/tennis", "/tennis/x"], &["$a/tennis"]),
        ("sport/+/player1", &["sport/tennis/player1"], &["sport/player1"]),
        ("+/monitor/Clients", &["a/monitor/Clients"], &["$SYS/monitor/Clients"]),
        ("$SYS/#", &["$SYS", "$SYS/a/b"], &["SYS/a", "$sys/a"]),
        ("$SYS/monitor/+", &["$SYS/monitor/Clients"], &["$SYS/monitor", "$SYS/monitor/a/b"]),
        ("ACCOUNTS", &["ACCOUNTS"], &["Accounts"]),
        ("Accounts payable", &["Accounts payable"], &["Accountspayable"]),
        ("/finance", &["/finance"], &["finance", "finance/", "//finance"]),
        ("/", &["/"], &["//", "a"]),
    ] {
        for name in hits {
            assert!(filter(wanted).matches(topic(name)), "{wanted} and {name}");
        }
        for name in misses {
            assert!(!filter(wanted).matches(topic(name)), "{wanted} and {name}");
        }
    }
    for bad in ["sport/tennis#", "sport/tennis/#/ranking", "sport+"] {
        assert!(TopicFilter::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn nothing_is_normalised_when_topics_are_compared() {
    let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}");
    assert!(filter(composed).matches(topic(composed)));
    assert!(!filter(composed).matches(topic(decomposed)));
    assert!(!filter("a").matches(topic("a\u{FEFF}")));
    assert!(!filter("a").matches(topic("A")));
}

// [MQTT5-4.7.0-1, MQTT3-4.7.1-1, MQTT5-4.7.3-2, MQTT3-4.7.3-2]
#[test]
fn only_wildcards_and_u_0000_are_forbidden_among_ascii() {
    for (length, at) in (1..=33).flat_map(|length| (0..length).map(move |at| (length, at))) {
        for (byte, around) in (0..0x80_u8).flat_map(|byte| [b'"', b'a', b','].map(|a| (byte, a))) {
            let mut bytes = vec![around; length];
            bytes[at] = byte;
            let found = TopicName::from_bytes(&bytes);
            match byte {
                0 => assert!(matches!(found, Err(TopicError::Text(_)))),
                b'+' | b'#' => assert_eq!(found, Err(TopicError::Wildcard { at })),
                _ => assert_eq!(found.map(TopicName::as_bytes), Ok(&bytes[..])),
            }
        }
    }
}

#[test]
fn names_and_filters_have_at_least_one_level() {
    for (string, levels) in [("a", 1), ("/", 2), ("a/b", 2), ("//", 3), ("a/b/c", 3), (" ", 1)] {
        assert_eq!((topic(string).levels(), filter(string).levels()), (levels, levels));
    }
    assert!(topic("$SYS/a").is_reserved());
    assert!(!topic("a/$SYS").is_reserved());
    assert!(filter("a/+").has_wildcards() && !filter("a/b").has_wildcards());
}
