//! A whole server in one call: `tower_linger::serve`.

mod answers;
mod ends;
mod errors;
mod http2;
mod limits;
mod queue;
mod scene;
mod workers;
