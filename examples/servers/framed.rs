//! Frames with a length, by `tokio_util::codec::Framed`: connections are wrapped when they are accepted.
//!
//! ```text
//! cargo run --example framed
//! python3 - <<END
//! import socket, struct
//! client = socket.create_connection(("127.0.0.1", 3010))
//! client.sendall(struct.pack(">I", 5) + b"hello")
//! client.sendall(struct.pack(">I", 32 << 20) + bytes(32 << 20))
//! print(client.makefile("rb").read()) # → 5 bytes, and why the second frame was refused
//! END
//! ```

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::codec::LengthDelimitedCodec;
use tower_linger::{LingerIo, LingerLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// A server of frames that does not lose its last one.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3010")]
    listen: SocketAddr,
}

/// The longest frame, in bytes.
const MAX_FRAME: usize = 1 << 20;
/// How long a client may take for a frame.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<()> {
    let listener = listen(args.listen).await?;
    let linger = LingerLayer::default().on_close(|report| println!("{}", report.line()));
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);

    let handle = shutdown.handle();
    let mut requested = pin!(shutdown.requested());
    let accepting = async {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(tokio::spawn(serve(linger.wrap(stream), handle.requested()))),
                    Err(error) => {
                        eprintln!("accept: {error}");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                () = &mut requested => return,
            }
        }
    };
    // The tasks are not waited for one by one: the tracker knows their connections.
    let (_, summary) = shutdown.finish(accepting).await;
    println!("{summary}");
    Ok(())
}

/// Serves one connection. Nobody looks at its result, so it is `close` that says that the client was told
/// everything.
async fn serve(io: LingerIo<TcpStream>, requested: impl Future<Output = ()>) -> io::Result<()> {
    let mut frames = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_framed(io);
    let mut requested = pin!(requested);
    let last_words = loop {
        let read = tokio::select! {
            read = timeout(IDLE_TIMEOUT, frames.next()) => read,
            () = &mut requested => break "the server shuts down".to_owned(),
        };
        match read {
            Ok(Some(Ok(frame))) => frames.send(Bytes::from(format!("{} bytes", frame.len()))).await?,
            Ok(Some(Err(error))) if error.kind() == ErrorKind::InvalidData => break error.to_string(),
            Ok(Some(Err(error))) => return Err(error),
            Ok(None) => break String::new(), // The client has ended.
            Err(_) => break "idle for too long".to_owned(),
        }
    };
    if !last_words.is_empty() {
        frames.feed(Bytes::from(last_words)).await?;
    }
    // Flushes, and sends the FIN. What the client still sends is the layer's business.
    SinkExt::<Bytes>::close(&mut frames).await
}
