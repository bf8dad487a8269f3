//! Why there is no connection, in words that say what to do, and as an exit code.

use std::io;
use std::process::ExitCode;

use tamtam_core::ReasonCode;
use tamtam_core::client::Lost;
use tamtam_transport::Endpoint;

/// Something went wrong: 1. What the command line says is wrong: 2, by `clap`.
pub(crate) const FAILED: u8 = 1;
/// The time was over, as mosquitto's tools say it.
pub(crate) const TIMED_OUT: u8 = 27;

/// Why a connection is over, or was never there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    what: String,
    /// What the server said, if it was the server.
    reason: Option<ReasonCode>,
    /// Whether it was asked for.
    pub(crate) is_asked: bool,
}

impl Loss {
    /// There was no transport.
    pub(crate) const fn unreachable(what: String) -> Self {
        Self { what, reason: None, is_asked: false }
    }

    /// Whether the server refused: trying again is of no use.
    pub(crate) const fn is_refusal(&self) -> bool {
        self.reason.is_some()
    }

    /// What the process says in the end: the server's reason code, if it gave one.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.reason.map_or(ExitCode::from(FAILED), |reason| ExitCode::from(reason.as_byte()))
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<&Lost<'_>> for Loss {
    fn from(lost: &Lost<'_>) -> Self {
        let (what, reason) = match lost {
            Lost::Refused(connack) => {
                let code = connack.reason.as_byte();
                let said = connack.properties.reason_string();
                let said = said.map(|text| format!(" ({})", text.as_str())).unwrap_or_default();
                let hint = hint(connack.reason);
                (
                    format!("{}: CONNACK 0x{code:02X}{said}{hint}", connack.reason.name()),
                    Some(connack.reason),
                )
            }
            Lost::Disconnected(disconnect) => {
                let code = disconnect.reason.as_byte();
                let said = disconnect.properties.reason_string();
                let said = said.map(|text| format!(" ({})", text.as_str())).unwrap_or_default();
                let what = format!("{}: DISCONNECT 0x{code:02X}{said}", disconnect.reason.name());
                (what, Some(disconnect.reason))
            }
            other => (other.to_string(), None),
        };
        Self { what, reason, is_asked: matches!(lost, Lost::Done) }
    }
}

/// What a user can do about a refusal.
const fn hint(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::NotAuthorized => {
            "; does the broker want a user (-u, -P), or is the session another user's?"
        }
        ReasonCode::BadUserNameOrPassword => "; check -u and -P",
        ReasonCode::UnsupportedProtocolVersion => "; try another version: -V 3.1.1 or -V 5",
        ReasonCode::ClientIdentifierNotValid => "; choose another client identifier: -i",
        _ => "",
    }
}

/// What the operating system said when connecting, and what to do about it.
pub(crate) fn advice(endpoint: &Endpoint, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("connection refused: is a broker running at {endpoint}?")
        }
        io::ErrorKind::NotFound if !endpoint.path().is_empty() && endpoint.host().is_empty() => {
            format!("there is no socket at {}: is a broker running there?", endpoint.path())
        }
        io::ErrorKind::TimedOut => {
            format!("no answer from {endpoint}: is the address right, and no firewall between?")
        }
        _ if error.raw_os_error().is_none() => {
            format!("{}: {error}: is the name right?", endpoint.host())
        }
        _ => format!("{endpoint}: {error}"),
    }
}
