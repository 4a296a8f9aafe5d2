//! Text that others wrote, made safe for terminals, headers and logs.
//!
//! Names, labels and log lines of containers, and the replies of servers, may hold anything. What could steer a terminal or
//! end a header becomes U+FFFD, which shows that something was there.

/// Whether a character steers a terminal or reorders text: C0 and C1 controls, DEL, bidirectional overrides and isolates,
/// line and paragraph separators.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line: breaks and tabs become spaces, other controls U+FFFD; cut to `most` bytes, with `…` where it was.
pub(crate) fn line(text: &str, most: usize) -> String {
    let one = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if steers(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let clean: String = text.trim().chars().map(one).collect();
    if clean.len() <= most {
        return clean;
    }
    format!("{}…", prefix(&clean, most.saturating_sub('…'.len_utf8())))
}

/// Several lines: `\r\n` and a lone `\r` become `\n`, tabs stay, other controls become U+FFFD.
pub(crate) fn text(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => clean.push('\n'),
            '\n' | '\t' => clean.push(c),
            c if steers(c) => clean.push(char::REPLACEMENT_CHARACTER),
            c => clean.push(c),
        }
    }
    clean
}

/// The longest prefix of at most `most` bytes that ends between characters.
pub(super) fn prefix(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_no_break_and_no_escape() {
        assert_eq!(line(" web\r\nBcc: a@b\x1b[31m\u{202e} ", 900), "web  Bcc: a@b\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(line("ääää", 7), "ää…");
        assert_eq!(line("ääää", 8), "ääää");
    }

    #[test]
    fn text_keeps_its_lines() {
        assert_eq!(text("a\r\nb\rc\n\td\x07"), "a\nb\nc\n\td\u{fffd}");
    }
}
