//! The page of a reading.

use std::collections::BTreeSet;

use linger_probe::read::model::Reading;
use linger_probe::read::{Kind, Tally};
use linger_probe::report::html::reading_page;
use linger_wire::trace::Connection;
use linger_wire::{Part, Side};

use crate::made::{self, cut_upload, every_doubt, ladder, silence, tls};
use crate::packets::Capture;
use crate::probe::{assert_refused, probe};

/// The page of these connections, from a capture with nothing to say about it.
fn page(connections: &[Connection]) -> String {
    let mut tally = Tally::default();
    for connection in connections {
        tally.add(connection);
    }
    reading_page(&tally.finish(vec![made::source()]))
}

/// The values of an attribute, in the order of the page.
fn values<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let name = format!(" {name}=\"");
    page.split(name.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

/// The details of a connection.
fn details(page: &str, number: u64) -> &str {
    let details = page.split(&format!("id=\"connection-{number}\"")).nth(1).expect("the connection is shown");
    details.split("</details>").next().expect("its end")
}

#[test]
fn it_escapes_what_the_trace_has() {
    let mut reading = made::reading();
    reading.sources[0].name = made::HOSTILE.to_owned();
    let page = reading_page(&reading);
    assert!(!page.contains("<script"), "no script of ours, and none of theirs");
    let hostile = "a\\u{1b}[31m&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}.example";
    assert!(
        page.contains(&format!("; for {hostile}")) || page.contains(&format!("for {hostile};")),
        "the SNI"
    );
    assert!(page.contains(&format!("<th scope=\"row\">{hostile}</th>")), "the file's name");
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()) && !page.contains('\u{202e}'));
}

#[test]
fn it_needs_nothing_else() {
    let page = reading_page(&made::reading());
    for attribute in ["src", "href", "fill"] {
        for value in values(&page, attribute) {
            let is_inside = ["#", "data:", "url(#"].iter().any(|begin| value.starts_with(begin));
            assert!(is_inside, "{attribute} {value}");
        }
    }
    let style = page.split("</style>").next().expect("a style");
    for word in ["url(", "@import"] {
        assert!(!style.contains(word), "{word}");
    }
    for word in ["srcset", "<iframe", "<object", "<form", "http-equiv", "onclick"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn every_link_and_label_leads_somewhere_and_ids_are_unique() {
    let page = reading_page(&made::reading());
    let all = values(&page, "id");
    let ids: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(ids.len(), all.len());
    let links = values(&page, "href").into_iter().filter_map(|href| href.strip_prefix('#'));
    let textures =
        values(&page, "fill").into_iter().filter_map(|fill| fill.strip_prefix("url(#")?.strip_suffix(')'));
    let labels = values(&page, "aria-labelledby").into_iter().flat_map(str::split_whitespace);
    let mut targets = 0;
    for target in links.chain(textures).chain(labels).chain(values(&page, "for")) {
        targets += 1;
        assert!(ids.contains(target), "{target}");
    }
    assert!(targets > 50, "{targets}");
}

#[test]
fn each_kind_that_occurs_can_be_chosen() {
    let reading = made::reading();
    let page = reading_page(&reading);
    for kind in Kind::ALL {
        assert!(reading.count(kind) > 0, "the sample has no {kind}");
        assert!(page.contains(&format!("id=\"only-{kind}\"")), "{kind}");
        assert!(page.contains(&format!("body:has(#only-{kind}:checked)")), "{kind}");
        assert!(values(&page, "data-series").contains(&kind.key()), "{kind}");
        assert!(values(&page, "data-kinds").contains(&kind.key()), "{kind}");
    }
    let normal = self::page(&[made::normal(1)]);
    assert!(normal.contains("How a connection ended") && !normal.contains("only-server_reset"));
    assert!(!normal.contains("Without the normal ones"), "there are no others");
}

#[test]
fn a_connection_has_its_facts_its_verdicts_its_doubts_and_its_ladder() {
    let mut connection = tls(cut_upload(1), "a.example");
    connection.doubts = every_doubt();
    connection.client_sent.after_close = 90_000;
    connection.client_sent.retransmissions = 2;
    connection.ladder = ladder(
        connection.client,
        connection.first_at,
        &[
            (0, Side::Client, Part::Syn),
            (1, Side::Server, Part::SynAck),
            (2, Side::Client, Part::Handshake),
            (3, Side::Client, Part::Gap(65_536)),
            (4, Side::Client, Part::Again),
            (6, Side::Server, Part::Alert(Some(0))),
            (7, Side::Client, Part::Alert(None)),
            (40_009, Side::Server, Part::Rst),
        ],
    );
    let page = page(&[connection]);
    for part in [
        "2 KiB never acknowledged",
        "87.8 KiB after the other side had released its socket; 2 segments sent again",
        "about 143 KiB unread, by the window",
        "the other side was still sending",
        "TLS 1.3; for a.example",
        "Segments of up to 65160 bytes",
        "It began before the trace",
        "RFC 9112 §9.6",
        "What to change:",
        "0.00 ms, client: SYN;",
        "server: SYN, ACK;",
        "4.00 ms, client: sent again, or a probe",
        "client: 64 KiB not captured",
        "40.01 s, server: RST",
        "tcp.port == 443",
        "frame.time_epoch &gt;= 1764000001.000000000",
    ] {
        assert!(page.contains(part), "{part}: {}", details(&page, 1));
    }
}

#[test]
fn silence_icmp_and_signs_are_said() {
    let shown = |of: fn(u64) -> Connection| {
        let page = page(&[of(1)]);
        details(&page, 1).to_owned()
    };
    let silent = shown(|number| silence(number, Side::Client, linger_wire::trace::Asked::Keepalive));
    assert!(silent.contains("of the client, for 63 s, in answer to 6 keep-alive probes"), "{silent}");
    let icmp = shown(|number| made::icmp(number, linger_wire::decode::IcmpKind::HostUnreachable));
    assert!(
        icmp.contains("host unreachable, said 203.0.113.9 about a segment of the client (3 ICMP errors)")
    );
    assert!(icmp.contains("circle class=\"router\""), "an ICMP error comes from between the two");
    let forged = shown(|number| made::middlebox(number, made::every_sign()));
    assert!(forged.contains("Signs of a middlebox, which are no proof"));
    assert!(forged.contains("Its TTL is 252, that of other packets of its side is 64."), "{forged}");
}

#[test]
fn it_says_what_the_trace_lacks() {
    let mut reading = made::reading();
    reading.filters = vec!["port=443".to_owned()];
    reading.interrupted = Some("interrupted by Ctrl-C".to_owned());
    let page = reading_page(&reading);
    for part in [
        "the capture dropped 4 packets",
        "it is cut off within the packet",
        "The capture cut packets (snaplen)",
        "Only packets of one side were captured",
        "port=443",
        "interrupted by Ctrl-C",
        "signs of a device on the way, and no proof",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_trace_without_connections_has_a_page() {
    let reading: Reading = Tally::default().finish(vec![made::source()]);
    let page = reading_page(&reading);
    assert!(page.contains("No connection was found") && page.ends_with("</html>"));
    assert!(page.contains("mixed.pcapng") && !page.contains("<fieldset"));
}

#[tokio::test]
async fn the_command_writes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("lossy.pcapng"), Capture::new().normal(50_000).cut_upload(50_001).file())
        .expect("written");
    for format in [&["--format", "text"], &["--format", "json"], &["--each", "--format=json"]] {
        let page = path(&format!("{}.html", format.join("")));
        let output =
            probe(&[&["read", "--report", &page, &path("lossy.pcapng")], &format[..]].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let page = std::fs::read_to_string(page).expect("the page is written");
        assert!(page.contains("How 2 connections ended") && page.contains("413 response"), "{page}");
    }
    let nowhere = path("no/such/folder.html");
    assert_refused(&["read", "--report", &nowhere, &path("lossy.pcapng")], "--report").await;
}

/// docs/traces.md tells its reader what each kind means, by the names that `--filter` takes.
#[test]
fn the_page_about_traces_names_every_kind() {
    let page = include_str!("../../../../docs/traces.md");
    let table = page.split("### The kinds").nth(1).expect("a section about kinds");
    let table = table.split("\n#").next().expect("its end");
    let named = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(named.collect::<Vec<_>>(), Kind::ALL.map(Kind::key));
}
