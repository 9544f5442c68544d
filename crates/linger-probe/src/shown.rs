//! Makes text from servers and users safe to print.
//!
//! A terminal executes control characters, and in a browser bidirectional overrides reorder the surrounding
//! text. A server must not be able to do either.

use std::fmt::Write as _;

/// Escapes hidden characters as `\u{1b}`, and cuts a text longer than [`MOST`] characters, which then ends in
/// `…`. Doing it twice changes nothing.
///
/// # Example
/// ```
/// use linger_probe::shown::shown;
///
/// assert_eq!(shown("/a\u{1b}[31m"), r"/a\u{1b}[31m");
/// assert!(shown(&"a".repeat(1000)).len() < 1000);
/// ```
#[must_use]
pub fn shown(text: &str) -> String {
    let (mut shown, mut length) = (String::new(), 0);
    for c in text.chars() {
        let before = shown.len();
        push(&mut shown, c);
        // Escapes are ASCII, so bytes are characters.
        length += if is_hidden(c) { shown.len() - before } else { 1 };
        if length > MOST {
            shown.truncate(before);
            shown.push('…');
            break;
        }
    }
    shown
}

/// Escapes hidden characters as `\u{1b}`, without a limit on length.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut escaped, c));
    escaped
}

/// The same for several lines: keeps the line ends.
#[must_use]
pub fn escaped_lines(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' { escaped.push(c) } else { push(&mut escaped, c) }
    }
    escaped
}

/// The same for JSON, by JSON's own escapes, so that a parser reads the original characters. In JSON, hidden
/// characters occur only in strings.
#[must_use]
pub fn escaped_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_hidden(c) {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

fn push(text: &mut String, c: char) {
    if is_hidden(c) {
        text.extend(c.escape_unicode());
    } else {
        text.push(c);
    }
}

/// Whether a character is invisible or changes how others look: controls (C0, DEL, C1), and Unicode
/// characters that reorder, join, split or hide text.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Zero-width characters and direction marks.
            | '\u{200b}'..='\u{200f}'
            // Line and paragraph separators, bidirectional embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Joiners, invisible operators, bidirectional isolates.
            | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The most characters that [`shown`] keeps, not counting the `…`.
pub const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: [char; 26] = [
        '\0',
        '\u{7}',
        '\t',
        '\n',
        '\r',
        '\u{1b}',
        '\u{7f}',
        '\u{80}',
        '\u{9b}',
        '\u{9f}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{e0001}',
        '\u{e007f}',
    ];

    #[test]
    fn hidden_characters_are_escaped() {
        for c in HIDDEN {
            let text = format!("a{c}b");
            let expected = format!("a\\u{{{:x}}}b", u32::from(c));
            assert_eq!((shown(&text), escaped(&text)), (expected.clone(), expected));
        }
        for text in ["", "plain", "Grüße, 日本語, עברית, 👍", "<b>&amp;</b> \\ \" '"] {
            assert_eq!((shown(text), escaped(text)), (text.to_owned(), text.to_owned()));
        }
    }

    #[test]
    fn a_long_text_is_cut_once() {
        let exact = "é".repeat(MOST);
        assert_eq!(shown(&exact), exact);
        assert_eq!(shown(&format!("{exact}é")), format!("{exact}…"));
        for long in ["é".repeat(MOST + 1), "\u{1b}".repeat(MOST), "a\u{202e}".repeat(MOST)] {
            let once = shown(&long);
            assert!(once.chars().count() <= MOST + 1 && once.ends_with('…'), "{once}");
            assert_eq!(shown(&once), once);
        }
    }

    #[test]
    fn lines_keep_their_ends_and_json_its_meaning() {
        assert_eq!(escaped_lines("a\u{1b}\nb\r\n"), "a\\u{1b}\nb\\u{d}\n");
        for c in HIDDEN {
            let json = serde_json::to_string_pretty(&[c]).expect("a character");
            let escaped = escaped_json(&json);
            assert!(escaped.chars().all(|c| c == '\n' || !is_hidden(c)), "{escaped}");
            assert_eq!(serde_json::from_str::<[char; 1]>(&escaped).expect("it is still JSON"), [c]);
        }
    }
}
