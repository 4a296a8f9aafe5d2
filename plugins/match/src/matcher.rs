//! Matchers of one value, compiled once.

use regex_lite::Regex;
use serde_json::Value;

use crate::glob::Glob;
use crate::refusal::{Place, found};

const KEYS: [&str; 10] = ["equals", "one-of", "glob", "regex", "lt", "le", "gt", "ge", "exists", "not"];

/// What the keys are called elsewhere.
const OTHER_WORDS: [(&str, &str); 11] = [
    ("eq", "equals"),
    ("is", "equals"),
    ("in", "one-of"),
    ("any", "one-of"),
    ("contains", "regex"),
    ("match", "regex"),
    ("matches", "regex"),
    ("lte", "le"),
    ("gte", "ge"),
    ("<", "lt"),
    (">", "gt"),
];

/// What must hold of a value: each of these.
#[derive(Debug)]
pub(crate) struct Matcher(Vec<Test>);

#[derive(Debug)]
enum Test {
    OneOf(Vec<Literal>),
    Glob(Glob),
    Regex(Regex),
    Compare(fn(&f64, &f64) -> bool, f64),
    Exists(bool),
    Not(Matcher),
}

#[derive(Debug)]
enum Literal {
    Text(String),
    Number(f64),
}

impl Matcher {
    /// Compiles the matcher at `place`.
    pub(crate) fn compile(place: &Place<'_>, value: &Value) -> Result<Self, String> {
        let test = match value {
            Value::Object(table) if table.is_empty() => {
                return Err(place
                    .refuse(format!("an empty table says nothing\nhint: the keys here are `{}`", KEYS.join("`, `"))));
            }
            Value::Object(table) => {
                return table
                    .iter()
                    .map(|(key, value)| Test::compile(place, key, value))
                    .collect::<Result<_, _>>()
                    .map(Self);
            }
            Value::Array(_) => Test::OneOf(Literal::compile_list(place, value)?),
            _ => Test::OneOf(vec![Literal::compile(place, value, "a string, a number, a list or a table")?]),
        };
        Ok(Self(vec![test]))
    }

    /// Whether the value fits; `None` is a value that the event does not have.
    pub(crate) fn fits(&self, value: Option<&str>) -> bool {
        self.0.iter().all(|test| test.holds(value))
    }
}

impl Test {
    fn compile(table: &Place<'_>, key: &str, value: &Value) -> Result<Self, String> {
        let place = Place::Key(table, key);
        let compare = |holds: fn(&f64, &f64) -> bool| match value.as_f64() {
            Some(limit) => Ok(Self::Compare(holds, limit)),
            None => Err(place.refuse(format!("a number is needed, not {}", found(value)))),
        };
        let pattern =
            || value.as_str().ok_or_else(|| place.refuse(format!("a pattern is a string, not {}", found(value))));
        match key {
            "equals" => Ok(Self::OneOf(vec![Literal::compile(&place, value, "a string or a number")?])),
            "one-of" => Ok(Self::OneOf(Literal::compile_list(&place, value)?)),
            "glob" => Glob::compile(pattern()?).map(Self::Glob).map_err(|reason| place.refuse(reason)),
            "regex" => Regex::new(pattern()?).map(Self::Regex).map_err(|reason| place.refuse(reason)),
            "lt" => compare(f64::lt),
            "le" => compare(f64::le),
            "gt" => compare(f64::gt),
            "ge" => compare(f64::ge),
            "exists" => match value {
                Value::Bool(exists) => Ok(Self::Exists(*exists)),
                _ => Err(place.refuse(format!("`true` or `false` is needed, not {}", found(value)))),
            },
            "not" => Matcher::compile(&place, value).map(Self::Not),
            _ => Err(table.unknown_key(key, &KEYS, &OTHER_WORDS)),
        }
    }

    fn holds(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Not(matcher), value) => !matcher.fits(value),
            (Self::Exists(exists), value) => *exists == value.is_some(),
            (_, None) => false,
            (Self::OneOf(literals), Some(value)) => literals.iter().any(|literal| literal.equals(value)),
            (Self::Glob(glob), Some(value)) => glob.fits(value),
            (Self::Regex(regex), Some(value)) => regex.is_match(value),
            (Self::Compare(holds, limit), Some(value)) => number(value).is_some_and(|number| holds(&number, limit)),
        }
    }
}

impl Literal {
    fn compile(place: &Place<'_>, value: &Value, needed: &str) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::Text(text.clone())),
            // What an engine or dockbell writes for a boolean is a text.
            Value::Bool(truth) => Ok(Self::Text(truth.to_string())),
            Value::Number(number) => {
                number.as_f64().map(Self::Number).ok_or_else(|| place.refuse("the number is too large"))
            }
            _ => Err(place.refuse(format!("{needed} is needed, not {}", found(value)))),
        }
    }

    fn compile_list(place: &Place<'_>, value: &Value) -> Result<Vec<Self>, String> {
        match value {
            Value::Array(items) if items.is_empty() => {
                Err(place.refuse("an empty list fits nothing; leave the key out"))
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Self::compile(&Place::Item(place, index), item, "a string or a number"))
                .collect(),
            _ => Err(place.refuse(format!("a list of strings or numbers is needed, not {}", found(value)))),
        }
    }

    fn equals(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => text == value,
            Self::Number(wanted) => number(value).is_some_and(|number| number == *wanted),
        }
    }
}

/// The number that a value says: `137`, `-1`, `0.5`, and a duration of dockbell's own facts, `312s`.
fn number(value: &str) -> Option<f64> {
    let digits = value.strip_suffix('s').unwrap_or(value);
    // `parse` alone would take `inf` and `NaN` for numbers.
    let last = digits.bytes().last()?;
    if !last.is_ascii_digit() {
        return None;
    }
    digits.parse().ok().filter(|number: &f64| number.is_finite())
}
