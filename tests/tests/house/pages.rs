//! What the pages in docs/ name exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::{files, read, repository};

/// Names in docs/*.md and in the guide that are of other crates, or of other languages.
const FOREIGN: &[&str] = &[
    "Agent",
    "Alive",
    "AsFd",
    "AsSocket",
    "AsyncRead",
    "AsyncWrite",
    "BrokenPipeError",
    "BufWriter",
    "Builder",
    "ClientHello",
    "ConnectInfo",
    "Connected",
    "Connection",
    "DefaultBodyLimit",
    "Framed",
    "GenerateConsoleCtrlEvent",
    "GracefulShutdown",
    "HttpServer",
    "HttpURLConnection",
    "IdleConnTimeout",
    "IoStream",
    "Keep",
    "LimitNOFILE",
    "ListenerExt",
    "Ok",
    "OpenSSLAcceptor",
    "OriginKeepaliveTimeout",
    "RemoteDisconnected",
    "RequestBodyTimeoutLayer",
    "ServerApp",
    "SinkExt",
    "SocketAddr",
    "Some",
    "SslAcceptor",
    "SslStream",
    "TcpStream",
    "TcpTimedWaitDelay",
    "TimeoutLayer",
    "TimeoutStopSec",
    "Tiny",
    "TlsAcceptor",
    "TlsStream",
    "Upgraded",
    "WSAIoctl",
    "WSARecv",
];

/// docs/wire.md has a table of the conformance items, SECURITY.md one for each thing that a peer can take. One
/// column names files, another one tests in them, each in code font; a name that ends in `…` stands for all tests
/// that begin so. The first column says what the row is about.
#[test]
fn every_test_that_the_tables_of_claims_name_exists() {
    for (page, least) in [("docs/wire.md", 50), ("SECURITY.md", 40)] {
        let text = read(&repository().join(page));
        let (mut wrong, mut tests) = (Vec::new(), 0);
        for table in tables(&text) {
            let column = |name| table[0].iter().position(|cell| *cell == name);
            let (Some(files), Some(named)) = (column("file"), column("test")) else { continue };
            // The row after the header is its rule.
            for row in &table[2..] {
                tests += check_row(row[0], row[files], row[named], &mut wrong);
            }
        }
        assert!(tests > least, "{page}: only {tests} names were found");
        assert!(wrong.is_empty(), "{page} is wrong:\n{}", wrong.join("\n"));
    }
}

/// The tables of a page, each a list of rows, and each row a list of cells.
fn tables(page: &str) -> Vec<Vec<Vec<&str>>> {
    let mut found: Vec<Vec<Vec<&str>>> = vec![Vec::new()];
    for line in page.lines() {
        match line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            Some(row) => {
                let row = row.split('|').map(str::trim).collect();
                found.last_mut().expect("there is one").push(row);
            }
            None if found.last().is_some_and(|table| !table.is_empty()) => found.push(Vec::new()),
            None => {}
        }
    }
    found.retain(|table| table.len() > 2);
    found
}

/// Says what is wrong with a row. Returns how many names it has.
fn check_row(item: &str, files: &str, named: &str, wrong: &mut Vec<String>) -> usize {
    // Nothing is claimed.
    if files == "–" && named == "–" {
        return 0;
    }
    let mut sources = BTreeMap::new();
    for file in files.split(',').map(str::trim) {
        let paths = named_files(file);
        if paths.is_empty() {
            wrong.push(format!("{item}: no file `{file}`"));
        }
        sources.insert(file, paths.iter().map(|path| read(path)).collect::<String>());
    }
    let (mut used, mut tests) = (BTreeSet::new(), 0);
    for name in code(named) {
        tests += 1;
        let found: Vec<_> = sources.iter().filter(|(_, source)| has_test(source, name)).collect();
        if found.is_empty() && !repository().join(name).is_file() {
            wrong.push(format!("{item}: no test `{name}` in {files}"));
        }
        used.extend(found.into_iter().map(|(file, _)| *file));
    }
    // Where the row says something in words ("all of them"), that is about the other files.
    let is_words = named.split('`').step_by(2).any(|words| words.contains(char::is_alphabetic));
    if !is_words {
        let unused = sources.keys().filter(|file| !used.contains(*file));
        wrong.extend(unused.map(|file| format!("{item}: none of its tests is in {file}")));
    }
    tests
}

/// The files that a cell of the table means: a file or a directory of tests/tests, of the repository where it
/// begins with `tests/`, or of the crate that stands before it. Footnotes and what is in brackets follow.
fn named_files(cell: &str) -> Vec<PathBuf> {
    let cell = cell.split(" (").next().unwrap_or(cell).trim_end_matches(|it: char| "¹²³⁴".contains(it));
    let path = match cell.split_once(' ') {
        Some((package, file)) => repository().join("crates").join(package).join(file),
        None if cell.starts_with("tests/") => repository().join(cell),
        None => repository().join("tests/tests").join(cell),
    };
    match path {
        path if path.is_dir() => [files(&path, "rs"), files(&path, "py"), files(&path, "sh")].concat(),
        path if path.is_file() => vec![path],
        _ => Vec::new(),
    }
}

/// Whether this file has the test: a function in Rust, anything of that name in a script.
fn has_test(source: &str, name: &str) -> bool {
    match name.strip_suffix('…') {
        Some(beginning) => source.contains(&format!("fn {beginning}")),
        None if source.starts_with("#!") => source.contains(name),
        None => source.contains(&format!("fn {name}(")),
    }
}

/// The parts of a text that are in code font.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// This is a search for declarations in the sources, and knows no scopes: a name in `CamelCase` must be that
/// of a public type or trait. What follows it after `::` must be a function or a variant in a file that
/// declares the type or implements something for it.
#[test]
fn every_item_that_the_pages_name_exists() {
    let packages = ["crates/linger-proto", "crates/tower-linger", "crates/linger-probe", "tests/external"];
    let sources = packages.map(|path| files(&repository().join(path).join("src"), "rs")).concat();
    let sources: Vec<String> = sources.iter().map(|path| read(path)).collect();
    let (mut wrong, mut items) = (Vec::new(), 0);
    let guide = repository().join("crates/tower-linger/src/guide");
    let security = vec![repository().join("SECURITY.md")];
    let pages = [files(&repository().join("docs"), "md"), files(&guide, "md"), security].concat();
    // This page has the settings of other servers; ours are links, which rustdoc checks.
    for page in pages.into_iter().filter(|page| !page.ends_with("coming_from.md")) {
        let text = read(&page);
        // Blocks of code are for the compiler to check, or for nobody.
        let prose: String = text.split("```").step_by(2).collect();
        for (name, member) in code(&prose).flat_map(items_in) {
            if FOREIGN.contains(&name) {
                continue;
            }
            items += 1;
            let declared = sources.iter().any(|source| declares(source, name));
            let of_type = || sources.iter().filter(|source| is_about(source, name));
            if !declared {
                wrong.push(format!("{}: `{name}` is not declared; is it foreign?", page.display()));
            } else if member.is_some_and(|member| !of_type().any(|source| has_member(source, member))) {
                wrong.push(format!("{}: `{name}` has no `{}`", page.display(), member.unwrap_or_default()));
            }
        }
    }
    assert!(items > 20, "only {items} names were found");
    assert!(wrong.is_empty(), "the pages name what does not exist:\n{}", wrong.join("\n"));
}

/// The types that a piece of code names, each with what follows it after `::`.
fn items_in(code: &str) -> Vec<(&str, Option<&str>)> {
    // A header field, as in `Connection: close`.
    if code.contains(": ") {
        return Vec::new();
    }
    let paths = code.split(|it: char| !(it.is_alphanumeric() || it == '_' || it == ':'));
    let types = paths.filter_map(|path| {
        let mut segments = path.split("::").skip_while(|segment| !is_camel_case(segment));
        Some((segments.next()?, segments.next()))
    });
    types.collect()
}

fn is_camel_case(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase) && !name.contains('_')
}

fn declares(source: &str, name: &str) -> bool {
    ["struct", "enum", "trait", "type"].iter().any(|kind| has_word(source, &format!("pub {kind} {name}")))
}

fn is_about(source: &str, name: &str) -> bool {
    declares(source, name)
        || source.lines().any(|line| line.trim_start().starts_with("impl") && has_word(line, name))
}

fn has_member(source: &str, name: &str) -> bool {
    has_word(source, &format!("fn {name}"))
        || source.lines().any(|line| {
            line.starts_with("    ")
                && has_word(line.trim_start(), name)
                && line.trim_start().starts_with(name)
        })
}

/// Whether this stands there and does not go on.
fn has_word(text: &str, word: &str) -> bool {
    let goes_on = |after: &str| after.starts_with(|it: char| it.is_alphanumeric() || it == '_');
    text.match_indices(word).any(|(at, _)| !goes_on(&text[at + word.len()..]))
}

/// ARCHITECTURE.md leads its reader to files, and to functions in them. A name in brackets, in code font, is
/// a function of the file that was named before it.
#[test]
fn every_file_and_function_that_the_architecture_names_exists() {
    let page = read(&repository().join("ARCHITECTURE.md"));
    let crates = repository().join("crates");
    let sources =
        [files(&crates, "rs"), files(&crates, "json"), files(&repository().join("tests"), "py")].concat();
    let (mut wrong, mut named, mut file, mut in_brackets) = (Vec::new(), 0, None, false);
    for (index, part) in page.split('`').enumerate() {
        let is_code = index % 2 == 1;
        if !is_code {
            in_brackets = part
                .rfind('[')
                .map_or(in_brackets && !part.contains(']'), |open| !part[open..].contains(']'));
        } else if part.contains('.') && !part.contains(' ') {
            named += 1;
            file = sources.iter().find(|path| path.ends_with(part));
            if file.is_none() && !repository().join(part).exists() {
                wrong.push(format!("no file `{part}`"));
            }
        } else if let (true, Some(path)) = (in_brackets, file) {
            named += 1;
            let function = part.rsplit("::").next().unwrap_or(part);
            if !has_word(&read(path), &format!("fn {function}")) {
                wrong.push(format!("{} has no `{part}`", path.display()));
            }
        }
    }
    assert!(named > 60, "only {named} names were found");
    assert!(wrong.is_empty(), "ARCHITECTURE.md names what does not exist:\n{}", wrong.join("\n"));
}
