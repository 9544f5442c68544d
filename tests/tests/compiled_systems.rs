//! Columns of the table of systems that are only compiled: `make targets` runs this after `cargo check`,
//! whose messages `COMPILED` names. What a system does with a socket is chosen by file (`transport/sys/`),
//! and the compiler says which files it has read. So a system does what the system does that was tested
//! with the same files; but nobody has seen it.
//!
//! After an intended change: `UPDATE=1 make targets`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tower_linger_tests::systems::{Cell, Column, Property, column, compare};

/// The targets, and their columns.
const TARGETS: [(&str, &str); 6] = [
    ("aarch64-apple-darwin", "macOS"),
    ("x86_64-unknown-freebsd", "FreeBSD"),
    ("x86_64-unknown-netbsd", "NetBSD"),
    ("x86_64-unknown-illumos", "illumos"),
    ("aarch64-linux-android", "Android"),
    ("s390x-unknown-linux-gnu", "s390x"),
];

#[test]
fn each_column_is_that_of_the_tested_system_with_the_same_files() {
    let messages = std::env::var("COMPILED").expect("make targets sets it");
    let messages = fs::read_to_string(messages).expect("cargo's messages");
    let compiled: BTreeMap<String, Vec<String>> = messages.lines().filter_map(artifact).collect();
    for (triple, system) in TARGETS {
        let files = compiled.get(triple).unwrap_or_else(|| panic!("{triple} was not compiled"));
        compare(system, &of_files(files));
    }
}

/// The target that a message tells of, and the names of its files of `transport/sys`.
fn artifact(message: &str) -> Option<(String, Vec<String>)> {
    let message: serde_json::Value = serde_json::from_str(message).expect("JSON");
    if message["reason"] != "compiler-artifact" || message["target"]["name"] != "tower_linger" {
        return None;
    }
    // TARGET/debug/deps/libtower_linger-HASH.rmeta
    let artifact = PathBuf::from(message["filenames"][0].as_str().expect("a file"));
    let triple = artifact.ancestors().nth(3)?.file_name()?.to_str()?.to_owned();
    let stem = artifact.file_stem()?.to_str()?.strip_prefix("lib")?;
    let listed = fs::read_to_string(artifact.with_file_name(format!("{stem}.d"))).expect("rustc writes it");
    // Make's syntax: `output: file file …`.
    let files = listed.lines().next()?.split_whitespace().map(Path::new);
    let files = files.filter(|file| file.parent().is_some_and(|folder| folder.ends_with("transport/sys")));
    Some((triple, files.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect()))
}

fn of_files(files: &[String]) -> Column {
    let has = |name: &str| files.iter().any(|file| file == name);
    assert!(has("unix.rs"), "descriptors and signals are Unix's: {files:?}");
    let tested = match (has("linux.rs"), has("portable.rs")) {
        (true, false) => "Linux",
        (false, true) => "portable",
        _ => panic!("one of both: {files:?}"),
    };
    let mut cells = unseen(column(tested));
    cells.insert(Property::Builds, Cell::Yes);
    if has("apple.rs") {
        cells.insert(Property::Unacked, Cell::Checked);
    }
    cells
}

/// What was seen on another system.
fn unseen(column: Column) -> Column {
    let unseen = |cell| if cell == Cell::Yes { Cell::Checked } else { cell };
    column.into_iter().map(|(property, cell)| (property, unseen(cell))).collect()
}
