//! Secrets of TLS sessions, by which a trace's encrypted alerts are named.
//!
//! Browsers, curl and most TLS libraries write them to the file that the environment variable `SSLKEYLOGFILE`
//! names, `openssl s_client` with `-keylogfile`. Whoever has them can decrypt the sessions: pass them
//! on only with traces whose payload may be seen.
//!
//! Only short records are decrypted, and only to see whether they are alerts. That takes TLS 1.3 or the AEAD
//! cipher suites of TLS 1.2: AES-GCM and ChaCha20-Poly1305. The handshake must be in the trace. Alerts stay
//! without a name with CBC suites and AES-CCM, after a renegotiation, where they are padded to more than 80
//! bytes, and behind a gap of more than 4096 records.

#[cfg(feature = "secrets")]
pub(crate) mod cipher;
#[cfg(feature = "secrets")]
mod key_log;

#[cfg(feature = "secrets")]
pub(crate) use key_log::{Label, SessionSecrets};
#[cfg(feature = "secrets")]
pub use key_log::{LineProblem, Secrets, SecretsError};

/// Secrets of TLS sessions. The feature `secrets` reads them; without it there are none.
#[cfg(not(feature = "secrets"))]
#[derive(Debug)]
pub enum Secrets {}
