//! A file as one message: it is read, sent, received and written piece by piece, so that it never
//! is in a client's memory as a whole.

use std::error::Error;
use std::time::Duration;

use smol::io::AsyncWriteExt;
use smol::net::TcpListener;
use tamtam_smol::broker::Open;
use tamtam_smol::core::client::{Filter, Options, Publish};
use tamtam_smol::core::{QoS, Version, broker};
use tamtam_smol::transport::ServerLayers;

const LEN: usize = 3 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(stream())
}

async fn stream() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("tamtam-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (from, to) = (folder.join("from"), folder.join("to"));
    std::fs::write(&from, vec![7; LEN])?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    tamtam_smol::serve(listener, ServerLayers::new(), &broker::Options::DEFAULT, Open);

    // What is larger than 16 KiB comes in pieces.
    let options = Options::new(Version::V5).client_id("reader").stream_above(16 << 10);
    let (reader, mut messages) = tamtam_smol::connect(&url, options).await?;
    reader.subscribe(&[Filter::new("file")]).await?;

    let sender = smol::spawn(async move {
        let options = Options::new(Version::V5).client_id("sender").outgoing_bytes(128 << 10);
        let (sender, _messages) = tamtam_smol::connect(&url, options).await?;
        let publish = Publish::new("file", b"").qos(QoS::AtLeastOnce);
        // It is opened again if the connection breaks, and the message has to be sent once more.
        let sent = sender.publish_from(publish, LEN as u32, || smol::fs::File::open(&from));
        println!("sent: {}", sent.await?);
        sender.disconnect(Duration::from_secs(5)).await?;
        Ok::<(), Box<dyn Error + Send + Sync>>(())
    });

    let mut message = messages.next().await.ok_or("no message")?;
    let topic = message.topic().to_owned();
    let payload = message.stream().ok_or("it came as a whole")?;
    let mut file = smol::fs::File::create(&to).await?;
    while let Some(piece) = payload.chunk().await? {
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    sender.await.map_err(|error| error.to_string())?;
    println!("{topic}: {} bytes", std::fs::metadata(&to)?.len());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
