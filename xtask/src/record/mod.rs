//! `cargo xtask record`: makes `examples/recordings/` anew, with a real engine.

mod shop;
mod tap;

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use real_engine::{Engine, Tiny};

use crate::plugins::root;
use crate::tools;

/// Plays each story on an engine of our own and writes down what the engine said.
pub(crate) fn record() -> Result<()> {
    let folder = root().join("examples/recordings");
    let tiny = Tiny::build(&tools::target().join("tools"))?;
    let engine = Engine::start()?;
    let lines = shop::record(&engine.docker(), &tiny)?;
    for private in [root().display().to_string(), std::env::temp_dir().display().to_string(), hostname()?] {
        if lines.contains(&private) {
            bail!("the recording names this machine: `{private}`");
        }
    }
    write(&folder.join("shop.jsonl"), &lines)
}

fn write(path: &Path, lines: &str) -> Result<()> {
    fs::write(path, lines)?;
    println!("{}: {} events", path.display(), lines.lines().count());
    Ok(())
}

fn hostname() -> Result<String> {
    // Short names such as `vm` would be found in any text.
    let name = fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(format!("\"{}\"", name.trim_end()))
}
