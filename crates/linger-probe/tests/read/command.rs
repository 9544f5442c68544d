//! The command: what it says of files, pipes and bad input, and how it exits.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use flate2::write::GzEncoder;
use linger_wire::file::Reader;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::packets::Capture;
use crate::probe::{assert_refused, probe, text};

/// A connection that ends normally, and one whose upload is cut.
fn lossy() -> Vec<u8> {
    Capture::new().normal(50_000).cut_upload(50_001).file()
}

fn good() -> Vec<u8> {
    Capture::new().normal(50_000).file()
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        shown(&self.path(name))
    }
}

fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

async fn piped(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_linger-probe"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("piped").write_all(input).await.expect("it reads");
    child.wait_with_output().await.expect("it ends")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn the_exit_status_says_whether_something_was_lost() {
    let files = Files::new();
    let (good, lossy) = (files.write("good.pcapng", &good()), files.write("lossy.pcapng", &lossy()));
    let output = probe(&["read", &good]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).starts_with("1 connection in 7 ms: 100 % normal.\n"), "{output:?}");
    let output = probe(&["read", &lossy]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stdout);
    for part in
        ["50.0 % reset by the server while the client was sending", "RFC 9112 §9.6", "✕", "413 response"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(output.stderr.is_empty(), "no progress bar without a terminal: {output:?}");
    let output = probe(&["read", "--filter", "kind=normal", &lossy]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("Only connections that match kind=normal."), "{output:?}");
}

#[tokio::test]
async fn fail_on_says_what_counts() {
    let files = Files::new();
    let refused = files.write("refused.pcapng", &Capture::new().refused(50_000).file());
    for (severity, status) in [("loses-responses", 1), ("harsh", 1)] {
        let output = probe(&["read", "--fail-on", severity, &refused]).await;
        assert_eq!(output.status.code(), Some(status), "{output:?}");
    }
    let output = probe(&["read", "--format", "junit", &refused]).await;
    assert!(text(&output.stdout).contains("<failure message=\"loses responses: 1 connection"), "{output:?}");
}

#[tokio::test]
async fn packed_files_and_pipes_are_read_as_they_are() {
    let files = Files::new();
    let plain = files.write("lossy.pcapng", &lossy());
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&lossy()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd =
        ruzstd::encoding::compress_to_vec(lossy().as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    let expected = json(&probe(&["read", "--format", "json", &plain]).await);
    let packed = [("lossy.gz", gzip.clone()), ("lossy.zst", zstd)];
    for (name, bytes) in packed {
        let found = json(&probe(&["read", "--format", "json", &files.write(name, &bytes)]).await);
        assert_eq!((&found["kinds"], &found["worst"]), (&expected["kinds"], &expected["worst"]), "{name}");
        assert_eq!(found["sources"][0]["bytes"], bytes.len(), "as it is stored");
    }
    for bytes in [lossy(), gzip] {
        let output = piped(&["read", "--format", "json", "-"], &bytes).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(json(&output)["kinds"], expected["kinds"]);
    }
}

#[tokio::test]
async fn files_in_a_row_are_one_trace() {
    let files = Files::new();
    let whole = Capture::new().normal(50_000).file();
    let all = Reader::new(whole.as_slice()).expect("a capture");
    let mut parts = [Vec::new(), Vec::new()];
    split(all, &mut parts);
    let names = [files.write("1.pcapng", &parts[0]), files.write("2.pcapng", &parts[1])];
    let found = json(&probe(&["read", "--format", "json", &names[0], &names[1]]).await);
    assert_eq!((&found["connections"], &found["kinds"][0]["connections"]), (&1.into(), &1.into()));
    assert_eq!(found["sources"].as_array().map(Vec::len), Some(2));
}

/// Writes the first four frames to the first file, and the others to the second.
fn split(mut all: Reader<&[u8]>, parts: &mut [Vec<u8>; 2]) {
    use linger_wire::file::Writer;
    let mut writers =
        [0, 1].map(|_| Writer::new(Vec::new(), linger_wire::decode::LinkType::Ip).expect("memory"));
    let mut count = 0;
    while let Some(frame) = all.next_frame().expect("a frame") {
        writers[usize::from(count >= 4)].write(&frame).expect("memory");
        count += 1;
    }
    *parts = writers.map(Writer::into_inner);
}

#[tokio::test]
async fn each_writes_a_line_for_each_connection() {
    let files = Files::new();
    let lossy = files.write("lossy.pcapng", &lossy());
    let output = probe(&["read", "--each", &lossy]).await;
    let lines: Vec<&str> = text(&output.stdout).lines().take(2).collect();
    assert!(
        lines.iter().any(|line| line.ends_with("198.51.100.7:50000 > 192.0.2.1:443 normal")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.contains("loses responses: the server closed with about")),
        "{lines:?}"
    );
    let output = probe(&["read", "--each", "--format", "json", &lossy]).await;
    let objects = text(&output.stdout).lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let objects: Vec<Value> = objects.collect();
    assert_eq!(objects.len(), 3);
    assert!(objects[..2].iter().all(|object| object["end"]["way"].is_string()), "{objects:?}");
    assert_eq!(objects[2]["schema_version"], 1);
    assert_refused(&["read", "--each", "--format", "junit", &lossy], "--each has no JUnit").await;
}

#[tokio::test]
async fn a_cut_file_is_read_as_far_as_it_goes() {
    let files = Files::new();
    let mut bytes = lossy();
    bytes.truncate(bytes.len() - 10);
    let cut = files.write("cut.pcapng", &bytes);
    let output = probe(&["read", &cut]).await;
    let said = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.status.code() != Some(2), "{output:?}");
    assert!(said.contains("it is cut off within the packet or block at byte"), "{said}");
    // What follows on a damage may be much.
    let mut bytes = lossy();
    bytes.extend([0xff; 64]);
    let output = probe(&["read", &files.write("damaged.pcapng", &bytes)]).await;
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.contains("it is damaged at byte")), (Some(2), true), "{output:?}");
    assert!(text(&output.stdout).contains("2 connections"), "{output:?}");
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&lossy()).expect("memory");
    let mut gzip = gzip.finish().expect("memory");
    gzip.truncate(gzip.len() - 12);
    let output = probe(&["read", &files.write("cut.gz", &gzip)]).await;
    assert!(text(&output.stdout).contains("2 connections"), "{output:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_one_line() {
    let files = Files::new();
    let good = files.write("good.pcapng", &good());
    let notes = files.write("notes.txt", b"Dear colleague, here is the trace.");
    let empty = files.write("empty.pcap", b"");
    // A pcap file of IEEE 802.11 frames.
    let mut wireless = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    wireless.extend([0; 8]);
    wireless.extend([0, 0, 4, 0, 105, 0, 0, 0]);
    let wireless = files.write("wireless.pcap", &wireless);
    let missing = shown(&files.path("missing.pcap"));
    let directory = shown(files.0.path());
    let keys = files.write("keys.log", b"CLIENT_RANDOM 00 11\n");
    assert_refused(&["read", &notes], "this is neither pcap nor pcapng").await;
    assert_refused(&["read", &good, &notes], "notes.txt: this is neither pcap nor pcapng").await;
    assert_refused(&["read", &empty], "empty.pcap: it is empty").await;
    assert_refused(&["read", &wireless], "link type 105 is not known").await;
    assert_refused(&["read", &missing], "there is no such file").await;
    assert_refused(&["read", &directory], "this is a directory").await;
    assert_refused(&["read", "-", "-"], "can be read only once").await;
    assert_refused(&["read", "--secrets", &missing, &good], "--secrets").await;
    assert_refused(&["read", "--secrets", &keys, &good], "keys.log: ").await;
    assert_refused(&["read", "--anonymise", &good, &good], "one of the files to read").await;
    assert_refused(&["read", "--filter", "kind=resets", &good], "there are normal, half_closed").await;
    assert_refused(&["read", "--filter", "host=a", &good], "the keys are address, client").await;
    assert_refused(&["read", "--server-port", "0", &good], "0 is not in 1..=65535").await;
    assert_refused(&["read"], "FILE").await;
    let output = piped(&["read", "-"], b"").await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
    assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
}

#[tokio::test]
async fn the_help_names_every_kind() {
    let help = probe(&["read", "--help"]).await;
    let words = text(&help.stdout).replace(',', " ");
    let words: Vec<&str> = words.split_whitespace().map(|word| word.trim_matches(['`', '.'])).collect();
    for kind in linger_probe::read::Kind::ALL {
        assert!(words.contains(&kind.key()), "{kind}");
    }
}

#[tokio::test]
async fn the_anonymised_copy_says_the_same() {
    let files = Files::new();
    let (lossy, copy) = (files.write("lossy.pcapng", &lossy()), shown(&files.path("copy.pcapng")));
    let original = json(&probe(&["read", "--format", "json", "--anonymise", &copy, &lossy]).await);
    let bytes = std::fs::read(&copy).expect("written");
    assert!(!bytes.windows(4).any(|window| window == b"uuuu" || window == b"rrrr"), "no payload");
    let found = json(&probe(&["read", "--format", "json", &copy]).await);
    assert_eq!(found["kinds"], original["kinds"]);
    assert_eq!(found["losses"], original["losses"]);
    assert_eq!(found["worst"][0]["last_status"], 413);
    assert!(found["worst"][0]["client"].as_str().expect("an address").starts_with("10."), "{found}");
}

/// As a user who looks at `tcpdump -w - | linger-probe read -` and has seen enough.
#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_gives_the_results_so_far() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let mut child = Command::new(env!("CARGO_BIN_EXE_linger-probe"))
        .args(["read", "--each", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    // The first connection is printed when its TIME_WAIT is over. The trace is short enough to come in one piece.
    let trace = Capture::new().normal(50_000).wait(Duration::from_secs(120)).refused(50_001).file();
    assert!(trace.len() < 4096, "{}", trace.len());
    let mut input = child.stdin.take().expect("piped");
    input.write_all(&trace).await.expect("it reads");
    let mut output = child.stdout.take().expect("piped");
    let mut said = vec![0; 8];
    output.read_exact(&mut said).await.expect("a line");
    let pid = i32::try_from(child.id().expect("it runs")).expect("a process");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("it runs");
    output.read_to_end(&mut said).await.expect("its end");
    let status = tokio::time::timeout(Duration::from_secs(30), child.wait()).await.expect("it ends");
    let said = text(&said);
    assert_eq!(status.expect("a status").code(), Some(1), "{said}");
    assert!(said.contains("\n2 connections in 2 min: "), "{said}");
    assert!(said.contains("Interrupted: these are the results so far."), "{said}");
    drop(input);
}
