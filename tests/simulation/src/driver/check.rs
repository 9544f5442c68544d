//! What always holds, looked at when a run is over.

use std::time::Duration;

use linger_proto::{Outcome, Phase};
use tower_linger::{CloseReport, Ending};

use crate::driver::Seen;
use crate::driver::connection::{Classifier, Connection, Host};
use crate::driver::held::{Facts, LastWrite, Record, Wanted};
use crate::driver::link;
use crate::driver::scene::{Events, ROUNDED, Scene};
use crate::driver::world::World;

/// What was sent gets this long beyond a shutdown's deadline.
const CUT_GRACE: Duration = Duration::from_millis(500);

/// Looks at every connection, and at their sums. Tells the world of what is broken.
pub(crate) fn all(world: &World, scene: &Scene) -> Seen {
    let mut seen = Seen { runs: 1, ..Seen::default() };
    let mut reports = 0;
    for (connection, record) in &scene.connections {
        let facts = record.facts().clone();
        if !facts.is_accepted {
            continue;
        }
        seen.accepted += 1;
        seen.taken_away += u64::from(facts.taken_away);
        let one = One { connection, record, facts: &facts, wire: &record.link.seen(), events: &scene.events };
        one.is_reported_once();
        if let Some(cut_at) = scene.cut_at.get() {
            one.does_not_wait_after(*cut_at);
        }
        if let Some((report, _)) = facts.reports.first() {
            reports += 1;
            seen.drained += report.bytes_drained;
            *seen.outcomes.entry(report.outcome.as_str()).or_default() += 1;
            one.has_a_true_report(report);
            one.has_a_reason(report);
            one.does_not_look_clean(report);
            one.looks_clean_if_it_is(report);
            one.ends_in_time();
            seen.whole += u64::from(one.is_whole(report));
        }
    }
    let summary = scene.tracker.summary();
    if world.sabotage != super::Sabotage::LostReport && summary.total() != reports {
        world.broken(None, format!("the tracker counts {summary}, and there were {reports} reports"));
    }
    if summary.total() != seen.accepted - seen.taken_away {
        world.broken(None, format!("the tracker counts {summary}, of {} connections", seen.accepted));
    }
    if !scene.tracker.is_empty() {
        world.broken(None, format!("something is left: {:?}", scene.tracker));
    }
    seen
}

/// One connection, when all is over.
struct One<'a> {
    connection: &'a Connection,
    record: &'a Record,
    facts: &'a Facts,
    wire: &'a link::Seen,
    events: &'a Events,
}

impl One<'_> {
    fn broken(&self, what: &str) {
        self.record.link.broken(what);
    }

    fn is_reported_once(&self) {
        let expected = usize::from(!self.facts.taken_away);
        if self.facts.reports.len() != expected {
            self.broken(&format!("there are {} reports, not {expected}", self.facts.reports.len()));
        }
        if self.wire.drops != 1 {
            self.broken(&format!("its transport was dropped {} times", self.wire.drops));
        }
        if self.wire.received != self.facts.received + self.wire.discarded && !self.wire.panicked {
            self.broken("bytes of the peer went neither to the service nor into the drain");
        }
    }

    /// No read or write of the service waits on when the shutdown has cut its connection.
    fn does_not_wait_after(&self, cut_at: Duration) {
        if let Some(until) = self.facts.waited_until.filter(|until| *until > cut_at + ROUNDED) {
            self.broken(&format!(
                "it was cut after {cut_at:?}, and the service still waited after {until:?}"
            ));
        }
    }

    /// The report says what happened on the wire.
    fn has_a_true_report(&self, report: &CloseReport) {
        let wire = self.wire;
        let is_plain = !wire.panicked && !wire.ambiguous_error;
        if is_plain && report.failure != wire.failure {
            self.broken(&format!(
                "the report has {:?}, and the first failure was {:?}",
                report.failure, wire.failure
            ));
        }
        if let Some(failure) = report.failure.filter(|failure| failure.is_final())
            && report.outcome != failure.outcome()
        {
            self.broken(&format!("{failure:?} is reported as {}", report.outcome));
        }
        if report.bytes_drained != wire.discarded && !wire.panicked {
            self.broken(&format!(
                "{} bytes were drained, reported are {}",
                wire.discarded, report.bytes_drained
            ));
        }
        let limit =
            self.facts.policies.iter().map(linger_proto::ClosePolicy::drain_limit_bytes).max().unwrap_or(0);
        if wire.discarded > limit {
            self.broken(&format!("{} bytes were drained, over the limit of {limit}", wire.discarded));
        }
        if report.sent_close_notify && wire.alert_at.is_none() {
            self.broken("a close_notify is reported that was not sent");
        }
    }

    /// Whatever the outcome says must have happened.
    fn has_a_reason(&self, report: &CloseReport) {
        let policies = &self.facts.policies;
        let has = |wanted: fn(&tower_linger::ClosePolicy) -> bool| policies.iter().any(wanted);
        let is_true = match report.outcome {
            Outcome::PeerClosed { close_notify: true } => self.wire.peer_notified,
            Outcome::PeerClosed { close_notify: false } => self.wire.peer_fin || self.wire.told_fin,
            Outcome::PeerReset | Outcome::Unreachable | Outcome::KernelTimeout | Outcome::LocalAbort => {
                report.failure.is_some()
            }
            Outcome::Failed => report.failure.is_some() || self.wire.panicked,
            Outcome::DrainLimit => {
                policies.iter().any(|policy| policy.drain_limit_bytes() <= report.bytes_drained)
            }
            Outcome::DrainRate => has(|policy| policy.drain_min_rate().is_some()),
            Outcome::Undrained => has(linger_proto::ClosePolicy::without_drain),
            // Nobody tells of requests here.
            Outcome::PeerDone => false,
            Outcome::LeftOpen => has(linger_proto::ClosePolicy::without_half_close),
            Outcome::Acknowledged => has(|policy| policy.early_release().is_some()),
            Outcome::Evicted => self.events.limit.is_some(),
            Outcome::ShutdownCut => self.events.shutdown.is_some(),
            Outcome::Cancelled => self.events.runtime_ends.is_some() || self.wire.panicked,
            _ => true,
        };
        if !is_true {
            self.broken(&format!("{} is reported without a reason", report.outcome));
        }
    }

    /// What failed before the service let go of it must not look like a clean end afterwards.
    fn does_not_look_clean(&self, report: &CloseReport) {
        let Some(back) = &self.facts.handed_back else { return };
        let is_aborted = matches!(self.facts.wanted, Wanted::Abort | Wanted::Reset);
        let is_busy = matches!(self.facts.last_write, LastWrite::Waits | LastWrite::Failed);
        let is_shown = back.seen.fin_at.is_some();
        let is_unclean =
            is_aborted || back.by_panic && !self.facts.ended_writes || is_busy && !self.facts.ended_writes;
        if !is_unclean || is_shown {
            return;
        }
        if self.wire.alert_at != back.seen.alert_at {
            self.broken("there is a close_notify, although the connection failed");
        }
        let looks_clean = matches!(
            report.outcome,
            Outcome::PeerClosed { .. }
                | Outcome::DrainIdle
                | Outcome::DrainDeadline
                | Outcome::DrainLimit
                | Outcome::DrainRate
                | Outcome::Undrained
                | Outcome::LeftOpen
                | Outcome::Acknowledged
        );
        if looks_clean {
            self.broken(&format!("{} is reported, although the connection failed", report.outcome));
        }
    }

    /// Nothing went wrong, and the service was content: the peer is told so.
    fn looks_clean_if_it_is(&self, report: &CloseReport) {
        let is_content = match self.connection.host {
            Host::Layer(Classifier::AlwaysGraceful | Classifier::By(Ending::GracefulBy(_))) => {
                self.facts.has_returned
            }
            Host::Layer(Classifier::BySight) => {
                self.facts.has_returned && matches!(self.facts.returned, Some(Ok(_)))
            }
            Host::Unserved(_) => true,
            Host::Layer(Classifier::By(_)) | Host::Wrapped => false,
        };
        let wire = self.wire;
        let is_undisturbed = self.events.are_none()
            && wire.failure.is_none()
            && !(wire.ambiguous_error || wire.panicked || wire.spoiled || wire.reset_by_peer)
            && matches!(self.facts.last_write, LastWrite::None | LastWrite::Taken)
            && matches!(self.facts.wanted, Wanted::Nothing | Wanted::Policy);
        if !is_content || !is_undisturbed || report.outcome == Outcome::FlushTimeout {
            return;
        }
        if report.outcome == Outcome::Aborted {
            self.broken("it is aborted, although nothing went wrong");
        }
        let has_told = wire.alert_at.is_some() || self.connection.session.is_none();
        if report.outcome != Outcome::LeftOpen && (!has_told || wire.fin_at != Some(wire.taken)) {
            self.broken("there is no close_notify or no FIN, although nothing went wrong");
        }
    }

    fn ends_in_time(&self) {
        let (Some(back), Some((_, ended_at))) = (&self.facts.handed_back, self.facts.reports.first()) else {
            return;
        };
        if back.is_after_the_end {
            return;
        }
        // A layer asks the service's result how to close, so it waits for that.
        let served_until = match self.connection.host {
            Host::Layer(_) => self.facts.served_until.unwrap_or_default(),
            Host::Wrapped | Host::Unserved(_) => Duration::ZERO,
        };
        let began = back.at.max(served_until);
        let mut latest = began + self.facts.longest;
        if let Some((at, limit)) = self.events.shutdown {
            latest = latest.min(began.max(at + limit) + CUT_GRACE);
        }
        if *ended_at > latest + ROUNDED {
            self.broken(&format!(
                "it began to end after {began:?}, and ended after {ended_at:?}, not {latest:?}"
            ));
        }
    }

    /// Whether the peer had to get every byte. Then it did, or that is broken.
    fn is_whole(&self, report: &CloseReport) -> bool {
        let peer = &self.connection.peer;
        let faults = &self.connection.faults;
        let is_kind = peer.is_kind() && self.events.are_none() && faults.are_harmless();
        let policies = &self.facts.policies;
        let slower = if faults.are_none() { QUICK } else { SLOWEST_FAULTS };
        let waits_long_enough = policies.iter().all(|policy| {
            policy.drain_limit() >= slower + peer.longest_upload() && policy.drain_idle_timeout() >= slower
        });
        let has_time = policies.iter().all(|policy| {
            // A transport without a socket cannot tell what is acknowledged, and then a cut waits for a
            // second.
            let needs_time = !faults.are_none() || report.ended_in == Phase::Settle;
            let is_quick = !needs_time || policy.flush_idle_timeout() >= SLOWEST_FAULTS;
            let can_drain = waits_long_enough
                && policy.drain_limit_bytes() > peer.upload
                && policy.drain_min_rate().is_none()
                && !policy.without_drain()
                && !policy.without_half_close();
            is_quick && (can_drain || peer.upload == 0)
        });
        let is_reset = self.facts.wanted == Wanted::Reset
            || self.facts.may_reset
            || self.wire.panicked
            || report.outcome == Outcome::FlushTimeout;
        if !is_kind || !has_time || is_reset {
            return false;
        }
        if self.wire.read_by_peer != self.facts.written || self.wire.is_reset {
            self.broken(&format!(
                "the peer got {} of {} bytes, and a reset: {}",
                self.wire.read_by_peer, self.facts.written, self.wire.is_reset
            ));
        }
        let is_cut = report.outcome == Outcome::Aborted;
        let is_noticed = matches!(report.outcome, Outcome::PeerClosed { .. } | Outcome::Acknowledged);
        if waits_long_enough
            && !is_cut
            && !is_noticed
            && report.outcome != Outcome::LeftOpen
            && report.outcome != Outcome::Undrained
        {
            self.broken(&format!("{} is reported, although the peer has closed in time", report.outcome));
        }
        true
    }
}

/// A storm and its waits take less.
const SLOWEST_FAULTS: Duration = Duration::from_secs(2);

/// A kind peer never pauses for so long.
const QUICK: Duration = Duration::from_millis(50);
