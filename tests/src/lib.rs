//! Test support.

#[cfg(target_os = "linux")]
pub mod counters;
#[cfg(target_os = "linux")]
pub mod netns;
pub mod scripted;
#[cfg(target_os = "linux")]
pub mod wire;
