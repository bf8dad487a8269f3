//! What each capacity of a storage costs, in bytes of static memory.
#![no_std]
#![no_main]

use board::{Board, entry, exit, say, say_number};
use tamtam_core::Fixed;
use tamtam_core::broker::Broker;
use tamtam_core::client::Client;

entry!(main);

/// By how much the capacities are enlarged, to see what one more takes.
const MORE: usize = 64;

fn line(name: &str, small: usize, large: usize) {
    let tenths = large.saturating_sub(small) * 10 / MORE;
    say(name.as_bytes());
    say_number((tenths / 10) as u32);
    say(b".");
    say_number((tenths % 10) as u32);
    say(b"\n");
}

macro_rules! client {
    ($name:literal, $($capacity:expr),*) => {
        line(
            concat!("client ", $name, " "),
            size_of::<Client<Fixed<64, 8, 64>>>(),
            size_of::<Client<Fixed<$($capacity),*>>>(),
        );
    };
}

macro_rules! broker {
    ($($name:ident)*) => {
        tamtam_core::fixed! { struct Small {
            out: 64, in_flight: 8, aliases: 8, links: 4, sessions: 4, subscriptions: 8, levels: 8,
            level_bytes: 64, bodies: 8, body_bytes: 64, names: 64, queue: 8,
        } }
        let small = size_of::<Broker<Small>>();
        $(broker!(@one $name small);)*
    };
    (@one $name:ident $small:ident) => {{
        const fn size(name: &str, one: &str) -> usize {
            if matches!(name.as_bytes(), bytes if same(bytes, one.as_bytes())) { MORE } else { 0 }
        }
        const NAME: &str = stringify!($name);
        tamtam_core::fixed! { struct Large {
            out: 64 + size(NAME, "out"), in_flight: 8 + size(NAME, "in_flight"),
            aliases: 8 + size(NAME, "aliases"), links: 4 + size(NAME, "links"),
            sessions: 4 + size(NAME, "sessions"),
            subscriptions: 8 + size(NAME, "subscriptions"), levels: 8 + size(NAME, "levels"),
            level_bytes: 64 + size(NAME, "level_bytes"), bodies: 8 + size(NAME, "bodies"),
            body_bytes: 64 + size(NAME, "body_bytes"), names: 64 + size(NAME, "names"),
            queue: 8 + size(NAME, "queue"),
        } }
        line(concat!("broker ", stringify!($name), " "), $small, size_of::<Broker<Large>>());
    }};
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    match (a, b) {
        ([], []) => true,
        ([a, rest_a @ ..], [b, rest_b @ ..]) => *a == *b && same(rest_a, rest_b),
        _ => false,
    }
}

fn main(_: Board) -> ! {
    client!("out", 128, 8, 64);
    client!("in_flight", 64, 72, 64);
    client!("aliases", 64, 8, 128);
    broker!(out in_flight aliases links sessions subscriptions levels level_bytes bodies
        body_bytes names queue);
    exit(0)
}
