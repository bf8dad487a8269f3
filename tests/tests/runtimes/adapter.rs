//! What each adapter has, under one name.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_std::os::unix::net::UnixListener;
use tamtam_driver::transport::ServerLayers;
use tamtam_tokio::broker::{Accepted, Accepting, Handle, Server};
use tamtam_tokio::client::ConnectError;
use tamtam_tokio::{Client, Messages, Setup};

use super::pipe::pipe;

pub(crate) type Accept = Box<dyn FnMut() -> Accepting + Send>;

pub(crate) trait Adapter: 'static {
    type Runtime: tamtam_driver::Runtime<Sleep: Send>
        + Clone
        + Send
        + Sync
        + Unpin
        + Default
        + 'static;

    fn run(story: impl Future<Output = ()> + Send + 'static);

    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Listens on the loopback; the port 0 is any that is free.
    fn listen(port: u16) -> impl Future<Output = (u16, Accept)> + Send;

    /// Listens on a unix socket.
    fn listen_unix(path: PathBuf) -> Accept;

    fn connect(
        url: &str,
        setup: Setup<'_>,
    ) -> impl Future<Output = Result<(Client, Messages), ConnectError>> + Send;

    /// By a stream that is open already: to a port of the loopback.
    fn connect_by_tcp(
        port: u16,
        setup: Setup<'_>,
    ) -> impl Future<Output = Result<(Client, Messages), ConnectError>> + Send;

    /// By one in memory, of which the broker has the other end.
    fn connect_by_pipe(
        handle: &Handle,
        setup: Setup<'_>,
    ) -> impl Future<Output = Result<(Client, Messages), ConnectError>> + Send;

    fn start(url: &str, setup: Setup<'_>) -> Result<(Client, Messages), ConnectError>;

    fn serve<P: tamtam_driver::broker::Policy + Unpin>(server: Server<Self::Runtime, P>) {
        Self::spawn(server);
    }
}

/// What our crates name alike, and so do their runtimes.
macro_rules! same_names {
    ($ours:ident, $runtime:ident) => {
        async fn listen(port: u16) -> (u16, Accept) {
            let listener = $runtime::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            (port, Box::new($ours::accept(listener)))
        }

        async fn connect(url: &str, setup: Setup<'_>) -> Result<(Client, Messages), ConnectError> {
            $ours::connect(url, setup).await
        }

        async fn connect_by_tcp(
            port: u16,
            setup: Setup<'_>,
        ) -> Result<(Client, Messages), ConnectError> {
            let stream = $runtime::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            $ours::connect_by(stream, setup).await
        }

        fn start(url: &str, setup: Setup<'_>) -> Result<(Client, Messages), ConnectError> {
            $ours::start(url, setup)
        }
    };
}

pub(crate) struct OnTokio;

impl Adapter for OnTokio {
    type Runtime = tamtam_tokio::Tokio;

    same_names!(tamtam_tokio, tokio);

    fn run(story: impl Future<Output = ()> + Send + 'static) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap().block_on(story);
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn listen_unix(path: PathBuf) -> Accept {
        let listener = Arc::new(tokio::net::UnixListener::bind(path).unwrap());
        Box::new(move || {
            let listener = Arc::clone(&listener);
            Box::pin(
                async move { Ok(Accepted::new(tamtam_tokio::Compat(listener.accept().await?.0))) },
            )
        })
    }

    async fn connect_by_pipe(
        handle: &Handle,
        setup: Setup<'_>,
    ) -> Result<(Client, Messages), ConnectError> {
        let (here, there) = tokio::io::duplex(1 << 10);
        handle.bring(Accepted::new(tamtam_tokio::Compat(there)), ServerLayers::new()).unwrap();
        tamtam_tokio::connect_by(here, setup).await
    }
}

pub(crate) struct OnSmol;

impl Adapter for OnSmol {
    type Runtime = tamtam_smol::Smol;

    same_names!(tamtam_smol, smol);

    fn run(story: impl Future<Output = ()> + Send + 'static) {
        smol::block_on(story);
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    fn listen_unix(path: PathBuf) -> Accept {
        let listener = Arc::new(smol::net::unix::UnixListener::bind(path).unwrap());
        Box::new(move || {
            let listener = Arc::clone(&listener);
            Box::pin(async move { Ok(Accepted::new(listener.accept().await?.0)) })
        })
    }

    async fn connect_by_pipe(
        handle: &Handle,
        setup: Setup<'_>,
    ) -> Result<(Client, Messages), ConnectError> {
        let (here, there) = pipe(None);
        handle.bring(Accepted::new(there), ServerLayers::new()).unwrap();
        tamtam_smol::connect_by(here, setup).await
    }
}

pub(crate) struct OnAsyncStd;

impl Adapter for OnAsyncStd {
    type Runtime = tamtam_async_std::AsyncStd;

    same_names!(tamtam_async_std, async_std);

    fn run(story: impl Future<Output = ()> + Send + 'static) {
        async_std::task::block_on(story);
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        async_std::task::spawn(task);
    }

    async fn sleep(time: Duration) {
        async_std::task::sleep(time).await;
    }

    fn listen_unix(path: PathBuf) -> Accept {
        let listener = Arc::new(async_std::task::block_on(UnixListener::bind(path)).unwrap());
        Box::new(move || {
            let listener = Arc::clone(&listener);
            Box::pin(async move { Ok(Accepted::new(listener.accept().await?.0)) })
        })
    }

    async fn connect_by_pipe(
        handle: &Handle,
        setup: Setup<'_>,
    ) -> Result<(Client, Messages), ConnectError> {
        let (here, there) = pipe(None);
        handle.bring(Accepted::new(there), ServerLayers::new()).unwrap();
        tamtam_async_std::connect_by(here, setup).await
    }
}
