//! T3: a digest becomes messages.

use std::sync::atomic::Ordering;

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
    /// Messages that are too large for the store: they become dead letters without content. See
    /// [`leave_out`](Self::leave_out).
    pub too_large: Vec<NewMessage>,
    /// Numbers of messages that were never tried, and that the new ones tell again: they are removed. See
    /// [`Store::untried`].
    pub replaces: Vec<i64>,
}

impl Seal {
    /// Moves the messages that take more than `most` bytes to those that are too large; returns whether there are any.
    pub fn leave_out(&mut self, most: u64) -> bool {
        let too_large = self.messages.extract_if(.., |message| message.bytes() as u64 > most);
        let before = self.too_large.len();
        self.too_large.extend(too_large);
        self.too_large.len() > before
    }
}

/// What became of a [`Seal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// It is on the disk; the numbers of the messages in their order, without those that are too large.
    Done(Vec<i64>),
    /// Nothing was changed, because one of the messages to be replaced is not untried any more: ask for
    /// [`Store::untried`] again.
    Tried,
}

/// Says why a message is lost that is too large for the store.
#[must_use]
pub fn too_large(message: &NewMessage) -> String {
    let bytes = message.bytes();
    format!("its {bytes} bytes do not fit into the store; a state directory on a larger volume has more room")
}

impl Store {
    /// The most bytes of a message for which there is always room in the end: a tenth of the store. Lines of engines may fill
    /// seven eighths of it, and are kept until what was made of them is stored.
    #[must_use]
    pub fn largest_message(&self) -> u64 {
        self.room.quota.load(Ordering::Acquire) / 10
    }

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
            for message in &seal.too_large {
                outbox::insert_lost(db, message, &too_large(message))?;
            }
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
