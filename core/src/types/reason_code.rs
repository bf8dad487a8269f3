//! Why a request succeeded or failed: every code of MQTT 5 and the packets that may carry it.

#![expect(clippy::indexing_slicing, reason = "a constant table, indexed within its size")]

use core::fmt;

/// A packet that carries reason codes, and where it matters who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Carrier {
    /// CONNACK.
    ConnAck,
    /// PUBACK.
    PubAck,
    /// PUBREC.
    PubRec,
    /// PUBREL.
    PubRel,
    /// PUBCOMP.
    PubComp,
    /// SUBACK.
    SubAck,
    /// UNSUBACK.
    UnsubAck,
    /// DISCONNECT from a client.
    ClientDisconnect,
    /// DISCONNECT from a server.
    ServerDisconnect,
    /// AUTH from a client.
    ClientAuth,
    /// AUTH from a server.
    ServerAuth,
}

impl Carrier {
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Columns of the table below.
mod column {
    use super::Carrier;

    pub(super) const CONNACK: u16 = Carrier::ConnAck.bit();
    pub(super) const PUBACK: u16 = Carrier::PubAck.bit();
    pub(super) const PUBREC: u16 = Carrier::PubRec.bit();
    pub(super) const PUBREL: u16 = Carrier::PubRel.bit();
    pub(super) const PUBCOMP: u16 = Carrier::PubComp.bit();
    pub(super) const SUBACK: u16 = Carrier::SubAck.bit();
    pub(super) const UNSUBACK: u16 = Carrier::UnsubAck.bit();
    pub(super) const CLIENT_DISCONNECT: u16 = Carrier::ClientDisconnect.bit();
    pub(super) const SERVER_DISCONNECT: u16 = Carrier::ServerDisconnect.bit();
    pub(super) const CLIENT_AUTH: u16 = Carrier::ClientAuth.bit();
    pub(super) const SERVER_AUTH: u16 = Carrier::ServerAuth.bit();
    pub(super) const DISCONNECT: u16 = CLIENT_DISCONNECT | SERVER_DISCONNECT;
    pub(super) const AUTH: u16 = CLIENT_AUTH | SERVER_AUTH;
    pub(super) const RECEIPT: u16 = PUBACK | PUBREC;
}

macro_rules! reason_codes {
    ($($code:literal $name:ident $words:literal [$($carrier:ident)*])*) => {
        /// A reason code of MQTT 5, the language of all three versions here.
        ///
        /// 0x80 and above are failures. MQTT 3.1 and 3.1.1 know only the return codes of CONNACK
        /// and SUBACK; [`ReasonCode::from_v3_return_code`] maps them.
        ///
        /// ```
        /// use tamtam_core::{Carrier, ReasonCode};
        ///
        /// let code = ReasonCode::from_byte(0x87);
        /// assert_eq!(code, Some(ReasonCode::NotAuthorized));
        /// assert!(ReasonCode::NotAuthorized.allowed_in(Carrier::PubAck));
        /// assert_eq!(ReasonCode::NotAuthorized.to_string(), "not authorized (0x87)");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = concat!($words, ".")] $name = $code,)*
        }

        impl ReasonCode {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code with this number, if there is one.
            #[must_use]
            #[inline]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($code => Some(Self::$name),)*
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

            const fn carriers(self) -> u16 {
                Self::CARRIERS[place(self as u8)]
            }

            const CARRIERS: [u16; 64] = {
                let mut carriers = [0; 64];
                $(carriers[place($code)] = 0 $(| column::$carrier)*;)*
                carriers
            };
        }
    };
}

/// Where a code stands in the table: there are none between 0x1A and 0x7F, and none above 0xA5.
const fn place(code: u8) -> usize {
    (if code < 0x80 { code } else { code.wrapping_sub(0x80 - 0x1A) }) as usize & 63
}

reason_codes! {
    0x00 Success "success"
        [CONNACK RECEIPT PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT SERVER_AUTH]
    0x01 GrantedQoS1 "granted QoS 1" [SUBACK]
    0x02 GrantedQoS2 "granted QoS 2" [SUBACK]
    0x04 DisconnectWithWill "disconnect with will message" [CLIENT_DISCONNECT]
    0x10 NoMatchingSubscribers "no matching subscribers" [RECEIPT]
    0x11 NoSubscriptionExisted "no subscription existed" [UNSUBACK]
    0x18 ContinueAuthentication "continue authentication" [AUTH]
    0x19 ReAuthenticate "re-authenticate" [CLIENT_AUTH]
    0x80 UnspecifiedError "unspecified error" [CONNACK RECEIPT SUBACK UNSUBACK DISCONNECT]
    0x81 MalformedPacket "malformed packet" [CONNACK DISCONNECT]
    0x82 ProtocolError "protocol error" [CONNACK DISCONNECT]
    0x83 ImplementationSpecificError "implementation specific error"
        [CONNACK RECEIPT SUBACK UNSUBACK DISCONNECT]
    0x84 UnsupportedProtocolVersion "unsupported protocol version" [CONNACK]
    0x85 ClientIdentifierNotValid "client identifier not valid" [CONNACK]
    0x86 BadUserNameOrPassword "bad user name or password" [CONNACK]
    0x87 NotAuthorized "not authorized" [CONNACK RECEIPT SUBACK UNSUBACK SERVER_DISCONNECT]
    0x88 ServerUnavailable "server unavailable" [CONNACK]
    0x89 ServerBusy "server busy" [CONNACK SERVER_DISCONNECT]
    0x8A Banned "banned" [CONNACK]
    0x8B ServerShuttingDown "server shutting down" [SERVER_DISCONNECT]
    0x8C BadAuthenticationMethod "bad authentication method" [CONNACK SERVER_DISCONNECT]
    0x8D KeepAliveTimeout "keep alive timeout" [SERVER_DISCONNECT]
    0x8E SessionTakenOver "session taken over" [SERVER_DISCONNECT]
    0x8F TopicFilterInvalid "topic filter invalid" [SUBACK UNSUBACK SERVER_DISCONNECT]
    0x90 TopicNameInvalid "topic name invalid" [CONNACK RECEIPT DISCONNECT]
    0x91 PacketIdentifierInUse "packet identifier in use" [RECEIPT SUBACK UNSUBACK]
    0x92 PacketIdentifierNotFound "packet identifier not found" [PUBREL PUBCOMP]
    0x93 ReceiveMaximumExceeded "receive maximum exceeded" [DISCONNECT]
    0x94 TopicAliasInvalid "topic alias invalid" [DISCONNECT]
    0x95 PacketTooLarge "packet too large" [CONNACK DISCONNECT]
    0x96 MessageRateTooHigh "message rate too high" [DISCONNECT]
    0x97 QuotaExceeded "quota exceeded" [CONNACK RECEIPT SUBACK DISCONNECT]
    0x98 AdministrativeAction "administrative action" [DISCONNECT]
    0x99 PayloadFormatInvalid "payload format invalid" [CONNACK RECEIPT DISCONNECT]
    0x9A RetainNotSupported "retain not supported" [CONNACK SERVER_DISCONNECT]
    0x9B QoSNotSupported "QoS not supported" [CONNACK SERVER_DISCONNECT]
    0x9C UseAnotherServer "use another server" [CONNACK SERVER_DISCONNECT]
    0x9D ServerMoved "server moved" [CONNACK SERVER_DISCONNECT]
    0x9E SharedSubscriptionsNotSupported "shared subscriptions not supported"
        [SUBACK SERVER_DISCONNECT]
    0x9F ConnectionRateExceeded "connection rate exceeded" [CONNACK SERVER_DISCONNECT]
    0xA0 MaximumConnectTime "maximum connect time" [SERVER_DISCONNECT]
    0xA1 SubscriptionIdentifiersNotSupported "subscription identifiers not supported"
        [SUBACK SERVER_DISCONNECT]
    0xA2 WildcardSubscriptionsNotSupported "wildcard subscriptions not supported"
        [SUBACK SERVER_DISCONNECT]
}

impl ReasonCode {
    /// 0x00 as DISCONNECT means it.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// 0x00 as SUBACK means it.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// The number on the wire.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        self as u8
    }

    /// Whether it says that something failed: 0x80 and above.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// Whether `carrier` may carry it.
    #[must_use]
    #[inline]
    pub const fn allowed_in(self, carrier: Carrier) -> bool {
        self.carriers() & carrier.bit() != 0
    }

    /// The QoS that a SUBACK grants with this code.
    #[must_use]
    pub const fn granted_qos(self) -> Option<crate::QoS> {
        crate::QoS::from_level(self as u8)
    }

    /// The code of a CONNACK of MQTT 3.1 or 3.1.1, return codes 0 to 5.
    #[must_use]
    pub const fn from_v3_return_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnsupportedProtocolVersion,
            2 => Self::ClientIdentifierNotValid,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }

    /// The return code of a CONNACK of MQTT 3.1 or 3.1.1 that says this, if one does.
    ///
    /// Without one the connection is closed without a CONNACK [MQTT3-3.2.2-6].
    #[must_use]
    pub const fn to_v3_return_code(self) -> Option<u8> {
        Some(match self {
            Self::Success => 0,
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::ServerUnavailable | Self::ServerBusy => 3,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod => 5,
            _ => return None,
        })
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.name(), self.as_byte())
    }
}
