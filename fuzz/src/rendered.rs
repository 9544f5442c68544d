//! What the probe writes: each format must be well-formed, whatever the servers have said.

use linger_probe::model::Report;
use linger_probe::read::model::Reading;
use linger_probe::report::html::{page, picture, reading_page};
use linger_probe::report::{Format, connection_line, line, render_reading, render_wide, summary};
use quick_xml::events::Event;

/// Renders a report in all formats; as a page if that is wanted, because it takes longer than the others.
pub fn report(report: &Report, page_too: bool) {
    for (format, width) in [(Format::Text, 100), (Format::Summary, 80), (Format::Text, 20)] {
        no_hidden(&render_wide(report, format, false, width));
    }
    json(&render_wide(report, Format::Json, false, 100));
    if !page_too {
        return;
    }
    xml(&render_wide(report, Format::Junit, false, 100));
    html(&page(report));
    for target in &report.targets {
        for row in &target.rows {
            one_line(&line(row));
            if let Some(svg) = picture(target, row) {
                xml(&svg);
            }
        }
    }
}

/// The same of a reading.
pub fn reading(reading: &Reading, page_too: bool) {
    for width in [100, 20] {
        no_hidden(&render_reading(reading, Format::Text, false, width));
    }
    one_line(&summary(reading));
    json(&render_reading(reading, Format::Json, false, 100));
    xml(&render_reading(reading, Format::Junit, false, 100));
    if page_too {
        html(&reading_page(reading));
    }
    for connection in &reading.worst {
        one_line(&connection_line(connection));
    }
}

/// A terminal must not obey a server.
pub fn no_hidden(text: &str) {
    let hidden = |c: char| c != '\n' && linger_probe::shown::escaped(&c.to_string()) != c.to_string();
    if let Some(found) = text.chars().find(|c| !c.is_ascii_graphic() && *c != ' ' && hidden(*c)) {
        panic!("{found:?} in {text}");
    }
}

fn one_line(text: &str) {
    no_hidden(text);
    assert!(!text.contains('\n'), "{text:?}");
}

fn json(text: &str) {
    no_hidden(text);
    let _: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
}

fn xml(text: &str) {
    // XML 1.0 §2.2: no document can have these characters.
    let is_legal = |c: char| c >= ' ' && !['\u{fffe}', '\u{ffff}'].contains(&c) || "\t\n\r".contains(c);
    assert!(text.chars().all(is_legal), "{text}");
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return,
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                for attribute in tag.attributes() {
                    let attribute = attribute.unwrap_or_else(|error| panic!("{error}: {text}"));
                    attribute.unescape_value().unwrap_or_else(|error| panic!("{error}: {text}"));
                }
            }
            Ok(Event::Text(words)) => {
                words.decode().unwrap_or_else(|error| panic!("{error}: {text}"));
            }
            Ok(_) => {}
            Err(error) => panic!("{error}: {text}"),
        }
    }
}

/// Each tag is closed, and there is none that the page does not know.
fn html(text: &str) {
    const VOID: [&str; 6] = ["meta", "link", "br", "hr", "img", "input"];
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut open = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(Event::Start(tag)) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                assert_ne!(name, "script", "the page has no script: {text}");
                if !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Ok(Event::End(tag)) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                assert_eq!(open.pop(), Some(name), "{text}");
            }
            Ok(_) => {}
            Err(error) => panic!("{error}: {text}"),
        }
    }
    assert_eq!(open, Vec::<String>::new(), "{text}");
}
