//! Shows which failures count, and what has changed since an earlier run.

use maud::{Markup, html};

use crate::model::gate::{Gate, Place};
use crate::report::words;

/// The section, which is empty without an earlier run.
pub(super) fn section(gate: &Gate) -> Markup {
    let Some(comparison) = &gate.baseline else { return html! {} };
    html! {
        section aria-labelledby="baseline" {
            h2 #baseline { "Compared with " (comparison.file) }
            p { "A failure counts if it is new, and this or worse: " (words::severity(gate.fail_on)) "." }
            ul {
                (places("New failures", &comparison.new))
                (places("Known failures", &comparison.known))
                (places("Healed", &comparison.healed))
            }
        }
    }
}

fn places(what: &str, places: &[Place]) -> Markup {
    html! {
        li {
            strong { (what) } ": "
            @if places.is_empty() { "none" }
            @for (index, place) in places.iter().enumerate() {
                @if index > 0 { ", " }
                (place.target) " " code { (place.scenario) }
            }
        }
    }
}
