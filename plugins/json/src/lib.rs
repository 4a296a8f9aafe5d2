#![doc = include_str!("../README.md")]

use dockbell_plugin::text::clean;
use dockbell_plugin::{Alternative, Batch, Formatter, Notification, export_formatter};

mod shape;

struct Json {
    hostname: Option<String>,
}

impl Formatter for Json {
    fn configure(config: &str) -> Result<Self, String> {
        let config = serde_json::from_str(config).map_err(|error| format!("the configuration is not JSON: {error}"))?;
        let serde_json::Value::Object(config) = config else {
            return Err("the configuration is not a table".to_owned());
        };
        let mut hostname = None;
        for (key, value) in config {
            match (key.as_str(), value) {
                ("hostname", serde_json::Value::String(name)) => hostname = Some(name),
                ("hostname", value) => return Err(format!("hostname: a string is needed, not {value}")),
                _ => return Err(format!("{key}: unknown key\nhint: the only key here is `hostname`")),
            }
        }
        Ok(Self { hostname })
    }

    fn format(&mut self, batch: &Batch) -> Result<Vec<Notification>, String> {
        let json = shape::json(batch).map_err(|error| error.to_string())?;
        let engine = batch.events.first().map(|event| event.engine.as_str());
        let host = clean(self.hostname.as_deref().or(engine).unwrap_or("dockbell"));
        let events = if batch.total == 1 { "event" } else { "events" };
        Ok(vec![Notification {
            subject: format!("[{host}] {} {events}", batch.total),
            alternatives: ["application/json", "text/plain"]
                .map(|media_type| Alternative { media_type: media_type.to_owned(), content: json.clone() })
                .into(),
            fields: vec![],
        }])
    }
}

export_formatter!(Json);

#[cfg(test)]
mod tests;
