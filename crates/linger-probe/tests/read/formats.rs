//! The formats of a reading.

use linger_probe::read::Severity;
use linger_probe::read::Tally;
use linger_probe::read::model::{KernelCount, Reading, SCHEMA_VERSION};
use linger_probe::report::{Format, render_reading, summary};
use quick_xml::events::Event as Xml;
use serde_json::Value;

use crate::made::{self, cut_upload, normal};

fn text(reading: &Reading, width: u16) -> String {
    render_reading(reading, Format::Text, false, width)
}

#[test]
fn the_summary_is_a_sentence() {
    let mut tally = Tally::default();
    (1..=12_000).for_each(|number| drop(tally.add(&normal(number))));
    (12_001..=12_430).for_each(|number| drop(tally.add(&cut_upload(number))));
    let reading = tally.finish(vec![made::source()]);
    let expected = "12\u{a0}430 connections in 3.4 h: 96.5 % normal, 3.5 % reset by the server while the client was \
                    sending.";
    assert_eq!(summary(&reading), expected);
    assert_eq!(summary(&Tally::default().finish(Vec::new())), "No connections.");
}

#[test]
fn text_fits_its_width_and_shows_nothing_hidden() {
    let mut reading = made::reading();
    reading.interrupted = Some("Interrupted: these are the results so far.".to_owned());
    for width in [80, 120] {
        let text = text(&reading, width);
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }
    let text = text(&reading, 120);
    for part in [
        "mixed.pcapng: 1\u{a0}000 packets of TCP in 1 MiB; 30 of other protocols; 2 fragments, which are not followed;",
        "143 KiB of upload unread",
        "The worst 10 connections:",
        "1.00 ms │─────────── data 120 B ────────────▶│",
        "5.00 ms │✕─────────────── RST ───────────────│",
        "connections lost a response, or got none",
        "RFC 9112 §9.6",
        "Interrupted",
    ] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&text).contains(&words(part)), "{part}: {text}");
    }
    assert!(render_reading(&reading, Format::Text, true, 80).contains('\u{1b}'), "colours");
}

/// Each optional field is there in at least one of the readings.
#[test]
fn json_is_as_its_schema_says() {
    let schema = include_str!("../../schema/read.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    jsonschema::meta::validate(&schema).expect("the schema is a schema");
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    let mut whole = made::reading();
    whole.filters = vec!["port=443".to_owned()];
    whole.fail_on = Some(Severity::LosesResponses);
    whole.interrupted = Some("interrupted".to_owned());
    whole.others =
        Some(linger_probe::read::model::Others { servers: 1, counts: whole.servers[0].counts.clone() });
    let meaning = "resets of connections that were closed with data unread";
    whole.kernel = vec![KernelCount { name: "TCPAbortOnClose", growth: 3, meaning }];
    let json = |reading: &Reading| -> Value { serde_json::from_str(&reading.to_json()).expect("JSON") };
    for reading in [&made::reading(), &Tally::default().finish(Vec::new()), &whole] {
        let errors: Vec<String> = schema
            .iter_errors(&json(reading))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    // The schema is strict: it must refuse each of these.
    let right = json(&whole);
    assert_eq!(right["schema_version"], SCHEMA_VERSION);
    for (place, wrong) in [
        ("/schema_version", serde_json::json!(0)),
        ("/kinds/0/kind", "good".into()),
        ("/span/from", "yesterday".into()),
        ("/worst/0/kind", Value::Null),
        ("/worst/0/verdicts/0/severity", "mild".into()),
        ("/worst/0/ladder/0/what", serde_json::json!({ "kind": "nothing" })),
        ("/worst/0/client_sent/bytes", (-1).into()),
        ("/timeline/buckets/0/kinds", serde_json::json!([1])),
        ("/losses/connections", Value::Null),
        ("/doubts/0/name", "none".into()),
        ("/kernel/0/growth", (-1).into()),
    ] {
        let mut json = right.clone();
        *json.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = wrong;
        assert!(!schema.is_valid(&json), "{place}");
    }
    for place in ["", "/worst/0", "/worst/0/end", "/servers/0", "/sources/0", "/worst/0/server_sent"] {
        let mut json = right.clone();
        json.pointer_mut(place).unwrap_or_else(|| panic!("{place}"))["surprise"] = true.into();
        assert!(!schema.is_valid(&json), "{place}");
    }
    assert!(!whole.to_json().contains('\u{202e}'), "hidden characters are escaped");
}

#[test]
fn junit_has_a_suite_for_each_server_and_a_case_for_each_verdict() {
    let mut reading = made::reading();
    let count = |xml: &str, name: &str| {
        let mut reader = quick_xml::Reader::from_str(xml);
        let mut found = 0;
        loop {
            match reader.read_event().expect("well-formed") {
                Xml::Eof => return found,
                Xml::Start(tag) | Xml::Empty(tag) if tag.name().as_ref() == name.as_bytes() => found += 1,
                _ => {}
            }
        }
    };
    let xml = render_reading(&reading, Format::Junit, false, 100);
    let lossy = |reading: &Reading| {
        let fails = |severity| severity <= reading.fail_on.unwrap_or(Severity::LosesResponses);
        reading.verdicts.iter().filter(|verdict| fails(verdict.severity)).count()
    };
    assert_eq!((count(&xml, "testsuite"), count(&xml, "testcase")), (1, 1 + reading.verdicts.len()));
    assert_eq!(count(&xml, "failure"), lossy(&reading));
    assert!(xml.contains(r#"name="read.reset_while_receiving.server" classname="192.0.2.1:443""#), "{xml}");
    reading.fail_on = Some(Severity::Harmless);
    reading.interrupted = Some("interrupted".to_owned());
    let xml = render_reading(&reading, Format::Junit, false, 100);
    assert_eq!((count(&xml, "failure"), count(&xml, "error")), (reading.verdicts.len(), 1));
}
