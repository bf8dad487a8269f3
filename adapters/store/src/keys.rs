//! Under which key each record is kept, so that keys in their order are records in theirs.
//!
//! The first byte says what it is of: messages come first, then sessions and groups, then what
//! belongs to each of them, then what topics retain. Numbers take as few bytes as they need, and
//! are in order all the same: how many they are stands before them.

use sha2::{Digest, Sha256};

const BODY: u8 = 1;
const SESSION: u8 = 2;
const OF_SESSION: u8 = 3;
const RETAINED: u8 = 4;

const SUBSCRIPTION: u8 = 1;
const QUEUE: u8 = 2;
const RECEIVED: u8 = 3;
const WILL: u8 = 4;
const CURSOR: u8 = 5;

/// Longer topics and filters are known by their beginning and a digest.
const TEXT_MOST: usize = 512;

/// Whether a key is that of a message.
pub(crate) fn is_of_body(key: &[u8]) -> bool {
    key.first() == Some(&BODY)
}

pub(crate) fn body(number: u64) -> Vec<u8> {
    numbered(BODY, number)
}

/// A session, or a group, which has its numbers among those of sessions.
pub(crate) fn session(number: u64) -> Vec<u8> {
    numbered(SESSION, number)
}

/// What all keys of a session begin with, but its own.
pub(crate) fn of_session(session: u64) -> Vec<u8> {
    numbered(OF_SESSION, session)
}

pub(crate) fn subscription(session: u64, filter: &[u8]) -> Vec<u8> {
    let mut key = of_session(session);
    key.push(SUBSCRIPTION);
    push_text(&mut key, filter);
    key
}

/// How far a session was sent what is retained, for a subscription that comes before.
pub(crate) fn cursor(session: u64, filter: &[u8]) -> Vec<u8> {
    let mut key = of_session(session);
    key.push(CURSOR);
    push_text(&mut key, filter);
    key
}

/// A message that waits for a session, or the PUBREL that is owed in its place.
pub(crate) fn queued(session: u64, place: u64) -> Vec<u8> {
    let mut key = of_session(session);
    key.push(QUEUE);
    push_number(&mut key, place);
    key.push(0);
    key
}

/// The packet identifier of a message that waits.
pub(crate) fn sent(session: u64, place: u64) -> Vec<u8> {
    beside(session, place, 1)
}

/// Which group a message that waits came through.
pub(crate) fn given(session: u64, place: u64) -> Vec<u8> {
    beside(session, place, 2)
}

fn beside(session: u64, place: u64, what: u8) -> Vec<u8> {
    let mut key = queued(session, place);
    if let Some(last) = key.last_mut() {
        *last = what;
    }
    key
}

pub(crate) fn received(session: u64, packet_id: u16) -> Vec<u8> {
    let mut key = of_session(session);
    key.push(RECEIVED);
    key.extend(packet_id.to_be_bytes());
    key
}

pub(crate) fn will(session: u64) -> Vec<u8> {
    let mut key = of_session(session);
    key.push(WILL);
    key
}

pub(crate) fn retained(topic: &[u8]) -> Vec<u8> {
    let mut key = vec![RETAINED];
    push_text(&mut key, topic);
    key
}

fn numbered(first: u8, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(24);
    key.push(first);
    push_number(&mut key, number);
    key
}

fn push_number(key: &mut Vec<u8>, number: u64) {
    let bytes = number.to_be_bytes();
    let zeros = (number.leading_zeros() / 8) as usize;
    key.push((bytes.len() - zeros) as u8);
    key.extend(bytes.iter().skip(zeros));
}

fn push_text(key: &mut Vec<u8>, text: &[u8]) {
    match text.split_at_checked(TEXT_MOST) {
        Some((front, rest)) if !rest.is_empty() => {
            key.extend(front);
            key.extend(Sha256::digest(text));
        }
        _ => key.extend(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        let numbers = [0, 1, 255, 256, 65_535, 65_536, u64::from(u32::MAX), u64::MAX];
        for pair in numbers.windows(2) {
            assert!(body(pair[0]) < body(pair[1]), "{pair:?}");
            assert!(queued(7, pair[0]) < sent(7, pair[0]));
            assert!(sent(7, pair[0]) < given(7, pair[0]));
            assert!(given(7, pair[0]) < queued(7, pair[1]));
        }
        assert!(body(u64::MAX) < session(0));
        assert!(session(u64::MAX) < subscription(0, b"a"));
        assert!(will(u64::MAX) < retained(b""));
        assert!(queued(7, 1).starts_with(&of_session(7)));
    }

    #[test]
    fn long_texts_have_keys_of_their_own() {
        let (one, other) = (vec![b'a'; 65_535], vec![b'a'; 65_534]);
        assert_ne!(retained(&one), retained(&other));
        assert!(retained(&one).len() < 1_000);
        assert_ne!(retained(&one[..TEXT_MOST]), retained(&one[..TEXT_MOST + 1]));
    }
}
