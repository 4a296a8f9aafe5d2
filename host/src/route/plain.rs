//! dockbell's own rendering, one line per event: `formatter = "plain"`, and what stands in when a formatter fails.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::severity::is_trouble;
use crate::event::{Event, Fact, OWN_KIND};
use crate::message::{Alternative, Batch, Notification, Phase};
use crate::text;

/// Bytes kept of a name or value.
const MAX_VALUE: usize = 400;

/// Renders batches as plain text.
#[derive(Debug, Clone)]
pub struct Plain {
    /// The name of this machine in subjects.
    pub hostname: String,
    /// The zone in which times are shown.
    pub zone: TimeZone,
}

impl Plain {
    /// One message: a subject with the count, one line per event, the notes.
    #[must_use]
    pub fn format(&self, batch: &Batch) -> Notification {
        let mut text = String::new();
        let missing = batch.total as usize - batch.events.len().min(batch.total as usize);
        for (index, event) in batch.events.iter().enumerate() {
            if missing > 0 && index == batch.events.len() / 2 {
                let _ = writeln!(text, "... {missing} events between, counted but not shown ...");
            }
            let _ = writeln!(text, "{}", self.line(event));
        }
        for note in &batch.notes {
            let _ = writeln!(text, "note: {}", clean(note));
        }
        let content = text.trim_end().to_owned();
        Notification {
            subject: self.subject(batch),
            alternatives: vec![Alternative { media_type: "text/plain".to_owned(), content }],
            fields: vec![("severity".to_owned(), severity(batch).to_owned())],
        }
    }

    fn subject(&self, batch: &Batch) -> String {
        let mut subject = format!("[{}] ", clean(&self.hostname));
        match (batch.phase, batch.events.as_slice(), batch.total) {
            (Phase::Closing, ..) => subject.push_str("trouble has ended"),
            (_, [event], 1) => subject.push_str(&what(event)),
            (_, [], 0) if !batch.notes.is_empty() => subject.push_str(&clean(&batch.notes[0])),
            (_, _, total) => {
                let counts: Vec<String> = batch.counts.iter().take(5).map(|(what, n)| format!("{n} {what}")).collect();
                let _ = write!(subject, "{total} events: {}", clean(&counts.join(", ")));
            }
        }
        if !batch.group.is_empty() {
            let _ = write!(subject, " ({})", clean(&batch.group));
        }
        subject
    }

    /// An event in one line: `2026-11-22 12:03:04 local web-1 die (exit 137, crashed) image=shop`.
    #[must_use]
    pub fn line(&self, event: &Event) -> String {
        let time = Timestamp::from_nanosecond(i128::from(event.time_nanos)).unwrap_or_default();
        let time = Zoned::new(time, self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let mut line = format!("{time} {} {}", clean(&event.engine), what(event));
        if let Some(image) = event.attribute("image").filter(|_| event.kind == "container") {
            let _ = write!(line, " image={}", clean(image));
        }
        if event.kind == OWN_KIND {
            for (name, value) in event.attributes.iter() {
                let value = if event.action == "gap" { text::second(value) } else { value.into() };
                let _ = write!(line, " {}=\"{}\"", clean(name), clean(&value));
            }
        }
        line
    }
}

/// `web-1 die (exit 137, crashed)`; things that are no container are named with their kind.
fn what(event: &Event) -> String {
    let mut text = match event.kind.as_str() {
        "container" => String::new(),
        kind => format!("{} ", clean(kind)),
    };
    let who = clean(event.who());
    if !who.is_empty() {
        let _ = write!(text, "{who} ");
    }
    text.push_str(&clean(&event.action));
    let mut more = Vec::new();
    // The command of an exec can hold secrets: its first word says enough.
    let detail = if event.action.starts_with("exec_") { event.detail.split(' ').next() } else { Some(&*event.detail) };
    more.extend(detail.filter(|detail| !detail.is_empty()).map(clean));
    let code = event.fact(Fact::ExitCode).or_else(|| event.attribute("exitCode"));
    more.extend(code.map(|code| format!("exit {}", clean(code))));
    more.extend(event.fact(Fact::Cause).map(clean));
    more.extend(event.fact(Fact::Restarts).map(|restarts| format!("restarts in 10 min: {}", clean(restarts))));
    if !more.is_empty() {
        let _ = write!(text, " ({})", more.join(", "));
    }
    text
}

fn severity(batch: &Batch) -> &'static str {
    let odd = |event: &Event| matches!(event.action.as_str(), "die" | "kill");
    if batch.events.iter().any(|event| is_trouble(event)) {
        "error"
    } else if batch.events.iter().any(|event| odd(event)) || (!batch.notes.is_empty() && batch.phase != Phase::Closing)
    {
        "warning"
    } else {
        "info"
    }
}

/// A name or value in one line of the text.
fn clean(text: &str) -> String {
    text::one_line(text, MAX_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_gap_are_shown_to_the_second() {
        let attributes =
            [("from", "2026-11-22T12:00:00.123456789Z"), ("reason", "1.5 s"), ("to", "2026-11-22T12:00:09.987654321Z")];
        let gap = Event::own("local".into(), "gap", 0, attributes.into_iter().collect());
        let plain = Plain { hostname: "web-1".to_owned(), zone: TimeZone::UTC };
        assert_eq!(
            plain.line(&gap),
            "1970-01-01 00:00:00 local dockbell gap from=\"2026-11-22T12:00:00Z\" reason=\"1.5 s\" to=\"2026-11-22T12:00:09Z\""
        );
    }
}
