//! Who lives in the world: clients on the wire, and client machines.

use tamtam_core::{Heap, Instant, Storage, Version};

use super::actor::Actor;
use super::world::{Line, Wake, World};
use crate::node::{Node, Wish};

/// A client.
#[derive(Debug)]
pub enum Person {
    /// One that speaks by hand.
    Actor(Box<Actor>, Option<usize>),
    /// A client machine and its application.
    Machine(Box<Node<Heap>>),
}

impl Person {
    pub(super) fn version(&self) -> Version {
        match self {
            Self::Actor(actor, _) => actor.version,
            Self::Machine(node) => node.profile.version,
        }
    }

    /// Its client identifier.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Actor(actor, _) => &actor.name,
            Self::Machine(node) => &node.profile.client_id,
        }
    }
}

impl<S: Storage> World<S> {
    /// Somebody comes into the world; returns their number.
    pub fn add(&mut self, actor: Actor) -> usize {
        self.people.push(Person::Actor(Box::new(actor), None));
        self.people.len() - 1
    }

    /// A client machine comes into the world.
    pub fn add_machine(&mut self, node: Node<Heap>) -> usize {
        self.people.push(Person::Machine(Box::new(node)));
        let number = self.people.len() - 1;
        self.dirty_people.insert(number);
        number
    }

    /// An actor, to do something; what it says leaves at once.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn with_actor<R>(&mut self, person: usize, act: impl FnOnce(&mut Actor) -> R) -> R {
        let Person::Actor(actor, _) = &mut self.people[person] else { panic!("no actor") };
        let result = act(actor);
        self.dirty_people.insert(person);
        result
    }

    /// An actor opens a line, and leaves the one that it has alone: the broker may still have it.
    ///
    /// # Panics
    /// If there is no such actor.
    pub fn open(&mut self, person: usize) -> bool {
        let number = self.open_line(person);
        let Person::Actor(_, line) = &mut self.people[person] else { panic!("no actor") };
        let old = std::mem::replace(line, number);
        if let Some(old) = old.and_then(|old| self.lines.get_mut(&old)) {
            old.client_gone = true; // it will notice that it is closed
        }
        number.is_some()
    }

    /// The line of a client breaks: at once, or in a way that the broker notices only later.
    pub fn cut(&mut self, person: usize, silently: bool) {
        let number = match &mut self.people[person] {
            Person::Actor(actor, line) => {
                actor.lose();
                line.take()
            }
            Person::Machine(node) => node.line,
        };
        let Some(number) = number else { return };
        let Some(line) = self.lines.get_mut(&number) else { return };
        if !silently {
            line.duplex.up.drop_all();
            line.duplex.down.drop_all();
        }
        line.client_gone |= matches!(self.people[person], Person::Actor(..));
        self.dirty_lines.insert(number);
        self.dirty_people.insert(person);
    }

    /// Whether a client was accepted on the line that it has.
    #[must_use]
    pub fn is_connected(&self, person: usize) -> bool {
        match &self.people[person] {
            Person::Actor(actor, line) => actor.connected && line.is_some(),
            Person::Machine(node) => node.client.machine.is_connected(),
        }
    }

    /// Whether a client has a line.
    #[must_use]
    pub fn has_line(&self, person: usize) -> bool {
        match &self.people[person] {
            Person::Actor(_, line) => line.is_some(),
            Person::Machine(node) => node.line.is_some(),
        }
    }

    /// What an actor says from now on may be anything: nothing that it says is sure to have an
    /// effect.
    pub fn distrust(&mut self, person: usize) {
        let Person::Actor(actor, line) = &mut self.people[person] else { return };
        actor.is_odd = true;
        if let Some(line) = *line {
            self.oracle.distrust(line);
        }
    }

    /// The client's part.
    pub(super) fn turn(&mut self, person: usize) {
        match &self.people[person] {
            Person::Actor(..) => self.turn_actor(person),
            Person::Machine(_) => self.turn_machine(person),
        }
    }

    fn turn_actor(&mut self, person: usize) {
        let now = self.now;
        let Person::Actor(actor, at) = &mut self.people[person] else { return };
        let Some(number) = *at else { return };
        let Some(line) = self.lines.get_mut(&number) else {
            actor.lose();
            *at = None;
            return;
        };
        line.duplex.spread_break();
        let before = line.traffic();
        if actor.sleeps_until <= now {
            while line.duplex.down.read(&mut actor.rx, 1 << 16, now) > 0 {}
            actor.read();
        } else {
            let when = actor.sleeps_until;
            self.wake_later(person, when);
        }
        let Person::Actor(actor, at) = &mut self.people[person] else { return };
        let Some(line) = self.lines.get_mut(&number) else { return };
        let len = line.duplex.up.write(&actor.tx, now);
        actor.tx.drain(..len);
        let over = line.duplex.down.is_over();
        if actor.left && actor.tx.is_empty() || over {
            line.client_gone = true;
            line.duplex.up.close();
            actor.lose();
            *at = None;
        }
        if line.client_gone || line.traffic() != before {
            self.dirty_lines.insert(number);
        }
    }

    fn wake_later(&mut self, person: usize, when: Instant) {
        self.wake(when, Wake::Person(person));
    }

    fn turn_machine(&mut self, person: usize) {
        loop {
            let now = self.now;
            let Person::Machine(node) = &mut self.people[person] else { return };
            let number = node.line;
            let line = number.and_then(|number| self.lines.get_mut(&number));
            if number.is_some() && line.is_none() {
                node.closed(now);
                continue;
            }
            let before = line.as_ref().map(|line| line.traffic());
            let duplex = line.map(|line| &mut line.duplex);
            let wish = node.turn(duplex, now, &mut self.log);
            let next = node.next_at();
            match wish {
                Wish::Nothing => {
                    let line = number.and_then(|number| self.lines.get(&number));
                    if line.map(Line::traffic) != before {
                        self.dirty_lines.extend(number);
                    }
                    if let Some(when) = next.filter(|when| *when < Instant::NEVER) {
                        self.wake(when, Wake::Person(person));
                    }
                    return;
                }
                Wish::Open => match self.open_line(person) {
                    Some(number) => {
                        let Person::Machine(node) = &mut self.people[person] else { return };
                        node.opened(number, now);
                    }
                    None => {
                        let Person::Machine(node) = &mut self.people[person] else { return };
                        node.closed(now);
                    }
                },
                Wish::HangUp => {
                    node.closed(now);
                    if let Some(line) = number.and_then(|number| self.lines.get_mut(&number)) {
                        line.client_gone = true;
                        line.duplex.up.close();
                    }
                    self.dirty_lines.extend(number);
                }
            }
        }
    }
}
