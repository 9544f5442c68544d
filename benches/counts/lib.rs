//! The bench is `counts.rs`; `make counts` runs it.
