//! TLS errors in words: alerts by the names in their RFCs, and what is wrong with a certificate.

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

/// The name of an alert in RFC 8446 §6, or in the RFC that adds it: `handshake_failure`.
pub(crate) fn alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => "unknown_ca".to_owned(),
        AlertDescription::UnrecognisedName => "unrecognized_name".to_owned(),
        AlertDescription::UnknownPSKIdentity => "unknown_psk_identity".to_owned(),
        AlertDescription::EncryptedClientHelloRequired => "ech_required".to_owned(),
        AlertDescription::Unknown(code) => format!("number {code}, which has no name"),
        known => words(known.as_str().unwrap_or_default(), '_'),
    }
}

/// Why a TLS session failed.
pub(crate) fn failure(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(error) => certificate(error).0,
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => "bytes that are not TLS".to_owned(),
        TlsError::InvalidMessage(what) => format!("an invalid TLS message: {}", debug_words(what)),
        TlsError::PeerMisbehaved(what) => format!("invalid TLS: {}", debug_words(what)),
        TlsError::PeerIncompatible(what) => format!("incompatible TLS: {}", debug_words(what)),
        TlsError::InconsistentKeys(_) => "it is not the key of the certificate".to_owned(),
        TlsError::AlertReceived(description) => format!("alert {}", alert(*description)),
        other => other.to_string(),
    }
}

/// What is wrong with a certificate, as a clause about it, and what the user can do.
pub(crate) fn certificate(error: &CertificateError) -> (String, &'static str) {
    const TRUST: &str = "--ca FILE with its authority, or --insecure";
    const MEND: &str = "give the server another certificate, or --insecure";
    const CLOCK: &str = "renew it, check the clocks, or --insecure";
    match error {
        CertificateError::UnknownIssuer => ("no trusted authority has issued it".to_owned(), TRUST),
        CertificateError::BadSignature => ("its issuer's key has not signed it".to_owned(), TRUST),
        CertificateError::BadEncoding => ("it is not well-formed".to_owned(), MEND),
        CertificateError::Revoked => ("its authority has revoked it".to_owned(), MEND),
        CertificateError::Expired => ("it has expired".to_owned(), CLOCK),
        CertificateError::ExpiredContext { time, not_after } => {
            (format!("it expired {} ago", span(time.as_secs().saturating_sub(not_after.as_secs()))), CLOCK)
        }
        CertificateError::NotValidYet => ("it is not valid yet".to_owned(), CLOCK),
        CertificateError::NotValidYetContext { time, not_before } => {
            let span = span(not_before.as_secs().saturating_sub(time.as_secs()));
            (format!("it becomes valid in {span}"), CLOCK)
        }
        CertificateError::NotValidForName => {
            ("it is for another name".to_owned(), "--sni NAME if that name is right, or --insecure")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().map(|name| plain_name(name)).collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "no name at all".to_owned() } else { names };
            let expected = expected.to_str();
            (
                format!("it is for {names}, not for {expected}"),
                "--sni NAME if its name is right, or --insecure",
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ("it is not for servers".to_owned(), MEND)
        }
        CertificateError::UnhandledCriticalExtension => {
            ("it has a critical extension that is not understood".to_owned(), MEND)
        }
        CertificateError::Other(other) if debug_words(&other.0) == "ca used as end entity" => (
            "it is an authority's (CA:TRUE), not a server's".to_owned(),
            "make it with CA:FALSE, or --insecure",
        ),
        CertificateError::Other(other) => (debug_words(&other.0), MEND),
        other => (debug_words(other), MEND),
    }
}

/// The name in `DnsName("localhost")`, which is how webpki writes it.
fn plain_name(presented: &str) -> &str {
    match presented.split_once('(') {
        Some((_, rest)) => rest.trim_end_matches(')').trim_matches('"'),
        None => presented,
    }
}

/// The variant's name in words, for errors that have no other text.
fn debug_words(value: &impl std::fmt::Debug) -> String {
    let debug = format!("{value:?}");
    let name = debug.split(|c: char| !c.is_alphanumeric()).find(|name| !name.is_empty() && *name != "Other");
    words(name.unwrap_or_default(), ' ')
}

/// `HandshakeFailure` in lower case, with `between` between its words: `handshake_failure`.
fn words(name: &str, between: char) -> String {
    let mut words = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && after_lower {
            words.push(between);
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        words.extend(c.to_lowercase());
    }
    words
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_their_rfcs() {
        let cases = [
            (0, "close_notify"),
            (20, "bad_record_mac"),
            (40, "handshake_failure"),
            (48, "unknown_ca"),
            (70, "protocol_version"),
            (90, "user_canceled"),
            (112, "unrecognized_name"),
            (115, "unknown_psk_identity"),
            (116, "certificate_required"),
            (120, "no_application_protocol"),
            (121, "ech_required"),
            (99, "number 99, which has no name"),
        ];
        for (code, name) in cases {
            assert_eq!(alert(AlertDescription::from(code)), name);
        }
    }

    #[test]
    fn errors_without_text_are_named_by_their_variant() {
        let failure = failure(&TlsError::InvalidMessage(InvalidMessage::MessageTooLarge));
        assert_eq!(failure, "an invalid TLS message: message too large");
        assert_eq!(certificate(&CertificateError::UnknownRevocationStatus).0, "unknown revocation status");
        assert_eq!(plain_name("DnsName(\"a.example\")"), "a.example");
        assert_eq!(plain_name("a.example"), "a.example");
    }
}
