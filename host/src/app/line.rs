//! Events as lines of the journal, and back.
//!
//! An engine's event is kept as the line that the engine sent, behind it a record separator and the facts as JSON: what was
//! read is not changed, and what dockbell knew when it was read is known when it is read again. An event of dockbell itself
//! begins with the separator, and is JSON as a whole.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::parse;
use crate::event::{Event, nanos};
use crate::store::Batch;

/// Between a line and its facts. JSON writes it as an escape, so the last one in a line is ours.
const SEPARATOR: u8 = 0x1e;

/// Writes an event, `raw` being the engine's line; none for an event of dockbell itself.
pub fn write(event: &Event, raw: Option<&[u8]>, into: &mut Vec<u8>) {
    // Strings, numbers and lists of them can always be written.
    let written = match raw {
        None => {
            into.push(SEPARATOR);
            serde_json::to_writer(into, event)
        }
        Some(raw) => {
            into.extend_from_slice(raw);
            into.push(SEPARATOR);
            if event.facts.is_empty() { Ok(()) } else { serde_json::to_writer(into, &event.facts) }
        }
    };
    debug_assert!(written.is_ok());
}

/// Reads an event that [`write`] wrote and that was received at this time.
///
/// # Errors
/// Why it is no event. It was one when it was written.
pub fn read(engine: &Arc<str>, line: &[u8], received: Timestamp) -> Result<Event, String> {
    if let [SEPARATOR, own @ ..] = line {
        return serde_json::from_slice(own).map_err(|error| error.to_string());
    }
    let (raw, facts) = match memchr::memrchr(SEPARATOR, line) {
        Some(place) => (&line[..place], &line[place + 1..]),
        None => (line, [].as_slice()),
    };
    let mut event = parse::event_received(engine, raw, || received).map_err(|error| error.to_string())?;
    if !facts.is_empty() {
        event.facts = serde_json::from_slice(facts).map_err(|error| error.to_string())?;
    }
    Ok(event)
}

/// The events of a batch of the journal, with their sequence numbers, each read when it is asked for. What cannot be read is
/// there as an event `gap`.
pub(super) fn events(batch: &Batch) -> impl Iterator<Item = (u64, Arc<Event>)> {
    let gap = move |reason: &str| {
        let lines = if batch.damaged { batch.count } else { 1 };
        let attributes = [("lines", lines.to_string()), ("reason", format!("the journal is damaged: {reason}"))];
        let attributes = attributes.into_iter().collect();
        Arc::new(Event::own(Arc::clone(&batch.engine), "gap", nanos(batch.received), attributes))
    };
    if batch.damaged {
        tracing::error!(engine = %batch.engine, lines = batch.count, "the disk has changed a part of the journal");
    }
    // One that is damaged has no lines.
    let damaged = batch.damaged.then(|| (batch.last(), gap("the disk has changed it")));
    let event =
        move |line: &[u8]| read(&batch.engine, line, batch.received).map(Arc::new).unwrap_or_else(|error| gap(&error));
    damaged.into_iter().chain(batch.lines(0).map(move |(seq, line)| (seq, event(line))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fact;

    fn again(event: &Event, raw: Option<&[u8]>) -> Event {
        let mut line = Vec::new();
        write(event, raw, &mut line);
        assert!(!line.contains(&b'\n'));
        read(&event.engine, &line, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn an_event_comes_back_with_its_facts() {
        let raw = br#"{"Type":"container","Action":"die","Actor":{"ID":"a","Attributes":{"name":"web"}},"scope":"local","timeNano":5}"#;
        let mut event = parse::event(&"shop".into(), raw).unwrap();
        assert_eq!(again(&event, Some(raw)), event, "without facts");
        event.facts.push((Fact::Cause, "crashed".into()));
        event.facts.push((Fact::Identity, "a\u{1e}\n\"b".into()));
        assert_eq!(again(&event, Some(raw)), event);
    }

    #[test]
    fn an_event_that_says_no_time_is_read_again_with_the_time_at_which_it_came() {
        let received = Timestamp::from_second(1_800_000_000).unwrap();
        let raw = br#"{"Type":"container","Action":"die"}"#;
        let event = parse::event_received(&"shop".into(), raw, || received).unwrap();
        let mut line = Vec::new();
        write(&event, Some(raw), &mut line);
        assert_eq!(read(&event.engine, &line, received).unwrap(), event);
    }

    #[test]
    fn an_own_event_comes_back() {
        let attributes = [("reason", "a\u{1e}\nb")].into_iter().collect();
        let event = Event::own("shop".into(), "gap", 5, attributes);
        assert_eq!(again(&event, None), event);
    }
}
