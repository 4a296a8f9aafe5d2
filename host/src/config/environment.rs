//! The environment variables that dockbell reads, as a value: nothing here looks at the process except
//! [`Environment::of_process`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file;
use super::problem::{Mistake, Problem, nearest};

/// Path of the configuration file. Without it `/etc/dockbell/dockbell.toml` is read if it exists.
pub const CONFIG: &str = "DOCKBELL_CONFIG";
/// A mail server as in [`SmtpServer`](super::SmtpServer): makes the sink `email`. Twin: `DOCKBELL_SMTP_URL_FILE`.
pub const SMTP_URL: &str = "DOCKBELL_SMTP_URL";
/// Sender of the sink `email`. Twin: `DOCKBELL_MAIL_FROM_FILE`.
pub const MAIL_FROM: &str = "DOCKBELL_MAIL_FROM";
/// Recipients of the sink `email`, separated by commas. Twin: `DOCKBELL_MAIL_TO_FILE`.
pub const MAIL_TO: &str = "DOCKBELL_MAIL_TO";
/// The name that messages give this machine. Twin: `DOCKBELL_HOSTNAME_FILE`.
pub const HOSTNAME: &str = "DOCKBELL_HOSTNAME";
/// What is logged, in the words of `tracing_subscriber::EnvFilter`; read by the program, not by the configuration.
pub const LOG: &str = "DOCKBELL_LOG";
/// Folder of what must survive a restart; read by the program, not by the configuration.
pub const STATE: &str = "DOCKBELL_STATE";
/// The same, set by systemd for `StateDirectory=`.
pub const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// Folder of compiled plugins; read by the program, not by the configuration.
pub const CACHE: &str = "DOCKBELL_CACHE";

/// Those that may also be given as a file, in a variable with `_FILE` behind the name.
const WITH_TWIN: [&str; 4] = [SMTP_URL, MAIL_FROM, MAIL_TO, HOSTNAME];
const WITHOUT_TWIN: [&str; 4] = [CONFIG, LOG, STATE, CACHE];

/// Environment variables. An empty one counts as not set, so that a compose file may write `${SMTP_URL:-}`. One pair of quotes
/// around a whole value does not belong to it: `docker run --env-file` keeps those that a shell and compose remove
/// (moby/moby#46773).
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Returns the value of a variable, if it is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(|value| unquoted(value)).filter(|value| !value.is_empty())
    }

    /// Returns whether a sink is the one that the variables make.
    #[must_use]
    pub fn makes_sink(&self, name: &str) -> bool {
        name == "email" && [SMTP_URL.to_owned(), format!("{SMTP_URL}_FILE")].iter().any(|name| self.get(name).is_some())
    }

    /// Returns a copy of the value of a variable, if it is set and not empty.
    #[must_use]
    pub fn owned(&self, name: &str) -> Option<OsString> {
        self.get(name).map(OsStr::to_owned)
    }

    /// The value of a variable that holds a path.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// The value of a variable that holds text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        let not_text = || Problem::at(name, Mistake::plain("is not UTF-8"));
        self.get(name).map(|value| value.to_str().map(str::to_owned).ok_or_else(not_text)).transpose()
    }

    /// The value of a variable or of the file that its twin names; which of the two it was comes with it.
    pub(super) fn text_or_file(&self, name: &str) -> Result<Option<Setting>, Problem> {
        let twin = format!("{name}_FILE");
        let value = self.text(name)?;
        let Some(path) = self.path(&twin) else {
            return Ok(value.map(|value| Setting { variable: name.to_owned(), value }));
        };
        if value.is_some() {
            let mistake = Mistake::new(format!("is set, and `{name}` too"), "unset one of the two");
            return Err(Problem::at(twin, mistake));
        }
        match file::read_value(Path::new(&path)) {
            Ok(value) => Ok(Some(Setting { variable: twin, value })),
            Err(mistake) => Err(Problem::at(twin, mistake)),
        }
    }

    /// What is said about variables that look like dockbell's but are not.
    pub(super) fn unknown(&self) -> impl Iterator<Item = String> {
        let twins = WITH_TWIN.iter().map(|name| format!("{name}_FILE"));
        let known: Vec<String> = WITH_TWIN.iter().chain(&WITHOUT_TWIN).map(ToString::to_string).chain(twins).collect();
        self.0.keys().filter_map(move |name| {
            let name = name.to_string_lossy();
            if !name.starts_with("DOCKBELL_") || known.iter().any(|known| *known == name) {
                return None;
            }
            let meant = nearest(&name, known.iter().map(String::as_str));
            let meant = meant.map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)"));
            Some(format!("environment variable `{name}` is not known and has no effect{meant}"))
        })
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Returns a text about the sink `email` of the environment with the names of the variables in place of the keys of a file.
#[must_use]
pub fn in_variables(text: &str) -> String {
    let (server, login) = (format!("`{SMTP_URL}`"), format!("the login in `{SMTP_URL}`"));
    [
        ("`user` and the password", login.as_str()),
        ("`user` and `password-file`", &login),
        ("`user`, `password-file`, `server`", &server),
        ("`user`", &login),
        ("`server`", &server),
        ("`from`", &format!("`{MAIL_FROM}`")),
        ("`to`", &format!("`{MAIL_TO}`")),
    ]
    .iter()
    .fold(text.to_owned(), |text, (keys, variable)| text.replace(keys, variable))
}

/// Returns a value without the one pair of quotes around it.
fn unquoted(value: &OsStr) -> &OsStr {
    match value.as_bytes() {
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last && !inner.contains(quote) => {
            OsStr::from_bytes(inner)
        }
        _ => value,
    }
}

/// Shows the names alone: the values hold secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a variable or its twin says.
pub(super) struct Setting {
    /// The variable that was set, for messages.
    pub(super) variable: String,
    /// The value, or what the file holds.
    pub(super) value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_about_keys_speak_of_the_variables_that_stand_for_them() {
        assert_eq!(in_variables("check `user` and `password-file`"), "check the login in `DOCKBELL_SMTP_URL`");
        assert_eq!(in_variables("check `from`: `server` may"), "check `DOCKBELL_MAIL_FROM`: `DOCKBELL_SMTP_URL` may");
        assert_eq!(in_variables("write `smtps://`"), "write `smtps://`");
    }

    #[test]
    fn one_pair_of_quotes_around_a_value_does_not_belong_to_it() {
        for (value, read) in [
            (r#""smtp://u:p@mail""#, Some("smtp://u:p@mail")),
            ("'ops@example.com'", Some("ops@example.com")),
            (r#""Ops" <a@b.c>, "Dev" <d@b.c>"#, Some(r#""Ops" <a@b.c>, "Dev" <d@b.c>"#)),
            (r#""a", "b""#, Some(r#""a", "b""#)),
            (r#"""#, Some(r#"""#)),
            (r#""it's""#, Some("it's")),
            (r#""""#, None),
            ("", None),
        ] {
            let environment = Environment::from_iter([("X", value)]);
            assert_eq!(environment.get("X").and_then(OsStr::to_str), read, "{value}");
        }
    }
}
