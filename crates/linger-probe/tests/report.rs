//! The output formats, on a made-up run.

mod sample;

use linger_probe::model::{Ladders, Report, Verdict};
use linger_probe::report::{Format, html, render};
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
    assert_eq!(json["version"], "0.1.0");
    assert_eq!(json["targets"][0]["ladders"], "socket_events");
    assert_eq!(json["targets"][2]["name"], sample::HOSTILE);
    let row = &json["targets"][0]["rows"][1];
    assert_eq!((&row["scenario"], &row["verdict"]), (&"early.stops_at_error".into(), &"fail".into()));
    assert_eq!(row["attempts"].as_array().expect("a list").len(), 10);
    let whole = &row["attempts"][1];
    assert_eq!(
        (&whole["passed"], &whole["status"], &whole["end"]),
        (&true.into(), &413.into(), &"fin".into())
    );
    assert!((whole["latency_ms"].as_f64().expect("a number") - 1.11).abs() < 1e-9);
    assert_eq!(row["attempts"][0]["latency_ms"], Value::Null);
    assert_eq!(row["attempts"][3]["end"]["alert"], "decode_error");
    assert_eq!(row["ladder"].as_array().expect("a list").len(), sample::every_event().len());
    assert_eq!(row["ladder"][4]["what"]["data"], 1 << 20);
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
    // Three servers with nine scenarios each; eight loads with two kinds of request each, one of which could not connect.
    assert_eq!((count("testsuite"), count("testcase")), (3 + 8, 27 + 17));
    assert_eq!((count("failure"), count("skipped")), (7 + 10, 3));
    assert!(xml.contains(r#"type="RFC 9112 §9.6""#), "{xml}");
    assert!(xml.contains("try 1: FAIL: reset after 4.2 MiB, no response"), "{xml}");
}

#[test]
fn text_without_colours_has_no_escapes_and_fits_100_columns() {
    let formats = |report| [Format::Text, Format::Summary].map(|format| render(&report, format, false));
    for text in [alone(), sample::report(), many()].into_iter().flat_map(formats) {
        assert!(!text.contains('\u{1b}'), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert_eq!(line, line.trim_end());
        }
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
    }
}

#[test]
fn text_tells_verdicts_tries_reasons_and_counts() {
    let text = render(&alone(), Format::Text, false);
    println!("{text}");
    for part in ["127.0.0.1:8080 (http://127.0.0.1:8080/upload)", "6/10", "n/a", "early.stops_at_error"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.ends_with("4 pass, 3 fail, 2 not applicable\n"), "{text}");
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
