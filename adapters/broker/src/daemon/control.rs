//! The socket of `tamtam ctl`: a request is a line of JSON, its answer lines of JSON.
//!
//! `{"do":"sessions"}` and the like; the last line of an answer has `"end"` or `"error"`. Only the
//! owner of the socket's file can open it.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use tamtam_blocking::broker::{Handle, Turn};
use tamtam_core::broker::{
    LinkInfo, Page, QueuedInfo, RetainedInfo, SessionInfo, SubscriptionInfo, Tally,
};
use tamtam_core::{Instant, PacketId, ReasonCode, TopicFilter, TopicName};

use super::policy::Guard;

/// How many at once may look at the broker or follow its events.
const CALLERS_MAX: usize = 16;
/// How many lines are made in one turn of the loop.
const PAGE: usize = 500;
/// How long a request may be, in bytes.
const REQUEST_BYTES_MAX: u64 = 128 << 10;
/// How many bytes of lines, but for the last of them.
const PAGE_BYTES: usize = 1 << 20;
/// How long a filter may be, in bytes, `$share/` and the name of its group included.
const FILTER_BYTES_MAX: usize = 1 << 17;

/// What went wrong with a request, in words.
type Wrong = String;

/// Serves the socket, on threads of its own.
///
/// # Errors
/// It can't be made.
pub(super) fn serve(path: &Path, guard: &Arc<Guard>, handle: &Handle) -> io::Result<()> {
    if path.exists() && UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?; // of a broker that is gone
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let (guard, handle) = (Arc::clone(guard), handle.clone());
    let callers = Arc::new(AtomicUsize::new(0));
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // No descriptor is free, perhaps: the next moment may bring one.
                thread::sleep(std::time::Duration::from_millis(100));
                continue;
            };
            if callers.fetch_add(1, Ordering::Relaxed) >= CALLERS_MAX {
                callers.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (guard, handle) = (Arc::clone(&guard), handle.clone());
            let callers = Arc::clone(&callers);
            thread::spawn(move || {
                let caller = Caller { guard, handle, stream: &stream, out: Vec::new() };
                let _ = caller.serve(); // whoever asked is gone
                callers.fetch_sub(1, Ordering::Relaxed);
            });
        }
    })?;
    Ok(())
}

/// Somebody who asks.
struct Caller<'a> {
    guard: Arc<Guard>,
    handle: Handle,
    stream: &'a UnixStream,
    out: Vec<u8>,
}

impl Caller<'_> {
    fn serve(mut self) -> io::Result<()> {
        let mut lines = BufReader::new(io::Read::take(self.stream, REQUEST_BYTES_MAX));
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let request = serde_json::from_str::<Value>(&line).unwrap_or_default();
            line.clear();
            lines.get_mut().set_limit(REQUEST_BYTES_MAX);
            if request["do"] == "events" {
                return self.follow();
            }
            let last = match self.answer(&request) {
                Ok(last) => last,
                Err(error) => json!({ "error": error }),
            };
            self.say(&last);
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn say(&mut self, value: &Value) {
        self.out.extend(value.to_string().bytes());
        self.out.push(b'\n');
    }

    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Turn<'_>) -> T + Send + 'static,
    ) -> Result<T, Wrong> {
        self.handle.run(job).map_err(|error| error.to_string())
    }

    /// Does what is asked; the lines of the answer, and then its last one.
    fn answer(&mut self, request: &Value) -> Result<Value, Wrong> {
        let client = || request["client"].as_str().unwrap_or_default().to_owned();
        match request["do"].as_str().unwrap_or_default() {
            "status" => self.status(),
            "links" => self.pages(|turn, page| {
                let link = turn.broker.next_link(page)?;
                Some(link_json(&link, turn))
            }),
            "sessions" => {
                self.pages(|turn, page| turn.broker.next_session(page).map(|one| as_json(&one)))
            }
            "subscriptions" => {
                let mut buffer = vec![0; FILTER_BYTES_MAX];
                self.pages(move |turn, page| {
                    let one = turn.broker.next_subscription(page, &mut buffer)?;
                    Some(subscription_json(&one))
                })
            }
            "queue" => self.queue(client()),
            "show" => self.show(client()),
            "disconnect" => {
                let (client, code) = (client(), request["reason"].as_u64().unwrap_or(0x98));
                let reason = u8::try_from(code).ok().and_then(ReasonCode::from_byte);
                let reason = reason.filter(|reason| reason.is_error());
                let reason = reason.ok_or("this is no reason code to disconnect with")?;
                let name = client.clone();
                let done = self.run(move |turn| turn.broker.disconnect(&name, reason, turn.now))?;
                if done { Ok(json!({"end": 1})) } else { Err(no_client(&client, "connected")) }
            }
            "end" => {
                let (client, name) = (client(), client());
                let done = self.run(move |turn| turn.broker.end_session_of(&name, turn.now))?;
                if done { Ok(json!({"end": 1})) } else { Err(no_client(&client, "there")) }
            }
            "clear" => {
                let name = client();
                let count = self.run(move |turn| turn.broker.clear_queue(&name, turn.now))?;
                self.say(&json!({ "cleared": count }));
                Ok(json!({ "end": count }))
            }
            "retained" => self.retained(request["filter"].as_str().unwrap_or("#")),
            "delete" => {
                let filter = request["filter"].as_str().unwrap_or_default().to_owned();
                TopicFilter::new(&filter).map_err(|error| error.to_string())?;
                let count = self.run(move |turn| match TopicFilter::new(&filter) {
                    Ok(filter) => turn.broker.delete_retained(filter, turn.now),
                    Err(_) => 0,
                })?;
                self.say(&json!({ "deleted": count }));
                Ok(json!({ "end": count }))
            }
            other => Err(format!("there is no request `{other}`")),
        }
    }

    fn status(&mut self) -> Result<Value, Wrong> {
        let guard = Arc::clone(&self.guard);
        let now = self.run(move |turn| guard.snapshot(turn))?;
        let dropped = now.dropped().into_iter().filter(|(_, copies)| *copies != 0);
        let dropped: Vec<_> =
            dropped.map(|(why, copies)| json!({"why": why, "copies": copies})).collect();
        self.say(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_secs": now.uptime_secs,
            "connected": now.connected,
            "sessions": now.sessions,
            "subscriptions": now.subscriptions,
            "retained": now.retained,
            "stored_messages": now.stored,
            "stored_bytes": now.stored_bytes,
            "messages_received": now.counters.messages_in(),
            "messages_sent": now.counters.messages_out(),
            "bytes_received": now.counters.bytes_in,
            "bytes_sent": now.counters.bytes_out,
            "received": by_qos(&now.counters.published),
            "sent": by_qos(&now.counters.delivered),
            "dropped": dropped,
            "resident_bytes": now.resident_bytes,
        }));
        Ok(json!({"end": 1}))
    }

    /// Shows all of something, so much in each turn of the loop; what is `Null` is passed over.
    fn pages(
        &mut self,
        mut next: impl FnMut(&mut Turn<'_>, &mut Page) -> Option<Value> + Send + 'static,
    ) -> Result<Value, Wrong> {
        let (mut page, mut count, mut is_over) = (Page::FIRST, 0_usize, false);
        while !is_over {
            let job = move |turn: &mut Turn<'_>| {
                let mut lines = String::new();
                let (mut shown, mut is_over) = (0, false);
                for _ in 0..PAGE {
                    match next(turn, &mut page) {
                        Some(Value::Null) => {}
                        Some(one) => {
                            shown += 1;
                            lines.push_str(&format!("{one}\n"));
                        }
                        None => is_over = true,
                    }
                    if is_over || lines.len() >= PAGE_BYTES {
                        break;
                    }
                }
                (lines, shown, is_over, (page, next))
            };
            let (lines, shown, over, rest) = self.run(job)?;
            count = count.saturating_add(shown);
            self.out.extend(lines.bytes());
            self.flush().map_err(|error| error.to_string())?;
            (is_over, (page, next)) = (over, rest);
        }
        Ok(json!({ "end": count }))
    }

    /// What waits for a client, in the order in which it is sent.
    fn queue(&mut self, client: String) -> Result<Value, Wrong> {
        let name = client.clone();
        if !self.run(move |turn| turn.broker.session_of(&name).is_some())? {
            return Err(no_client(&client, "there"));
        }
        self.pages(move |turn, page| {
            let one = turn.broker.next_queued(&client, page)?;
            Some(queued_json(&one, turn.now))
        })
    }

    fn show(&mut self, client: String) -> Result<Value, Wrong> {
        let name = client.clone();
        let shown = self.run(move |turn| {
            let mut session = as_json(&turn.broker.session_of(&name)?);
            if let Some(address) =
                turn.broker.session_of(&name)?.link.and_then(|link| turn.peer(link))
            {
                session["address"] = address.address.to_string().into();
            }
            let (mut filters, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
            turn.broker.subscriptions_of(&name, &mut buffer, |wanted| {
                filters.push(json!({
                    "filter": wanted.filter.as_str(),
                    "qos": wanted.qos.level(),
                    "no_local": wanted.no_local,
                    "retain_as_published": wanted.retain_as_published,
                }));
            });
            session["filters"] = filters.into();
            Some(session)
        })?;
        self.say(&shown.ok_or_else(|| no_client(&client, "there"))?);
        Ok(json!({"end": 1}))
    }

    /// What is retained of the topics that a filter matches.
    fn retained(&mut self, filter: &str) -> Result<Value, Wrong> {
        TopicFilter::new(filter).map_err(|error| error.to_string())?;
        let filter = filter.to_owned();
        self.pages(move |turn, page| {
            let filter = TopicFilter::new(&filter).ok()?;
            let one = turn.broker.next_retained(page)?;
            let topic = String::from_utf8_lossy(one.topic);
            let is_it = TopicName::new(&topic).is_ok_and(|topic| filter.matches(topic));
            Some(if is_it { retained_json(&one, turn.now) } else { Value::Null })
        })
    }

    /// Passes on what happens, until nobody listens.
    fn follow(mut self) -> io::Result<()> {
        let guard = Arc::clone(&self.guard);
        let Ok(events) = self.run(move |turn| guard.follow(turn)) else { return Ok(()) };
        for event in events {
            self.out.extend(event.bytes());
            self.out.push(b'\n');
            self.flush()?;
        }
        Ok(())
    }
}

fn no_client(client: &str, what: &str) -> Wrong {
    format!("no client `{client}` is {what}")
}

/// Messages and the bytes of their payloads.
fn by_qos(tallies: &[Tally; 3]) -> Vec<Value> {
    (0..).zip(tallies).map(one_qos).collect()
}

fn one_qos((qos, tally): (u8, &Tally)) -> Value {
    json!({"qos": qos, "messages": tally.messages, "payload_bytes": tally.bytes})
}

fn as_json(session: &SessionInfo<'_>) -> Value {
    json!({
        "client": String::from_utf8_lossy(session.client_id),
        "user": String::from_utf8_lossy(session.user_name),
        "connected": session.link.is_some(),
        "subscriptions": session.subscriptions,
        "queued": session.queued,
        "expiry_secs": session.expiry_secs,
        "will": session.has_will,
    })
}

fn link_json(link: &LinkInfo<'_>, turn: &Turn<'_>) -> Value {
    let peer = turn.peer(link.link);
    let listener = peer.as_ref().map_or("", |peer| turn.listener_name(peer));
    json!({
        "client": String::from_utf8_lossy(link.client_id),
        "user": String::from_utf8_lossy(link.user_name),
        "address": peer.as_ref().map(|peer| peer.address.to_string()).unwrap_or_default(),
        "listener": listener,
        "version": link.version.map(|version| version.to_string()).unwrap_or_default(),
        "silent_secs": turn.now.millis_since(link.heard) / 1_000,
        "output_bytes": link.output,
        "in_flight": link.in_flight,
        "window": link.window,
        "blocked": link.blocked,
    })
}

fn subscription_json(one: &SubscriptionInfo<'_>) -> Value {
    json!({
        "client": String::from_utf8_lossy(one.client_id),
        "filter": one.wanted.filter.as_str(),
        "qos": one.wanted.qos.level(),
        "no_local": one.wanted.no_local,
        "retain_as_published": one.wanted.retain_as_published,
        "identifier": one.identifier,
    })
}

fn queued_json(one: &QueuedInfo<'_>, now: Instant) -> Value {
    json!({
        "id": one.packet_id.map_or(0, PacketId::get),
        "topic": String::from_utf8_lossy(one.topic),
        "qos": one.qos.level(),
        "retain": one.retain,
        "bytes": one.bytes,
        "expiry_secs": remaining_secs(one.expires, now),
        "sent": one.sent,
    })
}

fn retained_json(one: &RetainedInfo<'_>, now: Instant) -> Value {
    json!({
        "topic": String::from_utf8_lossy(one.topic),
        "qos": one.qos.level(),
        "bytes": one.payload.len(),
        "expiry_secs": remaining_secs(one.expires, now),
        "payload": String::from_utf8_lossy(one.payload),
    })
}

/// How long something is of use, as a Message Expiry Interval: the highest there is for ever.
fn remaining_secs(expires: Option<Instant>, now: Instant) -> u64 {
    let left = expires.map(|when| when.millis_since(now).div_ceil(1_000));
    left.unwrap_or(u64::from(u32::MAX))
}
