//! What a person asks of the running program: a unix socket in the state directory, for the owner of the directory alone.
//!
//! One line of JSON is a request, one line is its answer.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// Name of the socket in the state directory.
const NAME: &str = "control.sock";
/// Longest request: some 40,000 ids.
const LONGEST: u64 = 1 << 20;
/// How long a request or an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Send these messages again: their ids.
    Retry(Vec<String>),
    /// Remove these messages: their ids.
    Drop(Vec<String>),
}

/// How many messages were sent again or removed, or why it was not done.
pub type Answer = Result<u64, String>;

/// Why the running program was not asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens there.
    #[error("no dockbell runs with the state directory `{}`", .0.display())]
    NotRunning(PathBuf),
    /// Somebody listens, but does not answer as it should.
    #[error("the running dockbell does not answer: {error}: `{}`\nhint: is it this version's?", socket.display())]
    NoAnswer {
        /// What went wrong.
        error: std::io::Error,
        /// Where it listens.
        socket: PathBuf,
    },
    /// It answered that it could not do it.
    #[error("{0}")]
    Refused(String),
}

/// Listens in a state directory. A socket that an earlier program left there is replaced: the directory is locked by this one.
///
/// # Errors
/// What the system says, as for a path of more than 107 bytes.
pub fn listen(state: &Path) -> std::io::Result<UnixListener> {
    let path = state.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

/// Answers requests until it is dropped.
pub async fn serve<F: Future<Output = Answer> + Send + 'static>(
    listener: UnixListener,
    answer: impl Fn(Request) -> F + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, perhaps: that passes.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            // Whoever asked and went away has nobody to be told of it.
            let _ = timeout(LIMIT, one(stream, &*answer)).await;
        });
    }
}

async fn one<F: Future<Output = Answer>>(
    mut stream: UnixStream,
    answer: &impl Fn(Request) -> F,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    BufReader::new(reader.take(LONGEST)).read_line(&mut line).await?;
    let said = match serde_json::from_str(&line) {
        Ok(request) => answer(request).await,
        Err(error) => Err(format!("the request cannot be read: {error}")),
    };
    let mut said = serde_json::to_vec(&said)?;
    said.push(b'\n');
    writer.write_all(&said).await?;
    writer.shutdown().await
}

/// Asks the program that runs with a state directory.
///
/// # Errors
/// [`ControlError`].
pub async fn ask(state: &Path, request: &Request) -> Result<u64, ControlError> {
    let path = state.join(NAME);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Err(ControlError::NotRunning(state.to_owned()));
        }
        Err(error) => return Err(ControlError::NoAnswer { error, socket: path }),
    };
    let answered = async {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        (&mut stream).take(LONGEST).read_to_end(&mut answer).await?;
        Ok(serde_json::from_slice::<Answer>(&answer)?)
    };
    let answered = timeout(LIMIT, answered).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    answered
        .map_err(|error: std::io::Error| ControlError::NoAnswer { error, socket: path })?
        .map_err(ControlError::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_answered_and_nonsense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), "left over").unwrap();
        let listener = listen(folder.path()).unwrap();
        tokio::spawn(serve(listener, |request| async move {
            match request {
                Request::Retry(ids) => Ok(ids.len() as u64),
                Request::Drop(_) => Err("not that".to_owned()),
            }
        }));
        let ids = vec!["01".to_owned(), "02".to_owned()];
        assert_eq!(ask(folder.path(), &Request::Retry(ids.clone())).await.unwrap(), 2);
        let refused = ask(folder.path(), &Request::Drop(ids)).await.unwrap_err();
        assert_eq!(refused.to_string(), "not that");
        let mut stream = UnixStream::connect(folder.path().join(NAME)).await.unwrap();
        stream.write_all(b"{}\n").await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.contains("cannot be read"), "{said}");
    }

    #[tokio::test]
    async fn without_a_running_program_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let error = ask(folder.path(), &Request::Retry(vec![])).await.unwrap_err();
        assert!(matches!(error, ControlError::NotRunning(_)), "{error}");
    }
}
