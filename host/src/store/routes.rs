//! How far each route has come, and its open digests.
//!
//! A route has *settled* a line when the line was told, filtered out, or given up; all up to it, without a hole. A digest
//! that is told later than its neighbours leaves lines behind that are settled by the digest but not by the route: they are
//! those up to the digest's `sealed_through`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::column::{int, ms, time, uint};
use super::journal;
use super::{Store, StoreError};

/// A digest of a route, by the key that its events have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// What the events have in common; empty when the route has one group.
    pub key: String,
    /// JSON of whoever makes the digests; nothing that the journal holds.
    pub state: String,
    /// When it is to be told; none for a digest that is over, of which the route has not settled every line yet.
    pub due: Option<Timestamp>,
    /// The lines of this key up to here were told.
    pub sealed_through: u64,
}

/// What becomes of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// It is open, or stays so.
    Save(GroupRow),
    /// It is over. What is known of it goes as soon as the route has settled `sealed_through`.
    Close {
        /// Its key.
        key: String,
        /// The lines of this key up to here were told.
        sealed_through: u64,
    },
}

impl Store {
    /// Takes up a route: how far it has settled. A route that was not known begins behind the newest line.
    ///
    /// # Errors
    /// When the store is full or cannot be written.
    pub async fn open_route(&self, route: &str) -> Result<u64, StoreError> {
        let route = route.to_owned();
        self.bring(0, move |db| {
            let newest = journal::next(db)? - 1;
            db.execute(
                "INSERT INTO route (name, settled) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![route, newest],
            )?;
            db.query_row("SELECT settled FROM route WHERE name = ?1", [&route], |row| row.get(0)).map(uint)
        })
        .await
    }

    /// Forgets all routes but these, with their open digests, so that no journal is kept for them. Gives the names of those
    /// that were forgotten, and how many open digests each had.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn retain_routes(&self, names: &[&str]) -> Result<BTreeMap<String, u64>, StoreError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.change(move |db| {
            let mut known = db.prepare_cached("SELECT name FROM route")?;
            let known: Vec<String> = known.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut gone = BTreeMap::new();
            for name in known.into_iter().filter(|name| !names.contains(name)) {
                let open = "SELECT count(*) FROM digest WHERE route = ?1 AND due_ms IS NOT NULL";
                let open = db.query_row(open, [&name], |row| row.get(0)).map(uint)?;
                db.execute("DELETE FROM digest WHERE route = ?1", [&name])?;
                db.execute("DELETE FROM route WHERE name = ?1", [&name])?;
                gone.insert(name, open);
            }
            Ok(gone)
        })
        .await
    }

    /// The digests of a route, by key: the open ones with their due times, and those that are over with lines that the route
    /// has not settled.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn groups(&self, route: &str) -> Result<Vec<GroupRow>, StoreError> {
        let route = route.to_owned();
        self.ask(move |db| {
            let mut rows = db.prepare_cached(
                "SELECT name, state, due_ms, sealed_through FROM digest WHERE route = ?1 ORDER BY name",
            )?;
            rows.query_map([&route], group)?.collect()
        })
        .await
    }

    /// Keeps the state of digests, without a message.
    ///
    /// # Errors
    /// When the store is full or cannot be written; then none of the changes was made.
    pub async fn save_groups(&self, route: &str, changes: Vec<GroupChange>) -> Result<(), StoreError> {
        let route = route.to_owned();
        self.bring(weight(&changes), move |db| changes.iter().try_for_each(|one| change(db, &route, one))).await
    }

    /// The route has settled all lines up to `through`. It never goes back.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn settle(&self, route: &str, through: u64) -> Result<(), StoreError> {
        let route = route.to_owned();
        self.change(move |db| settle(db, &route, through)).await
    }

    /// How many lines each route has not settled, where there are any.
    ///
    /// # Errors
    /// Fails if the store cannot be read.
    pub async fn unsettled(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.ask(|db| {
            let newest = journal::next(db)? - 1;
            let mut rows = db.prepare_cached("SELECT name, ?1 - settled FROM route WHERE settled < ?1")?;
            rows.query_map([newest], |row| Ok((row.get(0)?, uint(row.get(1)?))))?.collect()
        })
        .await
    }

    /// Brings the times of messages that are to be tried again, and that a clock set back has left too far ahead, to at most
    /// `longest` from `now`. Gives how many there were. Open digests are left alone: how far ahead they may be, only their
    /// route knows.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn clamp_due(&self, now: Timestamp, longest: std::time::Duration) -> Result<usize, StoreError> {
        let latest = ms(now.checked_add(longest).unwrap_or(Timestamp::MAX));
        self.change(move |db| db.execute("UPDATE message SET next_ms = ?1 WHERE state = 0 AND next_ms > ?1", [latest]))
            .await
    }
}

/// About how many bytes changes take.
pub(super) fn weight(changes: &[GroupChange]) -> usize {
    let bytes = |change: &GroupChange| match change {
        GroupChange::Save(row) => row.key.len() + row.state.len(),
        GroupChange::Close { key, .. } => key.len(),
    };
    changes.iter().map(bytes).sum()
}

pub(super) fn change(db: &Connection, route: &str, change: &GroupChange) -> rusqlite::Result<()> {
    let save = |key: &str, state: &str, due: Option<i64>, through: u64| {
        db.prepare_cached(
            "INSERT INTO digest (route, name, state, due_ms, sealed_through) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET state = excluded.state, due_ms = excluded.due_ms,
                 sealed_through = max(sealed_through, excluded.sealed_through)",
        )?
        .execute(params![route, key, state, due, int(through)])
        .map(drop)
    };
    match change {
        GroupChange::Save(row) => save(&row.key, &row.state, row.due.map(ms), row.sealed_through),
        GroupChange::Close { key, sealed_through } if *sealed_through > settled(db, route)? => {
            save(key, "", None, *sealed_through)
        }
        GroupChange::Close { key, .. } => db
            .prepare_cached("DELETE FROM digest WHERE route = ?1 AND name = ?2")?
            .execute(params![route, key])
            .map(drop),
    }
}

fn settled(db: &Connection, route: &str) -> rusqlite::Result<u64> {
    let mut settled = db.prepare_cached("SELECT settled FROM route WHERE name = ?1")?;
    Ok(settled.query_row([route], |row| row.get(0)).optional()?.map_or(0, uint))
}

pub(super) fn settle(db: &Connection, route: &str, through: u64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO route (name, settled) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET settled = max(settled, excluded.settled)",
    )?
    .execute(params![route, int(through)])?;
    db.prepare_cached("DELETE FROM digest WHERE route = ?1 AND due_ms IS NULL AND sealed_through <= ?2")?
        .execute(params![route, int(through)])
        .map(drop)
}

fn group(row: &Row<'_>) -> rusqlite::Result<GroupRow> {
    Ok(GroupRow {
        key: row.get(0)?,
        state: row.get(1)?,
        due: row.get::<_, Option<i64>>(2)?.map(time),
        sealed_through: uint(row.get(3)?),
    })
}
