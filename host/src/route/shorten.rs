//! Events that take too much memory, made shorter.

use crate::event::{Attributes, Event};

/// How much is kept of each value: the first of these with which the event is short enough. A copy of all of it may be, since
/// an event as it was read has memory to spare.
const VALUES: [usize; 6] = [usize::MAX, 16_384, 4096, 1024, 256, 64];
/// What the engine itself says of a container; kept whatever else is left out.
const OWN: [&str; 4] = ["name", "image", "exitCode", "signal"];
/// Memory of a pair beside its text.
const PAIR: usize = 8;

/// The same event with at most about `most` bytes: long values of attributes and facts are cut, which `…` shows, and where
/// that is not enough, the last attributes are left out. And whether anything is missing.
pub(super) fn shorten(event: &Event, most: usize) -> (Event, bool) {
    let longest = (most / 4).max(64);
    let mut short = Event {
        engine: event.engine.clone(),
        kind: cut(&event.kind, 64).into(),
        action: cut(&event.action, 256).into(),
        detail: cut(&event.detail, 256).into(),
        actor_id: cut(&event.actor_id, 256),
        scope: cut(&event.scope, 64).into(),
        time_nanos: event.time_nanos,
        attributes: Attributes::default(),
        facts: event.facts.iter().map(|(fact, value)| (*fact, cut(value, longest).into())).collect(),
    };
    let room = most.saturating_sub(short.weight());
    let cost = |name: &str, value: &str, longest: usize| name.len().min(longest) + value.len().min(longest) + PAIR;
    let all = |longest| event.attributes.iter().map(|(name, value)| cost(name, value, longest)).sum::<usize>();
    let longest = VALUES.into_iter().find(|longest| all(*longest) <= room).unwrap_or(64);
    let (mut left, mut bytes, mut kept) = (room, 0, Vec::new());
    for (name, value) in event.attributes.iter() {
        let needed = cost(name, value, longest);
        if needed <= left || OWN.contains(&name) {
            left = left.saturating_sub(needed);
            bytes += needed - PAIR + if longest == usize::MAX { 0 } else { 2 * '…'.len_utf8() };
            kept.push((cut(name, longest), cut(value, longest)));
        }
    }
    short.attributes = Attributes::with_capacity(kept.len(), bytes);
    short.attributes.extend(kept);
    let is_cut = !short.attributes.iter().eq(event.attributes.iter()) || short.facts != event.facts;
    (short, is_cut)
}

/// The beginning of a text, at most about `most` bytes, with `…` behind it where something is missing.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most { text.to_owned() } else { format!("{}…", &text[..text.floor_char_boundary(most)]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fact;

    fn event(labels: usize, bytes: usize) -> Event {
        let labels = (0..labels).map(|label| (format!("label-{label}"), "ä".repeat(bytes / 2)));
        let own = [("name".to_owned(), "web".to_owned()), ("exitCode".to_owned(), "137".to_owned())];
        let attributes = labels.chain(own).collect();
        Event { attributes, facts: vec![(Fact::Cause, "x".repeat(bytes).into())], ..Event::default() }
    }

    #[test]
    fn a_long_event_fits_and_keeps_what_the_engine_says() {
        for (labels, bytes) in [(1, 500_000), (40, 12_000), (5000, 100), (20_000, 20)] {
            for most in [1 << 10, 8 << 10, 32 << 10] {
                let (short, is_cut) = shorten(&event(labels, bytes), most);
                assert!(is_cut);
                assert!(short.weight() <= most + most / 4, "{labels} × {bytes}: {} of {most}", short.weight());
                assert_eq!((short.attribute("name"), short.attribute("exitCode")), (Some("web"), Some("137")));
            }
        }
    }

    #[test]
    fn what_was_cut_is_marked_and_as_much_is_kept_as_fits() {
        let (short, _) = shorten(&event(2, 100_000), 32 << 10);
        let value = short.attribute("label-0").unwrap();
        assert!(value.ends_with('…') && value.len() > 4000, "{}", value.len());
        assert_eq!(short.attributes.len(), 4);
        let whole = event(2, 7000);
        assert_eq!(shorten(&whole, 32 << 10), (whole.clone(), false));
    }
}
