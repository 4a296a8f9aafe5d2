//! How guests share the processors: one that runs on goes on in short slices, a few guests at a time.
//!
//! A call of a filter takes microseconds and is never interrupted. One that takes longer is interrupted at each tick of the
//! engine's epoch and waits until it is among the guests that may run on, as many as there are processors. So however many
//! guests loop, any other task waits behind no more of them than that, for a tick each.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use wasmtime::{Engine, Store, UpdateDeadline};

/// How often the epoch changes while no guest runs long: it wakes a processor.
const TICK: Duration = Duration::from_millis(20);
/// How often it changes while one does: the length of a slice.
const BUSY_TICK: Duration = Duration::from_millis(2);
/// Such ticks after the last interruption of a guest: 100 ms, since guests that run long come again.
const BUSY_TICKS: u32 = 50;
/// Ticks until a call is interrupted first: two, so that none is in its first tick, which may be nearly over.
const FIRST_SLICE: u64 = 2;

/// Interruptions of a call after which it goes on without waiting for others. Ticks go by the clock, so on a busy machine a
/// short call is interrupted, too; it must not wait behind those that loop.
const FREE_SLICES: u32 = 5;

/// The processors, and how long guests have run on them.
#[derive(Debug)]
pub(super) struct Processors {
    room: Arc<Semaphore>,
    /// Short ticks that are still to come.
    busy_ticks: AtomicU32,
}

/// The part of one instance in it.
#[derive(Debug, Clone)]
pub(super) struct Slices {
    processors: Arc<Processors>,
    /// Held while the guest runs in a slice.
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    /// Interruptions of the present call.
    interruptions: Arc<AtomicU32>,
}

impl Processors {
    /// Starts the thread that interrupts the guests of an engine; it ends with the engine.
    ///
    /// # Errors
    /// Fails if the system has no thread left.
    pub(super) fn start(engine: &Engine) -> std::io::Result<Arc<Self>> {
        let number = thread::available_parallelism().map_or(1, usize::from);
        let processors = Arc::new(Self { room: Arc::new(Semaphore::new(number)), busy_ticks: AtomicU32::new(0) });
        let (engine, ticking) = (engine.weak(), Arc::clone(&processors));
        thread::Builder::new().name("plugin-ticks".to_owned()).spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                let left = ticking.busy_ticks.load(Ordering::Relaxed);
                // What a guest sets meanwhile may be lost once: it sets it again at its next interruption.
                ticking.busy_ticks.store(left.saturating_sub(1), Ordering::Relaxed);
                thread::sleep(if left > 0 { BUSY_TICK } else { TICK });
            }
        })?;
        Ok(processors)
    }

    /// Returns the part of a new instance, whose store is interrupted from now on.
    pub(super) fn share<T: 'static>(self: &Arc<Self>, store: &mut Store<T>) -> Slices {
        let slices = Slices { processors: Arc::clone(self), permit: Arc::default(), interruptions: Arc::default() };
        let of_store = slices.clone();
        store.epoch_deadline_callback(move |_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(of_store.clone().next()))));
        slices.begin(store);
        slices
    }
}

impl Slices {
    /// Begins a call: the time until the first interruption counts from now.
    pub(super) fn begin<T>(&self, store: &mut Store<T>) {
        self.interruptions.store(0, Ordering::Relaxed);
        store.set_epoch_deadline(FIRST_SLICE);
    }

    /// Runs a call for at most `limit`.
    ///
    /// # Errors
    /// Fails if it takes longer.
    pub(super) async fn run<F: Future>(&self, limit: Duration, call: F) -> Result<F::Output, Elapsed> {
        let mut call = pin!(call);
        let in_slices = poll_fn(|context| {
            let polled = call.as_mut().poll(context);
            // It ended, waits for something, or makes room.
            self.end();
            polled
        });
        timeout(limit, in_slices).await
    }

    /// Makes room for others, then waits for the next slice.
    async fn next(self) {
        self.processors.busy_ticks.store(BUSY_TICKS, Ordering::Relaxed);
        self.end();
        if self.interruptions.fetch_add(1, Ordering::Relaxed) < FREE_SLICES {
            return tokio::task::yield_now().await;
        }
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.processors.room).acquire_owned().await.ok();
        // Tokio's own `yield_now`: the task comes again only after the thread had nothing else to do and looked at timers and
        // sockets. After the permit, or guests would hand it on to each other and keep the thread busy in turn.
        tokio::task::yield_now().await;
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }

    fn end(&self) {
        drop(self.permit.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
