//! What a trace shows of a TLS session.

/// The TLS session of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The version that the server chose, such as 0x0304 for TLS 1.3, if its `ServerHello` was captured.
    pub version: Option<u16>,
    /// The server's name that the client asked for (SNI), if visible. Only ASCII letters, digits, `.`, `-`
    /// and `_`, at most 253 of them: anything else is no host name.
    pub server_name: Option<String>,
    /// What the client's stream shows.
    pub client: TlsSide,
    /// What the server's stream shows.
    pub server: TlsSide,
}

/// What one side's stream shows.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlsSide {
    /// Whether records of application data were seen. In TLS 1.3 a server's session tickets look like them.
    pub has_data: bool,
    /// Alerts, of any kind, visible or inferred by their length and place.
    pub alerts: u32,
    /// The description of the last alert, if it is visible or was decrypted.
    pub last_alert: Option<u8>,
    /// Whether the last record was an alert. Without a description, an encrypted one most likely is
    /// `close_notify`: any other ends the session, and few servers send one after the handshake.
    pub ends_with_alert: bool,
    /// Whether the stream ended within a record. Of a stream that goes on: whether what was captured does.
    pub cut_in_record: bool,
    /// Whether the boundaries of records were unknown at the end, because bytes before it are missing: then
    /// the last record may have been an alert.
    pub lost: bool,
}
