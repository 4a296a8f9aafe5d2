//! How a configuration is refused: by the path of the key, with the reason and the nearest key that exists.

use std::fmt;

/// Where in the configuration something stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// The refusal of what stands here.
    pub(crate) fn refuse(&self, reason: impl fmt::Display) -> String {
        match self {
            Self::Root => reason.to_string(),
            _ => format!("{self}: {reason}"),
        }
    }

    /// The refusal of a key here that is not among the known ones. `others` are words of other tools and what they
    /// are called here.
    pub(crate) fn unknown_key(&self, key: &str, known: &[&str], others: &[(&str, &str)]) -> String {
        let lower = key.to_lowercase();
        let other = others.iter().find(|(other, _)| *other == lower).map(|(_, here)| *here);
        // Two slips (a swapped pair counts as one) in a word; in a short one every key would be near.
        let slips = lower.chars().count().min(6) / 3;
        let near = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(&lower, known), *known))
            .filter(|(distance, _)| *distance <= slips)
            .min()
            .map(|(_, known)| known);
        let hint = other.or(near).map_or_else(String::new, |key| format!("did you mean `{key}`? "));
        Place::Key(self, key).refuse(format!("unknown key\nhint: {hint}the keys here are `{}`", known.join("`, `")))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(parent, key) => {
                let dot = if matches!(parent, Place::Root) { "" } else { "." };
                write!(f, "{parent}{dot}{}", key.replace('\\', r"\\").replace('.', r"\."))
            }
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// What a JSON value is called in TOML's words, with the value where it is short.
pub(crate) fn found(value: &serde_json::Value) -> String {
    use serde_json::Value::{Array, Bool, Null, Number, Object, String};
    match value {
        Null => "nothing".to_owned(),
        Bool(value) => format!("`{value}`"),
        Number(value) => format!("the number {value}"),
        String(value) if value.chars().count() > 40 => "a string".to_owned(),
        String(value) => format!("the string `{value}`"),
        Array(_) => "a list".to_owned(),
        Object(_) => "a table".to_owned(),
    }
}
