//! Describes what a restart cost, in one sentence for each kind of client.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::restart::{Client, Ending, Fate, Kind, KindReport, RestartReport};

/// The name of a kind of client.
pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Idle => "Idle connections",
        Kind::IdleRequest => "Requests on idle connections",
        Kind::InFlight => "Requests in flight",
        Kind::Upload => "Uploads",
        Kind::WebSocket => "WebSockets",
        Kind::Http2 => "HTTP/2 streams",
    }
}

/// The name in the JSON report.
pub(super) fn key(kind: Kind) -> &'static str {
    match kind {
        Kind::Idle => "idle",
        Kind::IdleRequest => "idle_request",
        Kind::InFlight => "in_flight",
        Kind::Upload => "upload",
        Kind::WebSocket => "web_socket",
        Kind::Http2 => "http2",
    }
}

/// `LOST`, `ok`, or `n/a` if the kind was not tried.
pub(super) fn verdict(kind: &KindReport) -> &'static str {
    match kind {
        KindReport { skipped: Some(_), .. } => "n/a",
        KindReport { lost: 0, .. } => "ok",
        _ => "LOST",
    }
}

/// A sentence such as `3 of 4 lost: 3 reset after 64 KiB; 1 answered 200 after 256 KiB`, followed by how the
/// connections ended.
pub(super) fn sentence(kind: &KindReport) -> String {
    if let Some(why) = &kind.skipped {
        return why.clone();
    }
    let (lost, kept): (Vec<&Client>, Vec<&Client>) =
        kind.clients.iter().partition(|client| kind.kind.has_request() && client.fate.is_loss());
    let fates = |clients: &[&Client]| {
        let words = counted(clients.iter().map(|client| fate(kind.kind, client)));
        let sent = || clients.iter().map(|client| client.sent_bytes);
        match (sent().min(), sent().max()) {
            (Some(least), Some(most)) if kind.kind == Kind::Upload => {
                format!("{words} {}", after(least, most))
            }
            _ => words,
        }
    };
    let mut parts = Vec::new();
    if !lost.is_empty() {
        parts.push(format!("{} of {} lost: {}", lost.len(), kind.clients.len(), fates(&lost)));
    }
    if !kept.is_empty() {
        parts.push(fates(&kept));
    }
    if kind.kind.has_request() {
        parts.push(format!("the connections: {}", counted(kind.clients.iter().map(ending))));
    }
    parts.join("; ")
}

fn fate(kind: Kind, client: &Client) -> String {
    let answered =
        || client.status.map_or_else(|| "answered".to_owned(), |status| format!("answered {status}"));
    match client.fate {
        Fate::Answered => answered(),
        Fate::Closed if kind == Kind::WebSocket => {
            let frame = match (client.close_frame, client.close_code) {
                (Some(true), Some(code)) => format!("Close {code}"),
                (Some(true), None) => "Close without a code".to_owned(),
                _ => "no Close frame".to_owned(),
            };
            format!("{frame}, then {}", ending(client))
        }
        Fate::Closed if kind == Kind::Idle => ending(client),
        Fate::Closed if kind == Kind::Http2 => "refused cleanly".to_owned(),
        Fate::Closed => "closed cleanly, to be sent again".to_owned(),
        Fate::Cut => "response cut short".to_owned(),
        Fate::Unanswered => "closed without a response".to_owned(),
        Fate::Reset => "reset".to_owned(),
        Fate::Silent => "no response in time".to_owned(),
        Fate::Open => "still open".to_owned(),
        Fate::Unknown => "not known yet".to_owned(),
    }
}

fn ending(client: &Client) -> String {
    let mut words = match client.goaway {
        Some(0) => "GOAWAY, ".to_owned(),
        Some(code) => format!("GOAWAY with error {code}, "),
        None => String::new(),
    };
    words += match (client.ending, client.close_notify) {
        (Ending::Fin, Some(true)) => "close_notify",
        (Ending::Fin, Some(false)) => "FIN without close_notify",
        (Ending::Fin, None) => "FIN",
        (Ending::Reset, _) => "reset",
        (Ending::Client, _) => "closed by the client",
        (Ending::Failed, _) => "an error",
        (Ending::Open, _) => "still open",
    };
    words
}

/// Counts equal words, the most frequent first: `3 FIN, 1 reset`.
fn counted(words: impl Iterator<Item = String>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// When the last connection ended, and what became of new ones.
pub(super) fn aftermath(restart: &RestartReport) -> String {
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    let end = match (restart.last_end, restart.still_open) {
        (None, _) => "no connection ended".to_owned(),
        (Some(time), 0) => format!("the last connection ended after {}", ms(time)),
        (Some(time), open) => {
            format!("the last end came after {}, and {open} connections are still open", ms(time))
        }
    };
    let new = &restart.newcomers;
    let counts = [
        (new.answered, "answered"),
        (new.refused, "refused"),
        (new.reset, "accepted and reset"),
        (new.unanswered, "without a response"),
    ];
    let met: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let server = match (new.served_at_end, new.gap) {
        (true, Some(gap)) => format!("a new server answers after a gap of {}", ms(gap)),
        (true, None) => "a server answers all the time".to_owned(),
        (false, _) => "no server answers any more".to_owned(),
    };
    let met = if met.is_empty() { "none".to_owned() } else { met.join(", ") };
    let stopped = if restart.interrupted { " (stopped before all had ended)" } else { "" };
    format!("{end}{stopped}; new connections: {met}; {server}")
}

/// How much was sent: `after 64 KiB`, `after 17 to 18 KiB`.
fn after(least: u64, most: u64) -> String {
    match (kib(least), kib(most)) {
        (least, most) if least == most => format!("after {most}"),
        (least, most) => format!("after {} to {most}", least.trim_end_matches(" KiB")),
    }
}

/// A size in KiB, rounded down.
fn kib(bytes: u64) -> String {
    if bytes < 1 << 10 { format!("{bytes} B") } else { format!("{} KiB", bytes >> 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_was_lost_and_how() {
        let client = |fate, ending, sent_bytes| Client {
            fate,
            status: (fate == Fate::Answered).then_some(200),
            sent_bytes,
            ending,
            ended: Some(Duration::from_millis(3)),
            close_notify: None,
            goaway: None,
            close_frame: None,
            close_code: None,
        };
        let uploads = KindReport::new(
            Kind::Upload,
            vec![
                client(Fate::Answered, Ending::Fin, 1 << 18),
                client(Fate::Reset, Ending::Reset, 64 << 10),
                client(Fate::Reset, Ending::Reset, 65 << 10),
            ],
        );
        assert_eq!(
            (uploads.lost, sentence(&uploads).as_str()),
            (
                2,
                "2 of 3 lost: 2 reset after 64 to 65 KiB; 1 answered 200 after 256 KiB; the connections: 2 \
                 reset, 1 FIN"
            )
        );
        let idle = KindReport::new(Kind::Idle, vec![client(Fate::Reset, Ending::Reset, 0)]);
        assert_eq!((idle.lost, sentence(&idle).as_str()), (0, "1 reset"));
    }
}
