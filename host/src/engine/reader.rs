//! The task that reads the events of one engine, over as many connections as it takes.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::api::Engine;
use super::backoff::Backoff;
use super::batch::Batch;
use super::cursor::Cursor;
use super::describe::Description;
use super::error::{EngineError, Fault};
use super::intake::Intake;
use super::outlet::Outlet;
use super::session::Session;
use super::span::{Span, wire};
use crate::event::nanos;
use crate::queue::Sender;
use crate::store::{EngineCursor, Gap, Moved};

/// A stream that lasted this long has worked: the next attempt does not pay for those before it.
const STEADY: Duration = Duration::from_secs(10);
/// How long after its end a bounded run goes on trying to reach an engine that is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why [`read`] ended.
#[derive(Debug)]
pub enum End {
    /// It was told to stop, or nobody takes the events any more.
    Stopped,
    /// All of the [`Span`] was read.
    Complete,
    /// The engine could not be reached until after the end of the [`Span`]; this is why.
    Incomplete(EngineError),
}

/// Reads the events of an engine into a queue, each batch all that was ready at once, until `stop` is
/// cancelled, until the receiver is gone, or until the end of `span`. The queue's sender is dropped at the end.
///
/// It waits for nothing behind it: events that do not fit into the queue are counted and told as an own event `gap`. A
/// connection that breaks is made again, with growing waits of at most 30 s; this is told by `engine_lost`, once per
/// outage, and `engine_back`. What the engine repeats is told once, what it forgot is told as a `gap`.
///
/// With `resume` it goes on where an earlier run was: what happened meanwhile is told as late, and what the engine no longer
/// remembers of it as a `gap`. If another engine answers under the name, that is a gap, too.
pub async fn read(
    engine: Engine,
    span: Span,
    resume: Option<EngineCursor>,
    queue: Sender<Batch>,
    stop: CancellationToken,
) -> End {
    let outlet = Outlet::new(engine.name().clone(), queue.clone());
    let mut intake = Intake::new(engine.name().clone(), span.until.map(nanos), outlet);
    let give_up = span.until.map(|until| {
        let left = until.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
        Instant::now() + left.unsigned_abs() + PATIENCE
    });
    let (mut first, mut id) = (None, None);
    if let Some(known) = resume {
        id.clone_from(&known.engine_id);
        // Whatever is behind the last event is wanted, however long ago that was.
        first = known.last_nanos.map(|_| Timestamp::UNIX_EPOCH);
        intake.cursor = Cursor::resume(known);
    }
    let began = Instant::now();
    let mut reader = Reader { engine, span, intake, give_up, began, first, outage: None, id, steady: false };
    tokio::select! {
        biased;
        () = stop.cancelled() => End::Stopped,
        () = queue.closed() => End::Stopped,
        end = reader.run() => end,
    }
}

struct Reader {
    engine: Engine,
    span: Span,
    intake: Intake,
    /// When a bounded run no longer waits for an engine that is gone.
    give_up: Option<Instant>,
    began: Instant,
    /// Where the first connection began to read.
    first: Option<Timestamp>,
    outage: Option<Outage>,
    /// The engine's own id, where it is known.
    id: Option<Arc<str>>,
    /// Whether the last connection lasted.
    steady: bool,
}

struct Outage {
    began: Instant,
    fault: Fault,
    /// Whether it was told as `engine_lost`.
    told: bool,
}

impl Reader {
    async fn run(&mut self) -> End {
        let mut backoff = Backoff::default();
        loop {
            let fault = match self.connection().await {
                Ok(()) => return End::Complete,
                Err(fault) => fault,
            };
            let steady = std::mem::take(&mut self.steady);
            if steady {
                backoff.reset();
            }
            self.lost(&fault, steady && !matches!(fault, Fault::Timeout { .. }));
            let wait = backoff.next();
            if self.give_up.is_some_and(|give_up| Instant::now() + wait > give_up) {
                return End::Incomplete(self.engine.error(fault));
            }
            sleep(wait).await;
        }
    }

    /// One connection from its beginning to its end.
    async fn connection(&mut self) -> Result<(), Fault> {
        let (met, id) = tokio::join!(self.engine.greet(), self.engine.id());
        let met = met?;
        self.recognise(id, &met);
        let now = met.clock.now();
        let again = self.first.is_some();
        // What happened since the start is wanted, though the engine could not be reached until now.
        let waited = self.outage.as_ref().map_or(Duration::ZERO, |_| self.began.elapsed());
        let start = met.clock.at.checked_sub(waited).unwrap_or(met.clock.at);
        let first = *self.first.get_or_insert(self.span.since.unwrap_or(start));
        let mut path = format!("/events?since={}", wire(self.intake.cursor.since(first, now)));
        if let Some(until) = self.span.until {
            path.push_str("&until=");
            path.push_str(&wire(until));
        }
        let body = self.engine.get(&path).await?.into_body();
        self.back(&met);
        self.intake.cursor.connected(met.clock.at, again);
        let began = Instant::now();
        let over = Session::new(&self.engine, self.span, &met, &mut self.intake, again).run(body).await;
        self.intake.cursor.disconnected(met.clock.now());
        self.steady = began.elapsed() >= STEADY;
        over
    }

    /// Another engine under the same name knows nothing of what was read from the first.
    fn recognise(&mut self, id: Option<Arc<str>>, met: &Description) {
        let Some(id) = id else { return };
        if let Some(before) = self.id.replace(Arc::clone(&id))
            && before != id
        {
            let now = nanos(met.clock.at);
            let from = self.intake.cursor.sure_until().unwrap_or(now);
            self.intake.cursor = Cursor::default();
            self.first = None;
            let reason = format!("another engine answers under this name: {id}, before it was {before}");
            let moved = Moved { engine_id: Some(Arc::clone(&id)), last_nanos: Some(now), ..Moved::default() };
            self.intake.outlet.tell_missing(&reason, Gap { from: from.min(now), to: now }, moved);
        }
        self.intake.id = Some(id);
    }

    fn back(&mut self, met: &Description) {
        let engine = self.engine.name();
        let Some(outage) = self.outage.take() else {
            tracing::info!(%engine, "reads the events of {met}");
            return;
        };
        let after = format!("{}s", outage.began.elapsed().as_secs());
        tracing::info!(%engine, "reads the events of {met} again after {after}");
        if outage.told {
            self.intake.outlet.tell("engine_back", &[("after", &after)]);
        }
    }

    /// Notes that there is no connection. One that worked well and was only cut, as old socket proxies do every ten minutes,
    /// is told when it cannot be made again at once.
    fn lost(&mut self, fault: &Fault, just_cut: bool) {
        let engine = self.engine.name();
        let known = self.outage.as_ref().is_some_and(|outage| outage.fault == *fault);
        if known {
            tracing::debug!(%engine, "{fault}");
        } else {
            tracing::warn!(%engine, "{}", self.engine.error(fault.clone()));
        }
        let new = || Outage { began: Instant::now(), fault: fault.clone(), told: false };
        let outage = self.outage.get_or_insert_with(new);
        outage.fault = fault.clone();
        if !outage.told && !just_cut {
            outage.told = true;
            self.intake.outlet.tell("engine_lost", &[("reason", &fault.to_string())]);
        }
    }
}
