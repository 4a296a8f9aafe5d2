//! The bundled filter `match`: conditions on what an event says.

use dockbell_plugin::{Event, Filter, export_filter};

struct Match {
    kinds: Vec<String>,
    actions: Vec<String>,
}

fn strings(value: &serde_json::Value) -> Result<Vec<String>, String> {
    match value {
        serde_json::Value::String(one) => Ok(vec![one.clone()]),
        serde_json::Value::Array(many) => {
            many.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(|| format!("{one}: not a string"))).collect()
        }
        other => Err(format!("{other}: not a string")),
    }
}

impl Filter for Match {
    fn configure(config: &str) -> Result<Self, String> {
        let config: serde_json::Value = serde_json::from_str(config).map_err(|error| error.to_string())?;
        let mut this = Self { kinds: vec![], actions: vec![] };
        for (key, value) in config.as_object().ok_or("not a table")? {
            match key.as_str() {
                "kind" => this.kinds = strings(value)?,
                "action" => this.actions = strings(value)?,
                _ => return Err(format!("{key}: unknown key")),
            }
        }
        Ok(this)
    }

    fn accept(&mut self, event: &Event) -> Result<bool, String> {
        Ok((self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.actions.is_empty() || self.actions.contains(&event.action)))
    }
}

export_filter!(Match);
