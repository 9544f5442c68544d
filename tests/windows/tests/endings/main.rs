//! How connections end, as a client sees it. The server is built for this system, unless `ENDINGS_SERVER`
//! names another command (words separated by spaces): `make windows` runs the Windows build under Wine.
//!
//! Each module is about one or two properties of the table of systems in docs/stacks.md, and notes what it
//! saw in [`row`].

mod bounds;
mod delivery;
mod half_close;
mod knowledge;
mod resets;
mod row;
#[cfg(target_os = "linux")]
mod segments;
mod server;
mod stop;
