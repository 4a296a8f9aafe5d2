//! `dockbell plugin inspect`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;

use super::subject::Subject;
use super::visible_json;
use crate::app::inspection::{self, Asked, Inspection, Run};
use crate::cli::OutputArgs;
use crate::config::Output;
use crate::plugin::Role;
use crate::text::one_line;

/// Bytes of a line of the page.
const LINE: usize = 4096;

/// What `inspect` takes.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints what was found out. Fails where the plugin cannot be used.
pub(super) async fn run(args: InspectArgs) -> anyhow::Result<ExitCode> {
    let (name, config) = args.subject.resolve()?;
    let inspection = inspection::inspect(&name, &config).await?;
    let text = match args.output.output.unwrap_or_default() {
        Output::Text => in_words(&inspection),
        Output::Json => visible_json(&serde_json::to_string(&inspection)?) + "\n",
    };
    // Whoever closed our output does not want to know.
    let _ = anstream::stdout().write_all(text.as_bytes());
    let works = inspection.refused.is_none() && inspection.runs.iter().all(|run| run.failed.is_none());
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_words(it: &Inspection) -> String {
    let mut page = Page::default();
    let kinds: Vec<String> = it.roles.iter().map(Role::to_string).collect();
    let kind = if kinds.is_empty() { "no plugin".to_owned() } else { kinds.join(" and ") };
    page.line("plugin", &format!("{}, {kind}", it.plugin));
    page.line("component", &it.component);
    page.line(
        "interface",
        &it.version.as_ref().map_or("none".to_owned(), |version| format!("dockbell:plugin {version}")),
    );
    let form = if it.was_module { "a core module that carries its interface" } else { "a component" };
    page.line("size", &format!("{} bytes, {form}", it.bytes));
    page.line("sha256", &it.sha256);
    page.lines("exports", &it.declared.exports);
    page.lines("imports", &it.declared.imports);
    page.lines("may", &may(it));
    page.lines("asks for", &it.asks.iter().map(in_a_line).collect::<Vec<_>>());
    page.lines("granted", &it.grants);
    page.line(
        "compiled in",
        &format!("{}, in a process of its own, without the cache", time(it.compile_micros as f64)),
    );
    it.runs.iter().for_each(|run| page.run(run, it.runs.len() > 1));
    if let Some(refused) = &it.refused {
        page.wrong(refused);
    }
    page.0
}

/// An ask, and the line that grants it.
fn in_a_line(Asked { ask, line, granted }: &Asked) -> String {
    let purpose = ask.purpose();
    if *granted { format!("to {purpose}: granted") } else { format!("to {purpose}: not granted; add {line}") }
}

/// What it can do at all.
fn may(it: &Inspection) -> Vec<String> {
    let mut may = vec![
        "see the events of its routes, and its own `config`".to_owned(),
        format!(
            "take {} MiB of memory, and {} a call (`memory`, `timeout`)",
            it.memory_limit >> 20,
            time(it.timeout_micros as f64)
        ),
    ];
    let imports = |prefix: &str| it.declared.imports.iter().any(|name| name.starts_with(prefix));
    if imports("dockbell:plugin/logging@") || imports("wasi:cli/std") {
        may.push("write lines to dockbell's log, under its name".to_owned());
    }
    if imports("wasi:clocks/") {
        may.push("look at the clock".to_owned());
    }
    if imports("wasi:random/") {
        may.push("get random numbers".to_owned());
    }
    may
}

/// A length of time as people say it.
pub(super) fn time(micros: f64) -> String {
    match micros {
        ..100.0 => format!("{micros:.1} µs"),
        100.0..1000.0 => format!("{micros:.0} µs"),
        1000.0..100_000.0 => format!("{:.1} ms", micros / 1e3),
        100_000.0..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// Text in two columns. Writing to a string cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, what: &str, text: &str) {
        let bold = Style::new().bold();
        let _ = writeln!(self.0, "{bold}{what:<12}{bold:#} {}", one_line(text, LINE));
    }

    fn lines(&mut self, what: &str, texts: &[String]) {
        if texts.is_empty() {
            self.line(what, "nothing");
        }
        for (number, text) in texts.iter().enumerate() {
            self.line(if number == 0 { what } else { "" }, text);
        }
    }

    fn run(&mut self, run: &Run, named: bool) {
        let role = if named { format!(", as a {}", run.role) } else { String::new() };
        self.line("started in", &format!("{}{role}", time(run.start_micros as f64)));
        self.line("memory", &format!("{} KiB after the start{role}", run.memory >> 10));
        match &run.failed {
            Some(failed) => self.wrong(&format!("{} with {}: {failed}", run.role, run.with)),
            None => self.line(
                "per call",
                &format!(
                    "{} (median of {} calls with {}), {} at most",
                    time(run.median_micros),
                    run.calls,
                    run.with,
                    time(run.most_micros)
                ),
            ),
        }
    }

    fn wrong(&mut self, why: &str) {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        let why: Vec<String> = why.lines().map(|line| one_line(line, LINE)).collect();
        let _ = writeln!(self.0, "{red}{:<12}{red:#} {}", "FAIL", why.join(&format!("\n{:13}", "")));
    }
}
