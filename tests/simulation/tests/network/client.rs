//! The clients. Each tells what it got.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use turmoil::net::TcpStream;

use crate::plan::{Client, Mood, millis};
use crate::server::PORT;

/// What a client got for its last request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Got {
    /// It did not ask yet.
    #[default]
    Nothing,
    /// The whole response, and a clean end of the connection, if it waited for that.
    Whole { clean: Option<bool> },
    /// Less than that, by so many bytes of its body.
    Part(usize),
    /// It did not wait for one.
    NotAsked,
    /// It waited too long.
    TimedOut,
}

/// No client waits longer.
pub(crate) const PATIENCE: u32 = 4_000;

pub(crate) async fn run(client: Client, tls: Option<Arc<ClientConfig>>) -> Got {
    sleep(client.begins).await;
    let talk = async {
        let stream = TcpStream::connect(("server", PORT)).await?;
        match tls {
            None => talk(stream, client).await,
            Some(config) => {
                let name = "localhost".try_into().map_err(io::Error::other)?;
                talk(TlsConnector::from(config).connect(name, stream).await?, client).await
            }
        }
    };
    match timeout(millis(PATIENCE), talk).await {
        Ok(got) => got.unwrap_or(Got::Part(0)),
        Err(_) => Got::TimedOut,
    }
}

async fn talk(
    mut io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: Client,
) -> io::Result<Got> {
    match client.mood {
        Mood::Asks => {
            ask(&mut io, "GET", "/large", "connection: close\r\n").await?;
            response_and_end(&mut io).await
        }
        Mood::KeepsAlive => {
            let mut got = Got::Nothing;
            for _ in 0..client.pieces.min(5) {
                ask(&mut io, "GET", "/small", "").await?;
                got = response(&mut io).await;
                sleep(client.pause).await;
            }
            Ok(got)
        }
        Mood::UploadsFirst => {
            ask(&mut io, "POST", "/refused", &length(client)).await?;
            let _ = upload(&mut io, client).await;
            response_and_end(&mut io).await
        }
        Mood::UploadsAndReads => {
            ask(&mut io, "POST", "/refused", &length(client)).await?;
            let (mut reads, mut writes) = split(io);
            let upload = async {
                let _ = upload(&mut writes, client).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                got = response(&mut reads) => Ok(got),
                () = upload => Ok(Got::Nothing),
            }
        }
        Mood::HalfCloses => {
            ask(&mut io, "GET", "/large", "").await?;
            io.shutdown().await?;
            Ok(response(&mut io).await)
        }
        Mood::Http2 => http2(io, client).await,
        Mood::IsFailed => {
            ask(&mut io, "GET", "/fails", "connection: close\r\n").await?;
            response_and_end(&mut io).await
        }
        Mood::Aborts => {
            ask(&mut io, "POST", "/refused", &length(client)).await?;
            io.write_all(&[b'u'; 500]).await?;
            sleep(client.pause).await;
            Ok(Got::NotAsked)
        }
        Mood::IsSilent => {
            ask(&mut io, "GET", "/large", "").await?;
            sleep(millis(2_500)).await;
            Ok(Got::NotAsked)
        }
        Mood::Trickles => {
            ask(&mut io, "POST", "/refused", "content-length: 1000\r\n").await?;
            for _ in 0..30 {
                io.write_all(b"u").await?;
                sleep(millis(100)).await;
            }
            Ok(Got::NotAsked)
        }
    }
}

async fn ask(io: &mut (impl AsyncWrite + Unpin), method: &str, path: &str, headers: &str) -> io::Result<()> {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: server\r\n{headers}\r\n");
    io.write_all(request.as_bytes()).await?;
    io.flush().await
}

const PIECE: usize = 1_000;

fn length(client: Client) -> String {
    format!("content-length: {}\r\n", client.pieces as usize * PIECE)
}

async fn upload(io: &mut (impl AsyncWrite + Unpin), client: Client) -> io::Result<()> {
    for _ in 0..client.pieces {
        io.write_all(&[b'u'; PIECE]).await?;
        io.flush().await?;
        if !client.pause.is_zero() {
            sleep(client.pause).await;
        }
    }
    Ok(())
}

/// Reads a response that has a length, and nothing beyond it.
async fn response(io: &mut (impl AsyncRead + Unpin)) -> Got {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Got::Part(0),
        }
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let length: usize = length.expect("the server always gives a length");
    let (mut body, mut buffer) = (0, [0; 4096]);
    while body < length {
        let room = buffer.len().min(length - body);
        match io.read(&mut buffer[..room]).await {
            Ok(read @ 1..) => body += read,
            Ok(0) | Err(_) => return Got::Part(body),
        }
    }
    Got::Whole { clean: None }
}

/// Reads a response, and then the end of the connection.
async fn response_and_end(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Got> {
    let got = response(io).await;
    if got != (Got::Whole { clean: None }) {
        return Ok(got);
    }
    let clean = matches!(io.read(&mut [0; 16]).await, Ok(0));
    let _ = io.shutdown().await;
    Ok(Got::Whole { clean: Some(clean) })
}

async fn http2(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, client: Client) -> io::Result<Got> {
    let connected = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await;
    let (mut requests, connection) = connected.map_err(io::Error::other)?;
    drop(tokio::spawn(connection));
    let body = Full::new(Bytes::from(vec![b'u'; client.pieces as usize * PIECE]));
    let request = Request::post("http://server/refused").body(body).map_err(io::Error::other)?;
    let Ok(response) = requests.send_request(request).await else { return Ok(Got::Part(0)) };
    let length = response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let length: usize = length.expect("the server always gives a length");
    let mut body = response.into_body();
    let mut got = 0;
    while let Some(Ok(frame)) = body.frame().await {
        got += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(if got == length { Got::Whole { clean: None } } else { Got::Part(got) })
}
