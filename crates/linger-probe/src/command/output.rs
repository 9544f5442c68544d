//! The options for output: in which formats a result is written, and where.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use linger_probe::model::Report;
use linger_probe::read::model::Reading;
use linger_probe::report::{self, html, render_wide};

use super::{CommandError, print};

/// How a result is written.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// The format of the result on stdout.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
    /// Also writes the result as a page for a browser. The page needs no network.
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    report: Option<PathBuf>,
    /// When text has colours. `auto` means: on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto, help_heading = "Output")]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// `no_color` is the variable `NO_COLOR`, which is ignored if it is empty (<https://no-color.org>).
    fn is_wanted(self, is_terminal: bool, no_color: Option<&OsStr>) -> bool {
        match self {
            Self::Auto => is_terminal && no_color.is_none_or(OsStr::is_empty),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

impl OutputArgs {
    /// Checks that the page can be written, before any server is contacted.
    pub(crate) fn prepare(&self) -> Result<(), CommandError> {
        if let Some(path) = &self.report {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(|error| unwritable(path, &error))?;
        }
        Ok(())
    }

    /// Writes the result.
    pub(crate) fn tell(&self, report: &Report) -> Result<(), CommandError> {
        self.write(report, report::Format::Text)
    }

    /// Writes the result. The text format has one line for each server.
    pub(crate) fn tell_summary(&self, report: &Report) -> Result<(), CommandError> {
        self.write(report, report::Format::Summary)
    }

    /// Writes what was read of a trace. The page is written first, as for other results.
    pub(crate) fn tell_reading(&self, reading: &Reading) -> Result<(), CommandError> {
        self.write_page_of(reading)?;
        let (colours, width) = self.terminal();
        print(report::render_reading(reading, self.format(report::Format::Text), colours, width))
    }

    /// Writes the page of what was read of a trace, if that was asked for.
    pub(crate) fn write_page_of(&self, reading: &Reading) -> Result<(), CommandError> {
        match &self.report {
            Some(path) => {
                fs::write(path, html::reading_page(reading)).map_err(|error| unwritable(path, &error))
            }
            None => Ok(()),
        }
    }

    /// Whether the result on stdout is for people.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Whether the result on stdout is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether the result on stdout is for a build server.
    pub(crate) fn is_junit(&self) -> bool {
        self.format == Format::Junit
    }

    /// Whether stdout has colours, and its width.
    fn terminal(&self) -> (bool, u16) {
        let no_color = std::env::var_os("NO_COLOR");
        let colours = self.color.is_wanted(io::stdout().is_terminal(), no_color.as_deref());
        // The terminal's width, if stdout is a terminal.
        (colours, comfy_table::Table::new().width().unwrap_or(report::WIDTH))
    }

    fn format(&self, text: report::Format) -> report::Format {
        match self.format {
            Format::Text => text,
            Format::Json => report::Format::Json,
            Format::Junit => report::Format::Junit,
        }
    }

    /// The page is written first, so that a closed stdout cannot prevent it.
    fn write(&self, report: &Report, text: report::Format) -> Result<(), CommandError> {
        if let Some(path) = &self.report {
            fs::write(path, html::page(report)).map_err(|error| unwritable(path, &error))?;
        }
        // The error that follows says why there are no results.
        let is_empty = report.targets.is_empty() && report.load.is_empty() && report.restarts.is_empty();
        if self.format == Format::Text && is_empty {
            return Ok(());
        }
        let (colours, width) = self.terminal();
        print(render_wide(report, self.format(text), colours, width))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError(format!("--report {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_counts_if_it_is_set_and_not_empty() {
        let cases = [
            (Color::Auto, true, None, true),
            (Color::Auto, true, Some(""), true),
            (Color::Auto, true, Some("1"), false),
            (Color::Auto, true, Some("0"), false),
            (Color::Auto, false, None, false),
            (Color::Always, false, Some("1"), true),
            (Color::Never, true, None, false),
        ];
        for (color, is_terminal, no_color, wanted) in cases {
            let found = color.is_wanted(is_terminal, no_color.map(OsStr::new));
            assert_eq!(found, wanted, "{color:?} {is_terminal} {no_color:?}");
        }
    }
}
