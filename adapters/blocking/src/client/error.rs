//! What can go wrong, as a client's application sees it.

use std::io;
use std::sync::Arc;

use tamtam_core::client::{self as core, Failure, PeerError, SendError, StartError};
use tamtam_core::{DecodeError, ReasonCode};
use tamtam_transport::EndpointError;

/// Why a call was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It can't be sent. Nothing has changed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It was sent, or waited to be, but will not be answered.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The server refused it.
    #[error("the server refused it: {0}")]
    Refused(ReasonCode),
    /// The client has ended: it was disconnected, or gave up.
    #[error("the client has ended")]
    Ended,
    /// No answer came in time. What was sent may still be carried out.
    #[error("no answer in time")]
    TimedOut,
    /// The connection was lost within a streamed payload, which has to be sent once more.
    #[error("the connection was lost: the payload must be sent once more")]
    Again,
    /// The reader of a payload failed, or ended too early.
    #[error("the payload can't be read: {0}")]
    Payload(Arc<io::Error>),
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
    Layers(#[from] tamtam_transport::Error),
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
    /// A layer between the transport and MQTT failed: TLS or WebSocket.
    #[error(transparent)]
    Layer(Arc<tamtam_transport::Error>),
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
    /// More came while an answer was awaited than may wait for the application
    /// ([`Setup::overrun`](super::Setup::overrun)). The session is kept.
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
