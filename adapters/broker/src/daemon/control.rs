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
use tamtam_core::broker::{Acceptance, Page, SessionInfo};
use tamtam_core::{Connect, QoS, ReasonCode, Subscription, Text, TopicFilter, Version};

use super::policy::Guard;

/// How many at once may look at the broker or follow its events.
const CALLERS_MAX: usize = 16;
/// How many sessions are shown in one turn of the loop.
const PAGE: usize = 500;
/// How long a request may be, in bytes.
const REQUEST_BYTES_MAX: u64 = 128 << 10;
/// How many retained messages are shown at most.
const RETAINED_MAX: usize = 100_000;

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
            let caller =
                Caller { guard: Arc::clone(&guard), handle: handle.clone(), out: Vec::new() };
            let callers = Arc::clone(&callers);
            thread::spawn(move || {
                let _ = caller.serve(&stream); // whoever asked is gone
                callers.fetch_sub(1, Ordering::Relaxed);
            });
        }
    })?;
    Ok(())
}

/// Somebody who asks.
struct Caller {
    guard: Arc<Guard>,
    handle: Handle,
    out: Vec<u8>,
}

impl Caller {
    fn serve(mut self, stream: &UnixStream) -> io::Result<()> {
        let mut lines = BufReader::new(io::Read::take(stream, REQUEST_BYTES_MAX));
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let request = serde_json::from_str::<Value>(&line).unwrap_or_default();
            line.clear();
            lines.get_mut().set_limit(REQUEST_BYTES_MAX);
            if request["do"] == "events" {
                return self.follow(stream);
            }
            let last = match self.answer(&request) {
                Ok(last) => last,
                Err(error) => json!({ "error": error }),
            };
            self.say(&last);
            let mut output = stream;
            output.write_all(&std::mem::take(&mut self.out))?;
        }
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
            "sessions" => self.sessions(),
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
        self.say(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_secs": now.uptime_secs,
            "connected": now.connected,
            "sessions": now.sessions,
            "subscriptions": now.subscriptions,
            "retained": now.retained,
            "stored_messages": now.stored,
            "stored_bytes": now.stored_bytes,
            "messages_received": now.counters.messages_in,
            "messages_sent": now.counters.messages_out,
            "resident_bytes": now.resident_bytes,
        }));
        Ok(json!({"end": 1}))
    }

    fn sessions(&mut self) -> Result<Value, Wrong> {
        let (mut page, mut count) = (Page::FIRST, 0_usize);
        loop {
            let (shown, next) = self.run(move |turn| {
                let mut shown = Vec::new();
                while shown.len() < PAGE
                    && let Some(session) = turn.broker.next_session(&mut page)
                {
                    shown.push(as_json(&session));
                }
                (shown, page)
            })?;
            if shown.is_empty() {
                return Ok(json!({ "end": count }));
            }
            count = count.saturating_add(shown.len());
            shown.iter().for_each(|session| self.say(session));
            page = next;
        }
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

    /// Subscribes as a client without a transport, and shows what is retained.
    fn retained(&mut self, filter: &str) -> Result<Value, Wrong> {
        TopicFilter::new(filter).map_err(|error| error.to_string())?;
        let filter = filter.to_owned();
        let shown = self.run(move |turn| retained(turn, &filter))??;
        shown.iter().for_each(|message| self.say(message));
        Ok(json!({ "end": shown.len() }))
    }

    /// Passes on what happens, until nobody listens.
    fn follow(self, stream: &UnixStream) -> io::Result<()> {
        let guard = Arc::clone(&self.guard);
        let Ok(events) = self.run(move |turn| guard.follow(turn)) else { return Ok(()) };
        let mut output = stream;
        for event in events {
            output.write_all(format!("{event}\n").as_bytes())?;
        }
        Ok(())
    }
}

fn no_client(client: &str, what: &str) -> Wrong {
    format!("no client `{client}` is {what}")
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

fn retained(turn: &mut Turn<'_>, filter: &str) -> Result<Vec<Value>, Wrong> {
    let name = Text::new("$tamtam-ctl").map_err(|error| error.to_string())?;
    let filter = TopicFilter::new(filter).map_err(|error| error.to_string())?;
    let connect = Connect::new(Version::V5, name);
    let link = turn
        .broker
        .attach(&connect, Acceptance::default(), turn.now)
        .map_err(|reason| reason.to_string())?;
    let wanted = Subscription::new(filter).qos(QoS::AtMostOnce);
    turn.broker.subscribe_attached(link, &wanted, 0, turn.now);
    let mut shown = Vec::new();
    while shown.len() < RETAINED_MAX
        && let Some(message) = turn.broker.next_message(link, turn.now)
    {
        if message.retain {
            shown.push(json!({
                "topic": message.topic.map_or("", |topic| topic.as_str()),
                "bytes": message.payload.len(),
                "payload": String::from_utf8_lossy(message.payload),
            }));
        }
    }
    turn.broker.handle_close(link, turn.now);
    Ok(shown)
}
