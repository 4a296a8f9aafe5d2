//! Open groups by key, and when each is due, by the wall clock. A route works with these; what must outlive it stands in the
//! store as one [`GroupRow`](super::GroupRow) each.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

/// Open groups of one route.
#[derive(Debug)]
pub struct Groups<G> {
    rows: HashMap<String, Row<G>>,
    due: BTreeSet<(Timestamp, String)>,
}

#[derive(Debug)]
struct Row<G> {
    due: Timestamp,
    group: G,
}

impl<G> Default for Groups<G> {
    fn default() -> Self {
        Self { rows: HashMap::new(), due: BTreeSet::new() }
    }
}

impl<G> Groups<G> {
    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// An open group, to add to, and when it is due.
    pub fn get_mut(&mut self, key: &str) -> Option<(&mut G, Timestamp)> {
        self.rows.get_mut(key).map(|row| (&mut row.group, row.due))
    }

    /// Opens a group, or puts it back after its turn.
    pub fn put(&mut self, key: String, group: G, due: Timestamp) {
        if let Some(old) = self.rows.insert(key.clone(), Row { due, group }) {
            self.due.remove(&(old.due, key.clone()));
        }
        self.due.insert((due, key));
    }

    /// Moves the time at which an open group is due.
    pub fn set_due(&mut self, key: &str, due: Timestamp) {
        if let Some(row) = self.rows.get_mut(key) {
            let mut entry = (row.due, key.to_owned());
            self.due.remove(&entry);
            entry.0 = due;
            row.due = due;
            self.due.insert(entry);
        }
    }

    /// All open groups, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &G> {
        self.rows.values().map(|row| &row.group)
    }

    /// Moves every group that is due later than it may be to the latest that it may be.
    pub fn clamp_due(&mut self, latest: impl Fn(&G) -> Timestamp) {
        for (key, row) in &mut self.rows {
            let latest = latest(&row.group);
            if row.due > latest {
                let mut entry = (std::mem::replace(&mut row.due, latest), key.clone());
                self.due.remove(&entry);
                entry.0 = latest;
                self.due.insert(entry);
            }
        }
    }

    /// When the next group is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// When the last group is due.
    #[must_use]
    pub fn last_due(&self) -> Option<Timestamp> {
        self.due.last().map(|(due, _)| *due)
    }

    /// Takes out the group that is due first, if its time has come.
    pub fn take_due(&mut self, now: Timestamp) -> Option<(String, G)> {
        if self.next_due()? > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        let row = self.rows.remove(&key)?;
        Some((key, row.group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn groups_are_taken_in_the_order_in_which_they_are_due() {
        let mut groups = Groups::default();
        groups.put("late".to_owned(), 1, at(30));
        groups.put("early".to_owned(), 2, at(10));
        groups.put("moved".to_owned(), 3, at(5));
        groups.set_due("moved", at(20));
        assert_eq!(groups.next_due(), Some(at(10)));
        assert_eq!(groups.take_due(at(9)), None);
        assert_eq!(groups.take_due(at(25)), Some(("early".to_owned(), 2)));
        assert_eq!(groups.take_due(at(25)), Some(("moved".to_owned(), 3)));
        assert_eq!(groups.take_due(at(25)), None);
        assert_eq!(groups.len(), 1);
    }

    #[test]
    fn a_group_that_is_due_too_late_is_moved_and_no_other() {
        let mut groups = Groups::default();
        for (key, longest, due) in [("web", 10, 11), ("db", 100, 99), ("proxy", 1, 1)] {
            groups.put(key.to_owned(), longest, at(due));
        }
        groups.clamp_due(|longest| at(*longest));
        assert_eq!(groups.take_due(at(1)), Some(("proxy".to_owned(), 1)));
        assert_eq!(groups.next_due(), Some(at(10)));
        assert_eq!(groups.take_due(at(10)), Some(("web".to_owned(), 10)));
        assert_eq!(groups.next_due(), Some(at(99)));
    }

    #[test]
    fn a_group_that_is_put_again_is_due_once() {
        let mut groups = Groups::default();
        groups.put("web".to_owned(), 1, at(10));
        groups.put("web".to_owned(), 2, at(20));
        assert_eq!(groups.take_due(at(30)), Some(("web".to_owned(), 2)));
        assert_eq!(groups.take_due(at(30)), None);
        assert!(groups.is_empty());
    }
}
