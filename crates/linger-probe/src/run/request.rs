//! Requests for a target.

use crate::http2;
use crate::target::{Options, Target};

/// Replaces the placeholders of a scenario's text. See [`Step`](crate::scenario::Step).
pub(crate) fn fill(text: &str, target: &Target, options: &Options) -> String {
    let headers: String = target.header_fields(options).flat_map(|header| [header, "\r\n"]).collect();
    text.replace("{path}", &target.path)
        .replace("{large}", options.large_path.as_deref().unwrap_or("/"))
        .replace("{websocket}", options.websocket_path.as_deref().unwrap_or("/"))
        .replace("{authority}", &target.authority)
        .replace("{method}", &options.method)
        .replace("{upload}", &options.upload_bytes.to_string())
        .replace("{headers}", &headers)
}

/// A request's HEADERS frame, with the same fields as the HTTP/1.1 requests.
pub(super) fn http2_request(method: &str, target: &Target, options: &Options, is_last: bool) -> Vec<u8> {
    let scheme = if target.tls.is_some() { "https" } else { "http" };
    let length = options.upload_bytes.to_string();
    let mut fields = vec![
        (":method", method),
        (":scheme", scheme),
        (":authority", target.authority.as_str()),
        (":path", target.path.as_str()),
    ];
    if !is_last {
        fields.push(("content-length", &length));
    }
    let own: Vec<_> = target.header_fields(options).filter_map(|header| header.split_once(':')).collect();
    let own: Vec<_> = own.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
    fields.extend(own.iter().map(|(name, value)| (name.as_str(), *value)));
    http2::headers(&fields, is_last)
}
