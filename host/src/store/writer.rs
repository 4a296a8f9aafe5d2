//! The thread that owns the only connection that writes.
//!
//! What is queued is written in one transaction and answered after one commit: the price of a commit, which is the disk's,
//! is shared by all that came meanwhile. If anything in it fails, all of it is taken back and each piece is tried alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::error;

use super::job::{Class, Command, Order};
use super::location::{self, Location};
use super::lock::Lock;
use super::space::Space;
use super::{Full, StoreError};

/// Most pieces of work in one commit.
const MOST: usize = 256;
/// Most bytes in one commit; a larger piece gets one of its own.
const MOST_BYTES: usize = 8 << 20;
/// How long the work of one commit may take before the commit.
const LONGEST: Duration = Duration::from_millis(20);
/// How often a thread without work looks after the room on the disk.
const IDLE: Duration = Duration::from_secs(10);

pub(super) struct Writer {
    pub db: Connection,
    pub orders: Receiver<Order>,
    pub space: Space,
    pub path: Arc<Path>,
    /// None in memory.
    pub lock: Option<Arc<Lock>>,
    /// None in memory.
    pub location: Option<Arc<Location>>,
    /// What ended the work for good.
    pub broken: Option<StoreError>,
}

impl Writer {
    /// Works until it is told to close or nobody is left to give orders.
    pub(super) fn run(mut self) {
        let mut close = None;
        while close.is_none() {
            match self.orders.recv_timeout(IDLE) {
                Ok(Order::Do(first)) => close = self.group(first),
                Ok(Order::Close(reply)) => close = Some(Some(reply)),
                Err(RecvTimeoutError::Timeout) => self.space.look(),
                Err(RecvTimeoutError::Disconnected) => close = Some(None),
            }
        }
        let closed = self.close();
        if let Some(reply) = close.flatten() {
            // Nobody may be waiting any more.
            let _ = reply.send(closed);
        }
    }

    /// Writes what is queued, from `first` on, in one commit. Hands back an order to close.
    #[allow(clippy::option_option)]
    fn group(&mut self, first: Command) -> Option<Option<oneshot::Sender<Result<(), StoreError>>>> {
        let started = Instant::now();
        let (mut done, mut bytes, mut close, mut failed) = (Vec::new(), 0, None, None);
        let mut next = Some(first);
        while let Some(command) = next.take() {
            bytes += command.weight as usize;
            if let Some(mut command) = self.admit(command) {
                failed = self.begin(done.is_empty()).and_then(|()| command.job.run(&self.db)).err();
                done.push(command);
            }
            let room = done.len() < MOST && bytes < MOST_BYTES && started.elapsed() < LONGEST;
            if room && failed.is_none() {
                match self.orders.try_recv() {
                    Ok(Order::Do(command)) => next = Some(command),
                    Ok(Order::Close(reply)) => close = Some(Some(reply)),
                    // Nothing is queued; that nobody is left is seen by the next look.
                    Err(_) => {}
                }
            }
        }
        if !done.is_empty() {
            match failed.map_or_else(|| self.db.execute_batch("COMMIT"), Err) {
                Ok(()) => done.into_iter().for_each(|command| command.answer(None)),
                Err(error) => self.one_by_one(done, &error),
            }
        }
        close
    }

    /// Answers at once what must not be tried.
    fn admit(&mut self, command: Command) -> Option<Command> {
        let refused = if let Some(broken) = &self.broken {
            Some(broken.clone())
        } else if command.is_out_of_turn() {
            Some(StoreError::OutOfTurn)
        } else if command.class != Class::Upkeep && self.space.is_scarce() {
            Some(StoreError::Full(Full::Volume { path: Arc::clone(&self.path) }))
        } else if command.class == Class::Intake && self.space.lines_have_their_share(&self.db, command.weight) {
            Some(self.space.at_quota())
        } else {
            None
        };
        if refused.is_some() {
            command.answer(refused);
            return None;
        }
        Some(command)
    }

    fn begin(&mut self, needed: bool) -> rusqlite::Result<()> {
        if !needed {
            return Ok(());
        }
        // The narrower limit. Where upkeep needs the reserve, it is tried again, alone.
        self.space.limit(&self.db, Class::Intake)?;
        self.db.execute_batch("BEGIN IMMEDIATE")
    }

    /// Takes back what was done together, and tries each piece alone.
    fn one_by_one(&mut self, commands: Vec<Command>, error: &rusqlite::Error) {
        if let Some(broken) = self.take_back(error) {
            return commands.into_iter().for_each(|command| command.answer(Some(broken.clone())));
        }
        let meaning = self.space.explain(error);
        if matches!(meaning, StoreError::Busy { .. }) {
            // Each of them would wait as long again.
            return commands.into_iter().for_each(|command| command.answer(Some(meaning.clone())));
        }
        for command in commands {
            let Some(mut command) = self.admit(command) else { continue };
            let mut tried = self.alone(&mut command);
            // The first failure for want of room may have made some: the ballast.
            if command.class == Class::Upkeep && tried.as_ref().is_err_and(StoreError::is_full) {
                tried = self.alone(&mut command);
            }
            command.answer(tried.err());
        }
    }

    fn alone(&mut self, command: &mut Command) -> Result<(), StoreError> {
        let tried = self
            .space
            .limit(&self.db, command.class)
            .and_then(|()| self.db.execute_batch("BEGIN IMMEDIATE"))
            .and_then(|()| command.job.run(&self.db))
            .and_then(|()| self.db.execute_batch("COMMIT"));
        tried.map_err(|error| match self.take_back(&error) {
            Some(broken) => broken,
            None => self.space.explain(&error),
        })
    }

    /// Ends a transaction that failed; gives the error that ends all work, if this is one.
    fn take_back(&mut self, error: &rusqlite::Error) -> Option<StoreError> {
        // SQLite has ended some transactions by itself.
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            self.broken = Some(StoreError::io(&error, &self.path));
        }
        let meaning = self.space.explain(error);
        if meaning.is_fatal() && self.broken.is_none() {
            error!(error = %meaning, "The store does nothing more.");
            self.lock.iter().for_each(|lock| lock.note(Some(&meaning)));
            self.broken = Some(meaning);
        }
        self.broken.clone()
    }

    /// Brings everything into the one file, and says in the lock file that this instance ended well.
    fn close(self) -> Result<(), StoreError> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.location.iter().for_each(|location| location::spare_successor(&self.db, location));
        self.db.close().map_err(|(_, error)| StoreError::of(&error, &self.path))?;
        self.lock.map_or(Ok(()), |lock| lock.wipe())
    }
}
