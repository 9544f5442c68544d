//! What is in each file.

/// A file, in the order of names.
pub(super) struct Capture {
    pub(super) name: &'static str,
    /// A line for each connection: see `tower_linger_tests::trace::told`.
    pub(super) told: &'static [&'static str],
    /// Where tshark says something else, and why.
    pub(super) but: &'static [(&'static str, &'static str)],
}

const fn capture(name: &'static str, told: &'static [&'static str]) -> Capture {
    Capture { name, told, but: &[] }
}

impl Capture {
    const fn but(mut self, but: &'static [(&'static str, &'static str)]) -> Self {
        self.but = but;
        self
    }
}

pub(super) const CAPTURES: &[Capture] = &[
    // The server sends handshake_failure and closes. A segment of 3686 bytes with an MSS of 1440.
    capture("certificate-request-failed.pcap", &["normal by server; Alert 40 of server; doubt: offload"]),
    capture("client-certificate.pcap", &["open; doubt: ends open"]),
    // 1448 bytes of the response were acknowledged, and are not in the file.
    capture("entity_gap.pcap", &["normal by client; doubt: 1448 lost of server"]),
    // FINs with the sequence number of the SYN. The server resets what it cannot make sense of.
    capture("fin_retransmission.pcap", &["reset by server (*"]),
    capture("get-without-fins.pcap", &["open; doubt: ends open"]),
    capture("get.pcap", &["normal by client"]),
    capture("get_nosyn.pcap", &["normal by client; opening not seen; doubt: no SYN"]),
    // The gap is in what the response's head says.
    capture("http-large-gap.pcap", &["normal by client"]),
    // A TLS client at a plain server: it does not read the 400 to its end, and releases its socket.
    capture("https-to-http.pcap", &["reset by client (*); server closed first*"]),
    capture("miss_end_data.pcap", &["normal by server; doubt: 2902 lost of server"]),
    capture("missing-syn.pcap", &["normal by client*"]),
    capture("no-handshake.pcap", &["open; opening not seen*doubt: ends open*"]),
    // SYN-ACK, an acknowledgement and a FIN each, of the servers only.
    capture(
        "one-sided-2745.pcap",
        &["half_closed by server*doubt: only server*", "half_closed by server*doubt: only server*"],
    ),
    // A request is sent again after it was acknowledged.
    capture("retransmit-timeout.pcapng", &["open; opening not seen*doubt: ends open*"]),
    capture("single-rst.pcap", &["reset by client*opening not seen*"]),
    capture("syn-then-rst.pcap", &["reset by client*"]),
    capture("syn-then-stuff-then-rst.pcap", &["reset by client*"]).but(&[(
        "*: a FIN: tshark 0, we 1",
        "tshark overlooks a FIN without ACK here, as its own flags show",
    )]),
    // The second SYN carries the request.
    capture("tcp-fast-open.pcap", &["normal by server", "normal by server"]),
    capture("tls-1.2-handshake-failure.pcap", &["normal by server; Alert 40 of server"]),
    // A warning: unrecognized_name.
    capture("tls-early-alert.pcap", &["open; Alert 112 of server; doubt: ends open"]),
    // The server's FIN comes with its last data. The client answers with an encrypted alert.
    capture("tls1.2.pcap", &["normal by server; NoCloseNotify of server"]),
    // The client's FIN comes with its only data.
    capture("tls13_wolfssl.pcap", &["normal by client; *NoCloseNotify of client*"]),
    // protocol_version, twice.
    capture(
        "tls13draft16-ff52.a01-aborted.pcap",
        &["normal by server; Alert 70 of server", "normal by server; Alert 70 of server"],
    ),
    // 54 bytes of each packet, and mail.
    capture("truncated-header.pcap", &["normal by server; doubt: cut"]),
    capture("websocket.pcap", &["normal by server"]),
];
