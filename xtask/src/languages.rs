//! `cargo xtask languages`: the examples in every language, built and measured, as a table in their README.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::commands::{cargo, run};
use crate::plugins::root;
use crate::tools;

/// The examples' folders, what they are written in, and how the files end that are the plugin's own source.
const LANGUAGES: &[(&str, &str, &str)] = &[
    ("rust", "Rust", "rs"),
    ("c", "C", "c"),
    ("zig", "Zig", "zig"),
    ("go", "Go", "go"),
    ("javascript", "JavaScript", "js"),
    ("typescript", "TypeScript", "ts"),
    ("python", "Python", "py"),
];

const README: &str = "examples/plugins/README.md";
const MARKS: (&str, &str) = ("<!-- languages -->\n", "<!-- /languages -->");

/// `cargo xtask languages [--program FILE]`: with a `dockbell` that is there already, else with one built for it.
pub(crate) fn command(arguments: &[&str]) -> Result<()> {
    tools::python()?;
    let program = match arguments {
        [] => {
            run(&mut cargo(&["build", "--locked", "--release", "-p", "dockbell"]))?;
            tools::target().join("release/dockbell")
        }
        ["--program", program] => PathBuf::from(program),
        _ => bail!("unknown arguments: `{}`\nhint: `cargo xtask languages [--program FILE]`", arguments.join(" ")),
    };
    let program = program.canonicalize().with_context(|| format!("cannot find `{}`", program.display()))?;
    let mut table = "| | warm build | bytes | imports | compile | start | call | memory |\n".to_owned();
    table.push_str("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for (folder, name, extension) in LANGUAGES {
        let row = measure(&program, folder, extension).with_context(|| format!("`examples/plugins/{folder}`"))?;
        println!("{name}: {row}");
        table.push_str(&format!("| {name} | {row} |\n"));
    }
    let path = root().join(README);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{README}`"))?;
    let (before, rest) = text.split_once(MARKS.0).with_context(|| format!("`{README}` lacks `{}`", MARKS.0.trim()))?;
    let (_, after) = rest.split_once(MARKS.1).with_context(|| format!("`{README}` lacks `{}`", MARKS.1))?;
    let text = format!("{before}{}{table}{}{after}", MARKS.0, MARKS.1);
    fs::write(&path, text).with_context(|| format!("cannot write `{README}`"))
}

/// A row of the table.
fn measure(program: &Path, folder: &str, extension: &str) -> Result<String> {
    let example = root().join("examples/plugins").join(folder);
    let copy = tools::target().join("languages").join(folder);
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("cannot remove `{}`", copy.display()))?;
    }
    copy_sources(&example, &copy)?;
    // What its README does before it builds.
    let readme = fs::read_to_string(example.join("README.md")).context("cannot read its README.md")?;
    let (_, commands) = readme.split_once("```sh\n").context("its README.md has no commands")?;
    let (prepare, _) = commands.split_once("dockbell plugin build\n").context("its README.md does not build it")?;
    run(with_compilers(Command::new("sh").args(["-e", "-c", prepare]))?.current_dir(&copy))?;
    let build = || -> Result<Duration> {
        let began = Instant::now();
        run(with_compilers(Command::new(program).args(["plugin", "build"]))?.current_dir(&copy))?;
        Ok(began.elapsed())
    };
    build()?;
    change(&copy, extension)?;
    let warm = build()?;

    let marker =
        fs::read_to_string(copy.join("dockbell-plugin.toml")).context("cannot read its dockbell-plugin.toml")?;
    let name = marker.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let name = name.context("its dockbell-plugin.toml gives no name")?;
    let mut inspect = Command::new(program);
    inspect.current_dir(&copy).args(["plugin", "inspect", name, "--from", "dockbell.toml", "--output", "json"]);
    let output = inspect.output().context("cannot inspect it")?;
    ensure!(output.status.success(), "it does not run:\n{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).context("cannot read what `inspect` found")?;
    let number = |value: &Value| value.as_f64().context("`inspect` left out a figure");
    let run = &found["runs"][0];
    let imports = found["imports"].as_array().context("`inspect` left out the imports")?;
    let imports: Vec<&str> = imports.iter().filter_map(|import| import.as_str()?.split(['/', '@']).nth(1)).collect();
    Ok(format!(
        "{:.1} s | {} | {} | {:.0} ms | {:.0} µs | {:.1} µs | {:.0} KiB",
        warm.as_secs_f64(),
        number(&found["bytes"])?,
        imports.join(", "),
        number(&found["compile_micros"])? / 1e3,
        number(&run["start_micros"])?,
        number(&run["median_micros"])?,
        number(&run["memory"])? / 1024.0,
    ))
}

/// With the compilers at hand, and Rust's own libraries built once for all plugins.
fn with_compilers(command: &mut Command) -> Result<&mut Command> {
    let path = tools::path_with(&[tools::compilers()])?;
    Ok(command.env("PATH", path).env("CARGO_TARGET_DIR", tools::target().join("plugins")))
}

/// A copy without what building leaves.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make `{}`", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let left = ["dockbell", "target", "node_modules", "__pycache__", ".venv"];
        if left.iter().any(|left| name == *left) || path.extension().is_some_and(|end| end == "wasm") {
            continue;
        }
        if path.is_dir() {
            copy_sources(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(&name)).with_context(|| format!("cannot copy `{}`", path.display()))?;
        }
    }
    Ok(())
}

/// A line break more at the end of each of the plugin's own sources, so that compilers have work to do.
fn change(folder: &Path, extension: &str) -> Result<()> {
    for sources in [folder.to_path_buf(), folder.join("src")] {
        for entry in fs::read_dir(&sources).into_iter().flatten() {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == extension) {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
                fs::write(&path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
            }
        }
    }
    Ok(())
}
