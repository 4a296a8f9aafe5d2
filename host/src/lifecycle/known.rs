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

    /// Puts what there is in the place of what was known.
    pub fn replace(&mut self, all: impl IntoIterator<Item = (String, Known)>) {
        self.restore(all);
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
        let (running, health) = match event.action.as_str() {
            "start" => (true, ""),
            "die" => (false, ""),
            "health_status" => (known.running, event.detail.as_str()),
            _ => (known.running, known.health.as_str()),
        };
        let name = event.attribute("name").unwrap_or(&known.name);
        let image = event.attribute("image").unwrap_or(&known.image);
        if (running, health, name, image) != (known.running, &*known.health, &*known.name, &*known.image) {
            *known = Known { name: name.to_owned(), image: image.to_owned(), running, health: health.to_owned() };
            self.changed = true;
        }
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
