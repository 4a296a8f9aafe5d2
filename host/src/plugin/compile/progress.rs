//! Says that a plugin is being compiled: two lines of the log, or one line on a terminal that goes when it is done.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it may take before somebody is told: a person at a terminal begins to wonder. So often the line is renewed, too.
pub(super) const SILENCE: Duration = Duration::from_secs(1);
/// How often a log is told that it still goes on.
const PATIENCE: Duration = Duration::from_secs(15);
/// Characters of the line: a terminal that is as wide shows it on one line.
const WIDTH: usize = 79;

/// What is compiled side by side at this moment and was told about.
static TOLD: Mutex<Vec<Compiling>> = Mutex::new(Vec::new());

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Compiling {
    plugin: String,
    bytes: usize,
    began: Instant,
}

/// Tells about the compilation of one plugin, from [`SILENCE`] after its begin to its end.
#[derive(Debug)]
pub(super) struct Progress {
    compiling: Compiling,
    on_terminal: bool,
    told: Option<Instant>,
}

impl Progress {
    /// Says nothing yet.
    pub(super) fn new(plugin: &str, bytes: usize) -> Self {
        let compiling = Compiling { plugin: plugin.to_owned(), bytes, began: Instant::now() };
        Self { compiling, on_terminal: io::stderr().is_terminal(), told: None }
    }

    /// To be called each [`SILENCE`] while it goes on.
    pub(super) fn goes_on(&mut self) {
        let Compiling { plugin, bytes, began } = &self.compiling;
        let now = Instant::now();
        if self.on_terminal {
            let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
            if !told.contains(&self.compiling) {
                told.push(self.compiling.clone());
            }
            show(&told, now);
        } else if self.told.is_none() {
            tracing::info!(plugin, "compiling {}, which takes a moment", size(*bytes));
        } else if self.told.is_some_and(|told| now.duration_since(told) >= PATIENCE) {
            let so_far = now.duration_since(*began).as_secs();
            tracing::info!(plugin, "still compiling {}: {so_far} s so far", size(*bytes));
        } else {
            return;
        }
        self.told = Some(now);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.is_none() {
            return;
        }
        let Compiling { plugin, bytes, began } = &self.compiling;
        if self.on_terminal {
            let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
            told.retain(|other| *other != self.compiling);
            show(&told, Instant::now());
        }
        tracing::info!(plugin, "compiling {} took {:.1} s", size(*bytes), began.elapsed().as_secs_f64());
    }
}

/// Renews the line. The cursor stays at its begin, so that the next line of the log takes its place.
fn show(told: &[Compiling], now: Instant) {
    // Where the terminal is gone nobody wants to know.
    let _ = write!(io::stderr().lock(), "\x1b[2K{}\r", line(told, now));
}

/// `compiling on-call (19.1 MiB) and 2 more: 4 s`; empty where nothing is compiled.
fn line(told: &[Compiling], now: Instant) -> String {
    let Some(first) = told.first() else { return String::new() };
    let seconds = now.duration_since(first.began).as_secs();
    let more = if told.len() > 1 { format!(" and {} more", told.len() - 1) } else { String::new() };
    let end = format!(" ({}){more}: {seconds} s", size(first.bytes));
    let begin = "compiling ";
    let room = WIDTH.saturating_sub(begin.len() + end.len());
    let name: String = first.plugin.chars().take(room).collect();
    format!("{begin}{name}{end}")
}

fn size(bytes: usize) -> String {
    if bytes < 1 << 20 {
        return format!("{} KiB", bytes.div_ceil(1 << 10));
    }
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_plugin_its_size_and_the_time() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let compiling = |plugin: &str, bytes| Compiling { plugin: plugin.to_owned(), bytes, began };
        let told = [compiling("on-call", 18 << 20), compiling("other", 1), compiling("third", 1)];
        assert_eq!(line(&told[..1], after(3)), "compiling on-call (18.0 MiB): 3 s");
        assert_eq!(line(&told, after(61)), "compiling on-call (18.0 MiB) and 2 more: 61 s");
        assert_eq!(line(&[], after(0)), "");
        assert_eq!(line(&[compiling(&"ä".repeat(200), 1000)], after(1)).chars().count(), WIDTH);
    }
}
