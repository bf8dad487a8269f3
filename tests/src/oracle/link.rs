//! One connection, as it looks on the wire.

use std::collections::BTreeMap;

use tamtam_core::{Instant, Version};

use super::Verdict;
use crate::wire::{ConnAck, Connect, Packet, Publish, id};

/// What the server said that it takes.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) receive_maximum: u32,
    max_packet_size: usize,
    maximum_qos: u8,
    retain: bool,
    wildcards: bool,
    shared: bool,
    subscription_ids: bool,
    aliases: u32,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    /// Bytes of a packet that is not complete, in either direction.
    pub(super) up: Vec<u8>,
    pub(super) down: Vec<u8>,
    pub(super) connect: Option<Connect>,
    /// Whether the client has seen that it is accepted.
    pub(super) open: bool,
    /// Whether the client has ended it.
    pub(super) over: bool,
    pub(super) limits: Limits,
    said_goodbye: bool,
    keep_alive_ms: u64,
    last_sent: Instant,
    /// Whether the transport took nothing when it was asked last.
    is_blocked: bool,
    aliases_out: BTreeMap<u32, Vec<u8>>,
    aliases_in: BTreeMap<u32, Vec<u8>>,
}

impl Link {
    pub(super) const fn new(number: u64, now: Instant) -> Self {
        let limits = Limits {
            receive_maximum: 65_535,
            max_packet_size: usize::MAX,
            maximum_qos: 2,
            retain: true,
            wildcards: true,
            shared: true,
            subscription_ids: true,
            aliases: 0,
        };
        Self {
            number,
            up: Vec::new(),
            down: Vec::new(),
            connect: None,
            open: false,
            over: false,
            limits,
            said_goodbye: false,
            keep_alive_ms: 0,
            last_sent: now,
            is_blocked: false,
            aliases_out: BTreeMap::new(),
            aliases_in: BTreeMap::new(),
        }
    }

    /// The packet that the client did not finish.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.up
    }

    pub(super) fn written(&mut self, bytes: &[u8], now: Instant) -> Verdict {
        let verdict = self.check_silence(now);
        self.up.extend_from_slice(bytes);
        (self.last_sent, self.is_blocked) = (now, false);
        verdict
    }

    pub(super) const fn blocked(&mut self) {
        self.is_blocked = true;
    }

    /// [MQTT5-3.1.2-20, MQTT3-3.1.2-23]
    pub(super) fn check_silence(&mut self, now: Instant) -> Verdict {
        let silence = now.millis_since(self.last_sent);
        let is_due = self.open && !self.over && !self.said_goodbye && !self.is_blocked;
        if is_due && self.keep_alive_ms != 0 && silence > self.keep_alive_ms {
            self.last_sent = now; // once is enough
            return Err(format!("silent for {silence} ms of {}", self.keep_alive_ms));
        }
        Ok(())
    }

    /// What holds for any packet that a client sends.
    pub(super) fn check_sent(
        &mut self,
        frame: &[u8],
        packet: &Packet,
        version: Version,
    ) -> Verdict {
        let number = packet.number();
        if self.said_goodbye {
            return Err(format!("sent packet {number} behind DISCONNECT"));
        }
        match packet {
            Packet::Connect(_) if self.connect.is_some() => return Err("a second CONNECT".into()),
            Packet::Connect(connect) if connect.version != version => {
                return Err(format!("CONNECT of {:?}", connect.version));
            }
            Packet::Connect(connect) => {
                self.keep_alive_ms = u64::from(connect.keep_alive) * 1_000;
                self.connect = Some(connect.clone());
                return Ok(());
            }
            _ if self.connect.is_none() => return Err(format!("packet {number} before CONNECT")),
            Packet::Auth(_) => {}
            _ if !self.open => return Err(format!("packet {number} before CONNACK")),
            Packet::Disconnect(_) => self.said_goodbye = true,
            _ => {}
        }
        if frame.len() > self.limits.max_packet_size {
            return Err(format!(
                "packet {number} of {} bytes, {} at most are allowed",
                frame.len(),
                self.limits.max_packet_size
            ));
        }
        self.check_allowed(packet)
    }

    fn check_allowed(&self, packet: &Packet) -> Verdict {
        let limits = &self.limits;
        match packet {
            Packet::Publish(publish) if publish.qos > limits.maximum_qos => {
                Err(format!("QoS {} above Maximum QoS", publish.qos))
            }
            Packet::Publish(publish) if publish.retain && !limits.retain => {
                Err("RETAIN though it is not available".into())
            }
            Packet::Subscribe(request) => {
                for (filter, _) in &request.filters {
                    let wild = filter.iter().any(|byte| matches!(byte, b'+' | b'#'));
                    if wild && !limits.wildcards {
                        return Err("a wildcard though they are not available".into());
                    }
                    if filter.starts_with(b"$share/") && !limits.shared {
                        return Err("a shared filter though they are not available".into());
                    }
                }
                let identified = request.props.number(id::SUBSCRIPTION_ID).is_some();
                if identified && !limits.subscription_ids {
                    return Err("a subscription identifier though they are not available".into());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The server accepted.
    pub(super) fn accepted(&mut self, connack: &ConnAck, now: Instant) {
        let props = &connack.props;
        let flag = |id| props.number(id) != Some(0);
        self.limits = Limits {
            receive_maximum: props.number(id::RECEIVE_MAXIMUM).unwrap_or(65_535),
            max_packet_size: props
                .number(id::MAXIMUM_PACKET_SIZE)
                .map_or(usize::MAX, |size| size as usize),
            maximum_qos: props.number(id::MAXIMUM_QOS).map_or(2, |qos| qos as u8),
            retain: flag(id::RETAIN_AVAILABLE),
            wildcards: flag(id::WILDCARDS_AVAILABLE),
            shared: flag(id::SHARED_AVAILABLE),
            subscription_ids: flag(id::SUBSCRIPTION_IDS_AVAILABLE),
            aliases: props.number(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0),
        };
        if let Some(secs) = props.number(id::SERVER_KEEP_ALIVE) {
            self.keep_alive_ms = u64::from(secs) * 1_000;
        }
        self.open = true;
        self.last_sent = self.last_sent.max(now);
    }

    /// The topic of a PUBLISH that was sent: an alias must be within the limit, and known.
    pub(super) fn resolve_out(&mut self, publish: &Publish) -> Result<Vec<u8>, String> {
        let Some(alias) = publish.props.number(id::TOPIC_ALIAS) else {
            return Ok(publish.topic.clone());
        };
        if alias == 0 || alias > self.limits.aliases {
            return Err(format!("alias {alias}, {} is the maximum", self.limits.aliases));
        }
        if publish.topic.is_empty() {
            let known = self.aliases_out.get(&alias).cloned();
            return known.ok_or_else(|| format!("alias {alias} before its topic was sent"));
        }
        self.aliases_out.insert(alias, publish.topic.clone());
        Ok(publish.topic.clone())
    }

    /// The topic of a PUBLISH that was taken in; `None` if it makes no sense.
    pub(super) fn resolve_in(&mut self, publish: &Publish) -> Option<Vec<u8>> {
        let Some(alias) = publish.props.number(id::TOPIC_ALIAS) else {
            return Some(publish.topic.clone());
        };
        let maximum = self.connect.as_ref()?.props.number(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0);
        if alias == 0 || alias > maximum {
            return None;
        }
        if !publish.topic.is_empty() {
            self.aliases_in.insert(alias, publish.topic.clone());
        }
        self.aliases_in.get(&alias).cloned()
    }
}
