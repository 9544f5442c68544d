//! Eight web frameworks, bare and with tower-linger: which of them get an early `413` to a client that
//! uploads 64 MiB?
//!
//! `make frameworks` compares the answers with the table in docs/stacks.md, and `UPDATE=1 make frameworks`
//! writes it. A name as an argument tries that framework alone: `cargo run -- warp`.

mod certificate;
mod client;
mod frameworks;
mod place;
mod server;
mod servers;
mod table;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use tokio_rustls::rustls::crypto::ring;

fn main() -> ExitCode {
    // Frameworks that choose none would otherwise find two.
    ring::default_provider().install_default().expect("it is the first one");
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result: Result<(), Box<dyn Error>> = match arguments[..] {
        [] => table::all(),
        [name] => table::one(name),
        [server::SERVE, name, hook, address, directory] => server::serve(name, hook, address, directory),
        _ => Err("usage: frameworks [NAME]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
