//! A queue between a task that must never wait and one that may: bounded by memory, and honest about what did not fit.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, TryAcquireError};

use crate::event::Event;

/// What a queue counts of its items.
pub trait Weigh {
    /// About how many bytes of memory the item takes.
    fn weight(&self) -> usize;
}

impl Weigh for Event {
    fn weight(&self) -> usize {
        Self::weight(self)
    }
}

impl<T: Weigh> Weigh for Arc<T> {
    fn weight(&self) -> usize {
        T::weight(self)
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.iter().map(Weigh::weight).sum::<usize>()
    }
}

/// The side that never waits. Clones put into the same queue; it ends when all of them are dropped.
#[derive(Debug)]
pub struct Sender<T> {
    items: UnboundedSender<(u32, T)>,
    room: Arc<Semaphore>,
    bytes: u32,
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
    (Sender { items: sender, room: Arc::clone(&room), bytes }, Receiver { items: receiver, room })
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), room: Arc::clone(&self.room), bytes: self.bytes }
    }
}

impl<T: Weigh> Sender<T> {
    /// Puts an item in, at once or not at all.
    ///
    /// # Errors
    /// [`Refused`], with the item, when there is no room for it or nobody to take it out.
    pub fn try_send(&self, item: T) -> Result<(), Refused<T>> {
        let weight = self.clamped(item.weight());
        match self.room.try_acquire_many(weight) {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits) => return Err(Refused::Full(item)),
            Err(TryAcquireError::Closed) => return Err(Refused::Closed(item)),
        }
        self.items.send((weight, item)).map_err(|refused| Refused::Closed(refused.0.1))
    }

    /// Waits until an item of `weight` bytes would fit, or nobody is left to take one out. Another sender may be quicker.
    pub async fn room(&self, weight: usize) {
        // The permits go back at once: this is a look, not a reservation. An error says that the queue is closed.
        drop(self.room.acquire_many(self.clamped(weight)).await);
    }

    /// Returns whether an item of `weight` bytes would fit now.
    #[must_use]
    pub fn has_room(&self, weight: usize) -> bool {
        self.room.available_permits() >= self.clamped(weight) as usize
    }

    /// Returns how many bytes the queue holds at most.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Waits until nobody is left to take items out.
    pub async fn closed(&self) {
        self.items.closed().await;
    }

    /// An item heavier than the whole queue counts as much as the queue holds, so that it fits when that is empty.
    fn clamped(&self, weight: usize) -> u32 {
        u32::try_from(weight).unwrap_or(u32::MAX).min(self.bytes)
    }
}

impl<T> Receiver<T> {
    /// The next item; none when it was the last and every sender is gone.
    pub async fn recv(&mut self) -> Option<T> {
        let (weight, item) = self.items.recv().await?;
        self.room.add_permits(weight as usize);
        Some(item)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for &str {
        fn weight(&self) -> usize {
            self.len()
        }
    }

    #[tokio::test]
    async fn a_full_queue_hands_the_item_back_until_another_is_taken_out() {
        let (sender, mut receiver) = queue(8);
        sender.try_send("12345").unwrap();
        assert_eq!(sender.try_send("6789"), Err(Refused::Full("6789")));
        assert_eq!(receiver.recv().await, Some("12345"));
        sender.try_send("6789").unwrap();
        assert_eq!(receiver.recv().await, Some("6789"));
    }

    #[tokio::test]
    async fn an_item_larger_than_the_queue_fits_when_it_is_empty() {
        let (sender, mut receiver) = queue(4);
        sender.try_send("123456789").unwrap();
        assert_eq!(sender.try_send("1"), Err(Refused::Full("1")));
        assert_eq!(receiver.recv().await, Some("123456789"));
        sender.try_send("1").unwrap();
    }

    #[tokio::test]
    async fn what_is_inside_comes_out_after_the_last_sender_is_gone() {
        let (sender, mut receiver) = queue(8);
        let other = sender.clone();
        sender.try_send("a").unwrap();
        drop(sender);
        other.try_send("b").unwrap();
        drop(other);
        assert_eq!(receiver.recv().await, Some("a"));
        assert_eq!(receiver.recv().await, Some("b"));
        assert_eq!(receiver.recv().await, None);
    }

    #[tokio::test]
    async fn without_a_receiver_the_sender_is_told_so_and_does_not_wait() {
        let (sender, receiver) = queue(2);
        sender.try_send("12").unwrap();
        drop(receiver);
        assert_eq!(sender.try_send("3"), Err(Refused::Closed("3")));
        sender.room(2).await;
        sender.closed().await;
    }

    #[tokio::test]
    async fn waiting_for_room_ends_when_there_is_some() {
        let (sender, mut receiver) = queue(2);
        sender.try_send("12").unwrap();
        let (_, taken) = tokio::join!(sender.room(1), receiver.recv());
        assert_eq!(taken, Some("12"));
        sender.try_send("3").unwrap();
    }
}
