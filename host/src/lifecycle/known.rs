//! What is known of containers, so that after a gap it can be told what happened in it.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// How many containers are remembered per engine; what comes beyond is not compared.
const MOST: usize = 10_000;

/// What was last known of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether it ran.
    pub running: bool,
    /// Its state of health; empty where there is none, or none is known.
    pub health: String,
    /// When it was last seen to start, in nanoseconds since the Unix epoch; 0 if it never was.
    #[serde(default)]
    pub started: i64,
    /// When it was last seen to end, in nanoseconds since the Unix epoch; 0 if it never was.
    #[serde(default)]
    pub ended: i64,
}

/// What is known of the containers of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Containers {
    by_id: HashMap<String, Known>,
    changed: bool,
}

impl Containers {
    /// What was known before.
    pub fn restore(&mut self, all: impl IntoIterator<Item = (String, Known)>) {
        self.by_id = all.into_iter().take(MOST).collect();
    }

    /// Adds those of which nothing is known yet.
    pub fn add(&mut self, all: impl IntoIterator<Item = (String, Known)>) {
        for (id, known) in all {
            if self.by_id.len() < MOST {
                self.by_id.entry(id).or_insert(known);
            }
        }
        self.changed = true;
    }

    /// Puts what there is in the place of what was known, but for what was seen later. What was known of a container that is
    /// there and was not looked at stays so.
    pub fn replace(&mut self, all: impl IntoIterator<Item = (String, Option<Known>)>) {
        let mut before = std::mem::take(&mut self.by_id);
        self.restore(all.into_iter().filter_map(|(id, known)| {
            let before = before.remove(&id);
            let Some(mut known) = known else { return before.map(|before| (id, before)) };
            if let Some(before) = before {
                known.started = known.started.max(before.started);
                known.ended = known.ended.max(before.ended);
            }
            Some((id, known))
        }));
        self.changed = true;
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Takes note of an event.
    pub fn observe(&mut self, event: &Event) {
        if event.kind != "container" || event.actor_id.is_empty() {
            return;
        }
        let id = event.actor_id.as_str();
        match event.action.as_str() {
            "destroy" => self.changed |= self.by_id.remove(id).is_some(),
            "create" | "start" | "die" | "rename" | "health_status" => {}
            _ => return,
        }
        if event.action == "destroy" || (self.by_id.len() >= MOST && !self.by_id.contains_key(id)) {
            return;
        }
        let known = self.by_id.entry_ref(id).or_default();
        match event.action.as_str() {
            "start" => {
                (known.running, known.started) = (true, event.time_nanos);
                known.health.clear();
                self.changed = true;
            }
            "die" => {
                (known.running, known.ended) = (false, event.time_nanos);
                known.health.clear();
                self.changed = true;
            }
            "health_status" => self.changed |= set(&mut known.health, &event.detail),
            _ => {}
        }
        let [name, image] = ["name", "image"].map(|attribute| event.attribute(attribute).unwrap_or_default());
        self.changed |=
            (!name.is_empty() && set(&mut known.name, name)) | (!image.is_empty() && set(&mut known.image, image));
    }

    /// What is known of a container.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Known> {
        self.by_id.get(id)
    }

    /// All that is known, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.by_id.iter().map(|(id, known)| (id.as_str(), known))
    }

    /// Whether something has changed since the last call.
    pub fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

/// Puts a text in the place of another, and returns whether it is another one.
fn set(text: &mut String, new: &str) -> bool {
    let changes = text != new;
    if changes {
        new.clone_into(text);
    }
    changes
}
