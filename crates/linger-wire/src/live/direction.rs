//! In which direction a packet must go to be read.

use std::io;

use nix::libc;
use socket2::SockFilter;

use super::program::{IF_EQUAL, LOAD_BYTE, LOAD_HALF, Label, Program, RETURN, metadata};

/// Which packets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Packets that leave: on loopback this is each packet, once.
    Leaving,
    /// Packets that leave, and packets that arrive from another host.
    Once,
}

impl Seen {
    /// Rejects the other packets, and those for other hosts. The program goes on after it.
    pub(crate) fn begin(self, program: &mut Program) {
        let arriving = if self == Self::Once { Label::ToHost } else { Label::Reject };
        program
            .push(LOAD_BYTE, metadata(libc::SKF_AD_PKTTYPE))
            .jump(IF_EQUAL, libc::PACKET_OUTGOING.into(), Label::Interface, Label::Next)
            .jump(IF_EQUAL, libc::PACKET_HOST.into(), arriving, Label::Reject)
            .at(Label::ToHost)
            // Loopback shows each packet when it leaves, and again when it arrives.
            .push(LOAD_HALF, metadata(libc::SKF_AD_HATYPE))
            .jump(IF_EQUAL, libc::ARPHRD_LOOPBACK.into(), Label::Reject, Label::Next)
            .at(Label::Interface);
    }

    /// A program that keeps `limit` bytes of each such packet, whatever it is.
    pub(crate) fn program(self, limit: u32) -> io::Result<Vec<SockFilter>> {
        let mut program = Program::default();
        self.begin(&mut program);
        program.push(RETURN, limit).at(Label::Reject).push(RETURN, 0);
        program.finish()
    }
}
