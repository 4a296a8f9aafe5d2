//! A map that forgets what was not used for the longest time.

use hashbrown::HashMap;

/// A map of bounded size. When it is full, the tenth that was not used for the longest time is forgotten at once, so that
/// the search for it costs little per entry.
#[derive(Debug)]
pub(super) struct Recent<T> {
    entries: HashMap<String, (u64, T)>,
    most: usize,
    /// Counts uses; the larger, the more recent.
    uses: u64,
}

impl<T: Default> Recent<T> {
    /// An empty map of at most `most` entries.
    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), most, uses: 0 }
    }

    /// The entry of a key, new if there is none.
    pub(super) fn entry(&mut self, key: &str) -> &mut T {
        self.uses += 1;
        if self.entries.len() >= self.most && !self.entries.contains_key(key) {
            self.forget();
        }
        let (used, entry) = self.entries.entry_ref(key).or_default();
        *used = self.uses;
        entry
    }

    /// Forgets an entry.
    pub(super) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    fn forget(&mut self) {
        let mut uses: Vec<u64> = self.entries.values().map(|(used, _)| *used).collect();
        let count = (uses.len() / 10).max(1);
        let (_, newest_to_go, _) = uses.select_nth_unstable(count - 1);
        let newest_to_go = *newest_to_go;
        self.entries.retain(|_, (used, _)| *used > newest_to_go);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_are_forgotten_first() {
        let mut recent = Recent::new(20);
        for number in 0..20 {
            *recent.entry(&number.to_string()) = number;
        }
        *recent.entry("0") += 100;
        *recent.entry("new") = 7;
        assert_eq!(recent.entries.len(), 19);
        assert_eq!((*recent.entry("0"), *recent.entry("1"), *recent.entry("3")), (100, 0, 3));
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let mut recent = Recent::new(100);
        for number in 0..10_000 {
            *recent.entry(&number.to_string()) = number;
            assert!(recent.entries.len() <= 100);
        }
        assert_eq!(*recent.entry("9999"), 9999);
    }
}
