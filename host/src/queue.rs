//! A queue between a task that must never wait and one that may: bounded by memory, and honest about what did not fit.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a queue counts of its items.
pub trait Weigh {
    /// About how many bytes of memory the item takes.
    fn weight(&self) -> usize;
}

/// The side that never waits.
#[derive(Debug)]
pub struct Sender<T> {
    items: UnboundedSender<(u32, T)>,
    room: Arc<Semaphore>,
}

/// The side that takes items out.
#[derive(Debug)]
pub struct Receiver<T> {
    items: UnboundedReceiver<(u32, T)>,
    room: Arc<Semaphore>,
}

/// Why an item was not taken; it is handed back.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<T> {
    /// The queue holds as many bytes as it may. Try again later, or count the item as missed.
    Full(T),
    /// The other side is gone.
    Closed(T),
}

/// A queue that holds items of at most `bytes` together. One item larger than that still fits into an empty queue.
#[must_use]
pub fn queue<T: Weigh>(bytes: u32) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = unbounded_channel();
    let room = Arc::new(Semaphore::new(bytes as usize));
    (Sender { items: sender, room: Arc::clone(&room) }, Receiver { items: receiver, room })
}
