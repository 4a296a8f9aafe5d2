//! Cleaning of text from outside: the one policy for terminals, logs, headers, messages and pages.
//!
//! Names and labels of containers, texts of plugins, versions of engines and replies of servers may hold anything. A character
//! that could steer a terminal, end a header, reorder a line or hide within a name becomes U+FFFD, which shows that something
//! was there.

use std::borrow::Cow;

use jiff::Timestamp;

/// Returns one line without control or invisible characters, of at most `max_bytes` bytes.
///
/// Line breaks and tabs become spaces, white space at both ends is removed. A longer line is cut between characters and ends
/// with `…`.
pub fn one_line(text: &str, max_bytes: usize) -> String {
    let text = text.trim();
    let mut line = String::with_capacity(text.len().min(max_bytes));
    for c in visible(text) {
        line.push(match c {
            '\n' | '\r' | '\t' => ' ',
            c => c,
        });
        if line.len() > max_bytes {
            line.truncate(line.floor_char_boundary(max_bytes.saturating_sub('…'.len_utf8())));
            line.push('…');
            break;
        }
    }
    line
}

/// Returns text of several lines without control or invisible characters. `\r\n` and a lone `\r` become `\n`; tabs stay.
pub fn multi_line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = visible(text).peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => clean.push('\n'),
            c => clean.push(c),
        }
    }
    clean
}

/// Returns the longest prefix of at most `max_bytes` bytes that ends between characters.
pub fn prefix(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// Returns a time such as `2026-11-22T12:03:04.123456789Z` without its fraction of a second, and any other text as it is.
pub fn second(text: &str) -> Cow<'_, str> {
    text.parse::<Timestamp>().map_or(Cow::Borrowed(text), |time| Cow::Owned(format!("{time:.0}")))
}

/// Returns a number with its noun: `1 engine`, `2 engines`.
pub fn count(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Returns whether a character must not be shown: it steers a terminal, reorders text or is not seen.
///
/// These are the general category Cc except for line breaks and tabs, the line and paragraph separators, the bidirectional
/// controls, and what Unicode lists as `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt, Unicode 16). Joiners and
/// variation selectors are among them; [`one_line`] and [`multi_line`] keep those where they change what is seen.
pub fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\r' | '\t' => false,
        '\u{2028}' | '\u{2029}' => true,
        // Bidirectional controls: 061C, 200E, 200F, 202A to 202E, 2066 to 2069.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_control(),
    }
}

/// The characters of a text, the hidden ones replaced.
fn visible(text: &str) -> impl Iterator<Item = char> {
    let mut before = '\0';
    text.chars().map(move |c| {
        let shown = if is_hidden(c) && !joins(before, c) { char::REPLACEMENT_CHARACTER } else { c };
        before = c;
        shown
    })
}

/// Returns whether a joiner or variation selector changes how the character before it looks: a letter of a script that joins
/// (Arabic, Syriac, those of India, Mongolian), a symbol or an emoji. After a Latin letter or a digit it only hides.
fn joins(before: char, c: char) -> bool {
    match c {
        // Zero-width non-joiner and joiner (Unicode Standard 23.2).
        '\u{200c}' | '\u{200d}' => {
            let letter = matches!(before, '\u{620}'..='\u{1fff}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
            (letter && !is_hidden(before)) || before == '\u{fe0f}'
        }
        // Text and emoji presentation (Unicode Technical Standard 51).
        '\u{fe0e}' | '\u{fe0f}' => {
            matches!(before, '\u{2100}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{1f000}'..='\u{1faff}')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_no_break_and_no_escape() {
        assert_eq!(one_line(" web\r\nBcc: a@b\x1b[31m\u{202e} ", 900), "web  Bcc: a@b\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(one_line("ääää", 7), "ää…");
        assert_eq!(one_line("ääää", 8), "ääää");
    }

    #[test]
    fn text_keeps_its_lines() {
        assert_eq!(multi_line("a\r\nb\rc\n\td\x07"), "a\nb\nc\n\td\u{fffd}");
    }

    #[test]
    fn two_names_that_differ_look_different() {
        for hidden in [
            '\u{ad}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{2060}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{3164}',
            '\u{e0041}',
            '\u{e01ef}',
            '\u{9b}',
            '\u{7f}',
            '\u{61c}',
            '\u{2028}',
            '\u{2069}',
        ] {
            assert_eq!(one_line(&format!("we{hidden}b"), 100), "we\u{fffd}b", "{hidden:?}");
            assert_eq!(multi_line(&format!("we{hidden}b")), "we\u{fffd}b", "{hidden:?}");
        }
    }

    #[test]
    fn emoji_and_joined_scripts_stay_whole() {
        for text in ["👩‍👩‍👧", "❤️‍🔥", "⚠️", "می‌شود", "क्‍ष", "Größe", "日本語"]
        {
            assert_eq!(one_line(text, 100), text);
        }
    }

    #[test]
    fn a_time_is_shown_to_the_second() {
        assert_eq!(second("2026-11-22T12:03:04.999999999Z"), "2026-11-22T12:03:04Z");
        assert_eq!(second("2026-11-22T12:03:04Z"), "2026-11-22T12:03:04Z");
        assert_eq!(second("web-1.2"), "web-1.2");
    }

    #[test]
    fn a_run_of_joiners_is_seen() {
        assert_eq!(one_line("م\u{200c}\u{200c}\u{200c}", 100), "م\u{200c}\u{fffd}\u{fffd}");
    }
}
