//! The benches are beside this file's folder; there is no library. Run them with `cargo bench -p tower-linger-benches`.
