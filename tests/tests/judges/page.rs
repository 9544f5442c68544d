//! The tables of docs/clients.md. Each test renders one of them.
//!
//! A cell counts the tries in which the client got what it has to get. What is compared: with the layer, all
//! tries have to succeed. Without it the counts vary. Of the cells that say "0 of n" on the page, at least
//! half have to lose something again; other counts are not compared.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};

use nix::fcntl::{Flock, FlockArg};

use super::server::Kind;

/// So many of so many tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) good: usize,
    pub(crate) tries: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.good, self.tries)
    }
}

/// What was seen of one server; nothing where the client cannot ask it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) count: Option<Count>,
}

/// A table, whose first column names the rows.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in the page's comments.
    pub(crate) name: &'static str,
    /// The heads of all columns.
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<Cell>)>,
}

impl Table {
    /// Compares it with the page, or writes it there.
    ///
    /// # Panics
    ///
    /// If a try with the layer failed; if nothing at all was lost without it, because such a table shows
    /// nothing; if it disagrees with the page, without `UPDATE=1`.
    #[track_caller]
    pub(crate) fn check(&self) {
        let rendered = self.to_string();
        // Shown if the test fails, or with `--nocapture`.
        println!("{}:\n{rendered}", self.name);
        let counts = |kind| {
            let cells = self.rows.iter().flat_map(|(_, cells)| cells);
            cells.filter(move |cell| cell.kind == kind).filter_map(|cell| cell.count)
        };
        let failed = self.rows.iter().filter(|(_, cells)| cells.iter().any(Cell::has_failed));
        let failed: Vec<&str> = failed.map(|(name, _)| name.as_str()).collect();
        assert!(failed.is_empty(), "with the layer some tries failed: {failed:?}");
        assert!(counts(Kind::Layered).next().is_some(), "nothing was tried");
        assert!(
            counts(Kind::Bare).any(|count| count.good < count.tries),
            "without the layer nothing is lost"
        );
        let mut page = Page::locked();
        if std::env::var_os("UPDATE").is_some() {
            page.replace(self.name, &rendered);
        } else {
            self.agrees_with(page.section(self.name));
        }
    }

    #[track_caller]
    fn agrees_with(&self, section: &str) {
        const ADVICE: &str = "run with UPDATE=1 if this is meant";
        let lines: Vec<Vec<&str>> = section.lines().filter_map(cells).collect();
        let (head, rows) = (lines.first(), lines.get(2..).unwrap_or_default());
        assert_eq!(head.map(Vec::as_slice), Some(&as_text(&self.heads)[..]), "{}: {ADVICE}", self.name);
        assert_eq!(rows.len(), self.rows.len(), "{}: the page has other rows: {ADVICE}", self.name);
        let (mut hopeless, mut lost_again) = (0, 0);
        for (said, (name, seen)) in rows.iter().zip(&self.rows) {
            assert_eq!(said[0], name, "{}: {ADVICE}", self.name);
            for (said, cell) in said[1..].iter().zip(seen) {
                if cell.kind == Kind::Bare && said.starts_with("0 of ") {
                    hopeless += 1;
                    lost_again += usize::from(cell.count.is_some_and(|count| count.good < count.tries));
                }
                assert!(
                    cell.agrees(said),
                    "{}: {name}: {cell}, but the page says {said}: {ADVICE}",
                    self.name
                );
            }
        }
        let name = self.name;
        assert!(lost_again >= hopeless / 2, "{name}: only {lost_again} of {hopeless} cells lose again");
    }
}

impl Cell {
    fn has_failed(&self) -> bool {
        self.kind == Kind::Layered && self.count.is_some_and(|count| count.good != count.tries)
    }

    fn agrees(&self, said: &str) -> bool {
        match self.count {
            Some(count) if self.kind == Kind::Bare => {
                said.split_once(" of ").is_some_and(|(_, tries)| tries == count.tries.to_string())
            }
            Some(_) | None => self.to_string() == said,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            Some(count) => write!(f, "{count}"),
            None => write!(f, "–"),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |\n|{}", self.heads.join(" | "), "---|".repeat(self.heads.len()))?;
        for (name, cells) in &self.rows {
            let cells: Vec<String> = cells.iter().map(Cell::to_string).collect();
            writeln!(f, "| {name} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

fn as_text(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// The page, which no other test writes meanwhile: they run at the same time, each in its own process.
struct Page {
    file: Flock<File>,
    text: String,
}

impl Page {
    fn locked() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/clients.md");
        let file = OpenOptions::new().read(true).write(true).open(path).expect("docs/clients.md");
        let mut file =
            Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).expect("a lock");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("docs/clients.md");
        Self { file, text }
    }

    /// Where a table begins and ends.
    fn place(&self, name: &str) -> (usize, usize) {
        let begin = format!("<!-- begin: {name}, rendered by tests/tests/judges -->\n");
        let at = self.text.find(&begin).unwrap_or_else(|| panic!("docs/clients.md has no `{begin}`"));
        let at = at + begin.len();
        let length = self.text[at..].find("<!-- end -->").expect("the end of a table");
        (at, at + length)
    }

    fn section(&self, name: &str) -> &str {
        let (begin, end) = self.place(name);
        &self.text[begin..end]
    }

    fn replace(&mut self, name: &str, table: &str) {
        let (begin, end) = self.place(name);
        self.text.replace_range(begin..end, table);
        self.file.set_len(0).expect("docs/clients.md");
        self.file.rewind().expect("docs/clients.md");
        self.file.write_all(self.text.as_bytes()).expect("docs/clients.md");
    }
}
