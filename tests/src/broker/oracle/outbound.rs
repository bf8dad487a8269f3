//! What the broker says: whether it was owed, and stands on what is kept.

use tamtam_core::Version;

use super::link::{self, Owed};
use super::message::State;
use super::session::{Cause, Stage};
use super::{Oracle, Verdict};
use crate::wire::{Ack, AckKind, Answer, ConnAck, Packet, id};

impl Oracle {
    pub(super) fn say(&mut self, line: usize, len: usize, packet: Packet) -> Verdict {
        let link = self.links.get_mut(&line).expect("it is here");
        let number = packet.number();
        if link.over {
            return Err(format!("packet {number} behind the end"));
        }
        if len > link.max_packet {
            return Err(format!("packet {number} of {len} bytes, {} at most", link.max_packet));
        }
        if link.connect.is_none() && !link.hostile {
            return Err(format!("packet {number} before CONNECT"));
        }
        let early = !link.accepted && !matches!(packet, Packet::ConnAck(_) | Packet::Auth(_));
        if early && !link.hostile {
            return Err(format!("packet {number} before CONNACK"));
        }
        match packet {
            Packet::ConnAck(connack) => self.say_connack(line, &connack),
            Packet::Publish(publish) => self.deliver(line, &publish),
            Packet::Disconnect(_) => {
                let link = self.links.get_mut(&line).expect("it is here");
                link.over = true;
                if link.version.is_v5() { Ok(()) } else { Err("DISCONNECT before MQTT 5".into()) }
            }
            Packet::Auth(_) => Ok(()),
            _ if link.hostile || link.goodbye => Ok(()),
            Packet::Ack(ack) => match ack.kind {
                AckKind::PubAck | AckKind::PubRec => self.say_taken(line, &ack),
                AckKind::PubRel => self.say_pubrel(line, &ack),
                AckKind::PubComp => self.say_pubcomp(line, &ack),
            },
            Packet::SubAck(answer) => self.say_suback(line, &answer),
            Packet::UnsubAck(answer) => {
                let owed = link::take_answer(&mut link.unsubacks, answer.id);
                let version = link.version;
                let owed = owed.ok_or_else(|| format!("UNSUBACK {} for nothing", answer.id))?;
                if version.is_v5() && answer.codes.len() != owed.filters.len() {
                    return Err("UNSUBACK with another number of codes".into());
                }
                self.check_kept("UNSUBACK", &owed)
            }
            Packet::PingResp => {
                let pings = link.pings.checked_sub(1);
                link.pings = pings.ok_or("PINGRESP for nothing")?;
                Ok(())
            }
            _ => Err(format!("packet {number}, which only a client sends")),
        }
    }

    /// Nothing is answered before what the answer stands on is kept.
    fn check_kept(&self, what: &str, owed: &Owed) -> Verdict {
        if owed.kept && owed.pos > self.durable {
            return Err(format!("{what} {} before its records are kept", owed.id));
        }
        Ok(())
    }

    fn say_connack(&mut self, line: usize, connack: &ConnAck) -> Verdict {
        let (durable, store) = (self.durable, self.options.store);
        let link = self.links.get_mut(&line).expect("it is here");
        if link.accepted {
            return Err("a second CONNACK".into());
        }
        let Some(at) = link.session.filter(|_| !link.hostile) else {
            (link.accepted, link.over) = (connack.code == 0, connack.code != 0);
            return Ok(());
        };
        if connack.code != 0 {
            link.over = true;
            self.sessions[at].vague = true; // what it was may be there still
            return Ok(());
        }
        (link.accepted, link.accepted_at) = (true, self.now);
        if let Some(secs) = connack.props.number(id::SERVER_KEEP_ALIVE) {
            link.keep_alive_ms = u64::from(secs) * 1_500;
        }
        let (present, pos, version) = (link.present, link.pos, link.version);
        let told = connack.session_present;
        let session = &mut self.sessions[at];
        if let Some(secs) = connack.props.number(id::SESSION_EXPIRY) {
            session.expiry_secs = secs;
        }
        if store && session.expiry_secs != 0 && pos > durable && session.link == Some(line) {
            return Err("CONNACK before its records are kept".into());
        }
        match present {
            Some(present) if version != Version::V31 && present != told => {
                return Err(format!("CONNACK says session present {told}, but it is {present}"));
            }
            None if !told && version != Version::V31 && session.link == Some(line) => {
                self.begin_anew(at, line);
            }
            _ => {}
        }
        Ok(())
    }

    /// It turns out that there was no session.
    fn begin_anew(&mut self, at: usize, line: usize) {
        let session = &mut self.sessions[at];
        let (expiry_secs, will) = (session.expiry_secs, session.will.take());
        let max_packet = session.max_packet;
        let subs = session.subs.clone();
        self.leave_all(at);
        let session = &mut self.sessions[at];
        session.clear(self.pos);
        (session.exists, session.link) = (true, Some(line));
        (session.expiry_secs, session.will) = (expiry_secs, will);
        session.max_packet = max_packet;
        // What was asked for behind CONNECT holds.
        let begun = self.links[&line].pos;
        for (name, sub) in subs.into_iter().filter(|(_, sub)| sub.pos > begun) {
            self.sessions[at].subs.insert(name, sub);
            self.names.filters[name].members.insert(at);
        }
    }

    /// PUBACK or PUBREC: in the order of the messages [MQTT5-4.6.0-2, MQTT5-4.6.0-3].
    fn say_taken(&mut self, line: usize, ack: &Ack) -> Verdict {
        let link = self.links.get_mut(&line).expect("it is here");
        let (version, at) = (link.version, link.session);
        let owed = if ack.kind == AckKind::PubAck { &mut link.pubacks } else { &mut link.pubrecs };
        let owed = owed.pop_front().filter(|owed| owed.id == ack.id);
        let kind = ack.kind;
        let owed = owed.ok_or_else(|| format!("{kind:?} {} for nothing, or too early", ack.id))?;
        let at = at.expect("a session");
        if ack.code >= 0x80 {
            self.refuse(at, &owed);
            return Ok(());
        }
        let wanted = owed.targets != 0;
        if version.is_v5() && (ack.code != 0x10) != wanted {
            let is_vague = |one: &super::Session| {
                one.vague || one.subs.values().any(|subscription| subscription.vague)
            };
            let sure = self.lag_ms == 0 && !self.sessions.iter().any(is_vague);
            let who = if wanted { "nobody" } else { "somebody" };
            let words = || Err(format!("{kind:?} {} says that {who} wanted it", ack.id));
            sure.then(words).unwrap_or(Ok(()))?;
        }
        if owed.doomed {
            return Err(format!("{kind:?} {} though the store failed", ack.id));
        }
        if let Some(message) = self.messages.get_mut(&owed.number) {
            message.state = State::Accepted;
        }
        if ack.kind == AckKind::PubRec
            && let Some(receipt) = self.sessions[at].received.get_mut(&ack.id)
        {
            receipt.told = true;
        }
        self.check_kept(&format!("{kind:?}"), &owed)
    }

    fn refuse(&mut self, at: usize, owed: &Owed) {
        let received = &mut self.sessions[at].received;
        if received.get(&owed.id).is_some_and(|receipt| receipt.number == owed.number) {
            received.remove(&owed.id);
        }
        let Some(message) = self.messages.get_mut(&owed.number) else { return };
        if message.state != State::Accepted {
            message.state = State::Refused;
            let key = (message.publisher, message.topic);
            for session in &mut self.sessions {
                let copies = session.pending.get_mut(&key).into_iter().flatten();
                for copy in copies.filter(|copy| copy.number == owed.number) {
                    copy.optional = Some(Cause::Loss);
                }
            }
        }
    }

    fn say_pubrel(&mut self, line: usize, ack: &Ack) -> Verdict {
        let link = self.links.get_mut(&line).expect("it is here");
        let Some(at) = link.session else { return Ok(()) };
        let stray = link.stray.iter().position(|id| *id == ack.id);
        let (durable, kept) = (self.durable, self.is_kept(at));
        let session = &mut self.sessions[at];
        let earlier = |pos: u64, id: u16| {
            let waits =
                |flight: &&super::Flight| flight.stage == Stage::Received && flight.pos < pos;
            session.flights.iter().find(waits).map(|flight| (flight.id, id))
        };
        let found = session.flights.iter().find(|flight| flight.id == ack.id).cloned();
        let Some(flight) = found.filter(|flight| flight.qos == 2) else {
            if let Some(stray) = stray {
                self.links.get_mut(&line).expect("it is here").stray.remove(stray);
                return Ok(());
            }
            let is_it = |ghost: &super::Flight| ghost.id == ack.id && ghost.qos == 2;
            if let Some(ghost) = session.ghosts.iter().position(is_it) {
                let ghost = session.ghosts.remove(ghost);
                let released = super::Flight { stage: Stage::Released, link: line, ..ghost };
                session.flights.push_back(released);
                return Ok(());
            }
            let vague = session.vague;
            return if vague { Ok(()) } else { Err(format!("PUBREL {} for nothing", ack.id)) };
        };
        let verdict = match flight.stage {
            Stage::Sent => Err(format!("PUBREL {} without PUBREC", ack.id)),
            Stage::Released if flight.link == line => Err(format!("PUBREL {} twice", ack.id)),
            Stage::Received if kept && flight.pos > durable => {
                Err(format!("PUBREL {} before its PUBREC is kept", ack.id))
            }
            Stage::Received if flight.link == line => match earlier(flight.pos, ack.id) {
                Some((first, id)) => Err(format!("PUBREL {id} before {first}")),
                None => Ok(()),
            },
            _ => Ok(()),
        };
        let flight = session.flight(ack.id).expect("it is here");
        (flight.stage, flight.link) = (Stage::Released, line);
        verdict
    }

    fn say_pubcomp(&mut self, line: usize, ack: &Ack) -> Verdict {
        let link = self.links.get_mut(&line).expect("it is here");
        let owed = link.pubcomps.pop_front().filter(|owed| owed.id == ack.id);
        let owed = owed.ok_or_else(|| format!("PUBCOMP {} for nothing, or too early", ack.id))?;
        self.check_kept("PUBCOMP", &owed)
    }

    fn say_suback(&mut self, line: usize, answer: &Answer) -> Verdict {
        let link = self.links.get_mut(&line).expect("it is here");
        let (version, at) = (link.version, link.session);
        let owed = link::take_answer(&mut link.subacks, answer.id);
        let owed = owed.ok_or_else(|| format!("SUBACK {} for nothing", answer.id))?;
        if answer.codes.len() != owed.filters.len() {
            return Err("SUBACK with another number of codes".into());
        }
        let at = at.expect("a session");
        for (name, code) in owed.filters.iter().zip(&answer.codes) {
            let refused = *code >= 0x80;
            let Some(sub) = self.sessions[at].subs.get_mut(name) else { continue };
            if sub.pos != owed.pos {
                continue; // replaced meanwhile
            }
            sub.vague &= self.lag_ms == 0 || self.parted; // all brokers know it
            if refused {
                self.sessions[at].subs.remove(name);
                self.leave(at, *name);
            } else if *code != sub.qos && version != Version::V31 {
                return Err(format!("SUBACK grants {code}, {} was asked for", sub.qos));
            }
        }
        self.check_kept("SUBACK", &owed)
    }
}
