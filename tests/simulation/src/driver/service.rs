//! A service of connections that does whatever is drawn, and then ends in one of many ways.

use std::future::{pending, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, split};
use tokio::time::{sleep, timeout};

use crate::Choices;
use crate::driver::content::LONGEST;
use crate::driver::held::{Held, Record, Wanted};
use crate::driver::policy;

/// Connections that are kept beyond everything else, also beyond the runtime.
pub(crate) type Shelf = Arc<Mutex<Vec<Held>>>;

/// A result that only this connection's service returns.
pub(crate) type Served = Result<u32, u32>;

/// Serves the connection. The number comes back in the result.
pub(crate) async fn serve(mut held: Held, shelf: Shelf, number: u32) -> Served {
    let steps = draw(&held, |choices| choices.below(6));
    for _ in 0..steps {
        let _ = step(&mut held).await;
    }
    let end = draw(&held, |choices| if choices.percent(40) { 0 } else { choices.below(12) });
    match end {
        0 => {
            drop(held);
            Ok(number)
        }
        1 | 2 => {
            let ended = held.shutdown().await;
            ended.map(|()| number).map_err(|_| number)
        }
        3 => Err(number),
        4 => panics(held),
        5 => {
            let pause = draw(&held, |choices| choices.one_of(&[1, 100, 10_000]));
            drop(held);
            sleep(Duration::from_millis(pause)).await;
            Ok(number)
        }
        6 => {
            drop(tokio::spawn(async move {
                let _ = step(&mut held).await;
                let _ = step(&mut held).await;
            }));
            Ok(number)
        }
        7 | 8 => {
            tunnel(held).await;
            Ok(number)
        }
        9 => {
            drop(held.take_away());
            Ok(number)
        }
        10 => {
            let _held = held;
            pending().await
        }
        _ => {
            shelf.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            Ok(number)
        }
    }
}

/// Without the hook, which would print it.
fn panics(held: Held) -> Served {
    let _held = held;
    resume_unwind(Box::new("the service panics"));
}

/// One thing that a service does. Each has a bound.
async fn step(held: &mut Held) -> io::Result<()> {
    let (act, patience) = draw(held, |choices| (choices.below(11), choices.one_of(&[100, 1, 3_000])));
    let patience = Duration::from_millis(patience);
    let record = held.record.clone();
    match act {
        0..=2 => {
            let most = draw(held, |choices| choices.one_of(&[500, 1, 20_000, 60_000]));
            within(&record, patience, write(held, most)).await
        }
        3 => within(&record, patience, read_some(held)).await,
        4 => within(&record, patience, held.flush()).await,
        5 => {
            sleep(patience).await;
            Ok(())
        }
        6 => within(&record, patience, read_to_end(held)).await,
        7 => within(&record, patience, write_vectored(held)).await,
        8 => {
            wish(held);
            Ok(())
        }
        9 => {
            held.shutdown().await?;
            within(&record, patience, read_to_end(held)).await
        }
        _ => poll_once(held).await,
    }
}

async fn within(
    record: &Record,
    patience: Duration,
    act: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let began = record.link.world.elapsed();
    let result = timeout(patience, act).await.unwrap_or(Ok(()));
    let ended = record.link.world.elapsed();
    if ended > began {
        record.facts().waited_until = Some(ended);
    }
    result
}

async fn write(held: &mut Held, most: u64) -> io::Result<()> {
    let until = held.record.facts().written + most;
    loop {
        let written = held.record.facts().written;
        if written >= until {
            return held.flush().await;
        }
        let bytes = next(held, until - written);
        // `written` says how much of it was taken.
        let _taken = held.write(&bytes).await?;
    }
}

async fn write_vectored(held: &mut Held) -> io::Result<()> {
    let bytes = next(held, 3_000);
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let slices = [io::IoSlice::new(first), io::IoSlice::new(second)];
    held.write_vectored(&slices).await.map(drop)
}

/// A write that is given up if it has to wait.
async fn poll_once(held: &mut Held) -> io::Result<()> {
    let bytes = next(held, 50_000);
    poll_fn(|cx| {
        let written = Pin::new(&mut *held).poll_write(cx, &bytes);
        Poll::Ready(match written {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        })
    })
    .await
}

/// What the service has to write next.
fn next(held: &Held, most: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(most).unwrap_or(LONGEST).min(LONGEST)];
    let from = held.record.facts().written;
    held.record.link.response.fill(from, &mut bytes);
    bytes
}

async fn read_some(held: &mut Held) -> io::Result<()> {
    let most = draw(held, |choices| choices.between(1, 5_000));
    let mut buffer = vec![0; most as usize];
    held.read(&mut buffer).await.map(drop)
}

async fn read_to_end(held: &mut Held) -> io::Result<()> {
    let mut buffer = vec![0; 8 << 10];
    while held.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Overrides the close.
fn wish(held: &Held) {
    let handle = held.io().close_handle();
    let wanted = match draw(held, |choices| choices.below(3)) {
        0 => {
            let policy = draw(held, policy::draw);
            held.record.may_go_by(policy);
            handle.set_policy(policy);
            Wanted::Policy
        }
        1 => {
            handle.abort();
            Wanted::Abort
        }
        _ => {
            handle.reset();
            Wanted::Reset
        }
    };
    held.record.link.note(|| format!("the handle asks for {wanted:?}"));
    held.record.facts().wanted = wanted;
}

/// Two tasks, one for each direction; each ends when it likes.
async fn tunnel(held: Held) {
    let record = held.record.clone();
    let (rest, reads_first) =
        draw(&held, |choices| (choices.one_of(&[1_000, 0, 30_000]), choices.percent(50)));
    let (mut reads, mut writes) = split(held);
    let back = tokio::spawn(async move {
        let mut buffer = vec![0; 4 << 10];
        let read = async { while reads.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
        let _ = timeout(LONGEST_TUNNEL, read).await;
    });
    if reads_first {
        tokio::task::yield_now().await;
    }
    let until = record.facts().written + rest;
    loop {
        let written = record.facts().written;
        let mut bytes = vec![0; usize::try_from(until - written).unwrap_or(LONGEST).min(LONGEST)];
        record.link.response.fill(written, &mut bytes);
        if bytes.is_empty() || writes.write(&bytes).await.is_err() {
            break;
        }
    }
    let _ = writes.shutdown().await;
    drop(writes);
    let _ = timeout(LONGEST_TUNNEL, back).await;
}

/// How long one direction of a tunnel stays open after the other.
const LONGEST_TUNNEL: Duration = Duration::from_secs(20);

fn draw<R>(held: &Held, draw: impl FnOnce(&mut Choices) -> R) -> R {
    held.record.link.world.draw(draw)
}
