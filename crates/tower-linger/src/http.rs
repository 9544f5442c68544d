//! Layers of requests: what only somebody who sees requests and responses knows of a connection.

mod early_response;

pub use early_response::{EarlyResponse, EarlyResponseFuture, EarlyResponseLayer, WatchedBody};
