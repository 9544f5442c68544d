//! Filter programs in the kernel's classic BPF (<https://docs.kernel.org/networking/filter.html>).

use std::io;

use nix::libc;
use socket2::SockFilter;

/// A program under construction: its jumps go to labels.
#[derive(Debug, Default)]
pub(crate) struct Program {
    steps: Vec<Step>,
    labels: Vec<(Label, usize)>,
}

/// Places in the program that jumps lead to, each of them after the jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// The instruction that follows.
    Next,
    /// The packet is for this host.
    ToHost,
    /// Its direction is right.
    Interface,
    V4,
    V6,
    /// An IPv6 extension header that is no fragment's.
    Extension,
    /// An extension header with its length in the second byte.
    Options,
    /// An ICMPv6 message.
    IcmpV6,
    /// What an ICMP error quotes.
    QuotedV4,
    QuotedV6,
    Reject,
    /// The header of TCP, or the beginning of it, is at X.
    Ports,
    Accept,
    AcceptV4,
    /// The header does not say how long the packet is.
    Whole,
}

#[derive(Debug)]
struct Step {
    code: u16,
    value: u32,
    yes: Label,
    no: Label,
}

impl Program {
    /// Appends an instruction without a jump.
    pub(crate) fn push(&mut self, code: u16, value: u32) -> &mut Self {
        self.jump(code, value, Label::Next, Label::Next)
    }

    /// Appends a conditional jump.
    pub(crate) fn jump(&mut self, code: u16, value: u32, yes: Label, no: Label) -> &mut Self {
        self.steps.push(Step { code, value, yes, no });
        self
    }

    /// Names the next instruction.
    pub(crate) fn at(&mut self, label: Label) -> &mut Self {
        self.labels.push((label, self.steps.len()));
        self
    }

    /// The instructions, with their jumps resolved.
    ///
    /// # Errors
    /// If a jump is longer than the 255 instructions that the kernel allows.
    pub(crate) fn finish(&self) -> io::Result<Vec<SockFilter>> {
        let far = || io::Error::new(io::ErrorKind::InvalidInput, "the filter has too many ports");
        let offset = |from: usize, to: Label| -> io::Result<u8> {
            if to == Label::Next {
                return Ok(0);
            }
            let found = self.labels.iter().find(|(label, _)| *label == to);
            let ahead = found.and_then(|(_, at)| at.checked_sub(from + 1));
            ahead.and_then(|ahead| u8::try_from(ahead).ok()).ok_or_else(far)
        };
        let resolve = |(index, step): (usize, &Step)| -> io::Result<SockFilter> {
            let (yes, no) = (offset(index, step.yes)?, offset(index, step.no)?);
            Ok(SockFilter::new(step.code, yes, no, step.value))
        };
        self.steps.iter().enumerate().map(resolve).collect()
    }
}

/// Where BPF finds metadata of a packet: at negative offsets.
pub(crate) const fn metadata(field: i32) -> u32 {
    0_u32.wrapping_add_signed(libc::SKF_AD_OFF + field)
}

/// A ← the byte at a fixed offset (`BPF_LD | BPF_B | BPF_ABS`).
pub(crate) const LOAD_BYTE: u16 = 0x30;
/// A ← the two bytes at a fixed offset (`BPF_LD | BPF_H | BPF_ABS`).
pub(crate) const LOAD_HALF: u16 = 0x28;
/// A ← the four bytes at a fixed offset (`BPF_LD | BPF_W | BPF_ABS`).
pub(crate) const LOAD_WORD: u16 = 0x20;
/// A ← the byte at X and an offset (`BPF_LD | BPF_B | BPF_IND`).
pub(crate) const LOAD_BYTE_AT: u16 = 0x50;
/// A ← the two bytes at X and an offset (`BPF_LD | BPF_H | BPF_IND`).
pub(crate) const LOAD_HALF_AT: u16 = 0x48;
/// X ← a number (`BPF_LDX | BPF_IMM`).
pub(crate) const SET_X: u16 = 0x01;
/// X ← four times the low half of the byte at a fixed offset: the length of an IPv4 header
/// (`BPF_LDX | BPF_B | BPF_MSH`).
pub(crate) const LOAD_HEADER_LENGTH: u16 = 0xb1;
/// A ← A + a number (`BPF_ALU | BPF_ADD | BPF_K`).
pub(crate) const ADD: u16 = 0x04;
/// A ← A + X (`BPF_ALU | BPF_ADD | BPF_X`).
pub(crate) const ADD_X: u16 = 0x0c;
/// A ← A & a number (`BPF_ALU | BPF_AND | BPF_K`).
pub(crate) const AND: u16 = 0x54;
/// A ← A << a number (`BPF_ALU | BPF_LSH | BPF_K`).
pub(crate) const SHIFT_LEFT: u16 = 0x64;
/// A ← A >> a number (`BPF_ALU | BPF_RSH | BPF_K`).
pub(crate) const SHIFT_RIGHT: u16 = 0x74;
/// X ← A (`BPF_MISC | BPF_TAX`).
pub(crate) const A_TO_X: u16 = 0x07;
/// A ← X (`BPF_MISC | BPF_TXA`).
pub(crate) const X_TO_A: u16 = 0x87;
/// Jumps if A is the number (`BPF_JMP | BPF_JEQ | BPF_K`).
pub(crate) const IF_EQUAL: u16 = 0x15;
/// Jumps if A is at least the number (`BPF_JMP | BPF_JGE | BPF_K`).
pub(crate) const IF_AT_LEAST: u16 = 0x35;
/// Jumps if A and the number have a bit in common (`BPF_JMP | BPF_JSET | BPF_K`).
pub(crate) const IF_ANY_BIT: u16 = 0x45;
/// Ends with the number of bytes that are kept; none drops the packet (`BPF_RET | BPF_K`).
pub(crate) const RETURN: u16 = 0x06;
