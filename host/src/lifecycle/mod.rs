//! What happened, from what was emitted: a state machine per container that adds facts to events.
//!
//! Pure: it knows the time from the events alone, so the same events always make the same facts. What it cannot know when
//! an event comes, it does not say later either:
//! - An explicit restart is `kill`, `die`, `stop`, `start` and only then `restart`: its `die` says `stopped`, and the
//!   `restart` itself says `restarted`.
//! - A `stop` that comes behind its `die`, with no signal before that shows it, is seen too late for that `die`. It still
//!   counts: the next start is then no restart of a container that fell.

mod container;
mod history;
mod known;
mod recent;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use crate::event::{Event, Fact};
use container::Container;
use history::History;
pub use history::QUIET;
pub use known::{Containers, Known};
use recent::Recent;

/// How many containers are remembered per engine, running or not; beyond that the longest silent ones are forgotten.
const MOST_CONTAINERS: usize = 10_000;

/// Adds facts to the events of containers.
#[derive(Debug, Default)]
pub struct Lifecycle {
    engines: HashMap<Arc<str>, Engine>,
}

/// What is remembered of an engine.
#[derive(Debug)]
struct Engine {
    /// By id.
    containers: Recent<Container>,
    /// By name, which a recreated container keeps. Not by identity: replicas of a service share that, and three of them
    /// that restart once are no loop.
    histories: Recent<History>,
}

/// What the engine itself says about a container that died, asked after its `die` and before it ran again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inspected {
    /// `State.ExitCode`.
    pub exit_code: Option<i64>,
    /// `State.OOMKilled`.
    pub oom_killed: bool,
}

impl Lifecycle {
    /// A lifecycle that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to an event what follows from it and the events before it. To be called once for each event, in the order of
    /// their arrival.
    pub fn observe(&mut self, event: &mut Event) {
        self.observe_inspected(event, Inspected::default());
    }

    /// Adds to an event that no engine sent what its own words say: who it is about. What it means for the life of the
    /// container is not known, since what came before it was not seen.
    pub fn infer(&mut self, event: &mut Event) {
        if let Some(identity) = container::identity(event) {
            add(event, Fact::Identity, identity);
        }
        if let Some(engine) = self.engines.get_mut(&event.engine) {
            engine.containers.remove(&event.actor_id);
        }
    }

    /// The same as [`observe`](Self::observe) for a `die` after which the engine was asked: what it said wins over the event's attributes, which labels
    /// can forge.
    pub fn observe_inspected(&mut self, event: &mut Event, inspected: Inspected) {
        if event.kind != "container" || says_nothing_about_life(&event.action) {
            return;
        }
        if event.actor_id.is_empty() {
            if let Some(identity) = container::identity(event) {
                add(event, Fact::Identity, identity);
            }
            return;
        }
        let engine = self.engines.entry(Arc::clone(&event.engine)).or_insert_with(Engine::new);
        engine.observe(event, inspected);
    }
}

impl Engine {
    fn new() -> Self {
        Self { containers: Recent::new(MOST_CONTAINERS), histories: Recent::new(MOST_CONTAINERS) }
    }

    fn observe(&mut self, event: &mut Event, inspected: Inspected) {
        let container = self.containers.entry(&event.actor_id);
        container.learn(event);
        let name = container.name().unwrap_or(&event.actor_id);
        let history = self.histories.entry(name);
        container.observe(event, history, inspected);
        if event.action == "destroy" {
            self.containers.remove(&event.actor_id);
        }
    }
}

/// Whether an action is none of a container's life: somebody looked into it, ran a command in it or copied files. These are
/// most of a busy engine's events (three for each health probe), so they cost one comparison and no memory.
fn says_nothing_about_life(action: &str) -> bool {
    action.starts_with("exec")
        || matches!(
            action,
            "attach" | "detach" | "resize" | "top" | "archive-path" | "extract-to-dir" | "copy" | "export"
        )
}

/// Adds a fact, in place of what is there of that name.
fn add(event: &mut Event, fact: Fact, value: impl Into<CompactString>) {
    event.facts.retain(|(known, _)| *known != fact);
    event.facts.push((fact, value.into()));
}
