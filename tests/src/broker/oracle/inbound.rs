//! What clients say, as the broker takes it.

use tamtam_core::Version;

use super::link::{Link, Owed};
use super::message::{Message, State, number_of};
use super::session::{Name, Receipt, Stage, Sub, Will};
use super::{Oracle, Unkept};
use crate::wire::{Ack, AckKind, Connect, Notice, Packet, Publish, Request, id};

impl Oracle {
    pub(super) fn hear(&mut self, line: usize, packet: Packet) {
        let Some(link) = self.links.get_mut(&line) else { return };
        if link.goodbye || link.over {
            return;
        }
        let at = match (packet, link.session) {
            (Packet::Connect(connect), None) if link.connect.is_none() => {
                return self.hear_connect(line, &connect);
            }
            (_, None) => return link.hostile = true,
            (packet, Some(at)) => (packet, at),
        };
        if link.hostile {
            return self.hear_anything(line, at.0);
        }
        match at {
            (Packet::Publish(publish), at) => self.hear_publish(line, at, &publish),
            (Packet::Ack(ack), at) => self.hear_ack(line, at, &ack),
            (Packet::Subscribe(request), at) => self.hear_subscribe(line, at, &request),
            (Packet::Unsubscribe(request), at) => self.hear_unsubscribe(line, at, &request),
            (Packet::PingReq, _) => link.pings += 1,
            (Packet::Disconnect(notice), at) => self.hear_disconnect(line, at, &notice),
            (Packet::Auth(_), _) => {}
            _ => self.distrust(line),
        }
    }

    /// The number of a client's session.
    fn session_of(&mut self, name: &[u8]) -> usize {
        let next = self.sessions.len();
        let at = *self.session_numbers.entry(name.to_vec()).or_insert(next);
        if at == next {
            self.sessions.push(super::Session { name: name.to_vec(), ..Default::default() });
        }
        at
    }

    fn hear_connect(&mut self, line: usize, connect: &Connect) {
        let (pos, window) = (self.pos, self.options.send_window);
        let Some(link) = self.links.get_mut(&line) else { return };
        link.connects(connect, window, pos);
        let (hostile, max_packet) = (link.hostile, link.max_packet);
        let name = match &connect.client_id[..] {
            [] => format!("\0{line}").into_bytes(), // named by the broker
            name => name.to_vec(),
        };
        let at = self.session_of(&name);
        if hostile {
            self.links.get_mut(&line).expect("it is here").session = Some(at);
            self.sessions[at].vague = true;
            return;
        }
        // Its session may be where it can't be asked for.
        self.sessions[at].vague |= self.parted;
        self.expire(at);
        // One that waits for its session elsewhere may never get it.
        let waits = |old| self.links.get(old).is_some_and(|link: &Link| !link.accepted);
        let unsure = self.lag_ms != 0 && self.sessions[at].link.as_ref().is_some_and(waits);
        if let Some(old) = self.sessions[at].link {
            self.counts.takeovers += 1;
            self.lose_link(old, at, true);
        }
        let expiry = match (connect.version, connect.clean) {
            (Version::V5, _) => connect.props.number(id::SESSION_EXPIRY).unwrap_or(0),
            (_, true) => 0,
            (_, false) => u32::MAX,
        };
        if connect.clean {
            self.end_session(at);
            self.sessions[at].vague = self.parted;
        }
        let session = &mut self.sessions[at];
        let present = (!session.vague && !unsure).then_some(session.exists);
        self.counts.resumed += u64::from(session.exists);
        (session.exists, session.link) = (true, Some(line));
        session.max_packet = max_packet;
        session.expiry_secs = expiry.min(self.options.session_expiry_max_secs);
        (session.ends_at, session.will_at, session.changed) = (None, None, pos);
        session.subs.keys().for_each(|name| self.names.filters[*name].waiting.bound(max_packet));
        let link = self.links.get_mut(&line).expect("it is here");
        (link.session, link.present) = (Some(at), present);
        self.keep_will(at, connect);
    }

    fn keep_will(&mut self, at: usize, connect: &Connect) {
        if let Some(old) = self.sessions[at].will.take() {
            self.cancel_will(&old);
        }
        let Some(will) = &connect.will else { return };
        let Some(number) = number_of(&will.payload) else { return };
        let topic = self.names.topic(&will.topic);
        let publish = Publish {
            qos: will.qos,
            retain: will.retain,
            topic: will.topic.clone(),
            props: will.props.clone(),
            payload: will.payload.clone(),
            ..Publish::default()
        };
        let message = Message::new(at, topic, &publish, self.pos);
        let message = Message { state: State::Armed, ..message };
        self.messages.insert(number, message);
        self.sessions[at].will = Some(Will {
            number,
            delay_secs: will.props.number(id::WILL_DELAY).unwrap_or(0),
            expiry_secs: will.props.number(id::MESSAGE_EXPIRY),
        });
    }

    /// Who says anything may have been heard, or not.
    fn hear_anything(&mut self, line: usize, packet: Packet) {
        let Packet::Publish(publish) = packet else { return };
        let link = self.links.get_mut(&line).expect("it is here");
        let at = link.session.expect("it is here");
        let Some(topic) = link.resolve_in(&publish) else { return };
        let topic = self.names.topic(&topic);
        let number = number_of(&publish.payload);
        let is_known = number.is_some_and(|number| self.messages.contains_key(&number));
        if let Some(number) = number.filter(|_| !is_known) {
            let message = Message::new(at, topic, &publish, self.pos);
            let message = Message { state: State::Unsure, ..message };
            self.messages.insert(number, message);
        }
        self.route_nameless(topic);
        if publish.retain {
            let entry = self.retained.entry(topic).or_default();
            entry.values.push((number, self.pos));
            entry.forked = true;
        }
    }

    fn hear_publish(&mut self, line: usize, at: usize, publish: &Publish) {
        let pos = self.pos;
        let link = self.links.get_mut(&line).expect("it is here");
        let Some(topic) = link.resolve_in(publish) else { return self.distrust(line) };
        if publish.qos == 2
            && let Some(receipt) = self.sessions[at].received.get(&publish.id)
        {
            // Answered again, routed once [MQTT5-4.3.3-10].
            let (number, pos) = (receipt.number, receipt.pos);
            let kept = self.is_kept(at);
            let owed = Owed { id: publish.id, number, pos, kept, targets: 1, ..Owed::default() };
            let link = self.links.get_mut(&line).expect("it is here");
            return link.pubrecs.push_back(owed);
        }
        if self.failing && publish.qos > 0 {
            return self.refuse_publish(line, publish.qos, publish.id);
        }
        self.counts.messages += 1;
        let number = number_of(&publish.payload);
        let is_routed = !topic.starts_with(b"$SYS/") && topic != b"$SYS";
        let topic = self.names.topic(&topic);
        let (mut targets, mut kept) = (1, publish.qos == 2 && self.is_kept(at));
        match number {
            Some(number) if is_routed => {
                let (count, is_kept) = self.take_message(at, number, topic, publish);
                (targets, kept) = (count, kept || is_kept);
            }
            Some(_) => kept = false,
            None => {
                self.route_nameless(topic);
                if publish.retain && is_routed {
                    self.retain(None, topic);
                    let entry = self.retained.entry(topic).or_default();
                    entry.forked = !publish.payload.is_empty();
                }
            }
        }
        let number = number.unwrap_or(0);
        let owed = Owed { id: publish.id, number, pos, kept, targets, ..Owed::default() };
        let link = self.links.get_mut(&line).expect("it is here");
        match publish.qos {
            0 => {}
            1 => link.pubacks.push_back(owed),
            _ => {
                link.pubrecs.push_back(owed);
                let receipt = Receipt { number, pos, told: false };
                self.sessions[at].received.insert(publish.id, receipt);
            }
        }
    }

    /// Without a store nothing is taken that is to be acknowledged.
    fn refuse_publish(&mut self, line: usize, qos: u8, id: u16) {
        let owed = Owed { id, pos: self.pos, doomed: true, targets: 1, ..Owed::default() };
        let link = self.links.get_mut(&line).expect("it is here");
        if qos == 1 { link.pubacks.push_back(owed) } else { link.pubrecs.push_back(owed) }
    }

    /// A message was taken in, for the first time or again.
    fn take_message(
        &mut self,
        at: usize,
        number: u64,
        topic: usize,
        publish: &Publish,
    ) -> (usize, bool) {
        let fresh = Message::new(at, topic, publish, self.pos);
        let mut message = match self.messages.remove(&number) {
            Some(old) if old.publisher == at => Message { pos: self.pos, ..old },
            other => {
                self.nameless |= other.is_some(); // who says anything took the number before
                fresh
            }
        };
        if !matches!(message.state, State::Accepted) {
            message.state = State::Open;
        }
        let expiry = publish.props.number(id::MESSAGE_EXPIRY);
        message.expires = expiry.map(|secs| self.now.plus_secs(secs));
        self.messages.insert(number, message.clone());
        if self.options.store {
            self.recent.push_back((self.pos, number));
        }
        self.route(number, &message)
    }

    fn hear_ack(&mut self, line: usize, at: usize, ack: &Ack) {
        let (pos, code) = (self.pos, ack.code);
        let session = &mut self.sessions[at];
        let flight = session.flight(ack.id);
        let here = flight.as_ref().is_some_and(|flight| flight.link == line);
        let stage = flight.as_ref().map(|flight| (flight.qos, flight.stage));
        match (ack.kind, stage) {
            (AckKind::PubAck, Some((1, Stage::Sent))) if here => self.settle(at, ack.id),
            (AckKind::PubRec, Some((2, Stage::Sent))) if here && code >= 0x80 => {
                self.settle(at, ack.id);
            }
            (AckKind::PubRec, Some((2, Stage::Sent))) if here => {
                let flight = flight.expect("it is here");
                (flight.stage, flight.pos) = (Stage::Received, pos);
            }
            (AckKind::PubComp, Some((2, Stage::Released))) if here => self.settle(at, ack.id),
            (AckKind::PubRec, None) if code < 0x80 => {
                let link = self.links.get_mut(&line).expect("it is here");
                link.stray.push(ack.id);
            }
            (AckKind::PubRel, _) => self.hear_pubrel(line, at, ack.id),
            _ => {}
        }
    }

    /// A message of the broker's is settled.
    fn settle(&mut self, at: usize, id: u16) {
        let Some(flight) = self.sessions[at].take_flight(id) else { return };
        if let Some(group) = flight.group {
            self.names.filters[group].waiting.settle(flight.number);
        }
        if self.is_kept(at) || self.options.store && flight.group.is_some() {
            self.unkept.push_back((self.pos, Unkept::Settled(at, flight)));
        }
    }

    fn hear_pubrel(&mut self, line: usize, at: usize, id: u16) {
        let known = self.sessions[at].received.remove(&id).is_some();
        let kept = known && self.is_kept(at);
        let link = self.links.get_mut(&line).expect("it is here");
        link.pubcomps.push_back(Owed { id, pos: self.pos, kept, ..Owed::default() });
    }

    /// A session is in a group; through which one a copy comes that waits in several of its groups
    /// can't be told any more.
    fn join_group(&mut self, at: usize, name: Name) {
        let groups = &mut self.sessions[at].groups;
        groups.insert(name);
        for other in groups.iter().filter(|other| **other != name) {
            let numbers = self.names.filters[name].waiting.iter().map(|(number, _)| number);
            let both = |number: &u64| self.names.filters[*other].waiting.get(*number).is_some();
            for number in numbers.filter(both).collect::<Vec<_>>() {
                self.names.confuse(name, number);
                self.names.confuse(*other, number);
            }
        }
    }

    /// What is retained is sent as the subscription is now: its own, perhaps, not any more; and
    /// what was not sent yet comes once, if all of it is sent anew.
    fn replace_dues(&mut self, at: usize, filter: Name, anew: bool) {
        let session = &mut self.sessions[at];
        let no_local = session.subs[&filter].no_local;
        for (topic, dues) in &mut session.due {
            let value = self.retained.get(topic).and_then(|retained| retained.values.last());
            let message = value.and_then(|(number, _)| self.messages.get(&(*number)?));
            let own = message.is_some_and(|message| message.publisher == at);
            for due in dues.iter_mut().filter(|due| due.filter == filter) {
                due.replaced = true;
                due.optional |= anew || no_local && own;
            }
        }
    }

    fn hear_subscribe(&mut self, line: usize, at: usize, request: &Request) {
        let id = request.props.number(id::SUBSCRIPTION_ID).unwrap_or(0);
        let version = self.links[&line].version;
        let mut filters = Vec::new();
        for (text, options) in &request.filters {
            let name = self.names.filter(text);
            filters.push(name);
            let v5 = version.is_v5();
            let sub = Sub {
                qos: options & 3,
                no_local: v5 && options & 4 != 0,
                as_published: v5 && options & 8 != 0,
                id,
                pos: self.pos,
                vague: self.parted || self.lag_ms != 0, // until it is answered
            };
            let handling = if v5 { options >> 4 & 3 } else { 0 };
            let old = self.sessions[at].subs.insert(name, sub);
            let is_new = old.is_none();
            let anew = handling == 0 || handling == 1 && is_new;
            self.replace_dues(at, name, anew);
            let filter = &mut self.names.filters[name];
            filter.members.insert(at);
            filter.waiting.bound(self.sessions[at].max_packet);
            let is_group = filter.group.is_some();
            if is_group {
                self.join_group(at, name);
            }
            if !is_group && anew {
                self.owe_retained(at, name);
            }
        }
        let kept = self.is_kept(at);
        let owed = Owed { id: request.id, pos: self.pos, filters, kept, ..Owed::default() };
        self.links.get_mut(&line).expect("it is here").subacks.push_back(owed);
    }

    fn hear_unsubscribe(&mut self, line: usize, at: usize, request: &Request) {
        let (mut filters, mut kept) = (Vec::new(), false);
        for (text, _) in &request.filters {
            let name = self.names.filter(text);
            filters.push(name);
            if let Some(sub) = self.sessions[at].subs.remove(&name) {
                kept |= self.is_kept(at) && !sub.vague;
                self.leave(at, name);
            }
        }
        let owed = Owed { id: request.id, pos: self.pos, filters, kept, ..Owed::default() };
        self.links.get_mut(&line).expect("it is here").unsubacks.push_back(owed);
    }

    fn hear_disconnect(&mut self, line: usize, at: usize, notice: &Notice) {
        let link = self.links.get_mut(&line).expect("it is here");
        link.goodbye = true;
        let session = &mut self.sessions[at];
        if let Some(secs) = notice.props.number(id::SESSION_EXPIRY) {
            if session.expiry_secs == 0 && secs != 0 {
                link.goodbye = false;
                return self.lose_link(line, at, true); // a protocol error
            }
            session.expiry_secs = secs.min(self.options.session_expiry_max_secs);
        }
        self.lose_link(line, at, notice.code != 0);
    }
}
