//! What is wrong with a configuration: where, what, and how to mend it.

use std::fmt;

use crate::text;

/// A configuration that cannot be used. Its `Display` is all there is to show: one paragraph per mistake, each with its
/// place, the line it stands in and a hint. No secret is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", paragraphs(.problems))]
pub struct ConfigError {
    /// At least one, in the order of the file, then of the environment.
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The mistakes, in the order of the file, then of the environment.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Vec<Problem>> for ConfigError {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

fn paragraphs(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n\n")
}

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `file:line:column`, a file, or the name of an environment variable.
    pub place: String,
    /// The key's path, such as `sinks.ops.server`; empty where the mistake is not about one key.
    pub key: String,
    /// What is wrong and how to mend it.
    pub mistake: Mistake,
    /// The line of the file it stands in.
    pub excerpt: Option<Box<Excerpt>>,
}

impl Problem {
    /// A mistake outside the file's tables: in the environment, or with a file as a whole.
    pub(crate) fn at(place: impl Into<String>, mistake: Mistake) -> Self {
        Self { place: place.into(), key: String::new(), mistake, excerpt: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.mistake.message)?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        match &self.mistake.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What is wrong with one value, without the value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Mistake {
    /// A mistake, and how to mend it.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    /// A mistake whose message says how to mend it.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}

/// A line of the file with a marked part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line; secrets are replaced by `***`, control and invisible characters by `�`.
    line: String,
    /// Where the mark begins, in characters.
    start: usize,
    /// How many characters are marked, at least one.
    width: usize,
}

impl Excerpt {
    /// Longer lines are not shown (characters): they would wrap, and the caret would point nowhere.
    const LONGEST: usize = 160;

    /// The line with `width` characters marked from `start` on; none where the line is too long to show.
    pub(crate) fn new(line: &str, start: usize, width: usize) -> Option<Self> {
        // One for one, so that the mark stays where it belongs.
        let is_hidden = |c| text::is_hidden(c) || matches!(c, '\r' | '\n');
        let line = line.replace(is_hidden, "\u{FFFD}");
        let length = line.chars().count();
        let width = width.min(length.saturating_sub(start)).max(1);
        (length <= Self::LONGEST).then_some(Self { line, start, width })
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent: String = self.line.chars().take(self.start).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let missing = " ".repeat(self.start.saturating_sub(indent.chars().count()));
        write!(f, "    {}\n    {indent}{missing}{}", self.line.trim_end(), "^".repeat(self.width))
    }
}

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::osa_distance(&word.to_lowercase(), &candidate.to_lowercase());
    let best = candidates.into_iter().min_by_key(distance)?;
    let length = word.chars().count().max(best.chars().count());
    (distance(&best) <= (length / 3).max(1) && length > 1).then_some(best)
}

/// A hint that names the nearest candidate, or else all of them.
pub(crate) fn choose(word: &str, candidates: &[&str], what: &str) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if candidates.is_empty() => format!("there are no {what}"),
        None => format!("{what}: {}", listed(candidates)),
    }
}

/// Names in backticks, with commas between.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
