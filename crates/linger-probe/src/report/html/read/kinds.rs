//! Shows the kinds of ends: the bar of their shares, and the choice of one, by which the page is filtered.
//!
//! The choice is a group of radio buttons. CSS hides what does not belong to the chosen kind, so the page
//! needs no script. A browser that does not know `:has` shows everything.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use crate::quantity::grouped;
use crate::read::Kind;
use crate::read::model::KindCount;
use crate::report::reading::percent;

/// The colour and the texture of a kind: no two kinds have the same of both. What ends alike has the same
/// colour. The style sheet has them by these names.
pub(super) fn look(kind: Kind) -> &'static str {
    match kind {
        Kind::Normal => "green plain",
        Kind::HalfClosed => "blue plain",
        Kind::ServerResetWhileReceiving => "red plain",
        Kind::ServerReset => "red stripes",
        Kind::ClientResetWhileReceiving => "purple plain",
        Kind::ClientReset => "purple stripes",
        Kind::Refused => "orange plain",
        Kind::NoAnswer => "orange stripes",
        Kind::Timeout => "orange bands",
        Kind::Icmp => "blue stripes",
        Kind::Middlebox => "black bands",
        Kind::Open => "grey plain",
    }
}

/// A small square in the colour and texture of a kind.
pub(super) fn swatch(kind: Kind) -> Markup {
    html! { span class={ "swatch " (look(kind)) } aria-hidden="true" {} }
}

/// A share as a percentage, whose spaces do not break lines.
pub(super) fn share(share: f64) -> String {
    percent(share).replace(' ', "\u{a0}")
}

/// The bar of all kinds that occur. The same numbers stand below it.
pub(super) fn bar(counts: &[KindCount]) -> Markup {
    let in_words =
        |of: &KindCount| format!("{} {} ({})", grouped(of.connections), of.kind.title(), share(of.share));
    let in_words: Vec<String> = counts.iter().map(in_words).collect();
    html! {
        div.bar.kinds role="img" aria-label=(in_words.join(", ")) {
            @for of in counts {
                span class=(look(of.kind)) data-series=(of.kind.key())
                    style={ "flex-grow:" (of.connections) } {}
            }
        }
    }
}

/// The choice of a kind, with how many connections each has.
pub(super) fn choice(counts: &[KindCount]) -> Markup {
    let all: u64 = counts.iter().map(|count| count.connections).sum();
    html! {
        fieldset.choice {
            legend { "Show" }
            label {
                input type="radio" name="kind" id="only-all" checked;
                span.swatch.all aria-hidden="true" {}
                span.what { "all connections" }
                span.count { (grouped(all)) }
                span.share {}
            }
            @for KindCount { kind, connections, share } in counts.iter().copied() {
                label title=(kind.meaning()) {
                    input type="radio" name="kind" id={ "only-" (kind.key()) };
                    (swatch(kind))
                    span.what { (kind.title()) }
                    span.count { (grouped(connections)) }
                    span.share { (self::share(share)) }
                }
            }
        }
    }
}

/// Says which kind is shown, where something is hidden.
pub(super) fn only(counts: &[KindCount]) -> Markup {
    html! {
        @for KindCount { kind, .. } in counts {
            p.only data-only=(kind.key()) {
                "Only these are shown: " strong { (kind.title()) } ". "
                label for="only-all" { "Show all" }
            }
        }
    }
}

/// The rules that filter the page by the choice. An element with `data-kinds` is hidden if the chosen kind is
/// not among them, and one with `data-series` is dimmed if it is of another.
pub(super) fn rules(counts: &[KindCount]) -> PreEscaped<String> {
    let mut rules = String::new();
    for KindCount { kind, .. } in counts {
        let key = kind.key();
        let chosen = format!("body:has(#only-{key}:checked)");
        // Writing to a string cannot fail.
        _ = writeln!(rules, "{chosen} [data-kinds]:not([data-kinds~=\"{key}\"]) {{ display: none; }}");
        _ = writeln!(rules, "{chosen} [data-series]:not([data-series=\"{key}\"]) {{ opacity: 0.15; }}");
        _ = writeln!(rules, "{chosen} [data-only=\"{key}\"] {{ display: block; }}");
    }
    PreEscaped(rules)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_looks_different() {
        let looks: BTreeSet<&str> = Kind::ALL.into_iter().map(look).collect();
        assert_eq!(looks.len(), Kind::ALL.len());
        let style = include_str!("../read.css");
        for class in looks.into_iter().flat_map(str::split_whitespace) {
            assert!(style.contains(&format!(".{class} ")), "the style sheet has no {class}");
        }
    }
}
