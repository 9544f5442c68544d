//! Shows what each kind of client lost in a restart.

use maud::{Markup, html};

use crate::model::restart::RestartReport;
use crate::report::restart;

pub(super) fn section(restarts: &[RestartReport]) -> Markup {
    html! {
        @for (index, report) in restarts.iter().enumerate() {
            @let id = format!("restart-{}", index + 1);
            section aria-labelledby=(id) {
                h2 id=(id) { "What a restart of " (report.name) " costs" }
                p.under { span.url { (report.url) } " · " (report.ended_by) }
                table {
                    @let titles = ["Clients", "", "What became of them"];
                    thead {
                        tr { @for title in titles { th scope="col" { (title) } } }
                    }
                    tbody {
                        @for kind in &report.kinds {
                            tr {
                                th scope="row" { (restart::name(kind.kind)) }
                                td { (restart::verdict(kind)) }
                                td { (restart::sentence(kind)) }
                            }
                        }
                    }
                }
                p { (restart::aftermath(report)) "." }
            }
        }
    }
}
