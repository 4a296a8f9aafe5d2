//! What is shown of an event below its line.

use dockbell_plugin::{Event, short_id};

use crate::words::{duration, exit_code, show};

/// How many characters of a value are shown.
const VALUE: usize = 200;
/// How many attributes of an event are shown. An image may carry as many labels as it likes.
const ATTRIBUTES: usize = 20;
/// How many characters of a value are shown where the events of a mail have too much to say.
const SHORT_VALUE: usize = 40;
/// How many bytes the details of all events of a mail may have, as they are sent. Programs show the first 102 KB of a mail
/// (Gmail), and its text is cut at 512 KiB.
const ALL_DETAILS: usize = 96 << 10;
/// How many lines of a text such as the end of a log are shown: the last ones.
const LINES: usize = 20;

/// Attributes that stand in the event's line already, or say nothing to people.
const NOISE: [&str; 9] = [
    "name",
    "image",
    "exitCode",
    "containerExitCode",
    "signal",
    "execID",
    "maintainer",
    "com.docker.swarm.task",
    "podId",
];
const NOISY_PREFIXES: [&str; 6] = [
    "com.docker.compose.",
    "org.opencontainers.",
    "org.label-schema.",
    "desktop.docker.io",
    "com.docker.desktop.",
    "io.buildah.",
];

/// What is shown of an event below its line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// dockbell's own facts, in words.
    pub(crate) facts: Vec<String>,
    /// The engine's attributes, labels among them.
    pub(crate) attributes: Vec<(String, String)>,
    /// How many more attributes there are.
    pub(crate) more: usize,
    /// Texts of several lines, with their names.
    pub(crate) texts: Vec<(String, Vec<String>)>,
}

impl Details {
    /// `what` and `who` are what the event's line says already. The engine's name is told where it cannot be told once
    /// for all events.
    pub(crate) fn of(event: &Event, who: &str, what: &str, engine: bool) -> Self {
        let mut details = Self::default();
        if engine {
            details.facts.push(format!("engine {}", show(&event.engine, 60)));
        }
        for (name, value) in &event.facts {
            if value.trim_end().contains('\n') {
                details.texts.push((show(name, 60), last_lines(value)));
            } else if let Some(fact) = fact(event, name, value, who, what) {
                details.facts.push(show(&fact, VALUE));
            }
        }
        let mut attributes =
            event.attributes.iter().filter(|(name, value)| !value.is_empty() && !is_noise(event, name));
        details.attributes.extend(
            attributes.by_ref().take(ATTRIBUTES).map(|(name, value)| (show(name, 80), attribute(event, name, value))),
        );
        details.more = attributes.count();
        details
    }
}

impl Details {
    /// About how many bytes they have when they are sent: a mail has three for each byte that is not ASCII.
    fn bytes(&self) -> usize {
        let pairs = self.attributes.iter().map(|(name, value)| bytes(name) + bytes(value) + 5);
        let texts = self.texts.iter().flat_map(|(name, lines)| lines.iter().chain([name]));
        let facts = self.facts.iter().map(|fact| bytes(fact) + 3);
        pairs.sum::<usize>() + texts.map(|line| bytes(line) + 16).sum::<usize>() + facts.sum::<usize>()
    }

    /// Shortens them to about `most` bytes: values first, then attributes and the older lines of texts are left out. The
    /// facts stay.
    fn shorten(&mut self, most: usize) {
        for (_, value) in &mut self.attributes {
            *value = show(value, SHORT_VALUE);
        }
        let mut all = self.bytes();
        while all > most
            && let Some((name, value)) = self.attributes.pop()
        {
            all -= bytes(&name) + bytes(&value) + 5;
            self.more += 1;
        }
        for (_, lines) in &mut self.texts {
            while all > most && lines.len() > 1 {
                all -= bytes(&lines.remove(0)) + 16;
            }
        }
    }
}

/// Gives each event of a mail its fair share: where all details together have too much, those with the most are shortened,
/// and no event is left out for the sake of another's labels.
pub(crate) fn share<'a>(all: impl Iterator<Item = &'a mut Details>) {
    let mut all: Vec<_> = all.map(|details| (details.bytes(), details)).collect();
    if all.iter().map(|(bytes, _)| bytes).sum::<usize>() <= ALL_DETAILS {
        return;
    }
    all.sort_by_key(|(bytes, _)| *bytes);
    let (mut left, mut others) = (ALL_DETAILS, all.len());
    for (bytes, details) in all {
        let equal = left / others;
        if bytes > equal {
            details.shorten(equal);
        }
        left = left.saturating_sub(bytes.min(equal));
        others -= 1;
    }
}

fn bytes(text: &str) -> usize {
    text.bytes().map(|byte| if byte.is_ascii() { 1 } else { 3 }).sum()
}

fn fact(event: &Event, name: &str, value: &str, who: &str, what: &str) -> Option<String> {
    let is_die = matches!(event.action.as_str(), "die" | "died");
    match name {
        // Told by the line.
        "cause" if is_die => None,
        "exit-code" => exit_code(event).filter(|_| !what.contains("(exit ")).map(|code| format!("exit {code}")),
        "signal" if what.contains("SIG") || what.contains("signal") => None,
        "looping" if what.starts_with("keeps") => None,
        "recovered-after" if what.contains("recovered") => None,
        "identity" if value == who => None,
        // Told in words.
        "identity" => Some(format!("service {value}")),
        "signal" => Some(format!("signal {value}")),
        "up-for" => Some(format!("ran for {}", duration(value))),
        "restarts" if value == "1" => Some("restarted once in 10 minutes".to_owned()),
        "restarts" => Some(format!("restarted {value} times in 10 minutes")),
        "looping" if value == "true" => Some("restarts again and again".to_owned()),
        "recovered-after" => Some(format!("recovered after {}", duration(value))),
        "late" if value == "true" => Some("told late, after a reconnect".to_owned()),
        "inferred" if value == "true" => Some("not seen in the stream, but found by looking at the engine".to_owned()),
        _ => Some(format!("{name}: {value}")),
    }
}

/// A value as it is shown. The times of a gap are shown to the second.
fn attribute(event: &Event, name: &str, value: &str) -> String {
    let is_time = event.kind == "dockbell" && event.action == "gap" && matches!(name, "from" | "to");
    match value.split_once('.').filter(|_| is_time) {
        Some((seconds, _)) => show(&format!("{seconds}Z"), VALUE),
        None => show(short_id(value), VALUE),
    }
}

fn is_noise(event: &Event, name: &str) -> bool {
    NOISE.contains(&name)
        || NOISY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || (name.starts_with("com.docker.swarm.") && name.ends_with(".id"))
        || (name == "execDuration" && event.fact("up-for").is_some())
}

fn last_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.trim_end().lines().rev().take(LINES).map(|line| show(line, VALUE)).collect();
    lines.reverse();
    lines
}
