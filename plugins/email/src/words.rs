//! What an event says, in words.

use dockbell_plugin::Event;
use dockbell_plugin::text::{clean, cut};

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Level {
    /// Worth knowing.
    #[default]
    Info,
    /// Trouble has ended.
    Good,
    /// Odd, but nothing is known to be broken.
    Warning,
    /// Something is broken.
    Error,
}

impl Level {
    /// The value of the field `severity`.
    pub(crate) const fn severity(self) -> &'static str {
        match self {
            Self::Info | Self::Good => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Who did what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) who: String,
    pub(crate) what: String,
    /// Both in one, as a subject says it.
    pub(crate) entry: String,
    pub(crate) level: Level,
}

impl Words {
    pub(crate) fn of(event: &Event) -> Self {
        if event.kind == "dockbell" {
            let (what, level) = own(event);
            let what = show(&what, 120);
            return Self { who: "dockbell".to_owned(), entry: what.clone(), what, level };
        }
        let who = Some(show(event.who(), 60)).filter(|who| !who.is_empty()).unwrap_or_else(|| "(no name)".to_owned());
        let who = match event.kind.as_str() {
            "container" | "" => who,
            kind => format!("{} {who}", show(kind, 20)),
        };
        let (what, level) = happened(event);
        let what = show(&what, 60);
        Self { entry: format!("{who} {what}"), who, what, level }
    }
}

/// A value as it is shown: harmless, on one line, and not too long.
pub(crate) fn show(text: &str, limit: usize) -> String {
    // A value of megabytes is not worth reading to its end; what is removed from the rest is not counted on.
    let end = text.char_indices().nth(limit * 8).map_or(text.len(), |(end, _)| end);
    let clean = clean(&text[..end]);
    let shown = cut(clean.trim(), limit);
    if end < text.len() && !shown.ends_with('…') { format!("{shown}…") } else { shown.into_owned() }
}

/// `5m 12s` for a duration such as `312s` in dockbell's facts; anything else is left as it is.
pub(crate) fn duration(text: &str) -> String {
    let Some(seconds) = text.strip_suffix('s').and_then(|digits| digits.parse::<u64>().ok()) else {
        return text.to_owned();
    };
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// The exit code, as dockbell or else as the engine says it (Docker, Podman).
pub(crate) fn exit_code(event: &Event) -> Option<&str> {
    event.fact("exit-code").or_else(|| event.attribute("exitCode")).or_else(|| event.attribute("containerExitCode"))
}

fn happened(event: &Event) -> (String, Level) {
    let exit = exit_code(event).map_or_else(String::new, |code| format!(" (exit {code})"));
    let recovered = event.fact("recovered-after").map(|time| format!(" (recovered after {})", duration(time)));
    match (event.action.as_str(), event.detail.as_str()) {
        ("die" | "died", _) => died(event, &exit),
        ("health_status", "unhealthy") => ("is unhealthy".to_owned(), Level::Error),
        ("health_status", "healthy") => (format!("is healthy{}", recovered.unwrap_or_default()), Level::Good),
        // Not a death: the kernel has ended some process of the container.
        ("oom", _) => ("hit its memory limit".to_owned(), Level::Warning),
        ("kill", _) => killed(event),
        ("pull-error", _) => ("could not be pulled".to_owned(), Level::Warning),
        // The command line can hold secrets; it stands in the detail, and only the program's name is told.
        (action, detail) if action.starts_with("exec") => {
            let program = program(detail).map_or_else(String::new, |name| format!(" ({name})"));
            (format!("{action}{program}{exit}"), Level::Info)
        }
        (action, detail) => {
            let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
            let level = if recovered.is_some() { Level::Good } else { Level::Info };
            (format!("{action}{detail}{}", recovered.unwrap_or_default()), level)
        }
    }
}

fn died(event: &Event, exit: &str) -> (String, Level) {
    let again = event.fact("looping") == Some("true");
    match event.fact("cause") {
        Some("crashed") => (format!("{}{exit}", if again { "keeps crashing" } else { "crashed" }), Level::Error),
        Some("oom") => (if again { "keeps running out of memory" } else { "out of memory" }.to_owned(), Level::Error),
        Some("stopped") => ("was stopped".to_owned(), Level::Info),
        Some("restarted") => ("was restarted".to_owned(), Level::Info),
        Some("killed") => (format!("was killed{}", signal(event)), Level::Warning),
        Some("finished") => (if again { "keeps finishing" } else { "finished" }.to_owned(), Level::Info),
        Some(cause) => (format!("die, {cause}{exit}"), Level::Warning),
        None => match exit_code(event) {
            Some("0") => (format!("die{exit}"), Level::Info),
            Some(_) => (format!("die{exit}"), Level::Error),
            None => ("die".to_owned(), Level::Warning),
        },
    }
}

fn killed(event: &Event) -> (String, Level) {
    let signal = signal(event);
    // A program that can act on the signal was asked for something, as every planned stop begins.
    let asked =
        ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH"].iter().any(|name| signal == format!(" (SIG{name})"));
    (format!("kill{signal}"), if asked { Level::Info } else { Level::Warning })
}

fn signal(event: &Event) -> String {
    let Some(signal) = event.fact("signal").or_else(|| event.attribute("signal")) else { return String::new() };
    let name = match signal {
        "1" => "SIGHUP",
        "2" => "SIGINT",
        "3" => "SIGQUIT",
        "6" => "SIGABRT",
        "9" => "SIGKILL",
        "10" => "SIGUSR1",
        "11" => "SIGSEGV",
        "12" => "SIGUSR2",
        "15" => "SIGTERM",
        "28" => "SIGWINCH",
        name if name.starts_with("SIG") => name,
        number => return format!(" (signal {number})"),
    };
    format!(" ({name})")
}

/// The name of the program of a command line, if it looks like one.
fn program(command: &str) -> Option<&str> {
    let path = command.split_whitespace().next()?;
    let name = path.rsplit('/').next()?;
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '+');
    (!name.is_empty() && name.len() <= 40 && name.chars().all(plain)).then_some(name)
}

/// dockbell's own events.
fn own(event: &Event) -> (String, Level) {
    let engine = &event.engine;
    let subject = |kind: &str| {
        let name = event.attribute(kind).or_else(|| event.attribute("name"));
        name.map_or_else(|| format!("a {kind}"), |name| format!("{kind} {name}"))
    };
    match event.action.as_str() {
        "engine_lost" => (format!("engine {engine} lost"), Level::Error),
        "engine_back" => (format!("engine {engine} back"), Level::Good),
        "gap" => (format!("gap in the events of {engine}"), Level::Error),
        "plugin_failed" => (format!("{} failed", subject("plugin")), Level::Error),
        "plugin_recovered" => (format!("{} works again", subject("plugin")), Level::Good),
        "sink_failed" => (format!("{} failed", subject("sink")), Level::Error),
        "dead_letter" => match event.attribute("messages") {
            Some(count) if count != "1" => {
                (format!("{count} messages to {} were given up", subject("sink")), Level::Error)
            }
            _ => (format!("a message to {} was given up", subject("sink")), Level::Error),
        },
        "reload_failed" => ("the new configuration cannot be used".to_owned(), Level::Error),
        "reloaded" => ("dockbell runs a new configuration".to_owned(), Level::Info),
        "started" => ("dockbell started".to_owned(), Level::Info),
        "stopped" => ("dockbell stopped".to_owned(), Level::Info),
        action => (format!("dockbell {action}"), Level::Info),
    }
}
