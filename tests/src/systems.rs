//! The table of systems in docs/stacks.md. Each run that can see a system fills in its own column, or fails
//! if it sees something else than the table says. With `UPDATE=1` it writes the column.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The columns. What fills each of them stands below the table.
pub const SYSTEMS: [&str; 11] = [
    "Linux", "i686", "musl", "portable", "Windows", "macOS", "FreeBSD", "NetBSD", "illumos", "Android",
    "s390x",
];

/// The rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each has a name, which the table shows")]
pub enum Property {
    Builds,
    Delivery,
    HalfClose,
    Abort,
    DrainBounds,
    Summary,
    CloseNotify,
    Signals,
    DescriptorLimit,
    WithoutCopying,
    Unacked,
    OneSegment,
    LowWater,
    EarlyRelease,
    OrphanBound,
    QuietAccept,
}

impl Property {
    /// All, in the order of the table.
    pub const ALL: [Self; 16] = [
        Self::Builds,
        Self::Delivery,
        Self::HalfClose,
        Self::Abort,
        Self::DrainBounds,
        Self::Summary,
        Self::CloseNotify,
        Self::Signals,
        Self::DescriptorLimit,
        Self::WithoutCopying,
        Self::Unacked,
        Self::OneSegment,
        Self::LowWater,
        Self::EarlyRelease,
        Self::OrphanBound,
        Self::QuietAccept,
    ];

    /// The property of this name, with or without marks of code.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|property| property.name().replace('`', "") == name.replace('`', ""))
    }

    /// As the table has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Builds => "builds",
            Self::Delivery => "delivery of the last response",
            Self::HalfClose => "half-close",
            Self::Abort => "abort by a reset",
            Self::DrainBounds => "drain bounds",
            Self::Summary => "shutdown summary",
            Self::CloseNotify => "TLS `close_notify`",
            Self::Signals => "signals",
            Self::DescriptorLimit => "limit from descriptors",
            Self::WithoutCopying => "discard without copying",
            Self::Unacked => "`unacked`",
            Self::OneSegment => "alert and FIN in one segment",
            Self::LowWater => "low-water mark",
            Self::EarlyRelease => "`early_release`",
            Self::OrphanBound => "orphan bound",
            Self::QuietAccept => "quiet accept",
        }
    }
}

/// Whether a system does something. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// A test saw it.
    Yes,
    /// The code that does it elsewhere is compiled for this system.
    Checked,
    /// It does not.
    No,
}

impl Cell {
    const ALL: [Self; 3] = [Self::Yes, Self::Checked, Self::No];

    /// Of a test that looked.
    #[must_use]
    pub fn seen(does: bool) -> Self {
        if does { Self::Yes } else { Self::No }
    }

    /// The cell of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cell| cell.word() == word)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Checked => "checked",
            Self::No => "no",
        }
    }
}

/// What a system does.
pub type Column = BTreeMap<Property, Cell>;

const BEGIN: &str = "<!-- begin: rendered by tests/src/systems.rs -->\n";
const END: &str = "<!-- end -->";

/// What the table says of a system. A cell that was never filled in is missing.
///
/// # Panics
///
/// If there is no such table, or no such column.
#[must_use]
pub fn column(system: &str) -> Column {
    let (before, document) = read();
    parse(&document[before..]).remove(system).unwrap_or_else(|| panic!("no column {system:?}"))
}

/// Compares what was seen of a system with the table, or writes it there.
///
/// # Panics
///
/// If they differ, without `UPDATE=1`.
#[track_caller]
pub fn compare(system: &str, seen: &Column) {
    assert!(SYSTEMS.contains(&system), "{system}");
    let (before, document) = read();
    let table = &document[before..];
    let mut columns = parse(table);
    columns.insert(system.to_owned(), seen.clone());
    let rendered = render(&columns);
    let length = table.find(END).expect("the table's end");
    if std::env::var_os("UPDATE").is_some() {
        let updated = format!("{}{rendered}{}", &document[..before], &table[length..]);
        std::fs::write(path(), updated).expect("docs/stacks.md");
    } else {
        assert_eq!(rendered, table[..length], "{system}: run with UPDATE=1 if this is meant");
    }
}

/// Of the repository: tests/windows has this module, too.
fn path() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let pages = above.map(|folder| folder.join("docs/stacks.md"));
    pages.into_iter().find(|page| page.exists()).expect("docs/stacks.md")
}

/// The page, and where the table begins in it.
fn read() -> (usize, String) {
    let document = std::fs::read_to_string(path()).expect("docs/stacks.md");
    let before = document.find(BEGIN).expect("the table's beginning") + BEGIN.len();
    (before, document)
}

fn parse(table: &str) -> BTreeMap<String, Column> {
    let mut columns: BTreeMap<_, _> = SYSTEMS.map(|system| (system.to_owned(), Column::new())).into();
    let mut heads: Vec<String> = Vec::new();
    for line in table.lines().take_while(|line| *line != END) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if heads.is_empty() {
            heads = cells.iter().map(|&cell| cell.to_owned()).collect();
        }
        let Some(property) = Property::named(cells[0]) else { continue };
        for (head, word) in heads.iter().zip(cells).skip(1) {
            if let (Some(column), Some(cell)) = (columns.get_mut(head), Cell::named(word)) {
                column.insert(property, cell);
            }
        }
    }
    columns
}

fn render(columns: &BTreeMap<String, Column>) -> String {
    let mut table = format!("| | {} |\n|---|{}\n", SYSTEMS.join(" | "), "---|".repeat(SYSTEMS.len()));
    for property in Property::ALL {
        let words = SYSTEMS.map(|system| columns[system].get(&property).map_or("–", |cell| cell.word()));
        writeln!(table, "| {} | {} |", property.name(), words.join(" | ")).expect("writes to a String");
    }
    table
}
