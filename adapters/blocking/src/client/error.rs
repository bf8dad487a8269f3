//! What can go wrong with a call, as a client's application sees it.

use std::io;
use std::sync::Arc;

use tamtam_core::ReasonCode;
use tamtam_core::client::{Failure, SendError};

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
