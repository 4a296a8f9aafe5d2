#![doc = include_str!("../README.md")]

mod condition;
mod glob;
mod matcher;
mod refusal;

use dockbell_plugin::{Event, Filter, export_filter};

use condition::Condition;
use refusal::Place;

struct Match(Condition);

impl Filter for Match {
    fn configure(config: &str) -> Result<Self, String> {
        let config = serde_json::from_str(config).map_err(|error| format!("the configuration is not JSON: {error}"))?;
        Condition::compile(&Place::Root, &config).map(Self)
    }

    fn accept(&mut self, event: &Event) -> Result<bool, String> {
        Ok(self.0.holds(event))
    }
}

export_filter!(Match);

#[cfg(test)]
mod tests;
