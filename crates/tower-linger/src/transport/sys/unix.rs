//! Unix: a socket is a descriptor.

pub(crate) use std::os::fd::{AsFd as AsSocket, BorrowedFd as BorrowedSocket};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

pub(crate) fn as_socket(stream: &impl AsSocket) -> BorrowedSocket<'_> {
    stream.as_fd()
}

/// How many descriptors this process may have: its soft limit, where there is one.
pub(crate) fn descriptor_limit() -> Option<u64> {
    let (soft, _hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    #[allow(clippy::useless_conversion, reason = "it is signed on FreeBSD")]
    (soft != RLIM_INFINITY).then(|| u64::try_from(soft).ok()).flatten()
}
