//! What to change in a server so that a failing row passes: settings and code, as data.
//!
//! Each entry is documented by the server's makers or was tried with this probe. Without an entry for a
//! server or a row, no change is known.

use std::fmt;

use serde::Serialize;

use crate::model::{TargetReport, Verdict};
use crate::scenario::is_in;

mod table;

pub use table::ALL;

/// A server for which changes are known. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Server {
    /// nginx and its derivatives.
    Nginx,
    /// Apache httpd.
    Apache,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
    /// Go's `net/http`.
    Go,
    /// Node's `http`.
    Node,
    /// axum.
    Axum,
    /// hyper without axum.
    Hyper,
    /// Python's ASGI servers: uvicorn, hypercorn, daphne.
    Asgi,
    /// Python's WSGI servers: gunicorn, waitress, Werkzeug.
    Wsgi,
}

impl Server {
    /// All servers.
    pub const ALL: [Self; 10] = [
        Self::Nginx,
        Self::Apache,
        Self::Haproxy,
        Self::Envoy,
        Self::Go,
        Self::Node,
        Self::Axum,
        Self::Hyper,
        Self::Asgi,
        Self::Wsgi,
    ];

    /// The name in the syntax of `--for`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Go => "go",
            Self::Node => "node",
            Self::Axum => "axum",
            Self::Hyper => "hyper",
            Self::Asgi => "asgi",
            Self::Wsgi => "wsgi",
        }
    }

    /// How this server's `Server` header begins, in lower case. Go, Node, HAProxy and the Rust servers send
    /// none.
    fn products(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["nginx", "openresty", "freenginx", "tengine", "angie"],
            Self::Apache => &["apache"],
            Self::Envoy => &["envoy", "istio-envoy"],
            Self::Asgi => &["uvicorn", "hypercorn", "daphne"],
            Self::Wsgi => &["gunicorn", "waitress", "werkzeug"],
            Self::Haproxy | Self::Go | Self::Node | Self::Axum | Self::Hyper => &[],
        }
    }

    /// The server that sends this `Server` header, such as `nginx/1.22.1` or `hypercorn-h11`.
    #[must_use]
    pub fn of_header(header: &str) -> Option<Self> {
        let header = header.trim().to_ascii_lowercase();
        // "Apache-Coyote" and "Apache Tomcat" are not Apache httpd.
        let is_end = |rest: &str| !rest.starts_with("-coyote") && !rest.starts_with(" tomcat");
        let is_named = |product: &&str| {
            header
                .strip_prefix(*product)
                .is_some_and(|rest| is_end(rest) && !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        Self::ALL.into_iter().find(|server| server.products().iter().any(&is_named))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Apache => "Apache httpd",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Go => "Go net/http",
            Self::Node => "Node.js http",
            Self::Axum => "axum",
            Self::Hyper => "hyper",
            Self::Asgi => "Python ASGI servers",
            Self::Wsgi => "Python WSGI servers",
        })
    }
}

/// A known change. If several entries cover a row, the most specific one applies: an entry for the row before
/// one for its group.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The servers that it is for.
    pub servers: &'static [Server],
    /// The scenarios or groups that it fixes, in the syntax of `--only`.
    pub rows: &'static [&'static str],
    /// The setting or code, in one or two sentences.
    pub change: &'static str,
    /// Where the change is documented.
    pub documentation: &'static str,
}

/// A change that would fix failing rows of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// The server that it is for.
    pub server: Server,
    /// The failing rows that it would fix.
    pub rows: Vec<&'static str>,
    /// The setting or code, in one or two sentences.
    pub change: &'static str,
    /// Where the change is documented.
    pub documentation: &'static str,
}

/// Looks up what would fix this server's failing rows, and adds it to the report. The kind of server is
/// `asked`, or else the one that the `Server` header names.
pub fn advise(target: &mut TargetReport, asked: Option<Server>) {
    let server = asked.or_else(|| Server::of_header(target.server.as_deref()?));
    target.remedies.clear();
    let Some(server) = server else { return };
    for row in target.rows.iter().filter(|row| row.verdict == Verdict::Fail) {
        let Some(entry) = entry(server, row.scenario) else { continue };
        match target.remedies.iter_mut().find(|remedy| remedy.change == entry.change) {
            Some(remedy) => remedy.rows.push(row.scenario),
            None => target.remedies.push(Remedy {
                server,
                rows: vec![row.scenario],
                change: entry.change,
                documentation: entry.documentation,
            }),
        }
    }
}

/// The known change for this row of this server.
#[must_use]
pub fn entry(server: Server, scenario: &str) -> Option<&'static Entry> {
    let closeness = |entry: &&Entry| {
        let covers = |wanted: &&&str| is_in(scenario, wanted);
        entry.rows.iter().filter(covers).map(|wanted| wanted.len()).max().unwrap_or(0)
    };
    let of_server = ALL.iter().filter(|entry| entry.servers.contains(&server));
    of_server.filter(|entry| closeness(entry) > 0).max_by_key(closeness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_header() {
        let cases = [
            ("nginx/1.22.1", Some(Server::Nginx)),
            ("openresty", Some(Server::Nginx)),
            ("Apache/2.4.57 (Debian)", Some(Server::Apache)),
            ("Apache-Coyote/1.1", None),
            ("envoy", Some(Server::Envoy)),
            ("uvicorn", Some(Server::Asgi)),
            ("hypercorn-h11", Some(Server::Asgi)),
            ("gunicorn", Some(Server::Wsgi)),
            ("Werkzeug/3.0 Python/3.11", Some(Server::Wsgi)),
            ("nginxer", None),
            ("", None),
            ("lighttpd/1.4.69", None),
        ];
        for (header, server) in cases {
            assert_eq!(Server::of_header(header), server, "{header}");
        }
    }

    #[test]
    fn a_row_comes_before_its_group() {
        let of = |scenario| entry(Server::Axum, scenario).map(|entry| entry.change);
        assert!(of("close.half_closed").is_some_and(|change| change.contains("half_close(true)")));
        assert!(of("close.pipelined").is_some_and(|change| change.contains("LingerListener")));
        assert_eq!(of("closed"), None);
        assert!(entry(Server::Nginx, "websocket.close").is_none());
    }

    #[test]
    fn every_entry_is_about_rows_that_there_are() {
        for entry in ALL {
            assert!(!entry.servers.is_empty() && !entry.change.is_empty() && !entry.documentation.is_empty());
            for rows in entry.rows {
                let is_there = crate::battery::ALL.iter().any(|scenario| is_in(scenario.name, rows));
                assert!(is_there, "{rows}: {}", entry.change);
            }
        }
    }
}
