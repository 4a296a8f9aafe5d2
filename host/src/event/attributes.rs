//! Names and values of an event, in two pieces of memory however many there are.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names and values, in an order; the same name may stand there twice.
///
/// An engine's event has about ten. Kept one by one they would be twenty allocations, which is most of what reading an event
/// costs.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// All names and values, one behind the other.
    text: String,
    /// Where each name ends, and where its value ends.
    ends: Vec<(u32, u32)>,
}

impl Attributes {
    /// None yet, with room for pairs of about `bytes` bytes together.
    #[must_use]
    pub fn with_capacity(pairs: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(pairs) }
    }

    /// Adds a pair behind the others. What is behind 4 GiB of them is not found again; no engine sends so much of one event.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let middle = end(&self.text);
        self.text.push_str(value);
        self.ends.push((middle, end(&self.text)));
    }

    /// The first value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All pairs, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |(middle, end)| {
            let (middle, end) = (*middle as usize, *end as usize);
            let text = |range| self.text.get(range).unwrap_or_default();
            let pair = (text(start..middle), text(middle..end));
            start = end;
            pair
        })
    }

    /// All names and values, one behind the other.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where each name ends in [`text`](Self::text), and where its value ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (u32, u32)> {
        self.ends.iter().copied()
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(u32, u32)>()
    }

    /// Brings the pairs into the order of their names, then of their values.
    pub fn sort(&mut self) {
        if self.iter().is_sorted() {
            return;
        }
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_unstable();
        *self = pairs.into_iter().collect();
    }
}

/// Where a text ends.
fn end(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut all = Self::default();
        all.extend(pairs);
        all
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Extend<(N, V)> for Attributes {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        pairs.into_iter().for_each(|(name, value)| self.push(name.as_ref(), value.as_ref()));
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("pairs of a name and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Attributes, A::Error> {
                let mut all = Attributes::default();
                while let Some((name, value)) = pairs.next_element::<(String, String)>()? {
                    all.push(&name, &value);
                }
                Ok(all)
            }
        }
        from.deserialize_seq(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_out_as_they_went_in() {
        let pairs = [("name", "web"), ("", ""), ("ä", "ö"), ("name", "db"), ("", "x")];
        let all: Attributes = pairs.into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), pairs);
        assert_eq!((all.get("name"), all.get("ä"), all.get("n")), (Some("web"), Some("ö"), None));
        assert_eq!((all.len(), all.is_empty(), Attributes::default().is_empty()), (5, false, true));
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json, r#"[["name","web"],["",""],["ä","ö"],["name","db"],["","x"]]"#);
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), all);
    }

    #[test]
    fn the_same_letters_cut_elsewhere_are_other_pairs() {
        let one: Attributes = [("ab", "c")].into_iter().collect();
        let other: Attributes = [("a", "bc")].into_iter().collect();
        assert_ne!(one, other);
    }

    #[test]
    fn sorted_pairs_stand_in_the_order_of_their_names_and_values() {
        let mut all: Attributes = [("b", "1"), ("a", "2"), ("a", "1"), ("", "3")].into_iter().collect();
        all.sort();
        assert_eq!(all.iter().collect::<Vec<_>>(), [("", "3"), ("a", "1"), ("a", "2"), ("b", "1")]);
    }
}
