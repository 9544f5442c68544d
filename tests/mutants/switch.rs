//! Which mutant runs: tests/mutants adds this file to a copy of linger-proto. It is not part of the crate.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// More than there are functions.
static REACHED: [AtomicBool; 4096] = [const { AtomicBool::new(false) }; 4096];
static CHOSEN: OnceLock<usize> = OnceLock::new();

/// The mutant that the environment names, or 0. Each function of the copy asks, with a number of its own.
pub fn chosen(function: usize) -> usize {
    if !REACHED[function].load(Ordering::Relaxed) && !REACHED[function].swap(true, Ordering::Relaxed) {
        note(function);
    }
    *CHOSEN.get_or_init(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// Lines of a few bytes, which the kernel appends whole: tests have processes of their own.
fn note(function: usize) {
    if let Some(path) = std::env::var_os("MUTANTS_REACHED") {
        if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
            let _ = file.write_all(format!("{function}\n").as_bytes());
        }
    }
}
