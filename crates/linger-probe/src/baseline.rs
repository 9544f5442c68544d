//! The JSON report of an earlier run. Rows that failed then do not count now.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::Error;
use crate::model::gate::{Comparison, Place};
use crate::model::{SCHEMA_VERSION, TargetReport, Verdict};

/// The part of an earlier run that is compared.
#[derive(Debug, Clone)]
pub struct Baseline {
    file: String,
    targets: Vec<Then>,
}

#[derive(Debug, Clone, Deserialize)]
struct File {
    schema_version: u32,
    targets: Vec<Then>,
}

#[derive(Debug, Clone, Deserialize)]
struct Then {
    name: String,
    rows: Vec<RowThen>,
}

#[derive(Debug, Clone, Deserialize)]
struct RowThen {
    scenario: String,
    verdict: VerdictThen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VerdictThen {
    Fail,
    #[serde(other)]
    Other,
}

impl Baseline {
    /// Reads the file that `--baseline` names.
    ///
    /// # Errors
    /// The file cannot be read, is not a JSON report of this probe, or has another schema version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |why: String| Error::File { option: "--baseline", path: path.to_owned(), why };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let found: File = serde_json::from_str(&text).map_err(|error| {
            wrong(format!("this is not a report of `linger-probe check --format json` ({error})"))
        })?;
        match found.schema_version {
            SCHEMA_VERSION => Ok(Self { file: path.display().to_string(), targets: found.targets }),
            other => Err(wrong(format!(
                "its schema version is {other}, and this version reads {SCHEMA_VERSION}: make a new baseline"
            ))),
        }
    }

    /// The failures that are new, known and healed since the earlier run. Servers are matched by name, but if
    /// both runs have one server each, these two are compared.
    #[must_use]
    pub fn compare(&self, now: &[TargetReport]) -> Comparison {
        let mut comparison = Comparison { file: self.file.clone(), ..Comparison::default() };
        for target in now {
            let failed_then: BTreeSet<&str> = self.failures(target, now.len() == 1).collect();
            for row in &target.rows {
                let list = match (row.verdict, failed_then.contains(row.scenario)) {
                    (Verdict::Fail, true) => &mut comparison.known,
                    (Verdict::Fail, false) => &mut comparison.new,
                    (Verdict::Pass | Verdict::PassOnLinux, true) => &mut comparison.healed,
                    (Verdict::Pass | Verdict::PassOnLinux, false) | (Verdict::NotApplicable, _) => continue,
                };
                list.push(Place { target: target.name.clone(), scenario: row.scenario.to_owned() });
            }
        }
        comparison
    }

    fn failures<'a>(&'a self, target: &TargetReport, is_only: bool) -> impl Iterator<Item = &'a str> {
        let then = match self.targets.as_slice() {
            [only] if is_only => Some(only),
            several => several.iter().find(|then| then.name == target.name),
        };
        let rows = then.map(|then| then.rows.as_slice()).unwrap_or_default();
        rows.iter().filter(|row| row.verdict == VerdictThen::Fail).map(|row| row.scenario.as_str())
    }
}
