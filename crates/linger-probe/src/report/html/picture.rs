//! A ladder as a picture of its own, which a README or an issue can show.

use maud::{Markup, PreEscaped, html};

use super::{DRAWING, ladder, px};
use crate::model::{Row, TargetReport};
use crate::shown::escaped_lines;

/// The space on each side.
const MARGIN: f64 = 16.0;
/// Where the first line stands, and the distance of the next.
const FIRST: f64 = 26.0;
const LINE: f64 = 17.0;
/// How many characters of the text fit on a line.
const CHARACTERS: usize = 54;

/// The picture stands on a ground of its own, because a page that shows it may be dark where the reader's
/// system is light.
const STYLE: &str = "
svg { font-family: system-ui, -apple-system, \"Segoe UI\", Roboto, \"Helvetica Neue\", Arial, sans-serif; }
svg .ground { fill: var(--sheet); stroke: var(--line); }
svg .name { font-size: 15px; font-weight: 700; }
svg .under { fill: var(--soft); }
svg .saw { font-weight: 600; }
svg .saw.pass { fill: var(--pass); }
svg .saw.fail { fill: var(--fail); }
";

/// The ladder of a row as an SVG document: the server's name, the row's title, who sent what when, and what
/// the client saw. `None` if the row has no ladder.
#[must_use]
pub fn picture(target: &TargetReport, row: &Row) -> Option<String> {
    // The ladder is that of the first failed try, or else of the first.
    let attempt = row.attempts.iter().find(|attempt| !attempt.passed).or(row.attempts.first());
    let attempt = attempt.filter(|_| !row.ladder.is_empty())?;
    let (title, saw) = (wrapped(row.title), wrapped(&format!("The client saw: {}", attempt.saw)));
    let source = ladder::Source::Probe(target.ladders);
    let drawing = ladder::drawing(&row.ladder, source);
    let top = FIRST + height_of(&title) + 14.0;
    let saw_top = top + drawing.height + 14.0;
    let last = saw_top + height_of(&saw) - 2.0;
    let height = last + 12.0;
    let verdict = if attempt.passed { "pass" } else { "fail" };
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (ladder::WIDTH) " " (px(height)) }
            width=(ladder::WIDTH) height=(px(height)) role="img" aria-labelledby="title text" {
            title #title { (target.name) ": " (row.title) }
            desc #text { (ladder::in_words(&row.ladder, source)) }
            style { (PreEscaped(DRAWING)) (PreEscaped(STYLE)) }
            rect.ground x="0.5" y="0.5" width=(ladder::WIDTH - 1.0) height=(px(height - 1.0)) rx="8" {}
            text.name x=(MARGIN) y=(FIRST) { (target.name) }
            (lines("under", &title, FIRST + LINE))
            g transform={ "translate(0 " (px(top)) ")" } { (drawing.lines) }
            (lines(&format!("saw {verdict}"), &saw, saw_top))
            text.under.time x=(MARGIN) y=(px(last)) {
                (ladder::seen_by(source))
            }
        }
    };
    Some(escaped_lines(&svg.into_string()))
}

fn height_of(lines: &[String]) -> f64 {
    lines.iter().map(|_| LINE).sum()
}

fn lines(class: &str, lines: &[String], y: f64) -> Markup {
    html! {
        @for (line, index) in lines.iter().zip(0_u8..) {
            text class=(class) x=(MARGIN) y=(px(y + LINE * f64::from(index))) { (line) }
        }
    }
}

/// The text in lines of at most [`CHARACTERS`], as far as its words allow.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= CHARACTERS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
