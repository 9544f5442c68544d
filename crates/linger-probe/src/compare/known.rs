//! The servers that are compared. To add one, add an entry here and its configuration beside this file.

use std::path::Path;

use super::Server;

/// All of them, in the report's order.
pub(crate) const ALL: &[Server] = &[
    Server { name: "nginx always", settings: &[("lingering", || "always")], ..NGINX },
    Server { name: "nginx on", settings: &[("lingering", || "on")], ..NGINX },
    Server { name: "nginx off", settings: &[("lingering", || "off")], ..NGINX },
    Server {
        name: "Apache",
        programs: &["apache2", "httpd"],
        files: &[("apache.conf", include_str!("apache.conf"))],
        args: &["-DFOREGROUND", "-f", "{folder}/apache.conf"],
        settings: &[("modules", apache_modules), ("user", apache_user)],
        ..OURS
    },
    Server {
        name: "HAProxy",
        programs: &["haproxy"],
        files: &[("haproxy.cfg", include_str!("haproxy.cfg"))],
        args: &["-db", "-f", "haproxy.cfg"],
        has_large: false,
        ..OURS
    },
    Server {
        name: "lighttpd",
        programs: &["lighttpd"],
        files: &[("lighttpd.conf", include_str!("lighttpd.conf"))],
        args: &["-D", "-f", "lighttpd.conf"],
        ..OURS
    },
    Server {
        name: "Go",
        programs: &["go"],
        files: &[("main.go", include_str!("main.go"))],
        build: &["build", "-o", "server", "main.go"],
        args: &["{http}", "{https}", "{ground}/server.pem", "{ground}/server-key.pem"],
        ..OURS
    },
    Server { name: "axum", settings: &[("stack", || "axum")], ..OURS },
    Server { name: "axum layered", settings: &[("stack", || "axum")], args: LAYERED, ..OURS },
    Server { name: "hyper", settings: &[("stack", || "hyper")], ..OURS },
    Server { name: "hyper layered", settings: &[("stack", || "hyper")], args: LAYERED, ..OURS },
    Server { name: "axum-server", settings: &[("stack", || "axum-server")], ..OURS },
    Server { name: "axum-server layered", settings: &[("stack", || "axum-server")], args: LAYERED, ..OURS },
    Server { name: "serve layered", settings: &[("stack", || "serve")], args: LAYERED, ..OURS },
];

const NGINX: Server = Server {
    programs: &["nginx"],
    files: &[("nginx.conf", include_str!("nginx.conf"))],
    args: &["-p", "{folder}", "-c", "{folder}/nginx.conf"],
    ..OURS
};

/// This program itself, and what the other entries do not say.
const OURS: Server = Server {
    name: "",
    programs: &[],
    files: &[],
    build: &[],
    args: &["serve", "{stack}", "--http", "{http}", "--https", "{https}", "--cert", CERT, "--key", KEY],
    settings: &[],
    has_large: true,
};
const LAYERED: &[&str] = &[
    "serve",
    "{stack}",
    "--layered",
    "--http",
    "{http}",
    "--https",
    "{https}",
    "--cert",
    CERT,
    "--key",
    KEY,
];
const CERT: &str = "{ground}/server.pem";
const KEY: &str = "{ground}/server-key.pem";

/// The folder of Apache's modules. Where there is none, Debian's, so that Apache names it in its error.
fn apache_modules() -> &'static str {
    let places = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2"];
    places.into_iter().find(|place| Path::new(place).is_dir()).unwrap_or(places[0])
}

/// Apache refuses to serve as root, so it has to change its user where this program is run by root.
fn apache_user() -> &'static str {
    if nix::unistd::geteuid().is_root() { "User #65534\nGroup #65534" } else { "" }
}
