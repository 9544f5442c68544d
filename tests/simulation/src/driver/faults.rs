//! What goes wrong between the crate and its transport.

use std::io;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::Choices;
use crate::driver::link::{Link, Op, Side};

/// How a transport misbehaves.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    /// How often a call has to wait for no reason, in percent.
    pub(crate) waits: u32,
    /// How often a call takes or gives less than it could, in percent.
    pub(crate) short: u32,
    /// How often a call fails, in percent.
    pub(crate) fails: u32,
    pub(crate) failures_left: u32,
    /// A storm is going on: so many calls more have to wait, and wake their task at once.
    pub(crate) storm: u32,
}

/// What becomes of one call.
pub(crate) enum Fate {
    Goes,
    /// It goes, with so many bytes at most.
    Short(u64),
    Waits,
    Fails(io::Error),
}

/// What Linux tells of a TCP socket, and some that it does not.
const SYSTEM_ERRORS: [i32; 13] = [104, 32, 110, 113, 101, 111, 92, 103, 107, 105, 5, 12, 22];

/// What layers above a socket make up.
const OTHER_ERRORS: [io::ErrorKind; 9] = [
    io::ErrorKind::Other,
    io::ErrorKind::InvalidData,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::WriteZero,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::TimedOut,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::Interrupted,
    io::ErrorKind::PermissionDenied,
];

impl Faults {
    pub(crate) const NONE: Self = Self { waits: 0, short: 0, fails: 0, failures_left: 0, storm: 0 };

    pub(crate) fn draw(choices: &mut Choices) -> Self {
        match choices.below(4) {
            0 | 1 => Self::NONE,
            2 => Self {
                waits: choices.one_of(&[0, 5, 30, 60]),
                short: choices.one_of(&[0, 20, 80]),
                ..Self::NONE
            },
            _ => Self {
                waits: choices.one_of(&[0, 20]),
                short: choices.one_of(&[0, 50]),
                fails: choices.one_of(&[5, 20, 60]),
                failures_left: choices.between(1, 3),
                storm: 0,
            },
        }
    }

    /// The peer gets everything in spite of them, if bounds of time are not too tight.
    pub(crate) fn are_harmless(&self) -> bool {
        self.fails == 0
    }

    pub(crate) fn are_none(&self) -> bool {
        self.fails == 0 && self.waits == 0
    }

    pub(crate) fn fate(&mut self, op: Op, link: &Arc<Link>, cx: &Context<'_>) -> Fate {
        if self.fails == 0 && self.waits == 0 && self.short == 0 {
            return Fate::Goes;
        }
        if self.storm > 0 {
            self.storm -= 1;
            return waits_for_nothing(link, cx);
        }
        let world = &link.world;
        if self.failures_left > 0 && world.draw(|choices| choices.percent(self.fails)) {
            self.failures_left -= 1;
            return Fate::Fails(world.draw(draw_error));
        }
        if world.draw(|choices| choices.percent(self.waits)) {
            return self.wait(op, link, cx);
        }
        if world.draw(|choices| choices.percent(self.short)) {
            return Fate::Short(world.draw(|choices| choices.between(1, 100)).into());
        }
        Fate::Goes
    }

    fn wait(&mut self, op: Op, link: &Arc<Link>, cx: &Context<'_>) -> Fate {
        match link.world.draw(|choices| choices.below(4)) {
            0 | 1 => waits_for_nothing(link, cx),
            2 => {
                self.storm = link.world.draw(|choices| choices.between(1, 20));
                waits_for_nothing(link, cx)
            }
            // Without a runtime nobody would wake it.
            _ if Handle::try_current().is_err() || link.world.is_over() => Fate::Goes,
            _ => {
                let after = Duration::from_millis(link.world.draw(|choices| choices.between(1, 40)).into());
                let side = match op {
                    Op::Read | Op::Discard => Side::Read,
                    Op::Write | Op::Flush | Op::Notify | Op::HalfClose => Side::Write,
                    Op::Acknowledged => Side::Acknowledged,
                };
                link.wait(side, cx);
                let link = link.clone();
                drop(tokio::spawn(async move {
                    sleep(after).await;
                    link.wake(side);
                }));
                Fate::Waits
            }
        }
    }
}

/// The task is woken at once, as by an edge that was meant for something else.
fn waits_for_nothing(link: &Link, cx: &Context<'_>) -> Fate {
    link.had_a_reason();
    cx.waker().wake_by_ref();
    Fate::Waits
}

fn draw_error(choices: &mut Choices) -> io::Error {
    if choices.percent(30) {
        io::Error::from(choices.one_of(&OTHER_ERRORS))
    } else {
        io::Error::from_raw_os_error(choices.one_of(&SYSTEM_ERRORS))
    }
}
