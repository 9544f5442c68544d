//! The clients, and how each is asked to upload.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use tokio::process::Command;
use tower_linger_tests::certs::Version;
use tower_linger_tests::library_client;

use super::{MESSAGE, PATH, TRIES, UPLOAD_BYTES};
use crate::page::Count;
use crate::programs::{program, python, run, source, text};
use crate::server::{Ground, Transport};

/// A program, which is a client or has libraries that are.
pub(super) struct Program {
    how: How,
    pub(super) clients: &'static [Client],
}

/// A row of the table.
pub(super) struct Client {
    pub(super) row: &'static str,
    /// What a script knows it by.
    library: &'static str,
    speaks: Speaks,
}

/// Over TLS the server chooses between the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
    Both,
}

enum How {
    /// An interpreter with a script, which takes the names of libraries and prints how many of their uploads
    /// succeeded.
    Script(&'static str, &'static str),
    /// The same, with the Python of `make judges`.
    Python,
    /// The same, compiled first.
    Java,
    Go,
    /// curl, with further arguments.
    Curl(&'static [&'static str]),
    Wget,
    Ab,
    Reqwest,
}

const fn client(row: &'static str, library: &'static str, speaks: Speaks) -> Client {
    Client { row, library, speaks }
}

pub(super) const COMMAND_LINE: &[Program] = &[
    Program { how: How::Curl(&[]), clients: &[client("curl", "", Speaks::Both)] },
    Program {
        how: How::Curl(&["-H", "Expect:"]),
        clients: &[client("curl without `Expect`", "", Speaks::Both)],
    },
    Program { how: How::Wget, clients: &[client("wget", "", Speaks::Http1)] },
    Program { how: How::Ab, clients: &[client("ab, 1 MiB, ten at a time", "", Speaks::Http1)] },
];

pub(super) const PYTHON: &[Program] = &[Program {
    how: How::Python,
    clients: &[
        client("`http.client`", "http.client", Speaks::Http1),
        client("urllib", "urllib", Speaks::Http1),
        client("requests", "requests", Speaks::Http1),
    ],
}];

pub(super) const JAVA: &[Program] = &[Program {
    how: How::Java,
    clients: &[
        client("`HttpURLConnection`", "HttpURLConnection", Speaks::Http1),
        client("`HttpURLConnection`, streaming", "streaming", Speaks::Http1),
        client("`java.net.http`", "HttpClient", Speaks::Both),
    ],
}];

pub(super) const NODE: &[Program] = &[Program {
    how: How::Script("node", "judges/clients/uploads.js"),
    clients: &[
        client("`http`, `https`", "request", Speaks::Http1),
        client("`fetch`", "fetch", Speaks::Http1),
        client("`http2`", "http2", Speaks::Http2),
    ],
}];

pub(super) const SCRIPTS: &[Program] = &[
    Program {
        how: How::Script("ruby", "judges/clients/uploads.rb"),
        clients: &[client("Ruby, `net/http`", "net/http", Speaks::Http1)],
    },
    Program {
        how: How::Script("perl", "judges/clients/uploads.pl"),
        clients: &[
            client("Perl, `HTTP::Tiny`", "HTTP::Tiny", Speaks::Http1),
            client("Perl, LWP", "LWP", Speaks::Http1),
        ],
    },
    Program {
        how: How::Script("php", "judges/clients/uploads.php"),
        clients: &[
            client("PHP, streams", "streams", Speaks::Http1),
            client("PHP, curl", "curl", Speaks::Both),
        ],
    },
];

pub(super) const COMPILED: &[Program] = &[
    Program { how: How::Go, clients: &[client("Go, `net/http`", "net/http", Speaks::Both)] },
    Program { how: How::Reqwest, clients: &[client("Rust, reqwest", "", Speaks::Http1)] },
];

/// A file.
const BODY_OF_AB: &str = "body of ab";

/// Where to upload what.
pub(super) struct Request<'a> {
    pub(super) transport: Transport,
    pub(super) server: SocketAddr,
    pub(super) ground: &'a Ground,
    /// A file of [`UPLOAD_BYTES`] bytes.
    pub(super) body: &'a Path,
}

impl Request<'_> {
    fn url(&self) -> String {
        let scheme = if self.transport.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}{PATH}", self.server)
    }
}

impl Client {
    pub(super) fn can(&self, transport: Transport) -> bool {
        self.speaks == Speaks::Both || transport.is_http2() == (self.speaks == Speaks::Http2)
    }
}

impl Program {
    /// Makes what it needs, once.
    pub(super) async fn prepare(&self, ground: &Ground) {
        let mut compiler = match self.how {
            How::Java => {
                // Java's own compiler is a module that its runtime has, too.
                let mut compiler = program("java");
                compiler.args(["-m", "jdk.compiler/com.sun.tools.javac.Main", "-d"]).arg(ground.path());
                compiler.arg(source("judges/clients/Uploads.java"));
                compiler
            }
            How::Go => {
                let mut compiler = program("go");
                compiler.args(["build", "-o"]).arg(ground.path().join("uploads"));
                compiler.arg(source("judges/clients/uploads.go"));
                compiler
            }
            How::Ab => {
                ground.file(BODY_OF_AB, &vec![b'x'; 1 << 20]);
                return;
            }
            How::Script(..) | How::Python | How::Curl(_) | How::Wget | How::Reqwest => return,
        };
        assert!(run(&mut compiler).await.status.success(), "{compiler:?} fails");
    }

    /// What each of its clients counts; nothing of those that cannot ask this server.
    pub(super) async fn upload(&self, request: &Request<'_>) -> Vec<Option<Count>> {
        let able: Vec<&Client> = self.clients.iter().filter(|client| client.can(request.transport)).collect();
        if able.is_empty() {
            return vec![None; self.clients.len()];
        }
        let counts = match self.how {
            How::Script(name, script) => {
                let mut command = program(name);
                counted(command.arg(source(script)), &able, request).await
            }
            How::Python => {
                let script = source("foreign/uploads.py");
                counted(program(&python()).arg(script), &able, request).await
            }
            How::Java => {
                let mut java = program("java");
                java.args(["-XX:+UseSerialGC", "-cp"]).arg(request.ground.path()).arg("Uploads");
                counted(&mut java, &able, request).await
            }
            How::Go => {
                let binary = request.ground.path().join("uploads");
                counted(&mut program(binary.to_str().expect("UTF-8")), &able, request).await
            }
            How::Curl(more) => vec![repeated(async || curl(more, request).await).await],
            How::Wget => vec![repeated(async || wget(request).await).await],
            How::Ab => vec![ab(request).await],
            How::Reqwest => vec![repeated(async || reqwest(request).await).await],
        };
        let mut counts = counts.into_iter();
        let can = |client: &Client| client.can(request.transport);
        self.clients.iter().map(|client| if can(client) { counts.next() } else { None }).collect()
    }
}

/// What a program of ours counts, a line for each library.
async fn counted(command: &mut Command, clients: &[&Client], request: &Request<'_>) -> Vec<Count> {
    let libraries: Vec<&str> = clients.iter().map(|client| client.library).collect();
    let authority = request.ground.authority();
    command.arg(libraries.join(",")).arg(request.url());
    command.arg(if request.transport.is_tls() { authority.as_os_str() } else { "".as_ref() });
    command.args([&UPLOAD_BYTES.to_string(), &TRIES.to_string(), MESSAGE]);
    // For `fetch`.
    command.env("NODE_EXTRA_CA_CERTS", &authority);
    let printed = text(&run(command).await.stdout);
    let counts: Vec<_> = printed
        .lines()
        .map_while(|line| line.parse().ok())
        .map(|good| Count { good, tries: TRIES })
        .collect();
    assert_eq!(counts.len(), clients.len(), "{command:?} printed: {printed}");
    counts
}

async fn repeated(once: impl AsyncFn() -> bool) -> Count {
    let mut good = 0;
    for _ in 0..TRIES {
        good += usize::from(once().await);
    }
    Count { good, tries: TRIES }
}

async fn curl(more: &[&str], request: &Request<'_>) -> bool {
    let mut curl = program("curl");
    curl.args(["-sS", "-m", "60", "-w", "%{http_code}"]).args(more);
    curl.arg("--cacert").arg(request.ground.authority()).arg("-T").arg(request.body).arg(request.url());
    text(&run(&mut curl).await.stdout) == format!("{MESSAGE}413")
}

async fn wget(request: &Request<'_>) -> bool {
    let mut wget = program("wget");
    wget.args(["-nv", "--tries=1", "--timeout=60", "--no-hsts", "-O-", "--content-on-error", "--method=PUT"]);
    wget.arg("--ca-certificate").arg(request.ground.authority());
    wget.arg("--body-file").arg(request.body).arg(request.url());
    let output = run(&mut wget).await;
    text(&output.stdout) == MESSAGE && text(&output.stderr).contains("ERROR 413")
}

/// ab looks at the length of each answer, and at its status. If a reset meets its write, it forgets the
/// connection, and gives up when nothing happens any more: only what it had completed by then counts.
async fn ab(request: &Request<'_>) -> Count {
    const REQUESTS: usize = 400;
    let body = request.ground.path().join(BODY_OF_AB);
    let mut ab = program("ab");
    ab.args(["-q", "-r", "-n", &REQUESTS.to_string(), "-c", "10", "-s", "10", "-T", "text/plain"]);
    let output = run(ab.arg("-p").arg(body).arg(request.url())).await;
    let (result, complaint) = (text(&output.stdout), text(&output.stderr));
    let number = |label: &str| {
        let value = result.lines().find_map(|line| line.split_once(label)?.1.split_whitespace().next());
        value.map(|value| value.parse::<usize>().expect("a number"))
    };
    let good = match (number("Complete requests:"), number("Total of ")) {
        (Some(complete), _) => {
            let refused = number("Non-2xx responses:").unwrap_or_default().min(complete);
            refused.saturating_sub(number("Failed requests:").unwrap_or_default())
        }
        (None, Some(completed)) => completed,
        (None, None) => panic!("ab printed: {result}{complaint}"),
    };
    Count { good, tries: REQUESTS }
}

async fn reqwest(request: &Request<'_>) -> bool {
    let tls = request.transport.is_tls().then(|| request.ground.certs.client(&Version::ALL));
    let body = Bytes::from(vec![b'x'; UPLOAD_BYTES]);
    let seen = library_client::upload(request.server, PATH, body, tls).await;
    seen.status == Some(413) && seen.complete && seen.body == MESSAGE.len()
}
