//! Reads `mosquitto.db` as mosquitto 2.0 writes it (format 6): sessions with their subscriptions
//! and messages, and retained messages.
//!
//! The file is a run of chunks: a kind, a length, a fixed part, texts. Numbers stand in the order
//! of the network, but for 64-bit ones, which stand as the machine has them. mosquitto hands on a
//! QoS 2 message when its publisher releases it; one that was not is handed on here, as the broker
//! does that at once. Shared subscriptions are not in the file, nor are wills.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use tamtam_core::broker::{Broker, Options, Record};
use tamtam_core::{Heap, Instant, QoS, TopicName};
use tamtam_store::Packed;

use super::line::qos;

/// How such a file begins.
pub(super) const MAGIC: &[u8] = b"\x00\xB5\x00mosquitto db";

const FORMAT: u32 = 6;

const MESSAGE: u32 = 2;
const DELIVERY: u32 = 3;
const RETAINED: u32 = 4;
const SUBSCRIPTION: u32 = 5;
const CLIENT: u32 = 6;

/// Where an exchange is: numbers of mosquitto's.
const WAITS_FOR_PUBREC: u8 = 5;
const RESENDS_PUBREL: u8 = 6;
const WAITS_FOR_PUBCOMP: u8 = 9;

/// A message of the file.
struct Message<'a> {
    topic: &'a [u8],
    payload: &'a [u8],
    properties: Vec<u8>,
    qos: QoS,
}

#[derive(Default)]
struct Import<'a> {
    numbers: u64,
    messages: HashMap<u64, (u64, Message<'a>)>,
    /// Each session's number, the identifier of its first message that was sent, its next place.
    sessions: BTreeMap<&'a [u8], (u64, Option<u16>, u64)>,
    /// QoS 2 messages that are to be handed on.
    pending: Vec<u64>,
    retained: usize,
}

/// Reads a file; what was read, in words.
pub(super) fn read(bytes: &[u8], packed: &mut Packed) -> Result<String, String> {
    let mut file = Fields(bytes.get(MAGIC.len()..).unwrap_or_default());
    let (_checksum, format) = (file.u32()?, file.u32()?);
    if format != FORMAT {
        return Err(format!(
            "it has format {format}, and only format {FORMAT} can be read: let mosquitto 2.0 open \
             and save it once"
        ));
    }
    let mut chunks = Vec::new();
    while !file.0.is_empty() {
        let (kind, len) = (file.u32()?, file.u32()?);
        chunks.push((kind, Fields(file.take(len as usize)?)));
    }
    let mut import = Import::default();
    // Messages come before what points at them, and sessions before what is theirs.
    for kind in [MESSAGE, CLIENT, SUBSCRIPTION, DELIVERY, RETAINED] {
        for (_, fields) in chunks.iter().filter(|(other, _)| *other == kind) {
            import.chunk(kind, Fields(fields.0), packed)?;
        }
    }
    let (messages, sessions, retained) =
        (import.messages.len(), import.sessions.len(), import.retained);
    import.hand_on(packed)?;
    Ok(format!("{sessions} sessions, {messages} messages, {retained} of them retained"))
}

impl<'a> Import<'a> {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn chunk(&mut self, kind: u32, fields: Fields<'a>, packed: &mut Packed) -> Result<(), String> {
        match kind {
            MESSAGE => self.message(fields, packed),
            CLIENT => self.client(fields, packed),
            SUBSCRIPTION => self.subscription(fields, packed),
            DELIVERY => self.delivery(fields, packed),
            _ => self.retained(fields, packed),
        }
    }

    fn message(&mut self, mut fields: Fields<'a>, packed: &mut Packed) -> Result<(), String> {
        let (id, expires_secs) = (fields.u64()?, fields.u64()?);
        let payload_len = fields.u32()? as usize;
        let (_packet_id, source_len) = (fields.u16()?, fields.u16()?);
        let (user_len, topic_len) = (fields.u16()?, fields.u16()?);
        let (_port, level, _retain) = (fields.u16()?, fields.u8()?, fields.u8()?);
        fields.take(usize::from(source_len))?;
        fields.take(usize::from(user_len))?;
        let topic = fields.take(usize::from(topic_len))?;
        let payload = fields.take(payload_len)?;
        let properties = forwarded(fields)?;
        let expires = (expires_secs != 0).then(|| Instant::from_millis(expires_secs * 1_000));
        let message = Message { topic, payload, properties, qos: qos(level)? };
        let body = self.number();
        packed.push(&Record::Body {
            body,
            topic,
            properties: &message.properties,
            payload,
            expires,
            publisher: 0,
        });
        self.messages.insert(id, (body, message));
        Ok(())
    }

    fn client(&mut self, mut fields: Fields<'a>, packed: &mut Packed) -> Result<(), String> {
        const PADDING: usize = 2;
        let (ends_secs, expiry_secs, _last) = (fields.u64()?, fields.u32()?, fields.u16()?);
        let (id_len, _port, user_len) = (fields.u16()?, fields.u32()?, fields.u16()?);
        fields.take(PADDING)?;
        let client_id = fields.take(usize::from(id_len))?;
        let user = fields.take(usize::from(user_len))?;
        let session = self.number();
        let has_end = ends_secs != 0 && expiry_secs != u32::MAX;
        let ends = has_end.then(|| Instant::from_millis(ends_secs * 1_000));
        packed.push(&Record::Session { session, client_id, user, expiry_secs, ends });
        self.sessions.insert(client_id, (session, None, 0));
        Ok(())
    }

    fn subscription(&mut self, mut fields: Fields<'a>, packed: &mut Packed) -> Result<(), String> {
        const PADDING: usize = 2;
        let (id, client_len, filter_len) = (fields.u32()?, fields.u16()?, fields.u16()?);
        let (level, options) = (fields.u8()?, fields.u8()?);
        fields.take(PADDING)?;
        let client = fields.take(usize::from(client_len))?;
        let filter = fields.take(usize::from(filter_len))?;
        if let Some((session, ..)) = self.sessions.get(client) {
            let options = qos(level)?.level() | (options & 0x3C);
            packed.push(&Record::Subscription { session: *session, filter, options, id });
        }
        Ok(())
    }

    fn delivery(&mut self, mut fields: Fields<'a>, packed: &mut Packed) -> Result<(), String> {
        let (message, packet_id, client_len) = (fields.u64()?, fields.u16()?, fields.u16()?);
        let (level, state) = (fields.u8()?, fields.u8()?);
        let (retain, direction) = (fields.u8()? & 0xF0 != 0, fields.u8()?);
        let client = fields.take(usize::from(client_len))?;
        let ids = subscription_ids(fields)?;
        let Some((session, first, next)) = self.sessions.get_mut(client) else { return Ok(()) };
        let session = *session;
        let Some((body, _)) = self.messages.get(&message) else {
            return Err(format!("message {message} is not there"));
        };
        if direction == 0 {
            packed.push(&Record::Received { session, packet_id });
            self.pending.push(message);
            return Ok(());
        }
        let is_released = matches!(state, RESENDS_PUBREL | WAITS_FOR_PUBCOMP);
        let is_sent = is_released || state == WAITS_FOR_PUBREC;
        // The broker finds a message by its identifier, which says how far behind the first it is.
        let place = match (is_sent, &first) {
            (true, Some(first)) => (*next).max(u64::from(distance(*first, packet_id))),
            _ => *next,
        };
        if is_sent {
            first.get_or_insert(packet_id);
        }
        *next = place + 1;
        if is_released {
            packed.push(&Record::Released { session, place, packet_id });
            return Ok(());
        }
        packed.push(&Record::Queued {
            session,
            place,
            body: *body,
            qos: qos(level)?,
            retain,
            ids: &ids,
        });
        if is_sent {
            packed.push(&Record::Sent { session, place, packet_id });
        }
        Ok(())
    }

    fn retained(&mut self, mut fields: Fields<'a>, packed: &mut Packed) -> Result<(), String> {
        if let Some((body, message)) = self.messages.get(&fields.u64()?) {
            packed.push(&Record::Retained { body: *body, qos: message.qos });
            self.retained += 1;
        }
        Ok(())
    }

    /// Hands QoS 2 messages on that mosquitto has not, by a broker that knows everything else.
    fn hand_on(self, packed: &mut Packed) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let options = Options { store: true, queue: usize::MAX, ..Options::DEFAULT };
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Instant::from_millis(u64::try_from(wall.as_millis()).unwrap_or_default());
        let mut broker = Broker::<Heap>::new();
        broker.start(&options, 0);
        for bytes in packed.records().bytes() {
            let record = Record::read(bytes).ok_or("a record that is none")?;
            broker.restore(&record).map_err(|_| "it is larger than a broker may be")?;
        }
        broker.restored(now);
        for id in self.pending {
            let Some((_, message)) = self.messages.get(&id) else { continue };
            let topic = TopicName::from_bytes(message.topic).map_err(|error| error.to_string())?;
            broker.publish(topic, message.payload, QoS::ExactlyOnce, false, now);
        }
        broker.records();
        *packed = Packed::default();
        if let Some((_, records)) = broker.take_records(true) {
            for record in records.bytes().filter_map(Record::read) {
                packed.push(&record);
            }
        }
        Ok(())
    }
}

/// How many identifiers from one to another.
const fn distance(first: u16, other: u16) -> u16 {
    let ahead = other.wrapping_sub(first);
    if other < first { ahead.wrapping_sub(1) } else { ahead } // 0 is no identifier
}

/// The properties that subscribers are sent.
fn forwarded(mut fields: Fields<'_>) -> Result<Vec<u8>, String> {
    if fields.0.is_empty() {
        return Ok(Vec::new());
    }
    let len = fields.variable()? as usize;
    let mut properties = Fields(fields.take(len)?);
    let mut kept = Vec::new();
    while !properties.0.is_empty() {
        let before = properties.0;
        let is_forwarded = match properties.u8()? {
            0x01 => properties.u8().map(|_| true),
            0x03 | 0x08 | 0x09 => properties.text().map(|()| true),
            0x26 => properties.text().and_then(|()| properties.text()).map(|()| true),
            0x02 => properties.u32().map(|_| false), // the time of expiry is said elsewhere
            other => Err(format!("property {other:#04x} does not belong to a message")),
        }?;
        if is_forwarded {
            kept.extend(before.iter().take(before.len() - properties.0.len()));
        }
    }
    Ok(kept)
}

/// The subscription identifiers among the properties of a delivery, four bytes each.
fn subscription_ids(mut fields: Fields<'_>) -> Result<Vec<u8>, String> {
    let mut ids = Vec::new();
    if !fields.0.is_empty() {
        let len = fields.variable()? as usize;
        let mut properties = Fields(fields.take(len)?);
        while !properties.0.is_empty() && properties.u8()? == 0x0B {
            ids.extend(properties.variable()?.to_be_bytes());
        }
    }
    Ok(ids)
}

/// Fields of a chunk, from its front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let split = self.0.split_at_checked(len);
        let (front, rest) = split.ok_or("it ends in the middle of a chunk")?;
        self.0 = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let front = self.take(N)?;
        front.try_into().map_err(|_| "it ends in the middle of a chunk".to_owned())
    }

    fn u8(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<(), String> {
        let len = self.u16()?;
        self.take(usize::from(len)).map(|_| ())
    }

    /// A number of one to four bytes.
    fn variable(&mut self) -> Result<u32, String> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            number |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a length has more than four bytes".to_owned())
    }
}
