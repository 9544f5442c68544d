//! Transports of one's own, as somebody outside of tower-linger writes them: a wrapper that counts bytes, a
//! stream behind the PROXY protocol's header, and TLS by a library that tower-linger does not know here.
//!
//! The guide's page "A transport of your own" shows parts of these files.

pub mod metered;
pub mod proxied;
pub mod tls;
