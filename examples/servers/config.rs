//! A policy from a TOML file and from environment variables, which SIGHUP reads again.
//!
//! ```text
//! printf 'drain_limit = "10s"\ndrain_limit_bytes = "64MiB"\n' >close.toml
//! LINGER_DRAIN_IDLE_TIMEOUT=2s cargo run --example config -- --config close.toml
//! # → policy: flush_idle_timeout 10s, flush_limit 60s, drain_idle_timeout 2s, drain_limit 10s, …
//! pkill -HUP -x config # after a change of the file
//! ```
//!
//! The file has the settings of `ClosePolicy` by their names. A variable is `LINGER_` and the name in
//! capitals; it wins over the file. What is wrong is told in one line, with the file's line and the fix. At
//! SIGHUP the policy then stays as it was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Router, serve};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use toml::Table;
use tower_linger::axum::LingerListener;
use tower_linger::{ClosePolicy, LingerLayer, RequestLayer, Shutdown};
use tower_linger_examples::{Result, end_at_interrupt, exit, listen};

/// An axum server whose close policy is configured from outside, and changed while it runs.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(default_value = "127.0.0.1:3008")]
    listen: SocketAddr,
    /// TOML file with the close policy.
    #[arg(long, default_value = "close.toml")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(run(Args::parse()).await)
}

async fn run(args: Args) -> Result<()> {
    let policy = read_policy(&args.config)?;
    println!("policy: {policy}");
    let linger = LingerLayer::new(policy).on_close(|report| println!("{}", report.line()));
    reload_at_hangup(linger.clone(), args.config)?;
    let shutdown = Shutdown::new(linger.tracker().clone(), Duration::from_secs(10));
    end_at_interrupt(&shutdown);

    let listener = LingerListener::new(listen(args.listen).await?, linger);
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .route("/upload", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large, said the handler\n")))
        .layer(RequestLayer);
    let serve = serve(listener, app).with_graceful_shutdown(shutdown.requested());
    let (served, summary) = shutdown.finish(serve).await;
    println!("{summary}");
    served.unwrap_or(Ok(())).map_err(|error| error.to_string())
}

/// Reads the policy again at each SIGHUP. Closes that begin afterwards are done by it.
fn reload_at_hangup(linger: LingerLayer, config: PathBuf) -> Result<()> {
    let signals = signal(SignalKind::hangup());
    let mut hangups = signals.map_err(|error| format!("cannot wait for SIGHUP: {error}"))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            match read_policy(&config) {
                Ok(policy) => {
                    linger.set_policy(policy);
                    println!("policy: {policy}");
                }
                Err(error) => eprintln!("error: {error} (the policy stays as it was)"),
            }
        }
    });
    Ok(())
}

/// The settings of the file, with those of the environment over them.
fn read_policy(path: &Path) -> Result<ClosePolicy> {
    let file =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let wrong_file = |error: toml::de::Error| {
        // What is wrong with the settings together has no line.
        let span = error.span().filter(|span| !span.is_empty());
        let line = span.map(|span| format!(":{}", 1 + file[..span.start].matches('\n').count()));
        format!("{}{}: {}", path.display(), line.unwrap_or_default(), error.message())
    };
    // The file for itself first: it must make sense without the variables, and its errors have a line.
    toml::from_str::<ClosePolicy>(&file).map_err(wrong_file)?;
    let mut settings: Table = toml::from_str(&file).map_err(wrong_file)?;
    settings.extend(variables());
    settings.try_into().map_err(|error: toml::de::Error| format!("environment: {}", error.message()))
}

/// `LINGER_DRAIN_LIMIT=10s` as `drain_limit = "10s"`.
fn variables() -> Table {
    let named = env::vars_os().filter_map(|(name, value)| {
        let key = name.to_str()?.strip_prefix("LINGER_")?.to_ascii_lowercase();
        Some((key, value.to_string_lossy().into_owned().into()))
    });
    named.collect()
}
