//! The layers of one connection, one upon the other.

use crate::outgoing::Outgoing;
use crate::{Endpoint, Error};

/// As long as this much waits in the output, nothing more is taken, in bytes.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// How much of what is to be sent is wrapped at once: a TLS record's worth, in bytes.
const PIECE_BYTES: usize = 16 << 10;

/// Which layers a client puts around MQTT, beyond what the scheme of the address says.
#[derive(Clone, Debug, Default)]
pub struct ClientLayers {
    #[cfg(feature = "tls")]
    tls: crate::tls::Chosen,
    #[cfg(feature = "websocket")]
    headers: Vec<(String, String)>,
}

impl ClientLayers {
    /// What suits most: TLS trusts what the system trusts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this TLS: other roots, or a certificate of the client's own.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::TlsClient) -> Self {
        self.tls = tls.into();
        self
    }

    /// With this header in the request that opens a WebSocket. Those of WebSocket itself can't be
    /// set.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Which layers a listener's connections have.
#[derive(Clone, Debug, Default)]
pub struct ServerLayers {
    #[cfg(feature = "tls")]
    tls: Option<crate::TlsServer>,
    #[cfg(feature = "websocket")]
    websocket: Option<crate::websocket::Door>,
}

impl ServerLayers {
    /// None: the bytes of the wire are MQTT.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::TlsServer) -> Self {
        self.tls = Some(tls);
        self
    }

    /// With WebSocket, at any path.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket(mut self) -> Self {
        self.websocket = Some(crate::websocket::Door { path: None });
        self
    }

    /// With WebSocket, at this path only (`/mqtt`); at others there is a 404.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket_at(mut self, path: &str) -> Self {
        self.websocket = Some(crate::websocket::Door { path: Some(path.into()) });
        self
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        !self.has_tls() && !self.has_websocket()
    }

    /// Whether TLS is one of them.
    #[must_use]
    pub const fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }

    /// Whether WebSocket is one of them.
    #[must_use]
    pub const fn has_websocket(&self) -> bool {
        #[cfg(feature = "websocket")]
        return self.websocket.is_some();
        #[cfg(not(feature = "websocket"))]
        return false;
    }
}

/// The layers of one connection: see the [crate](crate).
///
/// A plain one is one word of memory and does nothing.
#[derive(Debug, Default)]
pub struct Stack(Option<Box<Layers>>);

#[derive(Debug, Default)]
struct Layers {
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Tls>,
    #[cfg(feature = "websocket")]
    websocket: Option<crate::websocket::WebSocket>,
    /// Bytes for the wire.
    output: Outgoing,
    /// Whether no more will come from the peer.
    ended: bool,
    /// Whether this end has said that it will send no more.
    closed: bool,
}

impl Stack {
    /// No layers: for a stream that carries MQTT as it is.
    #[must_use]
    pub const fn plain() -> Self {
        Self(None)
    }

    /// A client's layers, as the scheme of the address says. The beginning of a handshake may be in
    /// the output at once.
    ///
    /// # Errors
    /// The layer is not built in, the system has no certificates that one could trust, or the host
    /// can't be the name on a certificate.
    pub fn client(endpoint: &Endpoint, layers: &ClientLayers) -> Result<Self, Error> {
        let scheme = endpoint.scheme();
        if !scheme.is_tls() && !scheme.is_websocket() {
            return Ok(Self::plain());
        }
        if scheme.is_tls() && cfg!(not(feature = "tls")) {
            return Err(Error::NotBuilt { scheme, feature: "tls" });
        }
        if scheme.is_websocket() && cfg!(not(feature = "websocket")) {
            return Err(Error::NotBuilt { scheme, feature: "websocket" });
        }
        let mut stack = Box::<Layers>::default();
        #[cfg(feature = "tls")]
        if scheme.is_tls() {
            let tls = layers.tls.get()?;
            stack.tls = Some(crate::tls::Tls::client(tls, endpoint.host(), scheme.is_websocket())?);
        }
        #[cfg(feature = "websocket")]
        if scheme.is_websocket() {
            stack.websocket = Some(crate::websocket::WebSocket::client(endpoint, &layers.headers)?);
        }
        let _ = layers; // without features there is nothing in it
        stack.flush()?;
        Ok(Self(Some(stack)))
    }

    /// A server's layers for a connection that was accepted.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn server(layers: &ServerLayers) -> Result<Self, Error> {
        if layers.is_plain() {
            return Ok(Self::plain());
        }
        #[cfg_attr(not(any(feature = "tls", feature = "websocket")), expect(unused_mut))]
        let mut stack = Box::<Layers>::default();
        #[cfg(feature = "websocket")]
        if let Some(door) = &layers.websocket {
            stack.websocket = Some(crate::websocket::WebSocket::server(door.clone()));
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &layers.tls {
            stack.tls = Some(crate::tls::Tls::server(tls, layers.has_websocket())?);
        }
        Ok(Self(Some(stack)))
    }

    /// Whether there are no layers, so that one may read and write around them.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.0.is_none()
    }

    /// Whether all handshakes are done, so that plaintext can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|layers| layers.is_open())
    }

    /// Whether nothing more will come: the peer said so, or [`Stack::handle_wire_end`] did.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.as_ref().is_some_and(|layers| layers.ended)
    }

    /// Takes in bytes of the wire, all of them, and adds what they mean to `plaintext`: about as
    /// many bytes at most, and one TLS record (16 KiB) that was begun earlier.
    ///
    /// Answers go to the output: let not much more wait there than one call can bring.
    ///
    /// # Errors
    /// The peer can't be trusted or understood. The connection is over; what tells the peer so is
    /// in the output.
    pub fn handle_wire(&mut self, wire: &mut &[u8], plaintext: &mut Vec<u8>) -> Result<(), Error> {
        let Some(layers) = &mut self.0 else {
            plaintext.extend_from_slice(std::mem::take(wire));
            return Ok(());
        };
        let bytes = std::mem::take(wire);
        if layers.ended {
            return Ok(());
        }
        let done = layers.read(bytes, plaintext);
        let flushed = layers.flush();
        layers.ended |= done.is_err();
        done.and(flushed)
    }

    /// The wire has ended: nothing more will come.
    pub fn handle_wire_end(&mut self) {
        if let Some(layers) = &mut self.0 {
            layers.ended = true;
        }
    }

    /// Takes plaintext to send; returns how much of it. 0 while the handshake lasts, while much
    /// waits in the output, and after [`Stack::close`].
    ///
    /// # Errors
    /// TLS can't encrypt any more. The connection is over.
    pub fn write(&mut self, plaintext: &[u8]) -> Result<usize, Error> {
        let Some(layers) = &mut self.0 else { return Ok(0) };
        let mut taken = 0;
        while let Some(rest) = plaintext.get(taken..).filter(|rest| !rest.is_empty()) {
            if !layers.is_open() || layers.closed || layers.output.len() >= OUTPUT_BYTES_MAX {
                break;
            }
            let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
            layers.send(piece)?;
            taken += piece.len();
        }
        Ok(taken)
    }

    /// The bytes that are to go to the wire. None of a plain stack's, whose plaintext does.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.0.as_ref().map(|layers| layers.output.waiting()).unwrap_or_default()
    }

    /// Says that the first `len` bytes of the output have gone to the wire.
    pub fn output_written(&mut self, len: usize) {
        if let Some(layers) = &mut self.0 {
            layers.output.wrote(len);
        }
    }

    /// Says farewell, in each layer's way: that is in the output then. Nothing can be sent after.
    pub fn close(&mut self) {
        if let Some(layers) = &mut self.0
            && !std::mem::replace(&mut layers.closed, true)
        {
            layers.close();
        }
    }

    /// Who the peer's certificate says it is, once TLS is open and if it has shown one.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn peer_certificate(&self) -> Option<crate::PeerCertificate<'_>> {
        self.0.as_ref()?.tls.as_ref()?.peer_certificate()
    }

    /// The name of the server that the client asked for by TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.0.as_ref()?.tls.as_ref()?.server_name()
    }
}

impl Layers {
    fn is_open(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.tls.as_ref().is_some_and(|tls| !tls.is_open()) {
            return false;
        }
        #[cfg(feature = "websocket")]
        if self.websocket.as_ref().is_some_and(|websocket| !websocket.is_open()) {
            return false;
        }
        true
    }

    fn read(&mut self, wire: &[u8], plaintext: &mut Vec<u8>) -> Result<(), Error> {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            #[cfg(feature = "tls")]
            if let Some(tls) = &mut self.tls {
                let mut decrypted = Vec::new();
                let trusted = tls.read(wire, &mut decrypted);
                let understood = websocket.read(&decrypted, plaintext);
                self.ended = tls.is_ended() || websocket.is_ended();
                return trusted.map_err(Error::from).and(understood.map_err(Error::from));
            }
            let understood = websocket.read(wire, plaintext);
            self.ended = websocket.is_ended();
            return Ok(understood?);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            let trusted = tls.read(wire, plaintext);
            self.ended = tls.is_ended();
            return Ok(trusted?);
        }
        let _ = (wire, plaintext); // there are layers, or nobody would ask
        Ok(())
    }

    fn send(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            websocket.send(plaintext);
            return self.flush();
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.send(plaintext)?;
        }
        let _ = plaintext;
        self.flush()
    }

    fn close(&mut self) {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            websocket.close();
            let _ = self.flush();
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
        let _ = self.flush();
    }

    /// Brings what each layer has to say one layer down, and so to the output.
    fn flush(&mut self) -> Result<(), Error> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            #[cfg(feature = "websocket")]
            if let Some(websocket) = &mut self.websocket
                && tls.is_open()
                && !websocket.output().is_empty()
            {
                tls.send(websocket.output())?;
                websocket.output_taken();
            }
            tls.flush(self.output.end());
            return Ok(());
        }
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            self.output.end().extend_from_slice(websocket.output());
            websocket.output_taken();
        }
        Ok(())
    }
}
