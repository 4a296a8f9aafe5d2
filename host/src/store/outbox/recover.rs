//! Messages that were being sent when the program was killed: nobody knows whether they arrived.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use ulid::Ulid;

use super::{MessageState, attempts};
use crate::store::column::ms;

/// What becomes of messages of which nobody knows whether they arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ambiguous {
    /// They are sent again, with the same id and the same bytes: told twice rather than never. The default.
    #[default]
    Resend,
    /// They wait for a person: told once at most.
    Hold,
}

/// A message that was being sent when the program was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// Its number in the outbox.
    pub number: i64,
    /// The message's id.
    pub id: Ulid,
    /// Name of the sink.
    pub sink: String,
    /// Where it is now: pending or held.
    pub state: MessageState,
}

pub(in crate::store) fn recover(db: &Connection, policy: Ambiguous) -> rusqlite::Result<Vec<Interrupted>> {
    let state = match policy {
        Ambiguous::Resend => MessageState::Pending,
        Ambiguous::Hold => MessageState::Held,
    };
    let transaction = db.unchecked_transaction()?;
    let mut found = Vec::new();
    {
        let mut rows = db.prepare("SELECT number, id, sink, tries FROM message WHERE state = 1 ORDER BY number")?;
        let mut rows = rows.query(())?;
        while let Some(row) = rows.next()? {
            let (number, id, sink) = (row.get(0)?, Ulid::from_bytes(row.get(1)?), row.get(2)?);
            found.push((Interrupted { number, id, sink, state }, row.get::<_, i64>(3)?));
        }
        let mut set = db.prepare("UPDATE message SET state = ?2, ambiguous = ambiguous + 1 WHERE number = ?1")?;
        for (message, tries) in &found {
            set.execute(params![message.number, state.number()])?;
            let outcome = "dockbell ended while it sent this; it may have arrived";
            attempts::note(db, message.number, *tries, ms(Timestamp::now()), "interrupted", outcome)?;
        }
    }
    transaction.commit()?;
    Ok(found.into_iter().map(|(message, _)| message).collect())
}
