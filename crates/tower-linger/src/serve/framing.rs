//! How the end of what a service sent can be told.

/// How the end of what was sent can be told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    #[default]
    Unknown,
    /// By a length, chunks or frames.
    Framed,
    /// By the connection's end.
    UntilClose,
}
