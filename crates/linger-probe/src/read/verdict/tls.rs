//! The verdicts on what a trace shows of TLS.

use linger_wire::Side;
use linger_wire::trace::{Connection, Finding, Tls};

use super::words::{name, stream};
use super::{Rule, Severity, Verdict};
use crate::read::ladder;

pub(super) fn close_notify_reset(by: Side) -> Verdict {
    let reason = format!("close_notify was answered by a RST of the {}: harmless, but visible", name(by));
    Verdict::new(Rule::CloseNotifyReset, by, reason)
}

pub(super) fn no_close_notify(connection: &Connection, side: Side) -> Verdict {
    let other = side.other();
    let none = |finding: &Finding| matches!(finding, Finding::NoCloseNotify { side } if *side == other);
    if connection.end.closed_first == Some(other) && connection.findings.iter().any(none) {
        let reason =
            format!("the {} had closed without close_notify, and so did the {}", name(other), name(side));
        // Nobody was there any more to be told.
        return Verdict { severity: Severity::Harmless, ..Verdict::new(Rule::NoCloseNotify, side, reason) };
    }
    let reason = match side {
        Side::Client => "the client ended TLS without close_notify",
        Side::Server => "the server ended TLS without close_notify: its end looks like a cut",
    };
    Verdict::new(Rule::NoCloseNotify, side, reason.to_owned())
}

pub(super) fn cut_in_record(side: Side) -> Verdict {
    let reason = format!("the {}'s {} ends within a TLS record", name(side), stream(side));
    Verdict::new(Rule::CutInRecord, side, reason)
}

/// An alert other than `close_notify`.
pub(super) fn alert(connection: &Connection, by: Side, description: Option<u8>) -> Verdict {
    let Some(number) = description else {
        let reason = format!("the {} sent a TLS alert whose name is encrypted", name(by));
        return Verdict::new(Rule::EncryptedAlert, by, reason);
    };
    let reason = format!("the {} sent the TLS alert {}", name(by), ladder::alert(description));
    if is_warning(connection, by, number) {
        return Verdict::new(Rule::WarningAlert, by, reason + ", a warning");
    }
    Verdict::new(Rule::Alert, by, reason)
}

/// Whether an alert does not end the session: `user_canceled` and `no_renegotiation` never do (RFC 5246 §7.2.2,
/// RFC 8446 §6), and `unrecognized_name` need not (RFC 6066 §3).
fn is_warning(connection: &Connection, by: Side, description: u8) -> bool {
    const USER_CANCELED: u8 = 90;
    const NO_RENEGOTIATION: u8 = 100;
    const UNRECOGNIZED_NAME: u8 = 112;
    let goes_on = |tls: &Tls| match by {
        Side::Client => tls.client.has_data,
        Side::Server => tls.server.has_data,
    };
    match description {
        USER_CANCELED | NO_RENEGOTIATION => true,
        UNRECOGNIZED_NAME => connection.tls.as_ref().is_some_and(goes_on),
        _ => false,
    }
}
