//! Restart loops that a group has told of: how each goes on, and how it ended.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::watched::Watched;
use crate::event::{Cause, Event, Fact};
use crate::lifecycle::QUIET;
use crate::text;

/// Loops that are followed at once in a group; how those beyond end is not told. Whoever names containers decides how many there
/// are, and all of them are stored with the group, each in about 150 bytes.
const MOST: usize = 1_000;
/// Restarts that make a loop, where an event does not say how many there were.
const LEAST: u32 = 3;
/// From this number on, [`Fact::Restarts`] is no longer exact.
const MOST_RESTARTS: u32 = 128;
/// Characters of a name.
const NAME: usize = 100;

/// The loops of a group, by engine and container name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Loops(HashMap<String, Loop>);

/// What is known of a container that restarts again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Loop {
    /// Who it is, for people.
    who: String,
    engine: String,
    /// How often it was restarted, since the first restart of the loop.
    restarts: u32,
    /// Whether there may have been more restarts.
    at_least: bool,
    state: State,
    /// What its health check says since its last start; empty where it has none.
    health: String,
    /// When it was last seen to start or to end, by dockbell's clock, in milliseconds since the Unix epoch.
    changed_ms: i64,
    /// Sequence number of the last event that was looked at: after a restart of dockbell, events are read again.
    seen: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Nothing was seen since the loop was noticed.
    Unknown,
    Up,
    /// It ended by itself.
    Down {
        exit_code: Option<String>,
    },
    /// Somebody stopped or killed it.
    Stopped,
}

/// How a loop ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Whether the container has recovered: it is up, and healthy where it has a health check.
    pub(super) recovered: bool,
    /// One line for people.
    pub(super) note: String,
}

impl Loops {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in an event that is told, after [`note`](Self::note); returns whether it only says that a loop goes on that was told
    /// before.
    pub(super) fn tell(&mut self, seq: u64, event: &Event, now: Timestamp) -> bool {
        if event.fact(Fact::Looping).is_none() {
            return false;
        }
        let key = key(event);
        if self.0.contains_key(&key) {
            return true;
        }
        if self.0.len() < MOST {
            self.0.insert(key, Loop::new(seq, event, now));
        }
        false
    }

    /// Takes in what an event says about a known loop, whether the event is told or not; returns whether it says anything.
    pub(super) fn note(&mut self, seq: u64, event: &Event, now: Timestamp) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(known) = self.0.get_mut(&key(event)).filter(|known| known.seen < seq) else { return false };
        known.note(seq, event, now);
        true
    }

    /// Takes out the loops that have ended: those without a start or an end for [`QUIET`], while their engines were watched.
    pub(super) fn take_ended(&mut self, watched: &Watched, now: Timestamp) -> Vec<Outcome> {
        let mut ended: Vec<Loop> = self
            .0
            .extract_if(|_, known| {
                // The clock may have been set back.
                known.changed_ms = known.changed_ms.min(now.as_millisecond());
                let watched = watched.since(&known.engine).map(|since| now.duration_since(since));
                watched.is_some_and(|watched| {
                    let quiet = known.quiet(now).min(watched);
                    quiet.is_positive() && quiet.unsigned_abs() >= QUIET
                })
            })
            .map(|(_, ended)| ended)
            .collect();
        ended.sort_by(|a, b| a.who.cmp(&b.who));
        ended.iter().map(|ended| ended.outcome(now)).collect()
    }
}

/// Whether an event can say how a loop goes on.
pub(super) fn matters(event: &Event) -> bool {
    event.kind == "container" && matches!(event.action.as_str(), "start" | "die" | "stop" | "health_status")
}

fn key(event: &Event) -> String {
    [&*event.engine, "/", event.who()].concat()
}

impl Loop {
    fn new(seq: u64, event: &Event, now: Timestamp) -> Self {
        let who = text::one_line(event.who(), NAME);
        let restarts = event.fact(Fact::Restarts).and_then(|restarts| restarts.parse().ok());
        let mut new = Self {
            engine: event.engine.to_string(),
            who: if event.engine.is_empty() { who } else { format!("{who} ({})", event.engine) },
            restarts: 0,
            at_least: restarts.is_none_or(|restarts| restarts >= MOST_RESTARTS),
            state: State::Unknown,
            health: String::new(),
            changed_ms: now.as_millisecond(),
            seen: seq,
        };
        new.note(seq, event, now);
        new.restarts = restarts.unwrap_or(LEAST);
        new
    }

    fn note(&mut self, seq: u64, event: &Event, now: Timestamp) {
        self.seen = seq;
        match event.action.as_str() {
            "start" => {
                if matches!(self.state, State::Down { .. }) {
                    self.restarts = self.restarts.saturating_add(1);
                }
                (self.state, self.changed_ms) = (State::Up, now.as_millisecond());
                self.health.clear();
            }
            "die" => {
                let cause = event.fact(Fact::Cause);
                let asked = [Cause::Stopped, Cause::Killed].iter().any(|asked| cause == Some(asked.name()));
                let exit_code = || event.fact(Fact::ExitCode).map(str::to_owned);
                self.state = if asked { State::Stopped } else { State::Down { exit_code: exit_code() } };
                self.changed_ms = now.as_millisecond();
            }
            // Of one that waits for its restart there is no further `die`.
            "stop" if self.state != State::Up => self.state = State::Stopped,
            "health_status" => self.health = text::one_line(&event.detail, NAME),
            _ => {}
        }
    }

    /// For how long it has neither started nor ended.
    fn quiet(&self, now: Timestamp) -> SignedDuration {
        SignedDuration::from_millis(now.as_millisecond().saturating_sub(self.changed_ms))
    }

    fn outcome(&self, now: Timestamp) -> Outcome {
        let Self { who, restarts, .. } = self;
        let least = if self.at_least { "at least " } else { "" };
        let restarts = format!("{least}{restarts} restart{}", if *restarts == 1 { "" } else { "s" });
        let quiet = SignedDuration::from_secs(self.quiet(now).as_secs());
        let mut recovered = false;
        let note = match (&self.state, self.health.as_str()) {
            (State::Up, "" | "healthy") => {
                recovered = true;
                let healthy = if self.health.is_empty() { "" } else { " and healthy" };
                format!("{who}: up{healthy} for {quiet:#} after {restarts}")
            }
            (State::Up, health) => {
                format!("{who}: up for {quiet:#} after {restarts}, but its health check says: {health}")
            }
            (State::Down { exit_code: Some(code) }, _) => {
                format!("{who}: stopped restarting after {restarts}, exit code {code}, {quiet:#} ago")
            }
            (State::Down { exit_code: None }, _) => {
                format!("{who}: stopped restarting after {restarts}, {quiet:#} ago")
            }
            (State::Stopped, _) => format!("{who}: was stopped after {restarts}, {quiet:#} ago"),
            (State::Unknown, _) => {
                format!("{who}: no more restarts for {quiet:#} after {restarts}; whether it runs is not known")
            }
        };
        Outcome { recovered, note }
    }
}
