//! The signals that end a server.

use std::io;

use crate::tracker::shutdown::ShutdownHandle;

/// Installs the handlers now, and requests the shutdown at each signal.
#[cfg(unix)]
pub(super) fn request_at_each(handle: &ShutdownHandle) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, handle) = (signal(kind)?, handle.clone());
        spawn(async move {
            while signals.recv().await.is_some() {
                handle.request();
            }
        });
    }
    Ok(())
}

/// Installs the handler now, and requests the shutdown at each Ctrl-C.
#[cfg(windows)]
pub(super) fn request_at_each(handle: &ShutdownHandle) -> io::Result<()> {
    let (mut signals, handle) = (tokio::signal::windows::ctrl_c()?, handle.clone());
    spawn(async move {
        while signals.recv().await.is_some() {
            handle.request();
        }
    });
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the tasks that wait for signals; they end with their runtime")]
fn spawn(wait: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(wait));
}
