//! How a client can tell where a response ends.

/// How a client can tell where a response ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    #[default]
    Unknown,
    /// By a length, chunks or frames.
    Framed,
    /// By the connection's end.
    UntilClose,
}
