//! Which connections must not look cleanly ended.

use linger_proto::ClosePolicy;

/// How a connection is to end. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As the connection itself shows it: cleanly where everything that was begun is at its end, as a
    /// failure where something is unanswered or cannot be told. See
    /// [`LingerIo`](crate::LingerIo#what-a-drop-means).
    AsSeen,
    /// By the lingering close: the peer gets everything, and is told that it was everything. A connection
    /// that was seen to be busy is ended as a failure all the same.
    Graceful,
    /// By the lingering close, with a policy of its own: shorter for errors, without drain for abuse. It
    /// replaces all of the layer's settings; start from the layer's policy and its `to_builder` to change
    /// only some.
    GracefulBy(ClosePolicy),
    /// As a failure: what was sent arrives, and the peer can tell that it is not the whole. A FIN would say
    /// that it is of a response that ends with its connection (RFC 9112 §6.3), and a `close_notify` of any
    /// (RFC 8446 §6.1). So there is no
    /// `close_notify`, and where the response has no end of its own, a RST follows once everything is
    /// acknowledged. It has no effect where the service has half-closed already.
    Abort,
    /// By a reset at once. The peer may lose what it has not read yet.
    Reset,
}

/// Decides by a service's result how its connection is to end. Closures can do it, too.
///
/// [`LingerLayer`](crate::LingerLayer) by itself uses [`BySight`], since it knows nothing of the service's
/// error; [`LingerLayer::classify`](crate::LingerLayer::classify) brings another classifier in. Whatever it
/// says, a connection that is dropped by a panic ends as a failure.
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

/// Takes `Ok` for a graceful end, and of an error what was seen of the connection: the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct BySight;

impl<R, E> Classify<R, E> for BySight {
    fn classify(&self, result: &Result<R, E>) -> Ending {
        if result.is_ok() { Ending::Graceful } else { Ending::AsSeen }
    }
}

/// Takes every result for a graceful end: for services whose errors come after everything was said.
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
/// | from the service, from the response's body, a body shorter than its length | abort | the response is not whole |
/// | an unsupported status | graceful | hyper has answered `500` and half-closed before it fails |
/// | the client ended in the middle of a request, or while it was answered | as seen | hyper does not tell the two apart |
/// | a request that cannot be parsed (400, 414, 431) | graceful | hyper has answered it |
/// | `header_read_timeout`, which is the idle timeout too | graceful | nothing was cut |
/// | a protocol error of HTTP/2 | graceful | what was to say was said, GOAWAY included |
/// | an I/O error | as seen | a write that failed has cut something, a read may not have |
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

    /// hyper has no word of its own for it.
    fn is_http2(error: &hyper::Error) -> bool {
        error.source().is_some_and(|source| !source.is::<std::io::Error>()) && !error.is_incomplete_message()
    }
}
