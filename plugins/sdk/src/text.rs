//! Text from outside, made safe to show to people.

use std::borrow::Cow;

/// Returns the text as one line in which every character is seen.
///
/// What could drive a terminal, reorder the line or hide within a name becomes U+FFFD, as in dockbell itself: two names that
/// differ look different. These are control characters (of an escape sequence its first one), marks that change the direction
/// of text, and what Unicode lists as `Default_Ignorable_Code_Point`, such as zero-width spaces and tags. Joiners and variation
/// selectors stay where they change how the character before them looks. A line break or a tab becomes one space.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut before = '\0';
    for char in text.chars() {
        match char {
            '\n' | '\r' | '\t' => {
                if !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            hidden if is_hidden(hidden) && !joins(before, hidden) => clean.push(char::REPLACEMENT_CHARACTER),
            seen => clean.push(seen),
        }
        before = char;
    }
    clean
}

/// At most `limit` characters of the text; the last of them is `…` where something was cut.
#[must_use]
pub fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.chars().nth(limit).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(limit.saturating_sub(1)).chain(['…']).collect())
}

/// Whether a character is not seen, or steers what is. The same list as in dockbell's `text.rs`.
fn is_hidden(char: char) -> bool {
    match char {
        '\u{2028}' | '\u{2029}' => true,
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
        char => char.is_control(),
    }
}

/// Whether a joiner or variation selector changes how the character before it looks: a letter of a script that joins, a symbol
/// or an emoji. After a Latin letter or a digit it only hides.
fn joins(before: char, char: char) -> bool {
    match char {
        '\u{200c}' | '\u{200d}' => {
            matches!(before, '\u{620}'..='\u{1fff}' | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
                && (before == '\u{fe0f}' || !is_hidden(before))
        }
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
    fn what_deceives_is_shown_and_the_rest_is_kept() {
        let cases = [
            ("plain ä 漢 👩\u{200d}🚀 ⚠\u{fe0f} می\u{200c}شود", "plain ä 漢 👩\u{200d}🚀 ⚠\u{fe0f} می\u{200c}شود"),
            ("a\0b\u{7}c\u{7f}d\u{85}e", "a�b�c�d�e"),
            ("a\r\nb\tc\n\n\nd", "a b c d"),
            ("\u{1b}[31;1mred\u{1b}[0m", "�[31;1mred�[0m"),
            ("\u{9b}31mred", "�31mred"),
            ("\u{1b}]0;title\u{7}text", "�]0;title�text"),
            ("\u{1b}]0;never ends", "�]0;never ends"),
            ("\u{202e}evil\u{202c}\u{2066}x\u{2069}\u{200f}\u{61c}", "�evil��x���"),
            ("we\u{200b}b we\u{200d}b web\u{fe0f} w\u{ad}eb web\u{e0041} web\u{3164}", "we�b we�b web� w�eb web� web�"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_cut_counts_characters_and_says_so() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut("", 0), "");
    }
}
