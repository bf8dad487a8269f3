//! CONNECT: the one packet that says which version it is.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::header::PacketType;
use super::place::Place;
use super::properties::Properties;
use super::sink::{Body, Refusal, Sink, short};
use crate::types::{QoS, Text, TopicName, Version};

/// A client asks to be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version that the connection is to speak.
    pub version: Version,
    /// Whether to begin a new session (Clean Session in 3.1 and 3.1.1).
    pub clean_start: bool,
    /// The longest silence that the client will keep, in seconds; 0 for no limit.
    pub keep_alive: u16,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
    /// Who it is; empty to be given a name.
    pub client_id: Text<'a>,
    /// What to publish if the connection is lost.
    pub will: Option<Will<'a>>,
    /// The user's name.
    pub user_name: Option<Text<'a>>,
    /// The user's password, 65,535 bytes at most.
    pub password: Option<&'a [u8]>,
}

/// The message that a server publishes if the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// At which QoS.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// MQTT 5 properties of the message, and the will delay.
    pub properties: Properties<'a>,
    /// To which topic.
    pub topic: TopicName<'a>,
    /// What it says, 65,535 bytes at most.
    pub payload: &'a [u8],
}

/// The bits of the connect flags.
mod flag {
    pub(super) const RESERVED: u8 = 0x01;
    pub(super) const CLEAN_START: u8 = 0x02;
    pub(super) const WILL: u8 = 0x04;
    pub(super) const WILL_QOS: u8 = 0x18;
    pub(super) const WILL_RETAIN: u8 = 0x20;
    pub(super) const PASSWORD: u8 = 0x40;
    pub(super) const USER_NAME: u8 = 0x80;
}

impl<'a> Connect<'a> {
    /// A request with a new session, no keep alive, no will and no credentials.
    #[must_use]
    pub const fn new(version: Version, client_id: Text<'a>) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 0,
            properties: Properties::EMPTY,
            client_id,
            will: None,
            user_name: None,
            password: None,
        }
    }

    /// The fields in their order [MQTT5-3.1.3-1, MQTT3-3.1.3-1]. Where the version of the stream is
    /// known, it must be that one.
    pub(crate) fn read(cursor: &mut Cursor<'a>, expected: Option<Version>) -> Option<Self> {
        let version = read_version(cursor, expected)?;
        let flags = read_flags(cursor, version)?;
        let keep_alive = cursor.u16(Field::KeepAlive)?;
        let start = cursor.left();
        let properties = Properties::read(cursor, version, Place::Connect)?;
        if let Some(sin) = properties.authentication_sin() {
            return cursor.found_at(start, sin, Field::PropertyLength);
        }
        // [MQTT5-3.1.3-3, MQTT5-3.1.3-4, MQTT3-3.1.3-3, MQTT3-3.1.3-4]
        let client_id = cursor.text(Field::ClientId)?;
        let will =
            if flags & flag::WILL != 0 { Some(Will::read(cursor, version, flags)?) } else { None };
        // A flag and its field come together [MQTT5-3.1.2-16, MQTT5-3.1.2-17, MQTT5-3.1.2-18]
        // [MQTT5-3.1.2-19, MQTT3-3.1.2-18, MQTT3-3.1.2-19, MQTT3-3.1.2-20, MQTT3-3.1.2-21].
        // In 3.1 the length takes precedence: a flag without its field is no error.
        let missing_is_fine = matches!(version, Version::V31);
        let wanted = |flag, cursor: &Cursor<'_>| {
            flags & flag != 0 && !(missing_is_fine && cursor.is_empty())
        };
        let user_name = if wanted(flag::USER_NAME, cursor) {
            Some(cursor.text(Field::UserName)?) // [MQTT5-3.1.3-12, MQTT3-3.1.3-11]
        } else {
            None
        };
        let password = if wanted(flag::PASSWORD, cursor) {
            Some(cursor.binary(Field::Password)?)
        } else {
            None
        };
        let clean_start = flags & flag::CLEAN_START != 0;
        Some(Self {
            version,
            clean_start,
            keep_alive,
            properties,
            client_id,
            will,
            user_name,
            password,
        })
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= flag::CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= flag::WILL | will.qos.level() << 3;
            if will.retain {
                flags |= flag::WILL_RETAIN;
            }
        }
        if self.user_name.is_some() {
            flags |= flag::USER_NAME;
        }
        if self.password.is_some() {
            flags |= flag::PASSWORD;
        }
        flags
    }
}

/// Protocol name and level, which decide everything behind them.
fn read_version(cursor: &mut Cursor<'_>, expected: Option<Version>) -> Option<Version> {
    let start = cursor.left();
    let name = cursor.binary(Field::ProtocolName)?;
    let at_level = cursor.left();
    let level = cursor.u8(Field::ProtocolLevel)?;
    if !matches!(name, b"MQTT" | b"MQIsdp") {
        return cursor.found_at(start, Sin::ProtocolName, Field::ProtocolName); // [MQTT5-3.1.2-1]
    }
    match Version::from_level(level) {
        Some(version)
            if version.protocol_name().as_bytes() == name
                && expected.is_none_or(|expected| expected == version) =>
        {
            Some(version)
        }
        // [MQTT5-3.1.2-2, MQTT3-3.1.2-2]
        _ => cursor.found_at(at_level, Sin::ProtocolLevel, Field::ProtocolLevel),
    }
}

/// The connect flags, of which not all go together.
fn read_flags(cursor: &mut Cursor<'_>, version: Version) -> Option<u8> {
    let start = cursor.left();
    let flags = cursor.u8(Field::ConnectFlags)?;
    let will = flags & flag::WILL != 0;
    let sin = if flags & flag::RESERVED != 0 {
        Sin::ReservedConnectFlag // [MQTT5-3.1.2-3, MQTT3-3.1.2-3]
    } else if flags & flag::WILL_QOS == flag::WILL_QOS {
        Sin::WillQoS // [MQTT5-3.1.2-12, MQTT3-3.1.2-14]
    } else if !will && flags & flag::WILL_QOS != 0 {
        Sin::WillQoSWithoutWill // [MQTT5-3.1.2-11, MQTT3-3.1.2-11, MQTT3-3.1.2-13]
    } else if !will && flags & flag::WILL_RETAIN != 0 {
        Sin::WillRetainWithoutWill // [MQTT5-3.1.2-13, MQTT3-3.1.2-15]
    } else if !version.is_v5() && flags & (flag::PASSWORD | flag::USER_NAME) == flag::PASSWORD {
        Sin::PasswordWithoutUserName // [MQTT3-3.1.2-22]
    } else {
        return Some(flags);
    };
    cursor.found_at(start, sin, Field::ConnectFlags)
}

impl<'a> Will<'a> {
    /// A will at QoS 0, not retained.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        let properties = Properties::EMPTY;
        Self { qos: QoS::AtMostOnce, retain: false, properties, topic, payload }
    }

    /// The will's fields, which the will flag announced [MQTT5-3.1.2-9, MQTT3-3.1.2-9].
    fn read(cursor: &mut Cursor<'a>, version: Version, flags: u8) -> Option<Self> {
        let qos = QoS::from_level((flags & flag::WILL_QOS) >> 3).unwrap_or_default();
        let properties = Properties::read(cursor, version, Place::Will)?;
        let start = cursor.left();
        // [MQTT5-3.1.3-11, MQTT3-3.1.3-10]
        let Some(topic) = cursor.topic(Field::WillTopic)? else {
            return cursor.found_at(start, Sin::EmptyTopic, Field::WillTopic);
        };
        let payload = cursor.binary(Field::WillPayload)?;
        Some(Self { qos, retain: flags & flag::WILL_RETAIN != 0, properties, topic, payload })
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        self.properties.check(version, Place::Will)?;
        short(self.payload, Field::WillPayload)
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        self.properties.write(version, sink);
        sink.text(self.topic.text());
        sink.binary(self.payload);
    }
}

impl Body for Connect<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Connect.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        if version != self.version {
            return Err(Refusal::NotInVersion(Field::ProtocolLevel));
        }
        self.properties.check(version, Place::Connect)?;
        if let Some(sin) = self.properties.authentication_sin() {
            return Err(Refusal::Sin(sin, Field::PropertyLength));
        }
        if let Some(will) = &self.will {
            will.check(version)?;
        }
        if !version.is_v5() && self.password.is_some() && self.user_name.is_none() {
            return Err(Refusal::Sin(Sin::PasswordWithoutUserName, Field::Password));
        }
        short(self.password.unwrap_or_default(), Field::Password)
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.binary(version.protocol_name().as_bytes());
        sink.u8(version.level());
        sink.u8(self.flags());
        sink.u16(self.keep_alive);
        self.properties.write(version, sink);
        sink.text(self.client_id);
        if let Some(will) = &self.will {
            will.write(version, sink);
        }
        if let Some(user_name) = self.user_name {
            sink.text(user_name);
        }
        if let Some(password) = self.password {
            sink.binary(password);
        }
    }
}
