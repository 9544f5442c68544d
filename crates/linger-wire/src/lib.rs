#![cfg_attr(docsrs, feature(doc_cfg))]
//! What a test can see of TCP connections on the wire: captures the segments of one server port and describes
//! them line by line as a [`Transcript`]. It recognises TLS records, so that `close_notify` and alerts have
//! lines too.
//!
//! It works on Linux only; elsewhere this crate is empty. A [`Capture`] needs the right to open packet
//! sockets: root, `CAP_NET_RAW`, or a network namespace of one's own. The feature `netns` gives each test
//! such a namespace.
//!
//! ```no_run
//! # use linger_wire::{Capture, Part, Side};
//! # fn example(port: u16) -> std::io::Result<()> {
//! let capture = Capture::start(port)?;
//! // … connections come and go …
//! let transcript = capture.finish()?;
//! let (server, client) = (Side::Server, Side::Client);
//! assert!(transcript.position(server, Part::Fin) < transcript.position(client, Part::Fin), "{transcript}");
//! assert_eq!(transcript.resets(server), 0, "{transcript}");
//! # Ok(())
//! # }
//! ```
//!
//! The transcript of one plain HTTP request on a connection that the server closes reads:
//!
//! ```text
//! client: SYN
//! server: SYN-ACK
//! client: data 120
//! server: data 85 + FIN
//! client: FIN
//! ```
//!
//! # Which packets are seen
//!
//! Loopback shows each packet twice, when it leaves and when it arrives; the capture keeps the copy that
//! leaves. That copy is taken while the sender holds its socket, so the packets of one side are in order. It
//! is also taken before the receiver can act, so whatever a packet causes comes after it. As a consequence,
//! packets dropped by an output rule or by a lossy queue are not in the transcript, while those dropped by an
//! input rule are.
//!
//! Lost packets are always reported. [`Transcript::problems`] lists how many packets the kernel dropped,
//! bytes that were acknowledged but not seen, and packets that left before [`Capture::finish`] was called but
//! were not seen. Only root outside user namespaces may have a queue larger than `net.core.rmem_max`;
//! elsewhere, use [`Capture::start_cut`] to watch mass transfers.

#![cfg(target_os = "linux")]

mod capture;
mod flow;
#[cfg(feature = "netns")]
pub mod netns;
mod packet;
mod segment;
mod tls;
mod transcript;

pub use capture::{Capture, WAIT_BOUND, check_permission};
pub use transcript::{Event, Part, Side, Transcript};

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
