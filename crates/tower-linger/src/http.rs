//! Layers of requests: what only somebody who sees requests and responses knows of a connection.

mod discard;
mod request_body;
mod request_layer;
mod response_body;
mod watch;
mod watched;

pub use request_body::RequestBody;
pub use request_layer::{RequestFuture, RequestLayer, Requests};
pub use response_body::ResponseBody;
pub use watched::{Watched, WatchedFuture};
