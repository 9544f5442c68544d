//! The options of a run, as a report shows them.

use std::time::Duration;

use serde::Serialize;

use super::some_milliseconds;
use crate::target::Options;

/// How the servers were checked. It has the names of header fields without their values: others may read the
/// report, and a value may be a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsedOptions {
    /// The method of uploads.
    pub method: String,
    /// The names of the header fields that were added to each request.
    pub header_names: Vec<String>,
    /// The size of large uploads.
    pub upload_bytes: u64,
    /// A path whose response is larger than the sockets' buffers.
    pub large_path: Option<String>,
    /// A path that accepts a WebSocket.
    pub websocket_path: Option<String>,
    /// How often each scenario was tried.
    pub repetitions: u32,
    /// How long the probe waited for a connection, for a response, and for the end after it, each.
    #[serde(serialize_with = "some_milliseconds", rename = "timeout_ms")]
    pub timeout: Duration,
    /// How long the whole check of a server was allowed to take.
    #[serde(serialize_with = "some_milliseconds", rename = "deadline_ms")]
    pub deadline: Duration,
    /// How long the probe waited for the end of an idle connection.
    #[serde(serialize_with = "some_milliseconds", rename = "idle_timeout_ms")]
    pub idle_timeout: Duration,
    /// How long a server was allowed to keep its socket for a client that has received everything and does
    /// not close.
    #[serde(serialize_with = "some_milliseconds", rename = "release_timeout_ms")]
    pub release_timeout: Duration,
    /// Whether ladders were made from packets.
    pub wire: bool,
}

impl From<&Options> for UsedOptions {
    fn from(options: &Options) -> Self {
        let name = |header: &String| header.split(':').next().unwrap_or_default().to_owned();
        Self {
            method: options.method.clone(),
            header_names: options.headers.iter().map(name).collect(),
            upload_bytes: options.upload_bytes,
            large_path: options.large_path.clone(),
            websocket_path: options.websocket_path.clone(),
            repetitions: options.repetitions,
            timeout: options.timeout,
            deadline: options.deadline,
            idle_timeout: options.idle_timeout,
            release_timeout: options.release_timeout,
            wire: options.wire,
        }
    }
}
