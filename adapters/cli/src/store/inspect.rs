//! What is in a store, and whether it belongs together.

use std::collections::{BTreeMap, HashMap, HashSet};

use tamtam_core::broker::Record;
use tamtam_store::{Findings, Kept};

/// How many sessions are named.
const NAMED: usize = 10;

/// Says what came to light while it was read. Whether nothing was lost.
pub(super) fn tell(findings: &Findings) -> bool {
    for remark in findings.remarks() {
        eprintln!("remark: {remark}");
    }
    for loss in findings.losses() {
        eprintln!("damaged: {loss}");
    }
    findings.is_whole()
}

/// A session, or a group.
#[derive(Default)]
struct Session {
    client: String,
    is_here: bool,
    is_group: bool,
    ends_ms: Option<u64>,
    expiry_secs: u32,
    subscriptions: Vec<String>,
    queued: u64,
    bytes: u64,
    received: u64,
    has_will: bool,
}

#[derive(Default)]
struct Contents {
    /// Messages: their bytes, and how many point at them.
    messages: HashMap<u64, (u64, u64)>,
    sessions: BTreeMap<u64, Session>,
    retained: u64,
    retained_bytes: u64,
    /// What waits: session and place.
    places: HashSet<(u64, u64)>,
    records: u64,
    faults: Vec<String>,
}

impl Contents {
    fn read(kept: &mut Kept) -> Result<(Self, Findings), String> {
        let mut contents = Self::default();
        let findings = kept.records(|record| contents.add(record));
        Ok((contents, findings.map_err(|error| error.to_string())?))
    }

    fn add(&mut self, record: &Record<'_>) {
        self.records += 1;
        match *record {
            Record::Body { body, topic, properties, payload, .. } => {
                let len = topic.len() + properties.len() + payload.len();
                self.messages.insert(body, (len as u64, 0));
            }
            Record::Session { session, client_id, expiry_secs, ends, .. } => {
                let entry = self.sessions.entry(session).or_default();
                entry.client = String::from_utf8_lossy(client_id).into_owned();
                (entry.is_here, entry.expiry_secs) = (true, expiry_secs);
                entry.ends_ms = ends.map(tamtam_core::Instant::as_millis);
            }
            Record::Group { group, filter } => {
                let entry = self.sessions.entry(group).or_default();
                entry.client = String::from_utf8_lossy(filter).into_owned();
                (entry.is_here, entry.is_group) = (true, true);
            }
            Record::Given { session, place, group, .. } => {
                self.session(group, "a message of a group");
                if !self.places.contains(&(session, place)) {
                    let client = self.session(session, "a message of a group").client.clone();
                    self.faults
                        .push(format!("{client}: message {place} is of a group, and not there"));
                }
            }
            Record::Subscription { session, filter, .. } => {
                let filter = String::from_utf8_lossy(filter).into_owned();
                self.session(session, "a subscription").subscriptions.push(filter);
            }
            Record::Queued { session, place, body, .. } => {
                let bytes = self.message(body, "a queue");
                self.places.insert((session, place));
                let session = self.session(session, "a queue");
                (session.queued, session.bytes) = (session.queued + 1, session.bytes + bytes);
            }
            Record::Sent { session, place, .. } if !self.places.contains(&(session, place)) => {
                let client = self.session(session, "an identifier").client.clone();
                self.faults.push(format!("{client}: message {place} was sent, and is not there"));
            }
            Record::Sent { .. } => {}
            Record::Released { session, .. } => self.session(session, "a PUBREL").queued += 1,
            Record::Received { session, .. } => {
                self.session(session, "an identifier").received += 1;
            }
            Record::Will { session, body, .. } => {
                self.message(body, "a will");
                self.session(session, "a will").has_will = true;
            }
            Record::Retained { body, .. } => {
                self.retained += 1;
                self.retained_bytes += self.message(body, "a topic that retains it");
            }
            _ => {}
        }
    }

    /// The session that something belongs to.
    fn session(&mut self, number: u64, what: &str) -> &mut Session {
        let session = self.sessions.entry(number).or_default();
        if !session.is_here {
            self.faults
                .push(format!("{what} belongs to session or group {number}, which is not there"));
        }
        session
    }

    /// Something points at a message; its bytes.
    fn message(&mut self, number: u64, what: &str) -> u64 {
        match self.messages.get_mut(&number) {
            Some((bytes, holders)) => {
                *holders += 1;
                *bytes
            }
            None => {
                self.faults.push(format!("{what} points at message {number}, which is not there"));
                0
            }
        }
    }
}

/// `tamtam store inspect`.
pub(super) fn all(kept: &mut Kept, disk_bytes: u64) -> Result<bool, String> {
    let (contents, findings) = Contents::read(kept)?;
    let sessions: Vec<_> = contents.sessions.values().filter(|session| session.is_here).collect();
    let bytes: u64 = contents.messages.values().map(|(bytes, _)| bytes).sum();
    let sum = |of: fn(&Session) -> u64| sessions.iter().map(|session| of(session)).sum::<u64>();
    println!("records        {:>12}", contents.records);
    println!("on disk        {disk_bytes:>12} bytes");
    println!("messages       {:>12}    {bytes} bytes", contents.messages.len());
    println!("retained       {:>12}    {} bytes", contents.retained, contents.retained_bytes);
    let groups = sessions.iter().filter(|session| session.is_group).count();
    println!("sessions       {:>12}", sessions.len() - groups);
    println!("groups         {groups:>12}");
    println!("subscriptions  {:>12}", sum(|session| session.subscriptions.len() as u64));
    println!("queued         {:>12}", sum(|session| session.queued));
    println!("wills          {:>12}", sum(|session| u64::from(session.has_will)));
    let mut most: Vec<_> = sessions.iter().filter(|session| session.queued != 0).collect();
    most.sort_by_key(|session| std::cmp::Reverse(session.queued));
    for session in most.iter().take(NAMED) {
        println!(
            "  {:>10} messages, {} bytes wait for {:?}",
            session.queued, session.bytes, session.client
        );
    }
    if most.len() > NAMED {
        println!("  … and {} more sessions", most.len() - NAMED);
    }
    Ok(tell(&findings))
}

/// `tamtam store inspect --session`.
pub(super) fn session(kept: &mut Kept, client: &str) -> Result<bool, String> {
    let (contents, findings) = Contents::read(kept)?;
    let mut sessions = contents.sessions.values();
    let session = sessions.find(|session| session.client == client && !session.is_group);
    let session = session.ok_or_else(|| format!("there is no session of {client:?}"))?;
    println!("expiry         {}", expiry(session.expiry_secs));
    if let Some(ends) = session.ends_ms {
        println!("ends           {ends} ms since 1970");
    }
    println!("queued         {} messages, {} bytes", session.queued, session.bytes);
    println!("taken over     {} QoS 2 messages that it has not released", session.received);
    println!("will           {}", if session.has_will { "yes" } else { "no" });
    for filter in &session.subscriptions {
        println!("subscription   {filter}");
    }
    Ok(tell(&findings))
}

fn expiry(secs: u32) -> String {
    match secs {
        0 => "with its connection".to_owned(),
        u32::MAX => "never".to_owned(),
        secs => format!("{secs} seconds after its connection"),
    }
}

/// `tamtam store verify`.
pub(super) fn verify(kept: &mut Kept) -> Result<bool, String> {
    let (contents, findings) = Contents::read(kept)?;
    let is_whole = tell(&findings);
    for fault in &contents.faults {
        eprintln!("fault: {fault}");
    }
    let unused = contents.messages.values().filter(|(_, holders)| *holders == 0).count();
    if unused != 0 {
        eprintln!("remark: nobody needs {unused} of the messages; the broker will drop them");
    }
    let is_sound = is_whole && contents.faults.is_empty();
    if is_sound {
        println!("{} records were read, and belong together", contents.records);
    }
    Ok(is_sound)
}
