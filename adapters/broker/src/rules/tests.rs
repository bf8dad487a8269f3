use super::*;

use tamtam_core::broker::{self, Rule};

const FILE: &str = "# who may what\n\
    topic read news/#\n\
    \n\
    user alice\n\
    topic alice/#\n\
    topic deny alice/secret\n\
    topic ask alice/door\n\
    topic read shelf/second floor\n\
    pattern write dev/%u/%c\n\
    pattern deny none/#\r\n\
    user bob b\n\
    topic write $SYS/x\n";

#[test]
fn denials_come_first_and_ones_own_before_everybodys() {
    let rules = Rules::parse_acl(FILE).expect("well-formed");
    let alice = rules.set(&Whom::User("alice".to_owned()));
    assert_eq!(
        alice,
        [
            Rule::deny("alice/secret", Access::ReadWrite),
            Rule::ask("alice/door", Access::ReadWrite),
            Rule::allow("alice/#", Access::ReadWrite),
            Rule::allow("shelf/second floor", Access::Read),
            Rule::deny("none/#", Access::ReadWrite),
            Rule::allow("dev/%u/%c", Access::Write),
        ]
    );
    let nobody = rules.set(&Whom::Anonymous);
    assert_eq!(
        nobody,
        [Rule::allow("news/#", Access::Read), Rule::deny("none/#", Access::ReadWrite)],
        "a pattern with a user's name is not for who has none"
    );
    assert_eq!(rules.set(&Whom::User("bob b".to_owned()))[0].filter, "$SYS/x");
}

#[test]
fn a_wrong_line_is_told_by_its_number() {
    let text = "user\ntopic read\ntopics a\ntopic raed a/b\ntopic read a#\n topic a\ntopic\n";
    let wrong = Rules::parse_acl(text).expect_err("wrong");
    for (line, what) in [
        (1, "needs a name"),
        (2, "no topic behind `read`"),
        (3, "did you mean `topic`?"),
        (4, "`raed` is not one of read, write, readwrite, deny, ask"),
        (5, "topic `a#`: "),
        (6, "not with ``"),
        (7, "topic ``"),
    ] {
        assert!(wrong.iter().any(|(at, why)| *at == line && why.contains(what)), "{wrong:?}");
    }
}

#[test]
fn an_empty_file_allows_nothing_and_none_allows_everything() {
    let mut sets = RuleSets::new(Some(Rules::parse_acl("").expect("empty")));
    assert_eq!(sets.of(Some("alice")), Some(RulesId(1)));
    sets.each(|_, rules| assert_eq!(rules, []));
    sets.replace(None);
    assert_eq!(sets.of(Some("alice")), None);
    sets.each(|_, rules| {
        assert!(rules.iter().all(|rule| rule.permission == broker::Permission::Allow));
    });
}

#[test]
fn a_user_keeps_the_number_when_rules_are_replaced() {
    let line = |user: &str| RuleLine { user: Some(user.to_owned()), ..rule() };
    let mut rules = Rules::default();
    rules.extend(&[line("alice"), line("bob"), line(""), rule()]);
    let mut sets = RuleSets::new(Some(rules));
    let bob = sets.of(Some("bob"));
    let mut rules = Rules::default();
    rules.extend(&[line("aaron"), line("bob")]);
    sets.replace(Some(rules));
    assert_eq!(sets.of(Some("bob")), bob);
    assert_ne!(sets.of(Some("aaron")), sets.of(Some("alice")));
    let mut numbers = Vec::new();
    sets.each(|id, rules| numbers.push((id.0, rules.len())));
    numbers.sort_unstable();
    assert_eq!(numbers, [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)], "alice has no rule any more");
}

fn rule() -> RuleLine {
    RuleLine { topic: "a/#".to_owned(), ..RuleLine::default() }
}
