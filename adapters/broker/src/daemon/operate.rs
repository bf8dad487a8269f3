//! What operators do: look at the broker, and give it another configuration while it runs.

use tamtam_blocking::broker::{Handle, Turn};
use tamtam_core::ReasonCode;
use tamtam_core::broker::Page;

use super::policy::Guard;
use super::{Error, Loaded, door};
use crate::config::Config;
use crate::http;
use crate::metrics::prometheus;

/// The pages of the HTTP server.
pub(super) fn page(
    path: &str,
    guard: &std::sync::Arc<Guard>,
    handle: &Handle,
) -> Option<http::Page> {
    let guard = std::sync::Arc::clone(guard);
    let snapshot = handle.run(move |turn| guard.snapshot(turn));
    let Ok(snapshot) = snapshot else {
        return Some(http::Page::text(503, "the broker has stopped\n"));
    };
    match path {
        "/health" => Some(http::Page::text(200, "ok\n")),
        "/metrics" => Some(http::Page {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            text: prometheus(&snapshot),
        }),
        _ => None,
    }
}

/// Replaces what can be replaced; what can't is returned in words.
pub(super) fn reload(
    guard: &std::sync::Arc<Guard>,
    handle: &Handle,
    mut config: Config,
) -> Result<Vec<String>, Error> {
    config.listen_at(&guard.places)?;
    let loaded = Loaded::read(&config)?;
    let (old, before) = (guard.config(), guard.loaded());
    let mut kept = Vec::new();
    for (changed, what) in [
        (old.general.data != config.general.data, "data"),
        (old.general.memory != config.general.memory, "memory"),
        (old.general.metrics != config.general.metrics, "metrics"),
        (old.general.control != config.general.control, "control"),
        (old.general.pid_file != config.general.pid_file, "pid_file"),
        (old.general.password_threads != config.general.password_threads, "password_threads"),
        (!same_places(&old, &config), "listen"),
    ] {
        if changed {
            kept.push(format!("`{what}` can't be changed while the broker runs: it stays"));
        }
    }
    let options = config.options();
    let listeners = if same_places(&old, &config) { config.listeners } else { old.listeners };
    let layers = listeners.iter().map(door::layers).collect::<Result<Vec<_>, _>>()?;
    let config = Config { listeners, ..config };
    let doors: Vec<_> = config
        .listeners
        .iter()
        .map(|listener| (config.admission_of(listener), listener.no_delay))
        .collect();
    let after = loaded.clone();
    guard.replace(config, loaded);
    let guard = std::sync::Arc::clone(guard);
    let job = handle.run(move |turn| {
        turn.broker.set_options(&options);
        for (listener, layers) in layers.into_iter().enumerate() {
            turn.set_layers(listener, layers);
        }
        for (listener, (admission, no_delay)) in doors.into_iter().enumerate() {
            turn.set_admission(listener, admission);
            turn.set_no_delay(listener, no_delay);
        }
        guard.count_users(turn);
        guard.store_rules(turn.broker);
        entitle(turn, &guard);
        turn_out(turn, &before, &after);
    });
    job.map_err(|error| Error::Open(error.to_string()))?;
    Ok(kept)
}

/// Whether both listen at the same places, in the same order.
fn same_places(old: &Config, new: &Config) -> bool {
    let places = |config: &Config| {
        let listeners = config.listeners.iter();
        listeners.map(|one| (one.listen.clone(), one.proxy_protocol)).collect::<Vec<_>>()
    };
    places(old) == places(new)
}

/// Says of every session what its user may do now.
fn entitle(turn: &mut Turn<'_>, guard: &Guard) {
    let mut listeners = std::collections::HashMap::new();
    let mut page = Page::FIRST;
    while let Some(session) = turn.broker.next_session(&mut page) {
        let peer = session.link.and_then(|link| Some((link, turn.peer(link)?)));
        listeners.extend(peer.map(|(link, peer)| (link, door::limits_id(peer.listener))));
    }
    guard.entitle(turn.broker, |link| listeners.get(&link).copied());
}

/// Disconnects those whose account is gone or has another password, and those who came in without
/// rules when there are some now.
fn turn_out(turn: &mut Turn<'_>, before: &Loaded, after: &Loaded) {
    let mut gone = Vec::new();
    let mut page = Page::FIRST;
    while let Some(session) = turn.broker.next_session(&mut page) {
        if session.link.is_none() {
            continue;
        }
        let user = String::from_utf8_lossy(session.user_name);
        let accounts_differ = match (&before.accounts, &after.accounts) {
            // Whom a certificate names has no account.
            (Some(before), Some(after)) => before.has(&user) && !before.has_same(&user, after),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if accounts_differ || (before.rules.is_none() && after.rules.is_some()) {
            gone.push(String::from_utf8_lossy(session.client_id).into_owned());
        }
    }
    for client_id in gone {
        tracing::info!(client_id, "disconnected: its account or its rules are others now");
        turn.broker.disconnect(&client_id, ReasonCode::NotAuthorized, turn.now);
    }
}
