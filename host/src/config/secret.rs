//! Secrets, and where they are read anew each time one is needed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::SmtpServer;
use super::file;
use super::problem::Mistake;

/// How long reading a file or running a command may take. Commands that fetch a token ask a server for it.
const LIMIT: Duration = Duration::from_secs(30);

/// Most that a command may print: 64 KiB, as of a file.
const LARGEST: u64 = 64 << 10;

/// A secret, or where it is. A file or command is asked anew each time, so that a changed password or a fresh token holds
/// without a restart. `Debug` shows where it is, never what it is.
#[derive(Clone)]
pub enum Secret {
    /// The secret itself.
    Text(SecretString),
    /// A file that holds it; a newline at its end is not part of it.
    File(PathBuf),
    /// A file that holds the URL of a mail server, of which the password is meant.
    ServerFile(PathBuf),
    /// A command and its arguments that prints it; no shell is between.
    Command(Vec<String>),
}

impl Secret {
    /// A secret that is there as text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(SecretString::from(text))
    }

    /// The secret as it is now.
    ///
    /// # Errors
    /// A file that cannot be read, a command that fails, prints nothing or too much, or takes longer than 30 s.
    pub async fn read(&self) -> Result<SecretString, Mistake> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => in_time(path, |path| file::read_value(path).map(SecretString::from)).await,
            Self::ServerFile(path) => in_time(path, server_password).await,
            Self::Command(command) => printed(command).await,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Secret(***)"),
            Self::File(path) | Self::ServerFile(path) => write!(f, "Secret(`{}`)", path.display()),
            Self::Command(command) => write!(f, "Secret(command `{}`)", name(command)),
        }
    }
}

/// Reads a file beside the other work: it may be on a disk that does not answer.
async fn in_time(
    path: &Path,
    read: impl FnOnce(&Path) -> Result<SecretString, Mistake> + Send + 'static,
) -> Result<SecretString, Mistake> {
    let owned = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || read(&owned));
    match timeout(LIMIT, reading).await {
        Ok(Ok(read)) => read,
        _ => Err(Mistake::new(
            format!("cannot read `{}`: no answer within {} s", path.display(), LIMIT.as_secs()),
            "is it on a disk or a server that does not answer?",
        )),
    }
}

fn server_password(path: &Path) -> Result<SecretString, Mistake> {
    let server: SmtpServer = file::read_value(path)?.parse()?;
    match server.login.map(|login| login.secret) {
        Some(Secret::Text(password)) => Ok(password),
        _ => Err(Mistake::new(
            format!("`{}` holds no login any more", path.display()),
            "write `smtp://user:password@host` into it",
        )),
    }
}

async fn printed(command: &[String]) -> Result<SecretString, Mistake> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Mistake::plain("the command is empty"));
    };
    let name = name(command);
    let wrong = |what: String| {
        Mistake::new(format!("command `{name}`: {what}"), "it must print the token, and nothing else, and end with 0")
    };
    let running = async {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What it complains of may hold what it must not show.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut bytes = Vec::new();
        if let Some(output) = child.stdout.take() {
            output.take(LARGEST + 1).read_to_end(&mut bytes).await?;
        }
        if bytes.len() as u64 > LARGEST {
            return Ok((None, bytes));
        }
        Ok((Some(child.wait().await?), bytes))
    };
    let (status, bytes) = match timeout(LIMIT, running).await {
        Ok(Ok(ended)) => ended,
        Ok(Err::<_, std::io::Error>(error)) => return Err(wrong(error.to_string())),
        Err(_) => return Err(wrong(format!("not done within {} s", LIMIT.as_secs()))),
    };
    match status {
        None => return Err(wrong(format!("printed more than {} KiB", LARGEST >> 10))),
        Some(status) if !status.success() => return Err(wrong(format!("ended with {status}"))),
        Some(_) => {}
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("printed what is not UTF-8".to_owned()))?;
    let secret = SecretString::from(text.trim_end_matches(['\r', '\n']));
    if secret.expose_secret().is_empty() { Err(wrong("printed nothing".to_owned())) } else { Ok(secret) }
}

/// A command without its arguments, which may say too much.
fn name(command: &[String]) -> &str {
    command.first().map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of_command(command: &[&str]) -> Result<String, String> {
        let secret = Secret::Command(command.iter().map(ToString::to_string).collect());
        secret.read().await.map(|secret| secret.expose_secret().to_owned()).map_err(|mistake| mistake.to_string())
    }

    #[tokio::test]
    async fn a_command_is_run_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let path = path.to_str().unwrap();
        for token in ["first", "second"] {
            std::fs::write(path, format!("{token}\n")).unwrap();
            assert_eq!(of_command(&["cat", path]).await.unwrap(), token);
        }
    }

    #[tokio::test]
    async fn a_command_that_gives_no_token_is_told_without_what_it_printed() {
        for (command, what) in [
            (&["sh", "-c", "echo hunter2; exit 3"][..], "ended with exit status: 3"),
            (&["true"], "printed nothing"),
            (&["sh", "-c", "yes hunter2"], "printed more than 64 KiB"),
            (&["/nowhere/token"], "No such file"),
        ] {
            let error = of_command(command).await.unwrap_err();
            assert!(error.contains(what) && error.contains("hint:") && !error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn debug_shows_where_a_secret_is_and_not_what_it_is() {
        assert_eq!(format!("{:?}", Secret::text("hunter2")), "Secret(***)");
        assert_eq!(format!("{:?}", Secret::File("/run/x".into())), "Secret(`/run/x`)");
        let command = Secret::Command(vec!["get".to_owned(), "hunter2".to_owned()]);
        assert_eq!(format!("{command:?}"), "Secret(command `get`)");
    }
}
