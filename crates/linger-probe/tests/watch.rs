//! `linger-probe watch` beside real connections that end in each way. Each test runs in a network namespace
//! of its own, where it may capture packets.

#[cfg(target_os = "linux")]
mod probe;

#[cfg(target_os = "linux")]
mod watch {
    use std::fs;
    use std::io::{self, Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::path::Path;
    use std::process::{ExitStatus, Stdio};
    use std::time::{Duration, Instant};

    use linger_probe::read::Kind;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use serde_json::Value;
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
    use tokio::process::{Child, ChildStderr, ChildStdout, Command};
    use tokio::time::timeout;
    use tower_linger_tests::until::until;

    use super::probe::{assert_refused, probe, text};

    const PORT: u16 = 8080;
    const BOUND: Duration = Duration::from_secs(60);
    /// More than fits into the buffers of two sockets.
    const MUCH: usize = 32 << 20;

    /// A running `watch`.
    struct Watch {
        child: Child,
        errors: Lines<BufReader<ChildStderr>>,
        output: Option<ChildStdout>,
    }

    impl Watch {
        /// Starts it, and waits until it captures.
        async fn start(args: &[&str]) -> Self {
            let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
            command.arg("watch").args(args).kill_on_drop(true);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
            let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
            let first = timeout(BOUND, errors.next_line()).await.expect("in time").expect("UTF-8");
            assert!(first.as_ref().is_some_and(|line| line.contains("watching")), "{first:?}");
            let output = child.stdout.take();
            Self { child, errors, output }
        }

        /// Ends it with a signal.
        async fn end(self, signal: Signal) -> (ExitStatus, String, String) {
            let pid = Pid::from_raw(i32::try_from(self.child.id().expect("it runs")).expect("a pid"));
            kill(pid, signal).expect("it runs");
            self.finish().await
        }

        /// Waits for its end. Returns its status and what it printed on stdout and stderr.
        async fn finish(mut self) -> (ExitStatus, String, String) {
            let (mut printed, mut said) = (String::new(), String::new());
            let mut output = self.output.take().expect("taken once");
            let both = async {
                output.read_to_string(&mut printed).await.expect("UTF-8");
                while let Some(line) = self.errors.next_line().await.expect("UTF-8") {
                    said.push_str(&line);
                    said.push('\n');
                }
                self.child.wait().await.expect("it ends")
            };
            let status = timeout(BOUND, both).await.expect("it ends in time");
            (status, printed, said)
        }
    }

    fn listen(port: u16) -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free")
    }

    /// The two ends of a connection, client first.
    fn connect(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        (client, listener.accept().expect("accepts").0)
    }

    /// A request and its answer; the server closes, then the client.
    fn close_normally(listener: &TcpListener) {
        let (mut client, mut server) = connect(listener);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sends");
        server.read_exact(&mut [0; 18]).expect("receives");
        server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("sends");
        drop(server);
        client.read_to_end(&mut Vec::new()).expect("receives");
    }

    /// Fills the connection until nothing more fits, and then lets the receiver close.
    fn close_unread(mut sender: TcpStream, receiver: TcpStream) {
        sender.set_nonblocking(true).expect("sets");
        while sender.write(&[b'x'; 8192]).is_ok() {}
        drop(receiver);
        sender.set_nonblocking(false).expect("sets");
        let error = sender.read(&mut [0]).expect_err("the connection was reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    /// Ends connections to the port in several ways. Returns how many ended in each.
    fn end_in_each_way(port: u16) -> Vec<(Kind, u64)> {
        let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect_err("nobody listens yet");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let listener = listen(port);
        for _ in 0..3 {
            close_normally(&listener);
        }
        let (client, server) = connect(&listener);
        close_unread(client, server);
        let (client, server) = connect(&listener);
        close_unread(server, client);
        vec![
            (Kind::Normal, 3),
            (Kind::ServerResetWhileReceiving, 1),
            (Kind::ClientResetWhileReceiving, 1),
            (Kind::Refused, 1),
        ]
    }

    /// How many connections a reading has of each kind that occurs.
    fn kinds(reading: &Value) -> Vec<(Kind, u64)> {
        let counts = reading["kinds"].as_array().expect("a list").iter().map(|count| {
            let kind = count["kind"].as_str().and_then(Kind::of_key).expect("a kind");
            (kind, count["connections"].as_u64().expect("a number"))
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) async fn each_end_is_counted_and_the_wanted_ones_are_saved() {
        let folder = tempfile::tempdir().expect("a folder");
        let into = folder.path().join("new");
        let port = PORT.to_string();
        let on = ["--on", "server_reset_while_receiving", "--on", "client-reset-while-receiving"];
        let old = listen(PORT + 2);
        let (mut client, server) = connect(&old);
        let old_port = (PORT + 2).to_string();
        let save = [
            "--port",
            &port,
            "--port",
            &old_port,
            "--format",
            "json",
            "--save",
            into.to_str().expect("UTF-8"),
        ];
        let watch = Watch::start(&[&save[..], &on[..]].concat()).await;
        let mut expected = end_in_each_way(PORT);
        close_normally(&listen(PORT + 1));
        // A connection that was open before.
        drop(server);
        client.read_to_end(&mut Vec::new()).expect("receives");
        drop(client);
        expected[0].1 += 1;
        let (status, printed, said) = watch.end(Signal::SIGINT).await;

        let reading: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(kinds(&reading), expected, "{printed}");
        let is_old = |doubt: &&Value| doubt["name"] == "no_syn";
        let old = reading["doubts"].as_array().expect("a list").iter().find(is_old);
        assert_eq!(old.map(|doubt| &doubt["connections"]), Some(&1.into()), "{printed}");
        assert_eq!(reading["sources"][0]["dropped"], 0, "{printed}");
        assert_eq!(status.code(), Some(1), "the server's reset took an answer: {said}");
        assert_eq!(
            saved_kinds(&into).await,
            ["client_reset_while_receiving", "server_reset_while_receiving"]
        );
    }

    /// Reads the files in the folder: each must have one connection, of the kind that its name says.
    async fn saved_kinds(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
        let mut found = Vec::new();
        for path in files {
            let path = path.to_str().expect("UTF-8");
            let output = probe(&["read", "--format", "json", path]).await;
            assert_eq!(text(&output.stderr), "", "{path}");
            let reading: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let [(kind, 1)] = kinds(&reading)[..] else { panic!("{path}: {reading}") };
            let client = reading["examples"][0]["connections"][0]["client"].as_str().expect("an address");
            let name = format!("-{kind}-{}.pcapng", client.replace(':', "-"));
            assert!(path.ends_with(&name), "{path}: {name}");
            found.push(kind.to_string());
        }
        found.sort();
        found
    }

    pub(super) async fn lines_and_totals_say_how_connections_end() {
        let port = PORT.to_string();
        let watch = Watch::start(&["--port", &port, "--duration", "3"]).await;
        end_in_each_way(PORT);
        let (status, printed, said) = watch.finish().await;
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(printed.contains(" open; "), "a line each second: {printed}");
        for word in ["reset by the server while the client was sending", "TCPAbortOnClose", "OutRsts"] {
            assert!(printed.contains(word), "{word}: {printed}");
        }
        assert!(!printed.contains("dropped"), "{printed}");
    }

    pub(super) async fn metrics_show_ends_as_they_happen() {
        let address = "127.0.0.1:9464";
        let pid = std::process::id().to_string();
        let (first, second) = (listen(PORT), listen(PORT + 1));
        let watch = Watch::start(&["--process", &pid, "--metrics", address]).await;
        close_normally(&first);
        close_normally(&second);
        let (client, server) = connect(&second);
        close_unread(client, server);
        let mut page = String::new();
        let wanted = [
            r#"linger_probe_ends_total{kind="normal",port="8080"} 1"#,
            r#"linger_probe_ends_total{kind="normal",port="8081"} 1"#,
            r#"linger_probe_ends_total{kind="server_reset_while_receiving",port="8081"} 1"#,
            r#"linger_probe_ends_total{kind="timeout",port="8081"} 0"#,
            r#"linger_probe_kernel_total{counter="TCPAbortOnClose"} 1"#,
            "linger_probe_open_connections 0",
            "linger_probe_dropped_packets_total 0",
        ];
        until("the metrics have all ends", || {
            page = scrape(address.parse().expect("an address"));
            wanted.iter().all(|line| page.contains(line))
        })
        .await;
        let (status, _, said) = watch.end(Signal::SIGTERM).await;
        assert_eq!(status.code(), Some(1), "{said}");
    }

    fn scrape(address: SocketAddr) -> String {
        let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
        let request = "GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sends");
        let mut page = String::new();
        _ = stream.read_to_string(&mut page);
        page
    }

    pub(super) async fn dropped_packets_are_told() {
        let port = PORT.to_string();
        let watch = Watch::start(&["--port", &port, "--queue", "1", "--format", "json"]).await;
        let listener = listen(PORT);
        for _ in 0..200 {
            close_normally(&listener);
        }
        let (_, printed, said) = watch.end(Signal::SIGTERM).await;
        let reading: Value = serde_json::from_str(&printed).expect("JSON");
        let dropped = reading["sources"][0]["dropped"].as_u64();
        assert!(dropped.is_some_and(|dropped| dropped > 10), "{dropped:?} {said}");
    }

    /// More than fits into the kernel's pipes and sockets goes by while only headers are read.
    pub(super) async fn bytes_are_counted_although_packets_are_cut() {
        let port = PORT.to_string();
        let watch = Watch::start(&["--port", &port, "--format", "json"]).await;
        let (mut client, mut server) = connect(&listen(PORT));
        let sender = std::thread::spawn(move || server.write_all(&vec![b'x'; MUCH]).map(|()| drop(server)));
        let begin = Instant::now();
        let read = io::copy(&mut client, &mut io::sink()).expect("receives");
        assert!(begin.elapsed() < BOUND);
        sender.join().expect("no panic").expect("sends");
        drop(client);
        let (status, printed, said) = watch.end(Signal::SIGTERM).await;
        let reading: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(kinds(&reading), [(Kind::Normal, 1)], "{printed}");
        let sent = &reading["examples"][0]["connections"][0]["server_sent"]["bytes"];
        assert_eq!(sent.as_u64(), Some(read), "{printed}");
        assert_eq!(status.code(), Some(0), "{said}");
    }

    pub(super) async fn what_cannot_be_watched_is_told_in_a_line() {
        let nothing = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is everywhere");
        let pid = nothing.id().to_string();
        assert_refused(&["watch", "--process", &pid], "it listens on no TCP port").await;
        let mut nothing = nothing;
        nothing.kill().expect("it runs");
        nothing.wait().expect("it ended");
        assert_refused(&["watch", "--process", "2147483647"], "there is no such process").await;
        assert_refused(&["watch", "-p", "1", "--interface", "nothing0"], "--interface nothing0").await;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("writable");
        let file = file.to_str().expect("UTF-8");
        assert_refused(&["watch", "-p", "1", "--on", "icmp", "--save", file], "--save ").await;
        let taken = listen(PORT);
        assert_refused(&["watch", "-p", "1", "--metrics", "127.0.0.1:8080"], "--metrics 127.0.0.1:8080")
            .await;
        drop(taken);
        // clap's own lines.
        assert_refused(&["watch"], "--port").await;
        assert_refused(&["watch", "-p", "1", "--on", "reset", "--save", "x"], "client_reset, refused").await;
        assert_refused(&["watch", "-p", "1", "--save", "x"], "--on").await;
        assert_refused(&["watch", "-p", "1", "--on", "icmp"], "--save").await;
        let ports: Vec<String> = (1..=101).map(|port| format!("-p{port}")).collect();
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        assert_refused(&[&["watch"], &ports[..]].concat(), "101 are too many").await;
    }

    pub(super) async fn without_rights_it_says_what_it_needs() {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_linger-probe")]);
        let output = command.args(["watch", "--port", "1"]).output().await.expect("setpriv is in util-linux");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: watch needs root or CAP_NET_RAW"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn watch::each_end_is_counted_and_the_wanted_ones_are_saved;
    async fn watch::lines_and_totals_say_how_connections_end;
    async fn watch::metrics_show_ends_as_they_happen;
    async fn watch::dropped_packets_are_told;
    async fn watch::bytes_are_counted_although_packets_are_cut;
    async fn watch::what_cannot_be_watched_is_told_in_a_line;
    async fn watch::without_rights_it_says_what_it_needs;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
