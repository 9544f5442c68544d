//! Recordings of what a test does, and what they say of how its connections ended.
//!
//! If the variable `TRACES` names a folder, each recording is also written there, for people and for
//! `make captures`, which compares what is said of it with what tshark says.

use std::path::Path;

use linger_wire::Recording;
use linger_wire::decode::{Decoded, decode};
use linger_wire::file::{Ending, Reader};
use linger_wire::trace::{Analyser, Cause, Connection, Doubt, End, Finding, Opening, Settings, Sign, Way};

/// A running recording.
#[derive(Debug)]
pub struct Trace {
    recording: Recording<Vec<u8>>,
}

impl Trace {
    /// Records whole packets from now on.
    ///
    /// # Panics
    /// If the process may not.
    #[must_use]
    pub fn start() -> Self {
        Self { recording: Recording::start(Vec::new()).expect("records") }
    }

    /// Records the headers of packets, and what is short: enough for all but TLS.
    ///
    /// # Panics
    /// If the process may not.
    #[must_use]
    pub fn start_cut() -> Self {
        Self { recording: Recording::start_cut(Vec::new(), HEADERS).expect("records") }
    }

    /// Ends the recording, and reads it back.
    ///
    /// # Panics
    /// If the recording lacks packets, or cannot be read back whole.
    #[must_use]
    pub fn finish(self, name: &str) -> Vec<Connection> {
        read(&self.file(name))
    }

    /// Ends the recording, and returns it as a file.
    ///
    /// # Panics
    /// If the recording lacks packets.
    #[must_use]
    pub fn file(self, name: &str) -> Vec<u8> {
        let file = self.recording.finish().expect("a whole recording");
        if let Some(folder) = std::env::var_os("TRACES") {
            std::fs::write(Path::new(&folder).join(format!("{name}.pcapng")), &file).expect("a folder");
        }
        file
    }

    /// Ends the recording. Each of its connections must have ended as a line of these says, in the order of
    /// their first packets: see [`told`].
    ///
    /// # Panics
    /// If one has not.
    #[track_caller]
    pub fn assert(self, name: &str, expected: &[&str]) {
        let found: Vec<String> = self.finish(name).iter().map(told).collect();
        if let Some(wrong) = mismatch(&found, expected) {
            panic!("{wrong}");
        }
    }
}

/// What is wrong if these lines do not [fit](fits) these patterns, one by one.
#[must_use]
pub fn mismatch(found: &[String], expected: &[&str]) -> Option<String> {
    let fit =
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, one)| fits(found, one));
    (!fit).then(|| format!("{found:#?}, not\n{expected:#?}"))
}

/// The connections of a capture file, in the order of their first packets.
///
/// # Panics
/// If it is none, or ends within a packet.
#[must_use]
pub fn read(file: &[u8]) -> Vec<Connection> {
    read_with(file, Settings { ladder_events: 100, ..Settings::default() })
}

/// The same, with settings.
///
/// # Panics
/// If it is none, or ends within a packet.
#[must_use]
pub fn read_with(file: &[u8], settings: Settings) -> Vec<Connection> {
    let mut reader = Reader::new(file).expect("a capture file");
    let mut analyser = Analyser::new(settings);
    while let Some(frame) = reader.next_frame().expect("frames that can be read") {
        if let Decoded::Packet(packet) = decode(&frame) {
            analyser.push(&packet);
        }
    }
    assert_eq!(reader.ending(), Ending::Complete);
    analyser.finish();
    let mut connections: Vec<Connection> = std::iter::from_fn(|| analyser.next_ended()).collect();
    connections.sort_by_key(|connection| connection.number);
    connections
}

/// How a connection ended, and what deserves a word, in one line without times:
/// `reset by server (UnreadData, 1000 unread); …`.
///
/// It leaves out what is so in any recording: that it ends in `TIME_WAIT`, and that the clock was set.
#[must_use]
pub fn told(connection: &Connection) -> String {
    let mut parts = vec![way(&connection.end)];
    match connection.opening {
        Opening::Complete => {}
        Opening::Incomplete => parts.push("opening incomplete".to_owned()),
        Opening::Refused => parts.push("refused".to_owned()),
        Opening::Challenged => parts.push("challenged".to_owned()),
        Opening::Unanswered => parts.push("opening unanswered".to_owned()),
        Opening::NotSeen => parts.push("opening not seen".to_owned()),
    }
    parts.extend(connection.end.signs.iter().map(sign));
    parts.extend(connection.findings.iter().map(finding));
    parts.extend(connection.doubts.iter().filter_map(doubt));
    parts.join("; ")
}

/// Whether this fits a pattern in which `*` stands for anything.
#[must_use]
pub fn fits(found: &str, pattern: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return found == pattern };
    let Some(found) = found.strip_prefix(begin) else { return false };
    found.char_indices().map(|(at, _)| at).chain([found.len()]).any(|at| fits(&found[at..], rest))
}

fn way(end: &End) -> String {
    let by = end.by.map(|side| format!(" by {side}"));
    let reset = end.reset.as_ref().map(|reset| {
        let cause = match reset.cause {
            Cause::Refused => "Refused",
            Cause::AnswersLateSegment => "AnswersLateSegment",
            Cause::AfterFin => "AfterFin",
            Cause::UnreadData => "UnreadData",
            Cause::Abort => "Abort",
            Cause::GaveUp => "GaveUp",
            Cause::InTimeWait => "InTimeWait",
        };
        let sending = if reset.while_sending { ", while sending" } else { "" };
        let other = if Some(reset.by) == end.by { String::new() } else { format!("{}: ", reset.by) };
        format!(" ({other}{cause}, {} unread{sending})", reset.unread)
    });
    let icmp = end.icmp.as_ref().map(|icmp| format!(" ({:?} about {})", icmp.kind, icmp.about));
    let silence =
        end.silence.as_ref().map(|silence| format!(" ({} silent: {:?})", silence.of, silence.asked_by));
    let differs = end.way != Way::Normal || end.by != end.closed_first;
    let first = end.closed_first.filter(|_| differs).map(|side| format!("; {side} closed first"));
    [Some(end.way.name().to_owned()), by, reset, icmp, silence, first].into_iter().flatten().collect()
}

fn sign(sign: &Sign) -> String {
    match sign {
        Sign::Ttl { found, usual } => format!("sign: TTL {found}, not {usual}"),
        Sign::Id { .. } => "sign: id".to_owned(),
        Sign::Sequence { off_by } => format!("sign: sequence off by {off_by}"),
        Sign::GoesOn => "sign: goes on".to_owned(),
        Sign::BothSides => "sign: both sides".to_owned(),
        Sign::AnswersNothing => "sign: answers nothing".to_owned(),
        Sign::TooSoon { .. } => "sign: too soon".to_owned(),
        Sign::NoTimestamps => "sign: no timestamps".to_owned(),
    }
}

fn finding(finding: &Finding) -> String {
    match finding {
        Finding::ResetWhileReceiving { by, unread, late, lost } => {
            format!("ResetWhileReceiving by {by}: {unread} unread, {late} late, {lost} lost")
        }
        Finding::CloseNotifyReset { by } => format!("CloseNotifyReset by {by}"),
        Finding::DataAfterClose { closed, bytes } => format!("DataAfterClose of {closed}: {bytes}"),
        Finding::TimeWaitAssassination { by } => format!("TimeWaitAssassination by {by}"),
        Finding::PortInTimeWait { since: _, answer } => format!("PortInTimeWait: {answer:?}"),
        Finding::FinWait2 { side, lasted: _, open } => {
            format!("FinWait2 of {side}{}", if *open { ", open" } else { "" })
        }
        Finding::CloseWait { side, lasted: _ } => format!("CloseWait of {side}"),
        Finding::KeepAliveRace { bytes, idle: _ } => format!("KeepAliveRace: {bytes}"),
        Finding::NoCloseNotify { side } => format!("NoCloseNotify of {side}"),
        Finding::CutInRecord { side } => format!("CutInRecord of {side}"),
        Finding::Alert { side, description: Some(number) } => format!("Alert {number} of {side}"),
        Finding::Alert { side, description: None } => format!("Alert of {side}"),
        Finding::ZeroWindow { side, lasted: _ } => format!("ZeroWindow of {side}"),
        Finding::IcmpHealed { count: _ } => "IcmpHealed".to_owned(),
        Finding::SimultaneousClose => "SimultaneousClose".to_owned(),
    }
}

fn doubt(doubt: &Doubt) -> Option<String> {
    Some(match doubt {
        // So does every recording of a test.
        // Virtual machines set their clocks now and then.
        Doubt::EndsInTimeWait | Doubt::TimeGoesBack => return None,
        Doubt::Cut(_) => "doubt: cut".to_owned(),
        Doubt::Lost { side, bytes } => format!("doubt: {bytes} lost of {side}"),
        Doubt::OneDirection(side) => format!("doubt: only {side}"),
        Doubt::NoSyn => "doubt: no SYN".to_owned(),
        Doubt::Offload { .. } => "doubt: offload".to_owned(),
        Doubt::Wrapped(side) => format!("doubt: wrapped {side}"),
        Doubt::EndsOpen => "doubt: ends open".to_owned(),
    })
}

/// Enough for the headers of IP and TCP with all their options, and for an ICMP error.
const HEADERS: u32 = 256;

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(fits("reset by server (UnreadData, 7 unread)", "reset by server (UnreadData, * unread)"));
        assert!(fits("a", "a*") && fits("ab", "*b") && fits("abcb", "a*b") && fits("a", "a"));
        assert!(!fits("ab", "a") && !fits("ab", "a*c") && !fits("b", "a*"));
    }
}
