//! What everybody compiles who depends on tower-linger.

use std::collections::BTreeMap;
use std::process::Command;

use crate::{read, repository};

/// One row of the table of docs/dependencies.md, or one crate as cargo tells it.
#[derive(Debug, PartialEq)]
struct Entry {
    series: String,
    licence: String,
}

/// cargo tells what the build of this system takes. So that is looked up in the table; only where all rows
/// are for this system can a row be one too many.
#[test]
fn every_default_dependency_has_its_reason_in_docs_dependencies() {
    let (compiled, table) = (compiled(), table());
    let mut wrong = Vec::new();
    for (name, entry) in &compiled {
        match table.get(name) {
            None => wrong.push(format!("`{name}` has no row that says why it is needed: {entry:?}")),
            Some(row) if row != entry => {
                wrong.push(format!("`{name}` is {entry:?}, and its row says {row:?}"));
            }
            Some(_) => {}
        }
    }
    if cfg!(target_os = "linux") {
        let windows = ["windows-link", "windows-sys"];
        let unused = table
            .keys()
            .filter(|name| !compiled.contains_key(name.as_str()) && !windows.contains(&name.as_str()));
        wrong.extend(unused.map(|name| format!("`{name}` has a row, and is not a default dependency")));
    }
    assert!(compiled.len() > 8, "cargo names only {compiled:?}");
    assert!(wrong.is_empty(), "docs/dependencies.md is wrong:\n{}", wrong.join("\n"));
}

/// What a build of tower-linger without features compiles, build scripts' dependencies included.
fn compiled() -> BTreeMap<String, Entry> {
    // Offline: all of this has been downloaded to build this test.
    let arguments =
        ["tree", "-p", "tower-linger", "-e", "normal,build", "--prefix", "none", "--offline", "--locked"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--format", "{p}|{l}"])
        .current_dir(repository())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let crates = text.lines().filter(|line| !line.starts_with("tower-linger ")).map(|line| {
        let (package, licence) = line.split_once('|').expect("a licence");
        let mut words = package.split(' ');
        let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
        let licence = licence.trim_end_matches(" (*)").to_owned();
        (name.to_owned(), Entry { series: series(version.trim_start_matches('v')), licence })
    });
    crates.collect()
}

/// The part of a version that says what it is compatible with.
fn series(version: &str) -> String {
    let (major, rest) = version.split_once('.').expect("a version");
    match major {
        "0" => format!("0.{}", rest.split('.').next().expect("a minor version")),
        _ => major.to_owned(),
    }
}

/// The rows `| crate | series | licence | why |`.
fn table() -> BTreeMap<String, Entry> {
    let page = read(&repository().join("docs/dependencies.md"));
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect();
        let [name, series, licence, why] = cells[..] else { return None };
        assert!(why.len() > 20, "{name}: why?");
        let name = name.trim_end_matches('`').to_owned();
        Some((name, Entry { series: series.to_owned(), licence: licence.to_owned() }))
    });
    rows.collect()
}
