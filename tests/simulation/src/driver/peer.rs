//! The other end of a connection: a client of some mood.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::Choices;
use crate::driver::link::{Link, Mark};

/// How a client behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) mood: Mood,
    /// What it sends in all, in how large pieces, and how long after each other.
    pub(crate) upload: u64,
    pub(crate) piece: u64,
    pub(crate) pause: Duration,
    /// Whether it closes a session before its FIN.
    pub(crate) notifies: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Reads at once, stops its upload at the server's FIN, and closes.
    Kind,
    /// Sends everything before it reads, and then closes.
    SendsFirst,
    /// Reads, and has half-closed after its upload.
    HalfCloses,
    /// Acknowledges and reads, but never closes.
    Stays,
    /// Does nothing after its first bytes.
    Silent,
    /// Sends without end.
    Floods,
    /// Sends, and takes nothing.
    NeverReads,
    Random,
    Resets,
}

const MOODS: [Mood; 9] = [
    Mood::Kind,
    Mood::SendsFirst,
    Mood::HalfCloses,
    Mood::Stays,
    Mood::Silent,
    Mood::Floods,
    Mood::NeverReads,
    Mood::Random,
    Mood::Resets,
];

impl Peer {
    pub(crate) fn draw(choices: &mut Choices, has_session: bool) -> Self {
        let mood = if choices.percent(40) {
            choices.one_of(&MOODS)
        } else {
            choices.one_of(&[Mood::Kind, Mood::SendsFirst])
        };
        let pause = match mood {
            Mood::Kind | Mood::SendsFirst | Mood::HalfCloses => choices.one_of(&[1, 0, 2, 5]),
            _ => choices.one_of(&[10, 50, 100, 1_000, 5_000]),
        };
        Self {
            mood,
            upload: choices.one_of(&[10_000, 0, 1, 1_000, 100_000, 400_000]),
            piece: choices.one_of(&[20_000, 1, 500, 100_000]).max(1),
            pause: Duration::from_millis(pause),
            notifies: has_session && choices.percent(80),
        }
        .within_reason()
    }

    /// No run has more than a few hundred pieces.
    fn within_reason(mut self) -> Self {
        self.piece = self.piece.max(self.upload / 100).max(1);
        self
    }

    /// Whether it gets everything that a lingering close can save.
    pub(crate) fn is_kind(&self) -> bool {
        matches!(self.mood, Mood::Kind | Mood::SendsFirst | Mood::HalfCloses)
    }

    /// How long a kind peer needs for its upload, where its pieces have room.
    pub(crate) fn longest_upload(&self) -> Duration {
        let pieces = self.upload / self.piece.min(SMALLEST_ROOM) + 2;
        self.pause * u32::try_from(pieces).unwrap_or(u32::MAX)
    }

    pub(crate) async fn act(self, link: Arc<Link>) {
        let sent = match self.mood {
            Mood::Kind | Mood::HalfCloses | Mood::Stays => self.read_and_send(&link).await,
            Mood::SendsFirst => {
                let sent = self.send_all(&link).await;
                let rest = Self { upload: 0, ..self };
                sent + rest.read_and_send(&link).await
            }
            Mood::Silent => link.send_by_peer(self.piece.min(self.upload)),
            Mood::Floods => self.flood(&link).await,
            Mood::NeverReads => self.send_all(&link).await,
            Mood::Random => self.act_at_random(&link).await,
            Mood::Resets => self.reset(&link).await,
        };
        link.note(|| format!("the peer is done, {sent} bytes were sent"));
    }

    async fn read_and_send(self, link: &Link) -> u64 {
        let (mut sent, mut has_closed) = (0, false);
        for _ in 0..MOST_ACTS {
            link.acknowledge(u64::MAX);
            link.read_by_peer(u64::MAX);
            let view = link.view();
            if view.is_over {
                return sent;
            }
            let is_done = sent >= self.upload;
            let is_close_due = match self.mood {
                Mood::HalfCloses => is_done,
                Mood::Stays => false,
                _ => view.is_at_end,
            };
            if is_close_due && !has_closed {
                self.close(link);
                has_closed = true;
            }
            if has_closed && view.is_at_end {
                return sent;
            }
            if is_done || has_closed || view.room == 0 {
                link.changed(LONGEST_WAIT).await;
            } else {
                sent += link.send_by_peer(self.piece.min(self.upload - sent));
                link.changed(self.pause).await;
            }
        }
        sent
    }

    fn close(self, link: &Link) {
        if self.notifies {
            link.mark(Mark::CloseNotify);
        }
        link.fin_by_peer();
    }

    async fn send_all(self, link: &Link) -> u64 {
        let mut sent = 0;
        for _ in 0..MOST_ACTS {
            if sent >= self.upload || link.view().is_over {
                break;
            }
            // Its kernel takes the response, whatever its application does.
            if self.mood == Mood::SendsFirst {
                link.acknowledge(u64::MAX);
            }
            match link.send_by_peer(self.piece.min(self.upload - sent)) {
                0 => link.changed(LONGEST_WAIT).await,
                more => sent += more,
            }
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
        }
        sent
    }

    async fn flood(self, link: &Link) -> u64 {
        let mut sent = 0;
        for _ in 0..LONGEST_FLOOD {
            link.acknowledge(u64::MAX);
            link.read_by_peer(u64::MAX);
            if link.view().is_over {
                break;
            }
            sent += link.send_by_peer(self.piece);
            sleep(self.pause).await;
        }
        sent
    }

    async fn reset(self, link: &Link) -> u64 {
        let sent = link.send_by_peer(self.upload);
        link.acknowledge(self.piece);
        sleep(self.pause).await;
        link.reset_by_peer();
        sent
    }

    async fn act_at_random(self, link: &Link) -> u64 {
        let acts = link.world.draw(|choices| choices.between(1, 60));
        let (mut sent, mut has_closed) = (0, false);
        for _ in 0..acts {
            let (act, some) = link.world.draw(|choices| (choices.below(16), choices.between(1, 20_000)));
            let some = u64::from(some);
            match act {
                0..=2 => link.acknowledge(some),
                3 | 4 => drop(link.read_by_peer(some)),
                5..=7 => sent += link.send_by_peer(some),
                8 => link.wake_all(),
                9 if !has_closed => {
                    self.close(link);
                    has_closed = true;
                }
                10 if !has_closed => link.mark(draw_mark(link)),
                11 if some > 15_000 => link.reset_by_peer(),
                12 => link.acknowledge(u64::MAX),
                _ => sleep(self.pause).await,
            }
            if link.view().is_over {
                break;
            }
        }
        sent
    }
}

fn draw_mark(link: &Link) -> Mark {
    link.world.draw(|choices| choices.one_of(&[Mark::CloseNotify, Mark::FatalAlert, Mark::Garbage]))
}

/// No receive buffer is smaller.
pub(crate) const SMALLEST_ROOM: u64 = 1_000;

/// In pieces.
const LONGEST_FLOOD: usize = 1_000;

const MOST_ACTS: usize = 20_000;

/// No run is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
