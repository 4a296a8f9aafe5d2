//! dockbell's reader at work on a scripted engine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dockbell::engine::{Batch, End, Engine, Span, read};
use dockbell::event::Event;
use dockbell::queue::{Receiver, queue};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, ScriptedEngine};

/// The reader on a scripted engine, and what it brings.
#[derive(Debug)]
pub struct Watch {
    receiver: Receiver<Batch>,
    ready: VecDeque<Event>,
    stop: CancellationToken,
    task: JoinHandle<End>,
}

impl Watch {
    /// Reads from now on, with a queue of 64 MiB, and waits until the engine has taken the request for events.
    pub async fn live(engine: &ScriptedEngine) -> Self {
        let watch = Self::start(engine, Span::default(), 64 << 20);
        engine.subscribed(1).await;
        watch
    }

    /// Reads a span of time with a queue of that many bytes; the engine is called `local`.
    #[must_use]
    pub fn start(engine: &ScriptedEngine, span: Span, bytes: u32) -> Self {
        let engine = Engine::new(Arc::from("local"), &engine.config()).expect("a good configuration");
        let (sender, receiver) = queue(bytes);
        let stop = CancellationToken::new();
        let task = tokio::spawn(read(engine, span, None, sender, stop.clone()));
        Self { receiver, ready: VecDeque::new(), stop, task }
    }

    /// The next event; none when the reader has ended.
    pub async fn try_next(&mut self) -> Option<Event> {
        while self.ready.is_empty() {
            let batch = timeout(PATIENCE, self.receiver.recv()).await;
            self.ready.extend(batch.expect("an event within 90 s")?.events);
        }
        self.ready.pop_front()
    }

    /// The next event.
    pub async fn next(&mut self) -> Event {
        self.try_next().await.expect("an event, not the end")
    }

    /// The next batch of events, as it was handed over.
    pub async fn batch(&mut self) -> Vec<Event> {
        let batch = timeout(PATIENCE, self.receiver.recv()).await;
        batch.expect("a batch within 90 s").expect("a batch, not the end").events
    }

    /// The next event with that action; those before it are dropped.
    pub async fn next_of(&mut self, action: &str) -> Event {
        loop {
            let event = self.next().await;
            if event.action == action {
                return event;
            }
        }
    }

    /// What comes before an event with that action.
    pub async fn until(&mut self, action: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await;
            if event.action == action {
                return events;
            }
            events.push(event);
        }
    }

    /// Whether nothing comes for that long.
    pub async fn quiet_for(&mut self, time: Duration) -> bool {
        self.ready.is_empty() && timeout(time, self.receiver.recv()).await.is_err()
    }

    /// Tells the reader to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Takes no more events, without telling the reader to stop.
    pub fn abandon(self) {
        drop(self.receiver);
    }

    /// Everything until the reader ends, and why it did.
    pub async fn rest(mut self) -> (Vec<Event>, End) {
        let mut events = Vec::new();
        while let Some(event) = self.try_next().await {
            events.push(event);
        }
        let end = timeout(PATIENCE, self.task).await.expect("the end within 90 s");
        (events, end.expect("no panic"))
    }
}
