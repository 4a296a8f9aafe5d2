//! T4: a message is about to be sent. That is on the disk before its first byte goes out.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use ulid::Ulid;

use super::messages::checksum;
use super::phase_of;
use crate::message::Phase;
use crate::store::column::{count, ms, time};
use crate::store::{Store, StoreError};

/// A message to send now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its number in the outbox.
    pub number: i64,
    /// The message's id.
    pub id: Ulid,
    /// Name of the sink.
    pub sink: Arc<str>,
    /// Name of the route.
    pub route: Arc<str>,
    /// Group of the batch.
    pub group: String,
    /// Why it was told.
    pub phase: Phase,
    /// One line, for people.
    pub subject: String,
    /// How many events it tells.
    pub total: u32,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// When it is given up.
    pub deadline: Timestamp,
    /// Which attempt this is, from 1.
    pub tries: u32,
    /// When the first attempt began.
    pub first_try: Timestamp,
    /// Whether an earlier attempt may have arrived.
    pub ambiguous: bool,
    /// Whether a person had a dead letter of it sent again.
    pub late: bool,
    /// Whether it tells that something was not delivered.
    pub alarm: bool,
    /// What is sent: the simpler form if that is in use.
    pub wire: Bytes,
    /// The simpler form, if there is one that is not in use yet.
    pub plainer: Option<Bytes>,
    /// Who has not got it yet.
    pub pending: Vec<Arc<str>>,
}

impl Store {
    /// Takes a pending message for sending. None when it is not pending any more, or when the disk has changed its bytes: then
    /// it is held. An error means: do not send.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn begin(&self, number: i64, now: Timestamp) -> Result<Option<Outgoing>, StoreError> {
        self.change(move |db| begin(db, number, now)).await
    }
}

fn begin(db: &Connection, number: i64, now: Timestamp) -> rusqlite::Result<Option<Outgoing>> {
    let taken = db
        .prepare_cached(
            "UPDATE message SET state = 1, tries = tries + 1, first_try_ms = coalesce(first_try_ms, ?2)
             WHERE number = ?1 AND state = 0",
        )?
        .execute(params![number, ms(now)])?;
    if taken == 0 {
        return Ok(None);
    }
    let mut message = db.prepare_cached(
        "SELECT id, sink, route, digest, phase, subject, total, sealed_ms, deadline_ms, tries, first_try_ms, ambiguous, late,
                wire, plainer, plain, sum, alarm
         FROM message JOIN body ON body.message = number WHERE number = ?1",
    )?;
    let Some(outgoing) = message.query_row([number], |row| outgoing(number, row)).optional()?.flatten() else {
        return damaged(db, number).map(|()| None);
    };
    let mut pending =
        db.prepare_cached("SELECT address FROM recipient WHERE message = ?1 AND state = 0 ORDER BY place")?;
    let pending = pending.query_map([number], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(Outgoing { pending, ..outgoing }))
}

/// What is not what was sealed is not sent.
fn damaged(db: &Connection, number: i64) -> rusqlite::Result<()> {
    let error = "the disk has changed the bytes of this message; it is not sent";
    db.execute("UPDATE message SET state = 3, error = ?2 WHERE number = ?1", params![number, error]).map(drop)
}

/// None when its bytes are not those that were sealed.
fn outgoing(number: i64, row: &Row<'_>) -> rusqlite::Result<Option<Outgoing>> {
    let (wire, plainer): (Vec<u8>, Option<Vec<u8>>) = (row.get(13)?, row.get(14)?);
    if checksum(&wire, plainer.as_deref()) != row.get::<_, i64>(16)? {
        return Ok(None);
    }
    let (wire, plainer) = match (plainer, row.get(15)?) {
        (Some(plainer), true) => (plainer, None),
        (plainer, _) => (wire, plainer),
    };
    Ok(Some(Outgoing {
        number,
        id: Ulid::from_bytes(row.get(0)?),
        sink: row.get(1)?,
        route: row.get(2)?,
        group: row.get(3)?,
        phase: phase_of(row.get(4)?),
        subject: row.get(5)?,
        total: count(row.get(6)?),
        sealed_at: time(row.get(7)?),
        deadline: time(row.get(8)?),
        tries: count(row.get(9)?),
        first_try: time(row.get(10)?),
        ambiguous: row.get::<_, i64>(11)? > 0,
        late: row.get(12)?,
        alarm: row.get(17)?,
        wire: wire.into(),
        plainer: plainer.map(Bytes::from),
        pending: Vec::new(),
    }))
}
