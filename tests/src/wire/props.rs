//! The properties of MQTT 5.

/// The numbers of the properties.
#[expect(missing_docs, reason = "named as the specification does")]
pub mod id {
    pub const MESSAGE_EXPIRY: u8 = 2;
    pub const RESPONSE_TOPIC: u8 = 8;
    pub const CORRELATION_DATA: u8 = 9;
    pub const SUBSCRIPTION_ID: u8 = 11;
    pub const SESSION_EXPIRY: u8 = 17;
    pub const ASSIGNED_CLIENT_ID: u8 = 18;
    pub const SERVER_KEEP_ALIVE: u8 = 19;
    pub const AUTHENTICATION_METHOD: u8 = 21;
    pub const AUTHENTICATION_DATA: u8 = 22;
    pub const REASON_STRING: u8 = 31;
    pub const WILL_DELAY: u8 = 24;
    pub const RECEIVE_MAXIMUM: u8 = 33;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 34;
    pub const TOPIC_ALIAS: u8 = 35;
    pub const MAXIMUM_QOS: u8 = 36;
    pub const RETAIN_AVAILABLE: u8 = 37;
    pub const USER_PROPERTY: u8 = 38;
    pub const MAXIMUM_PACKET_SIZE: u8 = 39;
    pub const WILDCARDS_AVAILABLE: u8 = 40;
    pub const SUBSCRIPTION_IDS_AVAILABLE: u8 = 41;
    pub const SHARED_AVAILABLE: u8 = 42;
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prop {
    /// One, two or four bytes, or a variable number of them, as the property has it.
    Number(u32),
    /// Text or binary data.
    Bytes(Vec<u8>),
    /// Name and value.
    Pair(Vec<u8>, Vec<u8>),
}

/// How a property is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Binary,
    Pair,
}

pub(super) const fn shape(id: u8) -> Option<Shape> {
    Some(match id {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Shape::Byte,
        19 | 33 | 34 | 35 => Shape::Two,
        2 | 17 | 24 | 39 => Shape::Four,
        11 => Shape::Variable,
        3 | 8 | 18 | 21 | 26 | 28 | 31 => Shape::Text,
        9 | 22 => Shape::Binary,
        38 => Shape::Pair,
        _ => return None,
    })
}

/// A list of properties, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Props(pub Vec<(u8, Prop)>);

impl Props {
    /// No properties.
    pub const NONE: Self = Self(Vec::new());

    /// The same, with a number behind.
    #[must_use]
    pub fn with(mut self, id: u8, number: u32) -> Self {
        self.0.push((id, Prop::Number(number)));
        self
    }

    /// The same, with text or data behind.
    #[must_use]
    pub fn with_bytes(mut self, id: u8, bytes: &[u8]) -> Self {
        self.0.push((id, Prop::Bytes(bytes.to_vec())));
        self
    }

    /// The number of this property, if it is there.
    #[must_use]
    pub fn number(&self, id: u8) -> Option<u32> {
        self.0.iter().find_map(|(here, prop)| match prop {
            Prop::Number(number) if *here == id => Some(*number),
            _ => None,
        })
    }

    /// The text or data of this property, if it is there.
    #[must_use]
    pub fn bytes(&self, id: u8) -> Option<&[u8]> {
        self.0.iter().find_map(|(here, prop)| match prop {
            Prop::Bytes(bytes) if *here == id => Some(&bytes[..]),
            _ => None,
        })
    }

    /// Without this property.
    #[must_use]
    pub fn without(&self, id: u8) -> Self {
        Self(self.0.iter().filter(|(here, _)| *here != id).cloned().collect())
    }
}
