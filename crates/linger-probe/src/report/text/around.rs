//! The text around the tables: rows that do not apply, what to change, and the result of the run.

use comfy_table::presets;

use super::{Style, lines};
use crate::model::gate::{Comparison, Gate, Place};
use crate::model::{Report, TargetReport, Verdict};
use crate::report::rows::{row, scenarios};
use crate::report::words::{self, plain};

/// One sentence about the rows that apply to no target, grouped by reason.
pub(super) fn not_applicable(targets: &[TargetReport]) -> Option<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    let mut number = 0;
    for (scenario, _) in scenarios(targets) {
        let rows = || targets.iter().filter_map(|target| row(target, scenario));
        if rows().any(|row| row.verdict != Verdict::NotApplicable) {
            continue;
        }
        number += 1;
        let reason = rows().next().map(|row| plain(&row.reason)).unwrap_or_default();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(scenario),
            None => reasons.push((reason, vec![scenario])),
        }
    }
    let parts: Vec<String> =
        reasons.iter().map(|(reason, names)| format!("{} ({reason})", names.join(", "))).collect();
    let verb = if number == 1 { "row does" } else { "rows do" };
    (number > 0).then(|| format!("{number} {verb} not apply: {}.", parts.join("; ")))
}

/// What would fix this target's failures.
pub(super) fn remedies(style: &Style, target: &TargetReport) -> String {
    let mut table = style.table(presets::NOTHING);
    for (index, remedy) in target.remedies.iter().enumerate() {
        let change = format!("{} [{}]", remedy.change, remedy.documentation);
        let beginning = if index == 0 { format!("To change in {}", remedy.server) } else { String::new() };
        table.add_row([beginning, remedy.rows.join("\n"), change]);
    }
    lines(&table)
}

/// The servers that are missing, what the gate says, and whether the run was interrupted.
pub(super) fn outcome(style: &Style, report: &Report) -> Vec<String> {
    let mut parts = Vec::new();
    for gap in &report.gaps {
        parts.push(style.sentence(&format!("{}: not judged: {}", plain(&gap.name), plain(&gap.why))));
    }
    if let Some(gate) = &report.gate {
        parts.extend(counted(report, gate).map(|line| style.sentence(&line)));
        let baseline = gate.baseline.iter().flat_map(compared);
        parts.extend(baseline.map(|line| style.sentence(&line)));
    }
    parts.extend(report.interrupted.iter().map(|why| style.sentence(&plain(why))));
    parts
}

/// How many failures do not count. `None` if all count.
fn counted(report: &Report, gate: &Gate) -> Option<String> {
    let failures = report.targets.iter().flat_map(|target| {
        target.rows.iter().filter(|row| row.verdict == Verdict::Fail).map(move |row| (target, row))
    });
    let (excused, counting): (Vec<_>, Vec<_>) =
        failures.partition(|(target, row)| gate.excuse(target, row).is_some());
    let worst = words::severity(gate.fail_on);
    (!excused.is_empty()).then(|| {
        format!("{} of these failures count (--fail-on: {worst}); {} do not.", counting.len(), excused.len())
    })
}

fn compared(comparison: &Comparison) -> Vec<String> {
    let places = |places: &[Place]| {
        let place = |place: &Place| format!("{} {}", plain(&place.target), plain(&place.scenario));
        places.iter().map(place).collect::<Vec<_>>().join(", ")
    };
    let line = |what: &str, list: &[Place]| {
        (!list.is_empty()).then(|| format!("{} {what}: {}", list.len(), places(list)))
    };
    let found =
        [line("new", &comparison.new), line("known", &comparison.known), line("healed", &comparison.healed)];
    let mut lines = vec![format!("Compared with {}:", plain(&comparison.file))];
    lines.extend(found.into_iter().flatten());
    if let [line] = lines.as_mut_slice() {
        line.push_str(" no failure, then or now.");
    }
    lines
}
