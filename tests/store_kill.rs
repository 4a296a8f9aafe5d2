//! Killed at any moment, nothing that the store acknowledged is lost, and no cursor is ahead of what was stored.
//!
//! A worker process appends, seals, sends and settles, and says aloud what was acknowledged. It is killed, or the power of its
//! disk is cut, and what is found then is compared with what it said.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use bytes::Bytes;
use dockbell::store::{Due, GroupChange, GroupRow, KEYS, Keep, MessageState, NewMessage, Outcome, Seal, Store, Then};
use fixture::{
    again, all_lines, end, has_own_mounts, message, noon, number, numbered, open, said, succeed, with_own_mounts,
};
use ulid::Ulid;

/// Says something at once, so that what was said before a kill is what was done before it.
fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{words}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
#[ignore = "the worker that the next tests kill"]
async fn work_until_killed() {
    let Some(directory) = std::env::var_os("DOCKBELL_TEST_WORK") else { return };
    let pace = std::env::var("DOCKBELL_TEST_PACE").map_or(0, |pace| pace.parse().unwrap());
    let store = open(Path::new(&directory)).store;
    store.open_route("default").await.unwrap();
    say("ready");
    let pace = Duration::from_millis(pace);
    tokio::join!(read(&store, pace), tell(&store, pace), async {
        loop {
            store.upkeep(noon(), Keep::default()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

/// Appends lines, many of them in flight.
async fn read(store: &Store, pace: Duration) {
    let from = store.cursor("local").await.unwrap().and_then(|cursor| cursor.last_nanos);
    let mut next = from.map_or(0, |last| u32::try_from(last).unwrap() + 1);
    let engine = store.appender("local");
    let mut flying = VecDeque::new();
    loop {
        let count = 1 + next % 5;
        flying.push_back((next + count - 1, engine.append(numbered(next..next + count, 300)).await.unwrap()));
        next += count;
        while flying.len() > if pace.is_zero() { 16 } else { 0 } {
            let (last, ticket) = flying.pop_front().unwrap();
            ticket.await.unwrap();
            say(&format!("line {last}"));
        }
        tokio::time::sleep(pace).await;
    }
}

/// Seals, settles and sends. Every third message is left alone.
async fn tell(store: &Store, pace: Duration) {
    for round in 0_u32.. {
        tokio::time::sleep(pace).await;
        let new = NewMessage { wire: Bytes::new(), ..message("ops", "web", round) };
        let id = new.id;
        let new = NewMessage { wire: wire(id), ..new };
        let through = store.newest().await.unwrap().saturating_sub(2_000);
        let row = GroupRow { key: "web".to_owned(), state: id.to_string(), due: Some(noon()), sealed_through: through };
        let seal = Seal {
            route: "default".to_owned(),
            groups: vec![GroupChange::Save(row)],
            settled: Some(through),
            messages: vec![new],
            ..Seal::default()
        };
        store.seal(seal).await.unwrap();
        say(&format!("sealed {id} {through}"));
        if round % 3 == 0 {
            continue;
        }
        let Due::Now(number) = store.next_due("ops", noon()).await.unwrap() else { panic!("one was just sealed") };
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        assert_eq!(out.wire, wire(out.id));
        say(&format!("began {}", out.id));
        tokio::task::yield_now().await;
        store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap().unwrap();
        say(&format!("sent {}", out.id));
    }
}

/// The bytes of a message, some KiB that nothing else has.
fn wire(id: Ulid) -> Bytes {
    Bytes::from(id.to_string().repeat(100))
}

/// What was acknowledged.
#[derive(Default)]
struct Ledger {
    line: Option<u32>,
    settled: u64,
    /// The newest seal.
    sealed: Option<Ulid>,
    /// Each message, by how far it came: sealed, began, sent.
    messages: BTreeMap<Ulid, u8>,
    ambiguous: usize,
}

impl Ledger {
    fn hear(&mut self, words: &str) {
        let mut words = words.split(' ');
        let (what, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let step = match what {
            "line" => {
                self.line = self.line.max(value.parse().ok());
                return;
            }
            "sealed" => 1,
            "began" => 2,
            "sent" => 3,
            _ => return,
        };
        let id = value.parse().unwrap();
        if let Some(through) = words.next() {
            (self.sealed, self.settled) = (Some(id), through.parse().unwrap());
        }
        self.messages.insert(id, step);
    }

    /// Compares with what is there, as `open` found it.
    async fn compare(&mut self, directory: &Path) {
        let opened = open(directory);
        assert!(opened.notices.iter().all(|notice| !notice.to_string().contains("damaged")), "{:?}", opened.notices);
        let store = opened.store;
        let cursor = store.cursor("local").await.unwrap().unwrap_or_default();
        let last = cursor.last_nanos.map(|last| u32::try_from(last).unwrap());
        assert!(last >= self.line, "line {:?} was acknowledged, the cursor is at {last:?}", self.line);
        let settled = store.open_route("default").await.unwrap();
        assert!(settled >= self.settled);

        // All lines that are not settled, without a hole, up to the cursor and no further.
        let lines = all_lines(&store, settled).await;
        let numbers: Vec<u32> = lines.iter().map(|(_, line)| number(line)).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert!(lines.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
        if let Some(newest) = numbers.last() {
            assert_eq!(Some(*newest), last, "the cursor is where the newest line is");
            assert_eq!(u64::from(*newest) + 1, store.newest().await.unwrap());
        }
        let keys = &cursor.keys;
        assert!(keys.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert_eq!(keys.last().copied(), last.map(u128::from));
        assert!(keys.len() >= KEYS.min(last.map_or(0, |last| last as usize + 1)));

        let rows = store.groups("default").await.unwrap();
        if let (Some(row), Some(newest)) = (rows.first(), self.sealed) {
            let id = row.state.parse().unwrap();
            // One that was not acknowledged any more may have come behind it.
            assert!(id == newest || !self.messages.contains_key(&id), "the digest belongs to the newest seal");
        }
        for (id, step) in &self.messages {
            let [letter] = &store.letters(*id).await.unwrap()[..] else { panic!("{id} was acknowledged and is gone") };
            let state = letter.summary.state;
            match step {
                3 => assert_eq!(state, MessageState::Sent, "{id}"),
                _ => assert!(matches!(state, MessageState::Pending | MessageState::Sent), "{id}: {state}"),
            }
            if state != MessageState::Sent {
                assert_eq!(letter.wire.as_ref(), Some(&wire(*id)), "the same bytes");
                let began = *step == 2;
                assert!(!began || letter.summary.ambiguous > 0, "{id} may have arrived, and nobody knows");
                self.ambiguous += usize::from(began);
            }
        }
        store.close().await.unwrap();
    }
}

/// Starts a worker, and waits until it works.
fn work(directory: &Path, pace: u64) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut command = again("work_until_killed", ("DOCKBELL_TEST_WORK", directory));
    let mut child = command.env("DOCKBELL_TEST_PACE", pace.to_string()).spawn().unwrap();
    let mut words = said(&mut child);
    assert!(words.any(|line| line == "ready"), "the worker works");
    (child, words)
}

#[tokio::test]
async fn killed_fifty_times_nothing_that_was_acknowledged_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::default();
    for round in 0..50 {
        let (mut child, words) = work(directory.path(), 0);
        // Spread over the first tenth of a second, each time at another moment.
        std::thread::sleep(Duration::from_millis(round * 37 % 101));
        child.kill().unwrap();
        child.wait().unwrap();
        words.for_each(|line| ledger.hear(&line));
        ledger.compare(directory.path()).await;
    }
    assert!(ledger.line > Some(50) && ledger.messages.len() > 50, "{:?} {}", ledger.line, ledger.messages.len());
    println!(
        "{:?} lines and {} messages acknowledged, all found; {} sent without an answer",
        ledger.line,
        ledger.messages.len(),
        ledger.ambiguous
    );
}

#[test]
#[ignore = "needs root, loop devices and mkfs.ext4; takes a minute"]
fn when_the_power_is_cut_nothing_that_was_acknowledged_is_lost() {
    with_own_mounts("power_cut_inside");
}

/// The disk is a file with ext4 in it. The worker is stopped, the file copied as it is (what was not flushed is not in it),
/// and the copy mounted: its journal is replayed as after a power cut. That models "all that was not flushed is gone", not
/// what a disk does that lies about flushing.
#[tokio::test]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn power_cut_inside() {
    if !has_own_mounts() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let (disk, copy) = (base.path().join("disk.img"), base.path().join("copy.img"));
    let (before, after) = (base.path().join("before"), base.path().join("after"));
    std::fs::create_dir(&before).unwrap();
    std::fs::create_dir(&after).unwrap();
    let run = |program: &str, arguments: &[&Path]| {
        let mut command = Command::new(program);
        command.args(arguments);
        succeed(command);
    };
    for cut in 0..24 {
        let sparse = cut % 2 == 1;
        let file = std::fs::File::create(&disk).unwrap();
        file.set_len(0).and_then(|()| file.set_len(256 << 20)).unwrap();
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), &disk]);
        run("mount", &["-o".as_ref(), "loop".as_ref(), &disk, &before]);
        let (mut child, words) = work(&before.join("state"), if sparse { 50 } else { 0 });
        std::thread::sleep(Duration::from_millis(200 + cut * 41 % 400 + u64::from(sparse) * 2000));
        run("kill", &["-STOP".as_ref(), child.id().to_string().as_ref()]);
        run("cp", &["--sparse=always".as_ref(), &disk, &copy]);
        child.kill().unwrap();
        child.wait().unwrap();
        let mut ledger = Ledger::default();
        words.for_each(|line| ledger.hear(&line));
        assert!(ledger.line.is_some());
        run("mount", &["-o".as_ref(), "loop".as_ref(), &copy, &after]);
        ledger.compare(&after.join("state")).await;
        println!("cut {cut}: {:?} lines, {} messages acknowledged, all found", ledger.line, ledger.messages.len());
        run("umount", &[&after]);
        run("umount", &[&before]);
    }
}
