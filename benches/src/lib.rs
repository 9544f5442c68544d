//! Benches of tower-linger.
