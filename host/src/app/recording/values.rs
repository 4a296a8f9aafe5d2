//! Lines become JSON values, which may lie over several lines.

use serde::de::IgnoredAny;

use crate::engine::parse::Unreadable;

/// A value that is longer than this is not put together: twice the longest line that is read.
const LARGEST: usize = 2 << 20;
/// How many lines a value may have. The event of a container with 500 labels has about 520.
const MOST_LINES: usize = 2_000;

/// Puts lines together that are one value, as `jq` and PowerShell print it.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// The lines of a value that has begun.
    begun: Vec<Vec<u8>>,
    bytes: usize,
}

/// A whole value or a line that is none, or the first line of a value that does not end.
pub(super) type Piece = Result<Vec<u8>, Unreadable>;

impl Values {
    /// Takes a line, without blanks around it, and hands over what is whole with it.
    pub(super) fn take(&mut self, line: &[u8], each: &mut impl FnMut(Piece)) {
        if self.begun.is_empty() {
            match line {
                // Between the values of a list.
                b"[" | b"]" | b"," => {}
                [b'{' | b'[', ..] if state(without_comma(line)) == State::Begun => self.begin(line),
                _ => each(Ok(without_comma(line).to_vec())),
            }
            return;
        }
        self.begin(line);
        let too_large = self.bytes > LARGEST || self.begun.len() > MOST_LINES;
        // Only a bracket can end a value.
        if !too_large && !without_comma(line).ends_with(b"}") && !line.ends_with(b"]") {
            return;
        }
        let whole = self.begun.join(&b'\n');
        match state(without_comma(&whole)) {
            State::Whole => {
                self.clear();
                each(Ok(without_comma(&whole).to_vec()));
            }
            State::Begun if !too_large => {}
            State::Begun | State::Broken => self.give_up(each),
        }
    }

    /// Hands over the value that has begun and will not end.
    pub(super) fn end(&mut self, each: &mut impl FnMut(Piece)) {
        while !self.begun.is_empty() {
            self.give_up(each);
        }
    }

    fn begin(&mut self, line: &[u8]) {
        self.begun.push(line.to_vec());
        self.bytes += line.len();
    }

    fn clear(&mut self) -> Vec<Vec<u8>> {
        self.bytes = 0;
        std::mem::take(&mut self.begun)
    }

    /// Hands over the first line as broken, and begins again with the next line that may begin a value.
    fn give_up(&mut self, each: &mut impl FnMut(Piece)) {
        let mut lines = self.clear().into_iter();
        if let Some(first) = lines.next() {
            each(Err(Unreadable::new(first.len() as u64, &first, "the value does not end")));
        }
        for line in lines.skip_while(|line| !line.starts_with(b"{")) {
            self.take(&line, each);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Whole,
    Begun,
    Broken,
}

fn state(text: &[u8]) -> State {
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => State::Whole,
        Err(error) if error.is_eof() => State::Begun,
        Err(_) => State::Broken,
    }
}

/// Returns a value without the comma behind it in a list.
fn without_comma(text: &[u8]) -> &[u8] {
    text.strip_suffix(b",").map_or(text, <[u8]>::trim_ascii_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let (mut values, mut pieces) = (Values::default(), Vec::new());
        let mut each = |piece: Piece| {
            pieces.push(match piece {
                Ok(text) => String::from_utf8(text).unwrap().replace('\n', ""),
                Err(unreadable) => format!("broken: {}", unreadable.excerpt),
            });
        };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            values.take(line.as_bytes(), &mut each);
        }
        values.end(&mut each);
        pieces
    }

    #[test]
    fn a_value_may_lie_over_several_lines_and_in_a_list() {
        let pretty = "{\n  \"a\": {\n    \"b\": [1]\n  },\n  \"c\": 2\n}";
        assert_eq!(pieces(pretty), [r#"{"a": {"b": [1]},"c": 2}"#]);
        assert_eq!(pieces(&format!("{pretty}\n{{\"d\":3}}\n{pretty}")).len(), 3);
        assert_eq!(pieces("[\n  {\n    \"a\": 1\n  },\n  {\n    \"a\": 2\n  }\n]"), [r#"{"a": 1}"#, r#"{"a": 2}"#]);
        assert_eq!(pieces("[{\"a\":1},\n{\"a\":2}]"), [r#"[{"a":1},{"a":2}]"#]);
    }

    #[test]
    fn a_line_that_is_cut_off_costs_no_other() {
        for cut in [r#"{"Type":"contai"#, r#"{"Type":"#, r#"{"Type":"container","#, "{"] {
            let text = format!("{cut}\n{{\"a\":1}}\n{{\"a\":2}}\nno json");
            let expected = [&format!("broken: {cut}"), r#"{"a":1}"#, r#"{"a":2}"#, "no json"];
            assert_eq!(pieces(&text), expected, "{cut}");
        }
        assert_eq!(pieces("{\n\"a\": 1,\n\"b\": 2\n"), ["broken: {"]);
    }
}
