//! The option that draws ladders as pictures.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use linger_probe::model::Report;
use linger_probe::report::html;

use crate::command::CommandError;

#[derive(Debug, Args)]
pub(crate) struct PictureArgs {
    /// Also draws the ladder of each row (who sent what when) as an SVG picture, `SERVER.SCENARIO.svg` in
    /// this folder.
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    ladders: Option<PathBuf>,
}

impl PictureArgs {
    /// Checks that there is such a folder, before any server is contacted.
    pub(crate) fn prepare(&self) -> Result<(), CommandError> {
        self.ladders
            .as_deref()
            .map_or(Ok(()), |folder| fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error)))
    }

    pub(crate) fn draw(&self, report: &Report) -> Result<(), CommandError> {
        let Some(folder) = &self.ladders else { return Ok(()) };
        let mut taken = HashSet::new();
        for target in &report.targets {
            let mut server = file_name(&target.name);
            while !taken.insert(server.clone()) {
                server.push('_');
            }
            for row in &target.rows {
                let path = folder.join(format!("{server}.{}.svg", row.scenario));
                if let Some(svg) = html::picture(target, row) {
                    fs::write(&path, svg).map_err(|error| unwritable(&path, &error))?;
                }
            }
        }
        Ok(())
    }
}

/// The name with a `-` for each character that a file name should not have.
fn file_name(name: &str) -> String {
    name.chars().map(|it| if it.is_ascii_alphanumeric() || it == '.' { it } else { '-' }).collect()
}

fn unwritable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError(format!("--ladders {}: {error}", path.display()))
}
