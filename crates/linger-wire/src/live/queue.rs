//! A packet socket, read many packets at a time.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, GetSockOpt as _, MsgFlags, MultiHeaders, SockFlag, SockProtocol,
    SockType, recvmmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeSpec, TimeVal};
use nix::{getsockopt_impl, sockopt_impl};
use socket2::{SockFilter, SockRef};

use super::program::RETURN;
use crate::decode::{Frame, LinkType};

sockopt_impl!(
    /// How many packets passed the filter, those that were dropped included, and how many were dropped, both
    /// since it was last asked (packet(7)).
    Statistics,
    GetOnly,
    libc::SOL_PACKET,
    libc::PACKET_STATISTICS,
    [u32; 2]
);

/// Opens a socket that yields the packets that pass the program, from their IP header on.
pub(crate) fn open(program: &[SockFilter], queue_bytes: usize) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let packets = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
    // What came before the filter was in place is discarded while nothing new comes.
    SockRef::from(&packets).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])?;
    while nix::sys::socket::recv(packets.as_raw_fd(), &mut [0; 1], MsgFlags::MSG_DONTWAIT).is_ok() {}
    SockRef::from(&packets).attach_filter(program)?;
    setsockopt(&packets, sockopt::ReceiveTimestampns, &true)?;
    // `RcvBufForce` needs `CAP_NET_ADMIN` outside user namespaces. `RcvBuf` is limited to net.core.rmem_max.
    if setsockopt(&packets, sockopt::RcvBufForce, &queue_bytes).is_err() {
        setsockopt(&packets, sockopt::RcvBuf, &queue_bytes)?;
    }
    setsockopt(&packets, sockopt::ReceiveTimeout, &TimeVal::new(0, TIMEOUT_MICROS))?;
    Statistics.get(&packets)?;
    Ok(packets)
}

/// How many bytes of packets may wait, as they were asked for: the kernel doubles the number.
pub(crate) fn size(packets: &OwnedFd) -> io::Result<usize> {
    Ok(sockopt::RcvBuf.get(packets)? / 2)
}

/// Reads batches of packets.
#[derive(Debug)]
pub(crate) struct Queue {
    packets: OwnedFd,
    headers: MultiHeaders<()>,
    /// A slot for each packet of a batch.
    buffer: Vec<u8>,
    slot: usize,
    received: Vec<Received>,
    batch: usize,
    dropped: u64,
}

#[derive(Debug, Clone, Copy)]
struct Received {
    /// How many bytes were read.
    captured: usize,
    /// How many the packet had in the queue.
    length: usize,
    at: Duration,
}

impl Queue {
    /// Reads up to `batch` packets at a time, and up to `bytes` bytes of each.
    pub(crate) fn new(packets: OwnedFd, batch: usize, bytes: usize) -> Self {
        let control = cmsg_space!(TimeSpec);
        Self {
            packets,
            headers: MultiHeaders::preallocate(batch, Some(control)),
            buffer: vec![0; batch * bytes],
            slot: bytes,
            received: Vec::with_capacity(batch),
            batch,
            dropped: 0,
        }
    }

    /// Waits for packets, for 20 ms at most, and reads those that are there. Returns how many.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        self.received.clear();
        let slot = self.slot;
        let mut slices: Vec<_> = self.buffer.chunks_exact_mut(slot).map(|s| [IoSliceMut::new(s)]).collect();
        // With `MSG_TRUNC` the length is that in the queue, not the part that fits into the slot.
        let flags = MsgFlags::MSG_WAITFORONE | MsgFlags::MSG_TRUNC;
        let packets = self.packets.as_raw_fd();
        match recvmmsg(packets, &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(messages) => self.received.extend(messages.map(|message| {
                let mut at = Duration::ZERO;
                for control in message.cmsgs().into_iter().flatten() {
                    if let ControlMessageOwned::ScmTimestampns(time) = control {
                        at = time.into();
                    }
                }
                Received { captured: message.bytes.min(slot), length: message.bytes, at }
            })),
            // The interface that the packet came from is gone, or went down.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.received.len())
    }

    /// Whether the last batch was full, so that more packets wait.
    pub(crate) fn is_behind(&self) -> bool {
        self.received.len() == self.batch
    }

    /// The packets that were read last.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.received.iter().zip(self.buffer.chunks_exact(self.slot)).map(|(received, slot)| {
            let bytes = &slot[..received.captured];
            let length = u32::try_from(received.length).unwrap_or(u32::MAX).max(ip_length(bytes));
            Frame { at: received.at, link: LinkType::Ip, length, bytes }
        })
    }

    /// How many packets the queue had no room for so far.
    pub(crate) fn dropped(&mut self) -> io::Result<u64> {
        let [_, dropped] = Statistics.get(&self.packets)?;
        self.dropped += u64::from(dropped);
        Ok(self.dropped)
    }
}

/// How long an IP packet is by its header; 0 if the header does not say so. The filter cuts packets before
/// their length is counted.
fn ip_length(bytes: &[u8]) -> u32 {
    let half = |at: usize| match bytes.get(at..at + 2) {
        Some(&[high, low]) => u32::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) => half(2),
        Some(6) if half(4) > 0 => half(4) + 40,
        _ => 0,
    }
}

/// How long a read waits for a packet, so that its caller sees that it is to stop.
const TIMEOUT_MICROS: i64 = 20_000;
