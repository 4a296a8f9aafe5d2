//! What `dockbell check` prints: a verdict on each part, as lines of text or as JSON.

use std::fmt::Display;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::config::Output;
use crate::text;

/// Verdicts, printed as they come.
#[derive(Debug)]
pub(super) struct Report {
    output: Output,
    failed: bool,
}

/// A verdict on one part.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Report {
    /// A report without any verdict.
    pub(super) const fn new(output: Output) -> Self {
        Self { output, failed: false }
    }

    /// Returns whether a part failed.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Prints that a part works, or why it does not.
    pub(super) fn says<T: Display, E: Display>(&mut self, what: &str, result: Result<T, E>) {
        match result {
            Ok(text) => self.works(what, text),
            Err(error) => self.fails(what, &error),
        }
    }

    /// Prints that a part works.
    pub(super) fn works(&self, what: &str, text: impl Display) {
        self.line(Verdict::Ok, what, &text.to_string());
    }

    /// Prints that a part works and is probably not meant so.
    pub(super) fn warns(&self, what: &str, text: impl Display) {
        self.line(Verdict::Warn, what, &text.to_string());
    }

    /// Prints that a part does not work.
    pub(super) fn fails(&mut self, what: &str, error: &dyn Display) {
        self.failed = true;
        let error = error.to_string();
        self.line(Verdict::Fail, what, without_repetition(what, &error));
    }

    fn line(&self, verdict: Verdict, what: &str, text: &str) {
        let (mut out, text) = (anstream::stdout(), text::multi_line(text));
        // Whoever closed our output does not want to know.
        let _ = match self.output {
            Output::Text => {
                let (colour, word) = match verdict {
                    Verdict::Ok => (AnsiColor::Green, "ok"),
                    Verdict::Warn => (AnsiColor::Yellow, "warn"),
                    Verdict::Fail => (AnsiColor::Red, "FAIL"),
                };
                let style = Style::new().fg_color(Some(colour.into())).bold();
                writeln!(out, "{style}{word:<4}{style:#}  {what}: {}", text.replace('\n', "\n        "))
            }
            Output::Json => {
                let verdict = match verdict {
                    Verdict::Ok => "ok",
                    Verdict::Warn => "warn",
                    Verdict::Fail => "fail",
                };
                let (text, hint) =
                    text.split_once("\nhint: ").map_or((&*text, None), |(text, hint)| (text, Some(hint)));
                writeln!(out, "{}", json!({ "verdict": verdict, "what": what, "text": text, "hint": hint }))
            }
        };
    }
}

/// Returns an error without the part at its start that the line names already: of `sink ops` the words "sink `ops`: ".
fn without_repetition<'a>(what: &str, error: &'a str) -> &'a str {
    let named = what.split_once(' ').map(|(kind, name)| format!("{kind} `{name}`"));
    let rest = named.and_then(|named| error.strip_prefix(&named));
    rest.map_or(error, |rest| rest.trim_start_matches(':').trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_does_not_repeat_what_it_is_about() {
        assert_eq!(without_repetition("sink ops", "sink `ops`: connection refused"), "connection refused");
        assert_eq!(without_repetition("engine local", "engine `local` at `unix:///x`: no"), "at `unix:///x`: no");
        assert_eq!(without_repetition("route a", "plugin `b` fails"), "plugin `b` fails");
        assert_eq!(without_repetition("sinks", "sink `a`: b"), "sink `a`: b");
    }
}
