//! The numbers of one connection, with their units, and how to find it in Wireshark.

use std::net::IpAddr;
use std::time::Duration;

use maud::{Markup, html};

use super::axis;
use crate::model::Side;
use crate::quantity::{counted, grouped, size, span};
use crate::read::model::{ConnectionReport, EndReport, SentReport, TlsReport, TlsSideReport};
use crate::report::words;

pub(super) fn facts(connection: &ConnectionReport) -> Markup {
    let end = &connection.end;
    let sides = [(Side::Client, &connection.client_sent), (Side::Server, &connection.server_sent)];
    html! {
        dl.facts {
            (fact("Began", &format!("{} UTC: {}", axis::utc(connection.first.0), began(connection))))
            (fact("Ended", &ended(connection)))
            (fact("Seen", &format!(
                "{} in {}", counted(connection.packets, "packet", "packets"), span(connection.lasted)
            )))
            @for (side, sent) in sides {
                (fact(&format!("The {} sent", words::side(side)), &sent_in_words(connection, sent)))
            }
            @if let Some(status) = connection.last_status {
                (fact("Last HTTP status", &status.to_string()))
            }
            @if connection.unanswered { (fact("Last request", "no answer to it in the trace")) }
            @if let Some(tls) = &connection.tls { (fact("TLS", &tls_in_words(tls))) }
            @for (name, value) in causes(end) { (fact(name, &value)) }
            dt { "In Wireshark" }
            dd { code { (display_filter(connection)) } }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { dt { (name) } dd { (value) } }
}

fn began(connection: &ConnectionReport) -> String {
    let opening = match connection.opening {
        "complete" => "SYN, SYN-ACK, ACK",
        "incomplete" => "the handshake is not complete",
        "refused" => "the SYN was answered by a RST",
        "challenged" => "the SYN was answered by an ACK of something else",
        "unanswered" => "the SYN was not answered",
        _ => "before the trace",
    };
    let roles = match connection.roles {
        "guess" => "; which side is the client is a guess",
        "port" => "; the side with the given port is the server",
        _ => "",
    };
    format!("{opening}{roles}")
}

fn ended(connection: &ConnectionReport) -> String {
    let end = &connection.end;
    let way = match end.way {
        "normal" => "FINs of both sides, acknowledged",
        "half_closed" => "half-closed, the other FIN is missing",
        "reset" => "reset",
        "icmp" => "ICMP error",
        "timeout" => "timeout",
        "middlebox" => "signs of a middlebox",
        _ => return "not in the trace".to_owned(),
    };
    let by = end.by.map_or(String::new(), |side| match end.way {
        "middlebox" => format!(", in the {}'s name", words::side(side)),
        "timeout" => format!(", the {} gave up or still waits", words::side(side)),
        "icmp" => String::new(),
        _ => format!(", by the {}", words::side(side)),
    });
    let after = since(connection, end.at.0);
    let closed = match end.closed_first {
        Some(side) => format!("; the first FIN was the {}'s", words::side(side)),
        None => String::new(),
    };
    format!("{} UTC ({after}): {way}{by}{closed}", axis::utc(end.at.0))
}

/// `after 12.3 ms`: since the connection began.
fn since(connection: &ConnectionReport, at: Duration) -> String {
    format!("after {}", words::since(at.saturating_sub(connection.first.0)))
}

fn sent_in_words(connection: &ConnectionReport, sent: &SentReport) -> String {
    let mut parts = vec![size(sent.bytes)];
    let bytes = [
        (sent.unacknowledged, "never acknowledged"),
        (sent.after_close, "after the other side had released its socket"),
        (sent.missing, "not captured"),
    ];
    parts.extend(
        bytes
            .into_iter()
            .filter(|(bytes, _)| *bytes > 0)
            .map(|(bytes, what)| format!("{} {what}", size(bytes))),
    );
    let counts = [
        (sent.retransmissions, "segment sent again", "segments sent again"),
        (sent.keepalives, "keep-alive probe", "keep-alive probes"),
        (sent.window_probes, "probe of a zero window", "probes of a zero window"),
        (sent.resets, "RST", "RSTs"),
    ];
    parts.extend(
        counts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, several)| counted(count, one, several)),
    );
    if !sent.zero_window.is_zero() {
        parts.push(format!("a window of zero for up to {}", span(sent.zero_window)));
    }
    parts.push(match sent.fin_at {
        Some(at) if sent.fin_acknowledged => format!("FIN {}, acknowledged", since(connection, at.0)),
        Some(at) => format!("FIN {}, not acknowledged", since(connection, at.0)),
        None => "no FIN".to_owned(),
    });
    parts.join("; ")
}

fn tls_in_words(tls: &TlsReport) -> String {
    let mut parts = vec![tls.version.clone().unwrap_or_else(|| "version not seen".to_owned())];
    parts.extend(tls.server_name.as_ref().map(|name| format!("for {name}")));
    for (side, seen) in [("client", &tls.client), ("server", &tls.server)] {
        parts.extend(alerts(side, seen));
    }
    parts.join("; ")
}

fn alerts(side: &str, seen: &TlsSideReport) -> Vec<String> {
    let mut parts = Vec::new();
    match (seen.alerts, &seen.last_alert) {
        (0, _) => {}
        (_, Some(name)) => parts.push(format!("the {side}'s last alert: {name}")),
        (count, None) => {
            let alerts = counted(u64::from(count), "encrypted alert", "encrypted alerts");
            parts.push(format!("{alerts} of the {side}, known by length and place"));
        }
    }
    if seen.cut_in_record {
        parts.push(format!("the {side}'s stream ends within a record"));
    }
    if seen.lost {
        parts.push(format!("the {side}'s records were not followed to the end: an alert may be missing"));
    }
    parts
}

/// What the end followed on.
fn causes(end: &EndReport) -> Vec<(&'static str, String)> {
    let mut causes = Vec::new();
    if let Some(reset) = &end.reset {
        let cause = match reset.cause {
            "refused" => "it answers a SYN",
            "answers_late_segment" => "it answers a segment that came to a socket which was gone",
            "after_fin" => "it follows on its sender's own FIN, while the other side was still sending",
            "unread_data" => "its sender had not read everything that it had acknowledged",
            "gave_up" => "it follows on its sender's probes or retransmissions without an answer",
            "in_time_wait" => "it came after both sides had closed",
            _ => "no cause is visible: an abort, or a reset on the way",
        };
        let sending = if reset.while_sending { "; the other side was still sending" } else { "" };
        let unread = match reset.unread {
            0 => String::new(),
            bytes => format!("; about {} unread, by the window", size(bytes)),
        };
        causes.push(("Its RST", format!("{cause}{sending}{unread}")));
    }
    if let Some(icmp) = &end.icmp {
        let times = counted(icmp.count, "ICMP error", "ICMP errors");
        let about = words::side(icmp.about);
        causes.push((
            "ICMP",
            format!("{}, said {} about a segment of the {about} ({times})", icmp.says, icmp.from),
        ));
    }
    if let Some(silence) = &end.silence {
        let asked = match silence.asked_by {
            "syn" => "SYNs",
            "keepalive" => "keep-alive probes",
            "window_probe" => "probes of a zero window",
            _ => "retransmissions",
        };
        causes.push((
            "Silence",
            format!(
                "of the {}, for {}, in answer to {} {asked}",
                words::side(silence.of),
                span(silence.lasted),
                grouped(silence.attempts)
            ),
        ));
    }
    causes
}

/// A display filter that finds this connection, and none that used the same ports at another time.
fn display_filter(connection: &ConnectionReport) -> String {
    let (client, server) = (connection.client, connection.server);
    let field = match client.ip() {
        IpAddr::V4(_) => "ip.addr",
        IpAddr::V6(_) => "ipv6.addr",
    };
    let at = |at: Duration| format!("{}.{:09}", at.as_secs(), at.subsec_nanos());
    format!(
        "{field} == {} && {field} == {} && tcp.port == {} && tcp.port == {} && frame.time_epoch >= {} && \
         frame.time_epoch <= {}",
        client.ip(),
        server.ip(),
        client.port(),
        server.port(),
        at(connection.first.0),
        at(connection.last.0),
    )
}
