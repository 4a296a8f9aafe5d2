//! audit: each event is one line `time engine action who key=value ...`, and no secret of a command is in it.

mod mask;

use std::fmt::Write as _;

use dockbell_plugin::time::{Offset, Time};
use dockbell_plugin::{Alternative, Batch, Event, Formatter, Notification, export_formatter, short_id, text};
use serde::Deserialize;

use crate::mask::Mask;

/// The plugin's table in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Words in whose values are secrets, beside those that [`Mask`] knows.
    #[serde(default)]
    words: Vec<String>,
}

struct Audit {
    mask: Mask,
}

impl Formatter for Audit {
    fn configure(config: &str) -> Result<Self, String> {
        let config: Config = serde_json::from_str(config).map_err(|error| error.to_string())?;
        Ok(Self { mask: Mask::new(config.words)? })
    }

    fn format(&mut self, batch: &Batch) -> Result<Vec<Notification>, String> {
        let mut content: String = batch.events.iter().map(|event| self.line(event) + "\n").collect();
        let told = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
        if batch.total > told {
            let _ = writeln!(content, "# {} more events are not shown", batch.total - told);
        }
        for note in &batch.notes {
            let _ = writeln!(content, "# {}", text::clean(note));
        }
        let plain = Alternative { media_type: "text/plain".to_owned(), content };
        let subject = match batch.events.as_slice() {
            [event] => format!("audit: {}", self.line(event)),
            _ => format!("audit: {} events", batch.total),
        };
        Ok(vec![Notification { subject, alternatives: vec![plain], fields: Vec::new() }])
    }
}

impl Audit {
    fn line(&self, event: &Event) -> String {
        let mut line = format!(
            "{} {} {} {}",
            Time::at(event.time_nanos, Offset::default()).rfc3339(),
            text::clean(&event.engine),
            text::clean(&event.action),
            text::clean(event.who())
        );
        if !event.detail.is_empty() {
            let _ = write!(line, " command={:?}", self.mask.apply(&text::clean(&event.detail)));
        }
        for (key, name) in [("image", "image"), ("exit", "exitCode"), ("exec", "execID"), ("signal", "signal")] {
            if let Some(value) = event.attribute(name) {
                let _ = write!(line, " {key}={}", text::cut(&text::clean(short_id(value)), 80));
            }
        }
        line
    }
}

export_formatter!(Audit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_is_one_line_without_its_secret() {
        let mut audit = Audit::configure(r#"{"words": ["pin"]}"#).unwrap();
        let event = Event {
            engine: "local".to_owned(),
            action: "exec_create".to_owned(),
            detail: "mysql --password=hunter2\n--pin 1234".to_owned(),
            attributes: vec![("name".to_owned(), "db-1".to_owned())],
            ..Event::default()
        };
        let batch = Batch { total: 1, events: vec![event], ..Batch::default() };
        let made = audit.format(&batch).unwrap();
        let line = "1970-01-01T00:00:00.000000000Z local exec_create db-1 command=\"mysql --password=*** --pin ***\"";
        assert_eq!(made[0].alternatives[0].content, format!("{line}\n"));
        assert_eq!(made[0].subject, format!("audit: {line}"));
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let mut audit = Audit::configure("{}").unwrap();
        let batch = Batch { total: 7, events: vec![Event::default()], ..Batch::default() };
        assert!(audit.format(&batch).unwrap()[0].alternatives[0].content.ends_with("# 6 more events are not shown\n"));
    }
}
