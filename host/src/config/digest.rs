//! A SHA-256 digest, by which a component is named.

use std::fmt;
use std::str::FromStr;

use sha2::Digest;

use super::problem::Mistake;

/// A SHA-256 digest: 64 hexadecimal digits, with or without `sha256:` in front.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Sha256 {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let wrong =
            || Mistake::new("is not a SHA-256 digest", "64 hexadecimal digits, as `sha256sum FILE` prints them");
        let digits = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() {
            return Err(wrong());
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            let value = high.zip(low).map(|(high, low)| high << 4 | low);
            *byte = value.and_then(|value| u8::try_from(value).ok()).ok_or_else(wrong)?;
        }
        Ok(Self(digest))
    }
}

/// The digits alone, in small letters.
impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_shown_as_it_is_read() {
        let text = "0123456789abcdef".repeat(4);
        let digest: Sha256 = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(format!("sha256:{}", text.to_uppercase()).parse::<Sha256>(), Ok(digest));
        for wrong in ["", "abc", "sha512:abc", &text[1..], &"g".repeat(64), &"é".repeat(32)] {
            assert!(wrong.parse::<Sha256>().unwrap_err().hint.is_some(), "{wrong}");
        }
    }
}
