//! The outbox for people: `dockbell outbox list` and `show`.

use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use ulid::Ulid;

use super::{AttemptRow, MessageState, attempts, phase_of};
use crate::message::Phase;
use crate::store::column::{count, time, uint};
use crate::store::{Reader, Store, StoreError};

/// Which messages are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Those of this sink; none for all.
    pub sink: Option<String>,
    /// Those in one of these states.
    pub states: Vec<MessageState>,
    /// Those behind this number, to page on; 0 for the first page.
    pub after: i64,
    /// At most so many.
    pub most: u32,
}

impl Default for Filter {
    /// All messages but those that all recipients have, the first 1,000.
    fn default() -> Self {
        let states = MessageState::ALL.into_iter().filter(|state| *state != MessageState::Sent).collect();
        Self { sink: None, states, after: 0, most: 1000 }
    }
}

/// A message without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its number in the outbox.
    pub number: i64,
    /// The message's id.
    pub id: Ulid,
    /// Name of the sink.
    pub sink: String,
    /// Name of the route.
    pub route: String,
    /// Group of the batch.
    pub group: String,
    /// Why it was told.
    pub phase: Phase,
    /// One line.
    pub subject: String,
    /// How many events it tells.
    pub total: u32,
    /// Bytes of its forms.
    pub bytes: u64,
    /// Where it is.
    pub state: MessageState,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, if it was put off.
    pub next: Option<Timestamp>,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// When the first attempt began.
    pub first_try: Option<Timestamp>,
    /// When it is given up.
    pub deadline: Timestamp,
    /// When it was sent or died.
    pub ended: Option<Timestamp>,
    /// How often it was sent without an answer.
    pub ambiguous: u32,
    /// Whether it tells that something was not delivered.
    pub alarm: bool,
    /// What the last attempt came to.
    pub error: Option<String>,
}

/// A recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRow {
    /// Who.
    pub address: String,
    /// Pending, sent or dead.
    pub state: MessageState,
    /// When that was found out.
    pub at: Option<Timestamp>,
    /// Why it has not got the message.
    pub error: Option<String>,
}

/// A message with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The message.
    pub summary: Summary,
    /// Its recipients.
    pub recipients: Vec<RecipientRow>,
    /// The first attempt, and the last 19.
    pub attempts: Vec<AttemptRow>,
    /// What is sent; none when all recipients have it. Where they have the simpler form: the full one.
    pub wire: Option<Bytes>,
}

impl Store {
    /// Messages, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn messages(&self, filter: Filter) -> Result<Vec<Summary>, StoreError> {
        self.ask(move |db| messages(db, &filter)).await
    }

    /// A message with all that is known of it; once per sink.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn letters(&self, id: Ulid) -> Result<Vec<Letter>, StoreError> {
        self.ask(move |db| letters(db, id)).await
    }
}

impl Reader {
    /// Messages, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn messages(&self, filter: &Filter) -> Result<Vec<Summary>, StoreError> {
        self.ask(|db| messages(db, filter))
    }

    /// A message with all that is known of it; once per sink.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn letters(&self, id: Ulid) -> Result<Vec<Letter>, StoreError> {
        self.ask(|db| letters(db, id))
    }

    /// The database that is read.
    #[must_use]
    pub fn database(&self) -> &Path {
        self.path()
    }
}

const COLUMNS: &str = "number, id, sink, route, digest, phase, subject, total, bytes, state, tries, next_ms, sealed_ms,
    first_try_ms, deadline_ms, ended_ms, ambiguous, error, alarm";

fn messages(db: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Summary>> {
    // A set of states as the bits of a number.
    let states: i64 = filter.states.iter().map(|state| 1 << state.number()).fold(0, |all, one| all | one);
    let mut rows = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message WHERE number > ?1 AND (1 << state) & ?2 <> 0 AND (?3 IS NULL OR sink = ?3)
         ORDER BY number LIMIT ?4"
    ))?;
    rows.query_map(params![filter.after, states, filter.sink, filter.most], summary)?.collect()
}

fn letters(db: &Connection, id: Ulid) -> rusqlite::Result<Vec<Letter>> {
    let mut rows = db.prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE id = ?1 ORDER BY number"))?;
    let all: Vec<Summary> = rows.query_map([id.to_bytes()], summary)?.collect::<Result<_, _>>()?;
    all.into_iter().map(|summary| letter(db, summary)).collect()
}

fn letter(db: &Connection, summary: Summary) -> rusqlite::Result<Letter> {
    let number = summary.number;
    let mut rows =
        db.prepare_cached("SELECT address, state, at_ms, error FROM recipient WHERE message = ?1 ORDER BY place")?;
    let recipients = rows.query_map([number], |row| {
        Ok(RecipientRow {
            address: row.get(0)?,
            state: MessageState::of(row.get(1)?),
            at: row.get::<_, Option<i64>>(2)?.map(time),
            error: row.get(3)?,
        })
    })?;
    let recipients = recipients.collect::<Result<_, _>>()?;
    let mut wire = db.prepare_cached(
        "SELECT CASE WHEN plain AND state <> 2 THEN coalesce(plainer, wire) ELSE wire END
         FROM body JOIN message ON number = message WHERE body.message = ?1",
    )?;
    let wire = wire.query_row([number], |row| row.get::<_, Vec<u8>>(0)).optional()?.map(Bytes::from);
    Ok(Letter { summary, recipients, attempts: attempts::of(db, number)?, wire })
}

pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let when = |at: Option<i64>| at.map(time);
    Ok(Summary {
        number: row.get(0)?,
        id: Ulid::from_bytes(row.get(1)?),
        sink: row.get(2)?,
        route: row.get(3)?,
        group: row.get(4)?,
        phase: phase_of(row.get(5)?),
        subject: row.get(6)?,
        total: count(row.get(7)?),
        bytes: uint(row.get(8)?),
        state: MessageState::of(row.get(9)?),
        tries: count(row.get(10)?),
        next: when(row.get(11)?).filter(|next| next.as_millisecond() > 0),
        sealed_at: time(row.get(12)?),
        first_try: when(row.get(13)?),
        deadline: time(row.get(14)?),
        ended: when(row.get(15)?),
        ambiguous: count(row.get(16)?),
        error: row.get(17)?,
        alarm: row.get(18)?,
    })
}

/// The messages with these numbers.
pub(super) fn numbered(db: &Connection, numbers: &[i64]) -> rusqlite::Result<Vec<Summary>> {
    let mut one = db.prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE number = ?1"))?;
    numbers.iter().map(|number| one.query_row([number], summary)).collect()
}
