//! Delivers what waits for one sink.

mod down;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, warn};

use self::down::Down;
use super::awake::Awake;
use super::lane::Lane;
use super::pace::Pace;
use super::{Alarm, Attempt, Failure, Fault, Retry, Sealed, Sink, Trouble};
use crate::store::{Due, End, Ended, Filter, MessageState, Outcome, Outgoing, Store, StoreError, Then};
use crate::text;

/// How long a sink keeps what it holds open, such as a connection, while nothing comes.
const WARM: Duration = Duration::from_secs(5);
/// How long a store without room is left alone before it is asked again.
const STORE_WAIT: Duration = Duration::from_millis(500);
/// Longest sleep, so that a clock that jumps is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Delivers what is in the store until the end is asked for and nothing is due, until another takes over, or until the sink
/// is gone for good. It begins when no other worker delivers to the sink.
///
/// # Errors
/// The store is broken or closed.
pub(super) async fn run(
    lane: Arc<Lane>,
    store: Store,
    sink: Sink,
    retry: Retry,
    alarm: Alarm,
) -> Result<(), StoreError> {
    let turn = Arc::clone(&lane.turn);
    let mut pace = turn.lock().await;
    if lane.leaving() {
        return Ok(());
    }
    // What was so before is not known of the sink as it is configured now.
    lane.stats.send_modify(|stats| (stats.idle, stats.down, stats.gone) = (false, None, false));
    let mut worker = Worker {
        lane,
        store,
        sink,
        retry,
        alarm,
        down: None,
        put_off: HashMap::new(),
        hurried: None,
        current: None,
        awake: Awake::new(),
    };
    loop {
        // A mistake in a library must not silence a sink for ever: it costs the message that brought it about.
        match AssertUnwindSafe(worker.work(&mut pace)).catch_unwind().await {
            Ok(ended) => {
                worker.sink.rest().await;
                return ended;
            }
            Err(_) => worker.blame().await?,
        }
    }
}

struct Worker {
    lane: Arc<Lane>,
    store: Store,
    sink: Sink,
    retry: Retry,
    alarm: Alarm,
    down: Option<Down>,
    /// How often messages were put off, for the next wait.
    put_off: HashMap<i64, u32>,
    /// After the end was asked for: what was tried since.
    hurried: Option<HashSet<i64>>,
    /// What is being sent.
    current: Option<Outgoing>,
    awake: Awake,
}

impl Worker {
    async fn work(&mut self, pace: &mut Pace) -> Result<(), StoreError> {
        let mut warm = false;
        while !self.lane.stats.borrow().gone && !self.lane.leaving() {
            if self.hurried.is_none() && self.lane.closing() {
                self.hurried = Some(HashSet::new());
                // Once more before the end, even if it took nothing so far.
                self.down = self.down.take().map(|down| Down { until: Instant::now(), ..down });
            }
            if let Some(down) = self.down.as_ref().filter(|down| down.until > Instant::now()) {
                if self.hurried.is_some() {
                    return Ok(());
                }
                let until = down.until;
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = self.closed() => {}
                    () = self.lane.hurried() => {
                        self.down = self.down.take().map(|down| Down { until: Instant::now(), ..down });
                    }
                }
                continue;
            }
            let wakes = self.lane.wakes();
            match (self.next().await?, self.must_wait(pace)) {
                // It is kept for the next start.
                (Due::Now(_), Some(_)) if self.hurried.is_some() => return Ok(()),
                (Due::Now(_), Some(next)) => {
                    if warm && next > Instant::now() + WARM {
                        self.sink.rest().await;
                        warm = false;
                    }
                    tokio::select! {
                        () = sleep_until(next) => {}
                        () = self.closed() => {}
                    }
                }
                (Due::Now(number), None) => {
                    if self.hurried.as_mut().is_some_and(|tried| !tried.insert(number)) {
                        return Ok(());
                    }
                    if let Some(rate) = self.lane.rate {
                        pace.sent(rate, Instant::now());
                    }
                    self.try_one(number).await?;
                    warm = true;
                }
                (Due::At(_) | Due::Nothing, _) if self.hurried.is_some() => return Ok(()),
                (due, _) => {
                    let longest = match due {
                        Due::At(time) => Some(until(time).min(LONGEST_SLEEP)),
                        _ => {
                            self.lane.rest(wakes);
                            None
                        }
                    };
                    let wait = if warm { Some(longest.map_or(WARM, |longest| longest.min(WARM))) } else { longest };
                    let woken = match wait {
                        Some(wait) => timeout(wait, self.lane.woken()).await.is_ok(),
                        None => {
                            self.lane.woken().await;
                            true
                        }
                    };
                    if warm && !woken && wait == Some(WARM) {
                        self.sink.rest().await;
                        warm = false;
                    }
                }
            }
        }
        Ok(())
    }

    /// Until when nothing may be sent, as the rate of the sink says. What would be lost otherwise is sent all the same.
    fn must_wait(&self, pace: &Pace) -> Option<Instant> {
        let last_chance = self.hurried.is_some() && self.store.is_in_memory();
        let now = Instant::now();
        self.lane.rate.filter(|_| !last_chance).map(|rate| pace.next(rate, now)).filter(|next| *next > now)
    }

    async fn closed(&self) {
        while !self.lane.closing() && !self.lane.leaving() {
            self.lane.woken().await;
        }
    }

    /// What is to be tried now. At the end of a program that keeps nothing, what was put off is tried once more, too.
    async fn next(&self) -> Result<Due, StoreError> {
        let last_chance = self.hurried.is_some() && self.store.is_in_memory();
        loop {
            let now = if last_chance { Timestamp::MAX } else { Timestamp::now() };
            match self.store.next_due(&self.lane.sink, now).await {
                Err(error) if error.is_passing() => sleep(STORE_WAIT).await,
                next => return next,
            }
        }
    }

    async fn try_one(&mut self, number: i64) -> Result<(), StoreError> {
        let taken = loop {
            match self.store.begin(number, Timestamp::now()).await {
                Err(error) if error.is_passing() => {
                    warn!(sink = %self.lane.sink, "A message waits for the store: {error}");
                    sleep(STORE_WAIT).await;
                }
                taken => break taken?,
            }
        };
        let Some(outgoing) = taken else { return self.tell_held(number).await };
        let sealed = Sealed {
            id: outgoing.id,
            subject: outgoing.subject.clone(),
            bytes: outgoing.wire.clone(),
            plainer: outgoing.plainer.clone(),
            pending: outgoing.pending.clone(),
        };
        self.current = Some(outgoing);
        let attempt = self.sink.deliver(&sealed).await;
        let Some(outgoing) = self.current.take() else { return Ok(()) };
        self.settle(&outgoing, attempt).await
    }

    /// A message that could not be taken for sending was dealt with by a person meanwhile, or the disk has changed its bytes.
    async fn tell_held(&self, number: i64) -> Result<(), StoreError> {
        let sink = Some(self.lane.sink.to_string());
        let filter = Filter { sink, states: vec![MessageState::Held], after: number - 1, most: 1 };
        let found = match self.store.messages(filter).await {
            Err(error) if error.is_passing() => return Ok(()),
            found => found?,
        };
        let Some(held) = found.into_iter().find(|held| held.number == number) else { return Ok(()) };
        let (sink, subject) = (Arc::clone(&self.lane.sink), text::one_line(&held.subject, 200));
        let error = held.error.unwrap_or_default();
        error!(%sink, message = %held.id, route = held.route, subject, error, "A message is held, and is not sent.");
        if !held.alarm {
            self.alarm.tell(Trouble::DeadLetter { sink, id: held.id, subject, error });
        }
        Ok(())
    }

    /// Draws the consequences of an attempt.
    async fn settle(&mut self, outgoing: &Outgoing, attempt: Attempt) -> Result<(), StoreError> {
        self.count(&attempt);
        let ambiguous = attempt.failed.iter().any(|(_, failure)| failure.ambiguous);
        let mut recipients: Vec<_> = attempt.accepted.into_iter().map(|accepted| (accepted, Outcome::Sent)).collect();
        let (mut down, mut later, mut refused, mut plainer) = (None, None, None, None);
        for (recipient, failure) in attempt.failed {
            let outcome = match failure.fault {
                Fault::Message if failure.lasting && outgoing.plainer.is_some() => {
                    plainer = Some(failure.clone());
                    Outcome::Pending(failure.to_string())
                }
                Fault::Message | Fault::Recipient if failure.lasting => {
                    refused = refused.or(Some(failure.clone()));
                    Outcome::Dead(failure.to_string())
                }
                _ => Outcome::Pending(failure.to_string()),
            };
            recipients.push((recipient, outcome));
            match failure.fault {
                Fault::Sink => down = Some(failure),
                _ if failure.lasting => {}
                _ => later = Some(failure),
            }
        }
        match &down {
            Some(failure) => self.go_down(failure),
            None => self.come_back(),
        }
        let failure = down.as_ref().or(later.as_ref()).or(plainer.as_ref()).or(refused.as_ref());
        let then = match (&down, &later) {
            _ if self.awake.is_past(outgoing.deadline) => Then::GiveUp,
            (None, Some(failure)) => Then::RetryAt(self.put_off(outgoing, failure)),
            // Perhaps the server chokes on this message: the next probe is another, and this one is not sent again and again
            // to somebody who has it.
            (Some(failure), _) if failure.ambiguous => Then::RetryAt(self.put_off(outgoing, failure)),
            _ => Then::Retry,
        };
        if plainer.is_some() {
            warn!(sink = %self.lane.sink, message = %outgoing.id, "The content was refused; its text alone is tried.");
            // That is another attempt, also at the end of the program.
            if let Some(tried) = &mut self.hurried {
                tried.remove(&outgoing.number);
            }
        }
        let end = End {
            number: outgoing.number,
            at: Timestamp::now(),
            stage: stage(failure).to_owned(),
            outcome: failure.map_or_else(|| "accepted".to_owned(), |failure| failure.error.clone()),
            recipients,
            then,
            ambiguous,
            plainer: plainer.is_some(),
        };
        // In one line, since it goes into the log and into a message.
        let refused = refused.map(|failure| failure.to_string().replace('\n', "; "));
        let given_up = || format!("it was tried until its time was over: {}", end.outcome);
        let dead = refused.or_else(|| (then == Then::GiveUp).then(given_up));
        self.end(outgoing, end, dead).await
    }

    /// Keeps what became of an attempt. `dead` is why somebody will never get the message, if the attempt ended so.
    async fn end(&mut self, outgoing: &Outgoing, end: End, dead: Option<String>) -> Result<(), StoreError> {
        let ended = loop {
            match self.store.end(end.clone()).await {
                Err(error) if error.is_passing() => {
                    warn!(sink = %self.lane.sink, "What became of a message waits for the store: {error}");
                    sleep(STORE_WAIT).await;
                }
                ended => break ended?,
            }
        };
        let Some(Ended { state, pending }) = ended else { return Ok(()) };
        let dying = end.recipients.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Dead(_))).count();
        let given_up = if end.then == Then::GiveUp { outgoing.pending.len() - known(&end) } else { 0 };
        self.lane.stats.send_modify(|stats| {
            stats.retried += u64::from(state == MessageState::Pending);
            stats.refused += (dying + given_up) as u64;
        });
        if pending.is_empty() {
            self.put_off.remove(&outgoing.number);
        }
        if let Some(error) = dead
            && dying + given_up > 0
        {
            self.tell_dead(outgoing, error);
        }
        Ok(())
    }

    fn tell_dead(&self, outgoing: &Outgoing, error: String) {
        let (sink, subject) = (Arc::clone(&self.lane.sink), text::one_line(&outgoing.subject, 200));
        error!(
            %sink, message = %outgoing.id, route = %outgoing.route, subject, error,
            "A message could not be delivered; it is kept as a dead letter."
        );
        if !outgoing.alarm {
            self.alarm.tell(Trouble::DeadLetter { sink, id: outgoing.id, subject, error });
        }
    }

    /// When a message that failed through its own or a recipient's fault is due again.
    fn put_off(&mut self, outgoing: &Outgoing, failure: &Failure) -> Timestamp {
        let failures = self.put_off.entry(outgoing.number).or_default();
        *failures = failures.saturating_add(1);
        let wait = self.retry.message.after(*failures);
        let wait = self.wait(wait, failure);
        warn!(
            sink = %self.lane.sink, message = %outgoing.id, retry_in = ?wait, error = failure.error,
            hint = failure.hint, "A message is tried again later."
        );
        let now = Timestamp::now();
        let due = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        // At its deadline it is tried for the last time.
        if outgoing.deadline > now { due.min(outgoing.deadline) } else { due }
    }

    /// The wait, or a longer one that the server asked for.
    fn wait(&self, wait: Duration, failure: &Failure) -> Duration {
        wait.max(failure.retry_after.unwrap_or_default())
    }

    fn count(&self, attempt: &Attempt) {
        self.lane.stats.send_modify(|stats| {
            stats.delivered += attempt.accepted.len() as u64;
            stats.ambiguous += u64::from(attempt.failed.iter().any(|(_, failure)| failure.ambiguous));
        });
    }

    /// Gives up the message on which dockbell itself failed.
    async fn blame(&mut self) -> Result<(), StoreError> {
        let Some(outgoing) = self.current.take() else { return Ok(()) };
        let outcome = "delivering it failed in dockbell itself; please report this";
        let end = End {
            number: outgoing.number,
            at: Timestamp::now(),
            stage: "panic".to_owned(),
            outcome: outcome.to_owned(),
            recipients: Vec::new(),
            then: Then::GiveUp,
            ambiguous: true,
            plainer: false,
        };
        self.end(&outgoing, end, Some(outcome.to_owned())).await
    }
}

/// How many recipients an attempt got, or lost for good.
fn known(end: &End) -> usize {
    end.recipients.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Pending(_))).count()
}

/// How long it is until then.
fn until(time: Timestamp) -> Duration {
    time.duration_since(Timestamp::now()).max(SignedDuration::ZERO).unsigned_abs()
}

/// Whose turn it was when an attempt ended, for people.
const fn stage(failure: Option<&Failure>) -> &'static str {
    match failure {
        None => "done",
        Some(Failure { fault: Fault::Sink, .. }) => "sink",
        Some(Failure { fault: Fault::Message, .. }) => "message",
        Some(Failure { fault: Fault::Recipient, .. }) => "recipient",
    }
}
