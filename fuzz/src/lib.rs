//! What the fuzz targets do with their inputs.

pub mod capture;
pub mod hook;
pub mod machine;
pub mod policy;
pub mod probe;
pub mod rendered;
pub mod report;
pub mod settings;
pub mod tail;
