//! Which connections must not look cleanly ended.

use linger_proto::ClosePolicy;

/// How a connection is to end. Complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By the lingering close: the peer gets everything, and is told that it was everything.
    Graceful,
    /// By the lingering close, with a policy of its own: shorter for errors, without drain for abuse.
    GracefulBy(ClosePolicy),
    /// By a reset: the peer must not take what it has for the whole, which a FIN would say of a response that ends with
    /// its connection (RFC 9112 §6.3), and a `close_notify` of any (RFC 8446 §6.1).
    Abort,
}

/// Decides by a service's result how its connection is to end. Closures can do it, too.
///
/// [`LingerLayer`](crate::LingerLayer) by itself takes every result for a graceful end, since it knows nothing of the
/// service's error; [`LingerLayer::classify`](crate::LingerLayer::classify) brings a classifier in. Whatever it says, a
/// connection that is dropped by a panic is aborted.
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

/// Takes every result for a graceful end.
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
/// | a request that cannot be parsed (400, 414, 431) | graceful | hyper has answered it |
/// | `header_read_timeout`, which is the idle timeout too | graceful | nothing was cut |
/// | an incomplete request, a protocol error of HTTP/2 | graceful | what was to say was said, GOAWAY included |
/// | an I/O error | graceful | the connection is over; its failure is what gets reported |
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
                Err(error) => error.downcast_ref().map_or(Ending::Graceful, ending),
                Ok(_) => Ending::Graceful,
            }
        }
    }

    fn ending(error: &hyper::Error) -> Ending {
        if error.is_user() || error.is_body_write_aborted() { Ending::Abort } else { Ending::Graceful }
    }
}
