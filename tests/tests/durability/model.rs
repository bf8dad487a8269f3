//! What must have arrived, and what may have: worked out from what the clients sent and saw alone.

use std::collections::BTreeMap;

use tamtam_core::broker::Durability;
use tamtam_core::{QoS, Storage};

use crate::client::{Client, Out, State, WillRun, Wish};
use crate::world::{Classes, IN_MEMORY, World};

/// Whether a filter matches a topic; plain, as nothing here begins with `$`.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    let filter = filter
        .strip_prefix("$share/")
        .map_or(filter, |rest| rest.split_once('/').expect("a group").1);
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

/// How long a message is kept.
fn class_of(classes: &Classes, publisher: &Client, topic: &str) -> Durability {
    let said = classes.iter().find(|(filter, _)| matches(filter, topic));
    said.map_or(
        if publisher.limits == Some(IN_MEMORY) { Durability::Memory } else { Durability::Durable },
        |(_, class)| *class,
    )
}

fn is_shared(wish: &Wish) -> bool {
    wish.filter.starts_with("$share/")
}

/// The highest QoS at which a client must get a message that was sent and answered then.
fn must(client: &Client, topic: &str, sent: u64, answered: u64) -> Option<QoS> {
    let holds = |wish: &&Wish| {
        !is_shared(wish)
            && matches(&wish.filter, topic)
            && wish.granted != 0
            && wish.granted < sent
            && (wish.end_asked == 0 || wish.end_asked > answered)
    };
    if client.session_lost >= sent || client.may_expire {
        return None;
    }
    // What was granted before the session was lost holds no more.
    let lost = client.session_lost;
    let wishes = client.wishes.iter().filter(|wish| wish.granted > lost || lost == 0);
    wishes.filter(holds).map(|wish| wish.qos).max()
}

/// Whether it may get it.
fn may(client: &Client, topic: &str, sent: u64, answered: u64) -> bool {
    client.wishes.iter().any(|wish| {
        matches(&wish.filter, topic)
            && wish.asked != 0
            // What waits for a group is for whoever comes.
            && (answered == 0 || wish.asked < answered || is_shared(wish))
            && (wish.ended == 0 || wish.ended > sent)
    })
}

fn copies(client: &Client, payload: &str) -> usize {
    client.got.iter().filter(|got| got.payload == payload && !got.retain).count()
}

impl<S: Storage> World<S> {
    /// Everybody comes back, everything goes on until nothing is owed; then it is looked at.
    pub(crate) fn finish(&mut self) {
        for at in 0..self.clients.len() {
            self.clients[at].ack_all();
            self.clients[at].wants = true;
        }
        self.settle();
        for client in &self.clients {
            assert!(client.is_settled(), "something is owed: {client:#?}");
        }
        self.check();
    }

    pub(crate) fn check(&self) {
        for publisher in &self.clients {
            for out in publisher.out.iter().filter(|out| !out.payload.is_empty()) {
                for client in &self.clients {
                    self.check_copies(publisher, client, out);
                }
                self.check_groups(publisher, out);
            }
        }
        for client in &self.clients {
            self.check_order(client);
            self.check_known(client);
        }
        for owner in &self.clients {
            for run in &owner.wills {
                for client in &self.clients {
                    self.check_will(owner, client, run);
                }
            }
        }
    }

    /// Whether a crash may have taken a message away that was acknowledged, and whether it may have
    /// made one come again.
    fn may_vanish(&self, publisher: &Client, out: &Out) -> (bool, bool) {
        match class_of(self.classes, publisher, &out.topic) {
            Durability::Durable => (false, false),
            Durability::Relaxed => {
                let in_tail =
                    |(since, crash): &(u64, u64)| (*since..=*crash).contains(&out.answered);
                (self.tails.iter().any(in_tail), false)
            }
            Durability::Memory => {
                (self.tails.iter().any(|(_, crash)| out.answered <= *crash), self.crashes != 0)
            }
        }
    }

    fn check_copies(&self, publisher: &Client, client: &Client, out: &Out) {
        let count = copies(client, &out.payload);
        let what = format!("{} of {:?} to {}: {count}", out.payload, out, client.name);
        if !may(client, &out.topic, out.first_sent, out.answered) {
            assert_eq!(count, 0, "nobody asked for it: {what}");
            return;
        }
        if client.wishes.iter().any(is_shared) {
            return;
        }
        let must = must(client, &out.topic, out.first_sent, out.answered);
        let highest = client.wishes.iter().map(|wish| wish.qos).min();
        let once = out.qos.min(highest.unwrap_or(QoS::AtMostOnce)) == QoS::ExactlyOnce;
        let (may_vanish, may_double) = self.may_vanish(publisher, out);
        let once = once && !out.anew && !may_double;
        if out.state == State::Refused {
            assert!(!once || count == 0, "refused, and delivered: {what}");
        } else {
            let must = must.is_some_and(|qos| qos != QoS::AtMostOnce) && !may_vanish;
            if must && out.qos != QoS::AtMostOnce {
                assert!(count >= 1, "lost: {what}");
            }
            assert!(!once || count <= 1, "doubled: {what}");
        }
    }

    /// A message to a shared group arrives at one of its members.
    fn check_groups(&self, publisher: &Client, out: &Out) {
        let members: Vec<_> = self
            .clients
            .iter()
            .filter(|client| client.wishes.iter().any(is_shared))
            .filter(|client| may(client, &out.topic, out.first_sent, out.answered))
            .collect();
        // As long as there is a member it is not lost, but with one that was sent it at QoS 2.
        let stays = |client: &&&Client| client.session_lost == 0 && !client.may_expire;
        let granted = members.iter().filter(stays).any(|client| {
            client.wishes.iter().any(|wish| {
                let since = wish.granted != 0 && wish.granted < out.first_sent;
                is_shared(wish) && since && wish.end_asked == 0 && matches(&wish.filter, &out.topic)
            })
        });
        let once = members
            .iter()
            .flat_map(|client| &client.wishes)
            .any(|wish| wish.qos.min(out.qos) == QoS::ExactlyOnce);
        let forgotten = !members.iter().all(|client| stays(&client));
        let granted = granted && !(once && forgotten);
        let count: usize = members.iter().map(|client| copies(client, &out.payload)).sum();
        if members.is_empty() || out.qos == QoS::AtMostOnce || out.state == State::Refused {
            return;
        }
        let (may_vanish, may_double) = self.may_vanish(publisher, out);
        assert!(!granted || may_vanish || count >= 1, "lost to the group: {out:?}");
        let lowest = members.iter().flat_map(|client| &client.wishes).map(|wish| wish.qos).min();
        if lowest == Some(QoS::ExactlyOnce)
            && out.qos == QoS::ExactlyOnce
            && !out.anew
            && !may_double
        {
            assert!(count <= 1, "doubled in the group: {out:?}");
        }
    }

    /// First copies of each publisher and topic come in order, at each QoS.
    fn check_order(&self, client: &Client) {
        if client.wishes.iter().any(is_shared) {
            return;
        }
        for publisher in &self.clients {
            let mut seen: Vec<(&str, QoS, usize)> = Vec::new();
            for got in client.got.iter().filter(|got| !got.retain && !got.payload.is_empty()) {
                let of = |out: &Out| out.payload == got.payload;
                let Some(at) = publisher.out.iter().position(of) else { continue };
                if seen.iter().any(|(_, _, other)| *other == at) {
                    continue;
                }
                let out = &publisher.out[at];
                if out.state == State::Refused {
                    continue;
                }
                let same = |other: &&(&str, QoS, usize)| other.0 == out.topic && other.1 == out.qos;
                if let Some((_, _, last)) = seen.iter().rev().find(same) {
                    assert!(*last < at, "{}: {} behind a later one", client.name, got.payload);
                }
                seen.push((&out.topic, out.qos, at));
            }
        }
    }

    /// Nothing comes that nobody published.
    fn check_known(&self, client: &Client) {
        for got in &client.got {
            let mut published = self.clients.iter().flat_map(|client| &client.out);
            let mut wills = self.clients.iter().flat_map(|client| &client.wills);
            let from = |out: &Out| {
                out.payload == got.payload && out.topic == got.topic && got.qos <= out.qos
            };
            let known = published.any(from)
                || wills.any(|run| run.payload == got.payload && run.topic == got.topic);
            assert!(known, "{}: {got:?} out of nowhere", client.name);
        }
    }

    fn check_will(&self, owner: &Client, client: &Client, run: &WillRun) {
        let count = copies(client, &run.payload);
        let what = format!("{run:?} to {}: {count}", client.name);
        if !may(client, run.topic, run.sent, 0) {
            assert_eq!(count, 0, "nobody asked for it: {what}");
            return;
        }
        let Some(qos) = must(client, run.topic, run.sent, u64::MAX) else { return };
        if run.qos.min(qos) == QoS::ExactlyOnce {
            assert!(count <= 1, "twice: {what}");
        }
        let due = run.accepted && run.lost != 0 && !run.goodbye && !run.delayed;
        let fleeting = class_of(self.classes, owner, run.topic) == Durability::Memory;
        let due = due && !(fleeting && self.crashes != 0);
        if due && run.qos.min(qos) != QoS::AtMostOnce {
            assert!(count >= 1, "it never came: {what}");
        }
        if run.goodbye && self.crashes == 0 && self.failures == 0 || !run.accepted && run.lost == 0
        {
            assert_eq!(count, 0, "it was not due: {what}");
        }
    }

    /// What is retained, as a new client sees it.
    pub(crate) fn retained(&mut self) -> Vec<(String, String)> {
        let auditor = self.add("auditor", tamtam_core::Version::V5, 0);
        self.clients[auditor].subscribe("#", QoS::AtMostOnce);
        self.connect(auditor);
        self.settle();
        let got = self.clients[auditor].got.iter().filter(|got| got.retain);
        // The last of each topic, in case that it crashed meanwhile.
        let retained: BTreeMap<_, _> =
            got.map(|got| (got.topic.clone(), got.payload.clone())).collect();
        self.cut(auditor);
        self.settle();
        self.clients.pop();
        retained.into_iter().collect()
    }

    /// For each topic with one publisher, the last accepted message is what is retained.
    pub(crate) fn check_retained(&mut self) {
        let retained = self.retained();
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for client in &self.clients {
            for out in client.out.iter().filter(|out| out.retain && out.state == State::Accepted) {
                last.insert(out.topic.clone(), out.payload.clone());
            }
        }
        last.retain(|_, payload| !payload.is_empty());
        // One that was refused may be there all the same.
        let outs = self.clients.iter().flat_map(|client| &client.out);
        let refused: Vec<_> = outs.filter(|out| out.state == State::Refused).collect();
        let is_sure = |(topic, payload): &(String, String)| {
            !payload.starts_with("will:") && refused.iter().all(|out| out.topic != *topic)
        };
        let expected: Vec<_> = last.into_iter().filter(is_sure).collect();
        let retained: Vec<_> = retained.into_iter().filter(is_sure).collect();
        assert_eq!(retained, expected);
    }
}
