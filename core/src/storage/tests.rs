//! The same bodies on both storages.

use std::vec::Vec;

use super::*;

fn memory_grows_to_its_limit<M: Memory>() {
    let mut memory = M::EMPTY;
    memory.set_limit(8);
    assert_eq!(memory.limit(), 8);
    memory.resize(4).unwrap();
    memory.bytes_mut().copy_from_slice(b"abcd");
    memory.resize(8).unwrap();
    assert_eq!(memory.bytes(), b"abcd\0\0\0\0");
    assert_eq!(memory.resize(9), Err(Full));
    assert_eq!(memory.bytes().len(), 8, "an error changes nothing");
    memory.resize(2).unwrap();
    memory.resize(3).unwrap();
    assert_eq!(memory.bytes(), b"ab\0", "what is new is zero");
}

fn a_list_keeps_its_order<L: List<u8>>() {
    let mut list = L::EMPTY;
    list.set_limit(4);
    for item in [1, 2, 4] {
        list.push(item).unwrap();
    }
    assert_eq!(list.insert(9, 0), Err(Full));
    list.insert(2, 3).unwrap();
    assert_eq!(list.as_slice(), [1, 2, 3, 4]);
    assert_eq!(list.push(5), Err(Full));
    assert_eq!(list.remove(1), Some(2));
    assert_eq!(list.remove(3), None);
    list.as_mut_slice()[0] = 9;
    assert_eq!(list.as_slice(), [9, 3, 4]);
    list.clear();
    assert!(list.as_slice().is_empty());
}

fn a_queue_is_first_in_first_out<Q: Queue<u8>>() {
    let mut queue = Q::EMPTY;
    queue.set_limit(4);
    assert!(queue.is_empty());
    for round in 0..10 {
        for item in 0..4 {
            queue.push_back(item + round).unwrap();
        }
        assert_eq!(queue.push_back(9), Err(Full));
        *queue.get_mut(3).unwrap() += 1;
        assert_eq!(queue.get(0), Some(&round));
        assert_eq!(queue.get(4), None);
        let all: Vec<_> = core::iter::from_fn(|| queue.pop_front()).collect();
        assert_eq!(all, [round, round + 1, round + 2, round + 4]);
    }
    queue.push_back(1).unwrap();
    queue.clear();
    assert_eq!(queue.len(), 0);
}

/// Every entry is found after any number of insertions and removals, in any order.
fn an_index_finds_what_it_holds<I: Index>(hash: impl Fn(u32) -> u64 + Copy) {
    let mut index = I::EMPTY;
    let mut held = Vec::new();
    let mut random = 1_u64;
    for _ in 0..20_000 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let slot = (random >> 33) as u32 % 40;
        let at = held.iter().position(|other| *other == slot);
        assert_eq!(index.find(hash(slot), |other| other == slot).is_some(), at.is_some());
        match at {
            Some(at) => {
                held.swap_remove(at);
                assert!(index.remove(hash(slot), slot, hash));
                assert!(!index.remove(hash(slot), slot, hash));
            }
            None if held.len() < 16 => {
                held.push(slot);
                index.insert(hash(slot), slot, hash).unwrap();
            }
            None => {}
        }
        for slot in &held {
            assert_eq!(index.find(hash(*slot), |other| other == *slot), Some(*slot));
        }
    }
}

fn an_arena_keeps_slots<A: Arena<u8>>() {
    let mut arena = A::EMPTY;
    arena.set_limit(3);
    let slots: Vec<_> = (0..3).map(|item| arena.insert(item).unwrap()).collect();
    assert_eq!(arena.insert(9), Err(Full));
    assert_eq!(arena.remove(slots[1]), Some(1));
    assert_eq!(arena.remove(slots[1]), None);
    assert_eq!(arena.get(slots[1]), None);
    assert_eq!(arena.insert(7), Ok(slots[1]), "a free slot is used again");
    *arena.get_mut(slots[2]).unwrap() = 8;
    assert_eq!(
        slots.iter().map(|slot| arena.get(*slot)).collect::<Vec<_>>(),
        [Some(&0), Some(&7), Some(&8)]
    );
    assert_eq!((arena.len(), arena.slots()), (3, 3));
}

/// Runs keep their bytes whatever comes and goes beside them.
fn a_pool_keeps_runs<P: Pool>() {
    let mut pool = P::EMPTY;
    pool.set_limit(64);
    let mut held: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut random = 1_u64;
    for round in 0..5_000_u32 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let pick = (random >> 33) as usize;
        let used: usize = held.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(pool.used(), used);
        let bytes: Vec<u8> = (0..pick % 17).map(|i| (round as usize + i) as u8).collect();
        let (front, back) = bytes.split_at(bytes.len() / 2);
        if pick.is_multiple_of(3) && !held.is_empty() {
            let (handle, _) = held.swap_remove(pick / 3 % held.len());
            pool.remove(handle);
        } else if used + bytes.len() > 64 {
            assert_eq!(pool.insert(&[front, back]), Err(Full));
        } else if held.len() < 8 {
            held.push((pool.insert(&[front, back]).unwrap(), bytes));
        }
        for (handle, bytes) in &held {
            assert_eq!(pool.get(*handle), bytes);
        }
    }
}

#[test]
fn arenas() {
    an_arena_keeps_slots::<FixedArena<u8, 3>>();
    an_arena_keeps_slots::<HeapArena<u8>>();
}

#[test]
fn pools() {
    a_pool_keeps_runs::<FixedPool<64, 8>>();
    a_pool_keeps_runs::<HeapPool>();
}

#[test]
fn memories() {
    memory_grows_to_its_limit::<FixedMemory<8>>();
    memory_grows_to_its_limit::<HeapMemory>();
}

#[test]
fn lists() {
    a_list_keeps_its_order::<heapless::Vec<u8, 4>>();
    a_list_keeps_its_order::<HeapList<u8>>();
}

#[test]
fn queues() {
    a_queue_is_first_in_first_out::<heapless::Deque<u8, 4>>();
    a_queue_is_first_in_first_out::<HeapQueue<u8>>();
}

#[test]
fn indices() {
    for stretch in [0, 1, 7, 0x9E37_79B9_7F4A_7C15] {
        let hash = move |slot: u32| u64::from(slot).wrapping_mul(stretch);
        an_index_finds_what_it_holds::<FixedIndex<16>>(hash);
        an_index_finds_what_it_holds::<HeapIndex>(hash);
    }
}

#[test]
fn a_fixed_index_says_when_it_is_full() {
    let mut index = FixedIndex::<2>::EMPTY;
    let hash = |slot: u32| u64::from(slot);
    assert_eq!(index.insert(0, 0, hash), Ok(()));
    assert_eq!(index.insert(1, 1, hash), Ok(()));
    assert_eq!(index.insert(2, 2, hash), Err(Full));
    let mut none = FixedIndex::<0>::EMPTY;
    assert_eq!(none.insert(0, 0, hash), Err(Full));
}
