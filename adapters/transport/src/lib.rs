//! What lies between MQTT and the wire, as byte-stream layers without IO: nothing, TLS, WebSocket,
//! or WebSocket in TLS.
//!
//! An [`Endpoint`] says where a server is, as an address in the form of a URL. A [`Stack`] is the
//! layers of one connection: bytes of the wire go in and plaintext comes out, plaintext goes in and
//! bytes of the wire come out. It opens no socket, so the adapters of all runtimes share it.
//!
//! ```
//! use tamtam_transport::{ClientLayers, Endpoint, Stack};
//!
//! let endpoint: Endpoint = "mqtt://ada:secret@broker.example/".parse()?;
//! assert_eq!((endpoint.host(), endpoint.port()), ("broker.example", 1883));
//!
//! let mut stack = Stack::client(&endpoint, &ClientLayers::new())?;
//! assert!(stack.is_plain()); // an adapter may read and write around it
//! let (mut wire, mut plaintext) = (&b"\x20\x02\x00\x00"[..], Vec::new());
//! stack.handle_wire(&mut wire, &mut plaintext)?;
//! assert_eq!(plaintext, b"\x20\x02\x00\x00");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`client`] has what the clients of all adapters tell of their connections, and [`store`] the
//! seam by which the brokers of all adapters have their records kept.
//!
//! # The order of a turn
//!
//! Write what [`Stack::output`] holds and say so with [`Stack::output_written`]; it may be a part
//! of a handshake or an answer to a ping, so look at it after every other call, also after errors.
//! Hand what the wire brings to [`Stack::handle_wire`]. Hand what is to be sent to
//! [`Stack::write`], which takes nothing while the handshake lasts or while much waits in the
//! output. At the end call [`Stack::close`] and write once more.
//!
//! # Features
//!
//! `tls` adds `mqtts://` on rustls, `websocket` adds `ws://`, both together `wss://`. Without
//! them only plain streams are built, and nothing is pulled in.

pub mod client;
mod endpoint;
mod error;
mod outgoing;
mod stack;
pub mod store;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

#[cfg(all(test, feature = "tls", feature = "websocket"))]
mod tests;

pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use error::Error;
pub use stack::{ClientLayers, ServerLayers, Stack};
#[cfg(feature = "tls")]
pub use tls::{ClientCertificates, PeerCertificate, TlsClient, TlsError, TlsServer};
#[cfg(feature = "websocket")]
pub use websocket::WebSocketError;
