//! Whatever comes, whenever the program ends and however its clock jumps: each event is told once and in time.
//!
//! The digests of a route work on a real store, as the program lets them; beside them a simple model knows which events
//! are owed, and until when.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dockbell::config::{GroupBy, RouteConfig};
use dockbell::event::{Event, Fact};
use dockbell::lifecycle::QUIET;
use dockbell::message::{Batch, Phase};
use dockbell::route::collected::EDGE;
use dockbell::route::group::{Digest, Turn};
use dockbell::store::{Options, Place, Seal, Store};
use jiff::Timestamp;
use proptest::prelude::*;

/// The containers; the last one restarts again and again.
const NAMES: [&str; 4] = ["db", "proxy", "web", "looping"];
const ROUTE: &str = "default";

#[derive(Debug, Clone)]
enum Step {
    /// Something happens to a container, so many times; filters may not want it.
    Events { who: usize, count: usize, wanted: bool },
    /// Time passes.
    Wait(Duration),
    /// It is stored how far the route has come.
    Settle,
    /// The program is killed; after a while it starts again and reads so many events at once.
    Kill { down: Duration, at_once: usize },
    /// The same the next time when something is to be stored, before it is.
    KillSealing { down: Duration, at_once: usize },
    /// The program ends as it should, and starts again.
    Stop { down: Duration },
    /// The clock is set.
    Jump { hours: i64 },
}

/// An event that was not told yet.
#[derive(Debug)]
struct Owed {
    seq: u64,
    event: Arc<Event>,
    latest: Timestamp,
}

struct World {
    config: RouteConfig,
    together: usize,
    store: Store,
    digest: Digest,
    now: Timestamp,
    /// With the number of each event, whether it is wanted, and when it came.
    journal: Vec<(u64, (Arc<Event>, bool), Timestamp)>,
    owed: BTreeMap<&'static str, Vec<Owed>>,
    /// When each container was told of last, but for closing words.
    told: BTreeMap<&'static str, Timestamp>,
    /// Until then nobody knows which windows are open, since the clock was set.
    unsure: Timestamp,
    /// Whether the clock was ever set back, so that stored times may be far ahead.
    went_back: bool,
    killing: Option<(Duration, usize)>,
}

impl World {
    async fn new(config: RouteConfig, together: usize) -> Self {
        let store = Store::open(&Place::Memory, &Options::default()).unwrap().store;
        assert_eq!(store.open_route(ROUTE).await.unwrap(), 0);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Self {
            digest: Digest::new(ROUTE, &config),
            config,
            together,
            store,
            now,
            journal: Vec::new(),
            owed: BTreeMap::new(),
            told: BTreeMap::new(),
            unsure: now,
            went_back: false,
            killing: None,
        }
    }

    fn longest(&self) -> Duration {
        self.config.settle.max(self.config.window).max(self.config.window_max)
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Events { who, count, wanted } => (0..count).for_each(|_| self.event(NAMES[who], wanted)),
            Step::Wait(time) => self.wait(time).await,
            Step::Settle => self.store.settle(ROUTE, self.digest.settled()).await.unwrap(),
            Step::Kill { down, at_once } => self.start_again(down, at_once).await,
            Step::KillSealing { down, at_once } => self.killing = Some((down, at_once)),
            Step::Stop { down } => {
                // What is open then is told before its window ends.
                let told = std::mem::take(&mut self.told);
                let was_to_be_killed = self.killing.is_some();
                self.tell(Digest::turn_any).await;
                if was_to_be_killed == self.killing.is_some() {
                    self.store.settle(ROUTE, self.digest.settled()).await.unwrap();
                    assert!(self.owed.values().all(Vec::is_empty), "a stop tells all: {:?}", self.owed);
                    self.told.clear();
                    self.start_again(down, usize::MAX).await;
                } else {
                    // It was killed instead.
                    told.into_iter().for_each(|(name, time)| _ = self.told.entry(name).or_insert(time));
                }
            }
            Step::Jump { hours } => {
                self.now = self.now.checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
                self.went_back |= hours < 0;
                self.forget_times();
                self.wait(Duration::ZERO).await;
            }
        }
        let oldest = self.owed.values().flatten().map(|owed| owed.seq).min();
        let settled = self.store.open_route(ROUTE).await.unwrap();
        assert!(oldest.is_none_or(|oldest| settled < oldest), "{settled} is settled, {oldest:?} was not told");
        for owed in self.owed.values().flatten() {
            assert!(self.now <= owed.latest, "{} is late: it was due at {}", owed.seq, owed.latest);
        }
    }

    fn event(&mut self, name: &'static str, wanted: bool) {
        let seq = self.journal.len() as u64 + 1;
        let looping = name == "looping";
        let event = Arc::new(Event {
            kind: "container".into(),
            action: if seq.is_multiple_of(3) { "die" } else { "start" }.into(),
            attributes: [("name", name)].into_iter().collect(),
            facts: if looping { vec![(Fact::Looping, "true".into())] } else { vec![] },
            time_nanos: i64::try_from(seq).unwrap(),
            ..Event::default()
        });
        self.journal.push((seq, (Arc::clone(&event), wanted), self.now));
        if wanted {
            let RouteConfig { settle, window, .. } = self.config;
            let quiet = self.told.get(name).is_none_or(|told| self.now > *told + window);
            let wait = match quiet {
                _ if self.now < self.unsure || looping => self.longest(),
                true => settle,
                false => window.max(settle),
            };
            self.owed.entry(name).or_default().push(Owed { seq, event, latest: self.now + wait });
        }
        self.take(seq);
    }

    /// What the route does with an event of the journal.
    fn take(&mut self, seq: u64) {
        let (_, event, received) = &self.journal[usize::try_from(seq).unwrap() - 1];
        match event {
            (event, true) => self.digest.add(seq, event, *received),
            (event, false) => self.digest.pass(seq, event, *received),
        }
        self.digest.reach(seq);
    }

    /// Time passes; the program wakes when something is due.
    async fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.digest.clamp_due(self.now);
            self.tell_due().await;
            match self.digest.next_due().filter(|due| *due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
        }
        self.now = self.now.max(end);
    }

    async fn tell_due(&mut self) {
        let now = self.now;
        self.tell(|digest| digest.turn(now)).await;
    }

    /// As a teller does: some groups in one transaction, and how far the route has come.
    async fn tell(&mut self, mut next: impl FnMut(&mut Digest) -> Option<Turn>) {
        loop {
            let turns: Vec<Turn> = std::iter::from_fn(|| next(&mut self.digest)).take(self.together).collect();
            if turns.is_empty() {
                return;
            }
            if let Some((down, at_once)) = self.killing.take() {
                // Boxed, since the next start tells, too.
                return Box::pin(self.start_again(down, at_once)).await;
            }
            let groups = turns.iter().map(|turn| turn.change.clone()).collect();
            let settled = Some(self.digest.settled());
            self.store.seal(Seal { route: ROUTE.to_owned(), groups, settled, ..Seal::default() }).await.unwrap();
            turns.into_iter().filter_map(|turn| turn.batch).for_each(|batch| self.judge(&batch));
        }
    }

    /// A message is as it should be: everything that is owed of this container, and not too soon after the one before.
    fn judge(&mut self, batch: &Batch) {
        let name = *NAMES.iter().find(|name| **name == batch.group).unwrap();
        let owed = self.owed.remove(name).unwrap_or_default();
        let reached = self.digest.reached();
        let (owed, later): (Vec<Owed>, Vec<Owed>) = owed.into_iter().partition(|owed| owed.seq <= reached);
        self.owed.insert(name, later);
        assert_eq!(batch.total as usize, owed.len(), "{batch:?}");
        let mut counts = BTreeMap::new();
        owed.iter().for_each(|owed| *counts.entry(format!("container {}", owed.event.action)).or_insert(0) += 1);
        assert_eq!(batch.counts.iter().cloned().collect::<BTreeMap<_, _>>(), counts);
        let shown: Vec<i64> = batch.events.iter().map(|event| event.time_nanos).collect();
        let mut expected: Vec<i64> = owed.iter().map(|owed| owed.event.time_nanos).collect();
        if expected.len() > 2 * EDGE {
            expected.drain(EDGE..expected.len() - EDGE);
        }
        assert_eq!(shown, expected);
        for owed in &owed {
            assert!(self.now <= owed.latest, "{} is late: it was due at {}", owed.seq, owed.latest);
        }
        if !batch.notes.is_empty() {
            self.judge_end(name, batch);
        }
        if owed.is_empty() {
            assert!(!batch.notes.is_empty(), "a message that says nothing: {batch:?}");
            return;
        }
        assert_ne!(batch.phase, Phase::Closing, "{batch:?}");
        if let Some(before) = self.told.insert(name, self.now) {
            assert!(self.now >= before + self.config.window, "{name} was told at {before}, and now: {}", self.now);
        }
    }

    /// The end of a restart loop is told: nothing has happened for ten minutes, and what was last seen says how it ended.
    fn judge_end(&self, name: &str, batch: &Batch) {
        let last = self.journal.iter().rev().find(|(_, (event, _), _)| event.who() == "looping");
        let (_, (last, _), received) = last.unwrap();
        let is_up = last.action == "start";
        let said = if is_up { "looping: up for " } else { "looping: stopped restarting after " };
        assert!(name == "looping" && batch.notes.len() == 1 && batch.notes[0].starts_with(said), "{batch:?}");
        assert_eq!(batch.phase == Phase::Closing, is_up && batch.total == 0);
        assert!(
            self.went_back || self.now >= *received + QUIET,
            "{received} was the last event, and now: {}",
            self.now
        );
    }

    /// Another process takes up what the store holds.
    async fn start_again(&mut self, down: Duration, at_once: usize) {
        self.now += down;
        self.killing = None;
        let settled = self.store.open_route(ROUTE).await.unwrap();
        let rows = self.store.groups(ROUTE).await.unwrap();
        let stored = rows.iter().filter_map(|row| row.due).min();
        self.digest = Digest::new(ROUTE, &self.config);
        self.digest.restore(settled, rows);
        assert_eq!(self.digest.next_due(), stored, "windows go on as they were stored");
        let (now, longest) = (self.now, self.longest());
        if self.went_back {
            // A window that is stored as far ahead begins anew.
            self.unsure = self.unsure.max(now + longest);
        }
        let all_at_once = at_once >= self.journal.len() - usize::try_from(settled).unwrap();
        for owed in self.owed.values_mut().flatten() {
            // A group whose time has come while not everything was read is told, and the rest waits for its window.
            let wait = if all_at_once && now >= self.unsure && !self.went_back { Duration::ZERO } else { longest };
            owed.latest = owed.latest.max(now + wait);
        }
        while self.digest.reached() < self.journal.len() as u64 {
            let from = self.digest.reached() + 1;
            let to = from.saturating_add(at_once as u64 - 1).min(self.journal.len() as u64);
            (from..=to).for_each(|seq| self.take(seq));
            self.tell_due().await;
        }
        self.digest.caught_up(self.now);
        self.wait(Duration::ZERO).await;
    }

    /// The clock was set: what was due then and then is due within the longest window from now.
    fn forget_times(&mut self) {
        self.unsure = self.now + self.longest();
        for owed in self.owed.values_mut().flatten() {
            owed.latest = self.unsure;
        }
        self.told.clear();
    }
}

fn config() -> impl Strategy<Value = RouteConfig> {
    let times = |seconds: &'static [u64]| prop::sample::select(seconds).prop_map(Duration::from_secs);
    (times(&[0, 1, 5]), times(&[0, 10, 60]), times(&[60, 600])).prop_map(|(settle, window, window_max)| RouteConfig {
        engines: vec![],
        filters: vec![],
        formatter: String::new(),
        to: vec![],
        group_by: GroupBy::Container,
        settle,
        window,
        window_max,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let time = || prop_oneof![0_u64..3_000, 0_u64..100_000, 0_u64..1_500_000].prop_map(Duration::from_millis);
    let count = prop_oneof![8 => 1..4_usize, 1 => 90..130_usize];
    let at_once = || prop_oneof![1..10_usize, Just(usize::MAX)];
    prop_oneof![
        10 => (0..NAMES.len(), count, prop::bool::weighted(0.8))
            .prop_map(|(who, count, wanted)| Step::Events { who, count, wanted }),
        8 => time().prop_map(Step::Wait),
        2 => Just(Step::Settle),
        2 => (time(), at_once()).prop_map(|(down, at_once)| Step::Kill { down, at_once }),
        1 => (time(), at_once()).prop_map(|(down, at_once)| Step::KillSealing { down, at_once }),
        1 => time().prop_map(|down| Step::Stop { down }),
        1 => prop::sample::select(vec![-24, -1, 1, 24]).prop_map(|hours| Step::Jump { hours }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn each_event_is_told_once_and_in_time(
        config in config(), together in 1..4_usize, steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(config, together).await;
            for step in steps {
                world.step(step).await;
            }
            // In the end nothing is owed, and no group is left.
            world.killing = None;
            world.step(Step::Wait(Duration::from_secs(10_000))).await;
            assert!(world.owed.values().all(Vec::is_empty), "{:?}", world.owed);
            assert_eq!(world.digest.next_due(), None);
            world.step(Step::Settle).await;
            assert!(world.store.groups(ROUTE).await.unwrap().is_empty());
        });
    }
}
