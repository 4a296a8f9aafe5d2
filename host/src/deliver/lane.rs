//! What a worker and the rest of the program know of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Mutex, Notify, watch};

use super::SinkStats;
use super::pace::Pace;
use crate::config::Rate;

/// The way to one sink.
#[derive(Debug)]
pub(super) struct Lane {
    pub sink: Arc<str>,
    pub stats: Arc<watch::Sender<SinkStats>>,
    /// How many messages may be sent.
    pub rate: Option<Rate>,
    /// Held by the worker that delivers: one of a sink at a time.
    pub turn: Arc<Mutex<Pace>>,
    woken: Notify,
    hurried: Notify,
    wakes: AtomicU64,
    closing: AtomicBool,
    leaving: AtomicBool,
}

impl Lane {
    pub(super) fn new(sink: &str, rate: Option<Rate>) -> Self {
        Self::with(Arc::from(sink), rate, Arc::new(watch::Sender::new(SinkStats::default())), Arc::default())
    }

    /// The way to the same sink with another configuration. It counts on, and its worker waits for the end of this one's.
    pub(super) fn successor(&self, rate: Option<Rate>) -> Self {
        Self::with(Arc::clone(&self.sink), rate, Arc::clone(&self.stats), Arc::clone(&self.turn))
    }

    fn with(sink: Arc<str>, rate: Option<Rate>, stats: Arc<watch::Sender<SinkStats>>, turn: Arc<Mutex<Pace>>) -> Self {
        Self {
            sink,
            rate,
            stats,
            turn,
            woken: Notify::new(),
            hurried: Notify::new(),
            wakes: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        }
    }

    /// There is something in the store.
    pub(super) fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::AcqRel);
        self.stats.send_if_modified(|stats| std::mem::take(&mut stats.idle));
        self.woken.notify_one();
    }

    /// What waits is to be tried now, even if the sink took nothing so far.
    pub(super) fn hurry(&self) {
        self.hurried.notify_waiters();
        self.wake();
    }

    /// Waits for the next [`hurry`](Self::hurry).
    pub(super) async fn hurried(&self) {
        self.hurried.notified().await;
    }

    /// How often there was something new so far.
    pub(super) fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Acquire)
    }

    /// Nothing is in the store, unless something came since there were so many `wakes`.
    pub(super) fn rest(&self, wakes: u64) {
        self.stats.send_if_modified(|stats| {
            let changed = !stats.idle && self.wakes() == wakes;
            stats.idle |= changed;
            changed
        });
    }

    /// Waits until something was put in, or the end was asked for, since the last call.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// What is due is delivered, and then the worker ends.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.woken.notify_one();
    }

    /// Whether the end was asked for.
    pub(super) fn closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The worker ends behind the attempt that it is at; the rest is another's.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.woken.notify_one();
    }

    /// Whether another takes over.
    pub(super) fn leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }
}
