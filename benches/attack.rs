//! What do good clients notice of an attack? Ten thousand hostile connections of six kinds
//! (`tests/src/hostile.rs`) are held against `tower_linger::serve`, nginx with `lingering_close always`, and hyper
//! alone, which take turns. Good clients send requests on new and on kept connections, plain and over TLS, before
//! the attack and during it. Needs root, two cores, nginx and nftables.
//!
//! Each round of a server is in a network namespace of its own, so that what an attack leaves in the kernel ends
//! with it. Loopback has the MTU of Ethernet there. The server has one core, all clients share the other one, on
//! which the good ones have priority: in reality, the attackers' processors are elsewhere.

use std::process::{Command, ExitCode};

use tower_linger_benches::namespace::enter;
use tower_linger_benches::process::{have_descriptors, serves};
use tower_linger_tests::hostile::prepare_network;

#[path = "attack/clients.rs"]
mod clients;
#[path = "attack/kernel.rs"]
mod kernel;
#[path = "attack/plan.rs"]
mod plan;
#[path = "attack/round.rs"]
mod round;
#[path = "attack/rows.rs"]
mod rows;
#[path = "attack/servers.rs"]
mod servers;

use plan::{Plan, Server};
use round::Round;

fn main() -> ExitCode {
    let plan = Plan::from_args();
    have_descriptors(plan.descriptors());
    match serves().as_deref() {
        Some([role, ..]) if role == "attackers" => clients::attack(plan),
        Some([role, ..]) if role == "good" => clients::good(plan),
        Some([name, ..]) => servers::serve(Server::named(name)),
        _ => match plan.only {
            Some(server) => return inside(server, plan),
            None => compare(plan),
        },
    }
    ExitCode::SUCCESS
}

/// One round, in a namespace of its own. Prints what it found.
fn inside(server: Server, plan: Plan) -> ExitCode {
    if let Some(status) = enter() {
        return status;
    }
    prepare_network();
    let found = round::run(server, plan);
    println!("{}", serde_json::to_string(&found).expect("numbers"));
    ExitCode::SUCCESS
}

fn compare(plan: Plan) {
    eprintln!("{plan}");
    let mut found: Vec<Round> = Vec::new();
    for number in 1..=plan.rounds {
        for &server in plan.servers() {
            eprint!("round {number} of {}, {}: ", plan.rounds, server.name());
            let round = apart(server);
            eprintln!("{round}");
            found.push(round);
        }
    }
    rows::tell(&found, &plan).tell();
}

/// Runs a round in a process of its own.
fn apart(server: Server) -> Round {
    let run = Command::new(std::env::current_exe().expect("it runs"))
        .args(std::env::args().skip(1))
        .args(["--only", server.name()])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&run.stdout);
    let told = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    told.unwrap_or_else(|| {
        panic!("{} said {said:?} and {}", server.name(), String::from_utf8_lossy(&run.stderr))
    })
}
