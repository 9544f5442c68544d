//! What is freed before the drain.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_linger::{ClosePolicy, Notified, Transport, close};
use tower_linger_tests::scripted::{Script, Scripted};

/// A transport with a session above it, as TLS is.
struct WithSession {
    io: Scripted,
    session: Arc<()>,
}

impl Transport for WithSession {
    type Raw = Scripted;

    fn poll_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Notified>> {
        assert_eq!(Arc::strong_count(&self.session), 1, "it is there while it is needed");
        self.io.poll_notify(cx)
    }

    fn poll_discard(&mut self, _: &mut Context<'_>, _: NonZeroUsize) -> Poll<io::Result<usize>> {
        unreachable!("the drain is below the session")
    }

    fn into_raw(self) -> Scripted {
        self.io
    }
}

/// A TLS session holds tens of KiB, and the drain can take half a minute.
#[tokio::test(start_paused = true)]
async fn the_session_is_freed_before_the_drain() {
    let (script, io) = Script::new();
    let session = Arc::new(());
    let watched: Weak<()> = Arc::downgrade(&session);
    let closing =
        tokio::spawn(async move { close(WithSession { io, session }, &ClosePolicy::default()).await });
    script.until(|seen| seen.discards > 0).await;
    assert!(watched.upgrade().is_none());
    assert_eq!((script.seen().alerts, script.seen().fins, script.seen().drops), (1, 1, 0));
    script.end();
    let _report = closing.await.expect("no panic");
}

impl AsyncRead for WithSession {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for WithSession {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
