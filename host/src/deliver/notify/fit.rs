//! Fits a message to what a service takes.

use super::mention;
use super::service::Shape;
use crate::message::Message;
use crate::text;

/// Longest name of the place where a message is in full.
const POINTER: usize = 200;

/// A message as a service is told it; this is what waits on disk.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Text {
    /// Empty where all is in the body.
    pub(super) title: String,
    pub(super) body: String,
    /// The message's field `severity`.
    pub(super) severity: String,
    /// Whether the body is HTML.
    pub(super) html: bool,
}

/// A message within the limits of a service. `whole` is where it can be read in full.
pub(super) fn fit(message: &Message, shape: Shape, whole: Option<&str>) -> Text {
    let told = &message.notification;
    let severity = told.field("severity").unwrap_or_default().to_owned();
    let title = safe(text::one_line(&told.subject, shape.title), shape);
    let title = text::prefix(&title, shape.title).to_owned();
    let text = safe(text::multi_line(told.text()), shape);
    // Many formatters begin the text with the subject.
    let body = text.trim_start().strip_prefix(&title).filter(|rest| rest.starts_with('\n')).unwrap_or(&text);
    let body = body.trim_matches('\n');
    if body.is_empty() || body == title {
        return finished(String::new(), title, severity, shape);
    }
    let pointer = whole.map_or_else(
        || format!("; this is message {}", message.id),
        |whole| format!("; the whole message is in {}", text::one_line(whole, POINTER)),
    );
    let body = shortened(body, shape.room(&title), &pointer, shape);
    finished(title, body, severity, shape)
}

fn finished(title: String, body: String, severity: String, shape: Shape) -> Text {
    let body = if shape.paragraphs { body.replace('\n', "\n\n") } else { body };
    if !shape.html {
        return Text { title, body, severity, html: false };
    }
    // What tocsin puts between a title and a text of HTML is not known to Telegram.
    let body =
        if title.is_empty() { escaped(&body) } else { format!("<b>{}</b>\n{}", escaped(&title), escaped(&body)) };
    Text { title: String::new(), body, severity, html: true }
}

/// As many lines as there is room for, and how many are missing.
fn shortened(text: &str, room: usize, pointer: &str, shape: Shape) -> String {
    // HTML counts as what is read.
    let length = |text: &str| shape.length(text) + if shape.paragraphs { text.matches('\n').count() } else { 0 };
    if length(text) <= room {
        return text.to_owned();
    }
    let lines = text.split('\n').count();
    let end = |missing: usize| {
        let lines = if missing == 1 { "line" } else { "lines" };
        format!("… and {missing} more {lines}{pointer}")
    };
    let for_lines = room.saturating_sub(length(&end(lines)) + 2);
    // Where the last line ends that fits, how many do, and how long they are together.
    let (mut kept, mut shown, mut used) = (0, 0, 0);
    for line in text.split('\n') {
        let before = if shown == 0 { "" } else { "\n" };
        used += length(before) + length(line);
        if used > for_lines {
            break;
        }
        kept += before.len() + line.len();
        shown += 1;
    }
    let (missing, kept) = (lines - shown, &text[..kept]);
    if !kept.is_empty() {
        return format!("{kept}\n{}", end(missing));
    }
    // Not even the first line: its beginning.
    let line = text.lines().next().unwrap_or_default();
    let begun = beginning(line, for_lines.saturating_sub(1), shape);
    if lines == 1 { format!("{begun}…\n…{pointer}") } else { format!("{begun}…\n{}", end(lines - 1)) }
}

/// The longest beginning of a line that is within a length.
fn beginning(line: &str, most: usize, shape: Shape) -> &str {
    let mut used = 0;
    for (place, c) in line.char_indices() {
        used += shape.length(c.encode_utf8(&mut [0; 4]));
        if used > most {
            return &line[..place];
        }
    }
    line
}

/// A text that calls nobody: a log line of a container may say anything.
fn safe(text: String, shape: Shape) -> String {
    if shape.mentions { mention::broken(&text) } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
