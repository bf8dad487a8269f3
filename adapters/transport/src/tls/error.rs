//! What can go wrong in TLS, and what to do about it.

use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError, Error as Rustls};

/// Why TLS failed, with what to do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Certificates or a key could not be read.
    #[error("{} can't be read: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is none in the text.
    #[error("there is no {0} in this text: it must be PEM, with a line -----BEGIN …-----")]
    Pem(&'static str),
    /// The system's certificates could not be read.
    #[error(
        "the system trusts no certificate authority ({0}): install ca-certificates, or name a file"
    )]
    NoRoots(String),
    /// What was asked for can't stand on a certificate.
    #[error("`{0}` can't be the name on a certificate: use a host name or an address")]
    Name(String),
    /// The peer sent more than can belong together.
    #[error("the peer sent a TLS message that is too long")]
    TooMuch,
    /// What rustls says; the display adds what to do.
    #[error("{}", explain(.0))]
    Rustls(Rustls),
}

impl From<Rustls> for TlsError {
    fn from(error: Rustls) -> Self {
        Self::Rustls(error)
    }
}

fn explain(error: &Rustls) -> String {
    let advice = match error {
        Rustls::InvalidCertificate(why) => advice_on_certificate(why),
        Rustls::InvalidMessage(_) => "the peer does not speak TLS: check port and scheme",
        Rustls::NoCertificatesPresented => {
            "the client must show a certificate: give it one, with its key"
        }
        Rustls::AlertReceived(alert) => advice_on_alert(*alert),
        Rustls::PeerIncompatible(_) => {
            "the peer wants a TLS below 1.2, or ciphers that are not safe"
        }
        Rustls::NoApplicationProtocol => "the peer does not offer MQTT by ALPN on this port",
        Rustls::InconsistentKeys(_) => "the key does not belong to the certificate",
        _ => return error.to_string(),
    };
    format!("{error}: {advice}")
}

fn advice_on_certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::UnknownIssuer => {
            "nobody trusted here has signed the certificate: name the file with the authority's \
             certificate as roots"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "renew the certificate, or set the clock of this machine"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "set the clock of this machine"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "use a host name that stands in the certificate's subject alternative names"
        }
        CertificateError::Revoked => "the certificate was revoked: replace it",
        CertificateError::BadEncoding => "the certificate is damaged: replace it",
        _ => "replace the certificate",
    }
}

const fn advice_on_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => "the server wants a client certificate",
        AlertDescription::UnknownCA => "the peer does not trust who signed this end's certificate",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate => "the peer refuses this end's certificate",
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            "the two ends share no TLS version or cipher"
        }
        AlertDescription::NoApplicationProtocol => "the peer does not offer MQTT by ALPN there",
        AlertDescription::UnrecognisedName => "the peer has no certificate for that host name",
        _ => "the peer ended TLS; its log may say why",
    }
}
