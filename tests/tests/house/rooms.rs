//! The rooms of tower-linger stand in the order in which a connection passes them, and nothing imports from a
//! room before its own.
//!
//! A module is a file. An arrow goes from a file to each file whose items it names by a path: in a `use`, or
//! anywhere else but in comments and documentation. A path to a re-export leads to the file that re-exports;
//! so the root of the crate, which re-exports the public items, is before all rooms. Inline modules, unit
//! tests too, are part of their file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::{files, read, repository};

/// The first module of each path in the crate, room by room. A connection is wrapped, served, closed and
/// counted; a transport, the clock and the locks serve all of that. The guide is only documentation, and
/// `interleavings` has tests of everything.
const ROOMS: [&[&str]; 8] = [
    &["guide", "interleavings"],
    &["server"],
    &["layer", "service", "adapter", "tls"],
    &["http"],
    &["serve"],
    &["close"],
    &["tracker"],
    &["transport", "clock", "classify", "metrics", "sync"],
];

/// The segments of a path in the crate. The root has none.
type ModulePath = Vec<String>;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: ModulePath,
    to: ModulePath,
    /// What is named there.
    item: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &ModulePath| if path.is_empty() { "the root".to_owned() } else { path.join("::") };
        write!(f, "{} -> {}: {}", name(&self.from), name(&self.to), self.item)
    }
}

#[test]
fn every_module_stands_in_a_room() {
    let mut modules = House::read().modules;
    modules.retain(|path, _| !path.is_empty() && room(path).is_none());
    assert!(modules.is_empty(), "give these a room in `ROOMS`: {:?}", modules.keys());
}

#[test]
fn no_module_imports_from_a_room_before_its_own() {
    let arrows = House::read().arrows();
    assert!(arrows.len() > 50, "only {} arrows were found", arrows.len());
    let back: Vec<_> = arrows.iter().filter(|arrow| room(&arrow.to) < room(&arrow.from)).collect();
    assert!(back.is_empty(), "imports that run back to an earlier room ({}):\n{}", back.len(), list(&back));
}

#[test]
fn the_modules_of_a_room_form_no_circle() {
    let arrows = House::read().arrows();
    let inside: Vec<_> = arrows.iter().filter(|arrow| room(&arrow.to) == room(&arrow.from)).collect();
    let circle: Vec<_> = inside.iter().copied().filter(|arrow| reaches(&inside, arrow)).collect();
    assert!(circle.is_empty(), "imports that are part of a circle ({}):\n{}", circle.len(), list(&circle));
}

fn room(path: &ModulePath) -> Option<usize> {
    ROOMS.iter().position(|room| path.first().is_some_and(|first| room.contains(&first.as_str())))
}

/// Whether one comes back from where the arrow leads to where it begins.
fn reaches(arrows: &[&Arrow], arrow: &Arrow) -> bool {
    let mut reached = BTreeSet::from([&arrow.to]);
    loop {
        let before = reached.len();
        let next = arrows.iter().filter(|next| reached.contains(&next.from)).map(|next| &next.to);
        reached.extend(next.collect::<Vec<_>>());
        if reached.len() == before {
            return reached.contains(&arrow.from);
        }
    }
}

fn list(arrows: &[&Arrow]) -> String {
    arrows.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The crate: the tokens of each file, by the path of its module.
struct House {
    modules: BTreeMap<ModulePath, TokenStream>,
}

impl House {
    fn read() -> Self {
        let sources = repository().join("crates/tower-linger/src");
        let path = |file: &Path| -> ModulePath {
            let path = file.strip_prefix(&sources).expect("it is below").with_extension("");
            let segments = path.iter().map(|segment| segment.to_string_lossy().into_owned());
            segments.filter(|segment| segment != "lib").collect()
        };
        let tokens = |file| read(file).parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self { modules: files(&sources, "rs").iter().map(|file| (path(file), tokens(file))).collect() }
    }

    fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        // The root only re-exports.
        for (from, tokens) in self.modules.iter().filter(|(from, _)| !from.is_empty()) {
            let mut paths = Vec::new();
            self.scan(tokens.clone(), from, &mut paths);
            for path in paths {
                let file = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]));
                let (to, item) = path.split_at(file.unwrap_or(0));
                if to != from {
                    arrows.insert(Arrow { from: from.clone(), to: to.to_vec(), item: item.join("::") });
                }
            }
        }
        arrows
    }

    /// Finds the paths that lead into the crate, from its root.
    fn scan(&self, tokens: TokenStream, module: &ModulePath, found: &mut Vec<ModulePath>) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let is_continued = at > 1 && is_separator(&tokens, at - 2);
            let has_more = is_separator(&tokens, at + 1);
            let is_imported = at > 0 && word(&tokens, at - 1).is_some_and(|word| word == "use");
            if let (Some("mod"), Some(name), Some(TokenTree::Group(body))) =
                (word(&tokens, at).as_deref(), word(&tokens, at + 1), tokens.get(at + 2))
            {
                self.scan(body.stream(), &joined(module, &name), found);
                at += 3;
                continue;
            }
            // One word alone is a path in `use child as name`, and none in `pub(super)` and `self.field`.
            let start = word(&tokens, at).filter(|_| !is_continued && (has_more || is_imported));
            if let Some(start) = start.and_then(|start| self.start(&start, module)) {
                at = follow(&tokens, at + 1, start, found);
                continue;
            }
            if let TokenTree::Group(group) = &tokens[at] {
                self.scan(group.stream(), module, found);
            }
            at += 1;
        }
    }

    /// Where a path that begins with this word leads, if that is inside the crate.
    fn start(&self, word: &str, module: &ModulePath) -> Option<ModulePath> {
        match word {
            "crate" => Some(Vec::new()),
            "self" => Some(module.clone()),
            "super" => Some(module[..module.len() - 1].to_vec()),
            child => Some(joined(module, child)).filter(|child| self.modules.contains_key(child)),
        }
    }
}

/// Adds a path, or all paths of the tree of a `use`. `at` is behind the last word of what is known of it.
/// Returns where it ends.
fn follow(tokens: &[TokenTree], mut at: usize, mut path: ModulePath, found: &mut Vec<ModulePath>) -> usize {
    while is_separator(tokens, at) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(word)) if word == "super" => drop(path.pop()),
            Some(TokenTree::Ident(word)) => path.push(word.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let group: Vec<_> = group.stream().into_iter().collect();
                for branch in
                    group.split(|token| matches!(token, TokenTree::Punct(it) if it.as_char() == ','))
                {
                    match word(branch, 0).as_deref() {
                        Some(word) if word != "self" => drop(follow(branch, 1, joined(&path, word), found)),
                        // `self` and `*` are about the module itself.
                        _ => found.push(path.clone()),
                    }
                }
                return at + 3;
            }
            // `*`, or the types of a generic item.
            _ => break,
        }
        at += 3;
    }
    found.push(path);
    at
}

fn joined(path: &[String], word: &str) -> ModulePath {
    path.iter().cloned().chain([word.to_owned()]).collect()
}

fn word(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at) {
        Some(TokenTree::Ident(word)) => Some(word.to_string()),
        _ => None,
    }
}

/// Whether `::` stands there.
fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon =
        |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(it)) if it.as_char() == ':');
    is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))
}
