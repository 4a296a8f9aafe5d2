//! Secrets in commands, replaced by `***`.

/// Words that stand before a secret: `--password x`, `DB_PASSWORD=x`, `Authorization: Bearer x`.
const WORDS: [&str; 10] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "api-key", "api_key", "credential", "bearer"];
/// How tokens of well-known services begin.
const TOKENS: [&str; 11] =
    ["ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk-", "sk_live_", "AKIA", "eyJ"];
/// Programs whose `-p` is a password, written without a space.
const SHORT: [&str; 4] = ["mysql", "mysqldump", "mysqladmin", "mariadb"];
/// Shorter ones are words, not tokens.
const TOKEN_LENGTH: usize = 12;
const HIDDEN: &str = "***";

/// Knows what is secret.
pub(crate) struct Mask {
    words: Vec<String>,
}

impl Mask {
    /// Knows the given words beside its own.
    pub(crate) fn new(more: Vec<String>) -> Result<Self, String> {
        if more.iter().any(|word| word.trim().is_empty()) {
            return Err("`words` has an empty word, which every command would have in it".to_owned());
        }
        let words = WORDS.iter().map(|word| (*word).to_owned()).chain(more.iter().map(|word| word.to_lowercase()));
        Ok(Self { words: words.collect() })
    }

    /// The command without its secrets. Errs on the side of hiding too much.
    pub(crate) fn apply(&self, command: &str) -> String {
        let mut short = false;
        let mut next_is_secret = false;
        let words = command.split(' ').map(|word| {
            let program = word.rsplit('/').next().unwrap_or(word);
            short |= SHORT.contains(&program);
            let bare = word.trim_matches(['"', '\'', '`']);
            if next_is_secret && !bare.is_empty() {
                // `token: Bearer x`: the secret is behind the next word still.
                next_is_secret = self.is_secret_word(bare) || bare.eq_ignore_ascii_case("basic");
                return if next_is_secret { word.to_owned() } else { HIDDEN.to_owned() };
            }
            if let Some((name, value)) = bare.split_once(['=', ':']).filter(|(name, _)| self.is_secret_word(name)) {
                next_is_secret = value.is_empty();
                return if value.is_empty() { word.to_owned() } else { format!("{}{HIDDEN}", &bare[..=name.len()]) };
            }
            next_is_secret = self.is_secret_word(bare) || bare.eq_ignore_ascii_case("authorization:");
            if short && bare.starts_with("-p") && bare.len() > 2 {
                return format!("-p{HIDDEN}");
            }
            if bare.len() >= TOKEN_LENGTH && TOKENS.iter().any(|token| bare.starts_with(token)) {
                return HIDDEN.to_owned();
            }
            url(word).unwrap_or_else(|| word.to_owned())
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn is_secret_word(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        // A path or a sentence is no name.
        name.len() <= 64 && !name.contains('/') && self.words.iter().any(|word| name.contains(word.as_str()))
    }
}

/// `scheme://user:password@host` without the password.
fn url(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (login, host) = rest[..end].rsplit_once('@')?;
    let (user, _) = login.split_once(':')?;
    Some(format!("{scheme}://{user}:{HIDDEN}@{host}{}", &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_is_left() {
        for (command, shown) in [
            ("ls -l /etc/passwd", "ls -l /etc/passwd"),
            ("psql -p 5432 postgres", "psql -p 5432 postgres"),
            ("mysql -uroot -phunter2 shop", "mysql -uroot -p*** shop"),
            ("/usr/bin/mysqldump -phunter2", "/usr/bin/mysqldump -p***"),
            ("env DB_PASSWORD=hunter2 run", "env DB_PASSWORD=*** run"),
            ("login --password hunter2 --user me", "login --password *** --user me"),
            ("curl -H 'Authorization: Bearer abc' x", "curl -H 'Authorization: Bearer *** x"),
            ("psql postgres://me:hunter2@db/shop", "psql postgres://me:***@db/shop"),
            ("git clone https://ghp_0123456789ab@x/y", "git clone https://ghp_0123456789ab@x/y"),
            ("login ghp_0123456789abcdef", "login ***"),
            ("", ""),
        ] {
            assert_eq!(Mask::new(Vec::new()).unwrap().apply(command), shown);
        }
    }

    #[test]
    fn an_empty_word_is_refused() {
        assert!(Mask::new(vec![" ".to_owned()]).is_err());
    }
}
