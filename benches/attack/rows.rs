//! What all rounds found together, as rows of the table.

use tower_linger_benches::results::{Bound, Results, Row, median};

use crate::clients::{Class, Times};
use crate::plan::{Plan, Server};
use crate::round::{Round, Window};

pub(crate) fn tell(found: &[Round], plan: &Plan) -> Results {
    let mut rows = Vec::new();
    for class in Class::ALL {
        // The ratios of each round: what disturbs the machine then disturbs both sides.
        rows.push(
            row(&format!("{}: p99 attacked ÷ quiet", class.name()), slowed(found, Server::Ours, class), "×")
                .bounded(Bound::AtMost(1.1)),
        );
        let both = of(found, Server::Ours).zip(of(found, Server::Nginx));
        let of_nginx = both.map(|(ours, nginx)| p99(&ours.attacked, class) / p99(&nginx.attacked, class));
        let of_nginx = median(of_nginx);
        rows.push(
            row(&format!("{}: p99 attacked, ours ÷ nginx", class.name()), of_nginx, "×")
                .bounded(Bound::AtMost(1.0)),
        );
    }
    let lost = of(found, Server::Ours).map(|round| failed(&round.quiet) + failed(&round.attacked)).sum();
    rows.push(row("requests of good clients without an answer", lost, "").bounded(Bound::AtMost(0.0)));
    let least = of(found, Server::Ours).map(|round| count(round.hostile.all())).fold(f64::MAX, f64::min);
    rows.push(
        row("hostile connections at once", least, "")
            .bounded(Bound::AtLeast(count(plan.hostile as u64) * 0.9)),
    );
    for &server in plan.servers() {
        rows.extend(of_server(found, server));
    }
    Results::new("attack", rows)
}

/// The figures of one server, without bounds.
fn of_server(found: &[Round], server: Server) -> Vec<Row> {
    let name = server.name();
    let mut rows = Vec::new();
    for class in Class::ALL {
        for (state, window) in STATES {
            for (what, figure) in [("p50", p50 as fn(&Window, Class) -> f64), ("p99", p99)] {
                let value = median(of(found, server).map(|round| figure(window(round), class)));
                rows.push(row(&format!("{}: {what}, {name} {state}", class.name()), value, "µs"));
            }
        }
        rows.push(row(
            &format!("{}: p99 attacked ÷ quiet, {name}", class.name()),
            slowed(found, server, class),
            "×",
        ));
    }
    for (state, window) in STATES {
        let figures: [Figure; 6] = [
            ("processor time of the server", |window| window.busy * 1e3, "ms/s"),
            ("memory of the server", |window| count(window.bytes >> 10), "KiB"),
            ("descriptors", |window| count(window.descriptors), ""),
            ("kernel memory, receiving", |window| count(window.kernel.receive >> 10), "KiB"),
            ("kernel memory, sending", |window| count(window.kernel.send >> 10), "KiB"),
            ("orphans that are not acknowledged", |window| count(window.kernel.orphans), ""),
        ];
        for (what, figure, unit) in figures {
            let value = median(of(found, server).map(|round| figure(window(round))));
            rows.push(row(&format!("{what}, {name} {state}"), value, unit));
        }
    }
    let lost = of(found, server).map(|round| failed(&round.quiet) + failed(&round.attacked)).sum();
    rows.push(row(&format!("requests of good clients without an answer, {name}"), lost, ""));
    rows
}

/// Its name, what it is of a window, and its unit.
type Figure = (&'static str, fn(&Window) -> f64, &'static str);
type OfRound = fn(&Round) -> &Window;
const STATES: [(&str, OfRound); 2] = [("quiet", |round| &round.quiet), ("attacked", |round| &round.attacked)];

fn of(found: &[Round], server: Server) -> impl Iterator<Item = &Round> {
    found.iter().filter(move |round| round.server == server)
}

fn times(window: &Window, class: Class) -> &Times {
    window.times.iter().find(|times| times.class == class).expect("each class is measured")
}

fn p50(window: &Window, class: Class) -> f64 {
    times(window, class).p50
}

fn p99(window: &Window, class: Class) -> f64 {
    times(window, class).p99
}

fn failed(window: &Window) -> f64 {
    window.times.iter().map(|times| count(times.failed)).sum()
}

fn slowed(found: &[Round], server: Server, class: Class) -> f64 {
    median(of(found, server).map(|round| p99(&round.attacked, class) / p99(&round.quiet, class)))
}

fn row(what: &str, value: f64, unit: &str) -> Row {
    Row::new(what, value, unit)
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn count(number: u64) -> f64 {
    number as f64
}
