//! What waits for one sink: bounded, oldest first, seen from outside.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{Sealed, SinkStats};
use crate::message::Message;

/// Most messages that wait for one sink.
pub(super) const MOST_MESSAGES: usize = 10_000;
/// Most bytes of messages that wait for one sink.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// A message that waits.
#[derive(Debug)]
pub(super) struct Entry {
    /// Order of arrival.
    pub number: u64,
    pub message: Arc<Message>,
    /// Made at the first attempt.
    pub sealed: Option<Sealed>,
    /// When it came.
    pub since: Instant,
    /// Attempts that failed through its own or a recipient's fault.
    pub failures: u32,
    /// Not before this time.
    pub due: Option<Instant>,
    /// Memory it takes.
    pub weight: usize,
}

/// What waits for one sink; the worker takes out, the outbox puts in.
#[derive(Debug)]
pub(super) struct Waiting {
    pub sink: Arc<str>,
    queue: Mutex<Queue>,
    wake: Notify,
    pub stats: watch::Sender<SinkStats>,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// What is being tried, and the memory it takes.
    in_flight: Option<(Arc<Message>, usize)>,
    weight: usize,
    next: u64,
    closing: bool,
}

/// What the worker does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Try this.
    Try(Box<Entry>),
    /// Nothing before this time.
    Until(Instant),
    /// Nothing waits.
    Rest,
    /// Nothing waits and nothing will come.
    Done,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Messages,
    Bytes,
    Closed,
    Gone,
}

impl Waiting {
    pub(super) fn new(sink: &str) -> Self {
        Self {
            sink: Arc::from(sink),
            queue: Mutex::default(),
            wake: Notify::new(),
            stats: watch::Sender::new(SinkStats::default()),
        }
    }

    /// A panic elsewhere leaves the queue usable: each change is made of single steps that cannot fail.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message at the end, if there is room.
    pub(super) fn push(&self, message: Arc<Message>) -> Result<(), Full> {
        let weight = weight(&message);
        let mut queue = self.lock();
        let room = if self.stats.borrow().gone {
            Err(Full::Gone)
        } else if queue.closing {
            Err(Full::Closed)
        } else if queue.count() >= MOST_MESSAGES {
            Err(Full::Messages)
        } else if queue.weight + weight > MOST_BYTES && queue.count() > 0 {
            Err(Full::Bytes)
        } else {
            Ok(())
        };
        room?;
        let number = queue.next;
        queue.next += 1;
        queue.weight += weight;
        queue.entries.push_back(Entry {
            number,
            message,
            sealed: None,
            since: Instant::now(),
            failures: 0,
            due: None,
            weight,
        });
        self.show(queue);
        self.wake.notify_one();
        Ok(())
    }

    /// The oldest message that is due, unless the sink rests until a later time.
    pub(super) fn next(&self, now: Instant, rest: Option<Instant>) -> Next {
        let mut queue = self.lock();
        if queue.entries.is_empty() {
            return if queue.closing { Next::Done } else { Next::Rest };
        }
        if let Some(rest) = rest.filter(|rest| *rest > now) {
            return Next::Until(rest);
        }
        let oldest = queue.entries.iter().position(|entry| entry.due.is_none_or(|due| due <= now));
        match oldest.and_then(|place| queue.entries.remove(place)) {
            Some(entry) => {
                queue.in_flight = Some((Arc::clone(&entry.message), entry.weight));
                Next::Try(Box::new(entry))
            }
            None => queue.entries.iter().filter_map(|entry| entry.due).min().map_or(Next::Rest, Next::Until),
        }
    }

    /// Adds what sealing a message takes.
    pub(super) fn weigh(&self, entry: &mut Entry, more: usize) {
        entry.weight += more;
        let mut queue = self.lock();
        queue.weight += more;
        queue.in_flight = Some((Arc::clone(&entry.message), entry.weight));
    }

    /// What was being tried when the worker failed; it is not tried again.
    pub(super) fn lost(&self) -> Option<Arc<Message>> {
        let mut queue = self.lock();
        let (message, weight) = queue.in_flight.take()?;
        queue.weight = queue.weight.saturating_sub(weight);
        self.show(queue);
        Some(message)
    }

    /// Puts an entry that was taken out back in its place.
    pub(super) fn put_back(&self, entry: Entry) {
        let mut queue = self.lock();
        queue.in_flight = None;
        let place = queue.entries.partition_point(|other| other.number < entry.number);
        queue.entries.insert(place, entry);
        self.show(queue);
    }

    /// An entry that was taken out needs nothing more.
    pub(super) fn finish(&self, entry: &Entry) {
        let mut queue = self.lock();
        queue.in_flight = None;
        queue.weight = queue.weight.saturating_sub(entry.weight);
        self.show(queue);
    }

    /// Waits until something was put in, or the end was asked for.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes nothing more; what is there is tried at once.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closing = true;
        for entry in &mut queue.entries {
            entry.due = None;
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// Whether the end was asked for.
    pub(super) fn closing(&self) -> bool {
        self.lock().closing
    }

    /// Takes out all that is left, the message that is being tried among it.
    pub(super) fn drain(&self) -> Vec<Arc<Message>> {
        let mut queue = self.lock();
        queue.closing = true;
        queue.weight = 0;
        let mut left: Vec<_> = queue.in_flight.take().into_iter().map(|(message, _)| message).collect();
        left.extend(queue.entries.drain(..).map(|entry| entry.message));
        self.show(queue);
        left
    }

    fn show(&self, queue: MutexGuard<'_, Queue>) {
        let (waiting, waiting_bytes) = (queue.count(), queue.weight);
        drop(queue);
        self.stats.send_modify(|stats| {
            stats.waiting = waiting;
            stats.waiting_bytes = waiting_bytes;
        });
    }
}

impl Queue {
    fn count(&self) -> usize {
        self.entries.len() + usize::from(self.in_flight.is_some())
    }
}

/// About how many bytes of memory a message takes.
fn weight(message: &Message) -> usize {
    let told = &message.notification;
    let forms: usize = told.alternatives.iter().map(|form| form.media_type.len() + form.content.len() + 48).sum();
    let fields: usize = told.fields.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
    size_of::<Message>() + size_of::<Entry>() + message.group.len() + told.subject.len() + forms + fields
}
