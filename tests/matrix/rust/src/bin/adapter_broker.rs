//! The broker of an adapter, within a program: `adapter_broker RUNTIME CERTIFICATE KEY`. Listens
//! for TCP, WebSocket, TLS and WebSocket in TLS, at ports that it prints in this order.

use std::error::Error;
use std::net::TcpListener;

use tamtam_tokio::broker::{Open, Server};
use tamtam_tokio::core::broker::Options;
use tamtam_tokio::transport::{ServerLayers, TlsServer};

/// A listener, and what is spoken there.
type Doors = Vec<(TcpListener, ServerLayers)>;

fn options() -> Options {
    Options { queue: 1_000, ..Options::DEFAULT }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, runtime, certificate, key] = arguments.as_slice() else {
        return Err("adapter_broker RUNTIME CERTIFICATE KEY".into());
    };
    let tls = TlsServer::pem(&std::fs::read(certificate)?, &std::fs::read(key)?)?;
    let mut doors = Doors::new();
    for layers in [
        ServerLayers::new(),
        ServerLayers::new().websocket(),
        ServerLayers::new().tls(tls.clone()),
        ServerLayers::new().websocket().tls(tls),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.local_addr()?.port());
        doors.push((listener, layers));
    }
    match runtime.as_str() {
        "tokio" => on_tokio(doors),
        "smol" => on_smol(doors),
        "async-std" => on_async_std(doors),
        "blocking" => blocking(doors),
        _ => Err("tokio, smol, async-std or blocking".into()),
    }
}

#[tokio::main]
async fn on_tokio(doors: Doors) -> Result<(), Box<dyn Error>> {
    let (_handle, mut server) = Server::new(tamtam_tokio::Tokio, &options(), Open);
    for (listener, layers) in doors {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        server = server.listen(layers, tamtam_tokio::accept(listener));
    }
    server.await;
    Ok(())
}

fn on_smol(doors: Doors) -> Result<(), Box<dyn Error>> {
    let (_handle, mut server) = Server::new(tamtam_smol::Smol, &options(), Open);
    for (listener, layers) in doors {
        let listener = smol::net::TcpListener::try_from(listener)?;
        server = server.listen(layers, tamtam_smol::accept(listener));
    }
    smol::block_on(server);
    Ok(())
}

fn on_async_std(doors: Doors) -> Result<(), Box<dyn Error>> {
    let (_handle, mut server) = Server::new(tamtam_async_std::AsyncStd, &options(), Open);
    for (listener, layers) in doors {
        let listener = async_std::net::TcpListener::from(listener);
        server = server.listen(layers, tamtam_async_std::accept(listener));
    }
    async_std::task::block_on(server);
    Ok(())
}

fn blocking(doors: Doors) -> Result<(), Box<dyn Error>> {
    let mut server = tamtam_blocking::broker::Server::new(&options())?;
    for (listener, layers) in doors {
        let listener = tamtam_blocking::broker::Listener::from_tcp(listener)?;
        server = server.listen(listener.layers(layers));
    }
    Ok(server.run()?)
}
