//! T3: a digest becomes messages.

use super::outbox::{self, NewMessage};
use super::routes::{self, GroupChange};
use super::{Store, StoreError};

/// What a route tells: the messages, what becomes of its digests, and how far it has come. All of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Seal {
    /// Name of the route.
    pub route: String,
    /// What becomes of its digests.
    pub groups: Vec<GroupChange>,
    /// The route has settled all lines up to here; none when that is as before.
    pub settled: Option<u64>,
    /// What is told, one per sink.
    pub messages: Vec<NewMessage>,
    /// Numbers of messages that were never tried, and that the new ones tell again: they are removed. See
    /// [`Store::untried`].
    pub replaces: Vec<i64>,
}

/// What became of a [`Seal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// It is on the disk; the numbers of the messages in their order.
    Done(Vec<i64>),
    /// Nothing was changed, because one of the messages to be replaced is not untried any more: ask for
    /// [`Store::untried`] again.
    Tried,
}

impl Store {
    /// Makes messages of digests in one transaction.
    ///
    /// # Errors
    /// When the store is full or cannot be written; then nothing was changed.
    pub async fn seal(&self, seal: Seal) -> Result<Sealed, StoreError> {
        let bytes = routes::weight(&seal.groups) + seal.messages.iter().map(NewMessage::bytes).sum::<usize>();
        self.bring(bytes, move |db| {
            if !outbox::remove_untried(db, &seal.replaces)? {
                return Ok(Sealed::Tried);
            }
            let numbers = seal.messages.iter().map(|message| outbox::insert(db, message)).collect::<Result<_, _>>()?;
            for change in &seal.groups {
                routes::change(db, &seal.route, change)?;
            }
            if let Some(settled) = seal.settled {
                routes::settle(db, &seal.route, settled)?;
            }
            Ok(Sealed::Done(numbers))
        })
        .await
    }
}
