//! A URL's `user:password@`: sent as Basic authorization (RFC 7617), and never printed.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

/// A header field that contains a secret. `Debug` leaves the secret out.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    field: String,
}

impl Authorization {
    /// The header field, as `Name: value`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Removes user and password from a URL, and returns them as a header field.
    ///
    /// # Errors
    /// The user name contains a colon, which Basic authorization cannot express.
    pub(crate) fn take(url: &mut Url) -> Result<Option<Self>, &'static str> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
        if pair.contains(&b':') {
            return Err("a user name cannot contain a colon: use -H 'Authorization: …'");
        }
        pair.push(b':');
        pair.extend(percent_decode_str(url.password().unwrap_or_default()));
        // This fails only for a URL without a host, which has no user.
        let removed = url.set_username("").and_then(|()| url.set_password(None));
        removed.map_err(|()| "its user cannot be removed")?;
        Ok(Some(Self { field: format!("Authorization: Basic {}", BASE64_STANDARD.encode(pair)) }))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").finish_non_exhaustive()
    }
}

/// Removes what may be a user and a password from text that was given as a URL but may be none, for errors.
pub(crate) fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}{separator}{rest}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(url: &str) -> (Result<Option<String>, &'static str>, String) {
        let mut url = Url::parse(url).expect("a URL");
        let taken = Authorization::take(&mut url);
        (taken.map(|taken| taken.map(|taken| taken.field().to_owned())), url.into())
    }

    #[test]
    fn a_user_becomes_a_header_field() {
        let field = |value: &str| Ok(Some(format!("Authorization: Basic {value}")));
        let left = "http://host/".to_owned();
        // RFC 7617 §2 and §2.1.
        let cases = [
            ("http://Aladdin:open%20sesame@host/", field("QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
            ("http://test:123%C2%A3@host/", field("dGVzdDoxMjPCow==")),
            ("http://user@host/", field("dXNlcjo=")),
            ("http://:pass@host/", field("OnBhc3M=")),
            ("http://host/", Ok(None)),
        ];
        for (url, expected) in cases {
            assert_eq!(taken(url), (expected, left.clone()), "{url}");
        }
        assert!(taken("http://a%3Ab:c@host/").0.is_err());
        let debug = format!("{:?}", Authorization { field: "secret".to_owned() });
        assert!(!debug.contains("secret"), "{debug}");
    }

    #[test]
    fn an_error_shows_no_user() {
        let cases = [
            ("http://user:pass@ho st/", "http://ho st/"),
            ("http://user:pa/ss@host/", "http://host/"),
            ("user:p@ss@host:80", "host:80"),
            ("http://host/", "http://host/"),
            ("nonsense", "nonsense"),
        ];
        for (url, shown) in cases {
            assert_eq!(without_user(url), shown);
        }
    }
}
