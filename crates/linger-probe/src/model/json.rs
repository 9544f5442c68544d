//! The report as JSON: the model as it is.

use super::Report;
use crate::shown::escaped_json;

impl Report {
    /// The report as one JSON object, with hidden characters escaped. Its last line ends in a newline.
    ///
    /// # Panics
    /// Never: the model has no map and no number that is not finite, so `serde_json` refuses nothing in it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("the model is all plain values");
        json.push('\n');
        escaped_json(&json)
    }
}
