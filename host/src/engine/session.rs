//! One connection to an engine's stream of events.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::address::Address;
use super::api::Engine;
use super::audit::Audit;
use super::body::Stream;
use super::cursor::Finding;
use super::describe::{Clock, Description};
use super::error::Fault;
use super::intake::Intake;
use super::line::Lines;
use super::span::Span;
use super::suspects;
use crate::event::nanos;
use crate::store::{Gap, OpenGap};

/// An engine repeats what it remembers at once; when nothing has come for this long, that was all.
const REPLAY_QUIET: Duration = Duration::from_secs(2);
/// A bounded run ends by itself when nothing has come for this long after its end. Docker Desktop does not close the stream
/// (moby issue 48536).
const END_QUIET: Duration = Duration::from_secs(5);
/// By how much the engine's clock, known from a header in whole seconds, may be ahead of what we think it is.
const CLOCK_SLACK: Duration = Duration::from_millis(1500);
/// How often a link over TCP is tested. A quiet engine and a dead link look the same.
const PING_EVERY: Duration = Duration::from_secs(15);
/// After so many tests without an answer the link is dead.
const PINGS_MISSED: u32 = 2;
/// What Docker remembers, in events (`eventsLimit` in moby `daemon/events/events.go`).
const DOCKER_REMEMBERS: usize = 256;
/// How often the reader looks whether it was held up: stopped, frozen with its control group, or without a processor. The
/// engine may have dropped events meanwhile, and forgets them soon.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A look that comes so much too late says that it was. An engine drops an event for each 100 ms, after some 1,300 events.
const HELD_UP: Duration = Duration::from_secs(1);

/// One connection, from the first byte of the stream on.
pub(super) struct Session<'a> {
    engine: &'a Engine,
    span: Span,
    clock: Clock,
    /// How many events the engine remembers; `None` where it reads a journal (Podman).
    remembers: Option<usize>,
    intake: &'a mut Intake,
    again: bool,
    last_read: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(engine: &'a Engine, span: Span, met: &Description, intake: &'a mut Intake, again: bool) -> Self {
        let remembers = (met.product != "Podman").then_some(DOCKER_REMEMBERS);
        Self { engine, span, clock: met.clock, remembers, intake, again, last_read: Instant::now() }
    }

    /// Reads to the end of the span.
    ///
    /// # Errors
    /// The stream ended before that.
    pub(super) async fn run(&mut self, mut body: Stream) -> Result<(), Fault> {
        let mut lines = Lines::default();
        let engine = self.engine;
        let mut dead = pin!(dead_link(engine));
        // A run that ends by itself is over before the engine forgets.
        let audited = self.span.until.is_none();
        let mut audit = Audit::new(engine, self.clock, self.remembers);
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                // First, so that a stream that never ends does not keep it waiting.
                answer = audit.next(), if audited && !self.intake.suspects.is_heavy() => {
                    let found = self.intake.compare(answer);
                    audit.found(found);
                }
                () = self.intake.outlet.room(), if self.intake.outlet.is_behind() => self.intake.outlet.tell_gap(),
                chunk = body.chunk() => {
                    let before = self.intake.count;
                    if let Some(over) = self.chunks(chunk, &mut body, &mut lines).await {
                        return over;
                    }
                    let replayed = |time: &i64| self.intake.cursor.replaying() && *time < nanos(self.clock.at);
                    if let Some(time) = self.intake.cursor.last_nanos().filter(|time| !replayed(time)) {
                        audit.read(self.intake.count - before, time, self.last_read);
                    }
                }
                () = at(self.intake.suspects.due()) => {
                    self.intake.decide(self.last_read.elapsed() >= suspects::GRACE);
                }
                fault = &mut dead => return Err(fault),
                () = sleep_until(look_at) => {}
                () = at(deadline) => {
                    let over = self.is_over();
                    self.end_replay();
                    if over {
                        return Ok(());
                    }
                }
            }
            if self.intake.replay_over {
                self.end_replay();
            }
            let now = Instant::now();
            if now >= look_at + HELD_UP {
                audit.held_up(now);
            }
            if self.intake.suspects.due().is_some_and(|due| now >= due + suspects::GRACE) {
                // The stream never pauses.
                self.intake.decide(false);
            }
            if now >= look_at {
                look_at = now + LOOK_EVERY;
            }
        }
    }

    /// Takes a chunk and all that is ready behind it, as far as one batch holds it. Returns how the stream ended, if it did.
    async fn chunks(
        &mut self,
        first: Option<Result<Bytes, Fault>>,
        body: &mut Stream,
        lines: &mut Lines,
    ) -> Option<Result<(), Fault>> {
        let mut next = Some(first);
        while let Some(chunk) = next {
            let Some(Ok(chunk)) = chunk else {
                lines.end(|line| self.intake.line(line));
                self.intake.flush();
                return Some(self.end(chunk.and_then(Result::err)));
            };
            lines.feed(&chunk, |line| self.intake.line(line));
            if self.intake.is_empty() {
                // A batch went out, or a line is not whole yet.
                break;
            }
            next = poll_fn(|cx| match body.poll_chunk(cx) {
                Poll::Pending => Poll::Ready(None),
                Poll::Ready(chunk) => Poll::Ready(Some(chunk)),
            })
            .await;
        }
        self.intake.flush();
        self.last_read = Instant::now();
        None
    }

    /// The stream has ended, well or with a fault.
    fn end(&mut self, fault: Option<Fault>) -> Result<(), Fault> {
        let slack = self.clock.now().checked_add(CLOCK_SLACK).unwrap_or(Timestamp::MAX);
        if fault.is_none() && self.span.until.is_some_and(|until| slack >= until) {
            self.end_replay();
            return Ok(());
        }
        Err(fault.unwrap_or(Fault::Closed))
    }

    /// When something is to be done if nothing comes: the replay is over, or the run.
    fn deadline(&self) -> Option<Instant> {
        let replay = self.intake.cursor.replaying().then(|| self.last_read + REPLAY_QUIET);
        let end = self.end_deadline();
        replay.into_iter().chain(end).min()
    }

    fn end_deadline(&self) -> Option<Instant> {
        let left = self.span.until?.duration_since(self.clock.at);
        let until = self.clock.asked + left.max(jiff::SignedDuration::ZERO).unsigned_abs();
        Some(self.last_read.max(until) + END_QUIET)
    }

    fn is_over(&self) -> bool {
        self.end_deadline().is_some_and(|end| Instant::now() >= end)
    }

    /// The engine has repeated all it remembers: was it enough?
    fn end_replay(&mut self) {
        self.intake.replay_over = false;
        let Some(replayed) = self.intake.cursor.replayed(self.remembers) else { return };
        let finding = match (self.span.since, self.span.until) {
            // A run that lies in the past and brought all that Docker remembers: there may have been more.
            (Some(since), Some(until))
                if !self.again && until <= self.clock.at && self.remembers == Some(replayed.count) =>
            {
                Finding::Missing(OpenGap { from: nanos(since), to: replayed.oldest_nanos })
            }
            _ => replayed.finding,
        };
        let between = |OpenGap { from, to }: OpenGap| {
            let to = to.unwrap_or(nanos(self.clock.at));
            Gap { from: from.min(to), to }
        };
        match finding {
            Finding::Nothing => {}
            Finding::Whole => self.intake.close_gap(None),
            Finding::Unproven(gap) => self.intake.close_gap(Some(between(gap))),
            Finding::Missing(gap) => {
                let position = self.intake.position();
                let reason = "the engine no longer remembers what happened";
                self.intake.outlet.tell_missing(reason, between(gap), position);
            }
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Ends when the engine does not answer any more, though the stream looks well. Never for a unix socket, whose kernel tells.
async fn dead_link(engine: &Engine) -> Fault {
    if matches!(engine.address(), Address::Unix(_)) {
        return std::future::pending().await;
    }
    let mut missed = 0;
    loop {
        sleep(PING_EVERY).await;
        match engine.is_alive().await {
            Ok(()) => missed = 0,
            Err(fault) => {
                missed += 1;
                tracing::debug!(engine = %engine.name(), "the test of the link failed: {fault}");
                if missed == PINGS_MISSED {
                    return fault;
                }
            }
        }
    }
}
