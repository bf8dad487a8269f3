//! Tests that read like stories.
//!
//! ```
//! use tamtam_core::{Heap, Version};
//! use tamtam_tests::story::Story;
//!
//! let (story, a, server) = Story::<Heap>::of(Version::V5);
//! a.connects();
//! a.publishes("t", "x").qos(1);
//! server.receives("x");
//! a.hears_of_delivery("x");
//! story.ends();
//! ```

use std::cell::RefCell;
use std::rc::Rc;

use tamtam_core::client::{AckToken, Failure, Filter, SendError, Token, Transport};
use tamtam_core::{ReasonCode, Storage, Version};

use crate::happened::{Happened, Loss, Received};
use crate::node::{Habits, Node};
use crate::oracle::Ending;
use crate::profile::Profile;
use crate::server::{Manners, Reaction, Scripted};
use crate::watched::Draft;
use crate::wire::{Connect, Packet, Props};
use crate::world::World;

/// What the client of a story is called.
const NAME: &str = "a";

type Shared<S> = Rc<RefCell<World<S, Scripted>>>;

/// A world with a client and a server, about which something is told.
#[derive(Debug)]
pub struct Story<S: Storage>(Shared<S>);

/// The client of a story.
#[derive(Debug)]
pub struct Actor<S: Storage>(Shared<S>);

/// The server of a story.
#[derive(Debug)]
pub struct Host<S: Storage>(Shared<S>);

impl<S: Storage> Story<S> {
    /// A client that keeps its session, and a server that behaves.
    #[must_use]
    pub fn of(version: Version) -> (Self, Actor<S>, Host<S>) {
        Self::with(Profile::new(version, NAME))
    }

    /// The same with a client of your own. Its name is `a`, unless it has none.
    #[must_use]
    pub fn with(mut profile: Profile) -> (Self, Actor<S>, Host<S>) {
        if !profile.client_id.is_empty() {
            profile.client_id = NAME.into();
        }
        let mut world = World::new(1, Scripted::new(Manners::GOOD, 2));
        world.add(profile, Habits::PLAIN);
        let shared = Rc::new(RefCell::new(world));
        (Self(shared.clone()), Actor(shared.clone()), Host(shared))
    }

    /// Lets time pass.
    pub fn passes(&self, millis: u64) {
        self.0.borrow_mut().pass(millis);
    }

    /// Whatever else is needed of the world.
    pub fn world<T>(&self, work: impl FnOnce(&mut World<S, Scripted>) -> T) -> T {
        let mut world = self.0.borrow_mut();
        let result = work(&mut world);
        world.settle();
        result
    }

    /// All that was promised has come true.
    ///
    /// # Panics
    /// If not.
    pub fn ends(self) {
        let world = self.0.borrow();
        let oracle = &world.nodes[0].client.oracle;
        let (taken, published) = (world.server.taken(NAME), world.server.published(NAME));
        let lost_unsaid = world.nodes[0].profile.version == Version::V31 && world.server.has_lost;
        let ending = Ending { taken: &taken, published: &published, settled: true, lost_unsaid };
        let mut problems = oracle.compare(&ending);
        problems.extend(oracle.unsettled());
        problems.extend(world.server.complaints.iter().cloned());
        world.expect_right(&problems);
    }
}

/// A message that is about to be published: when nothing more is said about it.
#[derive(Debug)]
pub struct Publishing<'s, S: Storage> {
    actor: &'s Actor<S>,
    draft: Draft,
}

impl<S: Storage> Publishing<'_, S> {
    /// At this QoS.
    pub fn qos(mut self, qos: u8) {
        self.draft.qos = qos;
    }

    /// To be retained.
    #[must_use]
    pub fn retained(mut self) -> Self {
        self.draft.retain = true;
        self
    }
}

impl<S: Storage> Drop for Publishing<'_, S> {
    fn drop(&mut self) {
        let draft = self.draft.clone();
        let published = self.actor.node(|node, now| node.client.publish(&draft, now));
        assert!(published.is_ok() || std::thread::panicking(), "{published:?}: {draft:?}");
    }
}

impl<S: Storage> Actor<S> {
    /// Whatever else is needed of the node, after which all happens that is due.
    pub fn node<T>(&self, work: impl FnOnce(&mut Node<S>, tamtam_core::Instant) -> T) -> T {
        let mut world = self.0.borrow_mut();
        let now = world.now;
        let result = work(&mut world.nodes[0], now);
        world.settle();
        result
    }

    /// Connects.
    pub fn connects(&self) {
        self.node(|node, now| node.client.machine.connect(now)).expect("it was started");
        assert!(self.is_connected() || self.lost().is_some(), "nothing happened");
    }

    /// Whether the server has accepted.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.node(|node, _| node.client.machine.is_connected())
    }

    /// Whether it will try again by itself.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        self.node(|node, _| {
            let machine = &node.client.machine;
            machine.transport() != Transport::Resting || machine.poll_timeout().is_some()
        })
    }

    /// Publishes a message.
    pub fn publishes(&self, topic: &str, text: &str) -> Publishing<'_, S> {
        Publishing { actor: self, draft: Draft::new(topic, text.as_bytes(), 0) }
    }

    /// Tries to publish in vain.
    #[must_use]
    pub fn cannot_publish(&self, topic: &str, text: &str, qos: u8) -> SendError {
        let draft = Draft::new(topic, text.as_bytes(), qos);
        self.node(|node, now| node.client.publish(&draft, now)).expect_err("it could")
    }

    /// Publishes a message piece by piece.
    pub fn streams(&self, topic: &str, text: &str, qos: u8) {
        let draft = Draft::new(topic, text.as_bytes(), qos);
        self.node(|node, now| node.client.publish_stream(&draft, now)).expect("it may");
    }

    /// Makes a request that is to be answered to a topic.
    pub fn requests(&self, topic: &str, text: &str, reply_to: &str) -> Token {
        let draft = Draft::new(topic, text.as_bytes(), 1);
        self.node(|node, now| node.client.request(&draft, reply_to, now)).expect("it may")
    }

    /// Subscribes to a filter.
    pub fn subscribes(&self, filter: &str) {
        let filters = [Filter::new(filter)];
        self.node(|node, now| node.client.subscribe(&filters, now)).expect("it may");
    }

    /// The message of this text, which came last.
    #[must_use]
    pub fn receives(&self, text: &str) -> Received {
        let is_it = |happened: &Happened| match happened {
            Happened::Message(message) => message.payload == text.as_bytes(),
            _ => false,
        };
        match self.take(is_it) {
            Some(Happened::Message(message)) => message,
            _ => panic!("no {text:?} among {:?}", self.node(|node, _| node.inbox.clone())),
        }
    }

    /// Nothing of this text came.
    pub fn does_not_receive(&self, text: &str) {
        let inbox = self.node(|node, _| node.inbox.clone());
        let is_it = |happened: &Happened| match happened {
            Happened::Message(message) => message.payload == text.as_bytes(),
            _ => false,
        };
        assert!(!inbox.iter().any(is_it), "{text:?} among {inbox:?}");
    }

    /// Acknowledges a message, in manual mode.
    ///
    /// # Errors
    /// As [`Client::ack`](tamtam_core::client::Client::ack).
    pub fn acknowledges(&self, token: AckToken) -> Result<(), SendError> {
        self.node(|node, now| node.client.ack(token, now))
    }

    /// Is told that a message of its own is settled, with success.
    pub fn hears_of_delivery(&self, text: &str) {
        let token = self.token_of(text);
        let happened =
            self.take(|happened| *happened == Happened::Delivered(token, ReasonCode::Success));
        assert!(happened.is_some(), "{text:?} is not delivered");
    }

    /// Is told that a message of its own failed.
    pub fn hears_of_failure(&self, text: &str, why: Failure) {
        let token = self.token_of(text);
        let happened = self.take(|happened| *happened == Happened::Failed(token, why));
        assert!(happened.is_some(), "{text:?} has not failed ({why})");
    }

    fn token_of(&self, text: &str) -> Token {
        let token = self.node(|node, _| node.client.oracle.token_of(text.as_bytes()));
        token.expect("it was published, at a QoS above 0")
    }

    /// Why the connection was lost, the first time that nobody has asked for.
    #[must_use]
    pub fn lost(&self) -> Option<Loss> {
        match self.take(|happened| matches!(happened, Happened::Lost(_))) {
            Some(Happened::Lost(loss)) => Some(loss),
            _ => None,
        }
    }

    /// Takes the first event that fits.
    pub fn take(&self, is_it: impl Fn(&Happened) -> bool) -> Option<Happened> {
        self.node(|node, _| {
            let at = node.inbox.iter().position(is_it)?;
            node.inbox.remove(at)
        })
    }

    /// The line breaks, and nothing that is under way arrives.
    pub fn loses_connection(&self) {
        let mut world = self.0.borrow_mut();
        world.break_line(0);
        world.settle();
    }

    /// Time passes until it is connected again.
    pub fn is_back(&self) {
        let mut world = self.0.borrow_mut();
        let back = world.run_until(200_000, |world| world.nodes[0].client.machine.is_connected());
        assert!(back, "it does not come back");
        world.settle();
    }

    /// Ends the connection in order.
    pub fn disconnects(&self) {
        self.node(|node, now| node.client.machine.disconnect(now)).expect("it is connected");
    }

    /// The power fails; what its store has kept is what it has when it is there again.
    pub fn dies(&self) {
        let mut world = self.0.borrow_mut();
        world.crash(0);
        world.settle();
    }
}

impl<S: Storage> Host<S> {
    /// Whatever else is needed of the server.
    pub fn server<T>(&self, work: impl FnOnce(&mut Scripted) -> T) -> T {
        let mut world = self.0.borrow_mut();
        let result = work(&mut world.server);
        world.settle();
        result
    }

    /// Publishes to the client, whatever it subscribed to.
    pub fn publishes(&self, topic: &str, text: &str, qos: u8) {
        self.server(|server| server.publish(NAME.as_bytes(), topic, text.as_bytes(), qos));
    }

    /// Has got the message of this text, once.
    pub fn receives(&self, text: &str) {
        assert_eq!(self.times(text), 1, "{text:?}");
    }

    /// Has not got the message of this text.
    pub fn does_not_receive(&self, text: &str) {
        assert_eq!(self.times(text), 0, "{text:?}");
    }

    /// How often it got the message of this text.
    #[must_use]
    pub fn times(&self, text: &str) -> u32 {
        self.server(|server| server.taken(NAME).get(text.as_bytes()).copied().unwrap_or(0))
    }

    /// Says this in CONNACK from now on.
    pub fn says(&self, connack: Props) {
        self.server(|server| server.manners.connack = connack);
    }

    /// Does not answer to messages and requests, until it [behaves](Self::behaves).
    pub fn ignores_requests(&self) {
        self.tricks(|packet| match packet {
            Packet::Publish(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) => {
                Reaction::Instead(Vec::new())
            }
            _ => Reaction::Proper,
        });
    }

    /// Takes over messages, but the answers get lost.
    pub fn swallows_answers(&self) {
        self.server(|server| server.manners.answer_ms = (1 << 40, 1 << 40));
    }

    /// Misbehaves.
    pub fn tricks(&self, trick: impl FnMut(&Packet) -> Reaction + 'static) {
        self.server(|server| server.trick = Some(Box::new(trick)));
    }

    /// Behaves from now on.
    pub fn behaves(&self) {
        self.server(|server| {
            server.trick = None;
            server.manners = Manners::GOOD;
        });
    }

    /// Forgets every session.
    pub fn loses_sessions(&self) {
        self.server(Scripted::lose_sessions);
    }

    /// Every CONNECT that came.
    #[must_use]
    pub fn connects(&self) -> Vec<Connect> {
        self.server(|server| server.connects.clone())
    }

    /// How many SUBSCRIBE packets came.
    #[must_use]
    pub fn subscribes(&self) -> u64 {
        self.server(|server| server.subscribes)
    }
}
