//! The proxies. To add one, add an entry here and its configuration beside this file.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

pub(super) struct Proxy {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    pub(super) args: &'static [&'static str],
    /// Its configuration: the name of the file, and what is in it.
    pub(super) file: (&'static str, &'static str),
    /// Whether it keeps connections to the app for later requests.
    pub(super) keeps: bool,
}

pub(super) const ALL: &[Proxy] = &[
    Proxy {
        name: "nginx",
        program: "nginx",
        args: &["-p", "{folder}", "-c", "{folder}/nginx.conf"],
        file: ("nginx.conf", include_str!("nginx.conf")),
        keeps: true,
    },
    Proxy {
        name: "HAProxy",
        program: "haproxy",
        args: &["-db", "-f", "{folder}/haproxy.cfg"],
        file: ("haproxy.cfg", include_str!("haproxy.cfg")),
        keeps: true,
    },
    Proxy {
        name: "Apache",
        program: "apache2",
        // One process, so that nothing outlives it.
        args: &["-X", "-f", "{folder}/apache.conf"],
        file: ("apache.conf", include_str!("apache.conf")),
        keeps: true,
    },
    Proxy {
        name: "Caddy",
        program: "caddy",
        args: &["run", "--adapter", "caddyfile", "--config", "{folder}/Caddyfile"],
        file: ("Caddyfile", include_str!("Caddyfile")),
        keeps: true,
    },
    Proxy {
        name: "lighttpd",
        program: "lighttpd",
        args: &["-D", "-f", "{folder}/lighttpd.conf"],
        file: ("lighttpd.conf", include_str!("lighttpd.conf")),
        keeps: false,
    },
];

/// Fills in the places of a configuration or an argument.
pub(super) fn filled(text: &str, folder: &Path, front: SocketAddr, back: SocketAddr) -> String {
    let is_root = nix::unistd::geteuid().is_root();
    let places = [
        ("{folder}", folder.display().to_string()),
        ("{front}", front.to_string()),
        ("{front_port}", front.port().to_string()),
        ("{back}", back.to_string()),
        ("{back_port}", back.port().to_string()),
        ("{modules}", "/usr/lib/apache2/modules".to_owned()),
        // Apache refuses to serve as root.
        ("{user}", if is_root { "User #65534\nGroup #65534" } else { "" }.to_owned()),
    ];
    places.into_iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, &value))
}

/// Nobody else is in this network namespace who could take it.
pub(super) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}
