//! The encoding of a recording: UTF-8, or the UTF-16 that PowerShell writes.

/// Turns the bytes of a recording into UTF-8, chunk by chunk, and removes a byte order mark.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    encoding: Option<Encoding>,
    /// Bytes that are not decoded yet: the start, or half a character.
    rest: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16(fn([u8; 2]) -> u16),
}

impl Decoder {
    /// Returns a chunk as UTF-8; the bytes of UTF-8 itself are not checked.
    pub(super) fn decode(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(chunk);
        self.take(false)
    }

    /// Returns what is left at the end.
    pub(super) fn end(&mut self) -> Vec<u8> {
        self.take(true)
    }

    fn take(&mut self, ends: bool) -> Vec<u8> {
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            // The longest mark has three bytes.
            None if self.rest.len() < 3 && !ends => return Vec::new(),
            None => {
                let (encoding, mark) = detect(&self.rest);
                self.rest.drain(..mark);
                *self.encoding.insert(encoding)
            }
        };
        let read = match encoding {
            Encoding::Utf8 => return std::mem::take(&mut self.rest),
            Encoding::Utf16(read) => read,
        };
        let mut units: Vec<u16> = self.rest.as_chunks().0.iter().map(|pair| read(*pair)).collect();
        let is_half = |unit: &u16| (0xd800..0xdc00).contains(unit);
        if !ends && units.last().is_some_and(is_half) {
            units.pop();
        }
        self.rest.drain(..units.len() * 2);
        String::from_utf16_lossy(&units).into_bytes()
    }
}

/// Returns the encoding of a text by its first bytes, and the length of its byte order mark. Without a mark the zeros show it: the
/// first character of a recording is ASCII.
fn detect(start: &[u8]) -> (Encoding, usize) {
    match start {
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
        [0xff, 0xfe, ..] => (Encoding::Utf16(u16::from_le_bytes), 2),
        [0xfe, 0xff, ..] => (Encoding::Utf16(u16::from_be_bytes), 2),
        [1..=255, 0, ..] => (Encoding::Utf16(u16::from_le_bytes), 0),
        [0, 1..=255, ..] => (Encoding::Utf16(u16::from_be_bytes), 0),
        _ => (Encoding::Utf8, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\"name\":\"wéb 😀\"}\n";

    fn decoded(bytes: &[u8], chunk: usize) -> String {
        let mut decoder = Decoder::default();
        let mut text: Vec<u8> = bytes.chunks(chunk).flat_map(|chunk| decoder.decode(chunk)).collect();
        text.extend(decoder.end());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn each_encoding_is_read_wherever_its_chunks_end() {
        let utf16 = |mark: &[u16], bytes: fn(u16) -> [u8; 2]| {
            mark.iter().copied().chain(TEXT.encode_utf16()).flat_map(bytes).collect::<Vec<u8>>()
        };
        for bytes in [
            TEXT.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", TEXT.as_bytes()].concat(),
            utf16(&[0xfeff], u16::to_le_bytes),
            utf16(&[0xfeff], u16::to_be_bytes),
            utf16(&[], u16::to_le_bytes),
            utf16(&[], u16::to_be_bytes),
        ] {
            for chunk in 1..=bytes.len() {
                assert_eq!(decoded(&bytes, chunk), TEXT, "{bytes:?} by {chunk}");
            }
        }
    }

    #[test]
    fn what_is_too_short_for_a_mark_is_kept() {
        for text in ["", "{", "{}"] {
            assert_eq!(decoded(text.as_bytes(), 1), text);
        }
    }
}
