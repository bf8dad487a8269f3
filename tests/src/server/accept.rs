//! The scripted server accepts, or authenticates first.

use tamtam_core::{Instant, Version};

use super::scripted::Scripted;
use super::session::Session;
use crate::wire::{AckKind, ConnAck, Connect, Notice, Packet, Props, id};

impl Scripted {
    pub(super) fn connect(&mut self, line: usize, connect: Connect, now: Instant) {
        self.connects.push(connect.clone());
        let again = self.link(line).is_some_and(|link| link.client_id.is_some());
        if again {
            return self.complain("a second CONNECT".into());
        }
        if !self.manners.accepts {
            return;
        }
        if self.manners.code != 0 {
            let refusal = self.refusal();
            self.reply(line, &Packet::ConnAck(refusal), now);
            if let Some(link) = self.link(line) {
                link.hang_up();
            }
            return;
        }
        let named = !connect.client_id.is_empty();
        let client_id = if named { connect.client_id.clone() } else { self.name_anybody() };
        self.take_over(&client_id);
        let session_present = self.begin_session(&connect, &client_id);
        let rounds = self.manners.authentication_rounds;
        let Some(link) = self.link(line) else { return };
        link.client_id = Some(client_id);
        let props = &connect.props;
        link.receive_maximum = props.number(id::RECEIVE_MAXIMUM).unwrap_or(65_535);
        link.alias_maximum = props.number(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0);
        link.max_packet_size =
            props.number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |size| size as usize);
        link.method = props.bytes(id::AUTHENTICATION_METHOD).map(<[u8]>::to_vec);
        link.session_present = session_present;
        link.rounds_left = if link.method.is_some() { rounds } else { 0 };
        if link.rounds_left > 0 {
            let challenge = self.authentication(line, 0x18);
            return self.reply(line, &challenge, now);
        }
        self.accept(line, now);
    }

    /// Whoever is connected under this name is sent away.
    fn take_over(&mut self, client_id: &[u8]) {
        if let Some(link) = self.link_of(client_id) {
            link.hang_up();
            link.client_id = None;
        }
    }

    fn begin_session(&mut self, connect: &Connect, client_id: &[u8]) -> bool {
        // MQTT 3.1 has no way to say which it is.
        let old = connect.version == Version::V31;
        let is_known = |session: &Session| session.is_known || old;
        let is_known = self.sessions.get(client_id).is_some_and(is_known);
        if connect.clean || !is_known {
            self.drop_session(client_id);
        }
        let lasts = match connect.version {
            Version::V5 => connect.props.number(id::SESSION_EXPIRY).unwrap_or(0) > 0,
            _ => !connect.clean,
        };
        let known = self.sessions.contains_key(client_id);
        let session = self.sessions.entry(client_id.to_vec()).or_default();
        session.lasts = lasts;
        session.flights.iter_mut().for_each(|flight| flight.sent = false);
        known
    }

    fn authentication(&mut self, line: usize, code: u8) -> Packet {
        let method = self.link(line).and_then(|link| link.method.clone()).unwrap_or_default();
        let props = Props::NONE
            .with_bytes(id::AUTHENTICATION_METHOD, &method)
            .with_bytes(id::AUTHENTICATION_DATA, b"challenge");
        Packet::Auth(Notice { code, props })
    }

    /// AUTH came: one round less, or a new authentication.
    pub(super) fn authenticate(&mut self, line: usize, notice: &Notice, now: Instant) {
        let rounds = self.manners.authentication_rounds;
        let Some(link) = self.link(line) else { return };
        let accepted = link.accepted;
        if notice.code == 0x19 && accepted {
            link.rounds_left = rounds;
        } else {
            link.rounds_left = link.rounds_left.saturating_sub(1);
        }
        let more = link.rounds_left > 0;
        match (more, accepted) {
            (true, _) => {
                let challenge = self.authentication(line, 0x18);
                self.reply(line, &challenge, now);
            }
            (false, true) => {
                let success = self.authentication(line, 0);
                self.reply(line, &success, now);
            }
            (false, false) => self.accept(line, now),
        }
    }

    fn accept(&mut self, line: usize, now: Instant) {
        let mut props = self.manners.connack.clone();
        let Some(link) = self.link(line) else { return };
        link.accepted = true;
        let named = link.client_id.clone().unwrap_or_default();
        if named.starts_with(b"assigned-") {
            props = props.with_bytes(id::ASSIGNED_CLIENT_ID, &named);
        }
        if let Some(method) = &link.method {
            props = props.with_bytes(id::AUTHENTICATION_METHOD, method);
        }
        let session_present = link.session_present && link.version != Version::V31;
        if !link.version.is_v5() {
            props = Props::NONE;
        }
        let connack = ConnAck { session_present, code: 0, props };
        self.reply(line, &Packet::ConnAck(connack), now);
        self.resume(line, now);
    }

    /// Sends again what was not settled, in order.
    fn resume(&mut self, line: usize, now: Instant) {
        let Some(session) = self.session(line) else { return };
        session.flights.iter_mut().for_each(|flight| flight.sent = true);
        for flight in session.flights.clone() {
            if flight.released {
                self.reply(line, &Self::ack(AckKind::PubRel, flight.id, 0), now);
            } else {
                self.send_letter(line, &flight.letter, flight.id, true, now);
            }
        }
    }
}
