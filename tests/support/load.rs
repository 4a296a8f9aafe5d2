//! Events that go on happening while a program is killed, and what became of each of them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::rig::{PATIENCE, Rig, Told, counted, numbered, own};
use crate::smtp::{Fault, Stage};

/// Most events that may be on their way to the archive. Fewer than an engine remembers: whatever a killed program had not
/// stored is repeated to the next one, and so nothing may be missing.
const MOST_UNDERWAY: u64 = 200;
/// Time between two looks.
const STEP: Duration = Duration::from_millis(2);

/// Numbers that look random, the same for the same seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice for a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    }

    /// Something that goes wrong with the mail server, once. Nothing by which a mail is refused for good.
    pub fn fault(&mut self) -> (Stage, Fault) {
        let stages = [Stage::Greeting, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Body, Stage::Dot];
        let stage = stages[usize::try_from(self.below(7)).unwrap_or_default()];
        let fault = match (self.below(4), stage) {
            (0, _) | (_, Stage::Body) => Fault::Drop,
            (1, _) => Fault::Pause(Duration::from_millis(self.below(200))),
            (2, _) => Fault::reply("421 4.3.2 not now"),
            _ => Fault::reply("451 4.3.0 not now"),
        };
        (stage, fault)
    }
}

/// A file of JSON lines that a program appends to, read as it grows.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    read: u64,
    rest: Vec<u8>,
    known: HashSet<u64>,
    /// How many events of each action it tells, each message once.
    pub counts: BTreeMap<String, u64>,
    /// How many events.
    pub total: u64,
    /// How many own events `gap`.
    pub gaps: u64,
    /// Messages.
    pub messages: u64,
    /// Messages that stand there a second time.
    pub twice: u64,
    /// Lines that were cut off by a kill.
    pub torn: u64,
}

impl Archive {
    /// Of a file that may not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: 0,
            rest: Vec::new(),
            known: HashSet::new(),
            counts: BTreeMap::new(),
            total: 0,
            gaps: 0,
            messages: 0,
            twice: 0,
            torn: 0,
        }
    }

    /// Reads what has come.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn look(&mut self) {
        let Ok(mut file) = File::open(&self.path) else { return };
        file.seek(SeekFrom::Start(self.read)).expect("a file");
        self.read += file.read_to_end(&mut self.rest).expect("a file") as u64;
        let rest = std::mem::take(&mut self.rest);
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.line(line);
        }
        self.rest = rest[end..].to_vec();
    }

    fn line(&mut self, line: &[u8]) {
        let Ok(told) = serde_json::from_slice::<Told>(line) else {
            self.torn += 1;
            return;
        };
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        if !self.known.insert(hasher.finish()) {
            self.twice += 1;
            return;
        }
        self.messages += 1;
        let told = [told];
        self.gaps += own(&told, "gap");
        for (action, count) in counted(&told) {
            self.total += count;
            *self.counts.entry(action).or_default() += count;
        }
    }
}

/// Events that go on happening. Every one of them must come to a file sink, which shows how far the program has come.
#[derive(Debug)]
pub struct Load {
    /// How many events there were: the numbers below.
    pub sent: u32,
    /// What the file sink holds.
    pub archive: Archive,
}

impl Load {
    /// None yet.
    #[must_use]
    pub fn new(archive: PathBuf) -> Self {
        Self { sent: 0, archive: Archive::new(archive) }
    }

    /// Lets events happen for so long, as fast as the program stores them, at most a few per millisecond.
    pub async fn run_for(&mut self, rig: &Rig, time: Duration, dice: &mut Dice) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step(rig, dice);
            tokio::time::sleep(STEP.min(end.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// The same until the engine has so many streams of events in all.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn run_until_subscribed(&mut self, rig: &Rig, streams: usize, dice: &mut Dice) {
        let begun = Instant::now();
        while rig.engine.streams() < streams {
            assert!(begun.elapsed() < PATIENCE, "the program does not start");
            self.step(rig, dice);
            tokio::time::sleep(STEP).await;
        }
    }

    fn step(&mut self, rig: &Rig, dice: &mut Dice) {
        self.archive.look();
        let underway = u64::from(self.sent) - self.archive.total.min(self.sent.into());
        for _ in 0..dice.below(8).min(MOST_UNDERWAY.saturating_sub(underway)) {
            rig.engine.send(numbered(self.sent));
            self.sent += 1;
        }
    }

    /// Waits until the file holds them all.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn settled(&mut self) {
        let begun = Instant::now();
        loop {
            self.archive.look();
            if self.archive.total >= u64::from(self.sent) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "of {} events {} came: {:?}", self.sent, self.archive.total, self);
            tokio::time::sleep(STEP).await;
        }
    }
}

/// Makes letters that cannot be packed; the same for the same seed.
#[must_use]
pub fn noise(seed: u64, length: usize) -> String {
    let mut state = seed + 0x9e37_79b9_7f4a_7c15;
    let letter = |_| {
        // xorshift64, by G. Marsaglia.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b"abcdefghijklmnopqrstuvwxyz"[(state % 26) as usize])
    };
    (0..length).map(letter).collect()
}
