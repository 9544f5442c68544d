//! TCP headers.

use etherparse::TcpHeaderSlice;
use etherparse::err::tcp::HeaderSliceError;

use super::{Flags, Options, Tcp};

/// Reads a segment that had `length` bytes on the wire. `None` if its header makes no sense or less than the
/// part of it was captured that every header has.
pub(super) fn parse(bytes: &[u8], length: usize) -> Option<Tcp<'_>> {
    match TcpHeaderSlice::from_slice(bytes) {
        Ok(header) => segment(&header, header.options(), bytes.get(header.slice().len()..)?, length),
        // The capture may have cut the header off behind its fixed part.
        Err(HeaderSliceError::Len(_)) => {
            let captured = bytes.get(FIXED..)?;
            let mut padded = [0; LONGEST];
            padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
            segment(&TcpHeaderSlice::from_slice(&padded).ok()?, captured, &[], length)
        }
        Err(HeaderSliceError::Content(_)) => None,
    }
}

fn segment<'a>(
    header: &TcpHeaderSlice<'_>,
    captured_options: &[u8],
    payload: &'a [u8],
    length: usize,
) -> Option<Tcp<'a>> {
    Some(Tcp {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        seq: header.sequence_number(),
        ack: header.ack().then(|| header.acknowledgment_number()),
        flags: Flags { syn: header.syn(), fin: header.fin(), rst: header.rst(), psh: header.psh() },
        window: header.window_size(),
        options: options(captured_options),
        payload,
        length: u32::try_from(length.checked_sub(header.slice().len())?).ok()?,
    })
}

/// Reads the options up to the first that makes no sense.
///
/// `TcpOptionsIterator` of etherparse ends at the first option that it does not know, such as that of
/// Multipath TCP, so what stands behind it would be missed.
fn options(mut bytes: &[u8]) -> Options {
    let mut options = Options::default();
    while let Some((&kind, rest)) = bytes.split_first() {
        match kind {
            END => break,
            NO_OPERATION => {
                bytes = rest;
                continue;
            }
            _ => {}
        }
        let Some(length) = rest.first().map(|&length| usize::from(length)) else { break };
        if length < 2 {
            break;
        }
        let Some((option, rest)) = bytes.split_at_checked(length) else { break };
        match *option {
            [MSS, _, a, b] => options.mss = Some(u16::from_be_bytes([a, b])),
            [WINDOW_SCALE, _, shift] => options.window_scale = Some(shift),
            [SACK, ..] => options.sack = true,
            [TIMESTAMPS, 10, ref numbers @ ..] => {
                let (clock, echo) = numbers.split_at(4);
                let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
                options.timestamps = number(clock).zip(number(echo));
            }
            _ => {}
        }
        bytes = rest;
    }
    options
}

/// The part of a header that is always there, and the longest header.
const FIXED: usize = 20;
const LONGEST: usize = 60;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
