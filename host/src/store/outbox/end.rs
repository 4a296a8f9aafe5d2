//! T5: what became of an attempt.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{MessageState, attempts};
use crate::store::column::{cut, ms};
use crate::store::{Store, StoreError};

/// Most bytes of an error that are kept per recipient and message.
const ERROR: usize = 1000;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Number of the message, which is being sent.
    pub number: i64,
    /// When the attempt ended.
    pub at: Timestamp,
    /// How far it came, such as `connect` or `data`.
    pub stage: String,
    /// What was answered, for people.
    pub outcome: String,
    /// What is known of each recipient now. Those that are not named stay pending.
    pub recipients: Vec<(Arc<str>, Outcome)>,
    /// What becomes of those that are still pending.
    pub then: Then,
    /// Whether they may have got it all the same.
    pub ambiguous: bool,
    /// From now on the simpler form is sent.
    pub plainer: bool,
}

/// What is known of a recipient after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has the message.
    Sent,
    /// It will not get it, and why.
    Dead(String),
    /// It has not got it yet, and why.
    Pending(String),
}

/// What becomes of recipients that have not got the message yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// They are tried again when the message's turn comes: the sink is what failed, the message keeps its place.
    Retry,
    /// They are tried again at this time.
    RetryAt(Timestamp),
    /// They wait for a person.
    Hold,
    /// They are not tried again: a dead letter.
    GiveUp,
}

/// What a message has become by an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Where it is now: pending, held, sent or dead.
    pub state: MessageState,
    /// Who has not got it yet.
    pub pending: Vec<Arc<str>>,
}

impl Store {
    /// Keeps what became of an attempt. None when the message was not being sent. A message that all recipients have gives
    /// its bytes up.
    ///
    /// # Errors
    /// When the store cannot be written: the message is still being sent then, and after a restart it is tried again.
    pub async fn end(&self, end: End) -> Result<Option<Ended>, StoreError> {
        self.change(move |db| write(db, &end)).await
    }
}

fn write(db: &Connection, end: &End) -> rusqlite::Result<Option<Ended>> {
    let mut sending = db.prepare_cached("SELECT tries FROM message WHERE number = ?1 AND state = 1")?;
    let Some(tries) = sending.query_row([end.number], |row| row.get::<_, i64>(0)).optional()? else { return Ok(None) };
    attempts::note(db, end.number, tries, ms(end.at), &end.stage, &end.outcome)?;
    let mut set = db.prepare_cached(
        "UPDATE recipient SET state = ?3, error = ?4, at_ms = ?5 WHERE message = ?1 AND address = ?2 AND state = 0",
    )?;
    for (address, outcome) in &end.recipients {
        let (state, error) = match outcome {
            Outcome::Sent => (MessageState::Sent, None),
            Outcome::Dead(error) => (MessageState::Dead, Some(error)),
            Outcome::Pending(error) => (MessageState::Pending, Some(error)),
        };
        let error = error.map(|error| cut(error, ERROR));
        set.execute(params![end.number, address, state.number(), error, ms(end.at)])?;
    }
    if end.then == Then::GiveUp {
        db.prepare_cached("UPDATE recipient SET state = 4, at_ms = ?2 WHERE message = ?1 AND state = 0")?
            .execute(params![end.number, ms(end.at)])?;
    }
    let ended = ended(db, end)?;
    let next = match (ended.state, end.then) {
        (MessageState::Pending, Then::RetryAt(at)) => Some(ms(at).max(1)),
        // It keeps its place.
        (MessageState::Pending, _) => None,
        _ => Some(0),
    };
    // The attempt that ends it may well have succeeded: for somebody else.
    let succeeded = end.then != Then::GiveUp && end.recipients.iter().all(|(_, outcome)| *outcome == Outcome::Sent);
    let dead = if succeeded && ended.state == MessageState::Dead { first_dead(db, end.number)? } else { None };
    let error = dead.unwrap_or_else(|| end.outcome.clone());
    let done = matches!(ended.state, MessageState::Sent | MessageState::Dead);
    db.prepare_cached(
        "UPDATE message SET state = ?2, next_ms = coalesce(?3, next_ms), ended_ms = ?4,
             ambiguous = ambiguous + ?5, plain = plain OR ?6, error = ?7 WHERE number = ?1",
    )?
    .execute(params![
        end.number,
        ended.state.number(),
        next,
        done.then(|| ms(end.at)),
        end.ambiguous,
        end.plainer,
        (ended.state != MessageState::Sent).then(|| cut(&error, ERROR)),
    ])?;
    if ended.state == MessageState::Sent {
        // Where the simpler form was sent, the full one can still be looked at, as long as the message is listed.
        db.prepare_cached("DELETE FROM body WHERE message = ?1 AND NOT (SELECT plain FROM message WHERE number = ?1)")?
            .execute([end.number])?;
    }
    Ok(Some(ended))
}

/// Why the first of those did not get the message who never will.
fn first_dead(db: &Connection, number: i64) -> rusqlite::Result<Option<String>> {
    let mut dead = db.prepare_cached(
        "SELECT error FROM recipient WHERE message = ?1 AND state = 4 AND error IS NOT NULL ORDER BY place LIMIT 1",
    )?;
    dead.query_row([number], |row| row.get(0)).optional()
}

fn ended(db: &Connection, end: &End) -> rusqlite::Result<Ended> {
    let mut rows = db.prepare_cached("SELECT address, state FROM recipient WHERE message = ?1 ORDER BY place")?;
    let mut rows = rows.query([end.number])?;
    let (mut pending, mut dead) = (Vec::new(), false);
    while let Some(row) = rows.next()? {
        match MessageState::of(row.get(1)?) {
            MessageState::Pending => pending.push(row.get(0)?),
            MessageState::Dead => dead = true,
            _ => {}
        }
    }
    let state = match (pending.is_empty(), dead, end.then) {
        (true, true, _) => MessageState::Dead,
        (true, false, _) => MessageState::Sent,
        (false, _, Then::Hold) => MessageState::Held,
        (false, ..) => MessageState::Pending,
    };
    Ok(Ended { state, pending })
}
