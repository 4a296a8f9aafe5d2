//! Who dockbell logs in as on a mail server: `user` with a password, or with a token.

use super::document::{Place, Table};
use super::problem::Mistake;
use super::secret::Secret;
use super::value::Value;
use super::{Auth, Login};

/// The login of a mail sink, and where its secret was given. None without one, or where a mistake was reported.
pub(super) fn read(table: &mut Table<'_>) -> Option<(Login, Place)> {
    let choices = [("password", Auth::Password), ("xoauth2", Auth::XOAuth2)];
    let auth = table.take("auth").and_then(|value| value.choice(&choices)).unwrap_or_default();
    let (wanted, hint) = match auth {
        Auth::Password => (&["password", "password-file"], "give both, or neither for a relay that wants no login"),
        Auth::XOAuth2 => (&["token-file", "token-command"], "give `user` and one of `token-file` and `token-command`"),
    };
    let has_secret = wanted.iter().any(|key| table.has(key));
    if table.has("user") != has_secret || auth == Auth::XOAuth2 && !has_secret {
        let secret = if auth == Auth::XOAuth2 { "token-file" } else { "password" };
        table.report(Mistake::new(format!("`user` and `{secret}` belong together"), hint));
    }
    let secret = secrets(table, auth);
    let (user, _) = table.take("user").and_then(Value::string)?;
    let (secret, text, place) = secret?;
    let login = Login::new(user, text).map_err(|mistake| table.document.report(&place, mistake)).ok()?;
    Some((Login { secret, auth, ..login }, place))
}

/// The secret, what it is at present, and where it was given. Those of the other kind of login are mistakes.
fn secrets(table: &mut Table<'_>, auth: Auth) -> Option<(Secret, String, Place)> {
    let password = table.secret("password", "password-file");
    let token = table.take("token-file").map(|value| (value.place.clone(), value.path()));
    let command = table.take("token-command").map(|value| (value.place.clone(), value.strings()));
    let misplaced = match auth {
        Auth::Password => token.as_ref().map(|(place, _)| place).or(command.as_ref().map(|(place, _)| place)),
        Auth::XOAuth2 => password.as_ref().map(|given| &given.place),
    };
    if let Some(place) = misplaced {
        let hint = "a token belongs to `auth = \"xoauth2\"`, a password to `auth = \"password\"`";
        table.document.report(place, Mistake::new("does not belong to this `auth`", hint));
        return None;
    }
    if let (Some(_), Some((place, _))) = (&token, &command) {
        let hint = "remove `token-file` or `token-command`";
        table.document.report(place, Mistake::new("`token-file` is set, and `token-command` too", hint));
    }
    match (password, token, command) {
        (Some(given), ..) => Some((given.secret(), given.text, given.place)),
        (None, Some((place, path)), _) => {
            let path = path?;
            match super::file::read_value(&path) {
                Ok(text) => Some((Secret::File(path), text, place)),
                Err(mistake) => {
                    table.document.report(&place, mistake);
                    None
                }
            }
        }
        (None, None, Some((place, words))) => {
            let command: Vec<String> = words?.into_iter().map(|(word, _)| word).collect();
            if command.first().is_none_or(String::is_empty) {
                let hint = "such as `token-command = [\"/usr/local/bin/get-token\", \"--scope\", \"smtp\"]`";
                table.document.report(&place, Mistake::new("names no command", hint));
                return None;
            }
            // What it prints is known when it is run, for each login.
            Some((Secret::Command(command), "unknown yet".to_owned(), place))
        }
        (None, None, None) => None,
    }
}
