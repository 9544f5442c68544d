//! The public API of each published crate, with all features. docs/api/ lists it, an item a line, so that a
//! review shows what a change does to it. `make api` runs this after rustdoc, and `JSON` names the folder of
//! rustdoc's JSON files. After an intended change: `UPDATE=1 make api`.
//!
//! Left out is what every type has from an `impl<T>` of another crate, and `Send` and the like: `make semver`
//! tells when it is lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use public_api::Builder;

const LISTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api");
const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");

#[test]
fn the_public_api_is_as_listed() {
    let json = PathBuf::from(std::env::var_os("JSON").expect("make api sets it"));
    let mut wrong = Vec::new();
    for name in crates() {
        let now = listing(&json.join(name.replace('-', "_")).with_extension("json"));
        assert!(now.lines().count() > 20, "{name} has hardly anything:\n{now}");
        let path = Path::new(LISTINGS).join(&name).with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &now).expect("docs/api");
        }
        let listed = fs::read_to_string(&path).unwrap_or_default();
        wrong.extend(difference(&listed, &now).map(|line| format!("{name}: {line}")));
    }
    assert!(wrong.is_empty(), "run with UPDATE=1 if this is meant:\n{}", wrong.join("\n"));
}

/// All in crates/ are published.
fn crates() -> BTreeSet<String> {
    let entries = fs::read_dir(CRATES).expect("crates/");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
}

fn listing(json: &Path) -> String {
    let api = Builder::from_rustdoc_json(json).omit_blanket_impls(true).omit_auto_trait_impls(true).build();
    let api = api.unwrap_or_else(|error| panic!("{}: {error}", json.display()));
    let lines: Vec<_> = api.items().map(ToString::to_string).collect();
    lines.join("\n") + "\n"
}

fn difference(listed: &str, now: &str) -> impl Iterator<Item = String> {
    let (listed, now): (BTreeSet<_>, BTreeSet<_>) = (listed.lines().collect(), now.lines().collect());
    let gone: Vec<_> = listed.difference(&now).map(|line| format!("- {line}")).collect();
    let new: Vec<_> = now.difference(&listed).map(|line| format!("+ {line}")).collect();
    gone.into_iter().chain(new)
}
