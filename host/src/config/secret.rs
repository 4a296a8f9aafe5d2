//! Secrets, and where they are read anew each time one is needed.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use super::SmtpServer;
use super::file;
use super::problem::Mistake;

/// How long reading a file or running a command may take. Commands that fetch a token ask a server for it.
const LIMIT: Duration = Duration::from_secs(30);

/// Most that a command may print: 64 KiB, as of a file.
const LARGEST: usize = 64 << 10;

/// How long is waited for the rest of what a command has printed when it has ended.
const REST: Duration = Duration::from_secs(1);

/// What a command is told of dockbell's environment, beside `LC_*`: who and where it is, the language, and the way to
/// servers. A command that wants more is started by `env`: `["env", "VAULT_ADDR=https://…", "vault", …]`.
#[rustfmt::skip]
const VARIABLES: [&str; 25] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "CREDENTIALS_DIRECTORY",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
];

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
    /// A command and its arguments that prints it; no shell is between. It gets few of dockbell's environment variables, and
    /// what it leaves running is killed.
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
    let (status, bytes) = match timeout(LIMIT, run(program, arguments)).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => return Err(wrong(error.to_string())),
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

/// Runs a command to its end and reads what it prints. No status means that it printed too much. What it has started and left
/// running is ended with it, however this ends.
async fn run(program: &str, arguments: &[String]) -> io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it complains of may hold what it must not show.
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = Group(child.id());
    let (output, mut bytes) = (child.stdout.take(), Vec::new());
    let status = {
        let mut reading = pin!(read_up_to(LARGEST, output, &mut bytes));
        tokio::select! {
            is_all = &mut reading => if is_all? { Some(child.wait().await?) } else { None },
            status = child.wait() => {
                drop(group);
                // It is in the pipe; only what has left its group keeps that open now.
                match timeout(REST, reading).await {
                    Ok(Ok(false)) => None,
                    _ => Some(status?),
                }
            }
        }
    };
    Ok((status, bytes))
}

/// Reads up to a limit; whether that was all.
async fn read_up_to(limit: usize, output: Option<ChildStdout>, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let Some(mut output) = output else { return Ok(true) };
    while output.read_buf(bytes).await? > 0 {
        if bytes.len() > limit {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A command and the processes that it has started, unless they have left its process group. Killed when it is dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // Fails where all have ended. The number is not given to another group while one of them runs.
        let _ = leader.map(|leader| kill_process_group(leader, Signal::KILL));
    }
}

/// Whether a command gets an environment variable of dockbell's. Secrets that are set for dockbell are none of its business.
fn is_passed_on(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| VARIABLES.contains(&name) || name.starts_with("LC_"))
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
    async fn a_command_that_leaves_something_running_is_not_waited_for_and_that_is_ended() {
        let process = of_command(&["sh", "-c", "sleep 300 & echo $!"]).await.unwrap();
        let state = format!("/proc/{process}/stat");
        let has_ended = || std::fs::read_to_string(&state).map_or(true, |stat| stat.contains(") Z "));
        while !has_ended() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // One that has left the group keeps the pipe open.
        assert_eq!(of_command(&["sh", "-c", "setsid sleep 60 & echo token"]).await.unwrap(), "token");
    }

    #[tokio::test]
    async fn a_command_does_not_get_the_environment_of_dockbell() {
        for (name, passed) in [("PATH", true), ("LC_ALL", true), ("https_proxy", true)] {
            assert_eq!(is_passed_on(OsStr::new(name)), passed, "{name}");
        }
        for name in ["DOCKBELL_SMTP_URL", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "DOCKER_HOST"] {
            assert!(!is_passed_on(OsStr::new(name)), "{name}");
        }
        let names = of_command(&["env"]).await.unwrap();
        // `cargo` sets it for its tests.
        assert!(names.contains("PATH=") && !names.contains("CARGO_MANIFEST_DIR="), "{names}");
    }

    #[tokio::test]
    async fn debug_shows_where_a_secret_is_and_not_what_it_is() {
        assert_eq!(format!("{:?}", Secret::text("hunter2")), "Secret(***)");
        assert_eq!(format!("{:?}", Secret::File("/run/x".into())), "Secret(`/run/x`)");
        let command = Secret::Command(vec!["get".to_owned(), "hunter2".to_owned()]);
        assert_eq!(format!("{command:?}"), "Secret(command `get`)");
    }
}
