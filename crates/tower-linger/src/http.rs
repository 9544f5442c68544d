//! Layers around the service of requests. They know what a connection alone does not show: which requests
//! are unanswered, and how a response is framed.

mod discard;
pub(crate) mod notice;
mod request_body;
mod request_future;
mod request_layer;
mod response_body;
mod watch;
mod watched;

pub use notice::{Notice, NoticeFuture, NoticeLayer};
pub use request_body::RequestBody;
#[cfg(any(feature = "poem", feature = "salvo"))]
pub(crate) use request_future::Begun;
pub use request_future::RequestFuture;
pub use request_layer::{RequestLayer, Requests};
pub use response_body::ResponseBody;
pub use watched::{Watched, WatchedFuture};
