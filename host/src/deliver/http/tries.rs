//! How often a message was refused.

use std::collections::HashMap;
use std::time::Duration;

use ulid::Ulid;

use crate::deliver::{Failure, Fault};

/// After so many refusals a message is given up.
const MOST: u8 = 3;

/// The least wait after a refusal: a minute, in which a service that is just replaced comes back.
const PAUSE: Duration = Duration::from_secs(60);

/// Messages that are remembered at once. More are refused at the same time only by a service that refuses all, and to be
/// tried once more than three times does no harm.
const REMEMBERED: usize = 1024;

/// How often each message was refused, by each of its recipients. It is forgotten at a restart: then a message is tried thrice again.
#[derive(Debug, Default)]
pub(in crate::deliver) struct Tries(HashMap<(Ulid, usize), u8>);

impl Tries {
    /// What follows from a failure: one of the message lasts only the third time. All others stay as they are.
    pub(in crate::deliver) fn count(&mut self, id: Ulid, recipient: usize, failure: &mut Failure) {
        let key = (id, recipient);
        if !failure.lasting || failure.fault != Fault::Message {
            return;
        }
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let tries = self.0.entry(key).or_default();
        *tries += 1;
        if *tries >= MOST {
            self.0.remove(&key);
        } else {
            failure.lasting = false;
            failure.retry_after = Some(failure.retry_after.unwrap_or_default().max(PAUSE));
        }
    }

    /// Forgets a message that was delivered.
    pub(in crate::deliver) fn forget(&mut self, id: Ulid) {
        self.0.retain(|(refused, _), _| *refused != id);
    }
}
