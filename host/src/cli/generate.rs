//! `dockbell completions` and `dockbell man`: what packages install beside the program, made of its own arguments.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

/// What `completions` takes.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that completes the arguments of `dockbell`
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints a script that a shell reads to complete arguments.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "dockbell", &mut script);
    print(&script)
}

/// Prints the manual page: the program, then each of its subcommands.
pub(super) fn man(mut command: Command) -> anyhow::Result<ExitCode> {
    command.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for command in listed(&command) {
        writeln!(page, ".SH \"{}\"", command.get_bin_name().unwrap_or_default().to_uppercase().replace('-', "\\-"))?;
        let man = clap_mangen::Man::new(command.clone());
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    man.render_extra_section(&mut page)?;
    man.render_version_section(&mut page)?;
    print(&page)
}

fn listed(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    match io::stdout().write_all(text) {
        // Whoever closed our output does not want to know.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to the terminal"),
        _ => Ok(ExitCode::SUCCESS),
    }
}
