//! A client that writes its whole request before it reads, and gives up at the first write that fails, as
//! Python's `http.client` does. The upload takes two seconds, because a server that goes on reading for a
//! second would read all of one at the speed of loopback.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Bytes of the body that the server refuses.
const UPLOAD: u32 = 64 << 20;
/// How many of them are written at once.
const CHUNK: u32 = 1 << 20;
/// How long the upload takes at least.
const TIME: Duration = Duration::from_secs(2);
/// How long one read or write may take. It is longer than any bound of a close.
const PATIENCE: Duration = Duration::from_mins(1);

/// Uploads to the server and reads its response.
///
/// # Errors
///
/// Whatever keeps the client from reading a whole `413`.
pub fn upload(server: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<(), Box<dyn Error>> {
    let tcp = TcpStream::connect(server)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return exchange(tcp) };
    let session = ClientConnection::new(tls.clone(), ServerName::IpAddress(server.ip().into()))?;
    exchange(StreamOwned::new(session, tcp))
}

fn exchange(mut io: impl Read + Write) -> Result<(), Box<dyn Error>> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {UPLOAD}\r\n\r\n"
    );
    io.write_all(head.as_bytes())?;
    let (chunk, begun) = (vec![b' '; CHUNK as usize], Instant::now());
    for sent in (0..UPLOAD).step_by(CHUNK as usize) {
        let due = TIME.mul_f64(f64::from(sent) / f64::from(UPLOAD));
        thread::sleep(due.saturating_sub(begun.elapsed()));
        io.write_all(&chunk)?;
    }
    io.flush()?;
    let (mut received, mut chunk) = (Vec::new(), [0; 4 << 10]);
    loop {
        match io.read(&mut chunk)? {
            0 => return Err("the response is cut".into()),
            bytes => received.extend_from_slice(&chunk[..bytes]),
        }
        if let Some(status) = whole(&received)? {
            return if status == 413 { Ok(()) } else { Err(format!("the status is {status}").into()) };
        }
    }
}

/// The status, once the head and the whole body have arrived. All these servers give the length.
fn whole(received: &[u8]) -> Result<Option<u16>, Box<dyn Error>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(received)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = std::str::from_utf8(length.ok_or("the response has no length")?.value)?.parse()?;
    Ok(response.code.filter(|_| received.len() >= head + length))
}
