//! Conditions on an event, compiled once.

use dockbell_plugin::Event;
use serde_json::Value;

use crate::matcher::Matcher;
use crate::refusal::{Place, found};

const KEYS: [&str; 13] =
    ["all", "any", "not", "kind", "action", "detail", "engine", "scope", "name", "image", "label", "attribute", "fact"];

/// Docker's words, and what users reach for.
const OTHER_WORDS: [(&str, &str); 9] = [
    ("type", "kind"),
    ("event", "action"),
    ("status", "action"),
    ("container", "name"),
    ("or", "any"),
    ("and", "all"),
    ("cause", "fact = { cause = … }"),
    ("exit-code", "fact = { exit-code = … }"),
    ("exitcode", "fact = { exit-code = … }"),
];

/// What must hold of an event.
#[derive(Debug)]
pub(crate) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Fits(Field, Matcher),
}

/// What a matcher looks at.
#[derive(Debug)]
pub(crate) enum Field {
    Kind,
    Action,
    Detail,
    Engine,
    Scope,
    Attribute(String),
    Fact(String),
}

impl Condition {
    /// Compiles the table at `place`.
    pub(crate) fn compile(place: &Place<'_>, value: &Value) -> Result<Self, String> {
        let Value::Object(table) = value else {
            return Err(place.refuse(format!("a condition is a table, not {}", found(value))));
        };
        let mut parts = Vec::with_capacity(table.len());
        for (key, value) in table {
            let at = Place::Key(place, key);
            match key.as_str() {
                "all" => parts.push(Self::All(Self::compile_list(&at, value)?)),
                "any" => parts.push(Self::Any(Self::compile_list(&at, value)?)),
                "not" => parts.push(Self::Not(Box::new(Self::compile(&at, value)?))),
                "kind" => parts.push(Self::Fits(Field::Kind, Matcher::compile(&at, value)?)),
                "action" => parts.push(Self::Fits(Field::Action, Matcher::compile(&at, value)?)),
                "detail" => parts.push(Self::Fits(Field::Detail, Matcher::compile(&at, value)?)),
                "engine" => parts.push(Self::Fits(Field::Engine, Matcher::compile(&at, value)?)),
                "scope" => parts.push(Self::Fits(Field::Scope, Matcher::compile(&at, value)?)),
                "name" | "image" => {
                    parts.push(Self::Fits(Field::Attribute(key.clone()), Matcher::compile(&at, value)?))
                }
                "label" | "attribute" => Self::compile_names(&at, value, Field::Attribute, &mut parts)?,
                "fact" => Self::compile_names(&at, value, Field::Fact, &mut parts)?,
                _ => return Err(place.unknown_key(key, &KEYS, &OTHER_WORDS)),
            }
        }
        // One key is by far the most frequent condition.
        Ok(if parts.len() == 1 { parts.remove(0) } else { Self::All(parts) })
    }

    fn compile_list(place: &Place<'_>, value: &Value) -> Result<Vec<Self>, String> {
        match value {
            Value::Array(items) if items.is_empty() => {
                Err(place.refuse("an empty list says nothing; leave the key out"))
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| Self::compile(&Place::Item(place, index), item)).collect()
            }
            _ => Err(place.refuse(format!("a list of conditions is needed, not {}", found(value)))),
        }
    }

    fn compile_names(
        place: &Place<'_>,
        value: &Value,
        field: fn(String) -> Field,
        parts: &mut Vec<Self>,
    ) -> Result<(), String> {
        match value {
            Value::Object(names) if names.is_empty() => {
                Err(place.refuse("an empty table says nothing; leave the key out"))
            }
            Value::Object(names) => {
                for (name, matcher) in names {
                    parts.push(Self::Fits(field(name.clone()), Matcher::compile(&Place::Key(place, name), matcher)?));
                }
                Ok(())
            }
            _ => Err(place.refuse(format!("a table of names and matchers is needed, not {}", found(value)))),
        }
    }

    /// Whether the event fulfils the condition.
    pub(crate) fn holds(&self, event: &Event) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(event)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(event)),
            Self::Not(part) => !part.holds(event),
            Self::Fits(field, matcher) => matcher.fits(field.of(event)),
        }
    }
}

impl Field {
    /// The event's value; `None` where it has none.
    fn of<'a>(&self, event: &'a Event) -> Option<&'a str> {
        let text = match self {
            Self::Kind => &event.kind,
            Self::Action => &event.action,
            Self::Detail => &event.detail,
            Self::Engine => &event.engine,
            Self::Scope => &event.scope,
            Self::Attribute(name) => return event.attribute(name),
            Self::Fact(name) => return event.fact(name),
        };
        (!text.is_empty()).then_some(text)
    }
}
