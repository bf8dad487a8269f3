//! Enhanced authentication: AUTH both ways, at the start and again later.

use super::error::{Lost, PeerError, SendError};
use super::event::Event;
use super::{Client, Phase};
use crate::Instant;
use crate::codec::{Auth, ConnAck, Connect, Properties, Property, measure};
use crate::storage::Storage;
use crate::types::{ReasonCode, Text};

impl<S: Storage> Client<S> {
    /// The method that CONNECT named.
    fn method(&self) -> Option<Text<'_>> {
        method_of(self.outbox.kept())
    }

    /// That CONNACK names the method of CONNECT, or none [MQTT5-4.12.0-5, MQTT5-4.12.0-6].
    pub(super) fn check_authentication<'a>(
        &mut self,
        connack: &ConnAck<'a>,
    ) -> Result<(), Lost<'a>> {
        if connack.properties.authentication_method() == self.method() {
            return Ok(());
        }
        Err(self.misbehaved(PeerError::Auth))
    }

    pub(super) fn handle_auth<'a>(
        &mut self,
        auth: Auth<'a>,
    ) -> Result<Option<Event<'a>>, Lost<'a>> {
        let is_due = match (self.phase, auth.reason) {
            (Phase::Connecting, ReasonCode::ContinueAuthentication) => true, // [MQTT5-4.12.0-2]
            (Phase::Open, ReasonCode::ContinueAuthentication | ReasonCode::Success) => {
                self.reauthenticating
            }
            _ => false,
        };
        let method = auth.properties.authentication_method();
        if !is_due || method.is_none() || method != self.method() {
            return Err(self.misbehaved(PeerError::Auth)); // [MQTT5-4.12.0-5, MQTT5-4.12.0-6]
        }
        self.challenged = auth.reason == ReasonCode::ContinueAuthentication;
        self.reauthenticating &= self.challenged;
        Ok(Some(Event::Auth { reason: auth.reason, properties: auth.properties }))
    }

    /// Answers the server's [`Event::Auth`] with these data.
    ///
    /// # Errors
    /// The server did not ask, or there is no room.
    pub fn authenticate(&mut self, data: Option<&[u8]>, now: Instant) -> Result<(), SendError> {
        if !self.challenged || !matches!(self.phase, Phase::Connecting | Phase::Open) {
            return Err(SendError::NotConnected);
        }
        self.send_auth(ReasonCode::ContinueAuthentication, data, now)?; // [MQTT5-4.12.0-3]
        self.challenged = false;
        Ok(())
    }

    /// Authenticates again, by the same method [MQTT5-4.12.1-1].
    ///
    /// [`Event::Auth`] tells how it goes; if it fails, the server ends the connection.
    ///
    /// # Errors
    /// Not connected, CONNECT named no method, or there is no room.
    pub fn reauthenticate(&mut self, data: Option<&[u8]>, now: Instant) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        self.send_auth(ReasonCode::ReAuthenticate, data, now)?;
        self.reauthenticating = true;
        Ok(())
    }

    fn send_auth(
        &mut self,
        reason: ReasonCode,
        data: Option<&[u8]>,
        now: Instant,
    ) -> Result<(), SendError> {
        self.set_now(now);
        let (version, reserve) = (self.version, self.reserve());
        // The method is borrowed from the CONNECT that is kept. Nothing is in it that could be left
        // out [MQTT5-3.15.2-2, MQTT5-3.15.2-3].
        self.send_from_kept(reserve, |kept, out| {
            // A client without a method never sends AUTH [MQTT5-4.12.0-7].
            let method = method_of(kept).ok_or(SendError::NotConnected)?;
            let data = data.map(Property::AuthenticationData);
            let mut list =
                heapless::Vec::<_, 2>::from_array([Property::AuthenticationMethod(method)]);
            list.extend(data);
            let measured_of = Auth { reason, properties: Properties::new(&list) };
            Ok(measure(&measured_of, version)?.write_if(out)?)
        })
    }
}

/// The method that a CONNECT names.
fn method_of(mut connect: &[u8]) -> Option<Text<'_>> {
    Connect::decode(&mut connect).ok()??.properties.authentication_method()
}
