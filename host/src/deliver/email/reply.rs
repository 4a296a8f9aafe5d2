//! Replies of a mail server (RFC 5321 section 4.2).

use super::error::Cause;
use crate::text;

/// Most bytes of one reply. The longest in use, to EHLO, has some twenty lines; RFC 5321 section 4.5.3.1.5 allows 512 bytes a line.
pub(super) const BYTES: usize = 8 << 10;
/// Most lines of one reply.
const LINES: usize = 128;

/// A whole reply. The code decides; the text is for people, and for what the server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// Three digits, 200 to 599. Where the lines differ, that of the last, as other clients have it.
    pub(super) code: u16,
    /// Text of each line, without code and line end. Bytes that are not UTF-8 became U+FFFD.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// Returns whether the code begins with this digit.
    pub(super) const fn is(&self, class: u16) -> bool {
        self.code / 100 == class
    }

    /// Returns the text as one clean line. It is shortened only after secrets were taken out of it, so that no half of one is
    /// left over.
    pub(super) fn words(&self) -> String {
        text::one_line(&self.lines.join(" "), BYTES)
    }
}

/// Lines of a reply that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    texts: Vec<String>,
    bytes: usize,
}

impl Lines {
    /// Returns how many bytes the next line may have.
    pub(super) const fn room(&self) -> usize {
        BYTES.saturating_sub(self.bytes)
    }

    /// Takes the next line with its end. Returns the code if it was the last.
    ///
    /// # Errors
    /// Fails if the line is not one of a reply, or one too many.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<Option<u16>, Cause> {
        self.bytes += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, rest) = code(line).ok_or_else(|| Cause::Garbled(shown(line)))?;
        let (more, text) = match rest {
            [b'-', text @ ..] => (true, text),
            [b' ', text @ ..] | text => (false, text),
        };
        self.texts.push(String::from_utf8_lossy(text).into_owned());
        match more {
            false => Ok(Some(code)),
            true if self.texts.len() < LINES => Ok(None),
            true => Err(Cause::Garbled(format!("more than {LINES} lines"))),
        }
    }

    /// Returns the whole reply.
    pub(super) fn with(self, code: u16) -> Reply {
        Reply { code, lines: self.texts }
    }
}

/// Returns the code of a line and what follows it, which may be nothing. Only a fourth digit makes it no code.
fn code(line: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || rest.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    (200..600).contains(&code).then_some((code, rest))
}

fn shown(line: &[u8]) -> String {
    text::one_line(&String::from_utf8_lossy(line), BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, Cause> {
        let mut lines = Lines::default();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(code) = lines.take(line)? {
                return Ok(Some(lines.with(code)));
            }
        }
        Ok(None)
    }

    #[test]
    fn the_code_counts_whatever_the_text_is() {
        for (bytes, code, words) in [
            (&b"250 ok\r\n"[..], 250, "ok"),
            (b"250 ok\n", 250, "ok"),
            (b"250\r\n", 250, ""),
            (b"250 \r\n", 250, ""),
            (b"250 \xd3\xca\xbc\xfe\r\n", 250, "\u{fffd}\u{2bc}\u{fffd}"),
            (b"220-mx\r\n220 Gr\xfc\xdfe\r\n", 220, "mx Gr\u{fffd}\u{fffd}e"),
            (b"550-\r\n550-\xff\r\n550\r\n", 550, "\u{fffd}"),
            (b"250-queued\r\n451 not yet\r\n", 451, "queued not yet"),
        ] {
            let reply = read(bytes).unwrap().unwrap();
            assert_eq!((reply.code, reply.words().trim()), (code, words), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for bytes in
            [&b"\r\n"[..], b"25\r\n", b"xyz\r\n", b"2500 ok\r\n", b"199 no\r\n", b"600 no\r\n", b"\xff\xff\xff\r\n"]
        {
            assert!(matches!(read(bytes), Err(Cause::Garbled(_))), "{}", bytes.escape_ascii());
        }
        assert_eq!(read(b"250-a\r\n").unwrap(), None);
        assert!(read(&b"250-\r\n".repeat(LINES)).is_err());
    }
}
