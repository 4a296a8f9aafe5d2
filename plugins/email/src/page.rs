//! What a mail says, before it is written in a form: every text in it is safe to show.

use dockbell_plugin::time::{Offset, Time};
use dockbell_plugin::{Batch, Event};

use crate::config::Config;
use crate::details::{Details, share};
use crate::words::{Level, Words, show};

/// How many kinds of events are counted by name.
const COUNTS: usize = 12;
/// How many characters of a note are shown.
const NOTE: usize = 1000;

/// What a mail says.
#[derive(Debug)]
pub(crate) struct Page {
    /// What stands in the brackets of the subject.
    pub(crate) host: String,
    /// The group's name; empty when the route has one group.
    pub(crate) group: String,
    /// Whether trouble has ended.
    pub(crate) closing: bool,
    /// How many events there were.
    pub(crate) total: u32,
    /// How many of what, the most frequent first; empty for a single event.
    pub(crate) counts: Vec<(u32, String)>,
    /// The events, in the order they arrived.
    pub(crate) rows: Vec<Row>,
    /// Before which row events were left out, and what says so.
    pub(crate) left_out: Option<(usize, String)>,
    /// What the reader must know beside the events.
    pub(crate) notes: Vec<String>,
    /// How much the worst event matters; of a message without events, how much its notes do.
    pub(crate) worst: Level,
    /// The engine's name, if all events are of one.
    pub(crate) engine: Option<String>,
    /// The engine that the subject names beside the host.
    pub(crate) subject_engine: Option<String>,
    /// `UTC`, `UTC+02:00`.
    pub(crate) zone: String,
    /// Route, group and window.
    pub(crate) origin: String,
}

/// One event.
#[derive(Debug)]
pub(crate) struct Row {
    /// `2026-11-22`
    pub(crate) date: String,
    /// `14:03:07`
    pub(crate) clock: String,
    pub(crate) words: Words,
    /// The image of a container; else empty.
    pub(crate) image: String,
    pub(crate) details: Details,
}

impl Page {
    pub(crate) fn of(batch: &Batch, config: &Config) -> Self {
        let engine = batch.events.first().map(|event| event.engine.as_str());
        let one_engine = engine.filter(|name| batch.events.iter().all(|event| event.engine == *name));
        let several = batch.events.len() > 1 && one_engine.is_none();
        let mut rows: Vec<Row> = batch.events.iter().map(|event| Row::of(event, config.offset, several)).collect();
        share(rows.iter_mut().map(|row| &mut row.details));
        let subject_engine = config.engine_in_subject.then(|| name_engines(&mut rows, &batch.events)).flatten();
        let shown = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let left_out = match batch.total.saturating_sub(shown) {
            0 => None,
            1 => Some("… 1 event between is counted above but not shown …".to_owned()),
            count => Some(format!("… {count} events between are counted above but not shown …")),
        };
        let total = batch.total.max(shown);
        let is_remark = batch.phase != "closing" && !batch.notes.is_empty();
        let without_events = if is_remark { Level::Warning } else { Level::Info };
        Self {
            host: show(config.hostname.as_deref().or(engine).unwrap_or("dockbell"), 60),
            group: show(&batch.group, 80),
            closing: batch.phase == "closing",
            total,
            counts: if total > 1 { counts(&batch.counts) } else { vec![] },
            // The host gives the first and the last events of a large batch, as many of these as of those.
            left_out: left_out.map(|text| (rows.len().div_ceil(2), text)),
            notes: batch.notes.iter().map(|note| show(note, NOTE)).collect(),
            worst: rows.iter().map(|row| row.words.level).max().unwrap_or(without_events),
            engine: one_engine.map(|name| show(name, 60)),
            subject_engine,
            zone: config.offset.to_string(),
            origin: origin(batch, config.offset),
            rows,
        }
    }
}

impl Row {
    fn of(event: &Event, offset: Offset, engine: bool) -> Self {
        let time = Time::at(event.time_nanos, offset);
        let words = Words::of(event);
        let image = match event.kind.as_str() {
            "container" => show(event.attribute("image").unwrap_or_default(), 100),
            _ => String::new(),
        };
        let details = Details::of(event, &words.who, &words.what, engine);
        Self { date: time.date(), clock: time.clock(), words, image, details }
    }
}

/// Returns the engine of all events; where they are of several, each entry of the subject names its own. Events of dockbell itself
/// are of none.
fn name_engines(rows: &mut [Row], events: &[Event]) -> Option<String> {
    let mut of_engines = events.iter().filter(|event| event.kind != "dockbell").map(|event| &event.engine);
    let first = of_engines.next()?;
    if of_engines.all(|engine| engine == first) {
        return Some(show(first, 60));
    }
    for (row, event) in rows.iter_mut().zip(events).filter(|(_, event)| event.kind != "dockbell") {
        row.words.entry.push_str(&format!(" on {}", show(&event.engine, 60)));
    }
    None
}

fn counts(counts: &[(String, u32)]) -> Vec<(u32, String)> {
    let mut shown: Vec<_> = counts.iter().take(COUNTS).map(|(what, count)| (*count, show(what, 60))).collect();
    let rest: u32 = counts.iter().skip(COUNTS).fold(0, |sum, (_, count)| sum.saturating_add(*count));
    if rest > 0 {
        shown.push((rest, format!("of {} other kinds", counts.len() - COUNTS)));
    }
    shown
}

fn origin(batch: &Batch, offset: Offset) -> String {
    let mut origin = format!("Route {}", show(&batch.route, 60));
    if !batch.group.is_empty() {
        origin.push_str(&format!(", group {}", show(&batch.group, 80)));
    }
    if batch.since_nanos != 0 || batch.until_nanos != 0 {
        let (since, until) = (Time::at(batch.since_nanos, offset), Time::at(batch.until_nanos, offset));
        origin.push_str(&format!(", {} {}", since.date(), since.clock()));
        if since.date() != until.date() {
            origin.push_str(&format!(" to {} {}", until.date(), until.clock()));
        } else if since.clock() != until.clock() {
            origin.push_str(&format!(" to {}", until.clock()));
        }
        origin.push_str(&format!(" {offset}"));
    }
    origin
}
