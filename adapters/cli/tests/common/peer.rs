//! Clients with sessions that outlive the broker: a publisher that knows what was acknowledged, and
//! a subscriber that knows what came how often.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::raw::{packet, string};

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

/// A connection that is read packet by packet.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Line {
    /// Connected with version 3.1.1 and a session that is kept.
    pub fn open(port: u16, client_id: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut line = Self { stream, unread: Vec::new() };
        let body = [&string("MQTT")[..], &[4, 0, 0, 0], &string(client_id)[..]].concat();
        line.send(&packet(0x10, &body))?;
        while line.next()?.is_none() {} // CONNACK
        Ok(line)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn answer(&mut self, first: u8, id: u16) -> io::Result<()> {
        self.send(&packet(first, &id.to_be_bytes()))
    }

    /// The next packet: its first byte and its body; `None` if none comes for a moment.
    pub fn next(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some((len, first, body)) = whole(&self.unread) {
                self.unread.drain(..len);
                return Ok(Some((first, body)));
            }
            let mut more = [0; 65_536];
            match self.stream.read(&mut more) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.unread.extend(&more[..len]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The packet at the front: how long it is with its header, its first byte, its body.
fn whole(bytes: &[u8]) -> Option<(usize, u8, Vec<u8>)> {
    let (mut len, mut at) = (0_usize, 1);
    loop {
        let byte = *bytes.get(at)?;
        len |= usize::from(byte & 0x7F) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = bytes.get(at..at + len)?.to_vec();
    Some((at + len, bytes[0], body))
}

fn id_of(body: &[u8]) -> u16 {
    u16::from_be_bytes([body[0], body[1]])
}

/// What a message is, as its publisher knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub number: u64,
    pub qos: u8,
}

/// Publishes numbers, as fast as they are acknowledged: to `n/1` at QoS 1, to `n/2` at QoS 2, and
/// each tenth to `last` as well, retained.
#[derive(Debug, Default)]
pub struct Publisher {
    /// What was acknowledged.
    pub acknowledged: BTreeSet<Sent>,
    /// The last retained number that was acknowledged.
    pub retained: u64,
    next: u64,
    last_id: u16,
    /// What is under way, in order; past its PUBREC or not.
    open: VecDeque<(u16, Sent, bool)>,
}

const WINDOW: usize = 40;

impl Publisher {
    /// Goes on until the connection ends; without more, until everything is acknowledged.
    pub fn run(&mut self, port: u16, more: bool) -> io::Result<()> {
        let mut line = Line::open(port, "publisher")?;
        for (id, sent, released) in &self.open {
            match released {
                true => line.answer(PUBREL, *id)?,
                false => line.send(&publish(*id, *sent, true))?,
            }
        }
        loop {
            while more && self.open.len() < WINDOW {
                self.publish(&mut line)?;
            }
            if let Some((first, body)) = line.next()? {
                self.take(first, id_of(&body), &mut line)?;
            }
            if !more && self.open.is_empty() {
                return Ok(());
            }
        }
    }

    fn publish(&mut self, line: &mut Line) -> io::Result<()> {
        self.next += 1;
        let qos = match self.next % 10 {
            0 => 0x10 | 1, // retained
            number if number % 2 == 0 => 2,
            _ => 1,
        };
        self.last_id = self.last_id % 60_000 + 1;
        let sent = Sent { number: self.next, qos };
        self.open.push_back((self.last_id, sent, false));
        line.send(&publish(self.last_id, sent, false))
    }

    fn take(&mut self, first: u8, id: u16, line: &mut Line) -> io::Result<()> {
        let at = self.open.iter().position(|(open, ..)| *open == id);
        match (first, at) {
            (PUBREC, Some(at)) => {
                self.open[at].2 = true;
                self.acknowledged.insert(self.open[at].1);
                line.answer(PUBREL, id)?;
            }
            (PUBREC, None) => line.answer(PUBREL, id)?,
            (PUBACK | PUBCOMP, Some(at)) => {
                let Some((_, sent, _)) = self.open.remove(at) else { return Ok(()) };
                if sent.qos & 0x10 != 0 {
                    self.retained = sent.number;
                } else {
                    self.acknowledged.insert(sent);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn publish(id: u16, sent: Sent, again: bool) -> Vec<u8> {
    let (topic, qos, retain) = match sent.qos {
        1 => ("n/1", 1, 0),
        2 => ("n/2", 2, 0),
        _ => ("last", 1, 1),
    };
    let body = [string(topic), id.to_be_bytes().to_vec(), sent.number.to_string().into()].concat();
    packet(0x30 | qos << 1 | u8::from(again) << 3 | retain, &body)
}

/// Subscribes to `n/#` and takes what comes.
#[derive(Debug, Default)]
pub struct Subscriber {
    /// How often each number came to the application.
    pub counts: BTreeMap<Sent, usize>,
    /// The first copies, in the order in which they came.
    pub first: Vec<Sent>,
    /// QoS 2 messages that are not released.
    held: BTreeSet<u16>,
}

impl Subscriber {
    /// Makes the session: from now on everything is meant for it.
    pub fn begin(&mut self, port: u16) -> io::Result<()> {
        let mut line = Line::open(port, "subscriber")?;
        line.send(&packet(0x82, &[&[0, 1][..], &string("n/#"), &[2]].concat()))?;
        while line.next()?.is_none() {} // SUBACK
        Ok(())
    }

    /// Goes on until the connection ends; without more, until nothing comes for a while.
    pub fn run(&mut self, port: u16, more: bool) -> io::Result<()> {
        let mut line = Line::open(port, "subscriber")?;
        let mut quiet = 0;
        while more || quiet < 25 {
            match line.next()? {
                Some((first, body)) => {
                    quiet = 0;
                    self.take(first, &body, &mut line)?;
                }
                None => quiet += 1,
            }
        }
        Ok(())
    }

    fn take(&mut self, first: u8, body: &[u8], line: &mut Line) -> io::Result<()> {
        match first & 0xF0 {
            0x30 => {
                let topic = usize::from(id_of(body));
                let id = id_of(&body[2 + topic..]);
                let number = String::from_utf8_lossy(&body[4 + topic..]).parse().unwrap();
                let qos = first >> 1 & 3;
                if qos == 1 || self.held.insert(id) {
                    let count = self.counts.entry(Sent { number, qos }).or_default();
                    *count += 1;
                    if *count == 1 {
                        self.first.push(Sent { number, qos });
                    }
                }
                line.answer(if qos == 1 { PUBACK } else { PUBREC }, id)
            }
            0x60 => {
                self.held.remove(&id_of(body));
                line.answer(PUBCOMP, id_of(body))
            }
            _ => Ok(()),
        }
    }
}

/// The number that is retained, as somebody new sees it.
pub fn retained(port: u16) -> u64 {
    let mut raw = super::raw::Raw::connected(port, "auditor");
    raw.subscribe("last");
    raw.message().parse().unwrap()
}

/// Nothing that was acknowledged is lost, and at QoS 2 nothing came twice.
pub fn check(publisher: &Publisher, subscriber: &Subscriber, retained: u64) {
    for sent in &publisher.acknowledged {
        let count = subscriber.counts.get(sent).copied().unwrap_or_default();
        assert!(count >= 1, "{sent:?} was acknowledged, and is lost");
    }
    for (sent, count) in &subscriber.counts {
        assert!(sent.qos == 1 || *count == 1, "{sent:?} came {count} times");
    }
    for qos in [1, 2] {
        let of_it = subscriber.first.iter().filter(|sent| sent.qos == qos);
        let numbers: Vec<_> = of_it.map(|sent| sent.number).collect();
        assert!(numbers.is_sorted(), "first copies at QoS {qos} out of order");
    }
    assert!(retained >= publisher.retained, "{retained} is not the last one retained");
}
