//! What a configuration changes, and what in it can't work.

use std::fmt::Write as _;

use super::settings::Section;
use super::{Anonymous, Config, Listener, Place};

/// What differs from the defaults, as a file would say it.
pub(super) fn changes(config: &Config) -> String {
    let mut text = String::new();
    changed(&mut text, "", &config.general);
    changed(&mut text, "[log]", &config.log);
    changed(&mut text, "[limits]", &config.limits);
    for listener in &config.listeners {
        text.push_str("[[listener]]\n");
        if listener.listen == Listener::default().listen {
            let _ = writeln!(text, "listen = \"{}\"", listener.listen);
        }
        changed(&mut text, "", listener);
    }
    for topic in &config.topics {
        text.push_str("[[topic]]\n");
        changed(&mut text, "", topic);
    }
    for rule in config.rules.iter().flatten() {
        text.push_str("[[rule]]\n");
        changed(&mut text, "", rule);
    }
    if matches!(&config.rules, Some(rules) if rules.is_empty()) {
        text.push_str("rule = []\n");
    }
    text
}

fn changed<T: Section>(text: &mut String, heading: &str, section: &T) {
    let unset = T::default();
    let mut heading = heading;
    for setting in T::SETTINGS {
        let (value, default) = ((setting.show)(section), (setting.show)(&unset));
        if value == default {
            continue;
        }
        if !heading.is_empty() {
            let _ = writeln!(text, "{heading}");
            heading = "";
        }
        let line = format!("{} = {value}", setting.key);
        let _ = writeln!(text, "{line:<48} # instead of {default}");
    }
}

/// What can't work, or would let strangers in.
pub(super) fn contradictions(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let general = &config.general;
    if general.memory && general.data.is_some() {
        problems.push("`memory` and `data` contradict each other: choose one".to_owned());
    }
    for (index, listener) in config.listeners.iter().enumerate() {
        let name = &listener.listen;
        let same = |other: &Listener| match &other.listen.place {
            Place::Tcp { port: 0, .. } => false,
            place => *place == name.place,
        };
        if config.listeners.iter().take(index).any(same) {
            problems.push(format!("{name}: another listener is there already"));
        }
        problems.extend(tls(listener).map(|what| format!("{name}: {what}")));
        let closed = listener.anonymous.unwrap_or(general.anonymous) == Anonymous::Never;
        if is_open_to_strangers(config, listener) && closed {
            problems.push(format!("{name}: nobody could come in without a password_file"));
        } else if is_open_to_strangers(config, listener) {
            problems.push(format!(
                "{name}: anybody who reaches it could publish and read everything. Give a \
                 password_file, or require client certificates, or say in so many words that you \
                 want this: anonymous = \"everywhere\" (--anonymous everywhere)"
            ));
        }
    }
    for (index, topic) in config.topics.iter().enumerate() {
        let number = index + 1;
        let what = match tamtam_core::TopicFilter::new(&topic.filter) {
            Err(what) => what.to_string(),
            Ok(filter) if filter.share_name().is_some() => {
                "messages have topics, not groups: leave `$share` away".to_owned()
            }
            Ok(_) => continue,
        };
        problems.push(format!("topic {number}: filter {:?}: {what}", topic.filter));
    }
    for (index, rule) in config.rules.iter().flatten().enumerate() {
        if let Err(what) = tamtam_core::TopicFilter::new(&rule.topic) {
            problems.push(format!("rule {}: topic {:?}: {what}", index + 1, rule.topic));
        }
    }
    problems
}

/// Whether nothing is asked of clients from other machines, and nobody said so.
fn is_open_to_strangers(config: &Config, listener: &Listener) -> bool {
    let has_identity = config.general.password_file.is_some() || listener.require_certificate;
    let local = listener.listen.is_loopback() && !listener.proxy_protocol;
    !local && !has_identity && !config.allows_anonymous(listener)
}

fn tls(listener: &Listener) -> impl Iterator<Item = String> {
    let has_tls = listener.listen.scheme.has_tls();
    let certified = listener.certificate.is_some();
    let keyed = listener.key.is_some();
    let asks = listener.client_ca.is_some();
    let named = listener.identity != super::Identity::None;
    [
        (has_tls && !(certified && keyed), "TLS needs a `certificate` and a `key`"),
        (!has_tls && (certified || keyed || asks), "certificates need mqtts:// or wss://"),
        (
            listener.require_certificate && !asks,
            "`require_certificate` needs a `client_ca` that vouches for clients",
        ),
        (named && !asks, "`identity` needs a `client_ca` that vouches for clients"),
    ]
    .into_iter()
    .filter(|(wrong, _)| *wrong)
    .map(|(_, what)| what.to_owned())
}
