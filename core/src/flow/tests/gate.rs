//! Acknowledgements leave in the order in which their messages came, whenever they are answered.

use std::vec::Vec;

use super::{Dice, id};
use crate::flow::gate::{Entry, Gate};
use crate::storage::{HeapQueue, Queue};
use crate::types::{PacketId, ReasonCode};

struct Owed {
    ticket: u32,
    number: u16,
    answer: Option<ReasonCode>,
    unrecorded: bool,
}

/// One random operation on both.
fn operate<Q: Queue<Entry>>(gate: &mut Gate<Q>, model: &mut Vec<Owed>, dice: &mut Dice) {
    let number = dice.roll(1..6) as u16;
    let reason = dice.pick(&[ReasonCode::Success, ReasonCode::QuotaExceeded]).unwrap();
    match dice.roll(0..20) {
        0..6 => {
            let unrecorded = dice.one_in(2);
            let has_room = gate.has_room();
            let entered = gate.enter(id(number), unrecorded);
            assert_eq!(entered.is_ok(), has_room);
            if let Ok(ticket) = entered {
                model.push(Owed { ticket, number, answer: None, unrecorded });
            }
        }
        6..10 => {
            let tickets: Vec<u32> = model.iter().map(|owed| owed.ticket).collect();
            let ticket = dice.pick(&tickets).unwrap_or(77) + u32::from(dice.one_in(8)) * 100;
            let entry = model.iter_mut().find(|owed| owed.ticket == ticket);
            let entry = entry.filter(|owed| owed.answer.is_none());
            let expected = entry.map(|owed| {
                owed.answer = Some(reason);
                id(owed.number)
            });
            assert_eq!(gate.answer(ticket, reason), expected);
        }
        10..12 => {
            gate.answer_id(id(number), reason);
            for owed in model.iter_mut().filter(|owed| owed.number == number) {
                owed.answer = owed.answer.or(Some(reason));
            }
        }
        12..15 => {
            gate.recorded(id(number));
            for owed in model.iter_mut().filter(|owed| owed.number == number) {
                owed.unrecorded = false;
            }
        }
        15..19 => {
            let first = model.first().filter(|owed| !owed.unrecorded);
            let expected = first.and_then(|owed| Some((id(owed.number), owed.answer?)));
            assert_eq!(gate.release(), expected);
            if expected.is_some() {
                model.remove(0);
            }
        }
        _ if dice.one_in(4) => {
            gate.close();
            model.clear();
        }
        _ => {}
    }
    assert_eq!(gate.len(), model.len());
}

fn gate_agrees_with_the_model<Q: Queue<Entry>>(limit: u16) {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let mut gate = Gate::<Q>::EMPTY;
        gate.set_limit(limit);
        let mut model = Vec::new();
        let mut given = Vec::new();
        for _ in 0..300 {
            operate(&mut gate, &mut model, &mut dice);
            given.extend(model.last().map(|owed| owed.ticket));
            assert_eq!(gate.has_room(), model.len() < usize::from(limit), "seed {seed}");
        }
        given.dedup();
        assert!(given.is_sorted(), "seed {seed}: a ticket was given out twice");
    }
}

// [MQTT5-4.6.0-2, MQTT5-4.6.0-3]
#[test]
fn the_gate_agrees_with_a_model_on_both_storages() {
    gate_agrees_with_the_model::<heapless::Deque<Entry, 4>>(4);
    gate_agrees_with_the_model::<HeapQueue<Entry>>(4);
    gate_agrees_with_the_model::<HeapQueue<Entry>>(50);
}

#[test]
fn a_ticket_means_nothing_once_its_connection_is_gone() {
    let mut gate = Gate::<HeapQueue<Entry>>::EMPTY;
    gate.set_limit(8);
    let old = gate.enter(id(1), false).unwrap();
    gate.close();
    let new = gate.enter(id(1), false).unwrap();
    assert_ne!(old, new);
    assert_eq!(gate.answer(old, ReasonCode::Success), None);
    assert_eq!(gate.answer(new, ReasonCode::Success), PacketId::new(1));
}
