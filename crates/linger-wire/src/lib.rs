#![cfg_attr(docsrs, feature(doc_cfg))]
//! Tells from packets how TCP connections ended: by a normal close, a reset, an ICMP error, a timeout, or
//! with signs of a middlebox.
//!
//! # Traces
//!
//! A [`file::Reader`] yields the frames of a capture file, [`decode()`](decode::decode) finds the TCP segment
//! or ICMP error in a frame, and a [`trace::Analyser`] follows connections through them:
//!
//! ```
//! use linger_wire::decode::{Decoded, decode};
//! use linger_wire::file::Reader;
//! use linger_wire::trace::{Analyser, Connection, Settings};
//!
//! fn connections(trace: impl std::io::Read) -> Result<Vec<Connection>, linger_wire::file::FileError> {
//!     let mut reader = Reader::new(trace)?;
//!     let mut analyser = Analyser::new(Settings::default());
//!     while let Some(frame) = reader.next_frame()? {
//!         if let Decoded::Packet(packet) = decode(&frame) {
//!             analyser.push(&packet);
//!         }
//!     }
//!     analyser.finish();
//!     Ok(std::iter::from_fn(|| analyser.next_ended()).collect())
//! }
//! ```
//!
//! [`trace::Connection`] has what the trace shows: facts and doubts, no judgements. On Linux, frames also
//! come live from a [`live::Socket`].
//!
//! TLS is recognised without keys: alerts by their type or, in TLS 1.3, by their length and place. With a key
//! log, they get their names: see [`secrets`].
//!
//! # Tests
//!
//! A [`Capture`] describes what leaves a test's sockets line by line, as a [`Transcript`]; a [`Recording`]
//! writes it to a capture file. They need the right to open packet sockets: root, `CAP_NET_RAW`, or a network
//! namespace of one's own.
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
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `netns` | runs each test of a test binary in a network namespace of its own: `wire_tests!` |
//! | `secrets` | names encrypted TLS alerts by the secrets of a key log: [`secrets`]; needs ring |
//!
//! What takes packets from the wire is there on Linux only: [`Capture`], [`Recording`], [`live`], `netns`.
//! All else works on every system.
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

#[cfg(target_os = "linux")]
mod capture;
pub mod decode;
pub mod file;
#[cfg(target_os = "linux")]
mod flow;
#[cfg(target_os = "linux")]
pub mod live;
#[cfg(all(target_os = "linux", feature = "netns"))]
pub mod netns;
#[cfg(target_os = "linux")]
mod packet;
#[cfg(target_os = "linux")]
mod recording;
pub mod secrets;
mod segment;
mod sequence;
#[cfg(target_os = "linux")]
mod tap;
mod tls;
pub mod trace;
mod transcript;

#[cfg(target_os = "linux")]
pub use capture::{Capture, WAIT_BOUND, check_permission};
#[cfg(target_os = "linux")]
pub use recording::Recording;
pub use transcript::{Event, Part, Side, Transcript};

/// The README's code compiles.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../README.md")]
struct Readme;
