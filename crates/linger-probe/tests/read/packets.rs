//! Small captures, packet by packet.

use std::net::Ipv4Addr;
use std::time::Duration;

use linger_wire::decode::{Frame, LinkType};
use linger_wire::file::Writer;

use crate::made::BEGIN;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A capture that grows by a packet a millisecond.
pub(crate) struct Capture {
    writer: Writer<Vec<u8>>,
    at: Duration,
    window: u16,
}

impl Capture {
    pub(crate) fn new() -> Self {
        Self { writer: Writer::new(Vec::new(), LinkType::Ip).expect("memory"), at: BEGIN, window: 64_000 }
    }

    /// A request, a response, and both FINs.
    pub(crate) fn normal(mut self, port: u16) -> Self {
        self.opened(port);
        self.receive(port, 501, 151, FIN | ACK, b"");
        self.send(port, 151, 502, FIN | ACK, b"");
        self.receive(port, 502, 152, ACK, b"");
        self
    }

    /// An upload of which the server reads nothing, a response, and a reset.
    pub(crate) fn cut_upload(mut self, port: u16) -> Self {
        self.opened(port);
        let upload = |capture: &mut Self, parts: std::ops::Range<u32>| {
            parts.for_each(|part| capture.send(port, 151 + part * 1000, 501, ACK, &[b'u'; 1000]));
        };
        upload(&mut self, 0..2);
        // The right edge of its window stays where it was.
        self.window -= 2000;
        self.receive(port, 501, 2151, ACK, b"HTTP/1.1 413 Payload Too Large\r\n\r\n");
        upload(&mut self, 2..10);
        self.window -= 6000;
        self.receive(port, 535, 8151, ACK, b"");
        self.receive(port, 535, 8151, RST | ACK, b"");
        self.window += 8000;
        self
    }

    /// A SYN that is refused.
    pub(crate) fn refused(mut self, port: u16) -> Self {
        self.send(port, 100, 0, SYN, b"");
        self.receive(port, 0, 101, RST | ACK, b"");
        self
    }

    /// Later packets come so much later.
    pub(crate) fn wait(mut self, time: Duration) -> Self {
        self.at += time;
        self
    }

    fn opened(&mut self, port: u16) {
        self.send(port, 100, 0, SYN, b"");
        self.receive(port, 400, 101, SYN | ACK, b"");
        self.send(port, 101, 401, ACK, &[b'q'; 50]);
        let mut response = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        response.resize(100, b'r');
        self.receive(port, 401, 151, ACK, &response);
        self.send(port, 151, 501, ACK, b"");
    }

    fn send(&mut self, port: u16, seq: u32, ack: u32, flags: u8, payload: &[u8]) {
        self.packet((CLIENT, port), (SERVER, 443), seq, ack, flags, payload);
    }

    fn receive(&mut self, port: u16, seq: u32, ack: u32, flags: u8, payload: &[u8]) {
        self.packet((SERVER, 443), (CLIENT, port), seq, ack, flags, payload);
    }

    fn packet(
        &mut self,
        from: (Ipv4Addr, u16),
        to: (Ipv4Addr, u16),
        seq: u32,
        ack: u32,
        flags: u8,
        payload: &[u8],
    ) {
        let length = u16::try_from(40 + payload.len()).expect("short");
        let mut bytes = vec![0x45, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend(from.0.octets());
        bytes.extend(to.0.octets());
        bytes.extend(from.1.to_be_bytes());
        bytes.extend(to.1.to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([0x50, flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(payload);
        self.at += Duration::from_millis(1);
        let frame = Frame { at: self.at, link: LinkType::Ip, length: length.into(), bytes: &bytes };
        self.writer.write(&frame).expect("memory");
    }

    /// The bytes of the file.
    pub(crate) fn file(self) -> Vec<u8> {
        self.writer.into_inner()
    }
}
