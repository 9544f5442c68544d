//! The table of rules: how bad each is, its clause and what helps, depending on whose doing it is.

use super::{Rule, Severity};
use crate::model::Side::{self, Client, Server};

/// What does not depend on the connection.
pub(super) struct Entry {
    pub(super) severity: Severity,
    pub(super) clause: &'static str,
    pub(super) remedy: &'static str,
}

const LOSES: Severity = Severity::LosesResponses;
const BREAKS: Severity = Severity::BreaksProtocol;
const HELD: Severity = Severity::CanBeHeldOpen;
const HARSH: Severity = Severity::Harsh;
const HARMLESS: Severity = Severity::Harmless;

const LINGER: &str = "Let the server close in steps: after the response it sends its FIN and reads on, within \
     bounds of time and bytes, until the client closes. nginx has lingering_close for this, axum and hyper \
     have tower-linger. Or let the handler read the request to its end before it answers. If a balancer is \
     the server here, the same holds for it. A client should read the response even when a write fails.";
const NOTIFY: &str = "Send close_notify before the FIN: SSL_shutdown in OpenSSL, poll_shutdown of the TLS \
     stream in tokio; tower-linger does it on every path on which a server drops a connection. A process \
     that is killed cannot.";
const PORTS: &str = "Let the side that opens new connections not use the same port again so soon: more local \
     ports (net.ipv4.ip_local_port_range), no fixed source port, kept connections, or a close that begins \
     at the client, so that TIME_WAIT is there. TCP timestamps on both sides let a new SYN take over \
     (RFC 6191). Balancers and NATs that reuse ports faster than 60 s cause the same.";

#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn entry(rule: Rule, side: Side) -> Entry {
    let (severity, clause, remedy) = match (rule, side) {
        (Rule::ResetWhileReceiving, Server) => (LOSES, "RFC 9112 §9.6, RFC 1122 §4.2.2.13", LINGER),
        (Rule::ResetWhileReceiving, Client) => (
            HARSH,
            "RFC 1122 §4.2.2.13, RFC 2525 §2.17",
            "Nothing, if users cancel downloads. Otherwise look for a timeout of the client or of a proxy \
             that is shorter than the response takes, or a client that reads only the head of a response.",
        ),
        (Rule::ResetUnfinished, Server) => (
            LOSES,
            "RFC 9293 §3.10.5, RFC 9112 §9.6",
            "Look for a server that was killed or crashed, a deadline that drops connections, or zero \
             linger (SO_LINGER with 0 s): its close sends a reset and discards what was not yet sent. At a \
             restart let the server finish its requests first; tower-linger's tracker waits for them.",
        ),
        (Rule::ResetUnfinished, Client) => (
            HARSH,
            "RFC 9293 §3.10.5",
            "Compare the time until the reset with the timeouts of the client and of proxies on the way. If \
             the server is slow, a longer timeout or a faster answer helps.",
        ),
        (Rule::Abort, Server) => (
            HARSH,
            "RFC 9293 §3.10.5, RFC 9112 §9.6",
            "Use an orderly close: a FIN, not zero linger. A proxy that resets idle connections on purpose \
             saves itself TIME_WAIT, and its clients see errors.",
        ),
        (Rule::Abort, Client) => (
            HARSH,
            "RFC 9293 §3.10.5",
            "Nothing, if these are health checks or load tests, which often reset to avoid TIME_WAIT. The \
             server's log may name each of them as an error.",
        ),
        (Rule::DataAfterClose, Server) => (LOSES, "RFC 1122 §4.2.2.13, RFC 9112 §9.6", LINGER),
        (Rule::DataAfterClose, Client) => (
            HARSH,
            "RFC 1122 §4.2.2.13",
            "The client did not wait for the rest. Look for its timeouts, or for a client that closes as \
             soon as it has seen enough; a half-close (shutdown of its sending side) loses nothing.",
        ),
        (Rule::KeepAliveRace, _) => (
            LOSES,
            "RFC 9112 §9.3.1, §9.5",
            "Let the client (or the balancer) close idle connections earlier than the server does: its idle \
             timeout a few seconds below the server's keep-alive timeout. Clients should repeat idempotent \
             requests that got no answer on a kept connection. In HTTP/2 a GOAWAY before the close helps.",
        ),
        (Rule::ClosedUnanswered, Server) => (
            LOSES,
            "RFC 9112 §9.5, §9.6",
            "Look into the server's log at that time: a refused handshake, a limit of connections, a crash \
             of the handler or a wrong protocol at this port. A server should answer (400, 408, 503) before \
             it closes.",
        ),
        (Rule::ClosedUnanswered, Client) => (
            HARSH,
            "RFC 9112 §9.5",
            "Compare the time until the close with the client's timeouts, and with how long the server needs.",
        ),
        (Rule::Refused, _) => (
            LOSES,
            "RFC 9293 §3.10.7.1",
            "Nobody listens at that address and port, or a firewall rejects it: start the server, listen on \
             the right address (not only on loopback), correct the target of the balancer, or the rule.",
        ),
        (Rule::NoAnswer, _) => (
            LOSES,
            "RFC 9293 §3.8.3",
            "A firewall drops the SYN or its answer, the host is down, the route is wrong, or the accept \
             queue is full (on Linux ListenOverflows and ListenDrops count that). Capture at the server, \
             too: whether the SYN arrives there tells which.",
        ),
        (Rule::Challenged, _) => (
            LOSES,
            "RFC 9293 §3.10.7.4, RFC 5961 §4",
            "The server still has a connection of these ports, which the client or a NAT has forgotten. \
             Bound idle connections on the server (keep-alive probes, idle timeouts) below the timeout of \
             the NAT or firewall, and do not use fixed source ports.",
        ),
        (Rule::PortInTimeWait, _) => (LOSES, "RFC 9293 §3.6.1, RFC 1122 §4.2.2.13, RFC 5961 §4", PORTS),
        (Rule::PortInTimeWaitDelayed, _) => {
            (HARSH, "RFC 9293 §3.6.1, RFC 1122 §4.2.2.13, RFC 5961 §4", PORTS)
        }
        (Rule::IcmpEnd, _) => (
            LOSES,
            "RFC 9293 §3.9.2.2, RFC 5461",
            "The sender of the ICMP error says what is wrong: a missing route, a firewall that rejects, or \
             a service that is gone. It need not be the host that the packet was for.",
        ),
        (Rule::Timeout, _) => (
            LOSES,
            "RFC 9293 §3.8.3",
            "The other host or the way to it was gone: a crash, a pulled cable, a moved address, or a \
             firewall or NAT that forgot the connection. Bound the wait with TCP_USER_TIMEOUT and \
             keep-alive probes on both sides.",
        ),
        (Rule::FinTimeout, _) => (
            HELD,
            "RFC 9293 §3.8.3",
            "All data had been acknowledged. The other host was gone by then, or a firewall or NAT forgot the \
             connection; the kernel holds the socket until it gives up (tcp_orphan_retries on Linux).",
        ),
        (Rule::KeepAliveTimeout, _) => (
            HELD,
            "RFC 9293 §3.8.4",
            "The other host is gone, or a NAT or firewall has forgotten the idle connection: let probes \
             (or pings of the application) come more often than its timeout, or end idle connections before.",
        ),
        (Rule::WindowProbeTimeout, _) => (
            HELD,
            "RFC 9293 §3.8.6.1",
            "The side that did not read is gone. Bound writes: a send timeout in the server, \
             TCP_USER_TIMEOUT in the kernel.",
        ),
        (Rule::MiddleboxSigns, _) => (
            LOSES,
            "RFC 9293 §3.5.3, RFC 3360",
            "Capture at both ends at once: a reset that arrives at one end and never left the other was made \
             on the way. Then ask those who run firewalls, balancers, NATs and filters between them about \
             their idle timeouts and rules.",
        ),
        (Rule::NoCloseNotify, Server) => (BREAKS, "RFC 8446 §6.1", NOTIFY),
        (Rule::NoCloseNotify, Client) => (
            HARMLESS,
            "RFC 8446 §6.1",
            "Nothing for HTTP, whose requests have lengths. A server should not log it as an error.",
        ),
        (Rule::CutInRecord, Server) => (
            LOSES,
            "RFC 8446 §6.1, RFC 9112 §9.8",
            "The record cannot be decrypted, so the client loses all of it. The server or a proxy dropped \
             its socket with unsent data: let it flush before it closes, and see what ended the connection.",
        ),
        (Rule::CutInRecord, Client) => (
            BREAKS,
            "RFC 8446 §6.1, RFC 9112 §9.8",
            "The client, or a proxy before it, dropped its socket with unsent data: look for its timeouts.",
        ),
        (Rule::Alert, Server) => (
            LOSES,
            "RFC 8446 §6.2",
            "The alert's name says what the server did not accept, such as a version, a certificate or a \
             protocol. Let the server close in steps afterwards (FIN, then read), so that the alert arrives.",
        ),
        (Rule::Alert, Client) => (
            LOSES,
            "RFC 8446 §6.2",
            "The alert's name says what the client did not accept: most often the server's certificate \
             (unknown_ca, bad_certificate, certificate_expired). Send the whole chain, for the right name.",
        ),
        (Rule::WarningAlert, _) => (
            HARMLESS,
            "RFC 5246 §7.2, RFC 6066 §3",
            "The session went on. unrecognized_name says that the server has no certificate for the name that \
             the client asked for (SNI).",
        ),
        (Rule::EncryptedAlert, _) => {
            (HARMLESS, "RFC 8446 §6", "With --secrets and a key log (SSLKEYLOGFILE) its name can be read.")
        }
        (Rule::CloseWait, Server) => (
            HELD,
            "RFC 9293 §3.6, §3.10.4",
            "The application does not close its socket: it does not read the end of the stream, or keeps a \
             copy of the descriptor (a child process, a forgotten pool). The kernel never ends CLOSE_WAIT.",
        ),
        (Rule::CloseWait, Client) => (
            HELD,
            "RFC 9293 §3.6, §3.10.4",
            "The client's pool does not notice that the server closed until it uses the connection again: \
             let it check idle connections, or end them earlier than the server. The server should bound \
             its wait (tower-linger's drain, lingering_time in nginx, tcp_fin_timeout for orphans).",
        ),
        (Rule::FinWait2, Server) => (
            HELD,
            "RFC 9293 §3.6, §3.10.4",
            "The client keeps its side open. Bound the server's wait: tower-linger's drain, lingering_time \
             in nginx, timeout client-fin in HAProxy; tcp_fin_timeout (60 s) bounds only sockets that the \
             server has released.",
        ),
        (Rule::FinWait2, Client) => (
            HELD,
            "RFC 9293 §3.6, §3.10.4",
            "The server goes on, or does not close, after the client's FIN. That is right while it still \
             answers; afterwards it should close.",
        ),
        (Rule::HalfClosed, _) => (
            HARMLESS,
            "RFC 9293 §3.6.1",
            "Capture for longer to see whether it closes. If it never does, bound the wait on the side that \
             closed, and look for a socket that the other application forgot.",
        ),
        (Rule::ZeroWindow, Server) => (
            HELD,
            "RFC 9293 §3.8.6.1",
            "The application does not take its data: look at what it waits for. A handler that refuses an \
             upload should answer at once and let the rest be discarded.",
        ),
        (Rule::ZeroWindow, Client) => (
            HELD,
            "RFC 9293 §3.8.6.1",
            "The client does not take its response, and holds the server's connection and buffers. Bound \
             writes on the server: send_timeout in nginx, a write timeout in the application.",
        ),
        (Rule::TimeWaitAssassination, _) => (
            HARSH,
            "RFC 1337",
            "Late segments of the old connection can now reach a new one. Find out why something is sent \
             after both FINs; Linux ignores such resets with net.ipv4.tcp_rfc1337 = 1.",
        ),
        (Rule::CloseNotifyReset, _) => (
            HARMLESS,
            "RFC 8446 §6.1",
            "Nobody loses anything by it. To have none, read until the end of the stream before the socket \
             is released, as tower-linger does.",
        ),
        (Rule::IcmpHealed, _) => (
            HARMLESS,
            "RFC 9293 §3.9.2.2, RFC 5461 §2",
            "The way was broken for a moment, which TCP bridges. Often a route that changes.",
        ),
        (Rule::SimultaneousClose, _) => {
            (HARMLESS, "RFC 9293 §3.6", "Nothing: TCP is made for it. Both sides then have TIME_WAIT.")
        }
    };
    Entry { severity, clause, remedy }
}
