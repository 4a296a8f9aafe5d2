//! A TOML file with the place of everything in it, and the mistakes found so far.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file;
use super::problem::{Excerpt, Mistake, Problem, choose, nearest};
use super::secret::Secret;
use super::secrets::Secrets;
use super::value::Value;

/// A configuration file while it is read. Mistakes are collected, so that all are told at once.
#[derive(Debug)]
pub(super) struct Document<'d> {
    name: &'d Path,
    text: &'d str,
    secrets: RefCell<Secrets>,
    problems: RefCell<Vec<(usize, Problem)>>,
}

/// A key's path and where it or its value stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) span: Range<usize>,
}

/// A secret that was given as a value or as a file.
#[derive(Debug)]
pub(super) struct Given {
    /// What it is at present.
    pub(super) text: String,
    /// Where it was given.
    pub(super) place: Place,
    /// The file that holds it.
    pub(super) file: Option<PathBuf>,
}

impl Given {
    /// The secret, to be read anew where it is in a file.
    pub(super) fn secret(&self) -> Secret {
        self.file.clone().map_or_else(|| Secret::text(&self.text), Secret::File)
    }
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
            self.secrets.borrow_mut().find(&entries);
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
            self.secrets.borrow_mut().suspect(self.text, span.start);
            let place = Place { path: String::new(), span };
            let hint = match error.message() {
                "duplicate key" => "a key may stand once in its table",
                _ => "values are `\"text\"`, `5`, `true`, `[\"one\", \"two\"]` or `{ key = \"value\" }`",
            };
            self.report(&place, Mistake::new(format!("not TOML: {}", error.message()), hint));
        }
        None
    }

    /// Keeps what a value holds out of all messages.
    pub(super) fn hide_values(&self, value: &Spanned<DeValue<'_>>) {
        self.secrets.borrow_mut().hide_values(value);
    }

    /// The file, as it was named.
    pub(super) const fn name(&self) -> &'d Path {
        self.name
    }

    /// Notes a mistake.
    pub(super) fn report(&self, place: &Place, mistake: Mistake) {
        let start = self.text.floor_char_boundary(place.span.start);
        let end = self.text.floor_char_boundary(place.span.end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |newline| start + newline);
        let line_number = self.text[..line_start].matches('\n').count() + 1;
        let column = self.text[line_start..start].chars().count() + 1;
        let secrets = self.secrets.borrow();
        let (line, marked) = secrets.line(self.text, line_start..line_end, start..end.min(line_end));
        let shown = |message: &str| secrets.message(self.text, message, start..end);
        let mistake = Mistake { message: shown(&mistake.message), hint: mistake.hint.as_deref().map(shown) };
        let problem = Problem {
            place: format!("{}:{line_number}:{column}", self.name.display()),
            key: place.path.clone(),
            mistake,
            excerpt: Excerpt::new(&line, marked.start, marked.len()).map(Box::new),
        };
        self.problems.borrow_mut().push((start, problem));
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

    /// The value of a key, or what the file says that its twin names. What stands there is not shown in any message.
    pub(super) fn secret(&mut self, key: &'static str, twin: &'static str) -> Option<Given> {
        let (value, file) = (self.take(key), self.take(twin));
        if let (Some(_), Some(file)) = (&value, &file) {
            let hint = format!("remove `{key}` or `{twin}`");
            file.report(Mistake::new(format!("`{key}` is set, and `{twin}` too"), hint));
        }
        if let Some(value) = value {
            return value.string().map(|(text, place)| Given { text, place, file: None });
        }
        let file = file?;
        let place = file.place.clone();
        let path = file.path()?;
        match file::read_value(&path) {
            Ok(text) => Some(Given { text, place, file: Some(path) }),
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
            // It may be a password under another name, except where it is clear what was meant.
            let meant = nearest(key.get_ref(), self.known.iter().copied());
            if value.get_ref().is_table()
                || meant.is_none_or(|meant| matches!(meant, "headers" | "password" | "secret" | "server" | "url"))
            {
                self.document.secrets.borrow_mut().hide_values(value);
            }
            let hint = choose(key.get_ref(), &self.known, "known keys");
            let place = Place { path: self.path_of(key.get_ref()), span: key.span() };
            self.document.report(&place, Mistake::new("unknown key", hint));
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.place.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.path) }
    }
}
