//! A message as one line of JSON.

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::message::Message;

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    route: &'a str,
    group: &'a str,
    phase: &'a str,
    time: String,
    subject: &'a str,
    text: &'a str,
    fields: Fields<'a>,
}

/// Fields as an object; of two with one name the last holds, as in most JSON readers.
struct Fields<'a>(&'a [(String, String)]);

impl Serialize for Fields<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields: std::collections::BTreeMap<_, _> = self.0.iter().map(|(name, value)| (name, value)).collect();
        serializer.collect_map(fields)
    }
}

/// One line without its end: what the formatter made as `application/json`, else an object of `id`, `route`, `group`,
/// `phase`, `time`, `subject`, `text`, `fields`.
pub(super) fn line(message: &Message) -> String {
    let told = &message.notification;
    if let Some(json) = told.alternative("application/json").and_then(one_line) {
        return json;
    }
    let line = Line {
        id: message.id.to_string(),
        route: &message.route,
        group: &message.group,
        phase: message.phase.name(),
        time: message.sealed_at.to_string(),
        subject: &told.subject,
        text: told.text(),
        fields: Fields(&told.fields),
    };
    // Strings and a map of strings can always be written; an empty object would be read as JSON too.
    serde_json::to_string(&line).unwrap_or_else(|_| "{}".to_owned())
}

/// The same JSON on one line; `None` when it is not JSON. A line break is only ever white space there: within a string it
/// would have to be escaped (RFC 8259 section 7).
fn one_line(json: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    Some(json.trim().replace(['\n', '\r'], " "))
}
