//! Who watches the judge: faults put between the broker and its lines or its store, one at a time,
//! each of which must be found within [`SEEDS`] lives.

use std::collections::{BTreeMap, BTreeSet};

use tamtam_core::Heap;
use tamtam_core::broker::Record;
use tamtam_tests::broker::life::{Life, Plan};
use tamtam_tests::broker::meddler::Meddler;
use tamtam_tests::wire::{AckKind, Notice, Packet, Publish, id};

/// Within how many lives each fault is found.
const SEEDS: u64 = 12;

const PLAN: Plan = Plan { acts: 300, crashes_permille: 8, ..Plan::SMALL };

type Down = Box<dyn FnMut(&mut Memory, Packet) -> Vec<Packet>>;
type Loses = Box<dyn FnMut(&Record<'_>) -> bool>;
type Up = Box<dyn FnMut(&mut Memory, Packet) -> Vec<Packet>>;

/// What a fault remembers of one line.
#[derive(Default)]
struct Memory {
    count: usize,
    held: Option<Packet>,
    last: Vec<u8>,
}

/// One fault.
#[derive(Default)]
struct Fault {
    up: Option<Up>,
    down: Option<Down>,
    /// The kind of record that the store never keeps.
    loses: Option<Loses>,
    hurries: bool,
    lines: BTreeMap<usize, Memory>,
}

impl Meddler for Fault {
    fn up(&mut self, line: usize, packet: Packet) -> Vec<Packet> {
        let memory = self.lines.entry(line).or_default();
        self.up.as_mut().map_or_else(|| vec![packet.clone()], |up| up(memory, packet.clone()))
    }

    fn down(&mut self, line: usize, packet: Packet) -> Vec<(usize, Packet)> {
        let memory = self.lines.entry(line).or_default();
        let packets = match &mut self.down {
            Some(down) => down(memory, packet),
            None => vec![packet],
        };
        packets.into_iter().map(|packet| (line, packet)).collect()
    }

    fn record(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let record = Record::read(bytes).expect("a record");
        let lost = self.loses.as_mut().is_some_and(|loses| loses(&record));
        if lost { Vec::new() } else { vec![bytes.to_vec()] }
    }

    fn hurries(&mut self) -> bool {
        self.hurries
    }
}

/// In which groups have much to do, and few members.
const SHARING: Plan =
    Plan { actors: 3, machines: 1, shared_percent: 60, crashes_permille: 25, ..PLAN };

/// The words that the judge has for a life with this fault, if any.
fn found(fault: Option<Fault>, seed: u64, plan: Plan) -> Vec<String> {
    let mut life = Life::<Heap>::new(seed, plan);
    life.world.meddle(Box::new(fault.unwrap_or_default()));
    for _ in 0..6 {
        life.live_some(PLAN.acts / 6);
        if !life.world.violations().is_empty() {
            return life.world.oracle.violations().to_vec();
        }
    }
    life.come_to_rest();
    life.world.oracle.violations().to_vec()
}

fn expect_found(name: &str, fault: impl Fn() -> Fault) {
    expect_found_in(name, PLAN, fault);
}

fn expect_found_in(name: &str, plan: Plan, fault: impl Fn() -> Fault) {
    for seed in 1..=SEEDS {
        if let Some(words) = found(Some(fault()), seed, plan).first() {
            return println!("{name}: seed {seed}, {words:.150}");
        }
    }
    panic!("{name}: not found within {SEEDS} lives");
}

fn down(change: impl FnMut(&mut Memory, Packet) -> Vec<Packet> + 'static) -> Fault {
    Fault { down: Some(Box::new(change)), ..Fault::default() }
}

fn up(change: impl FnMut(&mut Memory, Packet) -> Vec<Packet> + 'static) -> Fault {
    Fault { up: Some(Box::new(change)), ..Fault::default() }
}

fn is_ack(packet: &Packet, kind: AckKind) -> bool {
    matches!(packet, Packet::Ack(ack) if ack.kind == kind)
}

/// Drops every third acknowledgement of a kind.
fn drops(kind: AckKind) -> Fault {
    down(move |memory, packet| {
        memory.count += usize::from(is_ack(&packet, kind));
        let drop = is_ack(&packet, kind) && memory.count.is_multiple_of(3);
        if drop { Vec::new() } else { vec![packet] }
    })
}

/// Doubles every third acknowledgement of a kind.
fn doubles(kind: AckKind) -> Fault {
    down(move |memory, packet| {
        memory.count += usize::from(is_ack(&packet, kind));
        let twice = is_ack(&packet, kind) && memory.count.is_multiple_of(3);
        if twice { vec![packet.clone(), packet] } else { vec![packet] }
    })
}

/// Changes every third message to a client that it applies to.
fn publishes(change: impl Fn(&mut Publish) -> bool + 'static) -> Fault {
    down(move |memory, packet| match packet {
        Packet::Publish(mut publish) => {
            memory.count += 1;
            if memory.count.is_multiple_of(3) {
                change(&mut publish);
            }
            vec![Packet::Publish(publish)]
        }
        other => vec![other],
    })
}

/// Changes each CONNECT.
fn connects(change: impl Fn(&mut tamtam_tests::wire::Connect) + 'static) -> Fault {
    up(move |_, packet| match packet {
        Packet::Connect(mut connect) => {
            change(&mut connect);
            vec![Packet::Connect(connect)]
        }
        other => vec![other],
    })
}

fn loses(which: impl FnMut(&Record<'_>) -> bool + 'static) -> Fault {
    Fault { loses: Some(Box::new(which)), ..Fault::default() }
}

/// The same of records of groups, of which the store keeps that they are.
fn loses_of_groups(which: fn(&Record<'_>) -> Option<u64>) -> Fault {
    let mut groups = BTreeSet::new();
    loses(move |record| {
        if let Record::Group { group, .. } = record {
            groups.insert(*group);
        }
        which(record).is_some_and(|number| groups.contains(&number))
    })
}

#[test]
fn without_a_fault_nothing_is_found() {
    for seed in 1..=SEEDS {
        for plan in [PLAN, SHARING] {
            assert_eq!(found(None, seed, plan), Vec::<String>::new(), "seed {seed}");
        }
    }
}

#[test]
fn wrong_acknowledgements_are_found() {
    for kind in [AckKind::PubAck, AckKind::PubRec, AckKind::PubRel, AckKind::PubComp] {
        expect_found(&format!("{kind:?} dropped"), || drops(kind));
        expect_found(&format!("{kind:?} doubled"), || doubles(kind));
    }
    expect_found("PUBACKs out of order", || {
        down(|memory, packet| match (is_ack(&packet, AckKind::PubAck), memory.held.take()) {
            (true, Some(held)) => vec![packet, held],
            (true, None) => {
                memory.held = Some(packet);
                Vec::new()
            }
            (false, held) => {
                memory.held = held;
                vec![packet]
            }
        })
    });
    expect_found("PUBREL before PUBREC", || {
        down(|_, packet| match &packet {
            Packet::Publish(publish) if publish.qos == 2 => {
                let pubrel = Packet::ack(AckKind::PubRel, publish.id);
                vec![packet, pubrel]
            }
            _ => vec![packet],
        })
    });
    expect_found("SUBACK without codes", || {
        down(|_, packet| match packet {
            Packet::SubAck(mut answer) => {
                answer.codes.push(0);
                vec![Packet::SubAck(answer)]
            }
            other => vec![other],
        })
    });
    expect_found("PINGRESP dropped", || {
        down(|_, packet| if packet == Packet::PingResp { Vec::new() } else { vec![packet] })
    });
}

#[test]
fn wrong_messages_are_found() {
    expect_found("message lost", || {
        down(|memory, packet| {
            let is_it = matches!(&packet, Packet::Publish(publish) if publish.qos > 0);
            memory.count += usize::from(is_it);
            if is_it && memory.count.is_multiple_of(4) { Vec::new() } else { vec![packet] }
        })
    });
    expect_found("message doubled under another identifier", || {
        down(|_, packet| match &packet {
            Packet::Publish(publish) if publish.qos == 2 && !publish.dup => {
                let id = publish.id ^ 0x4000;
                let again = Packet::Publish(Publish { id, ..publish.clone() });
                vec![packet, again]
            }
            _ => vec![packet],
        })
    });
    expect_found("messages out of order", || {
        down(|memory, packet| match (matches!(packet, Packet::Publish(_)), memory.held.take()) {
            (true, Some(held)) => vec![packet, held],
            (true, None) => {
                memory.held = Some(packet);
                Vec::new()
            }
            (false, held) => {
                memory.held = held;
                vec![packet]
            }
        })
    });
    expect_found("group copies merged", || {
        down(|memory, packet| match &packet {
            Packet::Publish(publish) if publish.payload == memory.last => Vec::new(),
            Packet::Publish(publish) => {
                memory.last.clone_from(&publish.payload);
                vec![packet]
            }
            _ => vec![packet],
        })
    });
}

#[test]
fn wrong_fields_of_messages_are_found() {
    expect_found("DUP at first", || {
        publishes(|publish| std::mem::replace(&mut publish.dup, publish.qos > 0))
    });
    expect_found("no DUP again", || {
        down(|_, packet| match packet {
            Packet::Publish(publish) => {
                vec![Packet::Publish(Publish { dup: false, ..publish })]
            }
            other => vec![other],
        })
    });
    expect_found("RETAIN wrong", || {
        publishes(|publish| {
            publish.retain ^= true;
            true
        })
    });
    expect_found("payload changed", || publishes(|publish| publish.payload.pop().is_some()));
    expect_found("stale alias", || {
        publishes(|publish| {
            let alias = publish.props.number(id::TOPIC_ALIAS);
            if let Some(alias) = alias.filter(|_| publish.topic.is_empty()) {
                let props = publish.props.without(id::TOPIC_ALIAS);
                publish.props = props.with(id::TOPIC_ALIAS, alias % 2 + 1);
            }
            true
        })
    });
    expect_found("subscription identifier dropped", || {
        publishes(|publish| {
            publish.props = publish.props.without(id::SUBSCRIPTION_ID);
            true
        })
    });
    expect_found("expiry not counted down", || {
        publishes(|publish| {
            let told = publish.props.number(id::MESSAGE_EXPIRY);
            if let Some(told) = told {
                let props = publish.props.without(id::MESSAGE_EXPIRY);
                publish.props = props.with(id::MESSAGE_EXPIRY, told + 1);
            }
            true
        })
    });
    expect_found("retained messages withheld", || {
        down(|_, packet| {
            let is_it = matches!(&packet, Packet::Publish(publish) if publish.retain);
            if is_it { Vec::new() } else { vec![packet] }
        })
    });
}

#[test]
fn wrong_sessions_are_found() {
    expect_found("session present is wrong", || {
        down(|_, packet| match packet {
            Packet::ConnAck(mut connack) => {
                connack.session_present ^= true;
                vec![Packet::ConnAck(connack)]
            }
            other => vec![other],
        })
    });
    expect_found("clean start ignored", || connects(|connect| connect.clean = false));
    expect_found("session forgotten", || connects(|connect| connect.clean = true));
    expect_found("window ignored", || {
        connects(|connect| connect.props = connect.props.without(id::RECEIVE_MAXIMUM))
    });
    expect_found("packet size ignored", || {
        connects(|connect| connect.props = connect.props.without(id::MAXIMUM_PACKET_SIZE))
    });
    expect_found("expiry of the session ignored", || {
        connects(|connect| connect.props = connect.props.without(id::SESSION_EXPIRY))
    });
    expect_found("will forgotten", || connects(|connect| connect.will = None));
    expect_found("double will", || {
        down(|_, packet| match &packet {
            Packet::Publish(publish) if publish.topic.starts_with(b"t/will") => {
                let again = Publish { id: publish.id ^ 0x4000, ..publish.clone() };
                let again = if publish.qos == 0 { publish.clone() } else { again };
                vec![packet, Packet::Publish(again)]
            }
            _ => vec![packet],
        })
    });
    expect_found("will in spite of goodbye", || {
        up(|_, packet| match packet {
            // In 3.x, a connection that breaks instead.
            Packet::Disconnect(Notice { code: 0, props }) => {
                vec![Packet::Disconnect(Notice { code: 4, props })]
            }
            other => vec![other],
        })
    });
    expect_found("No Local ignored", || {
        up(|_, packet| match packet {
            Packet::Subscribe(mut request) => {
                request.filters.iter_mut().for_each(|(_, options)| *options &= !4);
                vec![Packet::Subscribe(request)]
            }
            other => vec![other],
        })
    });
    expect_found("UNSUBSCRIBE ignored", || {
        up(|_, packet| match packet {
            Packet::Unsubscribe(mut request) => {
                request.filters.iter_mut().for_each(|(filter, _)| *filter = b"no/such".to_vec());
                vec![Packet::Unsubscribe(request)]
            }
            other => vec![other],
        })
    });
    expect_found("received identifier forgotten", forgets_received);
}

/// The broker is told that a message was released, just before it comes again.
fn forgets_received() -> Fault {
    let hide = std::rc::Rc::new(std::cell::RefCell::new(Vec::<u16>::new()));
    let hidden = hide.clone();
    Fault {
        up: Some(Box::new(move |_, packet| match &packet {
            Packet::Publish(publish) if publish.qos == 2 && publish.dup => {
                hide.borrow_mut().push(publish.id);
                vec![Packet::ack(AckKind::PubRel, publish.id), packet]
            }
            _ => vec![packet],
        })),
        down: Some(Box::new(move |_, packet| match &packet {
            Packet::Ack(ack) if ack.kind == AckKind::PubComp => {
                let mut hidden = hidden.borrow_mut();
                match hidden.iter().position(|id| *id == ack.id) {
                    Some(at) => {
                        hidden.remove(at);
                        Vec::new()
                    }
                    None => vec![packet],
                }
            }
            _ => vec![packet],
        })),
        ..Fault::default()
    }
}

#[test]
fn wrong_stores_are_found() {
    expect_found("acknowledged before commit", || Fault { hurries: true, ..Fault::default() });
    expect_found("queue entries lost", || loses(|record| matches!(record, Record::Queued { .. })));
    expect_found("sessions lost", || loses(|record| matches!(record, Record::Session { .. })));
    expect_found("subscriptions lost", || {
        loses(|record| matches!(record, Record::Subscription { .. }))
    });
    expect_found("ends of sessions lost", || {
        loses(|record| matches!(record, Record::SessionGone { .. }))
    });
    expect_found("received identifiers lost", || {
        loses(|record| matches!(record, Record::Received { .. }))
    });
    expect_found("PUBRECs lost", || loses(|record| matches!(record, Record::Released { .. })));
    expect_found("retained messages lost", || {
        loses(|record| matches!(record, Record::Retained { .. }))
    });
}

#[test]
fn wrong_stores_of_groups_are_found() {
    expect_found_in("groups lost", SHARING, || {
        loses(|record| matches!(record, Record::Group { .. }))
    });
    expect_found_in("what waits for groups lost", SHARING, || {
        loses_of_groups(|record| match record {
            Record::Queued { session, .. } => Some(*session),
            _ => None,
        })
    });
    expect_found_in("what groups gave not kept", SHARING, || {
        loses_of_groups(|record| match record {
            Record::Settled { session, .. } => Some(*session),
            _ => None,
        })
    });
    expect_found_in("where a message came from forgotten", SHARING, || {
        loses(|record| matches!(record, Record::Given { .. }))
    });
}
