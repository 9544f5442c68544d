//! The server's row in the table of systems in docs/stacks.md, from what these tests have seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

/// In the table's order. Those that no test notes cannot be seen from a client.
const PROPERTIES: &[&str] = &[
    "delivery of the last response",
    "half-close",
    "abort by a reset",
    "drain bounds",
    "shutdown summary",
    "TLS close_notify",
    "signals",
    "limit from descriptors",
    "discard without copying",
    "unacked",
    "alert and FIN in one segment",
    "low-water mark",
    "early_release",
    "orphan bound",
    "quiet accept",
];

static SEEN: Mutex<BTreeMap<&str, bool>> = Mutex::new(BTreeMap::new());

/// Notes whether the server has this property, and writes the row anew to the file that `ENDINGS_ROW`
/// names. A property that several tests look at has to be seen by all of them.
pub(crate) fn note(property: &'static str, has: bool) {
    assert!(PROPERTIES.contains(&property), "{property:?} is not in the table");
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    *seen.entry(property).or_insert(true) &= has;
    let Some(path) = env::var_os("ENDINGS_ROW") else { return };
    let cell = |property| match seen.get(property) {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not asked",
    };
    let lines: Vec<_> = PROPERTIES.iter().map(|name| format!("{name}: {}\n", cell(name))).collect();
    fs::write(path, lines.concat()).expect("ENDINGS_ROW names a file that can be written");
}
