//! The guides in tower-linger's documentation: each page is shown, compiled and linked, and the pages for
//! looking up are complete.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tower_linger::{ClosePolicy, CloseReport, Limits, Outcome};

use crate::{files, read, repository};

fn sources() -> PathBuf {
    repository().join("crates/tower-linger/src")
}

fn page(name: &str) -> String {
    read(&sources().join("guide").join(name).with_extension("md"))
}

/// tower-linger shows the pages, tower-linger-examples compiles them, and the index leads to them.
#[test]
fn every_page_of_the_guide_is_shown_compiled_and_linked() {
    let pages: BTreeSet<String> = files(&sources().join("guide"), "md")
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert!(pages.len() > 10, "{pages:?}");
    let (shown, compiled) =
        (read(&sources().join("guide.rs")), read(&repository().join("examples/src/guide.rs")));
    let of_list = compiled.split("pages! {").nth(1).expect("a list").trim_end().trim_end_matches('}');
    let compiled: BTreeSet<String> = of_list.split_whitespace().map(str::to_owned).collect();
    assert_eq!(pages, compiled, "examples/src/guide.rs");
    for page in pages {
        let module = format!("doc = include_str!(\"guide/{page}.md\"))]\npub mod {page} {{}}");
        assert!(shown.contains(&module), "guide.rs does not show {page}");
        assert!(shown.contains(&format!("[`{page}`]")), "the index in guide.rs does not lead to {page}");
    }
}

/// These pages show parts of code that is compiled elsewhere: by `make external`, and as an example.
#[test]
fn what_pages_show_from_elsewhere_is_compiled_there() {
    for (page_name, folder, least) in
        [("own_transport", "tests/external/src", 4), ("tls_libraries", "examples/servers", 2)]
    {
        let sources = files(&repository().join(folder), "rs");
        let sources: String = sources.iter().map(|path| read(path)).collect();
        let page = page(page_name);
        let blocks: Vec<&str> =
            page.split("```rust,ignore\n").skip(1).filter_map(|it| it.split("```").next()).collect();
        assert!(blocks.len() >= least, "only {} blocks were found", blocks.len());
        for block in blocks {
            assert!(sources.contains(block), "{folder} does not have this:\n{block}");
        }
    }
}

#[test]
fn every_outcome_has_its_row_with_its_letter() {
    let page = page("outcomes");
    for outcome in Outcome::ALL {
        let line = CloseReport::without_close(*outcome).line().to_string();
        let row = format!("\n| `{outcome}` | `{}` | ", line.chars().next().expect("a letter"));
        assert!(page.contains(&row), "outcomes.md has no row {row:?}");
    }
    let rows = page.lines().filter(|line| line.split(" | ").count() == 5 && line.starts_with("| `")).count();
    assert_eq!(rows, Outcome::ALL.len(), "outcomes.md has a row too many");
}

/// A setting is a public function that returns its type again. Each type has a section in the page.
#[test]
fn every_setting_has_its_row() {
    let proto = repository().join("crates/linger-proto/src/policy/builder.rs");
    let types = [
        ("ClosePolicy", proto, "impl ClosePolicyBuilder {"),
        ("Limits", sources().join("server/limits.rs"), "impl LimitsBuilder {"),
        ("Shutdown", sources().join("tracker/shutdown.rs"), "impl Shutdown {"),
        ("Tracker", sources().join("tracker/tracker.rs"), "impl Tracker {"),
        ("LingerLayer", sources().join("layer.rs"), "impl LingerLayer {"),
        ("TlsAcceptLayer", sources().join("tls/layer.rs"), "impl<A, C> TlsAcceptLayer<A, C> {"),
        ("Serve", sources().join("server/serve.rs"), "impl<L, S> Serve<L, S> {"),
    ];
    let page = page("settings");
    for (name, file, block) in types {
        let settings = settings(&read(&file), block);
        let heading = format!("\n## `{name}`");
        let section = page.split(&heading).nth(1).unwrap_or_else(|| panic!("no section for {name}"));
        let rows = section.split("\n## ").next().unwrap_or_default().lines();
        let rows: BTreeSet<_> = rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
        let rows = rows.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        assert!(settings.len() > 1, "{name}: {settings:?}");
        assert_eq!(rows, settings, "settings.md, section {name}");
    }
}

/// The public functions of this block that return the type, or a `Result` of it, or a layer with a
/// classifier.
fn settings(source: &str, block: &str) -> BTreeSet<String> {
    let from = source.find(block).unwrap_or_else(|| panic!("no {block:?}"));
    let block = source[from..].split("\n}\n").next().unwrap_or_default();
    let functions = block.split("\n    pub ").skip(1).filter_map(|function| {
        let signature = function.split(" {\n").next()?;
        let name = signature.split("fn ").nth(1)?.split(['(', '<']).next()?;
        let returned = signature.rsplit("-> ").next()?;
        let is_setting = ["Self", "io::Result<Self>", "Result<Self, ConfigError>", "ClassifyLayer<C>"];
        is_setting.contains(&returned).then(|| name.to_owned())
    });
    functions.collect()
}

/// Where the pages give a default in their text, it is the default.
#[test]
fn the_numbers_in_the_pages_are_the_defaults() {
    let (policy, limits) = (ClosePolicy::default(), Limits::default());
    let (total, silence) = (policy.drain_limit().as_secs(), policy.drain_idle_timeout().as_secs());
    let idle = limits.idle_timeout().as_secs();
    for (name, text) in [
        ("failure", format!("`drain_limit` ({total} s)")),
        ("failure", format!("`drain_idle_timeout` ({silence} s)")),
        ("defaults", format!("`drain_idle_timeout` ({silence} s)")),
        ("faq", format!("{silence} s of\nsilence, {total} s in all")),
        ("idle_timeouts", format!("is {idle} s, which is right")),
        ("rolling_restarts", format!("#defaults), {total} s by\n  default")),
    ] {
        assert!(page(name).contains(&text), "{name}.md does not say {text:?}");
    }
}
