//! One line of an engine, of Docker or Podman: what it becomes is bounded, and comes back from the journal as it was.
#![no_main]

use std::sync::Arc;

use dockbell::app::line;
use dockbell::engine::parse;
use dockbell::event::{Event, Fact, OWN_KIND};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const RECEIVED: Timestamp = Timestamp::constant(1_800_000_000, 0);

fuzz_target!(|input: &[u8]| {
    let engine: Arc<str> = Arc::from("local");
    // A line has no end within it.
    let Some(raw) = input.split(|byte| *byte == b'\n').next() else { return };
    let mut event = match parse::event_received(&engine, raw, || RECEIVED) {
        Ok(event) => event,
        Err(unreadable) => {
            let told = unreadable.into_event(engine);
            assert_eq!(again(&told, None), told);
            return;
        }
    };
    assert!(!event.kind.is_empty() && event.time_nanos > 0, "{event:?}");
    assert!(!event.action.contains(": "), "{event:?}");
    assert!(!event.scope.is_empty());
    assert!(event.weight() <= 4096 + 100 * raw.len(), "{} bytes became {}", raw.len(), event.weight());
    let _ = (event.who(), event.attribute("name"));

    // What dockbell knows goes along.
    event.facts.push((Fact::Identity, event.who().into()));
    event.facts.push((Fact::Cause, String::from_utf8_lossy(raw).into()));
    assert_eq!(again(&event, Some(raw)), event);

    let own = Event { kind: OWN_KIND.into(), ..event };
    assert_eq!(again(&own, None), own);
});

fn again(event: &Event, raw: Option<&[u8]>) -> Event {
    let mut written = Vec::new();
    line::write(event, raw, &mut written);
    assert!(!written.contains(&b'\n'));
    line::read(&event.engine, &written, RECEIVED).unwrap_or_else(|error| panic!("{error}: {event:?}"))
}
