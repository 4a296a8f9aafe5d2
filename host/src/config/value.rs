//! One value of a configuration file, and what it can be read as.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Number, Value as Json};
use toml::de::DeValue;

use super::document::{Document, Place, Table};
use super::problem::{Mistake, choose, listed};
use super::quantity;

const TABLE_FORMS: &str =
    "a table is its name in brackets with its keys on the lines below, or `name = { key = \"value\" }`";

/// A value while it is read. Each way of reading it reports what is wrong and then gives nothing.
#[derive(Debug)]
pub(super) struct Value<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) place: Place,
    inner: DeValue<'d>,
}

impl<'d> Value<'d> {
    pub(super) fn new(document: &'d Document<'d>, place: Place, inner: DeValue<'d>) -> Self {
        Self { document, place, inner }
    }

    /// Notes a mistake of this value.
    pub(super) fn report(&self, mistake: Mistake) {
        self.document.report(&self.place, mistake);
    }

    /// Whether it is a string.
    pub(super) const fn is_string(&self) -> bool {
        matches!(self.inner, DeValue::String(_))
    }

    /// A string, and its place for what turns out to be wrong later.
    pub(super) fn string(self) -> Option<(String, Place)> {
        match self.inner {
            DeValue::String(text) => Some((text.into_owned(), self.place)),
            _ => self.wrong_type("a string", "strings stand in quotes: `\"text\"`"),
        }
    }

    /// A string in the form that `T` wants.
    pub(super) fn parse<T: FromStr<Err = Mistake>>(self) -> Option<T> {
        let document = self.document;
        let (text, place) = self.string()?;
        text.parse().map_err(|mistake| document.report(&place, mistake)).ok()
    }

    /// A path; relative to the configuration file.
    pub(super) fn path(self) -> Option<PathBuf> {
        let document = self.document;
        let (path, place) = self.string()?;
        if path.is_empty() || path.contains('\0') {
            document.report(&place, Mistake::new("is not a path", "relative paths begin at the configuration file"));
            return None;
        }
        Some(document.resolve(&path))
    }

    /// A list of strings; a single string counts as a list of one.
    pub(super) fn strings(self) -> Option<Vec<(String, Place)>> {
        let Self { document, place, inner } = self;
        match inner {
            DeValue::String(text) => Some(vec![(text.into_owned(), place)]),
            inner @ DeValue::Array(_) => {
                let items = Self { document, place, inner }.list().into_iter().map(Value::string);
                // All are looked at, so that each wrong one is reported.
                items.collect::<Vec<_>>().into_iter().collect()
            }
            inner => Self { document, place, inner }.wrong_type("a list of strings", "such as `[\"one\", \"two\"]`"),
        }
    }

    /// A list; a single value counts as a list of one.
    pub(super) fn list(self) -> Vec<Self> {
        let Self { document, place, inner } = self;
        let DeValue::Array(items) = inner else { return vec![Self { document, place, inner }] };
        let items = items.into_iter().enumerate().map(|(index, item)| {
            let place = Place { path: format!("{}[{index}]", place.path), span: item.span() };
            Value::new(document, place, item.into_inner())
        });
        items.collect()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Option<T> {
        let document = self.document;
        let (text, place) = self.string()?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let message = format!("`{text}` is none of {}", listed(&words));
            document.report(&place, Mistake::new(message, choose(&text, &words, "possible values")));
        }
        found
    }

    /// Yes or no.
    pub(super) fn truth(self) -> Option<bool> {
        match self.inner {
            DeValue::Boolean(truth) => Some(truth),
            _ => self.wrong_type("a boolean", "write `true` or `false`, without quotes"),
        }
    }

    /// A length of time, such as `"90s"`.
    pub(super) fn duration(self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let document = self.document;
        if !matches!(self.inner, DeValue::String(_)) {
            self.report(Mistake::new(format!("is {}, not a duration", self.type_name()), quantity::DURATION_FORMS));
            return None;
        }
        let (text, place) = self.string()?;
        quantity::duration(&text, range).map_err(|mistake| document.report(&place, mistake)).ok()
    }

    /// A number of bytes, such as `"64MiB"`.
    pub(super) fn size(self, range: RangeInclusive<usize>) -> Option<usize> {
        let text = match &self.inner {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            _ => {
                self.report(Mistake::new(format!("is {}, not a size", self.type_name()), quantity::SIZE_FORMS));
                return None;
            }
        };
        quantity::size(&text, range).map_err(|mistake| self.report(mistake)).ok()
    }

    /// A table.
    pub(super) fn table(self) -> Option<Table<'d>> {
        match self.inner {
            DeValue::Table(entries) => Some(Table::new(self.document, self.place, entries)),
            _ => self.wrong_type("a table", TABLE_FORMS),
        }
    }

    /// A table as JSON; dates become strings.
    pub(super) fn json(self) -> Option<Map<String, Json>> {
        if !matches!(self.inner, DeValue::Table(_)) {
            return self.wrong_type("a table", TABLE_FORMS);
        }
        match json(&self.inner) {
            Ok(Json::Object(map)) => Some(map),
            Ok(_) => None,
            Err(mistake) => {
                self.report(mistake);
                None
            }
        }
    }

    fn wrong_type<T>(self, wanted: &str, hint: &str) -> Option<T> {
        self.report(Mistake::new(format!("is {}, not {wanted}", self.type_name()), hint));
        None
    }

    fn type_name(&self) -> &'static str {
        match self.inner {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

fn json(value: &DeValue<'_>) -> Result<Json, Mistake> {
    Ok(match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Json::from)
            .map_err(|_| Mistake::new(format!("`{number}` does not fit in 64 bits"), "write it as a string"))?,
        DeValue::Float(number) => {
            number.as_str().parse().ok().and_then(Number::from_f64).map(Json::Number).ok_or_else(|| {
                let message = format!("`{}` cannot be said in JSON, as which the plugin gets it", number.as_str());
                Mistake::new(message, "write it as a string")
            })?
        }
        DeValue::Boolean(truth) => Json::Bool(*truth),
        DeValue::Datetime(date) => Json::String(date.to_string()),
        DeValue::Array(items) => Json::Array(items.iter().map(|item| json(item.get_ref())).collect::<Result<_, _>>()?),
        DeValue::Table(entries) => Json::Object(
            entries
                .iter()
                .map(|(key, value)| Ok((key.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Result<_, Mistake>>()?,
        ),
    })
}
