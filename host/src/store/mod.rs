//! What must outlive the moment: the events that were read and how far, the open digests, and the messages on their way.
//!
//! One SQLite database, `state.db`, in the state directory ([`Place`]); one thread owns the only connection that writes, a
//! second one reads. A call hands its work to a thread and gets the answer when the change is on the disk: calls that come
//! while the disk works share the next commit. With `--state none` the same runs in memory.
//!
//! | what | where | transaction |
//! | --- | --- | --- |
//! | lines as they were read, the cursor of their engine, and its gaps | [`Appender::append`] | T1: all or none |
//! | how far a route has come, and its open digests | [`Store::seal`], [`Store::settle`] | T3: with the messages made of them |
//! | a message is about to be sent | [`Store::begin`] | T4: before its first byte goes out |
//! | what became of an attempt | [`Store::end`] | T5: with the result for each recipient |
//! | what plugins keep | [`Store::change_state`] | one for all changes since the last |
//!
//! Filters can be run again, so what a digest holds is not stored event by event: the journal is read again from where the
//! route has settled.

mod column;
mod containers;
mod damage;
mod directory;
mod error;
mod filesystem;
pub mod groups;
mod job;
mod journal;
mod location;
mod lock;
mod migrate;
mod open;
mod outbox;
mod probe;
mod reader;
mod routes;
mod schema;
mod seal;
mod settings;
mod space;
mod states;
mod stats;
mod upkeep;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

pub use self::containers::ContainerState;
pub use self::directory::Place;
pub use self::error::{Full, StoreError};
pub use self::job::Ticket;
pub use self::journal::{Append, Appended, Appender, Batch, EngineCursor, Gap, KEYS, Lines, Moved, OpenGap};
pub use self::open::{Notice, Opened, Options};
pub use self::outbox::{
    Ambiguous, AttemptRow, Due, End, Ended, Filter, GaveWay, Interrupted, LIFETIME, Letter, MessageState, NewMessage,
    Outcome, Outgoing, RecipientRow, Summary, Then, Untried,
};
pub use self::probe::probe;
pub use self::reader::Reader;
pub use self::routes::{GroupChange, GroupRow};
pub use self::seal::{Seal, Sealed, too_large};
pub use self::states::StateChange;
pub use self::stats::{SinkCount, Stats};
pub use self::upkeep::{Keep, Upkept};

use self::job::{Class, Thread};
use self::location::Location;
use self::space::Room;

/// The open store. Clones are handles to the same one; it is closed by [`close`](Self::close), or when the last handle is
/// dropped.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Thread,
    reader: Thread,
    /// None in memory.
    location: Option<Arc<Location>>,
    path: Arc<Path>,
    room: Arc<Room>,
}

impl Store {
    fn new(writer: Thread, reader: Thread, location: Option<Arc<Location>>, path: Arc<Path>, room: Arc<Room>) -> Self {
        Self { writer, reader, location, path, room }
    }

    /// Whether it keeps nothing (`--state none`).
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.location.is_none()
    }

    /// Where the database is; `:memory:` for one that keeps nothing.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the files of the store are still found in its state directory. It asks the file system, so on an
    /// asynchronous runtime this is for `spawn_blocking`.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if the directory was removed or renamed, or another one was mounted over it.
    pub fn check_location(&self) -> Result<(), StoreError> {
        self.location.as_ref().map_or(Ok(()), |location| location.check())
    }

    /// Finishes what was handed over before, brings everything into one file and gives the state directory free. All later
    /// calls of all handles fail with [`StoreError::Closed`].
    ///
    /// # Errors
    /// The one that broke the store, if one did: then the next start checks the whole database.
    pub async fn close(&self) -> Result<(), StoreError> {
        if !self.is_in_memory() {
            // First: the last connection that closes clears the log away, and only the writer can.
            let _ = self.reader.close().await;
        }
        self.writer.close().await
    }

    /// A change that makes room, or needs none.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(Class::Upkeep, 0, None, work).await?.await
    }

    /// A change that brings something new of about `bytes` bytes, other than lines of an engine.
    async fn bring<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(Class::Making, bytes, None, work).await?.await
    }

    /// Waits until something was refused because the store has reached its limit.
    pub async fn short_of_room(&self) {
        self.room.short.notified().await;
    }

    /// A question.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.submit(Class::Upkeep, 0, None, work).await?.await
    }
}

#[cfg(test)]
mod tests;
