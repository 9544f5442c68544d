//! Shows severities.

use maud::{Markup, html};

use crate::read::Severity;

/// The severity as a tag.
pub(super) fn tag(severity: Severity) -> Markup {
    let class = if loses(severity) { "tag severity bad" } else { "tag severity" };
    html! { span class=(class) { (severity.name()) } }
}

/// Whether somebody lost something.
pub(super) fn loses(severity: Severity) -> bool {
    match severity {
        Severity::LosesResponses => true,
        Severity::BreaksProtocol | Severity::CanBeHeldOpen | Severity::Harsh | Severity::Harmless => false,
    }
}

/// What a severity means.
pub(super) fn meaning(severity: Severity) -> &'static str {
    match severity {
        Severity::LosesResponses => "A side that does nothing wrong loses a response, or could not get one.",
        Severity::BreaksProtocol => {
            "A side misses a message of the protocol, and cannot tell an end from a cut."
        }
        Severity::CanBeHeldOpen => "A side holds on to the other's socket.",
        Severity::Harsh => "A reset or a delay that took nothing, as far as the trace tells.",
        Severity::Harmless => "Nobody loses anything: it is named because it can be seen.",
    }
}
