//! Hides secrets in what others say: servers repeat what they were sent, as it was or in another form.

use std::borrow::Borrow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Parts of a secret, and forms of it, that are shorter are found in too many words (characters).
const SHORT: usize = 6;

/// What must not be shown. It is found in any mixture of upper and lower case, as it is, with percent encoding, HTML entities
/// or the escapes of JSON, within base64 at any place, and where the text ends in the middle of it.
#[derive(Debug, Default)]
pub struct Mask(Vec<Pattern>);

/// The characters of a secret, in lower case.
type Pattern = Vec<char>;

impl Mask {
    /// Hides these secrets, and each of their words: of `Bearer …` the token is one.
    pub fn new<S: Borrow<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut patterns = Vec::new();
        for secret in secrets {
            let secret = secret.borrow();
            patterns.extend(forms(secret));
            let words = secret.split_whitespace().filter(|word| word.len() < secret.len());
            patterns.extend(words.flat_map(forms).filter(|form| form.len() >= SHORT));
            // A login in clear, of which a server may repeat the password alone.
            if let Some(login) = secret.strip_prefix("Basic ").and_then(|login| STANDARD.decode(login).ok()) {
                let login = String::from_utf8_lossy(&login);
                patterns.extend(login.split(':').flat_map(forms).filter(|form| form.len() >= SHORT));
            }
        }
        patterns.retain(|pattern| !pattern.is_empty());
        patterns.sort();
        patterns.dedup();
        Self(patterns)
    }

    /// The beginning of a text with `instead` in place of each secret: all of it, or a little more than `most` bytes.
    #[must_use]
    pub fn hide(&self, text: &str, instead: &str, most: usize) -> String {
        let (mut shown, mut at) = (String::new(), 0);
        while let Some(next) = text[at..].chars().next().filter(|_| shown.len() <= most) {
            match self.0.iter().filter_map(|pattern| end_of(pattern, text, at)).max() {
                Some(end) => {
                    shown.push_str(instead);
                    at = end;
                }
                None => {
                    shown.push(next);
                    at += next.len_utf8();
                }
            }
        }
        shown
    }
}

/// A secret, and what it makes of base64 that it is a part of.
fn forms(secret: &str) -> Vec<Pattern> {
    let mut forms = vec![secret.to_owned()];
    for before in 0..3 {
        let bytes = [vec![0; before], secret.as_bytes().to_vec()].concat();
        for base64 in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            // The characters that no byte beside the secret has a part in: each has six bits.
            let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            forms.extend(base64.get(first..end).filter(|part| part.len() >= SHORT).map(str::to_owned));
        }
    }
    forms.into_iter().map(|form| form.chars().map(lower).collect()).collect()
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Where a secret ends that begins at `start` of a text. One that the text cuts off ends with it.
fn end_of(pattern: &[char], text: &str, start: usize) -> Option<usize> {
    // A `%` may stand for itself or begin another character: all ways to read the text so far.
    let mut ends = vec![start];
    for (matched, wanted) in pattern.iter().enumerate() {
        let is_cut = |end: &usize| matches!(&text[*end..], "" | "…");
        if matched >= SHORT && ends.iter().any(is_cut) {
            return Some(text.len());
        }
        let mut next: Vec<usize> =
            ends.iter().flat_map(|end| read(*wanted, &text[*end..]).map(move |n| end + n)).collect();
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return None;
        }
        ends = next;
    }
    ends.last().copied()
}

/// In how many bytes at the beginning of a text a character may stand, each with another way to write it.
fn read(wanted: char, text: &str) -> impl Iterator<Item = usize> {
    let plain = text.chars().next().map(|c| (c, c.len_utf8()));
    let plus = text.starts_with('+').then_some((' ', 1));
    let ways = [plain, plus, percent(text), entity(text), escape(text)];
    ways.into_iter().flatten().filter(move |(found, _)| lower(*found) == wanted).map(|(_, bytes)| bytes)
}

/// `%3C` or, of several bytes, `%C3%BC` at the beginning of a text.
fn percent(text: &str) -> Option<(char, usize)> {
    let (mut bytes, mut left) = (Vec::new(), text);
    while bytes.len() < 4 {
        left = left.strip_prefix('%')?;
        bytes.push(u8::from_str_radix(left.get(..2)?, 16).ok()?);
        left = &left[2..];
        if let Some(c) = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
            return Some((c, text.len() - left.len()));
        }
    }
    None
}

/// `&lt;`, `&#60;` or `&#x3c;` at the beginning of a text.
fn entity(text: &str) -> Option<(char, usize)> {
    let (name, _) = text.strip_prefix('&')?.split_once(';').filter(|(name, _)| name.len() <= 8)?;
    let c = match (name, name.strip_prefix('#')) {
        ("amp", _) => '&',
        ("lt", _) => '<',
        ("gt", _) => '>',
        ("quot", _) => '"',
        ("apos", _) => '\'',
        (_, Some(number)) => {
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)?
        }
        _ => return None,
    };
    Some((c, name.len() + 2))
}

/// `\"`, `\n`, `\u003c` or a pair such as `\ud83d\ude00` at the beginning of a text.
fn escape(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    if let Some(first) = unit(text) {
        let units = [Some(first), unit(&text[6..])];
        let c = char::decode_utf16(units.into_iter().flatten()).next()?.ok()?;
        return Some((c, 6 * c.len_utf16()));
    }
    let c = match text.strip_prefix('\\')?.chars().next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        c @ ('"' | '\\' | '/' | '\'') => c,
        _ => return None,
    };
    Some((c, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Pa<ss>&\"w/Ört%2 😀";

    fn hidden(secret: &str, text: &str) -> String {
        Mask::new([secret]).hide(text, "[hidden]", usize::MAX)
    }

    #[test]
    fn a_secret_is_found_in_every_form_in_which_it_may_be_repeated() {
        for form in [
            SECRET.to_owned(),
            SECRET.to_lowercase(),
            SECRET.to_uppercase(),
            "Pa&lt;ss&gt;&amp;&quot;w/ört%2 😀".to_owned(),
            "Pa&#60;ss&#x3E;&amp;&#34;w&#47;&#246;rt%2 &#128512;".to_owned(),
            r#"Pa<ss>&\"w\/ört%2 😀"#.to_owned(),
            r#"Pa\u003css\u003E\u0026\"w/\u00f6rt%2 \ud83d\ude00"#.to_owned(),
            "Pa%3Css%3E%26%22w%2F%C3%96rt%252%20%F0%9F%98%80".to_owned(),
            "pa%3css%3e%26%22w/%c3%b6rt%252+%f0%9f%98%80".to_owned(),
        ] {
            assert_eq!(hidden(SECRET, &format!("no: {form}!")), "no: [hidden]!", "{form}");
        }
    }

    #[test]
    fn a_secret_is_found_within_base64_with_anything_around_it() {
        for before in ["", "a", "ab", "abc", "\0dockbell\0"] {
            for after in ["", "z", "zz", "zzz"] {
                let text = format!("{before}correct-horse~?>{after}");
                for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let shown = hidden("correct-horse~?>", &encoded);
                    // At most a character on each side is the secret's in part.
                    let left = shown.replace("[hidden]", "").trim_end_matches('=').len();
                    let around = (before.len() * 8).div_ceil(6) + (after.len() * 8).div_ceil(6) + 2;
                    assert!(shown.contains("[hidden]") && left <= around, "{encoded}: {shown}");
                }
            }
        }
    }

    #[test]
    fn words_logins_and_cut_off_ends_are_hidden() {
        assert_eq!(hidden("Bearer hunter2hunter2", "bad token 'hunter2hunter2'"), "bad token '[hidden]'");
        let basic = format!("Basic {}", STANDARD.encode("me:hunter2hunter2"));
        assert_eq!(hidden(&basic, "password hunter2hunter2 is wrong"), "password [hidden] is wrong");
        assert_eq!(hidden("hunter2hunter2", "you sent hunter2h"), "you sent [hidden]");
        assert_eq!(hidden("hunter2hunter2", "you sent hunter2h…"), "you sent [hidden]");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let text = "550 5.7.1 <ops@example.com>: 50 % of \\ & &nbsp; \\u12 %zz… hunter3";
        assert_eq!(hidden("hunter2", text), text);
        assert_eq!(Mask::default().hide(text, "", usize::MAX), text);
        assert_eq!(hidden("", text), text);
        assert_eq!(Mask::new(["hunter2"]).hide(text, "", 3), "550 ");
    }

    #[test]
    fn the_work_is_bounded_by_what_is_shown() {
        let secret = "a".repeat(60_000);
        let text = "a".repeat(50_000) + &"b".repeat(1 << 20);
        assert_eq!(Mask::new([&*secret]).hide(&text, "", 20).len(), 21);
    }
}
