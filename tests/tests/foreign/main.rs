//! Clients that other people wrote: Python's `http.client`, `urllib` and `requests`, curl, gnutls-cli,
//! openssl, and nginx as a proxy.
//!
//! Run it by `make foreign`: it needs these programs, which `make needs` installs on Debian.

mod programs;
mod servers;
mod tls;
mod uploads;

/// How often each client tries.
const TRIES: usize = 10;
const UPLOAD_BYTES: usize = 64 << 20;
