//! What the packets of a connection say of how it ended, against what was done to it.
//!
//! Many connections end at the same time, each at a port of its own, over IPv4 and over IPv6.

pub(super) mod closes;
mod forged;
mod icmp;
mod raw;
mod refused;
mod resets;
mod scene;
pub(super) mod silence;
pub(super) mod time_wait;
pub(super) mod tls;

pub(super) use self::forged::each_reset_of_a_middlebox_has_its_signs;
pub(super) use self::icmp::each_icmp_error_is_named;
pub(super) use self::refused::each_refusal_is_named;
pub(super) use self::resets::each_reset_has_its_cause;
