//! The program `dockbell` as a process of its own.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a test waits for something that must come: long, since a build may keep the machine busy at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Said {
    /// Standard output and standard error.
    streams: Mutex<[Stream; 2]>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Stream {
    text: String,
    ended: bool,
}

/// What a program said until its end, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub log: String,
}

/// A program that sees none of this process's environment but `PATH`, and keeps nothing unless it is told where.
#[must_use]
pub fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("DOCKBELL_STATE", "none");
    command.current_dir(Path::new("/")).stdin(Stdio::null());
    command
}

impl Program {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Said::default());
        let output = read_into(&said, 0, child.stdout.take().unwrap());
        let log = read_into(&said, 1, child.stderr.take().unwrap());
        Self { child, said, readers: vec![output, log] }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until standard output is as wanted; answers it.
    ///
    /// # Panics
    /// When that does not happen within a minute, or the program ends before; with all that was said.
    pub fn output(&self, is_wanted: impl Fn(&str) -> bool) -> String {
        self.wait(0, is_wanted)
    }

    /// Waits until the log holds this.
    ///
    /// # Panics
    /// When that does not happen within a minute, or the program ends before; with all that was said.
    pub fn logged(&self, wanted: &str) -> String {
        self.wait(1, |log| log.contains(wanted))
    }

    /// Waits until the log is as wanted; answers it.
    ///
    /// # Panics
    /// When that does not happen within a minute, or the program ends before; with all that was said.
    pub fn log(&self, is_wanted: impl Fn(&str) -> bool) -> String {
        self.wait(1, is_wanted)
    }

    fn wait(&self, stream: usize, is_wanted: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        let mut streams = self.said.streams.lock().unwrap();
        while !is_wanted(&streams[stream].text) {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            if streams[stream].ended || left.is_zero() {
                let [output, log] = std::mem::take(&mut *streams);
                // The readers still want the lock.
                drop(streams);
                panic!("what was waited for did not come\n--- output:\n{}\n--- log:\n{}", output.text, log.text);
            }
            streams = self.said.more.wait_timeout(streams, left).unwrap().0;
        }
        streams[stream].text.clone()
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn terminate(self) -> Ended {
        self.ask_to_end();
        self.ended()
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// Sends SIGHUP.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Stops it where it is, until [`go_on`](Self::go_on).
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn stand_still(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        Command::new("sh").args(["-c", "kill -s \"$1\" \"$0\"", &self.id().to_string(), name]).status().unwrap();
    }

    /// Sends SIGKILL and waits for the end.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.ended()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn ended(mut self) -> Ended {
        let begin = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
                None => panic!("the program did not end: {:?}", self.said.streams.lock().unwrap()),
            }
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let [output, log] = std::mem::take(&mut *self.said.streams.lock().unwrap());
        Ended { status, output: output.text, log: log.text }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_into(said: &Arc<Said>, stream: usize, mut from: impl Read + Send + 'static) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut piece = [0; 16 * 1024];
        let mut rest = Vec::new();
        while let Ok(count @ 1..) = from.read(&mut piece) {
            rest.extend_from_slice(&piece[..count]);
            // A character may come in two pieces.
            let whole = std::str::from_utf8(&rest).map_or_else(|error| error.valid_up_to(), str::len);
            let text: Vec<u8> = rest.drain(..whole).collect();
            said.streams.lock().unwrap()[stream].text.push_str(&String::from_utf8_lossy(&text));
            said.more.notify_all();
        }
        said.streams.lock().unwrap()[stream].ended = true;
        said.more.notify_all();
    })
}

/// Waits until something is so.
///
/// # Panics
/// When it is not within a minute.
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "what was waited for did not happen within {} s", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(20));
    }
}
