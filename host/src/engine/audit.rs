//! Whether the stream brought everything. An engine drops events for a reader that is too slow, and tells nobody (moby
//! `pkg/pubsub`): the stream looks well. So what the engine remembers is read again from time to time, beside the stream.
//!
//! Docker keeps 1,024 events for each reader, and drops one when that place stays full for 100 ms. So before a dropped event
//! the stream brings about a thousand that are more than 100 ms old when they are read. That is how an audit knows when to hurry
//! ([`LATE`]), and where something may be missing that the engine no longer remembers ([`OVERRUN`]): there a gap is reported
//! though nothing else shows one. While no event is late, none was dropped, and an audit every 30 s is enough.
//!
//! What this does not see:
//! - How late an event is, is known only beside the others of the last 30 to 60 s, since the engine's clock may differ from ours.
//!   A reader that is equally late for longer than that seems to be in time; so does one whose engine's clock is set ahead while it
//!   is behind. Then only what is missing among the 256 events of an audit is found.
//! - An engine that refuses to be asked, or does not answer within 10 s, is not audited.
//! - What an audit has found is reported 3 to 6 s later. Where the program is killed before that, the next start does not know.
//!
//! After an engine's clock was set back, a busy one may for a minute seem late, and a gap be reported where none is.

use std::pin::Pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::api::Engine;
use super::describe::Clock;
use super::error::Fault;
use super::line::{Line, Lines};
use super::parse;
use super::span::wire;
use crate::event::{Event, nanos};
use crate::store::Gap;

/// How often, as long as no event is late.
const EVERY: Duration = Duration::from_secs(30);
/// How soon after the one before, when events are late. It doubles up to [`EVERY`] while nothing is found missing.
const SOON: Duration = Duration::from_millis(500);
/// An event that is read so long after it happened is late: half of what an engine waits before it drops one.
const LATE: i64 = 50_000_000;
/// After so many late events others may have been dropped: half of what an engine keeps for a reader.
const OVERRUN: u64 = 512;
/// How far before the end of the last audit the next one begins: times of events are not in order.
const OVERLAP: SignedDuration = SignedDuration::from_secs(1);
/// How long the engine may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Most bytes that are read of it, and that its lines may take in memory. Docker remembers 256 events, of usually 1 KiB.
pub(super) const LARGEST: u64 = 64 << 20;
/// Bytes that a line takes beside its own.
const LINE_COSTS: usize = 64;
/// An answer is of no use when more events than this came between question and answer, or with it: the cursor knows 4,096.
const COMPARABLE: u64 = 2048;

/// Events with their lines, in the engine's order.
type Remembered = Vec<(Event, Vec<u8>)>;

/// What the engine remembered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The events.
    pub(super) events: Remembered,
    /// From when on the engine was asked.
    pub(super) since: Timestamp,
    /// Until when.
    pub(super) until: Timestamp,
    /// Whether it has perhaps forgotten some that happened after the last audit.
    pub(super) forgot: bool,
    /// A time in which some that are forgotten may have been dropped.
    pub(super) unproven: Option<Gap>,
}

/// The audits of one connection. They run on a task of their own: the stream does not wait for them.
#[derive(Debug)]
pub(super) struct Audit {
    engine: Engine,
    clock: Clock,
    /// How many events the engine remembers; `None` where it reads a journal.
    remembers: Option<usize>,
    began: Timestamp,
    /// Until when the last audit was.
    checked: Timestamp,
    timer: Pin<Box<Sleep>>,
    running: JoinSet<Result<Remembered, Fault>>,
    /// When the engine was asked, in its time and in ours, and how many events had been read by then.
    asked: (Timestamp, Instant, u64),
    /// How soon the next one comes when events are late.
    pause: Duration,
    /// Whether there is reason for another one since the engine was asked.
    hurries: bool,
    /// How many events were read.
    read: u64,
    age: Age,
    /// The late events since the engine was asked, and those before it.
    late: Late,
    late_before: Late,
    /// Whether the last event was late.
    is_late: bool,
}

/// Events that were late.
#[derive(Debug, Default, Clone, Copy)]
struct Late {
    events: u64,
    /// Time of the first of them.
    from: Option<i64>,
    /// Time before which the engine has forgotten some that happened meanwhile.
    forgotten_until: Option<i64>,
}

/// How old events are when they are read, beside the quickest of the last 30 to 60 s: clocks differ.
#[derive(Debug)]
struct Age {
    /// Of the time since then, and of the 30 s before it.
    least: [i64; 2],
    since: Instant,
}

impl Audit {
    pub(super) fn new(engine: &Engine, clock: Clock, remembers: Option<usize>) -> Self {
        let now = Instant::now();
        Self {
            engine: engine.clone(),
            clock,
            remembers,
            began: clock.at,
            checked: clock.at,
            timer: Box::pin(sleep(EVERY)),
            running: JoinSet::new(),
            asked: (clock.at, now, 0),
            pause: SOON,
            hurries: false,
            read: 0,
            age: Age::new(now),
            late: Late::default(),
            late_before: Late::default(),
            is_late: false,
        }
    }

    /// Takes note that so many events were read now, the last of which happened at `time`.
    pub(super) fn read(&mut self, events: u64, time: i64, now: Instant) {
        self.read += events;
        let clock = nanos(self.clock.at).saturating_add(nanos_of(now - self.clock.asked));
        self.is_late = self.age.of(clock.saturating_sub(time), now) >= LATE;
        if self.is_late {
            self.late.events += events;
            self.late.from.get_or_insert(time);
            self.hurry(self.asked.1 + self.pause);
        }
    }

    /// Takes note that the reader was held up: the engine may have dropped events, and forgets them soon.
    pub(super) fn held_up(&mut self, now: Instant) {
        self.pause = SOON;
        self.hurry(now);
    }

    fn hurry(&mut self, due: Instant) {
        self.hurries = true;
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
    }

    /// Waits for the next audit. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Answer {
        loop {
            if self.running.is_empty() {
                self.timer.as_mut().await;
                self.ask();
            }
            let Some(Ok(answer)) = self.running.join_next().await else { continue };
            if let Some(answer) = self.answered(answer) {
                return answer;
            }
        }
    }

    /// Takes note whether the comparison has found something, and sets when the next one is.
    pub(super) fn found(&mut self, something: bool) {
        self.pause = if something || !self.hurries { SOON } else { (self.pause * 2).min(EVERY) };
        let wait = if self.hurries { self.pause } else { EVERY };
        self.timer.as_mut().reset(self.asked.1 + wait);
    }

    fn ask(&mut self) {
        let until = self.clock.now();
        let since = self.checked.checked_sub(OVERLAP).unwrap_or(self.began).max(self.began);
        self.asked = (until, Instant::now(), self.read);
        self.late_before = self.late_before.and(std::mem::take(&mut self.late));
        let engine = self.engine.clone();
        self.running.spawn(async move {
            let limit = || Fault::Timeout { what: "`/events`".to_owned(), limit: LIMIT };
            timeout(LIMIT, read(&engine, since, until)).await.unwrap_or_else(|_| Err(limit()))
        });
        self.hurries = false;
    }

    /// A failure is no finding: the stream itself will notice an engine that is gone.
    fn answered(&mut self, answer: Result<Remembered, Fault>) -> Option<Answer> {
        let events = match answer {
            Ok(events) => events,
            Err(fault) => {
                let engine = self.engine.name();
                match fault {
                    Fault::TooLarge { .. } => tracing::warn!(%engine, "the stream was not checked: {fault}"),
                    _ => tracing::debug!(%engine, "the stream was not checked: {fault}"),
                }
                self.found(false);
                return None;
            }
        };
        let (until, _, read) = self.asked;
        if (self.read - read).max(events.len() as u64) > COMPARABLE {
            self.hurries = true;
            self.found(false);
            return None;
        }
        let full = self.remembers.is_some_and(|most| events.len() >= most);
        let forgot = full && events.first().is_some_and(|(event, _)| event.time_nanos > nanos(self.checked));
        if forgot {
            self.late_before.forgotten_until = events.first().map(|(event, _)| event.time_nanos);
        }
        let unproven = self.late_before.and(self.late).unproven();
        // While the stream is behind, the events are still on their way that show how far.
        if unproven.is_some() || !self.is_late {
            self.late_before = Late::default();
        }
        let since = self.checked;
        self.checked = until;
        Some(Answer { events, since, until, forgot, unproven })
    }
}

impl Late {
    fn and(self, later: Self) -> Self {
        Self {
            events: self.events + later.events,
            from: self.from.or(later.from),
            forgotten_until: later.forgotten_until.or(self.forgotten_until),
        }
    }

    /// Returns the time in which others may have been dropped that the engine no longer remembers.
    fn unproven(self) -> Option<Gap> {
        let (from, to) = (self.from?, self.forgotten_until?);
        (self.events >= OVERRUN).then_some(Gap { from: from.min(to), to })
    }
}

impl Age {
    /// The engine's time is never thought to be later than it is, so no event seems older than it is.
    fn new(now: Instant) -> Self {
        Self { least: [0; 2], since: now }
    }

    /// Returns by how much this age is above the least.
    fn of(&mut self, age: i64, now: Instant) -> i64 {
        let [least, before] = &mut self.least;
        if now - self.since >= EVERY {
            self.since = now;
            *before = std::mem::replace(least, age);
        }
        *least = age.min(*least);
        age.saturating_sub(*least.min(before))
    }
}

fn nanos_of(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

async fn read(engine: &Engine, since: Timestamp, until: Timestamp) -> Result<Remembered, Fault> {
    let path = format!("/events?since={}&until={}", wire(since), wire(until));
    let mut body = engine.get_at_most(&path, LARGEST).await?.into_body();
    let (mut lines, mut found) = (Lines::default(), Found::default());
    let begun = Instant::now();
    // An engine that does not end the answer by itself (moby issue 48536) has said all there is within a second.
    while let Ok(Some(chunk)) = timeout(Duration::from_secs(1), body.chunk()).await {
        lines.feed(&chunk?, |line| found.keep(line));
        if found.bytes > LARGEST {
            return Err(Fault::TooLarge { path: "/events".to_owned(), limit: LARGEST });
        }
        if begun.elapsed() > LIMIT / 2 {
            break;
        }
    }
    lines.end(|line| found.keep(line));
    let event = |line: Vec<u8>| Some((parse::event(engine.name(), &line).ok()?, line));
    Ok(found.lines.into_iter().filter_map(event).collect())
}

/// Lines, and what they take in memory: short ones more than they have bytes.
#[derive(Default)]
struct Found {
    lines: Vec<Vec<u8>>,
    bytes: u64,
}

impl Found {
    fn keep(&mut self, line: Line<'_>) {
        if let Line::Whole(line) = line {
            self.bytes += (line.len() + LINE_COSTS) as u64;
            self.lines.push(line.to_owned());
        }
    }
}
