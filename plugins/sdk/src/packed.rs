//! Events that come in two pieces of memory.

use crate::Event;
use crate::hidden::PackedEvent;

/// The texts of a packed event, one after the other.
struct Texts<'a> {
    text: &'a str,
    ends: std::slice::Iter<'a, [u8; 4]>,
    start: usize,
}

impl Texts<'_> {
    /// The next one; empty where there is none.
    fn next(&mut self) -> String {
        let end = self.ends.next().map_or(self.start, |end| u32::from_le_bytes(*end) as usize);
        let text = self.text.get(self.start..end).unwrap_or_default();
        self.start = end;
        text.to_owned()
    }

    fn pairs(&mut self, count: usize) -> Vec<(String, String)> {
        (0..count).map(|_| (self.next(), self.next())).collect()
    }
}

/// The event as plugins see it.
#[doc(hidden)]
#[must_use]
pub fn unpack(packed: &PackedEvent) -> Event {
    with_arena(|| {
        let mut texts = Texts { text: &packed.text, ends: packed.ends.as_chunks().0.iter(), start: 0 };
        // Fields are evaluated in the order in which they stand here, which is that of the texts.
        Event {
            engine: texts.next(),
            kind: texts.next(),
            action: texts.next(),
            detail: texts.next(),
            actor_id: texts.next(),
            scope: texts.next(),
            time_nanos: packed.time_nanos,
            attributes: {
                let left = texts.ends.len() / 2;
                texts.pairs(left.min(packed.attributes as usize))
            },
            facts: {
                let left = texts.ends.len() / 2;
                texts.pairs(left)
            },
        }
    })
}

/// What is allocated meanwhile comes from the memory for arguments, where there is one.
fn with_arena<T>(make: impl FnOnce() -> T) -> T {
    #[cfg(all(target_family = "wasm", not(target_feature = "atomics"), not(feature = "own-allocator")))]
    return crate::arena::lend(make);
    #[cfg(not(all(target_family = "wasm", not(target_feature = "atomics"), not(feature = "own-allocator"))))]
    make()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(texts: &[&str], attributes: u32) -> PackedEvent {
        let mut ends = Vec::new();
        let mut text = String::new();
        for part in texts {
            text.push_str(part);
            ends.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        }
        PackedEvent { text, ends, attributes, time_nanos: 5 }
    }

    #[test]
    fn an_event_comes_out_as_it_was_packed() {
        let texts = ["local", "container", "die", "", "abc", "local", "name", "web", "\u{e4}", "", "cause", "crashed"];
        let event = unpack(&packed(&texts, 2));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = Event {
            engine: "local".into(),
            kind: "container".into(),
            action: "die".into(),
            detail: String::new(),
            actor_id: "abc".into(),
            scope: "local".into(),
            time_nanos: 5,
            attributes: vec![pair("name", "web"), pair("\u{e4}", "")],
            facts: vec![pair("cause", "crashed")],
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn what_is_missing_or_cut_is_empty() {
        assert_eq!(unpack(&packed(&[], 7)), Event { time_nanos: 5, ..Event::default() });
        let mut short = packed(&["local", "container", "die", "", "abc", "local", "name", "web"], 9);
        short.text.truncate(3);
        assert_eq!(unpack(&short).attributes, [(String::new(), String::new())]);
    }
}
