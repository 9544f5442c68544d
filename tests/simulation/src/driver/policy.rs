//! Policies that are drawn: every setting, with bounds from milliseconds to a minute.

use std::time::Duration;

use tower_linger::{ClosePolicy, ClosePolicyBuilder, Release};

use crate::Choices;

const MILLIS: [u32; 8] = [500, 5, 20, 100, 1_000, 2_000, 10_000, 60_000];
const LONG_MILLIS: [u32; 4] = [500, 1_000, 2_000, 10_000];
const BYTES: [u64; 7] = [1 << 20, 1, 100, 10_000, 100_000, 300_000, 1 << 30];

/// A policy in which every option that excludes another is drawn without it.
pub(crate) fn draw(choices: &mut Choices) -> ClosePolicy {
    let flush_limit = millis(choices, 60_000);
    let flush_idle = millis(choices, flush_limit);
    let drain_limit = millis(choices, 60_000);
    let drain_idle = millis(choices, drain_limit);
    let mut builder = ClosePolicy::builder()
        .flush_limit(time(flush_limit))
        .flush_idle_timeout(time(flush_idle))
        .drain_limit(time(drain_limit))
        .drain_idle_timeout(time(drain_idle))
        .drain_limit_bytes(if choices.percent(50) { choices.one_of(&BYTES) } else { BYTES[0] });
    builder = match choices.below(9) {
        0..=4 => builder,
        5 => builder.without_half_close(),
        6 => with_first_turn(choices, builder, drain_limit).without_drain(),
        _ => {
            let builder = with_first_turn(choices, builder, drain_limit);
            with_options(choices, builder, drain_limit)
        }
    };
    if choices.percent(20) {
        builder = builder.at_limit(Release::Abort);
    }
    if choices.percent(20) {
        builder = builder.write_idle_timeout(time(millis(choices, 10_000)));
    }
    builder.build().unwrap_or_default()
}

fn with_first_turn(choices: &mut Choices, builder: ClosePolicyBuilder, most: u32) -> ClosePolicyBuilder {
    if choices.percent(40) { builder.peer_closes_first(time(millis(choices, most))) } else { builder }
}

fn with_options(
    choices: &mut Choices,
    mut builder: ClosePolicyBuilder,
    drain_limit: u32,
) -> ClosePolicyBuilder {
    if choices.percent(40) {
        builder =
            builder.drain_min_rate(choices.one_of(&[1, 100, 100_000]), time(millis(choices, drain_limit)));
    }
    if choices.percent(40) {
        let bytes = choices.one_of(&BYTES);
        builder = builder.await_close_notify(time(millis(choices, drain_limit)), bytes);
    }
    if choices.percent(40) && cfg!(target_os = "linux") {
        builder = builder.early_release(choices.one_of(&[1, 4, 100]));
    }
    builder
}

fn millis(choices: &mut Choices, most: u32) -> u32 {
    let millis = if choices.percent(50) { choices.one_of(&MILLIS) } else { choices.one_of(&LONG_MILLIS) };
    millis.min(most)
}

fn time(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}
