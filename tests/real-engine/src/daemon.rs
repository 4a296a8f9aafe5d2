//! A Docker engine of our own: a `dockerd` that keeps everything in one folder and leaves the machine's network alone.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long an engine may take to answer. On two slow cores it takes about 3 s.
const START: Duration = Duration::from_secs(60);
/// How long an engine may take to stop its containers and end.
const STOP: Duration = Duration::from_secs(30);
/// The longest path of a unix socket, its end included (`sun_path` of Linux).
const SOCKET_PATH: usize = 107;

/// A running `dockerd`; dropping it stops it.
pub struct Dockerd {
    child: Child,
    folder: PathBuf,
}

impl Dockerd {
    /// Starts an engine that keeps its images, containers, socket and log in `folder`, and waits until it answers. A
    /// folder that an earlier engine used is used again, with what it held.
    ///
    /// # Errors
    /// When there is no engine after all: why, with the last lines of its log.
    pub fn start(folder: &Path) -> Result<Self> {
        let path = |name: &str| folder.join(name);
        // containerd's socket is the longest.
        let longest = path("exec/containerd/containerd-debug.sock").as_os_str().len();
        if longest > SOCKET_PATH {
            bail!("the folder's name is {} bytes too long for sockets: `{}`", longest - SOCKET_PATH, folder.display());
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let log = File::create(path("log")).context("cannot make the engine's log")?;
        let errors = log.try_clone().context("cannot make the engine's log")?;
        // The engine ends with this process, however that ends. `setpriv` becomes dockerd, so the process id is its own.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false"]);
        command.arg("--data-root").arg(path("data")).arg("--exec-root").arg(path("exec"));
        command.arg("--pidfile").arg(path("pid"));
        command.arg("--host").arg(format!("unix://{}", path("docker.sock").display()));
        // Should a containerd of the system run, the containers of its other engines are none of ours.
        command.args(["--containerd-namespace", "dockbell", "--containerd-plugins-namespace", "dockbell-plugins"]);
        // Ctrl-C reaches this process alone, not the engine at the same moment.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn().context("cannot run `setpriv`, which runs `dockerd`")?;
        let mut engine = Self { child, folder: folder.to_owned() };
        engine.wait_until_it_answers()?;
        Ok(engine)
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START {
            if answers(&self.socket()) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                bail!("dockerd ended ({status}); its last words:\n{}", self.last_words());
            }
            sleep(Duration::from_millis(50));
        }
        bail!("dockerd did not answer within {} s; its last words:\n{}", START.as_secs(), self.last_words())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let _ = Command::new("sh").args(["-c", "kill \"$0\"", &self.child.id().to_string()]).status();
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > STOP {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            sleep(Duration::from_millis(20));
        }
        unmount_below(&self.folder);
    }
}

/// Whether a container engine answers on this socket.
#[must_use]
pub(crate) fn answers(socket: &Path) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// Takes away what a killed engine left mounted below `folder`, the innermost first, so that it can be deleted.
pub(crate) fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|at| Path::new(at).starts_with(folder));
    let mut below: Vec<&str> = below.collect();
    below.sort_unstable_by_key(|at| std::cmp::Reverse(at.len()));
    for at in below {
        let _ = Command::new("umount").args(["--lazy", at]).status();
    }
}
