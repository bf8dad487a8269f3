//! Small values that every layer speaks: they can be built only from what MQTT allows.

mod packet_id;
mod qos;
mod reason_code;
mod text;
mod topic;
mod version;

#[cfg(test)]
mod tests;

pub use packet_id::PacketId;
pub use qos::QoS;
pub use reason_code::{Carrier, ReasonCode};
#[cfg(feature = "v5")]
pub(crate) use text::scan_text;
pub(crate) use text::scan_topic;
pub use text::{Text, TextError};
pub use topic::{FilterError, TopicError, TopicFilter, TopicName};
pub use version::Version;
