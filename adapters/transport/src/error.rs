//! What can go wrong between the wire and MQTT.

/// Why the layers of a connection failed. The connection is over; what the peer is to be told of it
/// is in [`Stack::output`](crate::Stack::output).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The scheme needs a layer that was not built in.
    #[error("{scheme}:// needs the feature `{feature}` of tamtam-transport: build with it")]
    NotBuilt {
        /// The scheme that was asked for.
        scheme: crate::Scheme,
        /// The feature that is missing.
        feature: &'static str,
    },
    /// TLS failed.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] crate::TlsError),
    /// WebSocket failed.
    #[cfg(feature = "websocket")]
    #[error(transparent)]
    WebSocket(#[from] crate::WebSocketError),
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}
