//! What the suites share.

use tamtam_core::client::Client;
use tamtam_core::{Fixed, Heap, Storage, Version};
use tamtam_tests::node::Habits;
use tamtam_tests::oracle::Ending;
use tamtam_tests::profile::Profile;
use tamtam_tests::server::{Manners, Scripted};
use tamtam_tests::world::{Counts, World};

/// What firmware might have: little of everything.
pub(crate) type Small = Fixed<1024, 8, 128>;

/// A storage whose clients can be printed.
pub(crate) trait Kind: Storage + Sized {
    /// Whether there is room for aliases.
    const HAS_ALIASES: bool;
    /// Whether there is room for as much as the options say.
    const IS_ROOMY: bool;

    /// All that a client holds.
    fn show(client: &Client<Self>) -> String;
}

impl Kind for Heap {
    const HAS_ALIASES: bool = true;
    const IS_ROOMY: bool = true;

    fn show(client: &Client<Self>) -> String {
        format!("{client:?}")
    }
}

impl<const O: usize, const I: usize, const A: usize> Kind for Fixed<O, I, A> {
    const HAS_ALIASES: bool = A > 0;
    const IS_ROOMY: bool = false;

    fn show(client: &Client<Self>) -> String {
        format!("{client:?}")
    }
}

/// A world with one client.
pub(crate) fn world_of<S: Storage>(
    seed: u64,
    profile: Profile,
    habits: Habits,
    manners: Manners,
) -> World<S, Scripted> {
    let mut world = World::new(seed, Scripted::new(manners, seed ^ 0x5EED));
    world.add(profile, habits);
    world
}

/// Whether nothing is under way any more, at either end, and there is a connection.
pub(crate) fn is_at_rest<S: Storage>(world: &World<S, Scripted>) -> bool {
    let pending = world.server.sessions.values().any(|session| session.pending() > 0);
    let connected = world.nodes.iter().all(|node| node.client.machine.is_connected());
    let open = world.nodes.iter().any(|node| {
        node.client.machine.in_flight() > 0
            || !node.client.machine.output().is_empty()
            || node.client.is_sending()
    });
    connected && !pending && !open
}

/// What is wrong at the ends of every client.
pub(crate) fn problems<S: Storage>(world: &World<S, Scripted>, settled: bool) -> Vec<String> {
    let mut problems = world.server.complaints.clone();
    for node in &world.nodes {
        let (oracle, name) = (&node.client.oracle, &node.profile.client_id);
        let (taken, published) = (world.server.taken(name), world.server.published(name));
        let lost_unsaid = node.profile.version == Version::V31 && world.server.has_lost;
        let ending = Ending { taken: &taken, published: &published, settled, lost_unsaid };
        problems.extend(oracle.compare(&ending));
        if settled {
            problems.extend(oracle.unsettled());
        }
    }
    problems
}

/// Fails if anything is wrong.
pub(crate) fn expect_right<S: Storage>(world: &World<S, Scripted>, settled: bool) {
    world.expect_right(&problems(world, settled));
}

/// Adds up what several worlds did.
pub(crate) fn add_counts(sum: &mut Counts, more: &Counts) {
    sum.connections += more.connections;
    sum.cuts += more.cuts;
    sum.crashes += more.crashes;
    sum.messages_up += more.messages_up;
    sum.messages_down += more.messages_down;
}

/// Makes two tests of each body: on the heap, and in fixed memory.
macro_rules! both {
    ($($(#[$doc:meta])* fn $name:ident<S: Kind>() $body:block)*) => {
        $($(#[$doc])* fn $name<S: Kind>() $body)*

        mod on_heap {
            $(#[test] fn $name() { super::$name::<tamtam_core::Heap>() })*
        }

        mod in_fixed_memory {
            $(#[test] fn $name() { super::$name::<crate::support::Small>() })*
        }
    };
}

pub(crate) use both;
