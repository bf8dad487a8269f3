//! The session as CONNECT and CONNACK speak of it: asked for anew or gone on with.

use crate::client::Client;
#[cfg(feature = "v5")]
use crate::client::handshake::RESERVE;
use crate::codec::{ConnAck, connect_flags};
#[cfg(feature = "v5")]
use crate::codec::{Sink, Slice, empty_client_id, var_int_len};
use crate::storage::Storage;
#[cfg(feature = "v5")]
use crate::storage::move_within;
#[cfg(feature = "v5")]
use crate::types::Text;
use crate::types::Version;

/// The bit of the connect flags that asks for a new session.
const CLEAN_START: u8 = 0x02;

impl<S: Storage> Client<S> {
    /// Sets or clears Clean Start in the CONNECT that waits to be sent again.
    fn set_clean_start(&mut self, clean: bool) {
        if let Some(flags) = connect_flags(self.outbox.kept_mut()) {
            *flags = if clean { *flags | CLEAN_START } else { *flags & !CLEAN_START };
        }
    }

    fn asked_for_clean_start(&mut self) -> bool {
        connect_flags(self.outbox.kept_mut()).is_some_and(|flags| *flags & CLEAN_START != 0)
    }

    /// The next CONNECT asks for a new session.
    pub(in crate::client) fn begin_anew(&mut self) {
        self.set_clean_start(true);
    }

    /// Whether the client can go on with a session that the server has.
    pub(in crate::client) fn may_resume(&mut self) -> bool {
        // 3.1.1 leaves it to the client whether to proceed, and it does.
        !self.asked_for_clean_start()
            && (self.has_session || self.settings.adopt_session || !self.version.is_v5())
    }

    /// The server has accepted: it goes on with the session, or begins one.
    pub(in crate::client) fn begin_session(&mut self, connack: &ConnAck<'_>) {
        // MQTT 3.1 does not say whether there is a session; where one was asked for, it is assumed.
        let blindly =
            self.version == Version::V31 && self.has_session && !self.asked_for_clean_start();
        #[cfg(feature = "v5")]
        self.keep_name(connack);
        let resumed = connack.session_present || blindly;
        if resumed {
            self.resume_session();
        } else {
            self.renew_session(); // [MQTT5-3.2.2-5]
        }
        if !resumed || self.version == Version::V31 || self.resubscribe_due {
            self.resubscribe();
        }
        self.has_session = true;
    }

    /// The next CONNECT goes on with the session, by the name that the server has given.
    #[cfg(feature = "v5")]
    fn keep_name(&mut self, connack: &ConnAck<'_>) {
        if let Some(name) = connack.properties.given_name() {
            self.keep_client_id(name);
        }
        if self.version.is_v5() {
            self.set_clean_start(false);
        }
    }

    /// Puts the name that the server has given into CONNECT, so that the session can be found again
    /// [MQTT5-3.2.2-16]. Where there is no room for it, the next connection gets another name.
    #[cfg(feature = "v5")]
    fn keep_client_id(&mut self, name: Text<'_>) {
        let Some((old_head, old_body, at)) = empty_client_id(self.outbox.kept()) else { return };
        let body_len = old_body.saturating_add(name.len());
        let head = 1_usize.saturating_add(var_int_len(body_len as u32));
        let (more, shift) = (name.len(), head.saturating_sub(old_head));
        let grows = more.saturating_add(shift);
        let old_len = self.outbox.kept().len();
        if !self.outbox.has_room(grows.saturating_add(RESERVE))
            || self.outbox.push_kept(grows).is_err()
        {
            return;
        }
        let behind = at.saturating_add(2);
        let kept = self.outbox.kept_mut();
        move_within(kept, behind..old_len, behind.saturating_add(grows));
        move_within(kept, old_head..at, head);
        if let Some((_, length)) = kept.split_first_mut() {
            Slice::new(length).var_int(body_len as u32);
        }
        if let Some(place) = kept.get_mut(at.saturating_add(shift)..) {
            Slice::new(place).text(name);
        }
        self.connect_len = self.connect_len.saturating_add(grows);
        self.connect_sent = self.connect_sent.saturating_add(grows);
    }
}
