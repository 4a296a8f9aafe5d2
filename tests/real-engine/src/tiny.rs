//! The image of tests and recordings: one static program of our own (`tests/real-engine/tiny.c`), since no image can be
//! counted on to be there, nor a registry to be reached.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::client::{Docker, printed};

const SOURCE: &str = include_str!("../tiny.c");

/// The program, built.
#[derive(Debug, Clone)]
pub struct Tiny {
    program: PathBuf,
}

impl Tiny {
    /// Builds the program with `gcc -static` into `folder`, where it is called `tiny`.
    ///
    /// # Errors
    /// When there is no C compiler or no static C library.
    pub fn build(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let source = folder.join("tiny.c");
        fs::write(&source, SOURCE).with_context(|| format!("cannot write `{}`", source.display()))?;
        let program = folder.join("tiny");
        let compiler = env::var("CC").unwrap_or_else(|_| "gcc".to_owned());
        let mut command = Command::new(&compiler);
        command.args(["-static", "-O1", "-Wall", "-Wextra", "-Werror", "-s", "-o"]).arg(&program).arg(&source);
        printed(&mut command, &format!("{compiler} -static {}", source.display()))
            .context("hint: on Debian, `gcc` and `libc6-dev` bring what this needs")?;
        Ok(Self { program })
    }

    /// The program that someone has built before, at this path, called `tiny`.
    #[must_use]
    pub fn built(program: &Path) -> Self {
        Self { program: program.to_owned() }
    }

    /// The path of the program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Makes an image of the program for an engine, called `name`. It runs `/tiny` with the container's arguments;
    /// `changes` are further lines of a Dockerfile.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn import(&self, docker: &Docker, name: &str, changes: &[&str]) -> Result<()> {
        let folder = self.program.parent().context("the program `tiny` has no folder")?;
        let mut tar =
            Command::new("tar").arg("-C").arg(folder).args(["--create", "tiny"]).stdout(Stdio::piped()).spawn()?;
        let mut command = docker.command();
        command.args(["import", "--change", "ENTRYPOINT [\"/tiny\"]"]);
        command.args(changes.iter().flat_map(|change| ["--change", change])).args(["-", name]);
        command.stdin(tar.stdout.take().context("`tar` has no output")?);
        printed(&mut command, &format!("docker import - {name}"))?;
        if !tar.wait()?.success() {
            bail!("`tar` could not pack `{}`", self.program.display());
        }
        Ok(())
    }
}
