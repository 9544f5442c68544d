//! How a connection is to end, by the result of its service.

use linger_proto::ClosePolicy;

/// How a connection is to end. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By what was seen of the connection: cleanly if it is idle, as a failure if it is busy or if nobody
    /// knows. See [`LingerIo`](crate::LingerIo#what-a-drop-means).
    AsSeen,
    /// By the lingering close: the peer gets everything, and is told that it was everything. A connection
    /// that was seen to be busy still ends as a failure.
    Graceful,
    /// By the lingering close, with a policy of its own: a shorter one for errors, for example. It replaces
    /// the layer's whole policy; to change parts of that, start from it by its `to_builder`.
    GracefulBy(ClosePolicy),
    /// As a failure: what was sent arrives, and the peer can tell that it is incomplete. A `close_notify`
    /// would say that it is complete (RFC 8446 §6.1), so there is none. If the end of the connection ends
    /// the response, a FIN would say so too (RFC 9112 §6.3); then a RST follows instead, once everything is
    /// acknowledged. It has no effect if the service has already half-closed.
    Abort,
    /// By an immediate reset. The peer may lose what it has not read yet.
    Reset,
}

/// Decides by a service's result how its connection is to end. Closures implement it.
///
/// [`LingerLayer`](crate::LingerLayer) uses [`BySight`] unless
/// [`LingerLayer::classify`](crate::LingerLayer::classify) sets another. A connection that is dropped by a
/// panic ends as a failure in any case.
pub trait Classify<R, E>: Clone {
    /// How the connection is to end.
    fn classify(&self, result: &Result<R, E>) -> Ending;
}

impl<F, R, E> Classify<R, E> for F
where
    F: Fn(&Result<R, E>) -> Ending + Clone,
{
    fn classify(&self, result: &Result<R, E>) -> Ending {
        self(result)
    }
}

/// The default: `Ok` is a graceful end; after an error, what was seen of the connection decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct BySight;

impl<R, E> Classify<R, E> for BySight {
    fn classify(&self, result: &Result<R, E>) -> Ending {
        if result.is_ok() { Ending::Graceful } else { Ending::AsSeen }
    }
}

/// Takes every result for a graceful end: for services that send everything before they return an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlwaysGraceful;

impl<R, E> Classify<R, E> for AlwaysGraceful {
    fn classify(&self, _: &Result<R, E>) -> Ending {
        Ending::Graceful
    }
}

/// Knows hyper's errors, bare or boxed as hyper-util's `auto` connection returns them (feature `hyper`).
///
/// | hyper's error | ending | because |
/// |---|---|---|
/// | from the service or a body, or a body shorter than its length | abort | the response is incomplete |
/// | an unsupported status | graceful | hyper has answered `500` and half-closed before it fails |
/// | the client ended during its request, or during the response | as seen | hyper does not say which |
/// | a request that cannot be parsed (400, 414, 431) | graceful | hyper has answered it |
/// | `header_read_timeout`, which is the idle timeout too | graceful | nothing was cut |
/// | a protocol error of HTTP/2 | graceful | hyper has sent everything, GOAWAY included |
/// | an I/O error | as seen | a failed write has cut something, a failed read may not have |
#[cfg(feature = "hyper")]
#[derive(Debug, Clone, Copy, Default)]
pub struct HyperErrors;

#[cfg(feature = "hyper")]
mod hyper_errors {
    use std::error::Error;

    use super::{Classify, Ending, HyperErrors};

    impl<R> Classify<R, hyper::Error> for HyperErrors {
        fn classify(&self, result: &Result<R, hyper::Error>) -> Ending {
            match result {
                Err(error) => ending(error),
                Ok(_) => Ending::Graceful,
            }
        }
    }

    impl<R> Classify<R, Box<dyn Error + Send + Sync>> for HyperErrors {
        fn classify(&self, result: &Result<R, Box<dyn Error + Send + Sync>>) -> Ending {
            match result {
                Err(error) => error.downcast_ref().map_or(Ending::AsSeen, ending),
                Ok(_) => Ending::Graceful,
            }
        }
    }

    fn ending(error: &hyper::Error) -> Ending {
        if error.is_user() || error.is_body_write_aborted() {
            Ending::Abort
        } else if error.is_parse() || error.is_timeout() || is_http2(error) {
            Ending::Graceful
        } else {
            Ending::AsSeen
        }
    }

    /// hyper has no method for this.
    fn is_http2(error: &hyper::Error) -> bool {
        error.source().is_some_and(|source| !source.is::<std::io::Error>()) && !error.is_incomplete_message()
    }
}
