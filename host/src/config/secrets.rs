//! Keeps passwords out of messages: where they stand in a configuration file, and what is shown instead.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mask::Mask;
use crate::text;

/// What stands in a message in place of a secret.
const HIDDEN: &str = "***";

/// Keys that never hold a secret.
#[rustfmt::skip]
const HARMLESS: [&str; 23] = [
    "allow-loopback", "auth", "component", "content-type", "ehlo", "engines", "filters", "formatter", "from", "grace", "group-by",
    "hostname", "memory", "method", "on-error", "output", "path", "settle", "timeout", "to", "type", "window",
    "window-max",
];

/// The parts of a file that are never shown.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<Range<usize>>);

impl Secrets {
    fn hide(&mut self, span: Range<usize>) {
        self.0.push(span);
    }

    /// Hides a value; of a table the values, not the keys.
    pub(super) fn hide_values(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(inner) => inner.values().for_each(|value| self.hide_values(value)),
            _ => self.hide(value.span()),
        }
    }

    /// Hides what a table holds under keys such as `password`, the headers of webhooks, and addresses with a login in them.
    pub(super) fn find(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            if matches!(key.get_ref().as_ref(), "headers" | "url") {
                self.hide_values(value);
                continue;
            }
            let names_secret = says_secret(key.get_ref()) && !key.get_ref().ends_with("-file");
            match names_secret && !value.get_ref().is_table() {
                true => self.hide(value.span()),
                false => self.find_in(value),
            }
        }
    }

    fn find_in(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(inner) => self.find(inner),
            DeValue::Array(items) => items.iter().for_each(|item| self.find_in(item)),
            DeValue::String(text) if has_login(text) => self.hide(value.span()),
            _ => {}
        }
    }

    /// Hides what is behind the first `=` of the statement in which the parser stumbled, unless it can be no secret. With
    /// the file broken nothing is certain: the key itself may be what is misspelt.
    pub(super) fn suspect(&mut self, text: &str, at: usize) {
        let at = text.floor_char_boundary(at);
        let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
        let mut lines = text[..end].rmatch_indices('\n').map(|(newline, _)| newline + 1).chain([0]);
        let start = lines.find(|&start| begins_statement(&text[start..end])).unwrap_or(0);
        let statement = &text[start..end];
        let (key, value) = statement.split_once('=').unwrap_or((statement, ""));
        let is_header = value.is_empty() && key.trim_start().starts_with('[') && !key.contains(['"', '\'', '\n']);
        let is_harmless = is_header || HARMLESS.contains(&key.trim()) && !value.contains('=');
        if !is_harmless || says_secret(statement) || has_login(statement) {
            // What looks like a key is one only outside the strings that may hold many lines.
            let is_key = statement.contains('=')
                && is_key(key)
                && !["\"\"\"", "'''"].iter().any(|quotes| text[..end].contains(quotes));
            let shown = if is_key { key.len() + 1 } else { 0 };
            self.hide((start + shown).min(end)..end);
        }
    }

    /// A line of the file as it may be shown, and which of its characters are then the marked ones.
    pub(super) fn line(&self, text: &str, line: Range<usize>, marked: Range<usize>) -> (String, Range<usize>) {
        let (mut shown, mut from, mut to, mut was_hidden) = (String::new(), None, 0, false);
        for (offset, c) in text[line.clone()].char_indices() {
            let at = line.start + offset;
            if at >= marked.start && from.is_none() {
                from = Some(shown.chars().count());
            }
            let hidden = self.0.iter().any(|secret| secret.contains(&at));
            match hidden {
                true if was_hidden => {}
                true => shown.push_str(HIDDEN),
                false => shown.push(c),
            }
            was_hidden = hidden;
            if at < marked.end {
                to = shown.chars().count();
            }
        }
        let from = from.unwrap_or_else(|| shown.chars().count());
        (shown, from..to.max(from))
    }

    /// A message about a part of the file as it may be shown on a terminal. It goes without that part if it is a secret: a
    /// URL with a login may stand anywhere.
    pub(super) fn message(&self, text: &str, message: &str, about: Range<usize>) -> String {
        let inside = self.0.iter().filter(|secret| secret.start < about.end && about.start < secret.end);
        let values = inside.map(|secret| text[secret.clone()].trim_matches(['"', '\'', ' ']));
        text::one_line(&Mask::new(values).hide(message, HIDDEN, message.len()), usize::MAX)
    }
}

fn says_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    ["password", "secret", "token"].iter().any(|word| text.contains(word))
}

/// Whether a text may be a URL with a login, also where one of its characters is missing: `:` and then `@`, or a `:` that
/// no port follows.
fn has_login(text: &str) -> bool {
    let has_both = text.split_once(':').is_some_and(|(_, rest)| rest.contains('@'));
    let mut parts = text.split_once("://").map_or("", |(_, rest)| rest).split(':').skip(1);
    has_both || parts.any(|part| !part.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a line begins with a table's name, or a key and `=`.
fn begins_statement(line: &str) -> bool {
    line.trim_start().starts_with('[') || line.split_once('=').is_some_and(|(key, _)| is_key(key))
}

fn is_key(text: &str) -> bool {
    let key = text.trim();
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
