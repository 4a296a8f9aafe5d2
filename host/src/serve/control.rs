//! What a person asks of the running program: a unix socket in the state directory, for the owner of the directory and root.
//!
//! One line of JSON is a request, one line is its answer. Each side asks the kernel who the other one is (`SO_PEERCRED`), since
//! the permissions of the socket say only who may connect.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// Name of the socket in the state directory.
const NAME: &str = "control.sock";
/// Longest request: some 40,000 ids.
const LONGEST: u64 = 1 << 20;
/// The permissions of the socket.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;
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
    /// Somebody else listens there.
    #[error(
        "what listens there is not this user's dockbell: {problem}: `{}`\nhint: run this as the user that dockbell runs as",
        socket.display()
    )]
    Foreign {
        /// Whose it is.
        problem: String,
        /// Where it listens.
        socket: PathBuf,
    },
    /// It answered that it could not do it.
    #[error("{0}")]
    Refused(String),
}

/// Listens in a state directory. A socket that an earlier program left there is replaced: the directory is locked by this one.
///
/// The socket gets its permissions before its name: Linux makes the file with those of the socket (`unix_bind_bsd` in
/// net/unix/af_unix.c) less the umask, so there is no moment in which others could connect.
///
/// # Errors
/// What the system says, as for a path of more than 107 bytes.
pub fn listen(state: &Path) -> io::Result<UnixListener> {
    let path = state.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, MODE)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path)?)?;
    // What a narrow umask has taken away.
    rustix::fs::chmod(&path, MODE)?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(net::UnixListener::from(socket))
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
        match stream.peer_cred().map(|peer| peer.uid()) {
            Ok(user) if is_served(user, me()) => {}
            peer => {
                tracing::warn!(user = ?peer.ok(), "Refused a request of another user through the control socket.");
                continue;
            }
        }
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

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether one user answers the requests of another: its own, and those of root.
const fn is_served(client: u32, server: u32) -> bool {
    client == server || client == 0
}

/// Connects to the program that runs with a state directory, if it is one of the directory's owner.
async fn connect(state: &Path) -> Result<UnixStream, ControlError> {
    let socket = state.join(NAME);
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ControlError::NotRunning(state.to_owned()),
        _ => ControlError::NoAnswer { error, socket: state.join(NAME) },
    };
    let foreign = |problem| Err(ControlError::Foreign { problem, socket: state.join(NAME) });
    let (me, owner) = (me(), state.metadata().map_err(failed)?.uid());
    if !is_served(me, owner) {
        return foreign(format!("the directory belongs to user {owner}, and this is user {me}"));
    }
    let about = socket.symlink_metadata().map_err(failed)?;
    if !about.file_type().is_socket() {
        // Nobody listens on what a copy of the directory may have in its place.
        return Err(ControlError::NotRunning(state.to_owned()));
    }
    if about.uid() != owner {
        return foreign(format!("the socket belongs to user {}, and its directory to user {owner}", about.uid()));
    }
    let stream = UnixStream::connect(&socket).await.map_err(failed)?;
    match stream.peer_cred().map_err(failed)?.uid() {
        server if is_served(server, owner) => Ok(stream),
        server => foreign(format!("it runs as user {server}, and its directory belongs to user {owner}")),
    }
}

/// Asks the program that runs with a state directory.
///
/// # Errors
/// [`ControlError`].
pub async fn ask(state: &Path, request: &Request) -> Result<u64, ControlError> {
    let path = state.join(NAME);
    let mut stream = connect(state).await?;
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
    async fn nobody_is_asked_but_the_program_of_the_owner_of_the_directory() {
        if me() != 0 {
            println!("skipped: only root can be two users");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join(NAME);
        let listener = listen(folder.path()).unwrap();
        tokio::spawn(serve(listener, |_| std::future::ready(Ok(1))));
        let refusal = || async {
            match ask(folder.path(), &Request::Retry(vec![])).await.unwrap_err() {
                ControlError::Foreign { problem, .. } => problem,
                other => panic!("{other}"),
            }
        };
        std::os::unix::fs::chown(&socket, Some(12345), None).unwrap();
        assert_eq!(refusal().await, "the socket belongs to user 12345, and its directory to user 0");
        std::os::unix::fs::chown(folder.path(), Some(12345), None).unwrap();
        // What listens there is root's.
        assert_eq!(ask(folder.path(), &Request::Retry(vec![])).await.unwrap(), 1);
    }

    #[test]
    fn requests_of_the_same_user_and_of_root_are_served() {
        assert!(is_served(1000, 1000) && is_served(0, 1000) && is_served(0, 0));
        assert!(!is_served(1000, 0) && !is_served(1000, 1001));
    }

    #[tokio::test]
    async fn without_a_running_program_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let request = Request::Retry(vec![]);
        let asked = || ask(folder.path(), &request);
        assert!(matches!(asked().await.unwrap_err(), ControlError::NotRunning(_)));
        std::fs::write(folder.path().join(NAME), "a copy").unwrap();
        assert!(matches!(asked().await.unwrap_err(), ControlError::NotRunning(_)));
        std::fs::remove_file(folder.path().join(NAME)).unwrap();
        drop(listen(folder.path()).unwrap());
        assert!(matches!(asked().await.unwrap_err(), ControlError::NotRunning(_)));
    }
}
