//! The state directory of the running program: it goes away, which is noticed, told, and ends the program with an error; and
//! its control socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dockbell_tests::engine::{ScriptedEngine, container};
use dockbell_tests::program::{Ended, Program, program, wait_until};
use fixture::{has_own_mounts, mount_tmpfs, with_own_mounts};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// An engine, and a configuration with a route to the terminal.
struct Host {
    engine: ScriptedEngine,
    folder: TempDir,
}

impl Host {
    async fn new() -> Self {
        let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
        let text = format!(
            "hostname = \"web-1\"\ngrace = \"5s\"\n[engines.local]\nhost = \"{}\"\n[routes.default]\n\
             settle = \"0s\"\nwindow = \"0s\"\n",
            engine.host()
        );
        fs::write(folder.path().join("dockbell.toml"), text).unwrap();
        Self { engine, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, state: &Path) -> Command {
        let mut command = program(DOCKBELL);
        command.env("DOCKBELL_STATE", state).env("DOCKBELL_CONFIG", self.path("dockbell.toml"));
        command
    }

    /// Started, and it has told an event.
    async fn watching(&self, state: &Path, times: usize, name: &str) -> Program {
        let program = Program::start(&mut self.command(state));
        self.engine.subscribed(times).await;
        self.engine.send(container("die").name(name).line());
        program.output(|output| output.contains(name));
        program
    }
}

/// It ended by itself, and told why on the terminal, in the log and by its exit status.
fn told_and_failed(program: Program, what: &str) {
    let Ended { status, output, log } = program.ended();
    assert_eq!(status.code(), Some(1), "{what}: {log}");
    assert!(output.contains(" gap ") && output.contains("the state directory is gone"), "{what}: {output}");
    assert!(log.contains("ERROR") && log.contains("error: the state directory is gone"), "{what}: {log}");
    assert!(log.contains("\nhint: bring it back"), "{what}: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_is_removed_or_renamed_is_noticed_and_told() {
    type Loss = (&'static str, fn(&Path));
    let losses: [Loss; 4] = [
        ("removed", |state| fs::remove_dir_all(state).unwrap()),
        ("renamed", |state| fs::rename(state, state.with_extension("old")).unwrap()),
        ("without its lock", |state| fs::remove_file(state.join("dockbell.lock")).unwrap()),
        ("with another database", |state| {
            fs::copy(state.join("state.db"), state.join("copy")).unwrap();
            fs::rename(state.join("copy"), state.join("state.db")).unwrap();
        }),
    ];
    for (what, lose) in losses {
        let host = Host::new().await;
        let state = host.path("state");
        let running = host.watching(&state, 1, "before").await;
        lose(&state);
        told_and_failed(running, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_instance_at_the_same_path_loses_nothing_to_the_one_that_ends() {
    let host = Host::new().await;
    let state = host.path("state");
    let first = host.watching(&state, 1, "before").await;
    // Not removed: it has the files of the first one open, and they stay whole.
    fs::rename(&state, host.path("old")).unwrap();
    let second = host.watching(&state, 2, "after").await;
    let is_stored = || {
        let listed = host.command(&state).args(["outbox", "list", "--only", "sent"]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap().contains("after")
    };
    wait_until(is_stored);
    let log = state.join("state.db-wal");
    assert!(log.exists(), "what is new is in the log");
    told_and_failed(first, "renamed");
    assert!(log.exists(), "it is the second one's");
    second.kill();
    assert!(is_stored());
    // What the first one stored is whole, too.
    let third = host.watching(&host.path("old"), 3, "again").await;
    let Ended { status, log, .. } = third.terminate();
    assert_eq!((status.code(), log.contains("damaged")), (Some(0), false), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_the_state_directory_is_followed_also_when_it_leads_elsewhere() {
    let host = Host::new().await;
    let (state, real, other) = (host.path("state"), host.path("real"), host.path("other"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &state).unwrap();
    let running = host.watching(&state, 1, "before").await;
    assert!(real.join("state.db").exists());
    fs::create_dir(&other).unwrap();
    fs::remove_file(&state).unwrap();
    std::os::unix::fs::symlink(&other, &state).unwrap();
    told_and_failed(running, "leads elsewhere");
}

#[test]
#[ignore = "the process of another user, started by the next test"]
fn ask_as_another_user() {
    let Some(socket) = std::env::var_os("DOCKBELL_TEST_SOCKET") else { return };
    let mut answer = String::new();
    let asked = UnixStream::connect(socket).and_then(|mut stream| {
        let _ = stream.write_all(b"{\"retry\":[]}\n");
        stream.read_to_string(&mut answer)
    });
    println!("\nanswered: {answer:?}, {}", asked.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_socket_is_for_its_owner_alone_and_answers_nobody_else() {
    let host = Host::new().await;
    let state = host.path("state");
    let mut command = Command::new("sh");
    let given = host.command(&state);
    command.args(["-c", "umask 0; exec \"$0\"", DOCKBELL]).env_clear();
    command.envs(given.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let running = Program::start(&mut command);
    host.engine.subscribed(1).await;
    let socket = state.join("control.sock");
    wait_until(|| socket.exists());
    assert_eq!(socket.metadata().unwrap().mode() & 0o7777, 0o600);

    let ours = host.command(&state).args(["outbox", "retry", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).output().unwrap();
    assert!(String::from_utf8(ours.stdout).unwrap().contains("0 messages are to be sent again"));
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can be two users");
        return;
    }
    // Even one who can connect.
    for (path, mode) in [(host.folder.path(), 0o755), (&*state, 0o755), (&*socket, 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let copy = host.path("test");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut other = Command::new(&copy);
    other.args(["ask_as_another_user", "--exact", "--ignored", "--nocapture"]);
    let asked = other.env("DOCKBELL_TEST_SOCKET", &socket).uid(65_534).gid(65_534).output().unwrap();
    let said = String::from_utf8(asked.stdout).unwrap();
    assert!(said.contains("answered: \"\""), "{said}");
    running.logged("Refused a request of another user");
    assert_eq!(running.terminate().status.code(), Some(0));
}

#[test]
fn a_mount_over_the_state_directory_is_noticed() {
    with_own_mounts("mounted_over_inside");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn mounted_over_inside() {
    if !has_own_mounts() {
        return;
    }
    let host = Host::new().await;
    let state = host.path("state");
    let running = host.watching(&state, 1, "before").await;
    mount_tmpfs(&state, 8);
    told_and_failed(running, "mounted over");
}
