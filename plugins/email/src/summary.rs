//! A batch in one line.

use crate::page::Page;
use crate::words::{Level, show};

/// How many characters a subject has, about. Mail programs on a telephone show 40, on a desk 100.
const SUBJECT: usize = 120;

/// `[host] 3 events: web-1 crashed (exit 137), db-1 start ×2`; of one of several engines `[host/engine] …`
pub(crate) fn subject(page: &Page) -> String {
    let engine = page.subject_engine.as_ref().map_or_else(String::new, |engine| format!("/{engine}"));
    let host = format!("[{}{engine}] ", page.host);
    let room = SUBJECT.saturating_sub(host.chars().count());
    host + &line(page, room)
}

/// The subject without the host.
pub(crate) fn line(page: &Page, room: usize) -> String {
    let entries = entries(page);
    if entries.is_empty() {
        return without_events(page, room);
    }
    let begin = match (page.closing, page.total) {
        (true, 1) => "trouble ended: ".to_owned(),
        (true, total) => format!("trouble ended, {total} events: "),
        (false, 1) => String::new(),
        (false, total) => format!("{total} events: "),
    };
    // Whole entries as far as they fit, but always one; ` and 4294967295 more` is the longest end.
    let room = room.saturating_sub(begin.chars().count() + 20);
    let (mut line, mut told, mut length) = (begin, 0, 0);
    for (index, entry) in entries.iter().enumerate() {
        let text = match entry.times {
            1 => entry.text.to_owned(),
            times => format!("{} ×{times}", entry.text),
        };
        let more = text.chars().count() + 2;
        if index > 0 && length + more > room {
            continue;
        }
        length += more;
        if index > 0 {
            line.push_str(", ");
        }
        line.push_str(&text);
        told += entry.times;
    }
    if told < page.total {
        line.push_str(&format!(" and {} more", page.total - told));
    }
    line
}

struct Entry<'a> {
    text: &'a str,
    level: Level,
    times: u32,
}

/// What happened, equal entries as one; the worst first, else in the order of the first of them.
fn entries(page: &Page) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for row in &page.rows {
        match entries.iter_mut().find(|entry| entry.text == row.words.entry) {
            Some(entry) => entry.times += 1,
            None => entries.push(Entry { text: &row.words.entry, level: row.words.level, times: 1 }),
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.level));
    entries
}

fn without_events(page: &Page, room: usize) -> String {
    let group = if page.group.is_empty() { String::new() } else { format!(" ({})", page.group) };
    let events = match (page.closing, page.total, page.notes.as_slice()) {
        (true, ..) => "trouble ended".to_owned(),
        (false, 0, []) => "nothing happened".to_owned(),
        (false, 0, [note]) => show(note, room.saturating_sub(group.chars().count())),
        (false, 0, notes) => format!("{} notes", notes.len()),
        (false, 1, _) => "1 event".to_owned(),
        (false, total, _) => format!("{total} events"),
    };
    events + &group
}
