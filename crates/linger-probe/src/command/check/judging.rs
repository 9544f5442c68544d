//! Judges one server after the other, and keeps the results so far for a run that is interrupted.

use indicatif::ProgressBar;
use linger_probe::check::{Abilities, check};
use linger_probe::discover::discover;
use linger_probe::model::{Gap, Ladders, Report, Row, TargetReport, Verdict};
use linger_probe::remedy::{Server, advise};
use linger_probe::report;
use linger_probe::scenario::Scenario;
use linger_probe::target::{Options, Target};
use tokio::time::{Instant, timeout};

/// A run, with its results so far.
pub(super) struct Judging {
    pub(super) report: Report,
    /// The server that is being judged, with its rows in the order in which they were done.
    pub(super) current: Option<TargetReport>,
    pub(super) advise_for: Option<Server>,
}

impl Judging {
    /// Judges all servers. A server that cannot be judged becomes a gap, and the others are still judged.
    ///
    /// # Cancel safety
    /// Dropping the future ends its connections. The results so far stay in `self`.
    pub(super) async fn judge(
        &mut self,
        found: Vec<Target>,
        scenarios: &[&'static Scenario],
        options: &Options,
        bar: &ProgressBar,
    ) {
        // All servers are looked at first, so that a wrong URL is reported at once.
        let mut targets = Vec::new();
        for mut target in found {
            bar.set_message(format!("looking at {}", target.name));
            let begun = Instant::now();
            let why = match timeout(options.deadline, discover(&mut target, options)).await {
                Ok(Ok(abilities)) => {
                    // The rows have the rest of the server's time.
                    let deadline = options.deadline.saturating_sub(begun.elapsed());
                    targets.push((target, abilities, Options { deadline, ..options.clone() }));
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("{}: the first look took all of its time: a longer --deadline", target.url),
            };
            bar.inc(scenarios.len() as u64);
            self.report.gaps.push(Gap { name: target.name, why });
        }
        let several = targets.len() > 1;
        for (target, abilities, options) in targets {
            self.one(&target, &abilities, scenarios, &options, bar, several).await;
        }
    }

    async fn one(
        &mut self,
        target: &Target,
        abilities: &Abilities,
        scenarios: &[&'static Scenario],
        options: &Options,
        bar: &ProgressBar,
        several: bool,
    ) {
        bar.set_message(target.name.clone());
        let current = self.current.insert(begun(target, abilities, options));
        let checked = check(target, options, abilities, scenarios.iter().copied(), |row| {
            tell(bar, several.then_some(target.name.as_str()), row);
            current.rows.push(row.clone());
        });
        let mut checked = checked.await;
        advise(&mut checked, self.advise_for);
        self.report.targets.push(checked);
        self.current = None;
    }

    /// Adds the results so far of the current server to the report, and lists the servers that are missing.
    pub(super) fn interrupt(&mut self, found: &[Target], scenarios: &[&'static Scenario]) {
        if let Some(mut current) = self.current.take() {
            let place = |row: &Row| scenarios.iter().position(|scenario| scenario.name == row.scenario);
            current.rows.sort_by_key(place);
            advise(&mut current, self.advise_for);
            self.report.targets.push(current);
        }
        for target in found {
            let is_told = self.report.targets.iter().any(|told| told.name == target.name)
                || self.report.gaps.iter().any(|gap| gap.name == target.name);
            if !is_told {
                let why = "the run was interrupted before its turn".to_owned();
                self.report.gaps.push(Gap { name: target.name.clone(), why });
            }
        }
        self.report.interrupted = Some("interrupted: these are the results so far".to_owned());
    }
}

/// The report of a server without any row yet.
fn begun(target: &Target, abilities: &Abilities, options: &Options) -> TargetReport {
    TargetReport {
        name: target.name.clone(),
        url: target.url.clone(),
        server: abilities.server.clone(),
        ladders: if options.wire { Ladders::Packets } else { Ladders::SocketEvents },
        rows: Vec::new(),
        lost: Some("the run was interrupted".to_owned()),
        remedies: Vec::new(),
    }
}

/// Prints a line to stderr, above the bar if there is one. Rows that do not apply are listed together at the
/// end.
fn tell(bar: &ProgressBar, target: Option<&str>, row: &Row) {
    bar.inc(1);
    bar.set_message(row.title);
    if row.verdict == Verdict::NotApplicable {
        return;
    }
    let line = match target {
        Some(target) => format!("{target}: {}", report::line(row)),
        None => report::line(row),
    };
    if bar.is_hidden() {
        eprintln!("{line}");
    } else {
        bar.println(line);
    }
}
