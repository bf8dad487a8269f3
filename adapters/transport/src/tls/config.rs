//! Whom to trust, and as whom to appear.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use super::TlsError;

/// What is agreed by ALPN for MQTT, and for the HTTP that opens a WebSocket.
const MQTT: &[u8] = b"mqtt";
const HTTP: &[u8] = b"http/1.1";

/// Whom a client trusts, and as whom it appears. Cheap to clone; its clones share the tickets by
/// which TLS sessions are resumed.
///
/// ```no_run
/// use tamtam_transport::TlsClient;
///
/// let tls = TlsClient::roots_file("/etc/mqtt/ca.pem")?
///     .identity_files("/etc/mqtt/client.pem", "/etc/mqtt/client.key")?;
/// # Ok::<(), tamtam_transport::TlsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TlsClient {
    mqtt: Arc<ClientConfig>,
    http: Arc<ClientConfig>,
    trust: Trust,
}

#[derive(Clone, Debug)]
enum Trust {
    Roots(Arc<RootCertStore>),
    Anybody,
}

impl TlsClient {
    /// Trusts the authorities that the system trusts.
    ///
    /// # Errors
    /// The system has none.
    pub fn system_roots() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(TlsError::NoRoots(why.join("; ")));
        }
        Self::trusting(Trust::Roots(roots.into()))
    }

    /// Trusts the authorities whose certificates are in a PEM file, and nobody else.
    ///
    /// # Errors
    /// The file can't be read, or there are none in it.
    pub fn roots_file(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::roots_pem(&read(path.as_ref())?)
    }

    /// Trusts the authorities whose certificates are in the PEM files of a folder, and nobody else.
    ///
    /// # Errors
    /// The folder or a file can't be read, or there are none in them.
    pub fn roots_folder(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        let path = path.as_ref();
        let failed =
            |why: std::io::Error| TlsError::File { path: path.to_owned(), why: why.to_string() };
        let mut pem = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.is_file() {
                pem.extend(read(&file)?);
                pem.push(b'\n');
            }
        }
        Self::roots_pem(&pem)
    }

    /// Trusts the authorities whose certificates are in this PEM, and nobody else.
    ///
    /// # Errors
    /// There are none in it.
    pub fn roots_pem(pem: &[u8]) -> Result<Self, TlsError> {
        Self::trusting(Trust::Roots(roots(pem)?))
    }

    /// Trusts whoever answers. **Anybody on the way can read and change everything**; for tests
    /// and for looking at a server whose certificate is broken.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn insecure_trusting_anybody() -> Result<Self, TlsError> {
        Self::trusting(Trust::Anybody)
    }

    /// Shows this certificate (with those between it and the root) to servers that ask for one.
    ///
    /// # Errors
    /// A file can't be read, is no PEM, or the key is not the certificate's.
    pub fn identity_files(
        self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        self.identity_pem(&read(certificate.as_ref())?, &read(key.as_ref())?)
    }

    /// As [`TlsClient::identity_files`], with the PEM itself.
    ///
    /// # Errors
    /// Not PEM, or the key is not the certificate's.
    pub fn identity_pem(self, certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::build(self.trust, Some(identity(certificate, key)?))
    }

    /// Agrees on this protocol (ALPN) where MQTT runs within TLS alone, instead of `mqtt`.
    #[must_use]
    pub fn alpn(mut self, protocol: &str) -> Self {
        let mut config = ClientConfig::clone(&self.mqtt);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        self.mqtt = Arc::new(config);
        self
    }

    fn trusting(trust: Trust) -> Result<Self, TlsError> {
        Self::build(trust, None)
    }

    fn build(trust: Trust, identity: Option<Identity>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match &trust {
            Trust::Roots(roots) => builder.with_root_certificates(Arc::clone(roots)),
            Trust::Anybody => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
        };
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        };
        config.alpn_protocols = vec![HTTP.to_vec()];
        let http = Arc::new(config.clone());
        config.alpn_protocols = vec![MQTT.to_vec()];
        Ok(Self { mqtt: Arc::new(config), http, trust })
    }

    pub(crate) fn rustls(&self, http: bool) -> Arc<ClientConfig> {
        Arc::clone(if http { &self.http } else { &self.mqtt })
    }
}

/// A client's TLS, or the system's as soon as it is needed: reading that takes a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen(Arc<OnceLock<Result<TlsClient, TlsError>>>);

impl Chosen {
    pub(crate) fn get(&self) -> Result<&TlsClient, TlsError> {
        self.0.get_or_init(TlsClient::system_roots).as_ref().map_err(Clone::clone)
    }
}

impl From<TlsClient> for Chosen {
    fn from(tls: TlsClient) -> Self {
        Self(Arc::new(Ok(tls).into()))
    }
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// They may.
    Optional,
    /// Who has none is turned away.
    Required,
}

/// As whom a server appears, and which clients it trusts. Cheap to clone.
///
/// It gives out tickets, by which clients come back with a shorter handshake.
#[derive(Clone, Debug)]
pub struct TlsServer {
    mqtt: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

impl TlsServer {
    /// Appears with the certificate in a PEM file (with those between it and the root) and the key
    /// in another; asks no client for one.
    ///
    /// # Errors
    /// A file can't be read, is no PEM, or the key is not the certificate's.
    pub fn files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::pem(&read(certificate.as_ref())?, &read(key.as_ref())?)
    }

    /// As [`TlsServer::files`], with the PEM itself.
    ///
    /// # Errors
    /// Not PEM, or the key is not the certificate's.
    pub fn pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::build(identity(certificate, key)?, None)
    }

    /// As [`TlsServer::pem`], and asks clients for certificates that an authority in `roots` (PEM)
    /// has signed.
    ///
    /// # Errors
    /// Not PEM, or the key is not the certificate's.
    pub fn pem_with_clients(
        certificate: &[u8],
        key: &[u8],
        roots: &[u8],
        clients: ClientCertificates,
    ) -> Result<Self, TlsError> {
        Self::build(identity(certificate, key)?, Some((self::roots(roots)?, clients)))
    }

    /// As [`TlsServer::pem_with_clients`], with files.
    ///
    /// # Errors
    /// A file can't be read, is no PEM, or the key is not the certificate's.
    pub fn files_with_clients(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        roots: impl AsRef<Path>,
        clients: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let (certificate, key) = (read(certificate.as_ref())?, read(key.as_ref())?);
        Self::pem_with_clients(&certificate, &key, &read(roots.as_ref())?, clients)
    }

    fn build(
        (chain, key): Identity,
        clients: Option<(Arc<RootCertStore>, ClientCertificates)>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((roots, clients)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match clients {
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                    ClientCertificates::Required => verifier,
                };
                let verifier = verifier.build().map_err(|_| TlsError::Pem("certificate"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.ticketer = ring::Ticketer::new()?;
        config.alpn_protocols = vec![HTTP.to_vec()];
        let http = Arc::new(config.clone());
        config.alpn_protocols = vec![MQTT.to_vec()];
        Ok(Self { mqtt: Arc::new(config), http })
    }

    pub(crate) const fn rustls(&self, http: bool) -> &Arc<ServerConfig> {
        if http { &self.http } else { &self.mqtt }
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path)
        .map_err(|why| TlsError::File { path: path.to_owned(), why: why.to_string() })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(TlsError::Pem("certificate"))
}

fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    Ok(roots.into())
}

fn identity(certificate: &[u8], key: &[u8]) -> Result<Identity, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Pem("private key"))?;
    Ok((certificates(certificate)?, key))
}

/// Believes every certificate, but still checks that the peer has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
