//! Steps one after the other, each with a heading and its duration, and a table at the end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What has been done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Does one step; its failure ends the whole.
    pub(crate) fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n=== {name}");
        let begin = Instant::now();
        let result = work().with_context(|| format!("step failed: {name}"))?;
        let took = begin.elapsed();
        println!("--- {name}: {}", seconds(took));
        self.done.push((name, took));
        Ok(result)
    }

    /// Prints the table.
    pub(crate) fn finish(self) {
        let width = self.done.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        println!();
        for (name, took) in self.done.iter().copied().chain([("together", total)]) {
            println!("{name:width$} {:>9}", seconds(took));
        }
        println!("all passed");
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
