//! A real nginx in front of the replicas, with kept upstream connections. It has only passive checks: it
//! learns by a refused connection that a replica is gone.

use std::fmt::Write as _;

use tower_linger_tests::nginx::Nginx;

use super::replicas::Replicas;

/// The front's ports on 127.0.0.1.
pub(super) const PLAIN: u16 = 8080;
pub(super) const TLS: u16 = 8443;

/// A line of the access log for each request and each connection of a `WebSocket`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) status: u16,
    pub(super) text: String,
}

/// Starts it. `failed` tells what a refused connection does: nginx's `max_fails` and `fail_timeout`.
pub(super) async fn start(replicas: &Replicas, failed: &str) -> Nginx {
    let pem = replicas.folder().display();
    let mut upstream = String::new();
    for address in replicas.addresses() {
        let _ = writeln!(upstream, "server {address} {failed};");
    }
    let scheme = if replicas.is_tls() { "https" } else { "http" };
    // Both locations leave `proxy_next_upstream` as it is: another replica is asked after an error, but a
    // POST only if nothing of it was sent.
    let servers = format!(
        "log_format request '$status $request_method $uri $server_protocol upstream $upstream_addr \
             $upstream_status $upstream_response_time';
        map $http_upgrade $hop {{ default upgrade; '' ''; }}
        upstream replicas {{
            {upstream}
            keepalive 16;
        }}
        server {{
            listen 127.0.0.1:{PLAIN};
            listen 127.0.0.1:{TLS} ssl http2;
            access_log {{folder}}/access request;
            ssl_certificate {pem}/certificate;
            ssl_certificate_key {pem}/key;
            client_max_body_size 0;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $hop;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {pem}/authority;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            location / {{ proxy_pass {scheme}://replicas; }}
            location /upload {{ proxy_pass {scheme}://replicas; proxy_request_buffering off; }}
        }}\n"
    );
    let mut nginx = Nginx::start(&servers, &[]);
    nginx.listens_at(PLAIN).await;
    nginx
}

/// The access log.
pub(super) fn lines(nginx: &Nginx) -> Vec<Line> {
    let log = std::fs::read_to_string(nginx.file("access")).expect("it is there");
    let parse =
        |line: &str| Some(Line { status: line.split(' ').next()?.parse().ok()?, text: line.to_owned() });
    log.lines().filter_map(parse).collect()
}

/// The error log, without the refused connections of a replica that is away: nginx asks the next one then.
pub(super) fn errors(nginx: &Nginx) -> Vec<String> {
    let log = std::fs::read_to_string(nginx.file("log")).expect("it is there");
    let is_error = |line: &&str| !line.contains("connect() failed (111: Connection refused)");
    log.lines().filter(is_error).map(str::to_owned).collect()
}
