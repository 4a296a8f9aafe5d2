//! my-plugin: one line per event.

use std::fmt::Write as _;

use dockbell_plugin::{Alternative, Batch, Formatter, Notification, export_formatter};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {}

impl Formatter for Lines {
    fn configure(config: &str) -> Result<Self, String> {
        serde_json::from_str(config).map_err(|error| error.to_string())
    }

    fn format(&mut self, batch: &Batch) -> Result<Vec<Notification>, String> {
        let whose = if batch.group.is_empty() { &batch.route } else { &batch.group };
        let mut content = String::new();
        for event in &batch.events {
            let _ = writeln!(content, "{} {} {}", event.engine, event.who(), event.action);
        }
        for note in &batch.notes {
            let _ = writeln!(content, "note: {note}");
        }
        let plain = Alternative { media_type: "text/plain".to_owned(), content };
        let subject = format!("{} events of {whose}", batch.total);
        Ok(vec![Notification { subject, alternatives: vec![plain], fields: Vec::new() }])
    }
}

export_formatter!(Lines);

#[cfg(test)]
mod tests {
    use dockbell_plugin::Event;

    use super::*;

    #[test]
    fn each_event_is_a_line() {
        let attributes = vec![("name".to_owned(), "web-1".to_owned())];
        let event = Event { engine: "local".to_owned(), action: "die".to_owned(), attributes, ..Event::default() };
        let batch = Batch { route: "default".to_owned(), total: 1, events: vec![event], ..Batch::default() };
        let made = Lines {}.format(&batch).unwrap();
        assert_eq!(made[0].subject, "1 events of default");
        assert_eq!(made[0].alternatives[0].content, "local web-1 die\n");
    }
}
