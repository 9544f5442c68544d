//! The plots in `docs/`.

use std::path::Path;

use plotters::prelude::*;
use tower_linger_benches::results::{Results, Series, figure};

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

const OURS: RGBColor = RGBColor(0x1b, 0x7f, 0x79);
const OTHERS: RGBColor = RGBColor(0x8a, 0x93, 0x9c);
const FONT: &str = "sans-serif";

/// A panel of `costs.svg`: its title, the bench, and the rows of that bench, each with its label in the plot.
type Panel = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const COSTS: [Panel; 6] = [
    (
        "processor time of a connection, plain, µs",
        "connections",
        &[
            ("hyper", "processor time of a connection, hyper alone, plain"),
            ("with the layer", "processor time of a connection, layer, plain"),
            ("with RequestLayer", "processor time of a connection, layer and RequestLayer, plain"),
            ("with Workers", "processor time of a connection, Workers, plain"),
            ("nginx always", "processor time of a connection, nginx always, plain"),
        ],
    ),
    (
        "processor time of a connection, TLS, µs",
        "connections",
        &[
            ("hyper", "processor time of a connection, hyper alone, TLS"),
            ("with the layer", "processor time of a connection, layer, TLS"),
            ("with RequestLayer", "processor time of a connection, layer and RequestLayer, TLS"),
            ("with Workers", "processor time of a connection, Workers, TLS"),
            ("nginx always", "processor time of a connection, nginx always, TLS"),
        ],
    ),
    (
        "processor time to drain a GiB, ms",
        "drain",
        &[
            ("recv(MSG_TRUNC) loop", "processor time to drain a GiB, bare loop"),
            ("with the layer", "processor time to drain a GiB, layer"),
            ("nginx always", "processor time to drain a GiB, nginx"),
        ],
    ),
    (
        "a socket whose client stays, descriptor-seconds",
        "release",
        &[
            (
                "with the layer, early release",
                "descriptor-seconds of a connection whose client stays, early release",
            ),
            ("nginx always", "descriptor-seconds of a connection whose client stays, nginx always"),
        ],
    ),
    (
        "memory of a lingering connection, bytes",
        "memory",
        &[
            ("with the layer", "memory of a lingering connection: layer, plain, 10000 at once, glibc"),
            ("with the adapter", "memory of a lingering connection: adapter, plain, 10000 at once, glibc"),
            ("with the layer, TLS", "memory of a lingering connection: layer, TLS, 5000 at once, glibc"),
            ("with the adapter, TLS", "memory of a lingering connection: adapter, TLS, 5000 at once, glibc"),
        ],
    ),
    (
        "responses lost of a thousand, an upload in ten refused",
        "compare",
        &[
            ("hyper", "responses lost of a thousand requests, hyper"),
            ("with the layer", "responses lost of a thousand requests, hyper layered"),
            ("nginx always", "responses lost of a thousand requests, nginx always"),
            ("Apache", "responses lost of a thousand requests, Apache"),
            ("HAProxy", "responses lost of a thousand requests, HAProxy"),
            ("Go", "responses lost of a thousand requests, Go"),
        ],
    ),
];

/// Draws `costs.svg`, `attack.svg`, `scale.svg` and `soak.svg` from the results of the benches that have run.
pub(crate) fn draw(found: &[Results], folder: &Path) {
    let by_name = |name: &str| found.iter().find(|results| results.bench == name);
    let path = folder.join("costs.svg");
    let area = SVGBackend::new(&path, (960, 640)).into_drawing_area();
    area.fill(&WHITE).expect("a file");
    for (panel, (title, bench, rows)) in area.split_evenly((3, 2)).iter().zip(COSTS) {
        let value =
            |what: &str| by_name(bench)?.rows.iter().find(|row| row.what == what).map(|row| row.value);
        let bars: Vec<_> = rows.iter().filter_map(|(name, what)| Some((*name, value(what)?))).collect();
        bars_of(panel, title, &bars);
    }
    area.present().expect("a file");

    if let Some(attack) = by_name("attack") {
        attacked(attack, &folder.join("attack.svg"));
    }

    for (name, size, (rows, columns), draw) in
        [("scale", (960, 400), (1, 2), curves_of as Curves), ("soak", (960, 560), (2, 2), times_of as Curves)]
    {
        let Some(results) = by_name(name) else { continue };
        let path = folder.join(name).with_extension("svg");
        let area = SVGBackend::new(&path, size).into_drawing_area();
        area.fill(&WHITE).expect("a file");
        let mut plots: Vec<&str> = results.series.iter().map(|series| series.plot.as_str()).collect();
        plots.dedup();
        for (panel, plot) in area.split_evenly((rows, columns)).iter().zip(plots) {
            let curves = results.series.iter().filter(|series| series.plot == plot).collect::<Vec<_>>();
            draw(panel, plot, &curves);
        }
        area.present().expect("a file");
    }
}

/// Draws the curves of one plot.
type Curves = fn(&Area<'_>, &str, &[&Series]);

/// The 99th percentiles of good clients, without an attack and under it: a panel for each kind of client.
fn attacked(found: &Results, path: &Path) {
    const CLIENTS: [&str; 4] =
        ["new connection", "new connection, TLS", "kept connection", "kept connection, TLS"];
    const SERVERS: [(&str, &str); 3] =
        [("with serve", "tower_linger::serve"), ("nginx", "nginx"), ("hyper", "hyper")];
    let area = SVGBackend::new(path, (960, 440)).into_drawing_area();
    area.fill(&WHITE).expect("a file");
    for (panel, client) in area.split_evenly((2, 2)).iter().zip(CLIENTS) {
        let mut bars = Vec::new();
        for (label, server) in SERVERS {
            for state in ["quiet", "attacked"] {
                let what = format!("{client}: p99, {server} {state}");
                let value = found.rows.iter().find(|row| row.what == what).map(|row| row.value);
                bars.extend(value.map(|value| (format!("{label}, {state}"), value)));
            }
        }
        let bars: Vec<_> = bars.iter().map(|(label, value)| (label.as_str(), *value)).collect();
        bars_of(panel, &format!("a request's 99th percentile, {client}, µs"), &bars);
    }
    area.present().expect("a file");
}

/// Draws horizontal bars that begin at zero, each with its name and figure.
fn bars_of(panel: &Area<'_>, title: &str, bars: &[(&str, f64)]) {
    let (width, _) = panel.dim_in_pixel();
    let (left, right) = (190, i32::try_from(width).expect("a page") - 90);
    let most = bars.iter().map(|bar| bar.1).fold(f64::MIN_POSITIVE, f64::max);
    let text = |size: i32| (FONT, size).into_font().color(&BLACK);
    panel.draw(&Text::new(title, (16, 12), text(15))).expect("a file");
    for (row, (name, value)) in (0..).zip(bars) {
        let top = 40 + row * 25;
        let color = if name.starts_with("with") { OURS } else { OTHERS };
        #[expect(clippy::cast_possible_truncation, reason = "pixels")]
        let end = left + (f64::from(right - left) * value / most) as i32;
        panel
            .draw(&Rectangle::new([(left, top), (end.max(left + 1), top + 17)], color.filled()))
            .expect("a file");
        panel.draw(&Text::new(*name, (16, top + 2), text(13))).expect("a file");
        panel.draw(&Text::new(figure(*value), (end + 6, top + 2), text(13))).expect("a file");
    }
}

/// Draws a cost over the number of closes at once. Both axes are logarithmic, so that a flat cost looks flat.
fn curves_of(panel: &Area<'_>, title: &str, curves: &[&Series]) {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let least = points().map(|point| point.1).fold(f64::MAX, f64::min);
    let most = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, (FONT, 15))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((800.0..1_300_000.0).log_scale(), (least / 3.0..most * 3.0).log_scale())
        .expect("points");
    chart.configure_mesh().x_desc("closes at once").light_line_style(WHITE).draw().expect("a file");
    for (curve, color) in curves.iter().zip([OURS, RGBColor(0xc2, 0x5b, 0x2a)]) {
        let line = LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)).point_size(4);
        let key = move |(x, y)| Rectangle::new([(x, y - 2), (x + 16, y + 2)], color.filled());
        chart.draw_series(line).expect("a file").label(&curve.name).legend(key);
    }
    chart.configure_series_labels().border_style(OTHERS).background_style(WHITE).draw().expect("a file");
}

/// Draws what happened over time. The vertical axis begins at zero, so that what is flat looks flat.
fn times_of(panel: &Area<'_>, title: &str, curves: &[&Series]) {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(|point| point.0).fold(f64::MIN_POSITIVE, f64::max);
    let most = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, (FONT, 15))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..last, 0.0..most * 1.7)
        .expect("points");
    chart.configure_mesh().x_desc("minutes").light_line_style(WHITE).draw().expect("a file");
    for (curve, color) in curves.iter().zip([OURS, RGBColor(0xc2, 0x5b, 0x2a), OTHERS]) {
        let line = LineSeries::new(curve.points.iter().copied(), color.stroke_width(2));
        let key = move |(x, y)| Rectangle::new([(x, y - 2), (x + 16, y + 2)], color.filled());
        chart.draw_series(line).expect("a file").label(&curve.name).legend(key);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(OTHERS)
        .background_style(WHITE)
        .draw()
        .expect("a file");
}
