//! A TOML file with the place of everything in it, and the mistakes found so far.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file;
use super::problem::{Excerpt, Mistake, Problem, choose};
use super::value::Value;

/// A configuration file while it is read. Mistakes are collected, so that all are told at once.
#[derive(Debug)]
pub(super) struct Document<'d> {
    name: &'d Path,
    text: &'d str,
    /// Where secrets stand in `text`; never shown.
    secrets: RefCell<Vec<Range<usize>>>,
    problems: RefCell<Vec<(usize, Problem)>>,
}

/// A key's path and where it or its value stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) span: Range<usize>,
}

/// A table while it is read: what was not taken at the end is unknown.
#[derive(Debug)]
pub(super) struct Table<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) place: Place,
    entries: DeTable<'d>,
    known: Vec<&'static str>,
}

impl<'d> Document<'d> {
    pub(super) fn new(name: &'d Path, text: &'d str) -> Self {
        Self { name, text, secrets: RefCell::default(), problems: RefCell::default() }
    }

    /// The top table; none when the text is not TOML.
    pub(super) fn parse(&'d self) -> Option<Table<'d>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        if errors.is_empty() {
            let span = root.span();
            let entries = root.into_inner();
            find_secrets(&entries, &mut self.secrets.borrow_mut());
            return Some(Table {
                document: self,
                place: Place { path: String::new(), span },
                entries,
                known: Vec::new(),
            });
        }
        // One slip makes the parser stumble again further on: only the first place is sure to be wrong.
        if let Some(error) = errors.iter().min_by_key(|error| error.span().map_or(usize::MAX, |span| span.start)) {
            let span = error.span().unwrap_or(self.text.len()..self.text.len());
            self.secrets.borrow_mut().extend(secret_statement(self.text, span.start));
            let place = Place { path: String::new(), span };
            self.report(&place, Mistake::plain(format!("not TOML: {}", error.message())));
        }
        None
    }

    /// Notes a mistake.
    pub(super) fn report(&self, place: &Place, mistake: Mistake) {
        let start = self.text.floor_char_boundary(place.span.start);
        let end = self.text.floor_char_boundary(place.span.end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |newline| start + newline);
        let line_number = self.text[..line_start].matches('\n').count() + 1;
        let column = self.text[line_start..start].chars().count() + 1;
        let (line, marked) = self.masked(line_start..line_end, start..end.min(line_end));
        let problem = Problem {
            place: format!("{}:{line_number}:{column}", self.name.display()),
            key: place.path.clone(),
            mistake,
            excerpt: Excerpt::new(&line, marked.start, marked.len()),
        };
        self.problems.borrow_mut().push((start, problem));
    }

    /// Says that nothing of what stands there is to be shown.
    pub(super) fn hide(&self, span: Range<usize>) {
        self.secrets.borrow_mut().push(span);
    }

    /// A path of the file; relative to the file itself.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.name.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The mistakes, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(start, _)| *start);
        problems.into_iter().map(|(_, problem)| problem).collect()
    }

    /// The line without its secrets, and which of its characters are marked.
    fn masked(&self, line: Range<usize>, marked: Range<usize>) -> (String, Range<usize>) {
        let secrets = self.secrets.borrow();
        let (mut shown, mut from, mut to, mut hidden) = (String::new(), None, 0, false);
        for (offset, c) in self.text[line.clone()].char_indices() {
            let at = line.start + offset;
            if at >= marked.start && from.is_none() {
                from = Some(shown.chars().count());
            }
            match secrets.iter().any(|secret| secret.contains(&at)) {
                true if hidden => {}
                true => shown.push_str("***"),
                false => shown.push(c),
            }
            hidden = secrets.iter().any(|secret| secret.contains(&at));
            if at < marked.end {
                to = shown.chars().count();
            }
        }
        let from = from.unwrap_or_else(|| shown.chars().count());
        (shown, from..to.max(from))
    }
}

impl<'d> Table<'d> {
    pub(super) fn new(document: &'d Document<'d>, place: Place, entries: DeTable<'d>) -> Self {
        Self { document, place, entries, known: Vec::new() }
    }

    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.known.push(key);
        let value = self.entries.remove(key)?;
        Some(Value::new(self.document, Place { path: self.path_of(key), span: value.span() }, value.into_inner()))
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, key: &'static str, hint: &str) -> Option<Value<'d>> {
        let value = self.take(key);
        if value.is_none() {
            self.report(Mistake::new(format!("`{key}` is missing"), hint));
        }
        value
    }

    /// Whether a key is there that was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The value of a key, or what the file says that its twin names.
    pub(super) fn secret(&mut self, key: &'static str, twin: &'static str) -> Option<(String, Place)> {
        let (value, file) = (self.take(key), self.take(twin));
        if let (Some(_), Some(file)) = (&value, &file) {
            let hint = format!("remove `{key}` or `{twin}`");
            file.report(Mistake::new(format!("`{key}` is set, and `{twin}` too"), hint));
        }
        if let Some(value) = value {
            return value.string();
        }
        let file = file?;
        let place = file.place.clone();
        match file::read_value(&file.path()?) {
            Ok(text) => Some((text, place)),
            Err(mistake) => {
                self.document.report(&place, mistake);
                None
            }
        }
    }

    /// Notes a mistake of the whole table.
    pub(super) fn report(&self, mistake: Mistake) {
        self.document.report(&self.place, mistake);
    }

    /// Every entry; for tables whose keys are names.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (String, Place, Value<'d>)> {
        let (document, path) = (self.document, self.place.path);
        self.entries.into_iter().map(move |(key, value)| {
            let path = format!("{path}.{}", key.get_ref());
            let place = Place { path: path.clone(), span: key.span() };
            let value = Value::new(document, Place { path, span: value.span() }, value.into_inner());
            (key.into_inner().into_owned(), place, value)
        })
    }

    /// Reports the keys that nobody took.
    pub(super) fn finish(self) {
        for (key, value) in &self.entries {
            // It may be a misspelt `password`.
            self.document.hide(value.span());
            let hint = choose(key.get_ref(), &self.known, "known keys");
            let place = Place { path: self.path_of(key.get_ref()), span: key.span() };
            self.document.report(&place, Mistake::new("unknown key", hint));
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.place.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.path) }
    }
}

/// Where a table holds what must not be shown: passwords, and addresses with a login in them.
fn find_secrets(table: &DeTable<'_>, secrets: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        match value.get_ref() {
            DeValue::Table(_) => find_secrets_in(value, secrets),
            _ if is_secret(key.get_ref()) && !key.get_ref().ends_with("-file") => secrets.push(value.span()),
            _ => find_secrets_in(value, secrets),
        }
    }
}

fn find_secrets_in(value: &Spanned<DeValue<'_>>, secrets: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(inner) => find_secrets(inner, secrets),
        DeValue::Array(items) => items.iter().for_each(|item| find_secrets_in(item, secrets)),
        DeValue::String(text) if is_secret(text) => secrets.push(value.span()),
        _ => {}
    }
}

/// Whether a key or a value looks like one that holds a secret.
fn is_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    ["password", "secret", "token"].iter().any(|word| text.contains(word))
        || text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// Behind the first `=` of the statement in which the parser stumbled, if a secret may stand there.
fn secret_statement(text: &str, at: usize) -> Option<Range<usize>> {
    let at = text.floor_char_boundary(at);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    let lines = text[..end].rmatch_indices('\n').map(|(newline, _)| newline + 1).chain([0]);
    let start = lines.into_iter().find(|&start| begins_statement(&text[start..end])).unwrap_or(0);
    let statement = &text[start..end];
    let value = statement.find('=').map_or(start, |equals| start + equals + 1);
    is_secret(statement).then_some(value..end)
}

/// Whether a line begins with a table's name, or a key and `=`.
fn begins_statement(line: &str) -> bool {
    let line = line.trim_start();
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || " -_.\"'".contains(c));
    line.starts_with('[') || line.split_once('=').is_some_and(|(key, _)| is_key(key))
}
