//! A security session above a link, with the habits of the TLS libraries that the crate knows.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::task::{Context, Poll, ready};

use tower_linger::Notified;

use crate::Choices;
use crate::driver::link::{Link, Mark};

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) style: Style,
    /// Bytes of the service that the kernel has not taken.
    held: u64,
    is_notified: bool,
    /// Why no alert follows any more.
    fatal: Option<Mark>,
    pub(crate) met_fin: bool,
}

/// In what libraries differ.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// How many bytes it holds.
    pub(crate) room: u64,
    /// Its `poll_notify` sends the FIN, too.
    pub(crate) sends_fin: bool,
    pub(crate) ends_with_notify: bool,
    /// It tells a FIN without an alert by an end of data, and notes it; otherwise by an error.
    pub(crate) notes_fin: bool,
    /// Once it has failed, it refuses to flush.
    pub(crate) refuses_to_flush: bool,
    /// It panics on garbage after its own alert, as rustls does in debug builds.
    pub(crate) panics: bool,
}

/// The peer's fatal alert.
#[derive(Debug)]
pub(crate) struct AlertReceived;

impl Style {
    pub(crate) fn draw(choices: &mut Choices) -> Self {
        Self {
            room: choices.one_of(&[16 << 10, 50, 300, 64 << 10]),
            sends_fin: choices.percent(50),
            ends_with_notify: choices.percent(20),
            notes_fin: choices.percent(50),
            refuses_to_flush: choices.percent(50),
            panics: choices.percent(20),
        }
    }
}

impl Session {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, held: 0, is_notified: false, fatal: None, met_fin: false }
    }

    pub(crate) fn receive(&mut self, link: &Link, cx: &Context<'_>, limit: u64) -> Poll<io::Result<u64>> {
        if let Some(mark) = self.fatal {
            return Poll::Ready(Err(failure(mark)));
        }
        let limit = match link.next_mark() {
            Some((0, Mark::CloseNotify)) => return Poll::Ready(Ok(0)),
            Some((0, mark)) => return Poll::Ready(Err(self.fail(mark, link))),
            Some((ahead, _)) => limit.min(ahead),
            None => limit,
        };
        match ready!(link.receive(cx, limit))? {
            0 if limit > 0 && self.style.notes_fin => self.met_fin = true,
            0 if limit > 0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            received => return Poll::Ready(Ok(received)),
        }
        Poll::Ready(Ok(0))
    }

    fn fail(&mut self, mark: Mark, link: &Link) -> io::Error {
        if mark == Mark::Garbage && self.is_notified && self.style.panics {
            link.panics();
            // Without the hook, which would print it.
            resume_unwind(Box::new("no alert may follow close_notify"));
        }
        self.fatal = Some(mark);
        failure(mark)
    }

    pub(crate) fn write(&mut self, link: &Link, cx: &Context<'_>, length: u64) -> Poll<io::Result<u64>> {
        if let Some(mark) = self.fatal.filter(|_| self.style.refuses_to_flush) {
            return Poll::Ready(Err(failure(mark)));
        }
        if self.held == self.style.room {
            ready!(self.write_out(link, cx, u64::MAX))?;
        }
        let taken = length.min(self.style.room - self.held);
        self.held += taken;
        Poll::Ready(Ok(taken))
    }

    /// Gives the kernel some of what is held.
    fn write_out(&mut self, link: &Link, cx: &Context<'_>, most: u64) -> Poll<io::Result<()>> {
        let taken = ready!(link.send(cx, self.held.min(most)))?;
        self.held -= taken;
        Poll::Ready(Ok(()))
    }

    pub(crate) fn flush(&mut self, link: &Link, cx: &Context<'_>, most: u64) -> Poll<io::Result<()>> {
        if let Some(mark) = self.fatal.filter(|_| self.style.refuses_to_flush) {
            return Poll::Ready(Err(failure(mark)));
        }
        while self.held > 0 {
            ready!(self.write_out(link, cx, most))?;
        }
        Poll::Ready(Ok(()))
    }

    /// What is queued goes before the FIN, unless the session refuses.
    pub(crate) fn write_rest(&mut self, link: &Link, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.fatal {
            Some(_) if self.style.refuses_to_flush => Poll::Ready(Ok(())),
            _ => self.write_all_out(link, cx),
        }
    }

    fn write_all_out(&mut self, link: &Link, cx: &Context<'_>) -> Poll<io::Result<()>> {
        while self.held > 0 {
            ready!(self.write_out(link, cx, u64::MAX))?;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn notify(&mut self, link: &Link, cx: &Context<'_>) -> Poll<io::Result<Notified>> {
        if self.fatal.is_some() {
            link.broken("close_notify is asked for after a fatal alert");
        }
        ready!(self.write_all_out(link, cx))?;
        if !self.is_notified {
            ready!(link.send_alert(cx))?;
            self.is_notified = true;
            link.note(|| "close_notify".to_owned());
        }
        if self.style.sends_fin {
            let sent = link.send_fin();
            if sent.is_ok() {
                link.note(|| "FIN".to_owned());
            }
            return Poll::Ready(sent.map(|()| Notified::CloseNotifyAndFin));
        }
        Poll::Ready(Ok(Notified::CloseNotify))
    }

    /// The session is dropped, and the stream below it stays.
    pub(crate) fn end(self, link: &Link) {
        let Self { held, fatal, .. } = self;
        link.note(|| "the session is dropped".to_owned());
        if held > 0 && fatal.is_none() && !link.has_failed() {
            link.broken("the session is dropped, and with it bytes of the service");
        }
    }
}

fn failure(mark: Mark) -> io::Error {
    match mark {
        Mark::FatalAlert => io::Error::other(AlertReceived),
        Mark::Garbage | Mark::CloseNotify => io::ErrorKind::InvalidData.into(),
    }
}

impl fmt::Display for AlertReceived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer sent a fatal alert")
    }
}

impl Error for AlertReceived {}
