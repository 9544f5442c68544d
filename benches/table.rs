//! Prints what the other benches found in their last run, and writes the table in README.md and the plots in
//! `docs/` from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use tower_linger_benches::results::{Bound, Results, Row, figure, is_bench};

#[path = "table/plots.rs"]
mod plots;

fn main() {
    let found: Vec<Results> = benches().filter_map(Results::read).collect();
    for results in &found {
        println!("\n{}, {}, {}", results.bench, results.date, results.machine);
        println!("{}", table(results));
    }
    let bounded = || found.iter().flat_map(|results| &results.rows).filter_map(Row::is_met);
    let (met, all) = (bounded().filter(|met| *met).count(), bounded().count());
    println!("\n{met} of {all} figures with a bound meet it; README.md says why the others do not.");
    assert_explained(&found);
    if is_bench() {
        write_readme(&found);
        plots::draw(&found, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs"));
    }
}

/// The names of the benches, in the order of Cargo.toml, after the one that is a package of its own.
fn benches() -> impl Iterator<Item = &'static str> {
    let manifest = include_str!("Cargo.toml");
    let others =
        manifest.lines().filter_map(|line| line.trim().strip_prefix("{ name = \"")?.split('"').next());
    std::iter::once("counts").chain(others)
}

fn table(results: &Results) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(["", "before", "measured", "", "bound", ""]);
    let known = before();
    for row in &results.rows {
        let before = known.get(&row.what).map_or(String::new(), |before| figure(*before));
        let bound = bound(row);
        let verdict = match row.is_met() {
            None => "",
            Some(true) => "met",
            Some(false) => "not met",
        };
        table.add_row([&row.what, &before, &row.shown(), &row.unit, &bound, verdict]);
    }
    for column in [1, 2, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What the rows had in the week before, by name: before a close that need not wait did not.
fn before() -> BTreeMap<String, f64> {
    serde_json::from_str(include_str!("before.json")).expect("names and numbers")
}

fn bound(row: &Row) -> String {
    row.bound.map_or(String::new(), |bound| match bound {
        Bound::AtMost(most) => format!("≤ {most}"),
        Bound::AtLeast(least) => format!("≥ {least}"),
    })
}

/// Writes the rows that have a bound into README.md.
fn write_readme(found: &[Results]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).expect("beside this");
    let known = before();
    let (before, rest) = readme.split_once(BEGIN).expect("its mark");
    let (_, after) = rest.split_once(END).expect("its mark");
    let mut lines = vec!["| | | before | measured | bound | |\n|---|---|---|---|---|---|".to_owned()];
    for results in found {
        for row in results.rows.iter().filter(|row| row.bound.is_some()) {
            let verdict = if row.is_met() == Some(true) { "met" } else { "**not reached**" };
            let (what, value, bound) = (&row.what, row.shown(), bound(row));
            let (bench, unit) = (&results.bench, &row.unit);
            let before = known.get(what).map_or(String::new(), |before| figure(*before));
            lines.push(format!("| `{bench}` | {what} | {before} | {value} {unit} | {bound} | {verdict} |"));
        }
    }
    let days: BTreeSet<_> =
        found.iter().map(|results| format!("{}, {}", results.date, results.machine)).collect();
    lines.push(format!("\nMeasured: {}.", days.into_iter().collect::<Vec<_>>().join("; ")));
    fs::write(path, format!("{before}{BEGIN}\n{}\n{END}{after}", lines.join("\n"))).expect("a file of ours");
}

const BEGIN: &str = "<!-- `make table` writes this -->\n";
const END: &str = "<!-- to here -->\n";

/// Panics unless README.md says, in a bench's section, why the bench misses a bound.
fn assert_explained(found: &[Results]) {
    let readme = include_str!("README.md");
    for results in found {
        let misses = results.rows.iter().any(|row| row.is_met() == Some(false));
        let section =
            readme.split("\n## ").find(|section| section.starts_with(&format!("`{}`", results.bench)));
        let explains = section.is_some_and(|section| section.contains("**Not reached"));
        assert!(
            !misses || explains,
            "{} misses a bound, and README.md has no “Not reached” in its section",
            results.bench
        );
    }
}
