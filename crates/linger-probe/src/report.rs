//! What a run found, written for a terminal, a build server or a colleague.

mod format;
pub mod html;
mod junit;
mod reading;
mod restart;
mod rows;
mod text;
mod words;

pub use format::{Format, WIDTH, line, render, render_wide};
pub use reading::{connection_line, render_reading, summary};
