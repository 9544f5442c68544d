//! The rules by which connections are judged.

use serde::Serialize;

use super::Severity;
use super::table::entry;
use super::title::title;
use crate::model::Side;

/// A rule by which a connection is judged. What it means, its clause and its remedy depend on whose doing it
/// is. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A reset while the other side was sending, or with its data unread.
    ResetWhileReceiving,
    /// A reset before the other side had what it waited for.
    ResetUnfinished,
    /// A reset that took nothing, as far as the trace tells.
    Abort,
    /// Data came after a side had closed and released its socket.
    DataAfterClose,
    /// A request crossed the FIN on an idle connection.
    KeepAliveRace,
    /// A close without any answer.
    ClosedUnanswered,
    /// The SYN was answered by a reset.
    Refused,
    /// The SYN was not answered.
    NoAnswer,
    /// The SYN was answered for an older connection on the same ports.
    Challenged,
    /// A SYN from a port in `TIME_WAIT` was not accepted at once, and no connection came of it.
    PortInTimeWait,
    /// The same, and the connection came late.
    PortInTimeWaitDelayed,
    /// An ICMP error was the last word.
    IcmpEnd,
    /// Data was sent again, and nothing answered.
    Timeout,
    /// A FIN was sent again, and nothing answered.
    FinTimeout,
    /// Probes of an idle connection were not answered.
    KeepAliveTimeout,
    /// Probes of a zero window were not answered.
    WindowProbeTimeout,
    /// Signs of a middlebox.
    MiddleboxSigns,
    /// The end of a TLS session without `close_notify`.
    NoCloseNotify,
    /// A stream that ended within a TLS record.
    CutInRecord,
    /// A TLS alert that says that something failed.
    Alert,
    /// A TLS alert that ends nothing.
    WarningAlert,
    /// A TLS alert that cannot be read.
    EncryptedAlert,
    /// A side does not close.
    CloseWait,
    /// A side waits in `FIN_WAIT2`.
    FinWait2,
    /// A half-closed connection that was left, without more to say about it.
    HalfClosed,
    /// A window of zero for long.
    ZeroWindow,
    /// A reset in `TIME_WAIT`.
    TimeWaitAssassination,
    /// `close_notify` answered by a reset.
    CloseNotifyReset,
    /// ICMP errors, and the connection went on.
    IcmpHealed,
    /// Both sides closed at the same time.
    SimultaneousClose,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 30] = [
        Self::ResetWhileReceiving,
        Self::ResetUnfinished,
        Self::Abort,
        Self::DataAfterClose,
        Self::KeepAliveRace,
        Self::ClosedUnanswered,
        Self::Refused,
        Self::NoAnswer,
        Self::Challenged,
        Self::PortInTimeWait,
        Self::PortInTimeWaitDelayed,
        Self::IcmpEnd,
        Self::Timeout,
        Self::FinTimeout,
        Self::KeepAliveTimeout,
        Self::WindowProbeTimeout,
        Self::MiddleboxSigns,
        Self::NoCloseNotify,
        Self::CutInRecord,
        Self::Alert,
        Self::WarningAlert,
        Self::EncryptedAlert,
        Self::CloseWait,
        Self::FinWait2,
        Self::HalfClosed,
        Self::ZeroWindow,
        Self::TimeWaitAssassination,
        Self::CloseNotifyReset,
        Self::IcmpHealed,
        Self::SimultaneousClose,
    ];

    /// Its name in JSON: `reset_while_receiving`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::ResetWhileReceiving => "reset_while_receiving",
            Self::ResetUnfinished => "reset_unfinished",
            Self::Abort => "abort",
            Self::DataAfterClose => "data_after_close",
            Self::KeepAliveRace => "keep_alive_race",
            Self::ClosedUnanswered => "closed_unanswered",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::Challenged => "challenged",
            Self::PortInTimeWait => "port_in_time_wait",
            Self::PortInTimeWaitDelayed => "port_in_time_wait_delayed",
            Self::IcmpEnd => "icmp_end",
            Self::Timeout => "timeout",
            Self::FinTimeout => "fin_timeout",
            Self::KeepAliveTimeout => "keep_alive_timeout",
            Self::WindowProbeTimeout => "window_probe_timeout",
            Self::MiddleboxSigns => "middlebox_signs",
            Self::NoCloseNotify => "no_close_notify",
            Self::CutInRecord => "cut_in_record",
            Self::Alert => "alert",
            Self::WarningAlert => "warning_alert",
            Self::EncryptedAlert => "encrypted_alert",
            Self::CloseWait => "close_wait",
            Self::FinWait2 => "fin_wait2",
            Self::HalfClosed => "half_closed",
            Self::ZeroWindow => "zero_window",
            Self::TimeWaitAssassination => "time_wait_assassination",
            Self::CloseNotifyReset => "close_notify_reset",
            Self::IcmpHealed => "icmp_healed",
            Self::SimultaneousClose => "simultaneous_close",
        }
    }

    /// What such connections have in common, in a sentence without a full stop. `side` is whose doing it is.
    #[must_use]
    pub fn title(self, side: Side) -> &'static str {
        title(self, side)
    }

    /// What it means if it is this side's doing.
    #[must_use]
    pub fn severity(self, side: Side) -> Severity {
        entry(self, side).severity
    }

    /// Whether it says why a reset ended the connection.
    pub(super) fn explains_reset(self) -> bool {
        match self {
            Self::ResetWhileReceiving
            | Self::ResetUnfinished
            | Self::Abort
            | Self::DataAfterClose
            | Self::KeepAliveRace
            | Self::Refused
            | Self::Challenged
            | Self::PortInTimeWait
            | Self::PortInTimeWaitDelayed
            | Self::TimeWaitAssassination
            | Self::CloseNotifyReset => true,
            Self::ClosedUnanswered
            | Self::NoAnswer
            | Self::IcmpEnd
            | Self::Timeout
            | Self::FinTimeout
            | Self::KeepAliveTimeout
            | Self::WindowProbeTimeout
            | Self::MiddleboxSigns
            | Self::NoCloseNotify
            | Self::CutInRecord
            | Self::Alert
            | Self::WarningAlert
            | Self::EncryptedAlert
            | Self::CloseWait
            | Self::FinWait2
            | Self::HalfClosed
            | Self::ZeroWindow
            | Self::IcmpHealed
            | Self::SimultaneousClose => false,
        }
    }
}
