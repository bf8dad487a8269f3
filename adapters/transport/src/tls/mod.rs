//! TLS: rustls over memory.

mod certificate;
mod config;
mod error;

pub use certificate::PeerCertificate;
pub(crate) use config::Chosen;
pub use config::{ClientCertificates, TlsClient, TlsServer};
pub use error::TlsError;

use std::io::{BufRead, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};

/// One connection's TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    connection: Connection,
    ended: bool,
}

impl Tls {
    pub(crate) fn client(config: &TlsClient, host: &str, http: bool) -> Result<Self, TlsError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| TlsError::Name(host.to_owned()))?;
        let connection = ClientConnection::new(config.rustls(http), name)?;
        Ok(Self::new(connection.into()))
    }

    pub(crate) fn server(config: &TlsServer, http: bool) -> Result<Self, TlsError> {
        let connection = ServerConnection::new(Arc::clone(config.rustls(http)))?;
        Ok(Self::new(connection.into()))
    }

    fn new(mut connection: Connection) -> Self {
        // What is sent is taken out at once; how much may wait is the stack's to decide.
        connection.set_buffer_limit(None);
        Self { connection, ended: false }
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether the peer has said that it will send no more.
    pub(crate) const fn is_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn read(&mut self, wire: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsError> {
        let mut rest = wire;
        while !rest.is_empty() && !self.ended {
            let taken = self.connection.read_tls(&mut rest).map_err(|_| TlsError::TooMuch)?;
            let state = self.connection.process_new_packets()?;
            self.take_plaintext(plaintext);
            self.ended = state.peer_has_closed();
            if taken == 0 {
                break;
            }
        }
        Ok(())
    }

    fn take_plaintext(&mut self, plaintext: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        // It says that nothing is there by an error, and that the peer has closed by no bytes.
        while let Ok(chunk) = reader.fill_buf()
            && !chunk.is_empty()
        {
            plaintext.extend_from_slice(chunk);
            let len = chunk.len();
            reader.consume(len);
        }
    }

    pub(crate) fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsError> {
        // It writes to memory that has no bound here, so it takes everything.
        self.connection.writer().write_all(plaintext).map_err(|_| TlsError::TooMuch)
    }

    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// Adds what is to go to the wire.
    pub(crate) fn flush(&mut self, output: &mut Vec<u8>) {
        while self.connection.wants_write() {
            if self.connection.write_tls(output).is_err() {
                break; // memory takes everything
            }
        }
    }

    pub(crate) fn peer_certificate(&self) -> Option<PeerCertificate<'_>> {
        let der = self.connection.peer_certificates()?.first()?;
        Some(PeerCertificate::new(der))
    }

    pub(crate) fn server_name(&self) -> Option<&str> {
        match &self.connection {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }
}
