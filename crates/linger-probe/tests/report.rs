//! The output formats, on a made-up run.

mod sample;

use linger_probe::model::gate::{Comparison, Gate, Place};
use linger_probe::model::{Ladders, Report, SCHEMA_VERSION, Severity, Verdict};
use linger_probe::report::{Format, html, render, render_wide};
use quick_xml::events::Event as Xml;
use serde_json::Value;

fn alone() -> Report {
    let mut report = sample::report();
    report.targets.truncate(1);
    report.load.clear();
    report
}

fn many() -> Report {
    let mut report = sample::report();
    report.targets.extend(sample::report().targets);
    report
}

#[test]
fn json_is_the_whole_model() {
    let json: Value = serde_json::from_str(&render(&sample::report(), Format::Json, true)).expect("JSON");
    assert_eq!((&json["schema_version"], &json["version"]), (&SCHEMA_VERSION.into(), &"0.1.0".into()));
    assert_eq!(json["started"], "2025-11-24T16:00:00.123Z");
    assert_eq!(json["targets"][0]["ladders"], "socket_events");
    assert_eq!(json["targets"][2]["name"], sample::HOSTILE);
    let row = &json["targets"][0]["rows"][1];
    assert_eq!((&row["scenario"], &row["verdict"]), (&"early.stops_at_error".into(), &"fail".into()));
    assert_eq!(row["attempts"].as_array().expect("a list").len(), 10);
    let whole = &row["attempts"][1];
    assert_eq!(
        (&whole["passed"], &whole["status"], &whole["end"]),
        (&true.into(), &413.into(), &serde_json::json!({ "kind": "fin" }))
    );
    assert!((whole["latency_ms"].as_f64().expect("a number") - 1.11).abs() < 1e-9);
    assert_eq!(row["attempts"][0]["latency_ms"], Value::Null);
    assert_eq!(row["attempts"][3]["end"], serde_json::json!({ "kind": "alert", "detail": "decode_error" }));
    assert_eq!(row["ladder"].as_array().expect("a list").len(), sample::every_event().len());
    assert_eq!(row["ladder"][4]["what"], serde_json::json!({ "kind": "data", "bytes": 1 << 20 }));
    let remedy = &json["targets"][0]["remedies"][0];
    assert_eq!((&remedy["server"], &remedy["rows"][0]), (&"nginx".into(), &"early.stops_at_error".into()));
}

/// A gate that excuses one failure because it is known, and one because it is mild.
fn gated() -> Report {
    let place = |scenario: &str| Place { target: "127.0.0.1:8080".to_owned(), scenario: scenario.to_owned() };
    let comparison = Comparison {
        file: "before.json".to_owned(),
        new: vec![place("early.reads_later")],
        known: vec![place("early.stops_at_error"), place("close.pipelined")],
        healed: vec![place("idle.release")],
    };
    let gate = Gate { fail_on: Severity::CanBeHeldOpen, baseline: Some(comparison) };
    Report { gate: Some(gate), ..alone() }
}

/// Each optional field is there in at least one of the reports.
#[test]
fn json_is_as_its_schema_says() {
    let schema = include_str!("../schema/report.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    jsonschema::meta::validate(&schema).expect("the schema is a schema");
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    let json = |report: &Report| -> Value {
        serde_json::from_str(&render(report, Format::Json, false)).expect("JSON")
    };
    let mut whole = gated();
    whole.options = Some((&linger_probe::target::Options::default()).into());
    whole.interrupted = Some("interrupted".to_owned());
    whole.targets[0].lost = Some("gone".to_owned());
    for report in [&sample::report(), &many(), &Report::default(), &whole] {
        let errors: Vec<String> = schema.iter_errors(&json(report)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    // The schema is strict: it must refuse each of these.
    let right = json(&whole);
    for (place, wrong) in [
        ("/schema_version", serde_json::json!(0)),
        ("/started", "yesterday".into()),
        ("/targets/0/rows/1/attempts/0/end", "reset".into()),
        ("/targets/0/rows/1/attempts/3/end", serde_json::json!({ "kind": "alert" })),
        ("/targets/0/rows/1/ladder/4/what", serde_json::json!({ "kind": "data" })),
        ("/targets/0/rows/1/severity", Value::Null),
        ("/gate/fail_on", "mild".into()),
        ("/options/deadline_ms", "120 s".into()),
    ] {
        let mut json = right.clone();
        *json.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = wrong;
        assert!(!schema.is_valid(&json), "{place}");
    }
    let mut more = right.clone();
    more["targets"][0]["surprise"] = true.into();
    assert!(!schema.is_valid(&more));
}

#[test]
fn a_gate_counts_what_is_new_and_bad_enough() {
    let mut report = gated();
    // Scenario 3, `early.reads_later`, can be held open and is new.
    let passes = |report: &Report| report.gate.as_ref().expect("gated").lets_pass(&report.targets);
    assert!(!passes(&report));
    let text = render(&report, Format::Text, false);
    for part in [
        "1 of these failures count (--fail-on: can be held open); 2 do not.",
        "Compared with before.json:",
        "1 new: 127.0.0.1:8080 early.reads_later",
        "2 known: 127.0.0.1:8080 early.stops_at_error, 127.0.0.1:8080 close.pipelined",
        "1 healed: 127.0.0.1:8080 idle.release",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let xml = render(&report, Format::Junit, false);
    assert_eq!(xml.matches("<failure").count(), 1, "{xml}");
    assert!(xml.contains("fails, known from the baseline: "), "{xml}");
    assert!(xml.contains("fails, less severe than --fail-on: "), "{xml}");
    assert!(html::page(&report).contains("Compared with before.json"));
    report.gate.as_mut().expect("gated").fail_on = Severity::BreaksProtocol;
    assert!(passes(&report));
}

#[test]
fn junit_has_a_suite_per_target_and_a_case_per_scenario() {
    let xml = render(&sample::report(), Format::Junit, true);
    let mut reader = quick_xml::Reader::from_str(&xml);
    let mut elements: Vec<String> = Vec::new();
    loop {
        match reader.read_event().expect("well-formed") {
            Xml::Eof => break,
            Xml::Start(tag) | Xml::Empty(tag) => {
                tag.attributes().for_each(|attribute| {
                    drop(attribute.expect("an attribute").unescape_value().expect("escaped"));
                });
                elements.push(String::from_utf8(tag.name().as_ref().to_vec()).expect("a name"));
            }
            _ => {}
        }
    }
    let count = |name: &str| elements.iter().filter(|element| *element == name).count();
    // Three servers with nine scenarios each; one that could not be judged; eight loads with two kinds of
    // request each, one of which could not connect.
    assert_eq!((count("testsuite"), count("testcase")), (3 + 1 + 8, 27 + 1 + 17));
    assert_eq!((count("failure"), count("error"), count("skipped")), (7 + 10, 1, 3));
    assert!(xml.contains(r#"type="RFC 9112 §9.6""#), "{xml}");
    assert!(xml.contains("try 1: FAIL: reset after 4.2 MiB, no response"), "{xml}");
}

/// The axis is logarithmic, and has no place for zero.
#[test]
fn the_page_draws_a_latency_of_zero() {
    let mut report = sample::report();
    let kinds = report.load.iter_mut().flat_map(|load| &mut load.kinds);
    for point in kinds.filter_map(|kind| kind.latency.quantiles.first_mut()) {
        point.time = std::time::Duration::ZERO;
    }
    let page = html::page(&report);
    let points = page.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next());
    assert!(points.clone().count() > 0 && points.clone().all(|points| !points.contains("inf")), "{page}");
}

#[test]
fn text_shows_each_hidden_character_wherever_it_stands() {
    let mut report = sample::report();
    let hostile = || sample::HOSTILE.to_owned();
    report.interrupted = Some(hostile());
    report.load.iter_mut().for_each(|load| (load.plan, load.url) = (hostile(), hostile()));
    for target in &mut report.targets {
        (target.url, target.lost) = (hostile(), Some(hostile()));
        target.rows.iter_mut().for_each(|row| row.reason = hostile());
    }
    for format in [Format::Text, Format::Summary] {
        let text = render(&report, format, false);
        assert!(!text.contains('\u{1b}') && text.contains(r"\u{1b}"), "{text}");
    }
}

#[test]
fn text_without_colours_has_no_escapes_and_is_as_wide_as_it_may_be() {
    for width in [80, linger_probe::report::WIDTH, 200] {
        let formats =
            |report| [Format::Text, Format::Summary].map(|format| render_wide(&report, format, false, width));
        let mut widest = 0;
        for text in [alone(), gated(), sample::report(), many()].into_iter().flat_map(formats) {
            assert!(!text.contains('\u{1b}'), "{text}");
            for line in text.lines() {
                widest = widest.max(line.chars().count());
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
                assert_eq!(line, line.trim_end());
            }
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
        }
        assert!(widest > usize::from(width) - 10, "{widest} of {width}");
    }
}

#[test]
fn the_worst_failures_come_first_with_what_to_change() {
    let text = render(&alone(), Format::Text, false);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    let severities = ["  loses responses ", "  can be held open ", "  harsh "];
    assert!(severities.map(place).is_sorted(), "{text}");
    assert!(place("To change in nginx") > place("  harsh "), "{text}");
    assert!(text.contains("lingering_close always;"), "{text}");
    let page = html::page(&alone());
    let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}"));
    let ids = ["target-1-early.stops_at_error", "target-1-early.reads_later", "target-1-close.pipelined"];
    let ids = ids.map(|id| place(&format!("<div class=\"body\" id=\"{id}\"")));
    assert!(ids.is_sorted());
    // Severity, ladder and remedy of one row.
    let section = &page[ids[0]..ids[1]];
    for part in ["<figure class=\"ladder\">", "What to change in nginx", "ngx_http_core_module"] {
        assert!(section.contains(part), "{part}");
    }
    assert!(page[..ids[0]].ends_with("tries passed</span></summary>"));
}

#[test]
fn what_only_linux_clients_survive_looks_like_nothing_else() {
    let page = html::page(&alone());
    assert!(page.contains(r#"<span class="verdict linux">pass (Linux)</span>"#));
    assert!(page.contains("Clients on Linux keep what arrived before a reset"));
    assert!(render(&alone(), Format::Text, false).contains("pass (Linux)"));
}

#[test]
fn text_tells_verdicts_tries_reasons_and_counts() {
    let text = render(&alone(), Format::Text, false);
    println!("{text}");
    for part in [
        "127.0.0.1:8080 (http://127.0.0.1:8080/upload, nginx/1.22.1 ",
        "6/10",
        "2 rows do not apply: tls.close_notify, tls.handshake_alert (The server answered nothing early",
        "early.stops_at_error",
        "not installed: there is no such thing",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("n/a"), "{text}");
    assert!(text.contains("\n4 pass, 3 fail, 2 not applicable\n"), "{text}");
    let text = render(&sample::report(), Format::Summary, false);
    for part in ["127.0.0.1:8080", "not installed", "early.stops_at_error", "server number 7"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = render(&sample::report(), Format::Text, false);
    println!("{text}");
    for part in
        ["FAIL 6/10", "pass 10/10", "RFC 8446", "\n127.0.0.1:8080: 4 pass, 3 fail, 2 not applicable\n"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn text_is_coloured_when_asked() {
    let plain = render(&alone(), Format::Text, false);
    let coloured = render(&alone(), Format::Text, true);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    let mut stripped = String::new();
    for part in coloured.split("\u{1b}[") {
        let is_escape = !stripped.is_empty() || coloured.starts_with('\u{1b}');
        stripped += if is_escape { part.split_once('m').map_or(part, |(_, rest)| rest) } else { part };
    }
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(bare(&stripped), bare(&plain));
}

#[test]
fn a_run_without_targets_and_a_target_without_rows_are_shown() {
    let mut report = alone();
    report.targets[0].rows.clear();
    let empty = Report { targets: vec![], ..report.clone() };
    for report in [report, empty] {
        for format in [Format::Text, Format::Json, Format::Junit] {
            assert!(!render(&report, format, false).is_empty());
        }
        assert!(html::page(&report).ends_with("</html>"));
    }
}

#[test]
fn the_page_escapes_what_it_was_given() {
    let page = html::page(&sample::report());
    assert!(!page.contains("<script"), "no script of ours, and none of theirs");
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"));
    assert!(page.contains("no route to &lt;host&gt;"));
}

#[test]
fn the_page_needs_nothing_else() {
    let page = html::page(&sample::report());
    for attribute in ["src=\"", "href=\""] {
        for (at, _) in page.match_indices(attribute) {
            let value = &page[at + attribute.len()..];
            assert!(value.starts_with('#') || value.starts_with("data:"), "{}", &value[..40]);
        }
    }
    for word in ["url(", "@import", "srcset", "<iframe", "<object", "<form", "http-equiv"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn the_page_shows_every_event_and_every_row() {
    let report = sample::report();
    let page = html::page(&report);
    let labels = [
        "client: connect;",
        "server: connected",
        "TLS handshake done",
        "data 312 B",
        "data 1 MiB",
        "data 3.2 MiB",
        "server: close_notify",
        "alert unexpected_message_with_a_very_long_name",
        "FIN",
        "server: RST",
        "client: write failed after 4.2 MiB",
        "server: socket released",
        "2000 ms later",
        "From socket events",
    ];
    for label in labels {
        assert!(page.contains(label), "{label}");
    }
    let drawn: usize =
        report.targets.iter().flat_map(|target| &target.rows).map(|row| row.ladder.len()).sum();
    assert_eq!(page.matches("<g class=\"event\">").count(), drawn);
    let failures: usize = report.targets.iter().map(|target| target.count(Verdict::Fail)).sum();
    assert_eq!(page.matches("<details").count(), 27);
    assert_eq!(page.matches("\" open>").count(), failures);
}

#[test]
fn the_page_says_where_its_ladders_come_from() {
    let mut report = alone();
    report.targets[0].ladders = Ladders::Packets;
    let page = html::page(&report);
    assert!(page.contains("From packets") && !page.contains("ocket events"));
    assert!(!page.contains("Comparison"), "one server is compared with nothing");
}

#[test]
fn every_link_and_label_of_the_page_leads_somewhere_and_ids_are_unique() {
    let page = html::page(&sample::report());
    let values = |name: &str| -> Vec<&str> {
        let after = page.split(name).skip(1);
        after.map(|rest| rest.split('"').next().unwrap_or_default()).collect()
    };
    let mut ids = values(" id=\"");
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for target in values("href=\"#")
        .into_iter()
        .chain(values("labelledby=\"").into_iter().flat_map(str::split_whitespace))
    {
        assert!(ids.binary_search(&target).is_ok(), "{target}");
    }
}
