//! What the trace lacks, and how to read the page.

use maud::{Markup, html};

use super::super::ladder;
use super::kinds::swatch;
use super::severity;
use crate::quantity::{counted, grouped, size};
use crate::read::model::{Reading, Source};
use crate::read::{Kind, Severity};
use crate::report::words;

/// What was read, what of it was not, and what is not known because of it.
pub(super) fn section(reading: &Reading) -> Markup {
    html! {
        section aria-labelledby="lacks" {
            h2 #lacks { "What was read, and what it lacks" }
            div.scroll role="region" tabindex="0" aria-label="What was read" { (sources(&reading.sources)) }
            @for source in &reading.sources {
                @if let Some(trouble) = &source.trouble {
                    p { strong { (name(source)) } ": " (trouble) "." }
                }
                @if source.dropped > 0 {
                    p {
                        strong { (name(source)) } ": the capture dropped "
                        (counted(source.dropped, "packet", "packets"))
                        ". What was in them is not known, and a connection may lack its end because of it."
                    }
                }
            }
            @if !reading.filters.is_empty() {
                p { "Only connections count that fit " code { (reading.filters.join(", ")) } "." }
            }
            @if reading.doubts.is_empty() {
                p { "Nothing is missing in the connections that were read." }
            } @else {
                ul.doubts {
                    @for doubt in &reading.doubts {
                        li {
                            strong { (counted(doubt.connections, "connection", "connections")) } ": "
                            (doubt.meaning)
                        }
                    }
                }
            }
        }
    }
}

fn sources(sources: &[Source]) -> Markup {
    let numbers = ["Size", "TCP, ICMP", "Others", "Fragments", "Damaged", "Unknown link type", "Dropped"];
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "File or interface" }
                    @for title in numbers { th.number scope="col" { (title) } }
                }
            }
            tbody {
                @for source in sources {
                    tr {
                        th scope="row" { (name(source)) }
                        td.number { (size(source.bytes)) }
                        @for count in counts(source) { td.number { (grouped(count)) } }
                    }
                }
            }
        }
    }
}

fn counts(source: &Source) -> [u64; 6] {
    let Source { packets, others, fragments, damaged, unknown, dropped, .. } = *source;
    [packets, others, fragments, damaged, unknown, dropped]
}

/// The name of what was read.
pub(super) fn name(source: &Source) -> &str {
    if source.name == "-" { "standard input" } else { &source.name }
}

/// How to read the page.
pub(super) fn reading(kinds: &[Kind]) -> Markup {
    html! {
        section aria-labelledby="reading" {
            h2 #reading { "How to read this page" }
            dl.legend {
                @for kind in kinds {
                    dt { (swatch(*kind)) " " (kind.short()) }
                    dd { (kind.meaning()) }
                }
                @for of in Severity::ALL { dt { (severity::tag(of)) } dd { (severity::meaning(of)) } }
            }
            p {
                "All of this is from the packets at the place of the capture. What a packet did elsewhere, \
                 whether an application read what its host acknowledged, and who really sent a reset are not in \
                 them. What was unread is an estimate from the windows."
            }
            p {
                "In a ladder, time runs downwards since the connection's first packet. A wait of more than "
                (words::milliseconds(ladder::LONG)) " is cut short, with a break in both lines. A cross is a \
                 reset (RST). A dashed line in the colour of data is something that was sent before, or a \
                 probe; a dotted one is data that was not captured. An ICMP error comes from a circle between \
                 the two."
            }
        }
    }
}
