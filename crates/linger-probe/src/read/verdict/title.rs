//! What the connections that a rule is about have in common.

use super::Rule;
use crate::model::Side::{self, Client, Server};

/// A sentence without a full stop.
pub(super) fn title(rule: Rule, side: Side) -> &'static str {
    match (rule, side) {
        (Rule::ResetWhileReceiving, Server) => "The server reset the connection while the client was sending",
        (Rule::ResetWhileReceiving, Client) => "The client reset the connection while the server was sending",
        (Rule::ResetUnfinished, Server) => {
            "The server reset the connection before the client had its response"
        }
        (Rule::ResetUnfinished, Client) => {
            "The client reset the connection before its request was complete or answered"
        }
        (Rule::Abort, Server) => "The server ended the connection by a reset",
        (Rule::Abort, Client) => "The client ended the connection by a reset",
        (Rule::DataAfterClose, Server) => {
            "Data came to the server after it had closed and released its socket"
        }
        (Rule::DataAfterClose, Client) => {
            "Data came to the client after it had closed and released its socket"
        }
        (Rule::KeepAliveRace, _) => "A request crossed the server's FIN on an idle connection",
        (Rule::ClosedUnanswered, Server) => "The server closed without any answer",
        (Rule::ClosedUnanswered, Client) => "The client closed before the server had answered",
        (Rule::Refused, _) => "The SYN was answered by a reset",
        (Rule::NoAnswer, Server) => "The SYN was not answered",
        (Rule::NoAnswer, Client) => "The SYN-ACK was not answered",
        (Rule::Challenged, _) => "The SYN was answered for an older connection on the same ports",
        (Rule::PortInTimeWait, _) => {
            "A SYN came from a port whose last connection was in TIME_WAIT, and was not accepted"
        }
        (Rule::PortInTimeWaitDelayed, _) => {
            "A connection came late, because the port's last connection was in TIME_WAIT"
        }
        (Rule::IcmpEnd, Server) => "An ICMP error said that the server cannot be reached",
        (Rule::IcmpEnd, Client) => "An ICMP error said that the client cannot be reached",
        (Rule::Timeout, Server) => "The client sent again, and the server did not answer",
        (Rule::Timeout, Client) => "The server sent again, and the client did not answer",
        (Rule::FinTimeout, Server) => "The client sent its FIN again, and the server did not answer",
        (Rule::FinTimeout, Client) => "The server sent its FIN again, and the client did not answer",
        (Rule::KeepAliveTimeout, Server) => "The server did not answer keep-alive probes",
        (Rule::KeepAliveTimeout, Client) => "The client did not answer keep-alive probes",
        (Rule::WindowProbeTimeout, Server) => "The server's window was zero, and it did not answer probes",
        (Rule::WindowProbeTimeout, Client) => "The client's window was zero, and it did not answer probes",
        (Rule::MiddleboxSigns, Server) => "An end in the server's name has signs of a middlebox",
        (Rule::MiddleboxSigns, Client) => "An end in the client's name has signs of a middlebox",
        (Rule::NoCloseNotify, Server) => "The server ended TLS without close_notify",
        (Rule::NoCloseNotify, Client) => "The client ended TLS without close_notify",
        (Rule::CutInRecord, Server) => "The server's stream ended within a TLS record",
        (Rule::CutInRecord, Client) => "The client's stream ended within a TLS record",
        (Rule::Alert, Server) => "The server sent a TLS alert that ends the session",
        (Rule::Alert, Client) => "The client sent a TLS alert that ends the session",
        (Rule::WarningAlert, Server) => "The server sent a TLS alert that is a warning",
        (Rule::WarningAlert, Client) => "The client sent a TLS alert that is a warning",
        (Rule::EncryptedAlert, Server) => "The server sent a TLS alert whose name is encrypted",
        (Rule::EncryptedAlert, Client) => "The client sent a TLS alert whose name is encrypted",
        (Rule::CloseWait, Server) => "The server does not close after the client's FIN (CLOSE_WAIT)",
        (Rule::CloseWait, Client) => "The client does not close after the server's FIN (CLOSE_WAIT)",
        (Rule::FinWait2, Server) => "The server waited in FIN_WAIT2 for the client's FIN",
        (Rule::FinWait2, Client) => "The client waited in FIN_WAIT2 for the server's FIN",
        (Rule::HalfClosed, Server) => "The server closed, and the client had not closed when the trace ended",
        (Rule::HalfClosed, Client) => "The client closed, and the server had not closed when the trace ended",
        (Rule::ZeroWindow, Server) => "The server announced a window of zero for long: it did not read",
        (Rule::ZeroWindow, Client) => "The client announced a window of zero for long: it did not read",
        (Rule::TimeWaitAssassination, Server) => {
            "A reset of the server ended TIME_WAIT early (assassination)"
        }
        (Rule::TimeWaitAssassination, Client) => {
            "A reset of the client ended TIME_WAIT early (assassination)"
        }
        (Rule::CloseNotifyReset, Server) => "The server answered close_notify by a reset",
        (Rule::CloseNotifyReset, Client) => "The client answered close_notify by a reset",
        (Rule::IcmpHealed, _) => "ICMP errors named the connection, and it went on",
        (Rule::SimultaneousClose, _) => "Both sides closed at the same time",
    }
}
