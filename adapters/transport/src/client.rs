//! What a client's connection comes to, in the words that the applications of all adapters read.

use std::io;
use std::sync::Arc;

use tamtam_core::client::{self as core, PeerError, StartError};
use tamtam_core::{DecodeError, ReasonCode};

use crate::{EndpointError, Error};

/// Something that happened to the connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server accepted the connection.
    Connected {
        /// Whether the server goes on with the session that the client has.
        session_present: bool,
        /// Which identifier the server has given to a client without one (MQTT 5).
        client_id: Option<String>,
    },
    /// The connection is over, or could not be made. The machine decides whether and when it is
    /// tried again.
    Lost(Lost),
    /// The server has answered the SUBSCRIBE by which the client subscribed anew.
    Resubscribed,
}

/// Why a client could not connect at first.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The options make no client.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The layers that the address needs can't be made.
    #[error(transparent)]
    Layers(#[from] Error),
    /// The first attempt failed.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Why a connection is over, or could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The transport could not be opened, or broke.
    #[error("{0}")]
    Transport(Arc<io::Error>),
    /// The transport ended without a word.
    #[error("the transport closed")]
    Closed,
    /// A layer between the transport and MQTT failed: TLS or WebSocket. (Where streams are
    /// asynchronous this is an error of the transport.)
    #[error(transparent)]
    Layer(Arc<Error>),
    /// The server sent what is not a packet.
    #[error(transparent)]
    Packet(DecodeError),
    /// The server broke the protocol.
    #[error("the server {0}")]
    Peer(PeerError),
    /// The server did not accept the connection.
    #[error("the server refused the connection: {reason}{}", colon(.text))]
    Refused {
        /// Its reason.
        reason: ReasonCode,
        /// What it says about that (MQTT 5).
        text: Option<String>,
        /// Which other server to use (MQTT 5).
        server_reference: Option<String>,
    },
    /// The server ended the connection.
    #[error("the server ended the connection: {reason}{}", colon(.text))]
    Disconnected {
        /// Its reason.
        reason: ReasonCode,
        /// What it says about that (MQTT 5).
        text: Option<String>,
        /// Which other server to use (MQTT 5).
        server_reference: Option<String>,
    },
    /// No CONNACK in time.
    #[error("no answer to CONNECT in time")]
    ConnectTimeout,
    /// No PINGRESP in time.
    #[error("no answer to PINGREQ in time")]
    KeepAlive,
    /// More came while an answer was awaited than may wait for the application, by the adapter's
    /// setup. The session is kept.
    #[error("more messages than may wait for the application")]
    Overrun,
    /// The application ended the connection.
    #[error("disconnected as asked")]
    Done,
}

fn colon(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

impl From<core::Lost<'_>> for Lost {
    fn from(lost: core::Lost<'_>) -> Self {
        let owned = |text: Option<tamtam_core::Text<'_>>| text.map(|text| text.as_str().to_owned());
        match lost {
            core::Lost::Packet(error) => Self::Packet(error),
            core::Lost::Peer(error) => Self::Peer(error),
            core::Lost::Refused(connack) => Self::Refused {
                reason: connack.reason,
                text: owned(connack.properties.reason_string()),
                server_reference: owned(connack.properties.server_reference()),
            },
            core::Lost::Disconnected(disconnect) => Self::Disconnected {
                reason: disconnect.reason,
                text: owned(disconnect.properties.reason_string()),
                server_reference: owned(disconnect.properties.server_reference()),
            },
            core::Lost::ConnectTimeout => Self::ConnectTimeout,
            core::Lost::KeepAlive => Self::KeepAlive,
            core::Lost::Done => Self::Done,
            _ => Self::Closed,
        }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Transport(Arc::new(error))
    }
}
