//! What happens, for those who follow it and for whoever embeds the daemon.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{MutexGuard, PoisonError};

use serde_json::{Value, json};
use tamtam_blocking::broker::Turn;
use tamtam_core::broker::{Ended, Event, LinkId, Page, Watch};

use super::policy::Guard;

/// How many events wait for one who follows them; more are not told.
const EVENTS_WAITING_MAX: usize = 1_000;

impl Guard {
    fn names(&self) -> MutexGuard<'_, HashMap<LinkId, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens from now on, as lines of JSON.
    pub(super) fn follow(&self, turn: &mut Turn<'_>) -> Receiver<String> {
        let (mut names, mut page) = (self.names(), Page::FIRST);
        while let Some(session) = turn.broker.next_session(&mut page) {
            let client = || String::from_utf8_lossy(session.client_id).into_owned();
            names.extend(session.link.map(|link| (link, client())));
        }
        let (send, receive) = sync_channel(EVENTS_WAITING_MAX);
        self.followers().push(send);
        turn.broker.watch(Watch::EVERYTHING);
        receive
    }

    fn followers(&self) -> MutexGuard<'_, Vec<SyncSender<String>>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who follow; who does not keep up misses some. Whether anybody follows.
    fn tell(&self, event: impl FnOnce() -> Value) -> bool {
        let mut followers = self.followers();
        if followers.is_empty() {
            self.names().clear();
            return false;
        }
        let line = event().to_string();
        followers.retain(|follower| {
            !matches!(follower.try_send(line.clone()), Err(TrySendError::Disconnected(_)))
        });
        !followers.is_empty()
    }

    /// Something happened.
    pub(super) fn happened(&self, event: &Event, turn: &mut Turn<'_>) {
        self.hooks.event(event, &turn.broker.told());
        let followed = match event {
            Event::Connected { link, session_present } => {
                let count = self.connected.fetch_add(1, Ordering::Relaxed) + 1;
                self.connected_max.fetch_max(count, Ordering::Relaxed);
                let (client, address) = (client_of(turn, *link), address_of(turn, *link));
                tracing::debug!(client, address, "connected");
                self.names().insert(*link, client.clone());
                self.tell(|| {
                    json!({"event": "connected", "client": client, "address": address,
                        "session_present": session_present})
                })
            }
            Event::Refused { link, reason } => {
                let address = address_of(turn, *link);
                tracing::debug!(address, %reason, "not let in");
                self.tell(|| {
                    let reason = reason.to_string();
                    json!({"event": "refused", "address": address, "reason": reason})
                })
            }
            Event::Disconnected { link, why } => {
                self.connected.fetch_sub(1, Ordering::Relaxed);
                let client = self.names().remove(link).unwrap_or_default();
                tracing::debug!(client, ?why, "disconnected");
                self.tell(|| {
                    let why = match why {
                        Ended::Refused(reason) => reason.to_string(),
                        other => format!("{other:?}").to_lowercase(),
                    };
                    json!({"event": "disconnected", "client": client, "why": why})
                })
            }
            other => self.tell_news(other, turn),
        };
        if !followed {
            turn.broker.watch(self.hooks.watches());
        }
    }

    /// What is told only to those who want to know.
    fn tell_news(&self, event: &Event, turn: &Turn<'_>) -> bool {
        let told = turn.broker.told();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (client, subject) = (|| text(told.client_id), || text(told.subject));
        self.tell(|| match event {
            Event::SessionEnded { why } => {
                json!({"event": "session_ended", "client": client(), "why": why.name()})
            }
            Event::Subscribed { qos } => {
                json!({"event": "subscribed", "client": client(), "filter": subject(),
                    "qos": qos.level()})
            }
            Event::Unsubscribed => {
                json!({"event": "unsubscribed", "client": client(), "filter": subject()})
            }
            Event::Dropped { why, qos } => {
                json!({"event": "dropped", "client": client(), "topic": subject(),
                    "qos": qos.level(), "why": why.name()})
            }
            other => json!({"event": format!("{other:?}")}),
        })
    }
}

/// The client identifier of a connection.
fn client_of(turn: &Turn<'_>, link: LinkId) -> String {
    let client = turn.broker.client_of(link).unwrap_or_default();
    String::from_utf8_lossy(client).into_owned()
}

/// Where a connection comes from.
fn address_of(turn: &Turn<'_>, link: LinkId) -> String {
    turn.peer(link).map_or_else(String::new, |peer| peer.address.to_string())
}
