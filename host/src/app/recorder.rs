//! Events are on the disk before any route sees them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::line;
use crate::event::Event;
use crate::queue::{Receiver, Refused, Sender, queue};
use crate::route::Arrived;
use crate::store::{Append, Appended, Appender, Lines, Store, StoreError, Ticket};

/// Batches that may be on their way to the disk at once; while the disk works, the next ones are prepared.
const IN_FLIGHT: usize = 64;
/// The first and the longest wait for a store without room.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];

/// The way into one route. What does not fit is not lost: the route reads it from the journal.
#[derive(Debug)]
pub struct Inlet {
    queue: Sender<Arc<Arrived>>,
    /// Up to where the route has to read by itself.
    missed: watch::Sender<u64>,
}

/// The ways into all routes, by their names. Clones are the same ones; when the last is dropped, the routes end. They may
/// change while events come: a route reads from the journal what it was not given.
#[derive(Debug, Clone, Default)]
pub struct Inlets(Arc<RwLock<BTreeMap<String, Inlet>>>);

/// The end of an [`Inlet`].
#[derive(Debug)]
pub struct Arriving {
    /// What fits.
    pub(super) queue: Receiver<Arc<Arrived>>,
    /// Up to where the route has to read by itself.
    pub(super) missed: watch::Receiver<u64>,
}

impl Inlet {
    /// A way into a route in which at most `bytes` bytes wait.
    #[must_use]
    pub fn new(bytes: u32) -> (Self, Arriving) {
        let (sender, receiver) = queue(bytes);
        let (missed, missing) = watch::channel(0);
        (Self { queue: sender, missed }, Arriving { queue: receiver, missed: missing })
    }

    fn give(&self, arrived: &Arc<Arrived>) {
        if let Err(Refused::Full(_)) = self.queue.try_send(Arc::clone(arrived)) {
            self.missed.send_replace(arrived.last());
        }
    }
}

impl Inlets {
    /// From now on a route gets what comes.
    pub fn open(&self, route: &str, inlet: Inlet) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(route.to_owned(), inlet);
    }

    /// A route gets nothing more, and ends when it has told what it has.
    pub(super) fn close(&self, route: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(route);
    }

    fn give(&self, arrived: &Arc<Arrived>) {
        for inlet in self.0.read().unwrap_or_else(PoisonError::into_inner).values() {
            inlet.give(arrived);
        }
    }
}

/// Brings the events of one source into the journal, and what is there to the routes.
#[derive(Debug)]
pub struct Recorder {
    appender: Appender,
    inlets: Inlets,
    in_flight: VecDeque<Flight>,
    failures: u32,
}

/// A batch that is not on the disk yet.
#[derive(Debug)]
struct Flight {
    ticket: Ticket<Appended>,
    append: Arc<Append>,
    events: Vec<Arc<Event>>,
}

impl Recorder {
    /// For one source of events, by its name.
    #[must_use]
    pub fn new(store: &Store, source: &str, inlets: Inlets) -> Self {
        Self { appender: store.appender(source), inlets, in_flight: VecDeque::new(), failures: 0 }
    }

    /// Whether more may be handed over now.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT && self.failures == 0
    }

    /// Returns whether what was handed over cannot be stored at present.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether everything is on the disk.
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Hands over events with the lines that they were, `raw` giving them by their place, and what `append` says beside them.
    pub(super) async fn put<'a>(
        &mut self,
        events: Vec<Event>,
        raw: impl Fn(usize) -> Option<&'a [u8]>,
        append: Append,
    ) -> Result<(), StoreError> {
        let mut lines = Lines::default();
        for (place, event) in events.iter().enumerate() {
            lines.push_with(|line| line::write(event, raw(place), line));
        }
        let append = Arc::new(Append { received: Timestamp::now(), lines, ..append });
        let ticket = self.appender.append(Arc::clone(&append)).await?;
        let events = events.into_iter().map(Arc::new).collect();
        self.in_flight.push_back(Flight { ticket, append, events });
        Ok(())
    }

    /// Waits until the oldest batch is on the disk, or could not be written; for ever when there is none.
    pub(super) async fn landed(&mut self) -> Result<Appended, StoreError> {
        match self.in_flight.front_mut() {
            Some(flight) => (&mut flight.ticket).await,
            None => std::future::pending().await,
        }
    }

    /// Draws the consequences of [`landed`](Self::landed): the routes get the batch, or it is tried again after a while. An
    /// error is one after which nothing can be written any more.
    pub(super) async fn settle(&mut self, landed: Result<Appended, StoreError>) -> Result<(), StoreError> {
        match landed {
            Ok(appended) => {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!(source = self.appender.engine(), "events are stored again");
                }
                if let Some(flight) = self.in_flight.pop_front() {
                    self.tell(appended.first, flight);
                }
                Ok(())
            }
            Err(error) if error.is_passing() => self.again(&error).await,
            Err(error) => Err(error),
        }
    }

    fn tell(&self, first: u64, flight: Flight) {
        let arrived = Arc::new(Arrived { first, received: flight.append.received, events: flight.events });
        self.inlets.give(&arrived);
    }

    /// Hands over everything once more, in its order.
    async fn again(&mut self, error: &StoreError) -> Result<(), StoreError> {
        if self.failures == 0 {
            tracing::error!(source = self.appender.engine(), "events wait in memory, they cannot be stored: {error}");
        }
        // The one that failed has answered; those behind it were refused for its sake.
        for flight in self.in_flight.iter_mut().skip(1) {
            let _ = (&mut flight.ticket).await;
        }
        let [first, most] = WAITS;
        tokio::time::sleep(first.saturating_mul(1 << self.failures.min(10)).min(most)).await;
        self.failures = self.failures.saturating_add(1);
        self.appender.resume();
        for flight in &mut self.in_flight {
            flight.ticket = self.appender.append(Arc::clone(&flight.append)).await?;
        }
        Ok(())
    }
}
