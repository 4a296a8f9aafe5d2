//! Secrets with which webhooks are signed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;

use super::problem::Mistake;

/// A secret of fewer bytes is guessed (Standard Webhooks: 24 to 64 bytes).
const SHORTEST: usize = 24;

const FORMS: &str = "`whsec_` and 24 to 64 bytes in base64; make one with `echo whsec_$(openssl rand -base64 32)`";

/// A secret with which a webhook is signed. `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// The secrets of a text, one per line: `whsec_` and base64 as Standard Webhooks have it, or any text, whose bytes are
    /// the secret then.
    ///
    /// # Errors
    /// No secret, one that is too short, or base64 that is none. No message repeats it.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, Mistake> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys = lines.map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(Mistake::new("holds no secret", FORMS)) } else { Ok(keys) }
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let bytes = match text.strip_prefix("whsec_") {
            Some(encoded) => {
                STANDARD.decode(encoded).map_err(|_| Mistake::new("is not base64 behind `whsec_`", FORMS))?
            }
            None => text.as_bytes().to_vec(),
        };
        let key = Self(Zeroizing::new(bytes));
        if key.0.len() < SHORTEST {
            return Err(Mistake::new(format!("is shorter than {SHORTEST} bytes, so that it could be guessed"), FORMS));
        }
        Ok(key)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stand_one_per_line_with_and_without_the_prefix() {
        let keys =
            SigningKey::parse_all("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\nplain text of 26 characters\n").unwrap();
        assert_eq!(keys[0].bytes().len(), 24);
        assert_eq!(keys[1].bytes(), b"plain text of 26 characters");
    }

    #[test]
    fn what_could_be_guessed_is_refused_without_repeating_it() {
        for text in ["", "\n", "hunter2", "whsec_hunter2", "whsec_aHVudGVyMg=="] {
            let mistake = SigningKey::parse_all(text).unwrap_err().to_string();
            assert!(mistake.contains("hint: `whsec_`") && !mistake.contains("hunter2"), "{mistake}");
        }
    }
}
