//! Counts the sockets that a server has begun to close and that its process still holds.
//!
//! The kernel's socket tables tell (`sock_diag`, Linux), without a request to the server and without a
//! packet.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};

/// Takes samples until it is finished.
pub(super) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<f64>>,
}

impl Sampler {
    /// Starts to sample the server at this port of this machine. `None` if the kernel does not tell.
    pub(super) fn start(port: u16) -> Option<Self> {
        held(port).ok()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("held".to_owned()).spawn(move || {
            let (mut sum, mut samples) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                sum += held(port).ok()?;
                samples += 1;
                std::thread::sleep(EVERY);
            }
            (samples > 0).then(|| f64::from(sum) / f64::from(samples))
        });
        Some(Self { stop, thread: thread.ok()? })
    }

    /// Stops, and returns the mean number of held sockets.
    pub(super) fn finish(self) -> Option<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok()?
    }
}

/// The number of sockets of this local port whose close has begun and that a process holds.
fn held(port: u16) -> io::Result<u32> {
    // The IPv4 connections of a server that listens on [::] are listed as IPv6.
    Ok(dump(AF_INET, SocketId::new_v4(), port)? + dump(AF_INET6, SocketId::new_v6(), port)?)
}

fn dump(family: u8, mut socket_id: SocketId, port: u16) -> io::Result<u32> {
    socket_id.source_port = port;
    let states = StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::CLOSE_WAIT
        | StateFlags::LAST_ACK
        | StateFlags::CLOSING;
    let request =
        InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::empty(), states, socket_id };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (mut buffer, mut held) = (vec![0; 64 << 10], 0);
    loop {
        let size = socket.recv(&mut &mut buffer[..], 0)?;
        let mut rest = &buffer[..size];
        while !rest.is_empty() {
            let message = <NetlinkMessage<SockDiagMessage>>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(held),
                // A socket that no process holds has no inode.
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    held += u32::from(
                        response.header.inode != 0 && response.header.socket_id.source_port == port,
                    );
                }
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            // Messages are padded to four bytes (RFC 3549 §2.3.2.2).
            let length = (message.header.length as usize).next_multiple_of(4).clamp(4, rest.len());
            rest = &rest[length..];
        }
    }
}

/// The time between two samples.
const EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::held;

    #[test]
    fn a_socket_counts_from_its_end_to_its_release() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let held = || held(address.port()).expect("the kernel tells");
        let client = TcpStream::connect(address).expect("it listens");
        let (server, _) = listener.accept().expect("it has connected");
        assert_eq!(held(), 0, "it is open");
        server.shutdown(std::net::Shutdown::Write).expect("it is open");
        assert_eq!(held(), 1, "its end has begun");
        drop(server);
        assert_eq!(held(), 0, "nobody holds it");
        drop(client);
    }
}
