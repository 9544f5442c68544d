//! The report as JSON: the model as it is.

use crate::model::Report;
use crate::shown::escaped_json;

pub(super) fn render(report: &Report) -> String {
    // The model has no map, and no number that is not finite: nothing in it can be refused.
    let mut json = serde_json::to_string_pretty(report).expect("the model is all plain values");
    json.push('\n');
    escaped_json(&json)
}
