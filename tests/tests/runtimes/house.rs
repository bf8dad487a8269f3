//! A broker with all its doors, and clients that come in by them.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tamtam_driver::broker::{Accepted, Handle, Open, Policy, Server, Store};
use tamtam_driver::core::broker::Options as BrokerOptions;
use tamtam_driver::core::client::{Filter, Options, Publish, Reconnect};
use tamtam_driver::core::{QoS, Version};
use tamtam_driver::transport::{ClientLayers, ServerLayers, Stack, TlsClient, TlsServer};
use tamtam_driver::{Client, Message, Messages, Setup};

use super::adapter::Adapter;
use super::pipe::pipe;

const CA: &[u8] = include_bytes!("../../certificates/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../certificates/server.pem");
const KEY: &[u8] = include_bytes!("../../certificates/server.key");

/// Longer than anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker.
pub(crate) struct House<A> {
    pub(crate) handle: Handle,
    /// For each transport.
    pub(crate) urls: Vec<String>,
    adapter: PhantomData<A>,
    _socket: SocketFile,
}

/// Where a unix socket is.
struct SocketFile(PathBuf);

impl SocketFile {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tamtam-{}-{count}.socket", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl<A: Adapter> House<A> {
    pub(crate) async fn open() -> Self {
        Self::open_with(&BrokerOptions::DEFAULT, Open).await
    }

    pub(crate) async fn open_with(options: &BrokerOptions, policy: impl Policy + Unpin) -> Self {
        Self::open_at(0, options, policy).await
    }

    /// At this port for plain TCP.
    pub(crate) async fn open_at(
        port: u16,
        options: &BrokerOptions,
        policy: impl Policy + Unpin,
    ) -> Self {
        Self::open_server(port, Server::new(A::Runtime::default(), options, policy)).await
    }

    /// With a store.
    pub(crate) async fn open_keeping(store: impl Store) -> Self {
        let options = BrokerOptions { store: true, ..BrokerOptions::DEFAULT };
        let (handle, server) = Server::new(A::Runtime::default(), &options, Open);
        Self::open_server(0, (handle, server.store(store))).await
    }

    pub(crate) async fn open_server<P: Policy + Unpin>(
        port: u16,
        (handle, mut server): (Handle, Server<A::Runtime, P>),
    ) -> Self {
        let tls = TlsServer::pem(CERTIFICATE, KEY).unwrap();
        let mut urls = Vec::new();
        for (scheme, layers) in [
            ("mqtt", ServerLayers::new()),
            ("mqtts", ServerLayers::new().tls(tls.clone())),
            ("ws", ServerLayers::new().websocket()),
            ("wss", ServerLayers::new().websocket().tls(tls.clone())),
        ] {
            let port = if scheme == "mqtt" { port } else { 0 };
            let (port, accept) = A::listen(port).await;
            urls.push(format!("{scheme}://127.0.0.1:{port}"));
            server = server.listen(layers, accept);
        }
        let socket = SocketFile::new();
        server = server.listen(ServerLayers::new(), A::listen_unix(socket.0.clone()));
        urls.push(format!("unix://{}", socket.0.display()));
        A::serve(server);
        Self { handle, urls, adapter: PhantomData, _socket: socket }
    }

    pub(crate) fn url(&self) -> &str {
        &self.urls[0]
    }

    /// A client over TCP.
    pub(crate) async fn client(&self, name: &str) -> (Client, Messages) {
        A::connect(self.url(), setup(Version::V5, name)).await.unwrap()
    }

    /// A client over pipes, of which the first few break after so many bytes.
    pub(crate) fn client_over_pipes(
        &self,
        setup: Setup<'_>,
        cuts: impl IntoIterator<Item = usize> + Send + 'static,
    ) -> (Client, Messages) {
        let (handle, mut cuts) = (self.handle.clone(), cuts.into_iter().collect::<Vec<_>>());
        cuts.reverse();
        let open = move || {
            let (here, there) = pipe(cuts.pop());
            let brought = handle.bring(Accepted::new(there), ServerLayers::new());
            let opened = brought.map(|()| (here, Stack::plain())).map_err(std::io::Error::other);
            std::future::ready(opened)
        };
        let started = tamtam_driver::client::start(setup, A::Runtime::default(), open);
        let (client, messages, connection) = started.unwrap();
        A::spawn(connection);
        (client, messages)
    }
}

pub(crate) fn options(version: Version, name: &str) -> Options<'_> {
    let backoff = Reconnect::Backoff { first_ms: 5, most_ms: 50 };
    Options::new(version).client_id(name).reconnect(backoff)
}

pub(crate) fn setup(version: Version, name: &str) -> Setup<'_> {
    let layers = ClientLayers::new().tls(TlsClient::roots_pem(CA).unwrap());
    Setup::new(options(version, name)).layers(layers)
}

pub(crate) async fn subscribe(client: &Client, filter: &str) {
    let codes = client.subscribe(&[Filter::new(filter)]).await.unwrap();
    assert!(codes.iter().all(|code| !code.is_error()), "{codes:?}");
}

pub(crate) async fn publish(client: &Client, topic: &str, payload: &[u8], qos: QoS) {
    client.publish(Publish::new(topic, payload).qos(qos)).await.unwrap();
}

/// The next message, which must come soon.
pub(crate) async fn next<A: Adapter>(messages: &mut Messages) -> Message {
    soon::<A, _>(messages.next()).await.expect("a message")
}

/// What must come soon.
pub(crate) async fn soon<A: Adapter, T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut late = std::pin::pin!(A::sleep(PATIENCE));
    std::future::poll_fn(|context| {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
            return std::task::Poll::Ready(value);
        }
        assert!(late.as_mut().poll(context).is_pending(), "nothing came");
        std::task::Poll::Pending
    })
    .await
}
