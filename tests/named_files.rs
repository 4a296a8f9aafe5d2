//! Wherever a user names a file, a pipe, a device or a huge file is refused at once: nothing waits for its other end, and
//! nothing is read without end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dockbell::config::{Config, Environment};
use dockbell_tests::engine::container;
use dockbell_tests::program::{Ended, Program, program};
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// The program, with a cache that the tests share: to compile takes long in a debug build.
fn dockbell() -> Command {
    let mut command = program(DOCKBELL);
    command.env("DOCKBELL_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("named-files"));
    command
}

/// What every refusal of what is not a file says.
const NOT_A_FILE: &str = "it is not a file but a pipe, a socket or a device";

/// A pipe that nobody writes to, a socket, devices, and a file of 8 TiB that takes no room; with what is said of each.
struct Odd {
    folder: TempDir,
    _socket: UnixListener,
}

impl Odd {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        assert!(Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
        let socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        File::create(folder.path().join("huge")).unwrap().set_len(8 << 40).unwrap();
        Self { folder, _socket: socket }
    }

    fn paths(&self) -> [(PathBuf, &'static str); 5] {
        let path = |name: &str| self.folder.path().join(name);
        [
            (path("pipe"), NOT_A_FILE),
            (path("socket"), NOT_A_FILE),
            ("/dev/zero".into(), NOT_A_FILE),
            ("/dev/null".into(), NOT_A_FILE),
            (path("huge"), "huge"),
        ]
    }
}

/// What is said of a configuration that is not taken; it must be said in time.
fn refusal(load: impl FnOnce() -> Result<Config, String> + Send + 'static) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(load().map(drop)));
    receiver.recv_timeout(Duration::from_secs(60)).expect("it blocks").expect_err("it was read")
}

#[test]
fn files_of_the_configuration() {
    let odd = Odd::new();
    let email = "[sinks.a]\ntype = \"email\"\nto = [\"a@example.com\"]\nfrom = \"b@example.com\"\n";
    let server = "server = \"smtp://mail.example.com\"\nuser = \"me\"\n";
    let webhook = "[sinks.a]\ntype = \"webhook\"\n";
    let url = "url = \"https://example.com/hook\"\n";
    let keys = [
        format!("{email}server-file = FILE\n"),
        format!("{email}{server}password-file = FILE\n"),
        format!("{email}{server}auth = \"xoauth2\"\ntoken-file = FILE\n"),
        format!("{webhook}url-file = FILE\n"),
        format!("{webhook}{url}headers-file = FILE\n"),
        format!("{webhook}{url}secret-file = FILE\n"),
        "[sinks.a]\ntype = \"notify\"\nurl-file = FILE\n".to_owned(),
    ];
    for (path, said) in odd.paths() {
        for key in &keys {
            let text = key.replace("FILE", &format!("\"{}\"", path.display()));
            let refused = refusal(move || {
                Config::parse(Path::new("dockbell.toml"), &text, &Environment::default()).map_err(|e| e.to_string())
            });
            assert!(refused.contains(said) && refused.contains("\nhint: "), "{key}: {refused}");
        }
        let file = path.clone();
        let refused = refusal(move || Config::load(Some(&file), &Environment::default()).map_err(|e| e.to_string()));
        assert!(refused.contains(said) && refused.contains("\nhint: "), "{refused}");
        let environment = [("DOCKBELL_SMTP_URL_FILE", path.clone())].into_iter().collect::<Environment>();
        let refused = refusal(move || Config::from_environment(&environment).map_err(|e| e.to_string()));
        assert!(refused.contains(said) && refused.contains("\nhint: "), "{refused}");
    }
}

#[test]
fn certificates() {
    let odd = Odd::new();
    for (path, said) in odd.paths() {
        let said = if said == NOT_A_FILE { said } else { "the limit is 4194304 bytes" };
        for text in [
            "[sinks.a]\ntype = \"webhook\"\nurl = \"https://127.0.0.1:1/hook\"\nca = FILE\n[routes.a]\nto = \"a\"\n",
            "[engines.a]\nhost = \"tcp://127.0.0.1:1\"\ntls = { ca = FILE }\n",
            "[engines.a]\nhost = \"tcp://127.0.0.1:1\"\ntls = { cert = FILE, key = FILE }\n",
        ] {
            let config = odd.folder.path().join("dockbell.toml");
            fs::write(&config, text.replace("FILE", &format!("\"{}\"", path.display()))).unwrap();
            let Ended { status, output, log } =
                Program::start(dockbell().args(["check", "--config"]).arg(&config)).ended();
            assert_eq!(status.code(), Some(1), "{text}: {output}{log}");
            assert!(format!("{output}{log}").contains(said), "{text}: {output}{log}");
        }
    }
}

#[test]
fn files_that_the_command_line_names() {
    let odd = Odd::new();
    let events = odd.folder.path().join("events.jsonl");
    fs::write(&events, container("die").name("web").line() + "\n").unwrap();
    let events = events.to_str().unwrap();
    for (path, said) in odd.paths() {
        let said = if said == NOT_A_FILE { said } else { "the limit is" };
        let path = path.to_str().unwrap();
        for arguments in [
            &["plugin", "test", "match", "--events", events, "--expect", path][..],
            &["plugin", "test", "match", "--events", events, "--config", &format!("@{path}")],
            &["plugin", "inspect", path],
        ] {
            let Ended { status, output, log } = Program::start(dockbell().args(arguments)).ended();
            assert_eq!((status.code(), &*output), (Some(1), ""), "{arguments:?}: {log}");
            assert!(log.contains(said) && log.contains(path), "{arguments:?}: {log}");
        }
    }
}

/// A recording is a stream, as from `<(docker events …)`: it is read line by line, however long it is.
#[test]
fn a_recording_may_come_through_a_pipe() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let to = pipe.clone();
    thread::spawn(move || fs::write(to, container("die").name("web").line() + "\n"));
    let Ended { status, output, log } = Program::start(dockbell().arg("replay").arg(&pipe)).ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(output.contains("web die"), "{output}");
}
