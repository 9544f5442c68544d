//! How do well-known servers end their connections under load, and what does it cost them?
//! `linger-probe compare` starts them and loads each in turn. One request in ten is an upload that the server
//! refuses. Needs nginx, Apache, HAProxy and Go.

use std::process::Command;

use serde_json::Value;
use tower_linger_benches::results::{Bound, Results, Row, is_bench};

/// Names of servers, as `linger-probe compare` knows them.
const SERVERS: [&str; 6] = ["hyper", "axum", "nginx always", "Apache", "HAProxy", "Go"];

fn main() {
    let seconds = if is_bench() { "3" } else { "0.2" };
    // A release build, because its servers are compared with packaged ones.
    let probe = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["run", "--release", "--quiet", "-p", "linger-probe", "--", "compare"])
        .args(SERVERS)
        .args(["--just", "load", "-d", seconds, "--format", "json"])
        .output()
        .expect("cargo is there");
    // Its status does not say whether responses were lost.
    let said: Value = serde_json::from_slice(&probe.stdout).unwrap_or_else(|error| {
        panic!("linger-probe compare: {error}: {}", String::from_utf8_lossy(&probe.stderr))
    });
    let loads = said["load"].as_array().expect("a list");
    assert!(loads.len() >= 2 * SERVERS.len(), "one is missing: {}", String::from_utf8_lossy(&probe.stderr));
    Results::new("compare", loads.iter().flat_map(rows).collect()).tell();
}

fn rows(load: &Value) -> Vec<Row> {
    let name = load["name"].as_str().expect("a name");
    let sum = |field: &str| -> f64 {
        let kinds = load["kinds"].as_array().expect("a list");
        kinds.iter().map(|kind| kind[field].as_f64().expect("a number")).sum()
    };
    let lost = Row::new(
        format!("responses lost of a thousand requests, {name}"),
        1000.0 * (1.0 - sum("complete") / sum("requests")),
        "‰",
    );
    let lost = if name.contains("layered") { lost.bounded(Bound::AtMost(0.0)) } else { lost };
    let spent = |what: &str, field: &str, scale: f64, unit: &str| {
        Some(Row::new(format!("{what}, {name}"), load[field].as_f64()? * scale, unit))
    };
    let rest = [
        spent("processor time of a request", "server_cpu_ms", 1e3, "µs"),
        spent("a socket is held after its end", "held_ms", 1.0, "ms"),
    ];
    [Some(lost)].into_iter().chain(rest).flatten().collect()
}
