//! `cargo xtask fuzz`: feeds what reads from outside with what nobody would send, for a while.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::commands::{cargo, here, run};
use crate::plugins::root;
use crate::tools;

/// The driver, and its version: a new machine gets the same one.
const DRIVER: (&str, &str) = ("cargo-fuzz", "0.13.2");

/// How the targets are built. A stable compiler can do all of it: the coverage that guides libFuzzer is an LLVM pass that any
/// rustc runs (`-Cpasses=sancov-module`), and only the sanitizers need a nightly one. dockbell's own code is safe Rust, in
/// which AddressSanitizer finds nothing that debug assertions do not. One codegen unit, cargo-fuzz's default, would make
/// inputs a little faster and the build of wasmtime much slower.
const BUILD: [&str; 4] = ["--sanitizer", "none", "--codegen-units", "16"];

/// Something that is fuzzed.
struct Target {
    name: &'static str,
    /// Folders of seeds beside its own.
    seeds: &'static [&'static str],
    has_dictionary: bool,
    /// Longest input.
    longest: usize,
    /// Most seconds for an input: what takes longer is not in proportion to its size. It is the wall's clock, and the machine
    /// may be busy; `message` judges the CPU time closely itself.
    within: u32,
}

const TARGETS: &[Target] = &[
    Target { name: "lines", seeds: &[], has_dictionary: false, longest: 4096, within: 5 },
    Target { name: "event", seeds: &[], has_dictionary: true, longest: 8192, within: 5 },
    Target { name: "config", seeds: &["tests/testdata/config"], has_dictionary: true, longest: 8192, within: 5 },
    Target { name: "component", seeds: &[], has_dictionary: false, longest: 8192, within: 20 },
    Target { name: "mail", seeds: &[], has_dictionary: true, longest: 8192, within: 5 },
    // An input says how often each piece is repeated, up to 512 KiB in all.
    Target { name: "message", seeds: &[], has_dictionary: true, longest: 4096, within: 10 },
    // A server may stall as long as the limits allow.
    Target { name: "smtp", seeds: &[], has_dictionary: true, longest: 4096, within: 20 },
    Target { name: "engine_answers", seeds: &[], has_dictionary: true, longest: 8192, within: 5 },
];

/// `cargo xtask fuzz [--seconds N] [TARGET]`.
pub(crate) fn command(arguments: &[&str]) -> Result<()> {
    let (seconds, rest) = match arguments {
        ["--seconds", seconds, rest @ ..] => (seconds.parse().context("`--seconds` wants a number")?, rest),
        rest => (60, rest),
    };
    let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    let chosen: Vec<&Target> = match rest {
        [] => TARGETS.iter().collect(),
        [name] => TARGETS.iter().filter(|target| target.name == *name).collect(),
        _ => bail!("one target at most: {}", names()),
    };
    if chosen.is_empty() {
        bail!("there is no such target\nhint: there are {}", names());
    }
    build()?;
    chosen.into_iter().try_for_each(|target| fuzz(target, seconds, None))
}

/// Builds all targets, and what builds them.
pub(crate) fn build() -> Result<()> {
    // libFuzzer is C++.
    tools::need("c++", "g++")?;
    if !driver().is_file() {
        let (name, version) = DRIVER;
        let root = tools::target().join("tools");
        let mut install = cargo(&["install", "--quiet", "--locked", name, "--version", version, "--root"]);
        // Built apart from the repository, whose settings are not its own.
        run(install.arg(&root).arg("--target-dir").arg(root.join("build")))?;
    }
    run(cargo_fuzz("build").args(BUILD))
}

/// Gives every target so much time, with the same inputs each time: a test that fails by chance would tell nobody which change
/// broke it. To find something new, there is `cargo xtask fuzz`.
pub(crate) fn all(seconds: u64) -> Result<()> {
    TARGETS.iter().try_for_each(|target| fuzz(target, seconds, Some(1)))
}

/// `seed` is that of the random numbers; none for a new one.
fn fuzz(target: &Target, seconds: u64, seed: Option<u32>) -> Result<()> {
    let Target { name, seeds, has_dictionary, longest, within } = *target;
    let folder = root().join("fuzz");
    // What is found goes into the first. What failed before is tried first of all.
    let (corpus, failed) = (folder.join("corpus").join(name), folder.join("artifacts").join(name));
    for folder in [&corpus, &failed] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    let mut command = cargo_fuzz("run");
    command.args(BUILD).arg(name).arg(&corpus).arg(&failed).arg(folder.join("seeds").join(name));
    command.args(seeds.iter().map(|seeds| root().join(seeds)));
    command.args(["--", "-rss_limit_mb=1024", "-print_final_stats=1"]).arg(format!("-timeout={within}"));
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={longest}"));
    command.args(seed.map(|seed| format!("-seed={seed}")));
    if has_dictionary {
        command.arg(format!("-dict={}", folder.join("dictionaries").join(name).with_extension("dict").display()));
    }
    let began = SystemTime::now();
    let done = command.output().context("cannot run cargo-fuzz")?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() {
        let figure =
            |what: &str| said.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("?").trim().to_owned();
        let (inputs, speed) = (figure("stat::number_of_executed_units:"), figure("stat::average_exec_per_sec:"));
        println!("{name}: {inputs} inputs, {speed} a second, at most {} MiB", figure("stat::peak_rss_mb:"));
        return Ok(());
    }
    let lines: Vec<&str> = said.lines().collect();
    eprintln!("{}", lines[lines.len().saturating_sub(80)..].join("\n"));
    match newest(&failed, began) {
        Some(input) => bail!(
            "`{name}` fails with `{}`\nhint: mend it and run `cargo xtask fuzz {name}`, which tries this input first",
            input.strip_prefix(root()).unwrap_or(&input).display()
        ),
        None => bail!("`{name}` cannot be fuzzed: {}", done.status),
    }
}

/// The input that made a target fail just now. One that failed before is written again.
fn newest(folder: &Path, since: SystemTime) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten();
    let files = files.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())));
    files.filter(|(written, _)| *written >= since).max().map(|(_, path)| path)
}

fn cargo_fuzz(what: &str) -> Command {
    let mut command = here(driver().as_os_str());
    // It runs `cargo`: the one that runs this.
    if let Some(cargo) = env::var_os("CARGO").map(PathBuf::from)
        && let Some(folder) = cargo.parent()
    {
        let others = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(folder.to_owned()).chain(env::split_paths(&others)));
        command.envs(path.ok().map(|path| ("PATH", path)));
    }
    command.args(["fuzz", what, "--fuzz-dir", "fuzz"]);
    command
}

fn driver() -> PathBuf {
    tools::target().join("tools/bin").join(DRIVER.0)
}
