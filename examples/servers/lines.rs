//! A protocol of lines, in Redis's words: the layer around a service of connections, without HTTP.
//!
//! ```text
//! cargo run --example lines
//! printf 'PING\r\nECHO hello\r\nQUIT\r\n' | nc 127.0.0.1 3009 # → +PONG, $5, hello, +OK
//! curl -sS dict://127.0.0.1:3009/ECHO:hello                   # → the same to curl's three commands
//! (head -c 2000 /dev/zero; yes PING) | nc 127.0.0.1 3009      # → -ERR Protocol error: too big …
//! ```
//!
//! The last client still sends when it is told why its connection ends. Without the layer, the reset for what
//! it sends can overtake that line.

use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;
use std::{io, mem};

use clap::Parser;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, service_fn};
use tower_linger::{LingerIo, LingerLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// A server of lines that does not lose its last one.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3009")]
    listen: SocketAddr,
}

/// The longest line, its end included, in bytes.
const MAX_LINE: u64 = 1024;
/// How long a client may take for a line.
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
    let mut connections = linger.layer(service_fn(move |io| serve(io, handle.requested())));
    let mut requested = pin!(shutdown.requested());
    let accepting = async {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(tokio::spawn(connections.call(stream))),
                    Err(error) => {
                        eprintln!("accept: {error}");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                () = &mut requested => return,
            }
        }
    };
    // The loop ends when the shutdown is requested. The connections have 10 s from then on.
    let (_, summary) = shutdown.finish(accepting).await;
    println!("{summary}");
    Ok(())
}

/// Serves one connection. `Ok` says that the client was told everything, and so the layer ends it cleanly.
async fn serve(io: LingerIo<TcpStream>, requested: impl Future<Output = ()>) -> io::Result<()> {
    let mut io = BufReader::new(BufWriter::new(io));
    let mut requested = pin!(requested);
    let mut line = Vec::new();
    let last_words = loop {
        let mut bounded = (&mut io).take(MAX_LINE);
        tokio::select! {
            read = timeout(IDLE_TIMEOUT, bounded.read_until(b'\n', &mut line)) => match read {
                Ok(read) => read?,
                Err(_) => break "-ERR idle for too long",
            },
            () = &mut requested => break "-ERR the server shuts down",
        };
        let command = match mem::take(&mut line) {
            line if line.ends_with(b"\n") => String::from_utf8_lossy(line.trim_ascii_end()).into_owned(),
            line if line.len() as u64 == MAX_LINE => break "-ERR Protocol error: too big inline request",
            _ => break "", // The client has ended.
        };
        let answer = match command.split_once(' ').unwrap_or((&command, "")) {
            ("PING", _) => "+PONG".to_owned(),
            ("ECHO", text) => format!("${}\r\n{text}", text.len()),
            ("QUIT", _) => break "+OK",
            (unknown, _) => format!("-ERR unknown command '{unknown}'"),
        };
        io.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if !io.buffer().contains(&b'\n') {
            io.flush().await?;
        }
    };
    if !last_words.is_empty() {
        io.write_all(format!("{last_words}\r\n").as_bytes()).await?;
    }
    // Flushes, and sends the FIN. What the client still sends is the layer's business.
    io.shutdown().await
}
