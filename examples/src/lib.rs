//! Runnable examples of tower-linger.
