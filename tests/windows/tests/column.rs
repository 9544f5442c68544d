//! The column of Windows in the table of systems in docs/stacks.md is what the tests of `endings` saw.
//! `make windows` runs this after them; `ENDINGS_ROW` names their file, which has a property and a cell in
//! each line.
//!
//! After an intended change: `UPDATE=1 make windows`.

use std::{env, fs};

#[path = "../../src/systems.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is of tower-linger-tests, which needs all of it")]
mod systems;

use systems::{Cell, Property};

#[test]
fn the_column_of_windows_is_what_its_tests_saw() {
    let seen = env::var("ENDINGS_ROW").expect("make windows sets it");
    let seen = fs::read_to_string(seen).expect("what the tests saw");
    // What they did not look at is the portable code's.
    let mut cells = systems::column("portable");
    cells.values_mut().filter(|cell| **cell == Cell::Yes).for_each(|cell| *cell = Cell::Checked);
    // A process has no such limit there.
    cells.insert(Property::DescriptorLimit, Cell::No);
    for line in seen.lines() {
        let (name, word) = line.split_once(": ").expect("a property and a cell");
        let property = Property::named(name).unwrap_or_else(|| panic!("no property {name:?}"));
        if let Some(cell) = Cell::named(word) {
            cells.insert(property, cell);
        }
    }
    cells.insert(Property::Builds, Cell::Yes);
    systems::compare("Windows", &cells);
}
