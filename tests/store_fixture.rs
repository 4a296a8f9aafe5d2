//! What the tests of the store share. Each of them includes this file, and none needs all of it.
#![allow(dead_code, unreachable_pub, reason = "each test takes a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use dockbell::message::Phase;
use dockbell::store::{
    Append, End, Moved, NewMessage, Opened, Options, Outcome, Outgoing, Place, Seal, Sealed, Store, StoreError, Then,
};
use jiff::Timestamp;
use ulid::Ulid;

/// A time, in seconds since the Unix epoch.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Some time of the year 2025.
pub fn noon() -> Timestamp {
    at(1_750_000_000)
}

/// Opens the store in a directory.
pub fn open(directory: &Path) -> Opened {
    try_open(directory, &Options::default()).unwrap()
}

pub fn try_open(directory: &Path, options: &Options) -> Result<Opened, StoreError> {
    Store::open(&Place::Directory(directory.to_owned()), options)
}

/// Both kinds of store: on the disk, and in memory.
pub fn both() -> [(Option<tempfile::TempDir>, Store); 2] {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = open(directory.path()).store;
    let in_memory = Store::open(&Place::Memory, &Options::default()).unwrap().store;
    [(Some(directory), on_disk), (None, in_memory)]
}

/// Lines of an engine whose events are numbered: the number is the event's time, its key, and what its line says.
pub fn numbered(numbers: std::ops::Range<u32>, filler: usize) -> Arc<Append> {
    let lines: Vec<String> = numbers.clone().map(|number| format!("{number} {}", noise(number, filler))).collect();
    Arc::new(Append {
        received: noon(),
        lines: lines.iter().map(String::as_bytes).collect(),
        moved: numbers.clone().last().map(|last| Moved {
            engine_id: Some("engine-id".into()),
            last_nanos: Some(last.into()),
            anchor: Some(last.into()),
            keys: numbers.map(u128::from).collect(),
            gap: None,
        }),
        ..Append::default()
    })
}

/// Letters that cannot be packed.
fn noise(seed: u32, length: usize) -> String {
    let mut state = u64::from(seed) + 0x9e37_79b9_7f4a_7c15;
    let letter = |_| {
        // xorshift64, by G. Marsaglia.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 94) as u8)
    };
    (0..length).map(letter).collect()
}

/// The number that a line of [`numbered`] says.
pub fn number(line: &[u8]) -> u32 {
    std::str::from_utf8(line).unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Every line of the journal after a sequence number.
pub async fn all_lines(store: &Store, mut after: u64) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let batches = store.journal(after, 1 << 20).await.unwrap();
        let Some(last) = batches.last() else { return all };
        all.extend(batches.iter().flat_map(|batch| batch.lines(after)).map(|(seq, line)| (seq, line.to_vec())));
        after = last.last();
    }
}

/// A digest for a sink, with one recipient of the same name.
pub fn message(sink: &str, group: &str, total: u32) -> NewMessage {
    NewMessage {
        id: Ulid::generate(),
        sink: sink.to_owned(),
        route: "default".to_owned(),
        group: group.to_owned(),
        phase: Phase::Digest,
        subject: format!("{group}: container events"),
        total,
        sealed_at: noon(),
        deadline: None,
        wire: Bytes::from(format!("wire of {group} {total}")),
        plainer: None,
        recipients: vec![sink.into()],
        batch: None,
        alarm: false,
    }
}

/// Seals messages of the route `default`; gives their numbers.
pub async fn seal(store: &Store, messages: Vec<NewMessage>) -> Vec<i64> {
    let seal = Seal { route: "default".to_owned(), messages, ..Seal::default() };
    match store.seal(seal).await.unwrap() {
        Sealed::Done(numbers) => numbers,
        Sealed::Tried => panic!("nothing was to be replaced"),
    }
}

/// What an attempt came to when all that were pending had the same outcome.
pub fn end(outgoing: &Outgoing, outcome: &Outcome, then: Then) -> End {
    End {
        number: outgoing.number,
        at: noon(),
        stage: "data".to_owned(),
        outcome: format!("{outcome:?}"),
        recipients: outgoing.pending.iter().map(|who| (Arc::clone(who), outcome.clone())).collect(),
        then,
        ambiguous: false,
        plainer: false,
    }
}

/// This test program again, running nothing but the ignored test `name`.
pub fn again(name: &str, variable: (&str, &Path)) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env(variable.0, variable.1);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The lines that a process says, one after the other, until it ends.
pub fn said(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok)
}

/// Waits for a process; panics with all that it said if it failed.
pub fn succeed(mut command: Command) {
    let done = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{out}\n{err}", done.status);
    print!("{out}");
}

/// Runs the ignored test `name` where mounts are its own, so that nothing is left when it ends. Says so and does nothing
/// where this user may not have that; with `DOCKBELL_TEST_MUST_MOUNT` it fails there.
pub fn with_own_mounts(name: &str) {
    let root = rustix_is_root();
    let flags: &[&str] = if root { &["--mount"] } else { &["--mount", "--user", "--map-root-user"] };
    let allowed = Command::new("unshare").args(flags).arg("true").stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        let must = std::env::var_os("DOCKBELL_TEST_MUST_MOUNT").is_some();
        assert!(!must, "mounts of one's own (`unshare --mount`) are not allowed here");
        println!("skipped: mounts of one's own (`unshare --mount`) are not allowed here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(flags).arg(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env("DOCKBELL_TEST_MOUNTS", "1");
    succeed(command);
}

/// Whether [`with_own_mounts`] started this.
pub fn has_own_mounts() -> bool {
    std::env::var_os("DOCKBELL_TEST_MOUNTS").is_some()
}

fn rustix_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

/// Mounts a tmpfs of so many MiB; only within [`with_own_mounts`].
pub fn mount_tmpfs(path: &Path, mib: u32) {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "tmpfs"]).arg(path);
    succeed(command);
}

/// Writes to a file until nothing more fits on its volume.
pub fn grow(path: &Path) {
    let file = File::create(path).unwrap();
    let (mut place, mut size) = (0, 1 << 20);
    while size >= 1 {
        match file.write_at(&vec![1; size], place) {
            Ok(written) if written > 0 => place += written as u64,
            _ => size /= 2,
        }
    }
}

/// While the file that `DOCKBELL_TEST_DISK` names is there, nothing can be flushed.
pub const FAILING_DISK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int failing(void) {
    const char *file = getenv("DOCKBELL_TEST_DISK");
    return file && access(file, F_OK) == 0;
}
#define FLUSH(name) int name(int file) { \
    if (failing()) { errno = EIO; return -1; } \
    return ((int (*)(int))dlsym(RTLD_NEXT, #name))(file); }
FLUSH(fsync)
FLUSH(fdatasync)
"#;

/// The file that `DOCKBELL_TEST_CLOCK` names says by how many seconds the wall clock is wrong.
pub const WRONG_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = (int)syscall(SYS_clock_gettime, clock, now);
    const char *name = getenv("DOCKBELL_TEST_CLOCK");
    int file = done == 0 && clock == CLOCK_REALTIME && name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        char text[32] = "";
        if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
        close(file);
    }
    return done;
}
"#;

/// A library for `LD_PRELOAD`, whose functions come before the system's. None where there is no C compiler, which is said.
pub fn preload(directory: &Path, source: &str) -> Option<PathBuf> {
    let (code, library) = (directory.join("preload.c"), directory.join("preload.so"));
    std::fs::write(&code, source).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).arg("-ldl").status();
    let built = built.is_ok_and(|status| status.success());
    if !built {
        println!("skipped: there is no C compiler `cc`");
    }
    built.then_some(library)
}
