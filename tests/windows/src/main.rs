//! A server that ends its connections as its argument says: `endings-server SCENE`.
//!
//! It introduces itself by a line: its address, its number as a process, its system, whether its transports
//! are those for Linux or those for all systems, and its certificate in hexadecimal digits. Then it prints
//! one line for each close's report. A line on its standard input asks the scenes of [`whole`] to end. It
//! ends when that input ends, so that it never outlives the process that started it. `tests/endings/`
//! starts it and is its client.

use std::env;
use std::error::Error;
use std::io::{self, BufRead};
use std::net::Ipv4Addr;
use std::process;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpListener;
use tokio::sync::Notify;

mod scenes;
mod tls;
mod whole;

type BoxError = Box<dyn Error + Send + Sync>;

const TRANSPORTS: &str =
    if cfg!(all(target_os = "linux", not(tower_linger_portable))) { "linux" } else { "portable" };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let scene = env::args().nth(1).ok_or("usage: endings-server SCENE")?;
    let asked = Arc::new(Notify::new());
    thread::spawn({
        let asked = asked.clone();
        move || {
            io::stdin().lock().lines().map_while(Result::ok).for_each(|_| asked.notify_one());
            process::exit(0);
        }
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (config, certificate) = tls::config(scene.starts_with("mutual_tls"))?;
    let (address, system) = (listener.local_addr()?, env::consts::OS);
    let introduction = format!("{address} {} {system} {TRANSPORTS} {certificate}", process::id());
    if scene.starts_with("whole") {
        return whole::run(&scene, listener, config, asked, &introduction).await;
    }
    println!("{introduction}");
    let acceptor = Arc::new(config).into();
    scenes::run(&scene, &listener, &acceptor).await
}
