//! What can go wrong with a plugin, and what its user can do about it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ask::Ask;
use super::runtime::Role;
use crate::config::{Located, PluginConfig, Sha256, locate};
use crate::text::one_line;

/// Bytes kept of a text out of a component, a plugin or the file system where it enters an error.
const MAX_TEXT: usize = 1024;

/// Why a plugin cannot be used at all. Stops the start.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The file of the component cannot be read.
    #[error(
        "plugin `{plugin}`: cannot read `{}`: {error}\nhint: `component` is the path of a component (relative paths start at the configuration file) or one of the bundled plugins: {}", outside(path.display()), bundled_names()
    )]
    Unreadable {
        /// The plugin's name in the configuration.
        plugin: String,
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not the one that the configuration names.
    #[error(
        "plugin `{plugin}`: `{component}` has another content than its `sha256` says: {found}, not {expected}\nhint: if you have changed it yourself, write `sha256 = \"{found}\"`; else it was damaged or exchanged"
    )]
    OtherContent {
        /// The plugin's name in the configuration.
        plugin: String,
        /// What `component` said.
        component: String,
        /// What `sha256` says.
        expected: Sha256,
        /// The digest of what was found.
        found: Sha256,
    },
    /// The file holds something else.
    #[error(
        "plugin `{plugin}`: `{component}` is not a WebAssembly component: {reason}\nhint: build it for the world `filter-plugin` or `formatter-plugin` of `wit/v0.1`; a compiled `.cwasm` or text is not accepted"
    )]
    NotAComponent {
        /// The plugin's name in the configuration.
        plugin: String,
        /// What `component` said.
        component: String,
        /// What was found instead.
        reason: String,
    },
    /// Compiling it would cost more than any plugin may.
    #[error(
        "plugin `{plugin}` cannot be compiled: `{component}` wants more than {limit}\nhint: build it optimised and without what it does not use; other plugins need a fraction of that"
    )]
    TooCostly {
        /// The plugin's name in the configuration.
        plugin: String,
        /// What `component` said.
        component: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The compiler ended before it was done.
    #[error(
        "plugin `{plugin}`: compiling `{component}` broke off: {reason}\nhint: try again with more free memory; if that does not help, the component is damaged or hits a fault of the compiler: build it again"
    )]
    NotCompiled {
        /// The plugin's name in the configuration.
        plugin: String,
        /// What `component` said.
        component: String,
        /// How it ended.
        reason: String,
    },
    /// It was built for another version of the interface.
    #[error(
        "plugin `{plugin}` was built for version {found} of the plugin interface, this dockbell serves {served}\nhint: build it again with the WIT files of `wit/v0.1`"
    )]
    WrongVersion {
        /// The plugin's name in the configuration.
        plugin: String,
        /// The version it was built for.
        found: String,
        /// The versions served.
        served: &'static str,
    },
    /// It does not export what its place in a route needs.
    #[error(
        "plugin `{plugin}` is not a {wanted}: it lacks the export `{lacks}`\nhint: build it for the world `{wanted}-plugin` of `wit/v0.1`{}", elsewhere(.is)
    )]
    WrongWorld {
        /// The plugin's name in the configuration.
        plugin: String,
        /// What the route needs.
        wanted: Role,
        /// The interface that is missing.
        lacks: String,
        /// What it is instead, if anything.
        is: Option<Role>,
    },
    /// It needs what the sandbox does not give.
    #[error(
        "plugin `{plugin}` imports what dockbell does not offer: {}\nhint: a plugin may import `dockbell:plugin/logging`, what can be granted (`dockbell:plugin/state`, `wasi:http`), and WASI 0.2 (with nothing in it but what is granted)", imports.join(", ")
    )]
    UnknownImports {
        /// The plugin's name in the configuration.
        plugin: String,
        /// The imports in question.
        imports: Vec<String>,
    },
    /// It needs what its table does not grant.
    #[error(
        "plugin `{plugin}` needs what it is not granted: it imports {}{}", imports.join(", "), lines_to_add(.plugin, .asks, .file.as_deref())
    )]
    NotGranted {
        /// The plugin's name in the configuration.
        plugin: String,
        /// The imports in question.
        imports: Vec<String>,
        /// What they ask for.
        asks: Vec<Ask>,
        /// The configuration file that has the plugin's table.
        file: Option<PathBuf>,
    },
    /// Its imports or exports have other types than the interface says.
    #[error(
        "plugin `{plugin}` does not fit the plugin interface: {reason}\nhint: build it again with the WIT files of `wit/v0.1`"
    )]
    Misfit {
        /// The plugin's name in the configuration.
        plugin: String,
        /// What does not fit.
        reason: String,
    },
    /// It did not survive its start.
    #[error("plugin `{plugin}` cannot be started: {error}{}", whose_fault(.error))]
    NotStarted {
        /// The plugin's name in the configuration.
        plugin: String,
        /// What happened.
        error: CallError,
    },
    /// It refused its configuration.
    #[error("plugin `{plugin}` refuses its configuration: {}", refusal(.plugin, .reason, .located.as_ref()))]
    Configuration {
        /// The plugin's name in the configuration.
        plugin: String,
        /// The plugin's own words.
        reason: String,
        /// Where that stands in the configuration file.
        located: Option<Located>,
    },
}

impl Refused {
    /// Returns the error for a plugin that refuses its configuration, with the place in the file.
    pub(super) fn configuration(plugin: &str, config: &PluginConfig, reason: String) -> Self {
        Self::Configuration { plugin: plugin.to_owned(), located: locate(plugin, config, &reason), reason }
    }
}

/// What a plugin refuses, where it stands, and how to mend it. The reason is one line, in which the plugin's own hint stands behind `hint: `.
fn refusal(plugin: &str, reason: &str, located: Option<&Located>) -> String {
    let (what, hint) = reason.split_once(" hint: ").map_or((reason, None), |(what, hint)| (what, Some(hint)));
    let place = located.map_or_else(String::new, |located| format!("\n--> {}", located.place));
    let hint = located.and_then(|located| located.hint.as_deref()).or(hint);
    let hint = hint.map_or_else(|| format!("see `config` in `[plugins.{plugin}]`"), str::to_owned);
    format!("{what}{place}\nhint: {hint}")
}

/// Why one call failed. Where the plugin did not come to an end by itself (a trap, a timeout, a memory refusal) its instance
/// is gone, and the next call has a fresh one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin itself returned an error.
    #[error("it answered with an error: {0}")]
    Failed(String),
    /// The plugin crashed.
    #[error("it trapped: {0}")]
    Trapped(String),
    /// The call took longer than `timeout`.
    #[error("it took longer than {}\nhint: `timeout` in the plugin's table allows more", humane(.0))]
    TimedOut(Duration),
    /// The plugin wanted more memory than `memory` allows.
    #[error("it wanted more than its {} MiB of memory\nhint: `memory` in the plugin's table allows more", .0 >> 20)]
    OutOfMemory(usize),
    /// The system has no addresses for the memory of an instance; with the limit on them, in bytes, if there is one.
    #[error("the system has no room for its memory (`ENOMEM`)\nhint: {}", more_addresses(*.0))]
    NoAddresses(Option<u64>),
    /// The plugin wanted larger function tables than any plugin gets.
    #[error("it wanted more than {0} table entries")]
    TableFull(usize),
    /// The plugin held more of the host's resources than any plugin gets.
    #[error("it held more than {0} files, streams, requests, sets of header fields and the like at once")]
    TooManyResources(usize),
    /// Operations on files of its earlier instances did not end.
    #[error(
        "{0} of its earlier operations on files did not end\nhint: look at the folders of `dirs` in the plugin's table: a file system that hangs, or a file whose reader waits"
    )]
    FilesHang(usize),
    /// What it was granted is not there any more.
    #[error("what it is granted is not there: {0}\nhint: bring it back, or take it out of the plugin's table")]
    GrantGone(String),
    /// A folder that it was granted was not open in time.
    #[error(
        "the folder `{folder}` of the plugin `{plugin}` was not opened within {} s\nhint: look at its file system (`stat {folder}`), which hangs, or take the folder out of `dirs` in the plugin's table", limit.as_secs()
    )]
    FolderHangs {
        /// Name of the plugin.
        plugin: String,
        /// The folder on this machine.
        folder: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// What it returned is not what the interface asks for.
    #[error("its answer cannot be used: {0}")]
    BadAnswer(String),
}

impl CallError {
    /// A word for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Failed(_) => "error",
            Self::Trapped(_) => "trap",
            Self::TimedOut(_) => "timeout",
            Self::OutOfMemory(_) | Self::NoAddresses(_) | Self::TableFull(_) => "memory",
            Self::TooManyResources(_) => "resources",
            Self::GrantGone(_) | Self::FilesHang(_) | Self::FolderHangs { .. } => "grant",
            Self::BadAnswer(_) => "answer",
        }
    }

    /// Returns the error for an instance whose memory cannot be mapped.
    pub(super) fn no_addresses() -> Self {
        Self::NoAddresses(rustix::process::getrlimit(rustix::process::Resource::As).current)
    }

    /// The message without its hint, for places with one line.
    #[must_use]
    pub fn brief(&self) -> String {
        let text = self.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    }
}

/// Returns text from outside as one line, so that whatever shows the error may show it.
pub(super) fn outside(text: impl fmt::Display) -> String {
    one_line(&text.to_string(), MAX_TEXT)
}

fn bundled_names() -> String {
    super::BUNDLED.map(|bundled| format!("`{}`", bundled.name)).join(", ")
}

/// The exact lines, and where they belong.
fn lines_to_add(plugin: &str, asks: &[Ask], file: Option<&Path>) -> String {
    let file = file.map_or("the configuration".to_owned(), |file| format!("`{}`", file.display()));
    let line = |ask: &Ask| {
        format!("\nhint: so that it may {}, add to `[plugins.{plugin}]` in {file}: {}", ask.purpose(), ask.line())
    };
    asks.iter().map(line).collect()
}

fn elsewhere(is: &Option<Role>) -> String {
    match is {
        Some(Role::Filter) => "; it is a filter: name it under `filters` of a route".to_owned(),
        Some(Role::Formatter) => "; it is a formatter: name it as `formatter` of a route".to_owned(),
        None => String::new(),
    }
}

/// A hint for what no setting mends; the other failures carry their own.
fn whose_fault(source: &CallError) -> &'static str {
    match source {
        CallError::Trapped(_) | CallError::TableFull(_) | CallError::TooManyResources(_) => {
            "\nhint: this is a fault of the plugin: show its author this message and what it logged"
        }
        _ => "",
    }
}

/// How an instance gets its addresses: wasmtime reserves 4 GiB and a guard region for each memory, of which only what the plugin
/// uses becomes memory.
fn more_addresses(limit: Option<u64>) -> String {
    match limit {
        Some(bytes) => format!(
            "dockbell's address space is limited to {} MiB, and each plugin reserves over 4 GiB of addresses, not of memory: \
             remove the limit (`ulimit -v unlimited`, in a unit `LimitAS=infinity`)",
            bytes >> 20
        ),
        None => "the machine is out of memory, or its kernel counts reserved addresses as memory: see \
                 `vm.overcommit_memory` and the memory limit of the container or unit"
            .to_owned(),
    }
}

pub(super) fn humane(limit: &Duration) -> String {
    if limit.subsec_millis() == 0 { format!("{} s", limit.as_secs()) } else { format!("{} ms", limit.as_millis()) }
}
