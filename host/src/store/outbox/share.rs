//! The outbox has half of the store. When it has more, the route and sink with the most gives way first: nobody who has less
//! than an equal share loses anything, and lines of engines and messages of other routes always find room.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::MessageState;
use crate::store::column::{ms, time, uint};
use crate::store::space::in_use;
use crate::store::{Store, StoreError};

/// About how many bytes a message takes beside its content: its row, recipients and attempts.
const ROW: u64 = 2048;
/// Most messages that give way in one commit, so that nobody waits for long behind it.
const BITE: usize = 256;
/// Most messages of a route and sink that are looked for at once.
const SEARCH: usize = 4096;
/// What is said of a message that gave way before its time was over.
const ERROR: &str = "given up to make room: its route and sink had more than their share of the store";

/// Messages of a route to a sink that gave way to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaveWay {
    /// Name of the route.
    pub route: String,
    /// Name of the sink.
    pub sink: String,
    /// Messages that waited, and are dead letters without content now.
    pub given_up: u64,
    /// Dead letters that lost their content, and so cannot be sent again.
    pub emptied: u64,
    /// Dead letters without content that are not listed any more.
    pub forgotten: u64,
    /// How many events the messages told that were given up or lost their content.
    pub events: u64,
    /// When the oldest of all these was made.
    pub since: Timestamp,
    /// Whether all of them told nothing but that something was not delivered.
    pub alarms: bool,
}

/// How a message gives way, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It was delivered: its row goes.
    Delivered,
    /// It is a dead letter: its content goes.
    Empty,
    /// It waits: it becomes a dead letter, and its content goes.
    GiveUp,
    /// It is a dead letter without content: its row goes.
    Forget,
}

#[derive(Debug, Clone, Copy)]
struct Victim {
    number: i64,
    state: i64,
    way: Way,
}

impl Store {
    /// Makes room if the outbox has more than half of the store: of the routes and sinks with the most, first what was
    /// delivered is forgotten, then the oldest dead letters lose their content, then the oldest messages that wait become
    /// dead letters without content. Gives what is to be told. Call it every few seconds, and when something was refused
    /// ([`short_of_room`](Self::short_of_room)).
    ///
    /// # Errors
    /// Fails if the store cannot be read or written.
    pub async fn make_room(&self, now: Timestamp) -> Result<Vec<GaveWay>, StoreError> {
        let limit = self.room.quota.load(Ordering::Acquire) / 2;
        let looked_at = self.room.looked_at.load(Ordering::Acquire);
        let (bytes, victims) = self.ask(move |db| plan(db, limit, looked_at)).await?;
        // Unless something was refused meanwhile.
        let _ = self.room.looked_at.compare_exchange(looked_at, bytes, Ordering::AcqRel, Ordering::Acquire);
        let mut gave_way = BTreeMap::new();
        for some in victims.chunks(BITE) {
            let some = some.to_vec();
            match self.change(move |db| give_way(db, &some, now)).await {
                Ok(all) => all.into_iter().for_each(|one| note(&mut gave_way, one)),
                Err(error) if gave_way.is_empty() => return Err(error),
                // What was done is told; the rest is tried the next time.
                Err(_) => break,
            }
        }
        Ok(gave_way.into_values().collect())
    }
}

/// How much is in use if there was nothing to do, and who gives way. Finding out reads every message, and so is not done
/// again before the store has grown by a sixteenth of the limit.
fn plan(db: &Connection, limit: u64, looked_at: u64) -> rusqlite::Result<(u64, Vec<Victim>)> {
    let bytes = in_use(db)?;
    if bytes <= limit {
        return Ok((0, Vec::new()));
    }
    if looked_at > 0 && bytes < looked_at + limit / 16 {
        return Ok((looked_at, Vec::new()));
    }
    let mut rows = db.prepare_cached(SHARES)?;
    let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?, uint(row.get(2)?) * ROW + uint(row.get(3)?))))?;
    let shares: Vec<(String, String, u64)> = rows.collect::<Result<_, _>>()?;
    let all: u64 = shares.iter().map(|(_, _, bytes)| bytes).sum();
    if all <= limit {
        return Ok((bytes, Vec::new()));
    }
    let level = level(shares.iter().map(|(_, _, bytes)| *bytes).collect(), limit - limit / 8);
    let mut victims = Vec::new();
    for (route, sink, bytes) in shares.into_iter().filter(|(_, _, bytes)| *bytes > level) {
        oldest(db, &route, &sink, bytes - level, &mut victims)?;
    }
    Ok((0, victims))
}

const SHARES: &str = "SELECT route, sink, count(*),
        coalesce(sum(length(wire) + coalesce(length(plainer), 0) + coalesce(length(batch), 0)), 0)
    FROM message LEFT JOIN body ON body.message = number GROUP BY route, sink";

/// The share at which all together take no more than `most`, if whoever has more is cut down to it.
fn level(mut shares: Vec<u64>, most: u64) -> u64 {
    shares.sort_unstable();
    let mut left = most;
    for (place, share) in shares.iter().enumerate() {
        let equal = left / (shares.len() - place) as u64;
        if *share > equal {
            return equal;
        }
        left -= share;
    }
    u64::MAX
}

const OLDEST: &str = "SELECT number, state, wire IS NOT NULL,
        coalesce(length(wire), 0) + coalesce(length(plainer), 0) + coalesce(length(batch), 0)
    FROM message LEFT JOIN body ON body.message = number WHERE route = ?1 AND sink = ?2 AND state <> 1
    ORDER BY CASE WHEN state = 2 THEN 0 WHEN state <> 4 THEN 2 WHEN wire IS NOT NULL THEN 1 ELSE 3 END, number";

/// Finds the messages of a route and sink that give way so that it has `excess` bytes less.
fn oldest(db: &Connection, route: &str, sink: &str, excess: u64, victims: &mut Vec<Victim>) -> rusqlite::Result<()> {
    let mut rows = db.prepare_cached(OLDEST)?;
    let mut rows = rows.query([route, sink])?;
    let (mut freed, mut found) = (0, 0);
    while freed < excess
        && found < SEARCH
        && let Some(row) = rows.next()?
    {
        let (number, state, has_content, content) = (row.get(0)?, row.get(1)?, row.get(2)?, uint(row.get(3)?));
        let (way, bytes) = match (MessageState::of(state), has_content) {
            (MessageState::Sent, _) => (Way::Delivered, ROW + content),
            (MessageState::Dead, true) => (Way::Empty, content),
            (MessageState::Dead, false) => (Way::Forget, ROW),
            _ => (Way::GiveUp, content),
        };
        freed += bytes;
        found += 1;
        victims.push(Victim { number, state, way });
    }
    Ok(())
}

fn give_way(db: &Connection, victims: &[Victim], now: Timestamp) -> rusqlite::Result<Vec<GaveWay>> {
    let mut find =
        db.prepare_cached("SELECT route, sink, total, sealed_ms, alarm FROM message WHERE number = ?1 AND state = ?2")?;
    let mut forget = db.prepare_cached("DELETE FROM message WHERE number = ?1")?;
    let mut empty = db.prepare_cached("DELETE FROM body WHERE message = ?1")?;
    let mut say = db.prepare_cached("UPDATE message SET error = coalesce(error || '; ', '') || 'its content was removed to make room' WHERE number = ?1")?;
    let mut die =
        db.prepare_cached("UPDATE message SET state = 4, ended_ms = ?2, next_ms = 0, error = ?3 WHERE number = ?1")?;
    let mut each = db.prepare_cached("UPDATE recipient SET state = 4, at_ms = ?2 WHERE message = ?1 AND state = 0")?;
    let mut gave_way = BTreeMap::new();
    for Victim { number, state, way } in victims {
        let found = find.query_row(params![number, state], |row| {
            Ok(GaveWay {
                route: row.get(0)?,
                sink: row.get(1)?,
                given_up: u64::from(*way == Way::GiveUp),
                emptied: u64::from(*way == Way::Empty),
                forgotten: u64::from(*way == Way::Forget),
                events: if matches!(way, Way::GiveUp | Way::Empty) { uint(row.get(2)?) } else { 0 },
                since: time(row.get(3)?),
                alarms: row.get(4)?,
            })
        });
        // It may have gone another way meanwhile.
        let Some(one) = found.optional()? else { continue };
        match way {
            Way::Delivered | Way::Forget => _ = forget.execute([number])?,
            Way::Empty => {
                empty.execute([number])?;
                say.execute([number])?;
            }
            Way::GiveUp => {
                empty.execute([number])?;
                die.execute(params![number, ms(now), ERROR])?;
                each.execute(params![number, ms(now)])?;
            }
        }
        if *way != Way::Delivered {
            note(&mut gave_way, one);
        }
    }
    Ok(gave_way.into_values().collect())
}

/// Adds up what one route and sink lost.
fn note(all: &mut BTreeMap<(String, String), GaveWay>, one: GaveWay) {
    let key = (one.route.clone(), one.sink.clone());
    let Some(sum) = all.get_mut(&key) else {
        all.insert(key, one);
        return;
    };
    sum.given_up += one.given_up;
    sum.emptied += one.emptied;
    sum.forgotten += one.forgotten;
    sum.events += one.events;
    sum.since = sum.since.min(one.since);
    sum.alarms &= one.alarms;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_more_than_an_equal_share_gives_way_down_to_the_same_level() {
        assert_eq!(level(vec![100, 10, 10], 60), 40);
        assert_eq!(level(vec![100, 100, 10], 60), 25);
        assert_eq!(level(vec![30, 10, 10], 60), u64::MAX);
        assert_eq!(level(vec![7], 0), 0);
        assert_eq!(level(vec![], 60), u64::MAX);
    }
}
