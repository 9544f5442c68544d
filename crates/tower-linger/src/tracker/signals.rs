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

/// Installs the handlers now, and calls `request` at each of these console events. Windows tells a console
/// program of its end only by them: Ctrl-C and Ctrl-Break are keys, the third says that its console is
/// closed, and the last one that the system, or the container that the program runs in, is stopped. After
/// the last two Windows gives the program a few seconds, and then ends it.
#[cfg(windows)]
pub(super) fn at_each(request: impl Fn() + Clone + Send + Sync + 'static) -> io::Result<()> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

    // Each has a type of its own.
    macro_rules! wait_for {
        ($($event:ident),*) => {$({
            let (mut events, request) = ($event()?, request.clone());
            spawn(async move {
                while events.recv().await.is_some() {
                    request();
                }
            });
        })*};
    }
    wait_for!(ctrl_c, ctrl_break, ctrl_close, ctrl_shutdown);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the tasks that wait for signals; they end with their runtime")]
fn spawn(wait: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(wait));
}
