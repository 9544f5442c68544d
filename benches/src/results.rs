//! Rows of the table and points of the plots. They are kept in `benches/results`, so that `table` can write
//! the table and the plots without running the benches again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// What one bench found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// The name of the bench, and of its file in `benches/results`.
    pub bench: String,
    /// The day of the run, as `2026-11-24`.
    pub date: String,
    /// The number of cores and the system.
    pub machine: String,
    /// In the order of the table.
    pub rows: Vec<Row>,
    /// Curves for the plots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
}

/// One figure.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// What was measured, in a few words.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// The least and the most of several runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<(f64, f64)>,
    /// Its unit; `×` for a ratio.
    pub unit: String,
    /// The bound that the figure is meant to meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// A bound that a figure is meant to meet.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

/// A curve of a plot.
#[derive(Debug, Serialize, Deserialize)]
pub struct Series {
    /// The title of the plot that it belongs to.
    pub plot: String,
    /// Its name in the legend.
    pub name: String,
    /// x and y of each point.
    pub points: Vec<(f64, f64)>,
}

impl Row {
    /// A figure that has no bound.
    #[must_use]
    pub fn new(what: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { what: what.into(), value, spread: None, unit: unit.into(), bound: None }
    }

    /// The median of several runs, with the least and the most of them.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn of_runs(what: impl Into<String>, runs: &[f64], unit: &str) -> Self {
        let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let median = median(runs.iter().copied());
        Self { spread: Some((least, most)), ..Self::new(what, median, unit) }
    }

    /// The figure, and its spread if it has one.
    #[must_use]
    pub fn shown(&self) -> String {
        let value = figure(self.value);
        match self.spread {
            Some((least, most)) => format!("{value} ({}–{})", figure(least), figure(most)),
            None => value,
        }
    }

    /// Adds a bound.
    #[must_use]
    pub fn bounded(mut self, bound: Bound) -> Self {
        self.bound = Some(bound);
        self
    }

    /// Whether it meets its bound; `None` where there is none.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        self.bound.map(|bound| match bound {
            Bound::AtMost(most) => self.value <= most,
            Bound::AtLeast(least) => self.value >= least,
        })
    }
}

impl Results {
    /// What this bench found, with today's date and this machine.
    #[must_use]
    pub fn new(bench: &str, rows: Vec<Row>) -> Self {
        // Some benches run on a part of them.
        let machine = format!("{} cores, {}", said_by("nproc", &["--all"]), said_by("uname", &["-srm"]));
        let date = said_by("date", &["+%F"]);
        Self { bench: bench.into(), date, machine, rows, series: Vec::new() }
    }

    /// Adds a curve.
    #[must_use]
    pub fn with(mut self, plot: &str, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.series.push(Series { plot: plot.into(), name: name.into(), points });
        self
    }

    /// Prints the rows, and under `cargo bench` also keeps them for the table. Under `cargo test --benches`
    /// the benches do only enough work to show that they run, so their figures mean nothing. For `make gates`
    /// it prints everything in one line, as JSON.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn tell(&self) {
        if is_gate() {
            return println!("{}", serde_json::to_string(self).expect("strings and numbers"));
        }
        self.print();
        if is_bench() {
            let text = serde_json::to_string_pretty(self).expect("strings and numbers");
            fs::write(folder().join(&self.bench).with_extension("json"), text + "\n")
                .expect("a folder of ours");
        }
    }

    /// Prints the rows.
    pub fn print(&self) {
        for row in &self.rows {
            println!("{:72} {:>12} {}", row.what, row.shown(), row.unit);
        }
    }

    /// What this bench found in its last run, if it has run and keeps its results.
    #[must_use]
    pub fn read(bench: &str) -> Option<Self> {
        let text = fs::read_to_string(folder().join(bench).with_extension("json")).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// Whether this runs under `cargo bench`, not under `cargo test --benches`.
#[must_use]
pub fn is_bench() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// Whether `make gates` runs this, for counts that do not depend on how well the compiler optimises.
#[must_use]
pub fn is_gate() -> bool {
    std::env::args().any(|arg| arg == "--gate")
}

/// Formats a figure with its significant digits.
#[must_use]
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size < 0.01 && size > 0.0 => format!("{value:.6}"),
        _ => format!("{value:.3}"),
    }
}

/// The median; of an even number of values, the lower of the two in the middle.
///
/// # Panics
///
/// If there are none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results")
}

fn said_by(program: &str, args: &[&str]) -> String {
    let said = Command::new(program).args(args).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}
