//! Work for a thread that owns a connection, and the ticket that says what became of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::StoreError;

/// Bytes of work that may wait for a thread; more waits with whoever brings it.
const MOST_WAITING: u32 = 64 << 20;
/// What a piece of work weighs beside its data, so that the number of pieces is bounded, too: 65,536.
const LEAST_WEIGHT: usize = 1024;

/// What becomes of a call. It resolves when the change is on the disk, or was refused. The change is made whether somebody
/// waits for it or not.
#[derive(Debug)]
pub struct Ticket<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Future for Ticket<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or(Err(StoreError::Closed)))
    }
}

/// What a piece of work is for, when room is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Brings lines of an engine: refused first.
    Intake,
    /// Brings what routes make of them, which lets the lines go: has an eighth of the room that no line may take.
    Making,
    /// Delivers, settles or removes: may use the last reserve, because it makes room.
    Upkeep,
}

/// Something to do within a transaction. It may be done twice, when the first transaction was rolled back.
pub(super) trait Job: Send {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()>;
    /// Tells the caller what became of it.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

struct Typed<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.work)(db)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let Self { result, reply, .. } = *self;
        let answer = failed.map_or_else(|| result.ok_or(StoreError::Closed), Err);
        // Nobody may be waiting any more.
        let _ = reply.send(answer);
    }
}

/// A stream of work in which nothing may overtake what failed.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Turns up to this one are refused.
    failed: AtomicU64,
}

impl Lane {
    /// The first turn that is not refused.
    pub(super) fn next(&self) -> u64 {
        self.failed.load(Ordering::Acquire).saturating_add(1)
    }
}

/// A piece of work on its way.
pub(super) struct Command {
    pub job: Box<dyn Job>,
    pub class: Class,
    pub lane: Option<(Arc<Lane>, u64)>,
    pub weight: u32,
    _room: OwnedSemaphorePermit,
}

impl Command {
    /// Whether an earlier piece of the same stream failed.
    pub(super) fn is_out_of_turn(&self) -> bool {
        self.lane.as_ref().is_some_and(|(lane, turn)| *turn < lane.next())
    }

    /// Ends it; what follows in its stream is refused if it failed.
    pub(super) fn answer(self, failed: Option<StoreError>) {
        if let (Some(_), Some((lane, turn))) = (&failed, &self.lane) {
            lane.failed.fetch_max(*turn, Ordering::AcqRel);
        }
        self.job.answer(failed);
    }
}

/// What goes to a thread.
pub(super) enum Order {
    /// Do this.
    Do(Command),
    /// Do nothing more, close the database well, and say so.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// The way to a thread that owns a connection.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    orders: mpsc::Sender<Order>,
    room: Arc<Semaphore>,
}

impl Thread {
    /// A way, and its end for the thread.
    pub(super) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, thread) = mpsc::channel();
        (Self { orders, room: Arc::new(Semaphore::new(MOST_WAITING as usize)) }, thread)
    }

    /// Hands over work as soon as there is room for `weight` bytes of it. What is handed over is done in this order.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        class: Class,
        weight: usize,
        lane: Option<(Arc<Lane>, u64)>,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Ticket<T>, StoreError> {
        let weight = u32::try_from(weight.saturating_add(LEAST_WEIGHT)).unwrap_or(u32::MAX).min(MOST_WAITING);
        let room = Arc::clone(&self.room).acquire_many_owned(weight).await.map_err(|_| StoreError::Closed)?;
        let (reply, ticket) = oneshot::channel();
        let job = Box::new(Typed { work, result: None, reply });
        let command = Command { job, class, lane, weight, _room: room };
        self.orders.send(Order::Do(command)).map_err(|_| StoreError::Closed)?;
        Ok(Ticket(ticket))
    }

    /// Lets the thread finish what it has, and end.
    pub(super) fn close(&self) -> Ticket<()> {
        let (reply, ticket) = oneshot::channel();
        // If the thread is gone, the ticket says so.
        let _ = self.orders.send(Order::Close(reply));
        Ticket(ticket)
    }
}
