//! Glob patterns over a whole value.

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Glob(Vec<Part>);

#[derive(Debug)]
enum Part {
    One(char),
    AnyOne,
    AnyText,
    /// Ranges, and whether the character must lie outside of them.
    Class(Vec<(char, char)>, bool),
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// The reason, with the place in the pattern.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = pattern.chars().enumerate();
        while let Some((start, char)) = rest.next() {
            parts.push(match char {
                '*' => Part::AnyText,
                '?' => Part::AnyOne,
                '\\' => match rest.next() {
                    Some((_, char)) => Part::One(char),
                    None => {
                        return Err(format!("the glob `{pattern}` ends in a lone `\\`; write `\\\\` for a backslash"));
                    }
                },
                '[' => class(&mut rest).map_err(|reason| {
                    format!("the glob `{pattern}` {reason} (character {}); write `\\[` for a bracket itself", start + 1)
                })?,
                char => Part::One(char),
            });
        }
        // `**` says no more than `*`, and would cost time on each value.
        parts.dedup_by(|next, before| matches!((next, before), (Part::AnyText, Part::AnyText)));
        Ok(Self(parts))
    }

    /// Whether the whole value fits. Takes at most the product of both lengths in steps, and no memory.
    pub(crate) fn fits(&self, value: &str) -> bool {
        let mut rest = value.chars();
        let mut part = 0;
        // Where to go on when a part does not fit: behind the last `*`, which then swallows one character more.
        let mut again: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            if let Some(Part::AnyText) = self.0.get(part) {
                part += 1;
                again = Some((part, rest.clone()));
                continue;
            }
            match (self.0.get(part), rest.next()) {
                (None, None) => return true,
                (Some(_), None) => return false,
                (Some(expected), Some(char)) if expected.fits(char) => part += 1,
                _ => {
                    let Some((behind, from)) = &mut again else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    part = *behind;
                    rest = from.clone();
                }
            }
        }
    }
}

impl Part {
    fn fits(&self, char: char) -> bool {
        match self {
            Self::One(expected) => *expected == char,
            Self::AnyOne | Self::AnyText => true,
            Self::Class(ranges, outside) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&char)) != *outside,
        }
    }
}

/// What stands between `[` and `]`. A `]` at the very start stands for itself, as in a shell.
fn class(rest: &mut impl Iterator<Item = (usize, char)>) -> Result<Part, &'static str> {
    let mut rest = rest.map(|(_, char)| char).peekable();
    let outside = rest.next_if(|char| matches!(char, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match rest.next() {
            None => return Err("has a `[` without a `]`"),
            Some(']') if !ranges.is_empty() => return Ok(Part::Class(ranges, outside)),
            Some('\\') => rest.next().ok_or("has a `[` without a `]`")?,
            Some(char) => char,
        };
        let mut high = low;
        if rest.next_if_eq(&'-').is_some() {
            match rest.next_if(|char| *char != ']') {
                Some('\\') => high = rest.next().ok_or("has a `[` without a `]`")?,
                Some(char) => high = char,
                // A `-` at the very end stands for itself.
                None => ranges.push(('-', '-')),
            }
        }
        if high < low {
            return Err("has a range that runs backwards");
        }
        ranges.push((low, high));
    }
}
