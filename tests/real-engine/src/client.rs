//! One engine, spoken to through the `docker` command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// One engine on a unix socket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Docker {
    socket: PathBuf,
}

impl Docker {
    /// The engine on this socket.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where it listens, as `DOCKER_HOST` wants it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// `docker` for this engine and no other, without arguments yet. Images are built by the engine itself, since
    /// Debian's package brings no BuildKit client.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.host()).env_remove("DOCKER_CONTEXT").env("DOCKER_BUILDKIT", "0");
        command
    }

    /// Runs `docker` with these arguments; answers what it printed, without the last line end.
    ///
    /// # Errors
    /// When it cannot be run, or fails; with what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        printed(self.command().args(arguments), &format!("docker {}", arguments.join(" ")))
    }
}

/// Runs a command that people know as `called`; answers what it printed, without the last line end.
pub(crate) fn printed(command: &mut Command, called: &str) -> Result<String> {
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("cannot run `{called}`"))?;
    if !status.success() {
        bail!("`{called}` failed ({status}): {}", String::from_utf8_lossy(&stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
}
