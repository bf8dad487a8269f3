//! Both trees against lists that are searched from end to end, on both storages.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::filters::Below;
use super::*;
use crate::fixed;
use crate::storage::{Arena, Full, Heap, Index, Pool, Storage};

fixed! {
    /// Room for everything that the tests ask for.
    struct Roomy { levels: 2048, level_bytes: 4096 }
}

fixed! {
    /// So little room that every kind of it runs out.
    struct Narrow { levels: 12, level_bytes: 100 }
}

type FiltersOf<S> = Filters<
    <S as Storage>::Levels<FilterNode>,
    <S as Storage>::LevelIndex,
    <S as Storage>::LevelTexts,
>;
type TopicsOf<S> = Topics<
    <S as Storage>::Levels<TopicNode>,
    <S as Storage>::LevelIndex,
    <S as Storage>::LevelTexts,
>;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// A path of few different levels, so that paths meet; some are long, some have many levels.
    fn path(&mut self, wildcards: bool) -> String {
        const LEVELS: [&str; 9] = [
            "",
            "a",
            "b",
            "$a",
            "eightsea",
            "seven77",
            "nine99999",
            "sixteen-sixteen!",
            "longer than what a node has room for itself",
        ];
        let count = if self.below(20) == 0 { 1 + self.below(24) } else { 1 + self.below(4) };
        let mut path = String::new();
        for at in 0..count {
            if at != 0 {
                path.push('/');
            }
            match self.below(6) {
                0 | 1 if wildcards => path.push('+'),
                2 if wildcards && at + 1 == count => path.push('#'),
                _ if count > 4 => path.push_str(["a", "b"][self.below(20) / 19]),
                _ => path.push_str(LEVELS[self.below(LEVELS.len() - if at == 0 { 0 } else { 2 })]),
            }
        }
        if path.is_empty() { String::from("/") } else { path }
    }
}

/// What the specification says, word for word.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

fn sorted(mut values: Vec<u32>) -> Vec<u32> {
    values.sort_unstable();
    values
}

impl<N: Arena<FilterNode>, I: Index, P: Pool> Filters<N, I, P> {
    /// Whether nothing is left of what was there.
    fn is_as_new(&self) -> bool {
        let counts = self.wild.iter().chain(&self.exact).sum::<u32>();
        let Below { wild, exact } = self.below;
        self.nodes.is_empty() && self.texts.used() == 0 && counts == 0 && wild | exact == 0
    }

    fn all_matches(&self, topic: &str) -> Vec<u32> {
        let mut stack = heapless::Vec::<Step, 4096>::new();
        let mut found = Vec::new();
        self.match_topic(topic.as_bytes(), &mut stack, |value| found.push(value));
        found
    }
}

impl<N: Arena<TopicNode>, I: Index, P: Pool> Topics<N, I, P> {
    /// Whether nothing is left of what was there.
    fn is_as_new(&self) -> bool {
        self.nodes.is_empty() && self.texts.used() == 0 && self.first == 0
    }

    fn all_matches(&self, filter: &str) -> Vec<u32> {
        let mut found = Vec::new();
        self.match_filter(filter.as_bytes(), |value| found.push(value));
        found
    }
}

/// Filters come and go; every topic finds those that match it, in an order that no seed changes.
fn filters_match_as_a_list_does<S: Storage>(steps: usize, is_roomy: bool) {
    let mut tree = FiltersOf::<S>::EMPTY;
    let mut other = FiltersOf::<S>::EMPTY;
    tree.begin(1, 2048, 65_536);
    other.begin(2, 2048, 65_536);
    let mut model = BTreeMap::<String, u32>::new();
    let mut random = Random(7);
    for step in 1..=steps as u32 {
        let filter = random.path(true);
        let (bytes, known) = (filter.as_bytes(), model.contains_key(&filter));
        assert_eq!(
            tree.find(bytes).map_or(0, |id| tree.value(id)),
            model.get(&filter).copied().unwrap_or(0)
        );
        if random.below(5) < 2 || model.len() > 250 {
            let gone = if known {
                filter
            } else {
                model.keys().nth(random.below(model.len().max(1))).cloned().unwrap_or(filter)
            };
            if model.remove(&gone).is_some() {
                for tree in [&mut tree, &mut other] {
                    let id = tree.find(gone.as_bytes()).unwrap();
                    tree.set_value(id, 0);
                    tree.prune(id);
                }
            }
        } else {
            let added = tree.insert(bytes);
            assert_eq!(added, other.insert(bytes), "seeds decide nothing");
            assert!(added.is_ok() || !is_roomy && !known);
            if let Ok(id) = added {
                tree.set_value(id, step);
                other.set_value(id, step);
                model.insert(filter.clone(), step);
                let mut out = [0; 512];
                let start = tree.write_path(id, &mut out).unwrap();
                assert_eq!(&out[start..], filter.as_bytes());
                assert_eq!(tree.write_path(id, &mut out[..filter.len() - 1]), None);
            }
        }
        let topic = random.path(false);
        let found = tree.all_matches(&topic);
        assert_eq!(found, other.all_matches(&topic), "seeds decide nothing");
        let wanted = model.iter().filter(|(filter, _)| matches(filter, &topic));
        assert_eq!(sorted(found), sorted(wanted.map(|(_, value)| *value).collect()), "{topic}");
    }
    for filter in model.keys() {
        let id = tree.find(filter.as_bytes()).unwrap();
        tree.set_value(id, 0);
        tree.prune(id);
    }
    assert!(tree.is_as_new());
}

/// Topics come and go; every filter finds those that it matches, in an order that no seed changes.
fn topics_match_as_a_list_does<S: Storage>(steps: usize, is_roomy: bool) {
    let mut tree = TopicsOf::<S>::EMPTY;
    let mut other = TopicsOf::<S>::EMPTY;
    tree.begin(1, 2048, 65_536);
    other.begin(2, 2048, 65_536);
    let mut model = BTreeMap::<String, u32>::new();
    let mut random = Random(11);
    for step in 1..=steps as u32 {
        let topic = random.path(false);
        let (bytes, known) = (topic.as_bytes(), model.contains_key(&topic));
        assert_eq!(
            tree.find(bytes).map_or(0, |id| tree.value(id)),
            model.get(&topic).copied().unwrap_or(0)
        );
        if random.below(5) < 2 || model.len() > 250 {
            let gone = if known {
                topic
            } else {
                model.keys().nth(random.below(model.len().max(1))).cloned().unwrap_or(topic)
            };
            if model.remove(&gone).is_some() {
                for tree in [&mut tree, &mut other] {
                    let id = tree.find(gone.as_bytes()).unwrap();
                    tree.set_value(id, 0, 0);
                    tree.prune(id);
                }
            }
        } else {
            let added = tree.insert(bytes);
            assert_eq!(added, other.insert(bytes), "seeds decide nothing");
            assert!(added.is_ok() || !is_roomy && !known);
            if let Ok(id) = added {
                tree.set_value(id, step, 0);
                other.set_value(id, step, 0);
                model.insert(topic, step);
            }
        }
        let filter = random.path(true);
        let found = tree.all_matches(&filter);
        assert_eq!(found, other.all_matches(&filter), "seeds decide nothing");
        let wanted = model.iter().filter(|(topic, _)| matches(&filter, topic));
        assert_eq!(sorted(found), sorted(wanted.map(|(_, value)| *value).collect()), "{filter}");
        let mut all = Vec::new();
        tree.each(|value| all.push(value));
        assert_eq!(sorted(all), sorted(model.values().copied().collect()));
    }
    for topic in model.keys() {
        let id = tree.find(topic.as_bytes()).unwrap();
        tree.set_value(id, 0, 0);
        tree.prune(id);
    }
    assert!(tree.is_as_new());
}

#[test]
fn filters_on_both_storages() {
    filters_match_as_a_list_does::<Heap>(8_000, true);
    filters_match_as_a_list_does::<Roomy>(4_000, true);
    filters_match_as_a_list_does::<Narrow>(8_000, false);
}

#[test]
fn topics_on_both_storages() {
    topics_match_as_a_list_does::<Heap>(8_000, true);
    topics_match_as_a_list_does::<Roomy>(4_000, true);
    topics_match_as_a_list_does::<Narrow>(8_000, false);
}

fn filters_of(filters: &[&str]) -> FiltersOf<Heap> {
    let mut tree = FiltersOf::<Heap>::EMPTY;
    tree.begin(3, 64, 4096);
    for (filter, value) in filters.iter().zip(1..) {
        let id = tree.insert(filter.as_bytes()).unwrap();
        tree.set_value(id, value);
    }
    tree
}

/// The examples of the specification, in the order in which they are found.
#[test]
fn wildcards_match_what_they_should() {
    let tree = filters_of(&["#", "+", "+/+", "/+", "sport/#", "sport/+", "sport", "+/#", "$a/#"]);
    for (topic, found) in [
        ("sport", &[1, 5, 7, 8, 2][..]),
        ("sport/", &[1, 5, 6, 8, 3]),
        ("/finance", &[1, 4, 8, 3]),
        ("sport/tennis/player1", &[1, 5, 8]),
        ("$a/monitor", &[9]),
        ("$b", &[]),
    ] {
        assert_eq!(sorted(tree.all_matches(topic)), sorted(found.to_vec()), "{topic}");
    }
}

/// Paths that are told apart only by where their levels end.
#[test]
fn levels_end_where_they_do() {
    for len in 1..40 {
        let one = "x".repeat(len);
        let paths = [
            one.clone(),
            format!("{one}/"),
            format!("/{one}"),
            format!("{one}/{one}"),
            format!("{one}x"),
        ];
        let tree = filters_of(&paths.each_ref().map(String::as_str));
        for (path, value) in paths.iter().zip(1..) {
            assert_eq!(tree.all_matches(path), [value], "{path}");
        }
    }
}

/// A node is one line of a cache; there may be millions.
#[test]
fn nodes_are_small() {
    assert_eq!(size_of::<Option<FilterNode>>(), 64);
    assert_eq!(size_of::<Option<TopicNode>>(), 56);
}

#[test]
fn what_has_no_room_changes_nothing() {
    let mut tree = FiltersOf::<Narrow>::EMPTY;
    tree.begin(1, 0, 0);
    let long = "a/".repeat(49);
    assert!(tree.insert(long.as_bytes()).is_ok());
    assert_eq!(tree.insert(format!("+/+/{long}").as_bytes()), Err(Full), "no room for its text");
    assert_eq!(tree.find(b"+"), None, "nor anything left of it");
    assert_eq!(tree.insert("+/".repeat(12).as_bytes()), Err(Full), "no room for its nodes");
    assert_eq!(tree.find(b"+"), None);
    assert!(tree.insert("+/".repeat(10).as_bytes()).is_ok());
}
