//! The features of tower-linger.

use crate::{read, repository};

/// cargo-hack tries each feature, so nothing else keeps a list of them but these two.
#[test]
fn every_feature_is_part_of_full_and_in_the_table_of_the_documentation() {
    let package = repository().join("crates/tower-linger");
    let manifest = read(&package.join("Cargo.toml"));
    let section = manifest.split("\n[").find_map(|section| section.strip_prefix("features]\n"));
    let features: Vec<(&str, &str)> =
        section.expect("features").lines().filter_map(|line| line.split_once(" = ")).collect();
    let (_, full) = features.iter().find(|(name, _)| *name == "full").expect("`full`");
    let documentation = read(&package.join("src/lib.rs"));
    let missing: Vec<_> = features
        .iter()
        .filter(|(name, _)| !["default", "full"].contains(name))
        .flat_map(|(name, _)| {
            let of_full = (!full.contains(&format!("\"{name}\""))).then(|| format!("{name}: `full`"));
            let row = format!("//! | `{name}` |");
            let of_table = (!documentation.contains(&row)).then(|| format!("{name}: table in lib.rs"));
            of_full.into_iter().chain(of_table)
        })
        .collect();
    assert!(features.len() > 2 && missing.is_empty(), "features that are not listed: {missing:#?}");
}

/// A program that uses the probe as a library does not compile what only its command needs.
#[test]
fn the_library_of_the_probe_needs_no_package_of_its_command() {
    let manifest = read(&repository().join("crates/linger-probe/Cargo.toml"));
    let sections = manifest.split("\n[").filter_map(|section| section.strip_prefix("dependencies]\n"));
    let dependencies: String = sections.collect();
    for package in ["axum", "clap", "comfy-table", "indicatif", "maud", "reqwest", "tower-linger"] {
        let mut lines = dependencies.lines();
        let line = lines.find(|line| line.split([' ', '.']).next() == Some(package)).expect(package);
        assert!(line.contains("optional = true"), "{line}");
    }
}
