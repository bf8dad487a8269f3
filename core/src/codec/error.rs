//! What can be wrong with a packet: one variant per sin, each with its clause.

use core::fmt;

use super::header::PacketType;
#[cfg(feature = "v5")]
use super::property::PropertyId;
use crate::types::{FilterError, ReasonCode, TextError, TopicError, Version};

/// The two ways in which MQTT 5 tells bad packets apart; kept for 3.1 and 3.1.1 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It can't be parsed.
    Malformed,
    /// It can be parsed, but says what it must not.
    ProtocolError,
}

macro_rules! sins {
    ($($name:ident $fault:ident $code:ident $v5:literal $v3:literal $words:literal)*) => {
        /// What a peer did wrong in one packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Sin {
            $(#[doc = concat!("The packet is wrong because it ", $words, ".")] $name,)*
        }

        impl Sin {
            /// Every sin, in the order of a packet.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Whether it keeps the packet from being parsed.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self {
                    $(Self::$name => Fault::$fault,)*
                }
            }

            /// The reason code that answers it [MQTT5-4.13.1-1].
            #[must_use]
            pub const fn reason_code(self) -> ReasonCode {
                match self {
                    $(Self::$name => ReasonCode::$code,)*
                }
            }

            /// The statement or chapter of the specification of `version` that forbids it.
            #[must_use]
            pub const fn citation(self, version: Version) -> &'static str {
                match self {
                    $(Self::$name => if version.is_v5() { $v5 } else { $v3 },)*
                }
            }

            /// What the packet does, as the predicate of a sentence.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }
        }
    };
}

sins! {
    ReservedPacketType Malformed MalformedPacket "MQTT5 2.1.2" "MQTT3 2.2.1"
        "has a packet type that this version does not know"
    WrongSender ProtocolError ProtocolError "MQTT5 2.1.2" "MQTT3 2.2.1"
        "is of a type that only the other side may send"
    FirstPacket ProtocolError ProtocolError "MQTT5-3.1.0-1" "MQTT3-3.1.0-1"
        "is not the CONNECT that a connection begins with"
    ReservedFlags Malformed MalformedPacket "MQTT5-2.1.3-1" "MQTT3-2.2.2-1"
        "has reserved flags that are not at their fixed value"
    LengthTooLong Malformed MalformedPacket "MQTT5 1.5.5" "MQTT3 2.2.3"
        "has a variable byte integer of more than four bytes"
    LengthNotMinimal Malformed MalformedPacket "MQTT5-1.5.5-1" "MQTT3 2.2.3"
        "has a variable byte integer that is longer than it need be"
    Truncated Malformed MalformedPacket "MQTT5 2.1.4" "MQTT3 2.2.3"
        "ends before this field does"
    TrailingBytes Malformed MalformedPacket "MQTT5 2.1.4" "MQTT3 2.2.3"
        "goes on behind its last field"
    IllFormedText Malformed MalformedPacket "MQTT5-1.5.4-1" "MQTT3-1.5.3-1"
        "has ill-formed UTF-8 here"
    NullInText Malformed MalformedPacket "MQTT5-1.5.4-2" "MQTT3-1.5.3-2"
        "has a U+0000 here"
    ProtocolName ProtocolError UnsupportedProtocolVersion "MQTT5-3.1.2-1" "MQTT3-3.1.2-1"
        "names a protocol that is not MQTT"
    ProtocolLevel ProtocolError UnsupportedProtocolVersion "MQTT5-3.1.2-2" "MQTT3-3.1.2-2"
        "asks for a protocol level that is not spoken here"
    ReservedConnectFlag Malformed MalformedPacket "MQTT5-3.1.2-3" "MQTT3-3.1.2-3"
        "has the reserved connect flag set"
    WillQoSWithoutWill Malformed MalformedPacket "MQTT5-3.1.2-11" "MQTT3-3.1.2-13"
        "has a will QoS but no will"
    WillRetainWithoutWill Malformed MalformedPacket "MQTT5-3.1.2-13" "MQTT3-3.1.2-15"
        "has will retain but no will"
    WillQoS Malformed MalformedPacket "MQTT5-3.1.2-12" "MQTT3-3.1.2-14"
        "has a will QoS of 3"
    PasswordWithoutUserName Malformed MalformedPacket "MQTT5 3.1.2.9" "MQTT3-3.1.2-22"
        "has a password but no user name"
    ReservedConnAckFlags Malformed MalformedPacket "MQTT5-3.2.2-1" "MQTT3 3.2.2.1"
        "has reserved acknowledge flags set"
    SessionPresentOnError ProtocolError ProtocolError "MQTT5-3.2.2-6" "MQTT3-3.2.2-4"
        "reports a session beside a failure"
    QoS Malformed MalformedPacket "MQTT5-3.3.1-4" "MQTT3-3.3.1-4"
        "has a QoS of 3"
    DupAtQoS0 Malformed MalformedPacket "MQTT5-3.3.1-2" "MQTT3-3.3.1-2"
        "has DUP set at QoS 0"
    WildcardInTopic ProtocolError ProtocolError "MQTT5-3.3.2-2" "MQTT3-3.3.2-2"
        "has a wildcard in a topic name"
    EmptyTopic ProtocolError ProtocolError "MQTT5-4.7.3-1" "MQTT3-4.7.3-1"
        "has an empty topic where one is needed"
    WildcardInResponseTopic ProtocolError ProtocolError "MQTT5-3.3.2-14" "MQTT3 3.3.2"
        "has a wildcard in a response topic"
    PacketIdZero ProtocolError ProtocolError "MQTT5-2.2.1-3" "MQTT3-2.3.1-1"
        "has packet identifier 0"
    NoFilter ProtocolError ProtocolError "MQTT5-3.8.3-2" "MQTT3-3.8.3-3"
        "subscribes to nothing"
    NoFilterToLeave ProtocolError ProtocolError "MQTT5-3.10.3-2" "MQTT3-3.10.3-2"
        "unsubscribes from nothing"
    MultiLevelWildcard ProtocolError ProtocolError "MQTT5-4.7.1-1" "MQTT3-4.7.1-2"
        "has a # that does not stand alone in the last level of a filter"
    SingleLevelWildcard ProtocolError ProtocolError "MQTT5-4.7.1-2" "MQTT3-4.7.1-3"
        "has a + that does not stand alone in its level of a filter"
    ShareName ProtocolError ProtocolError "MQTT5-4.8.2-1" "MQTT5-4.8.2-1"
        "has a shared filter without a group name"
    ShareNameWildcard ProtocolError ProtocolError "MQTT5-4.8.2-2" "MQTT5-4.8.2-2"
        "has a shared filter with a wildcard in its group name"
    ShareWithoutFilter ProtocolError ProtocolError "MQTT5-4.8.2-2" "MQTT5-4.8.2-2"
        "has a shared filter without a filter behind the group"
    SubscriptionOptions Malformed MalformedPacket "MQTT5-3.8.3-5" "MQTT3-3.8.3-4"
        "has reserved subscription options set"
    SubscriptionQoS ProtocolError ProtocolError "MQTT5 3.8.3.1" "MQTT3-3.8.3-4"
        "asks for a QoS of 3"
    RetainHandling ProtocolError ProtocolError "MQTT5 3.8.3.1" "MQTT3 3.8.3"
        "asks for a retain handling of 3"
    NoLocalOnShared ProtocolError ProtocolError "MQTT5-3.8.3-4" "MQTT3 3.8.3"
        "asks for no local on a shared subscription"
    NoReasonCode ProtocolError ProtocolError "MQTT5-3.8.4-6" "MQTT3-3.8.4-5"
        "answers without a single code"
    ReasonCode ProtocolError ProtocolError "MQTT5 2.4" "MQTT3-3.9.3-2"
        "has a reason code that it may not carry"
    UnknownProperty Malformed MalformedPacket "MQTT5 2.2.2.2" "MQTT5 2.2.2.2"
        "has a property that does not exist"
    PropertyNotAllowed Malformed MalformedPacket "MQTT5 2.2.2.2" "MQTT5 2.2.2.2"
        "has a property that belongs to other packets"
    PropertyFromWrongSender ProtocolError ProtocolError "MQTT5-3.3.4-6" "MQTT5-3.3.4-6"
        "has a property that only the other side may send"
    PropertyTwice ProtocolError ProtocolError "MQTT5 2.2.2.2" "MQTT5 2.2.2.2"
        "has a property twice that may come once"
    PropertyValue ProtocolError ProtocolError "MQTT5 2.2.2.2" "MQTT5 2.2.2.2"
        "has a property whose value is out of range"
    TopicAliasZero ProtocolError TopicAliasInvalid "MQTT5-3.3.2-8" "MQTT5-3.3.2-8"
        "has topic alias 0"
    AuthenticationData ProtocolError ProtocolError "MQTT5 3.1.2.11.10" "MQTT5 3.1.2.11.10"
        "has authentication data without a method"
    AuthenticationMethod ProtocolError ProtocolError "MQTT5 3.15.2.2.2" "MQTT5 3.15.2.2.2"
        "authenticates without a method"
}

/// A part of a packet, to say where a sin was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the specification's own name of the field")]
pub enum Field {
    PacketType,
    RemainingLength,
    ProtocolName,
    ProtocolLevel,
    ConnectFlags,
    KeepAlive,
    ClientId,
    WillTopic,
    WillPayload,
    UserName,
    Password,
    AcknowledgeFlags,
    ReasonCode,
    TopicName,
    PacketId,
    TopicFilter,
    SubscriptionOptions,
    Payload,
    PropertyLength,
    PropertyId,
    #[cfg(feature = "v5")]
    Property(PropertyId),
}

impl Field {
    /// The field's name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PacketType => "packet type and flags",
            Self::RemainingLength => "remaining length",
            Self::ProtocolName => "protocol name",
            Self::ProtocolLevel => "protocol level",
            Self::ConnectFlags => "connect flags",
            Self::KeepAlive => "keep alive",
            Self::ClientId => "client identifier",
            Self::WillTopic => "will topic",
            Self::WillPayload => "will payload",
            Self::UserName => "user name",
            Self::Password => "password",
            Self::AcknowledgeFlags => "acknowledge flags",
            Self::ReasonCode => "reason code",
            Self::TopicName => "topic name",
            Self::PacketId => "packet identifier",
            Self::TopicFilter => "topic filter",
            Self::SubscriptionOptions => "subscription options",
            Self::Payload => "payload",
            Self::PropertyLength => "property length",
            Self::PropertyId => "property identifier",
            #[cfg(feature = "v5")]
            Self::Property(id) => id.name(),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes are not a packet: which packet, which field, where, and which clause says so.
///
/// ```
/// use tamtam_core::{Packet, Sender, Version};
///
/// let mut input: &[u8] = b"\x30\x05\x00\x03a/#";
/// let error = Packet::decode(&mut input, Version::V311, Sender::Client).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "PUBLISH has a wildcard in a topic name (topic name at byte 2) [MQTT3-3.3.2-2]",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{packet} {} ({field} at byte {offset}) [{}]", self.sin.words(), self.citation())]
pub struct DecodeError {
    /// What is wrong.
    pub sin: Sin,
    /// In which field.
    pub field: Field,
    /// In which packet.
    pub packet: PacketType,
    /// Where that field begins, in bytes from the first byte of the packet.
    pub offset: u32,
    /// By the rules of which version.
    pub version: Version,
}

impl DecodeError {
    /// Whether the packet can't be parsed, or says what it must not.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.sin.fault()
    }

    /// The reason code for the DISCONNECT or CONNACK that answers it.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        self.sin.reason_code()
    }

    /// The statement or chapter that forbids it.
    #[must_use]
    pub const fn citation(&self) -> &'static str {
        cite(self.sin, self.packet, self.field, self.version)
    }
}

/// The clause that a sin breaks: the general one, or the packet's own.
const fn cite(sin: Sin, packet: PacketType, field: Field, version: Version) -> &'static str {
    match (sin, packet, field) {
        (Sin::ReservedFlags, packet, _) => packet.flags_citation(version),
        (Sin::PropertyFromWrongSender, PacketType::Disconnect, _) => "MQTT5-3.14.2-2",
        (Sin::ReasonCode, packet, _) => packet.reason_codes_citation(version),
        (Sin::WildcardInTopic, _, Field::WillTopic) if version.is_v5() => "MQTT5-4.7.0-1",
        (Sin::WildcardInTopic, _, Field::WillTopic) => "MQTT3-4.7.1-1",
        (sin, ..) => sin.citation(version),
    }
}

/// Why a packet can't be written.
///
/// Nothing was written, or what was written is not a packet and is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The memory is too small.
    #[error("the packet takes {needed} bytes, more than there is room for")]
    NoRoom {
        /// How long the packet is, in bytes.
        needed: usize,
    },
    /// More than 268,435,455 bytes behind the fixed header.
    #[error("{length} bytes are more than the 268,435,455 that a packet may have")]
    TooLong {
        /// How long its body would be, in bytes.
        length: usize,
    },
    /// A field of more than 65,535 bytes.
    #[error("{field} of more than 65,535 bytes")]
    FieldTooLong {
        /// Which field.
        field: Field,
    },
    /// The version of the connection has no way to say this.
    #[error("MQTT {version} can't say this in {packet}: {field}")]
    NotInVersion {
        /// The packet.
        packet: PacketType,
        /// What it can't say.
        field: Field,
        /// The version of the connection.
        version: Version,
    },
    /// The packet would be wrong.
    #[error("{packet} {}: {field} [{}]", sin.words(), cite(*sin, *packet, *field, *version))]
    Sin {
        /// What would be wrong with it.
        sin: Sin,
        /// In which field.
        field: Field,
        /// The packet.
        packet: PacketType,
        /// The version of the connection.
        version: Version,
    },
}

/// A sin with the number of bytes that were left when it was found: an offset once the frame's
/// length is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) sin: Sin,
    pub(crate) field: Field,
    pub(crate) left: usize,
}

impl From<TextError> for Sin {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Null { .. } => Self::NullInText,
            TextError::TooLong { .. } | TextError::IllFormed { .. } => Self::IllFormedText,
        }
    }
}

impl From<TopicError> for Sin {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Empty => Self::EmptyTopic,
            TopicError::Wildcard { .. } => Self::WildcardInTopic,
            TopicError::Text(text) => text.into(),
        }
    }
}

impl From<FilterError> for Sin {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Empty => Self::EmptyTopic,
            FilterError::MultiLevel { .. } => Self::MultiLevelWildcard,
            FilterError::SingleLevel { .. } => Self::SingleLevelWildcard,
            FilterError::ShareName => Self::ShareName,
            FilterError::ShareNameWildcard => Self::ShareNameWildcard,
            FilterError::ShareWithoutFilter => Self::ShareWithoutFilter,
            FilterError::Text(text) => text.into(),
        }
    }
}
