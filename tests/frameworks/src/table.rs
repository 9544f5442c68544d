//! The table in docs/stacks.md, rendered by trying each of its cells.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::thread;

use crate::certificate::Certificate;
use crate::client;
use crate::frameworks::{self, Framework};
use crate::server::Server;

/// How often each cell is tried.
const TRIES: usize = 50;
/// How many clients upload at the same time.
const AT_ONCE: usize = 10;
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/stacks.md");
const BEGIN: &str = "<!-- begin: rendered by tests/frameworks -->\n";
const END: &str = "<!-- end -->";
const HEADER: &str = "\
    | framework | hook | plain, bare | plain, hooked | TLS, bare | TLS, hooked \
    | what the hook does not cover |\n\
    |---|---|---|---|---|---|---|\n";

/// Tries one framework, and prints its row.
pub fn one(name: &str) -> Result<(), Box<dyn Error>> {
    let (row, whole) = row(frameworks::find(name)?)?;
    println!("{HEADER}{row}");
    if whole { Ok(()) } else { Err(LOST.into()) }
}

/// Tries all frameworks. Writes the table if `UPDATE` is set; otherwise the page must have it already. What
/// bare servers lose is never compared, because it is chance.
pub fn all() -> Result<(), Box<dyn Error>> {
    let (mut table, mut complete) = (HEADER.to_owned(), true);
    for framework in frameworks::ALL {
        let (row, whole) = row(framework)?;
        table.push_str(&row);
        complete &= whole;
    }
    println!("\n{table}");
    if !complete {
        return Err(LOST.into());
    }
    let page = std::fs::read_to_string(PAGE)?;
    let begin = page.find(BEGIN).ok_or("docs/stacks.md has no place for the table")? + BEGIN.len();
    let end = begin + page[begin..].find(END).ok_or("docs/stacks.md does not say where the table ends")?;
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PAGE, format!("{}{table}{}", &page[..begin], &page[end..]))?;
    } else if certain(&page[begin..end]) != certain(&table) {
        return Err("docs/stacks.md has another table: run this with UPDATE=1 if that is meant".into());
    }
    Ok(())
}

const LOST: &str = "a client of a hooked server lost its response";

/// A table without what depends on chance: the cells of bare servers.
fn certain(table: &str) -> Vec<&str> {
    let is_bare = |column| [3, 5].contains(&column);
    let cells = table.lines().flat_map(|row| row.split('|').enumerate());
    cells.filter(|(column, _)| !is_bare(*column)).map(|(_, cell)| cell).collect()
}

/// The row of a framework, and whether its hooked servers lost nothing.
fn row(framework: &Framework) -> Result<(String, bool), Box<dyn Error>> {
    let Framework { name, hook, .. } = framework;
    let file = name.replace('-', "_");
    let link = format!("[{name} {}](../tests/frameworks/src/servers/{file}.rs)", version(name)?);
    let mut row = format!("| {link} | {hook} |");
    let directory = tempfile::tempdir()?;
    let mut complete = true;
    for tls in [None, Some(directory.path())] {
        for hooked in [false, true] {
            let is_possible =
                if hooked { framework.hooked.is_some() } else { tls.is_none() || framework.has_tls };
            if !is_possible {
                row.push_str(" – |");
                continue;
            }
            let whole = tried(framework.name, hooked, tls)?;
            complete &= !hooked || whole == TRIES;
            write!(row, " {whole} of {TRIES} |")?;
        }
    }
    writeln!(row, " {} |", framework.uncovered)?;
    Ok((row, complete))
}

/// How many clients got the whole response.
fn tried(name: &str, hooked: bool, directory: Option<&Path>) -> Result<usize, Box<dyn Error>> {
    let tls =
        directory.map(Certificate::make).transpose()?.map(|certificate| certificate.client()).transpose()?;
    let server = Server::start(name, hooked, directory)?;
    let upload = || client::upload(server.address, tls.as_ref()).map_err(|error| error.to_string());
    let results: Vec<_> = thread::scope(|scope| {
        let clients = || (0..TRIES / AT_ONCE).map(|_| upload()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(clients)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let whole = results.iter().filter(|result| result.is_ok()).count();
    let loss = results.iter().find_map(|result| result.as_ref().err());
    eprintln!(
        "{name}, {}, {}: {whole} of {TRIES}{}",
        if directory.is_some() { "TLS" } else { "plain" },
        if hooked { "hooked" } else { "bare" },
        loss.map(|loss| format!("; the first loss: {loss}")).unwrap_or_default(),
    );
    Ok(whole)
}

/// The version that Cargo.lock has.
fn version(name: &str) -> Result<&'static str, Box<dyn Error>> {
    let lock = include_str!("../Cargo.lock");
    let after = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).ok_or("not in Cargo.lock")?.1;
    Ok(after.split('"').next().expect("it is quoted"))
}
