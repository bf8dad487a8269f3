//! How a client is to behave.

#[cfg(feature = "v5")]
use core::num::{NonZeroU16, NonZeroU32};

#[cfg(feature = "v5")]
use crate::codec::Property;
use crate::codec::Will;
#[cfg(feature = "v5")]
use crate::types::Text;
use crate::types::Version;

/// How many properties a CONNECT can have.
pub(crate) const MAX_PROPERTIES: usize = 16;

/// How many properties of CONNECT other options can stand for.
#[cfg(feature = "v5")]
const IMPLIED: usize = 4;

/// What to do with a message for which there is no room while there is no connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(not(feature = "session"), allow(unreachable_pub))]
pub enum WhenFull {
    /// The call fails with [`SendError::Full`](super::SendError::Full).
    #[default]
    Refuse,
    /// The oldest message that was never sent makes room; it fails with
    /// [`Failure::Dropped`](super::Failure::Dropped).
    DropOldest,
}

/// What to do with a QoS 2 message that had left when the server lost the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(not(feature = "session"), allow(unreachable_pub))]
pub enum WhenUnknown {
    /// It fails with [`Failure::Unknown`](super::Failure::Unknown): it may have arrived.
    #[default]
    Fail,
    /// It is sent again as a new message: it may arrive twice.
    SendAgain,
}

/// When to try again after a connection failed.
///
/// The wait is a random time up to a bound, which doubles with each attempt that fails in a row
/// ("full jitter"), so that a thousand clients do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconnect {
    /// Not at all.
    Never,
    /// After up to `first_ms` milliseconds, then up to twice that, and so on up to `most_ms`.
    Backoff {
        /// The bound of the first wait, in milliseconds.
        first_ms: u32,
        /// The bound of every wait, in milliseconds.
        most_ms: u32,
    },
}

impl Reconnect {
    /// Up to half a second at first, up to a minute at last.
    pub const DEFAULT: Self = Self::Backoff { first_ms: 500, most_ms: 60_000 };
}

/// How a client is to behave: who it is, what it wants from the server, and its bounds.
///
/// ```
/// use tamtam_core::Version;
/// use tamtam_core::client::Options;
///
/// let options = Options::new(Version::V311).client_id("thermostat-7").keep_alive_secs(30);
/// ```
#[derive(Clone, Debug)]
pub struct Options<'a> {
    pub(crate) version: Version,
    pub(crate) client_id: &'a str,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
    pub(crate) will: Option<Will<'a>>,
    #[cfg(feature = "v5")]
    pub(crate) properties: heapless::Vec<Property<'a>, MAX_PROPERTIES>,
    #[cfg(feature = "v5")]
    pub(crate) too_many_properties: bool,
    pub(crate) settings: Settings,
}

/// What of the options a client remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) clean_start: bool,
    pub(crate) keep_alive_secs: u16,
    /// Seconds that the session outlives its connection.
    pub(crate) session_expiry: u32,
    /// How many messages the server may send ahead; a client's is what it has room for, too.
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: u32,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) outgoing_aliases: u16,
    pub(crate) stream_above: u32,
    pub(crate) outgoing_bytes: usize,
    pub(crate) in_flight: u16,
    pub(crate) connect_timeout_ms: u32,
    pub(crate) ping_timeout_ms: u32,
    pub(crate) reconnect: Reconnect,
    pub(crate) manual_ack: bool,
    pub(crate) queue_qos0: bool,
    pub(crate) when_full: WhenFull,
    pub(crate) when_unknown: WhenUnknown,
    pub(crate) resubscribe: bool,
    pub(crate) adopt_session: bool,
    pub(crate) store: bool,
}

impl Settings {
    /// How many bytes behind its header a packet may have, whatever that header is, that is taken
    /// and not streamed.
    pub(crate) fn whole_up_to(&self) -> usize {
        (self.max_packet_size.min(self.stream_above) as usize).saturating_sub(5)
    }

    /// What a client has before it is started: zeros, so that an empty client is all zero bits.
    pub(crate) const NONE: Self = Self {
        clean_start: false,
        keep_alive_secs: 0,
        session_expiry: 0,
        receive_maximum: 0,
        max_packet_size: 0,
        topic_alias_maximum: 0,
        outgoing_aliases: 0,
        stream_above: 0,
        outgoing_bytes: 0,
        in_flight: 0,
        connect_timeout_ms: 0,
        ping_timeout_ms: 0,
        reconnect: Reconnect::Never,
        manual_ack: false,
        queue_qos0: false,
        when_full: WhenFull::Refuse,
        when_unknown: WhenUnknown::Fail,
        resubscribe: false,
        adopt_session: false,
        store: false,
    };
}

impl<'a> Options<'a> {
    /// The defaults: a session that ends with the connection, a keep alive of a minute, no user, no
    /// will, and reconnecting with [`Reconnect::DEFAULT`].
    #[must_use]
    pub const fn new(version: Version) -> Self {
        Self {
            version,
            client_id: "",
            user_name: None,
            password: None,
            will: None,
            #[cfg(feature = "v5")]
            properties: heapless::Vec::new(),
            #[cfg(feature = "v5")]
            too_many_properties: false,
            settings: Settings {
                clean_start: true,
                keep_alive_secs: 60,
                receive_maximum: u16::MAX,
                max_packet_size: u32::MAX,
                outgoing_aliases: u16::MAX,
                stream_above: u32::MAX,
                outgoing_bytes: 16 << 20,
                in_flight: u16::MAX,
                connect_timeout_ms: 10_000,
                ping_timeout_ms: 10_000,
                reconnect: Reconnect::DEFAULT,
                queue_qos0: true,
                resubscribe: true,
                ..Settings::NONE
            },
        }
    }

    /// Which version the client speaks.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// What [`Options::receive_maximum`] set.
    #[must_use]
    pub const fn receives_ahead(&self) -> u16 {
        self.settings.receive_maximum
    }

    /// What [`Options::manual_ack`] set.
    #[must_use]
    pub const fn is_manual_ack(&self) -> bool {
        self.settings.manual_ack
    }

    /// Who the client is. Empty, the default, lets the server choose a name.
    #[must_use]
    pub const fn client_id(mut self, client_id: &'a str) -> Self {
        self.client_id = client_id;
        self
    }

    /// The user.
    #[must_use]
    pub const fn user_name(mut self, user_name: &'a str) -> Self {
        self.user_name = Some(user_name);
        self
    }

    /// The user's password, 65,535 bytes at most.
    #[must_use]
    pub const fn password(mut self, password: &'a [u8]) -> Self {
        self.password = Some(password);
        self
    }

    /// What the server publishes if the connection is lost.
    #[must_use]
    pub const fn will(mut self, will: Will<'a>) -> Self {
        self.will = Some(will);
        self
    }

    /// The longest silence, in seconds; 0 for no limit. The server may decide otherwise (MQTT 5).
    #[must_use]
    pub const fn keep_alive_secs(mut self, secs: u16) -> Self {
        self.settings.keep_alive_secs = secs;
        self
    }

    /// How many bytes may wait to be sent or acknowledged, on [`Heap`](crate::Heap). 16 MiB,
    /// which are taken as they are needed.
    #[must_use]
    pub const fn outgoing_bytes(mut self, bytes: usize) -> Self {
        self.settings.outgoing_bytes = bytes;
        self
    }

    /// How many requests may be under way at once. 65,535, or what the storage has room for.
    #[must_use]
    pub const fn in_flight(mut self, requests: u16) -> Self {
        self.settings.in_flight = requests;
        self
    }

    /// How many QoS 1 and 2 messages the server may send ahead of their acknowledgement. 65,535, or
    /// what the storage has room for.
    #[must_use]
    pub const fn receive_maximum(mut self, messages: u16) -> Self {
        self.settings.receive_maximum = messages;
        self
    }

    /// The largest packet that is taken, in bytes: at least 1. Unlimited; firmware sets the size of
    /// its receive buffer.
    #[must_use]
    pub const fn max_packet_size(mut self, bytes: u32) -> Self {
        self.settings.max_packet_size = bytes;
        self
    }

    /// Messages whose packet is larger than this come in pieces. Never; see
    /// [`Event::MessageStart`](super::Event::MessageStart).
    ///
    /// The packet up to its payload must fit this size.
    #[cfg(feature = "stream")]
    #[must_use]
    pub const fn stream_above(mut self, bytes: u32) -> Self {
        self.settings.stream_above = bytes;
        self
    }

    /// How long to wait for CONNACK, in milliseconds, from the moment that a transport is wanted.
    /// Ten seconds.
    #[must_use]
    pub const fn connect_timeout_ms(mut self, millis: u32) -> Self {
        self.settings.connect_timeout_ms = millis;
        self
    }

    /// How long to wait for an answer to PINGREQ, in milliseconds. Ten seconds.
    #[must_use]
    pub const fn ping_timeout_ms(mut self, millis: u32) -> Self {
        self.settings.ping_timeout_ms = millis;
        self
    }

    /// When to try again after a connection failed.
    #[must_use]
    pub const fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.settings.reconnect = reconnect;
        self
    }

    /// Whether the application acknowledges each message itself, by
    /// [`Client::ack`](super::Client::ack). No.
    #[must_use]
    pub const fn manual_ack(mut self, manual: bool) -> Self {
        self.settings.manual_ack = manual;
        self
    }
}

/// What outlives a connection, and how.
#[cfg(feature = "session")]
impl Options<'_> {
    /// Whether the server is to begin a new session. Later connections go on with it all the same.
    ///
    /// In 3.1 and 3.1.1, where this is Clean Session, `false` also keeps the session for as long as
    /// the server will.
    #[must_use]
    pub const fn clean_start(mut self, clean: bool) -> Self {
        self.settings.clean_start = clean;
        if !self.version.is_v5() {
            self.settings.session_expiry = if clean { 0 } else { u32::MAX };
        }
        self
    }

    /// Whether QoS 0 messages wait for a connection if there is none. Yes; otherwise publishing
    /// them fails then.
    #[must_use]
    pub const fn queue_qos0(mut self, queue: bool) -> Self {
        self.settings.queue_qos0 = queue;
        self
    }

    /// What to do with a message for which there is no room while there is no connection.
    #[must_use]
    pub const fn when_full(mut self, policy: WhenFull) -> Self {
        self.settings.when_full = policy;
        self
    }

    /// What to do with a QoS 2 message that had left when the server lost the session.
    #[must_use]
    pub const fn when_unknown(mut self, policy: WhenUnknown) -> Self {
        self.settings.when_unknown = policy;
        self
    }

    /// Whether the client subscribes anew by itself when the server has lost the session. Yes.
    ///
    /// It remembers its filters for that, in the memory for outgoing packets.
    #[must_use]
    pub const fn resubscribe(mut self, resubscribe: bool) -> Self {
        self.settings.resubscribe = resubscribe;
        self
    }

    /// Whether a session that the server has is this client's though it remembers none: its state
    /// is declared to be empty. No.
    ///
    /// Otherwise such a session ends the connection, and the next attempt begins a new one
    /// [MQTT5-3.2.2-4].
    #[must_use]
    pub const fn adopt_session(mut self, adopt: bool) -> Self {
        self.settings.adopt_session = adopt;
        self
    }

    /// Whether the session is kept in a store of the application's: see
    /// [`Client::poll_record`](super::Client::poll_record). No.
    #[must_use]
    pub const fn store(mut self, store: bool) -> Self {
        self.settings.store = store;
        self
    }
}

/// What only MQTT 5 can say.
#[cfg(feature = "v5")]
impl<'a> Options<'a> {
    /// How long the server keeps the session after the connection, in seconds; `u32::MAX` for ever.
    #[cfg(feature = "session")]
    #[must_use]
    pub const fn session_expiry_secs(mut self, secs: u32) -> Self {
        self.settings.session_expiry = secs;
        self
    }

    /// The highest topic alias that the server may use. 0, for none; on [`Fixed`](crate::Fixed) the
    /// storage must have room for the topics.
    #[must_use]
    pub const fn topic_alias_maximum(mut self, aliases: u16) -> Self {
        self.settings.topic_alias_maximum = aliases;
        self
    }

    /// How many topic aliases the client uses at most, within what the server allows.
    #[must_use]
    pub const fn outgoing_aliases(mut self, aliases: u16) -> Self {
        self.settings.outgoing_aliases = aliases;
        self
    }

    /// Adds a property to CONNECT: a user property, request problem information, the authentication
    /// method, and so on. Those that other options stand for are not given here.
    #[must_use]
    pub fn property(mut self, property: Property<'a>) -> Self {
        self.too_many_properties |= self.properties.push(property).is_err();
        self
    }

    /// Adds a user property to CONNECT.
    #[must_use]
    pub fn user_property(self, name: Text<'a>, value: Text<'a>) -> Self {
        self.property(Property::UserProperty((name, value)))
    }

    /// The method of enhanced authentication.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn authentication_method(self, method: Text<'a>) -> Self {
        self.property(Property::AuthenticationMethod(method))
    }

    /// The first data of enhanced authentication.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn authentication_data(self, data: &'a [u8]) -> Self {
        self.property(Property::AuthenticationData(data))
    }

    /// Those that other options stand for; `receive_maximum` is what the storage has room for.
    pub(crate) fn implied_properties(
        &self,
        receive_maximum: u16,
    ) -> heapless::Vec<Property<'a>, IMPLIED> {
        let settings = &self.settings;
        let mut implied = heapless::Vec::new();
        let mut add = |wanted: bool, property: Property<'a>| {
            if wanted {
                let _ = implied.push(property); // there is room for all
            }
        };
        let maximum = NonZeroU16::new(receive_maximum).unwrap_or(NonZeroU16::MIN);
        let largest = NonZeroU32::new(settings.max_packet_size).unwrap_or(NonZeroU32::MIN);
        let (expiry, aliases) = (settings.session_expiry, settings.topic_alias_maximum);
        add(expiry != 0, Property::SessionExpiryInterval(expiry));
        add(maximum != NonZeroU16::MAX, Property::ReceiveMaximum(maximum));
        add(largest != NonZeroU32::MAX, Property::MaximumPacketSize(largest));
        add(aliases != 0, Property::TopicAliasMaximum(aliases));
        implied
    }
}
