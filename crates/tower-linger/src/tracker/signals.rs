//! The signals that end a server.

use std::io;

/// Installs the handlers now, and calls `request` at each signal.
#[cfg(unix)]
pub(super) fn at_each(request: impl Fn() + Clone + Send + Sync + 'static) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, request) = (signal(kind)?, request.clone());
        spawn(async move {
            while signals.recv().await.is_some() {
                request();
            }
        });
    }
    Ok(())
}

/// Installs the handler now, and calls `request` at each Ctrl-C.
#[cfg(windows)]
pub(super) fn at_each(request: impl Fn() + Clone + Send + Sync + 'static) -> io::Result<()> {
    let mut signals = tokio::signal::windows::ctrl_c()?;
    spawn(async move {
        while signals.recv().await.is_some() {
            request();
        }
    });
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the tasks that wait for signals; they end with their runtime")]
fn spawn(wait: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(wait));
}
