//! The whole way of an event: a scripted engine, the program as a process with a state directory, a scripted mail server.
//! What was told is read out of what arrived, never asked of the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mailparse::ParsedMail;
use serde::Deserialize;
use tempfile::TempDir;

use crate::engine::{EventLine, ScriptedEngine, container};
use crate::program::{Program, program};
use crate::smtp::{Mail, ScriptedSmtp};

/// How many different actions numbered events have: so many are counted one by one in a digest.
pub const ACTIONS: u32 = 200;
/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An engine, a mail server, and the program between them.
#[derive(Debug)]
pub struct Rig {
    /// The engine.
    pub engine: ScriptedEngine,
    /// The mail server.
    pub mail: ScriptedSmtp,
    binary: String,
    folder: TempDir,
}

impl Rig {
    /// An engine, a mail server and a folder; `binary` is the program under test.
    ///
    /// # Panics
    /// When there is no folder.
    pub async fn new(binary: &str) -> Self {
        let (engine, mail) = (ScriptedEngine::unix().await, ScriptedSmtp::start().await);
        engine.be("engine-1");
        Self { engine, mail, binary: binary.to_owned(), folder: TempDir::new().expect("a folder") }
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A file beside it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration: the engine, a mail sink `ops`, and this. `top` stands above all tables.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, top: &str, rest: &str) {
        self.write(top, rest, "rate = \"unlimited\"\n");
    }

    /// The same with these keys of the mail sink, and nothing above the tables.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure_mail(&self, rest: &str, mail: &str) {
        self.write("", rest, mail);
    }

    fn write(&self, top: &str, rest: &str, mail: &str) {
        let text = format!(
            "hostname = \"host-1\"\n{top}\n[engines.local]\nhost = \"{}\"\n{rest}\n[sinks.ops]\ntype = \"email\"\n\
             server = \"smtp://127.0.0.1:{}?tls=none\"\nfrom = \"dockbell@example.com\"\nto = [\"ops@example.com\"]\n{mail}",
            self.engine.host(),
            self.mail.port()
        );
        fs::write(self.file("dockbell.toml"), text).expect("written");
    }

    /// The program with that configuration and this state directory, ready to start.
    #[must_use]
    pub fn command(&self, state: &Path) -> Command {
        let mut command = program(&self.binary);
        command.arg("watch").arg("--config").arg(self.file("dockbell.toml")).arg("--state").arg(state);
        command
    }

    /// Starts the program, and waits until it reads the engine's events.
    pub async fn start(&self) -> Program {
        self.start_in(&self.state()).await
    }

    /// The same with another state directory.
    pub async fn start_in(&self, state: &Path) -> Program {
        let streams = self.engine.streams();
        let program = Program::start(&mut self.command(state));
        self.engine.subscribed(streams + 1).await;
        program
    }

    /// What the mail server has taken, each message once.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        told(&self.mail.mails())
    }

    /// Waits until what the mail server has taken is as wanted.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn wait_told(&self, wanted: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        self.mail.wait_until(PATIENCE, |mail| wanted(&told(&mail.mails()))).await;
        self.told()
    }
}

/// The event number `number`: each has a name of its own, and one of [`ACTIONS`] actions.
#[must_use]
pub fn numbered(number: u32) -> EventLine {
    container(&format!("a{:03}", number % ACTIONS)).name(&format!("e-{number}"))
}

/// What was told by one message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Told {
    /// The message's id: its `Message-ID`.
    #[serde(skip)]
    pub id: String,
    /// When it arrived.
    #[serde(skip, default = "Instant::now")]
    pub at: Instant,
    /// Its group.
    pub group: String,
    /// Why it was told.
    pub phase: String,
    /// How many events.
    pub total: u64,
    /// How many of each kind and action.
    pub counts: BTreeMap<String, u64>,
    /// The first and the last events.
    pub events: Vec<serde_json::Value>,
    /// What is said beside the events.
    pub notes: Vec<String>,
}

impl Told {
    /// How many events of the engine it tells; the others are dockbell's own.
    #[must_use]
    pub fn of_engine(&self) -> u64 {
        self.counts.iter().filter(|(what, _)| what.starts_with("container ")).map(|(_, count)| count).sum()
    }

    /// The names of the containers that it names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.events.iter().filter_map(|event| event.pointer("/Actor/Attributes/name")?.as_str()).collect()
    }
}

/// What these mails tell, each message once, in the order in which they were taken first.
///
/// # Panics
/// When two mails with one id differ, or one is not the JSON of the formatter `json`.
#[must_use]
pub fn told(mails: &[Mail]) -> Vec<Told> {
    let mut known: BTreeMap<String, &[u8]> = BTreeMap::new();
    let mut all = Vec::new();
    for mail in mails {
        let parsed = mailparse::parse_mail(&mail.bytes).expect("a mail");
        let id = mailparse::MailHeaderMap::get_first_value(&*parsed.headers, "Message-ID").expect("an id");
        if let Some(before) = known.insert(id.clone(), &mail.bytes) {
            assert_eq!(before, mail.bytes, "the same id means the same bytes");
            continue;
        }
        let json = json(&parsed).expect("JSON");
        all.push(Told { id, at: mail.at, ..serde_json::from_str(&json).expect("the JSON of the formatter") });
    }
    all
}

fn json(part: &ParsedMail<'_>) -> Option<String> {
    let within = part.subparts.iter().find_map(json);
    within.or_else(|| (part.ctype.mimetype == "application/json").then(|| part.get_body().expect("text")))
}

/// What the lines of a file sink tell.
///
/// # Panics
/// When one is not the JSON of the formatter `json`.
#[must_use]
pub fn told_in(file: &Path) -> Vec<Told> {
    let text = fs::read_to_string(file).unwrap_or_default();
    // A last line without its end is still being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("the JSON of the formatter")).collect()
}

/// How many events of each action these tell, but for dockbell's own.
#[must_use]
pub fn counted(told: &[Told]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (what, count) in told.iter().flat_map(|told| &told.counts) {
        if let Some(action) = what.strip_prefix("container ") {
            *all.entry(action.to_owned()).or_default() += count;
        }
    }
    all
}

/// How many events there are of each action among these numbers.
#[must_use]
pub fn expected(numbers: impl IntoIterator<Item = u32>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for number in numbers {
        *all.entry(format!("a{:03}", number % ACTIONS)).or_default() += 1;
    }
    all
}

/// How many of dockbell's own events with this action are told.
#[must_use]
pub fn own(told: &[Told], action: &str) -> u64 {
    told.iter().filter_map(|told| told.counts.get(&format!("dockbell {action}"))).sum()
}
