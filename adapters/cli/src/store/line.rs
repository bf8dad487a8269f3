//! A record as a line of JSON.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use tamtam_core::broker::Record;
use tamtam_core::{Instant, QoS};

/// The format of the lines.
pub(super) const FORMAT: u32 = 1;

/// Sessions and messages are known by numbers; times are milliseconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The first line.
    Store {
        format: u32,
    },
    /// A message, which others point at.
    Message {
        message: u64,
        topic: String,
        payload: Bytes,
        /// As they are on the wire.
        #[serde(default, skip_serializing_if = "Bytes::is_empty")]
        properties: Bytes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "is_zero")]
        publisher: u64,
    },
    Session {
        session: u64,
        client: String,
        /// Whose it is; nobody's, if left out.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        user: String,
        /// 4294967295 for never.
        expiry_secs: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends_ms: Option<u64>,
    },
    Subscription {
        session: u64,
        filter: String,
        options: u8,
        identifier: u32,
    },
    /// A shared subscription's group, for which messages wait as for a session.
    Group {
        group: u64,
        filter: String,
    },
    Cursor {
        session: u64,
        filter: String,
        since: u64,
        topic: String,
    },
    Queued {
        session: u64,
        place: u64,
        message: u64,
        qos: u8,
        retain: bool,
        identifiers: Vec<u32>,
    },
    Sent {
        session: u64,
        place: u64,
        packet_id: u16,
    },
    /// What is queued came through a group.
    Given {
        session: u64,
        place: u64,
        group: u64,
        at: u64,
        qos: u8,
        retain: bool,
    },
    Released {
        session: u64,
        place: u64,
        packet_id: u16,
    },
    Received {
        session: u64,
        packet_id: u16,
    },
    Will {
        session: u64,
        message: u64,
        qos: u8,
        retain: bool,
        delay_secs: u32,
        expiry_secs: Option<u32>,
        due_ms: Option<u64>,
    },
    Retained {
        message: u64,
        qos: u8,
    },
}

/// Text if it is, else `{"base64": …}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Bytes {
    Text(String),
    Binary { base64: String },
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary { base64: base64_encode(bytes) },
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    pub(super) fn read(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Binary { base64 } => {
                use base64ct::{Base64, Encoding};
                Base64::decode_vec(&base64).map_err(|_| "that is not base64".to_owned())
            }
        }
    }
}

fn base64_encode(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(bytes)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it in like this")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn qos(level: u8) -> Result<QoS, String> {
    QoS::from_level(level).ok_or_else(|| format!("there is no QoS {level}"))
}

impl Line {
    /// The line of a record; none for one that only takes something back.
    pub(super) fn of(record: &Record<'_>) -> Option<Self> {
        let millis = |moment: Option<Instant>| moment.map(Instant::as_millis);
        Some(match *record {
            Record::Body { body, topic, properties, payload, expires, publisher } => {
                Self::Message {
                    message: body,
                    topic: text(topic),
                    payload: Bytes::of(payload),
                    properties: Bytes::of(properties),
                    expires_ms: millis(expires),
                    publisher,
                }
            }
            Record::Session { session, client_id, user, expiry_secs, ends } => Self::Session {
                session,
                client: text(client_id),
                user: text(user),
                expiry_secs,
                ends_ms: millis(ends),
            },
            Record::Subscription { session, filter, options, id } => {
                Self::Subscription { session, filter: text(filter), options, identifier: id }
            }
            Record::Group { group, filter } => Self::Group { group, filter: text(filter) },
            Record::Given { session, place, group, at, qos, retain } => {
                Self::Given { session, place, group, at, qos: qos.level(), retain }
            }
            Record::Cursor { session, filter, since, last } => {
                Self::Cursor { session, filter: text(filter), since, topic: text(last) }
            }
            Record::Queued { session, place, body, qos, retain, ids } => {
                let (ids, _) = ids.as_chunks::<4>();
                let identifiers = ids.iter().map(|id| u32::from_be_bytes(*id)).collect();
                let qos = qos.level();
                Self::Queued { session, place, message: body, qos, retain, identifiers }
            }
            Record::Sent { session, place, packet_id } => Self::Sent { session, place, packet_id },
            Record::Released { session, place, packet_id } => {
                Self::Released { session, place, packet_id }
            }
            Record::Received { session, packet_id } => Self::Received { session, packet_id },
            Record::Will { session, body, qos, retain, delay_secs, expiry_secs, due } => {
                let (message, qos, due_ms) = (body, qos.level(), millis(due));
                Self::Will { session, message, qos, retain, delay_secs, expiry_secs, due_ms }
            }
            Record::Retained { body, qos } => Self::Retained { message: body, qos: qos.level() },
            _ => return None,
        })
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// Shows the record of a line; none for the first line.
    pub(super) fn with<T>(self, take: impl FnOnce(&Record<'_>) -> T) -> Result<Option<T>, String> {
        let moment = |millis: Option<u64>| millis.map(Instant::from_millis);
        let taken = match self {
            Self::Store { format } if format <= FORMAT => return Ok(None),
            Self::Store { format } => return Err(format!("format {format} is not known")),
            Self::Message { message, topic, payload, properties, expires_ms, publisher } => {
                take(&Record::Body {
                    body: message,
                    topic: topic.as_bytes(),
                    properties: &properties.read()?,
                    payload: &payload.read()?,
                    expires: moment(expires_ms),
                    publisher,
                })
            }
            Self::Session { session, client, user, expiry_secs, ends_ms } => {
                take(&Record::Session {
                    session,
                    client_id: client.as_bytes(),
                    user: user.as_bytes(),
                    expiry_secs,
                    ends: moment(ends_ms),
                })
            }
            Self::Subscription { session, filter, options, identifier: id } => {
                take(&Record::Subscription { session, filter: filter.as_bytes(), options, id })
            }
            Self::Group { group, filter } => {
                take(&Record::Group { group, filter: filter.as_bytes() })
            }
            Self::Given { session, place, group, at, qos: level, retain } => {
                take(&Record::Given { session, place, group, at, qos: qos(level)?, retain })
            }
            Self::Cursor { session, filter, since, topic } => {
                let (filter, last) = (filter.as_bytes(), topic.as_bytes());
                take(&Record::Cursor { session, filter, since, last })
            }
            Self::Queued { session, place, message: body, qos: level, retain, identifiers } => {
                let ids: Vec<u8> = identifiers.iter().flat_map(|id| id.to_be_bytes()).collect();
                let qos = qos(level)?;
                take(&Record::Queued { session, place, body, qos, retain, ids: &ids })
            }
            Self::Sent { session, place, packet_id } => {
                take(&Record::Sent { session, place, packet_id })
            }
            Self::Released { session, place, packet_id } => {
                take(&Record::Released { session, place, packet_id })
            }
            Self::Received { session, packet_id } => take(&Record::Received { session, packet_id }),
            Self::Will {
                session,
                message,
                qos: level,
                retain,
                delay_secs,
                expiry_secs,
                due_ms,
            } => {
                let (body, qos, due) = (message, qos(level)?, moment(due_ms));
                take(&Record::Will { session, body, qos, retain, delay_secs, expiry_secs, due })
            }
            Self::Retained { message: body, qos: level } => {
                take(&Record::Retained { body, qos: qos(level)? })
            }
        };
        Ok(Some(taken))
    }
}
