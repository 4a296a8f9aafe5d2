//! The outbox against a model of it: whatever happens in whatever order, both agree on where each message is, who has not got
//! it, and what is tried next.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::sync::Arc;
use std::time::Duration;

use dockbell::store::{
    Ambiguous, Due, End, Filter, Keep, MessageState, NewMessage, Options, Outcome, Seal, Sealed, Store, Then,
};
use fixture::{message, noon, seal, try_open};
use jiff::Timestamp;
use proptest::prelude::*;
use ulid::Ulid;

#[derive(Debug, Clone)]
enum Step {
    Seal {
        sink: usize,
        recipients: usize,
    },
    /// Begin what is due for a sink.
    Begin {
        sink: usize,
    },
    /// End the attempt of one that is being sent: for each recipient 0 sent, 1 dead, 2 pending.
    End {
        which: usize,
        outcomes: Vec<u8>,
        then: u8,
    },
    Replace {
        sink: usize,
    },
    Retry {
        which: usize,
    },
    Drop {
        which: usize,
    },
    HoldAll,
    /// Only the sinks below this number are configured.
    Sinks {
        known: usize,
    },
    /// Time passes, in minutes.
    Wait {
        minutes: u16,
    },
    Restart {
        hold: bool,
    },
}

const SINKS: [&str; 2] = ["chat", "ops"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize, 1..4_usize).prop_map(|(sink, recipients)| Step::Seal { sink, recipients }),
        6 => (0..2_usize).prop_map(|sink| Step::Begin { sink }),
        6 => (any::<usize>(), prop::collection::vec(0..3_u8, 4), 0..4_u8)
            .prop_map(|(which, outcomes, then)| Step::End { which, outcomes, then }),
        2 => (0..2_usize).prop_map(|sink| Step::Replace { sink }),
        2 => any::<usize>().prop_map(|which| Step::Retry { which }),
        1 => any::<usize>().prop_map(|which| Step::Drop { which }),
        1 => Just(Step::HoldAll),
        1 => (0..3_usize).prop_map(|known| Step::Sinks { known }),
        2 => (1..3000_u16).prop_map(|minutes| Step::Wait { minutes }),
        1 => any::<bool>().prop_map(|hold| Step::Restart { hold }),
    ]
}

#[derive(Debug, Clone)]
struct Told {
    number: i64,
    id: Ulid,
    sink: &'static str,
    state: MessageState,
    recipients: Vec<(Arc<str>, MessageState)>,
    tries: u32,
    total: u32,
    next: Option<Timestamp>,
    deadline: Timestamp,
    ended: Option<Timestamp>,
}

impl Told {
    fn pending(&self) -> Vec<Arc<str>> {
        self.recipients
            .iter()
            .filter(|(_, state)| *state == MessageState::Pending)
            .map(|(who, _)| who.clone())
            .collect()
    }

    fn set_pending(&mut self, to: MessageState) {
        self.recipients.iter_mut().filter(|(_, state)| *state == MessageState::Pending).for_each(|one| one.1 = to);
    }
}

struct World {
    directory: tempfile::TempDir,
    store: Store,
    now: Timestamp,
    told: Vec<Told>,
}

impl World {
    fn place(&self, which: usize, wanted: impl Fn(&Told) -> bool) -> Option<usize> {
        let places: Vec<_> =
            self.told.iter().enumerate().filter(|(_, told)| wanted(told)).map(|(place, _)| place).collect();
        (!places.is_empty()).then(|| places[which % places.len()])
    }

    fn due(&self, sink: &str) -> Due {
        let waiting = self.told.iter().filter(|told| told.sink == sink && told.state == MessageState::Pending);
        let fresh = waiting.clone().filter(|told| told.next.is_none()).map(|told| told.number).min();
        let put_off = waiting.filter_map(|told| Some((told.next?, told.number))).min();
        match (fresh, put_off) {
            (fresh, Some((at, number))) if at <= self.now => Due::Now(fresh.unwrap_or(number).min(number)),
            (Some(fresh), _) => Due::Now(fresh),
            (None, Some((at, _))) => Due::At(at),
            (None, None) => Due::Nothing,
        }
    }

    fn new_message(&self, sink: &'static str, recipients: usize, total: u32) -> (NewMessage, Told) {
        let recipients: Vec<Arc<str>> = (0..recipients).map(|n| format!("{n}@example.com").into()).collect();
        let batch = Some(bytes::Bytes::from_static(b"{}"));
        let new =
            NewMessage { recipients: recipients.clone(), sealed_at: self.now, batch, ..message(sink, "web", total) };
        let told = Told {
            number: 0,
            id: new.id,
            sink,
            state: MessageState::Pending,
            recipients: recipients.into_iter().map(|who| (who, MessageState::Pending)).collect(),
            tries: 0,
            total,
            next: None,
            deadline: self.now + Duration::from_hours(120),
            ended: None,
        };
        (new, told)
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Seal { sink, recipients } => {
                let (new, told) = self.new_message(SINKS[sink], recipients, 1);
                let number = seal(&self.store, vec![new]).await[0];
                self.told.push(Told { number, ..told });
            }
            Step::Begin { sink } => {
                let Due::Now(number) = self.due(SINKS[sink]) else { return };
                let out = self.store.begin(number, self.now).await.unwrap().unwrap();
                let told = self.told.iter_mut().find(|told| told.number == number).unwrap();
                told.state = MessageState::Sending;
                told.tries += 1;
                assert_eq!((out.id, out.pending, out.tries), (told.id, told.pending(), told.tries));
            }
            Step::End { which, outcomes, then } => self.end(which, &outcomes, then).await,
            Step::Replace { sink } => self.replace(SINKS[sink]).await,
            Step::Retry { which } => {
                let over = [MessageState::Dead, MessageState::Held, MessageState::Orphaned];
                let Some(place) = self.place(which, |told| over.contains(&told.state)) else { return };
                let deadline = self.now + Duration::from_hours(1);
                let told = &mut self.told[place];
                assert_eq!(self.store.retry(vec![told.id], deadline).await.unwrap(), [told.number]);
                (told.state, told.next, told.deadline, told.ended) = (MessageState::Pending, None, deadline, None);
                let dead = told.recipients.iter_mut().filter(|(_, state)| *state == MessageState::Dead);
                dead.for_each(|one| one.1 = MessageState::Pending);
            }
            Step::Drop { which } => {
                let Some(place) = self.place(which, |_| true) else { return };
                let dropped = self.store.drop_messages(vec![self.told[place].id]).await.unwrap();
                if self.told[place].state == MessageState::Sending {
                    assert!(dropped.is_empty());
                } else {
                    assert_eq!(dropped[0].number, self.told.remove(place).number);
                }
            }
            Step::HoldAll => {
                self.store.hold_all().await.unwrap();
                let pending = self.told.iter_mut().filter(|told| told.state == MessageState::Pending);
                pending.for_each(|told| told.state = MessageState::Held);
            }
            Step::Sinks { known } => {
                let known = &SINKS[..known];
                self.store.match_sinks(known).await.unwrap();
                for told in &mut self.told {
                    told.state = match (told.state, known.contains(&told.sink)) {
                        (MessageState::Pending, false) => MessageState::Orphaned,
                        (MessageState::Orphaned, true) => MessageState::Pending,
                        (state, _) => state,
                    };
                }
            }
            Step::Wait { minutes } => self.wait(minutes).await,
            Step::Restart { hold } => self.restart(hold).await,
        }
    }

    async fn end(&mut self, which: usize, outcomes: &[u8], then: u8) {
        let Some(place) = self.place(which, |told| told.state == MessageState::Sending) else { return };
        let later = self.now + Duration::from_mins(10);
        let then = [Then::Retry, Then::RetryAt(later), Then::Hold, Then::GiveUp][usize::from(then)];
        let told = &mut self.told[place];
        let outcome = |code: &u8| match code {
            0 => Outcome::Sent,
            1 => Outcome::Dead("550".to_owned()),
            _ => Outcome::Pending("451".to_owned()),
        };
        let results: Vec<_> = told.pending().into_iter().zip(outcomes.iter().map(outcome)).collect();
        for (who, outcome) in &results {
            let state = match outcome {
                Outcome::Sent => MessageState::Sent,
                Outcome::Dead(_) => MessageState::Dead,
                Outcome::Pending(_) => MessageState::Pending,
            };
            told.recipients.iter_mut().find(|(name, _)| name == who).unwrap().1 = state;
        }
        if then == Then::GiveUp {
            told.set_pending(MessageState::Dead);
        }
        let any = |wanted| told.recipients.iter().any(|(_, state)| *state == wanted);
        told.state = match (any(MessageState::Pending), any(MessageState::Dead)) {
            (true, _) if then == Then::Hold => MessageState::Held,
            (true, _) => MessageState::Pending,
            (false, true) => MessageState::Dead,
            (false, false) => MessageState::Sent,
        };
        told.next = match (told.state, then) {
            (MessageState::Pending, Then::RetryAt(at)) => Some(at),
            (MessageState::Pending, _) => told.next,
            _ => None,
        };
        if matches!(told.state, MessageState::Sent | MessageState::Dead) {
            told.ended = Some(self.now);
        }
        let end = End {
            number: told.number,
            at: self.now,
            stage: "data".to_owned(),
            outcome: String::new(),
            recipients: results,
            then,
            ambiguous: false,
            plainer: false,
        };
        let ended = self.store.end(end.clone()).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.pending), (told.state, told.pending()));
        assert_eq!(self.store.end(end).await.unwrap(), None, "an attempt ends once");
    }

    async fn replace(&mut self, sink: &'static str) {
        let mut mine: Vec<_> = self.told.iter().filter(|told| told.sink == sink).cloned().collect();
        mine.retain(|told| told.state == MessageState::Pending && told.tries == 0);
        let untried = self.store.untried("default", "web", sink).await.unwrap();
        let pair = |number, total| (number, total);
        let found: Vec<_> = untried.iter().map(|one| pair(one.number, one.total)).collect();
        assert_eq!(found, mine.iter().map(|told| pair(told.number, told.total)).collect::<Vec<_>>());
        let total = 1 + mine.iter().map(|told| told.total).sum::<u32>();
        let (new, told) = self.new_message(sink, 1, total);
        let replaces: Vec<_> = mine.iter().map(|told| told.number).collect();
        let seal =
            Seal { route: "default".to_owned(), messages: vec![new], replaces: replaces.clone(), ..Seal::default() };
        let Sealed::Done(numbers) = self.store.seal(seal).await.unwrap() else { panic!("they were untried") };
        self.told.retain(|told| !replaces.contains(&told.number));
        self.told.push(Told { number: numbers[0], ..told });
    }

    async fn wait(&mut self, minutes: u16) {
        self.now += Duration::from_mins(minutes.into());
        let upkept = self.store.upkeep(self.now, Keep::default()).await.unwrap();
        let mut expired: Vec<_> = upkept.expired.iter().map(|letter| letter.number).collect();
        expired.sort_unstable();
        let now = self.now;
        let mut old = Vec::new();
        for told in &mut self.told {
            if told.state == MessageState::Pending && told.deadline <= now {
                (told.state, told.ended) = (MessageState::Dead, Some(now));
                told.set_pending(MessageState::Dead);
                old.push(told.number);
            }
        }
        assert_eq!(expired, old);
        let keep = Keep::default();
        self.told.retain(|told| match (told.state, told.ended) {
            (MessageState::Sent, Some(ended)) => ended > now - keep.sent,
            (MessageState::Dead, Some(ended)) => ended > now - keep.dead,
            _ => true,
        });
    }

    async fn restart(&mut self, hold: bool) {
        self.store.close().await.unwrap();
        let ambiguous = if hold { Ambiguous::Hold } else { Ambiguous::Resend };
        let opened = try_open(self.directory.path(), &Options { ambiguous, ..Options::default() }).unwrap();
        let mut interrupted = Vec::new();
        for told in self.told.iter_mut().filter(|told| told.state == MessageState::Sending) {
            told.state = if hold { MessageState::Held } else { MessageState::Pending };
            interrupted.push((told.number, told.state));
        }
        assert_eq!(opened.interrupted.iter().map(|one| (one.number, one.state)).collect::<Vec<_>>(), interrupted);
        self.store = opened.store;
    }

    async fn compare(&self) {
        let all = Filter { states: MessageState::ALL.to_vec(), ..Filter::default() };
        let found = self.store.messages(all).await.unwrap();
        let row = |number, state, tries, total, next| (number, state, tries, total, next);
        let found: Vec<_> =
            found.iter().map(|one| row(one.number, one.state, one.tries, one.total, one.next)).collect();
        let mut wanted: Vec<_> =
            self.told.iter().map(|told| row(told.number, told.state, told.tries, told.total, told.next)).collect();
        wanted.sort_unstable_by_key(|row| row.0);
        assert_eq!(found, wanted);
        for told in &self.told {
            let letter = self.store.letters(told.id).await.unwrap().remove(0);
            let states: Vec<_> = letter.recipients.iter().map(|one| (Arc::from(&*one.address), one.state)).collect();
            assert_eq!(states, told.recipients);
            assert_eq!(letter.wire.is_none(), told.state == MessageState::Sent);
        }
        for sink in SINKS {
            assert_eq!(self.store.next_due(sink, self.now).await.unwrap(), self.due(sink));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_outbox_does_what_its_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let store = try_open(directory.path(), &Options::default()).unwrap().store;
            let mut world = World { directory, store, now: noon(), told: Vec::new() };
            for step in steps {
                world.take(step).await;
                world.compare().await;
            }
            world.store.close().await.unwrap();
        });
    }
}
