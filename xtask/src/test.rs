//! `cargo xtask test`: everything that must hold, on a machine that has Rust, a C compiler and Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use real_engine::{Engine, Tiny};

use crate::commands::{cargo, run};
use crate::package::{self, Pack};
use crate::plugins::root;
use crate::steps::Steps;
use crate::{dist, fuzz, tools, torture};

/// Tests that need a real engine or a real mail server (feature `real` of `dockbell-tests`).
const REAL: &[&str] = &["--test", "real_engine", "--test", "real_smtp", "--test", "container_image"];

/// Seconds for each fuzz target: enough for the seeds and for what a slip in the code breaks at once.
const SHORT_WHILE: u64 = 10;

/// Does all steps; the first that fails ends it.
pub(crate) fn test() -> Result<()> {
    let mut steps = Steps::default();
    steps.step("tools: Debian packages", tools::debian)?;
    let python = steps.step("tools: Python packages", tools::python)?;
    steps.step("format", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))?;
        run(in_plugins(&mut cargo(&["fmt", "--all", "--check"])))?;
        run(cargo(&["fmt", "--check"]).current_dir(root().join("fuzz")))
    })?;
    steps.step("clippy", || {
        let strict = ["--all-targets", "--", "--deny", "warnings"];
        run(cargo(&["clippy", "--locked", "--workspace", "--all-features"]).args(strict))?;
        run(in_plugins(cargo(&["clippy", "--locked", "--workspace"]).args(strict)))
    })?;
    steps.step("plugins: built from source, as committed", dist::check)?;
    steps.step("plugins: tests", || run(in_plugins(&mut cargo(&["test", "--locked", "--workspace"]))))?;
    steps.step("tests", || run(&mut cargo(&["test", "--locked"])))?;
    steps.step("tests: plugins in Python, JavaScript, TypeScript", scripts)?;
    steps.step("tests: killed fifty times", || torture::kill(50))?;
    steps.step("tests: power cuts", power_cuts)?;
    steps.step("tests: packages", packages)?;
    steps.step("tests: real engine, real mail server", || real(&python))?;
    steps.step("tests: plugins in each language, as their READMEs say", languages)?;
    steps.step("fuzz: targets", fuzz::build)?;
    steps.step("fuzz: a short while each", || fuzz::all(SHORT_WHILE))?;
    steps.finish();
    Ok(())
}

/// Builds plugins from source with the tools of their languages.
fn scripts() -> Result<()> {
    let (python, node) = (tools::componentize_py()?, tools::node_modules()?);
    let mut command = outside(&["--features", "dockbell-tests/languages", "--test", "plugin_scripts"]);
    run(command.env("DOCKBELL_TEST_COMPONENTIZE_PY", python).env("DOCKBELL_TEST_NODE_MODULES", node))
}

fn real(python: &Path) -> Result<()> {
    let tiny = Tiny::build(&tools::target().join("tools"))?;
    let engine = Engine::find_or_start()?;
    let whose = if engine.is_own() { "started for these tests" } else { "found" };
    println!("engine: {} ({whose})", engine.docker().host());
    let mut command = outside(&["--features", "dockbell-tests/real"]);
    command.args(REAL);
    if !tools::is_root() {
        println!("left out, since they need root: the tests of the module `as_root`");
        command.args(["--", "--skip", "as_root"]);
    }
    command.env("DOCKBELL_TEST_ENGINE", engine.docker().socket());
    command.env("DOCKBELL_TEST_TINY", tiny.program()).env("DOCKBELL_TEST_PYTHON", python);
    run(&mut command)
}

/// Builds the templates and the examples, runs their own tests, and passes recorded events through them. (A Rust for WebAssembly
/// is there, since the bundled plugins were built.)
fn languages() -> Result<()> {
    let mut command = outside(&["--features", "dockbell-tests/languages", "--test", "plugin_readmes"]);
    run(command.env("PATH", tools::path_with(&[tools::compilers()])?))
}

/// The test that cuts the power of a disk needs a minute, and what only root has: it is not among the plain ones.
fn power_cuts() -> Result<()> {
    if !tools::is_root() {
        println!("left out, since it needs root: the test that cuts the power of a disk");
        return Ok(());
    }
    tools::need("mkfs.ext4", "e2fsprogs")?;
    let name = "when_the_power_is_cut_nothing_that_was_acknowledged_is_lost";
    // It fails where it may not mount, instead of saying so to nobody.
    let mut command = outside(&["--test", "store_kill", "--", "--ignored", "--exact", name]);
    run(command.env("DOCKBELL_TEST_MUST_MOUNT", "1"))
}

/// Makes the packages of the program that the tests were built with, twice, installs them and looks at each part.
pub(crate) fn packages() -> Result<()> {
    let needed = [("systemd-analyze", "systemd"), ("groff", "groff-base"), ("zsh", "zsh"), ("fish", "fish")];
    tools::need_all(&needed)?;
    let folder = tools::target().join("packages-test");
    fs::create_dir_all(&folder)?;
    let mut test = outside(&["--test", "package"]);
    // It builds the program, too.
    run(test.arg("--no-run"))?;
    let (built, program) = (tools::target().join("debug/dockbell-under-test"), folder.join("dockbell"));
    run(Command::new("strip").arg("-o").arg(&program).arg(built))?;
    for time in ["first", "second"] {
        package::make(&program, &folder.join(time), Pack::Quickly)?;
    }
    let mut command = outside(&["--test", "package", "--", "--ignored"]);
    if !tools::is_root() {
        println!("left out, since it needs root: the test that installs a package");
        command.args(["--skip", "as_root"]);
    }
    run(command.env("DOCKBELL_TEST_PACKAGES", folder))
}

/// Tests from the outside. The packages are those that the plain tests were built with, so that nothing is built twice.
fn outside(arguments: &[&str]) -> Command {
    let mut command = cargo(&["test", "--locked", "-p", "dockbell", "-p", "dockbell-tests"]);
    command.args(arguments);
    command
}

fn in_plugins(command: &mut Command) -> &mut Command {
    command.current_dir(root().join("plugins"))
}
