//! The program as a process, and `docker events` beside it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dockbell_tests::engine::{ScriptedEngine, container};
use dockbell_tests::smtp::ScriptedSmtp;
use tempfile::TempDir;

use crate::source::Source;

/// How long `docker events` needs for all lines; none where there is no `docker`.
pub(crate) async fn docker_events(lines: &[Bytes]) -> Option<Duration> {
    let mut engine = Source::new(lines);
    let mut child = Command::new("docker")
        .args(["events", "--format", "{{json .}}"])
        .env("DOCKER_HOST", engine.host())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let go = engine.subscribed().await;
    let mut output = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
    let begin = Instant::now();
    go.send(()).unwrap();
    let expected = lines.len();
    let counted = tokio::task::spawn_blocking(move || {
        let mut line = Vec::new();
        for _ in 0..expected {
            line.clear();
            output.read_until(b'\n', &mut line).unwrap();
        }
        begin.elapsed()
    });
    let time = counted.await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    Some(time)
}

/// dockbell at work on a scripted engine and a scripted mail server.
pub(crate) struct Program {
    engine: ScriptedEngine,
    mail: ScriptedSmtp,
    child: Child,
    _folder: TempDir,
}

/// Times from the engine's event to the mail server's acceptance.
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Program {
    pub(crate) async fn start(settle: &str, window: &str) -> Self {
        Self::with_filters(settle, window, &[]).await
    }

    /// With these components as filters of its route.
    pub(crate) async fn with_filters(settle: &str, window: &str, components: &[PathBuf]) -> Self {
        let engine = ScriptedEngine::unix().await;
        let mail = ScriptedSmtp::start().await;
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("dockbell.toml");
        let names: Vec<String> = (0..components.len()).map(|number| format!("filter-{number}")).collect();
        let filters: String = names
            .iter()
            .zip(components)
            .map(|(name, component)| format!("[plugins.{name}]\ncomponent = {component:?}\n"))
            .collect();
        let text = format!(
            "{filters}[engines.local]\nhost = \"{}\"\n\
             [routes.default]\nfilters = {names:?}\nsettle = \"{settle}\"\nwindow = \"{window}\"\n[sinks.ops]\ntype = \"email\"\n\
             server = \"smtp://127.0.0.1:{}?tls=none\"\nfrom = \"dockbell@example.com\"\nto = [\"ops@example.com\"]\n",
            engine.host(),
            mail.port()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_dockbell-under-test"))
            .arg("--config")
            .arg(config)
            .arg("--state")
            .arg(folder.path().join("state"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        engine.subscribed(1).await;
        // What a start leaves behind is given back within moments.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Self { engine, mail, child, _folder: folder }
    }

    /// MiB of a line of `/proc/PID/status`.
    pub(crate) fn memory(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).unwrap();
        value.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// One event after the other, each sent when the mail about the one before was accepted.
    pub(crate) async fn latencies(&mut self, samples: usize) -> Latency {
        let mut times = Vec::new();
        for number in 1..=samples {
            let begin = Instant::now();
            self.engine.send(container("die").name("web-1").attribute("exitCode", "1").line());
            self.mail.wait_for(number).await;
            times.push(begin.elapsed());
        }
        times.sort();
        Latency { p50: times[samples / 2], p99: times[(samples * 99 / 100).min(samples - 1)] }
    }

    /// All lines at once; waits until a whole window of 5 s has told nothing more.
    pub(crate) async fn burst(&mut self, lines: &[Bytes]) {
        self.engine.send_lines(lines.iter().cloned());
        self.mail.wait_for(1).await;
        let mut told = 0;
        while told < self.mail.mails().len() {
            told = self.mail.mails().len();
            tokio::time::sleep(Duration::from_secs(8)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From the start of the process until it has asked for events: the median of nine.
pub(crate) async fn start_to_subscribed() -> Duration {
    let mut times = Vec::new();
    for _ in 0..9 {
        let engine = ScriptedEngine::unix().await;
        let begin = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_dockbell-under-test"))
            .env("DOCKER_HOST", engine.host())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        engine.subscribed(1).await;
        times.push(begin.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    times.sort();
    times[times.len() / 2]
}
