//! The 27 properties of MQTT 5, in one table.

#![expect(clippy::indexing_slicing, reason = "constant tables, indexed within their size")]

mod value;

use core::num::{NonZeroU16, NonZeroU32};

use super::BRIEF;
use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::items::{Item, sealed};
use super::place::Place;
use super::sink::{Refusal, Sink, short};
use crate::types::{QoS, Text, TopicName};
use value::{Kind, Value};

/// Columns of the table below.
mod column {
    use crate::codec::Place;

    pub(super) const CONNECT: u16 = Place::Connect.bit();
    pub(super) const WILL: u16 = Place::Will.bit();
    pub(super) const CONNACK: u16 = Place::ConnAck.bit();
    pub(super) const SERVER_PUBLISH: u16 = Place::ServerPublish.bit();
    pub(super) const PUBLISH: u16 = Place::ClientPublish.bit() | SERVER_PUBLISH;
    pub(super) const SUBSCRIBE: u16 = Place::Subscribe.bit();
    pub(super) const CLIENT_DISCONNECT: u16 = Place::ClientDisconnect.bit();
    pub(super) const DISCONNECT: u16 = CLIENT_DISCONNECT | Place::ServerDisconnect.bit();
    pub(super) const AUTH: u16 = Place::Auth.bit();
    /// Every answer that carries reason codes.
    pub(super) const ANSWERS: u16 = CONNACK
        | Place::PubAck.bit()
        | Place::PubRec.bit()
        | Place::PubRel.bit()
        | Place::PubComp.bit()
        | Place::SubAck.bit()
        | Place::UnsubAck.bit()
        | DISCONNECT
        | AUTH;
    pub(super) const ALL: u16 = u16::MAX;
}

/// A Subscription Identifier: 1 to 268,435,455.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(NonZeroU32);

impl SubscriptionId {
    /// The identifier `number`, or `None` for 0 and above 268,435,455.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) if number.get() <= super::header::MAX_REMAINING_LENGTH => {
                Some(Self(number))
            }
            _ => None,
        }
    }

    /// The identifier as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// One more than the highest number of a property.
const TABLE: usize = 0x2B;

macro_rules! properties {
    ($(
        $id:literal $name:ident $getter:ident $words:literal
        $type:ty [$($place:ident)*] $often:ident
    )*) => {
        /// The name of a property; the discriminant is its number on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PropertyId {
            $(#[doc = concat!("The ", $words, ".")] $name = $id,)*
        }

        /// A property with its value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Property<'a> {
            $(#[doc = concat!("The ", $words, ".")] $name($type) = $id,)*
        }

        impl PropertyId {
            /// Every property, in order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The property with this number, if there is one.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($id => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name that the specification gives it, in lower case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }

            const PLACES: [u16; TABLE] = {
                let mut places = [0; TABLE];
                $(places[$id] = 0 $(| column::$place)*;)*
                places
            };

            const ORDINALS: [u8; TABLE] = {
                let mut ordinals = [0; TABLE];
                let mut next = 0_u8;
                $({
                    ordinals[$id] = next;
                    next = next.wrapping_add(1);
                })*
                let _ = next;
                ordinals
            };

            const fn places(self) -> u16 {
                Self::PLACES[self as usize]
            }

            /// The bits of those that may stand so often in a place.
            const fn that_come(often: Often) -> u32 {
                0 $(| if often as u8 == Often::$often as u8 { Self::$name.bit() } else { 0 })*
            }
        }

        impl<'a> Property<'a> {
            /// Which property it is.
            #[must_use]
            pub const fn id(&self) -> PropertyId {
                match self {
                    $(Self::$name(_) => PropertyId::$name,)*
                }
            }

            const KINDS: [Kind; TABLE] = {
                let mut kinds = [Kind::Text; TABLE];
                $(kinds[$id] = <$type as Value<'a>>::KIND;)*
                kinds
            };

            /// Checks the value behind the identifier; the number that it is, or 0.
            #[inline]
            pub(crate) fn check_bytes(
                id: PropertyId,
                cursor: &mut Cursor<'_>,
            ) -> Option<u32> {
                Self::KINDS[id as usize].check(cursor, Field::Property(id))
            }

            /// The value behind the identifier, where the check was made before.
            fn read_checked_value(id: PropertyId, cursor: &mut Cursor<'a>) -> Option<Self> {
                Some(match id {
                    $(PropertyId::$name => Self::$name(Value::read_checked(cursor)?),)*
                })
            }

            pub(crate) fn write(&self, sink: &mut impl Sink) {
                sink.u8(self.id() as u8);
                match self {
                    $(Self::$name(value) => value.write(sink),)*
                }
            }
        }

        impl<'a> super::properties::Properties<'a> {
            $(properties! { @getter $often $name $getter $words $type })*
        }
    };
    (@getter Once $name:ident $getter:ident $words:literal $type:ty) => {
        #[doc = concat!("The ", $words, ", if there is one.")]
        #[must_use]
        pub fn $getter(&self) -> Option<$type> {
            self.find(PropertyId::$name).and_then(|property| match property {
                Property::$name(value) => Some(value),
                _ => None,
            })
        }
    };
    (@getter $often:ident $name:ident $getter:ident $words:literal $type:ty) => {
        #[doc = concat!("Every ", $words, ", in order.")]
        pub fn $getter(&self) -> impl Iterator<Item = $type> + use<'a> {
            self.find_all(PropertyId::$name).filter_map(|property| match property {
                Property::$name(value) => Some(value),
                _ => None,
            })
        }
    };
}

properties! {
    0x01 PayloadFormatIndicator payload_format_indicator "payload format indicator"
        bool [PUBLISH WILL] Once
    0x02 MessageExpiryInterval message_expiry_interval "message expiry interval"
        u32 [PUBLISH WILL] Once
    0x03 ContentType content_type "content type"
        Text<'a> [PUBLISH WILL] Once // [MQTT5-3.3.2-19]
    0x08 ResponseTopic response_topic "response topic"
        TopicName<'a> [PUBLISH WILL] Once // [MQTT5-3.3.2-13]
    0x09 CorrelationData correlation_data "correlation data"
        &'a [u8] [PUBLISH WILL] Once
    0x0B SubscriptionIdentifier subscription_identifiers "subscription identifier"
        SubscriptionId [SERVER_PUBLISH SUBSCRIBE] OncePerSubscription
    0x11 SessionExpiryInterval session_expiry_interval "session expiry interval"
        u32 [CONNECT CONNACK CLIENT_DISCONNECT] Once
    0x12 AssignedClientIdentifier assigned_client_identifier "assigned client identifier"
        Text<'a> [CONNACK] Once
    0x13 ServerKeepAlive server_keep_alive "server keep alive"
        u16 [CONNACK] Once
    0x15 AuthenticationMethod authentication_method "authentication method"
        Text<'a> [CONNECT CONNACK AUTH] Once
    0x16 AuthenticationData authentication_data "authentication data"
        &'a [u8] [CONNECT CONNACK AUTH] Once
    0x17 RequestProblemInformation request_problem_information "request problem information"
        bool [CONNECT] Once
    0x18 WillDelayInterval will_delay_interval "will delay interval"
        u32 [WILL] Once
    0x19 RequestResponseInformation request_response_information "request response information"
        bool [CONNECT] Once
    0x1A ResponseInformation response_information "response information"
        Text<'a> [CONNACK] Once
    0x1C ServerReference server_reference "server reference"
        Text<'a> [CONNACK DISCONNECT] Once
    0x1F ReasonString reason_string "reason string"
        Text<'a> [ANSWERS] Once
    0x21 ReceiveMaximum receive_maximum "receive maximum"
        NonZeroU16 [CONNECT CONNACK] Once
    0x22 TopicAliasMaximum topic_alias_maximum "topic alias maximum"
        u16 [CONNECT CONNACK] Once
    0x23 TopicAlias topic_alias "topic alias"
        NonZeroU16 [PUBLISH] Once
    0x24 MaximumQoS maximum_qos "maximum QoS"
        QoS [CONNACK] Once
    0x25 RetainAvailable retain_available "retain available"
        bool [CONNACK] Once
    0x26 UserProperty user_properties "user property"
        (Text<'a>, Text<'a>) [ALL] Always
    0x27 MaximumPacketSize maximum_packet_size "maximum packet size"
        NonZeroU32 [CONNECT CONNACK] Once
    0x28 WildcardSubscriptionAvailable wildcard_subscription_available
        "wildcard subscription available"
        bool [CONNACK] Once
    0x29 SubscriptionIdentifierAvailable subscription_identifier_available
        "subscription identifier available"
        bool [CONNACK] Once
    0x2A SharedSubscriptionAvailable shared_subscription_available "shared subscription available"
        bool [CONNACK] Once
}

/// How often a property may stand in one place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Often {
    Once,
    /// Once in a SUBSCRIBE, once for each match in a server's PUBLISH.
    OncePerSubscription,
    Always,
}

impl PropertyId {
    /// Its bit in a set of properties.
    pub(crate) const fn bit(self) -> u32 {
        1_u32.wrapping_shl(Self::ORDINALS[self as usize] as u32)
    }

    /// Whether it may stand in `place`.
    #[must_use]
    pub const fn allowed_in(self, place: Place) -> bool {
        self.places() & place.bit() != 0
    }

    /// Whether it may stand in `place` more than once.
    #[must_use]
    pub const fn repeats_in(self, place: Place) -> bool {
        const ALWAYS: u32 = PropertyId::that_come(Often::Always);
        const PER_SUBSCRIPTION: u32 = PropertyId::that_come(Often::OncePerSubscription);
        let repeating = match place {
            Place::ServerPublish => ALWAYS | PER_SUBSCRIPTION,
            _ => ALWAYS,
        };
        repeating & self.bit() != 0
    }

    /// What is wrong with it in `place`, with `seen` before it.
    #[inline]
    pub(crate) fn misplaced(self, place: Place, seen: u32) -> Option<Sin> {
        let places = self.places();
        if places & place.bit() == 0 {
            return Some(if places & place.packet_bits() == 0 {
                Sin::PropertyNotAllowed
            } else {
                Sin::PropertyFromWrongSender // [MQTT5-3.3.4-6, MQTT5-3.14.2-2]
            });
        }
        if seen & self.bit() != 0 && !self.repeats_in(place) {
            return Some(Sin::PropertyTwice);
        }
        None
    }
}

impl Property<'_> {
    /// Whether the value can be written: the types of all others hold nothing that can't.
    pub(crate) const fn check_value(&self) -> Result<(), Refusal> {
        let field = Field::Property(self.id());
        match self {
            // 2 is said by leaving it out.
            Self::MaximumQoS(QoS::ExactlyOnce) => Err(Refusal::Sin(Sin::PropertyValue, field)),
            Self::CorrelationData(data) | Self::AuthenticationData(data) => short(data, field),
            _ => Ok(()),
        }
    }
}

impl<'a> Item<'a> for Property<'a> {}

impl<'a> sealed::Read<'a> for Property<'a> {
    #[inline]
    fn read_checked(bytes: &mut &'a [u8]) -> Option<Self> {
        if !BRIEF && let [0x26, rest @ ..] = *bytes {
            let mut cursor = Cursor::new(rest);
            let pair = Value::read_checked(&mut cursor)?;
            *bytes = cursor.rest();
            return Some(Self::UserProperty(pair));
        }
        super::items::read_front(bytes, |cursor| {
            let id = PropertyId::from_byte(cursor.u8(Field::PropertyId)?)?;
            Self::read_checked_value(id, cursor)
        })
    }
}
