//! The mail as plain text.

use crate::details::Details;
use crate::page::{Page, Row};
use crate::summary;

/// How far a long name pushes the columns behind it.
const WHO: usize = 32;
const WHAT: usize = 32;
/// Where a line of details is broken, in characters; between two details only.
const LINE: usize = 100;
/// Details stand below the name, behind the time.
const INDENT: &str = "            ";

/// The mail as plain text.
pub(crate) fn render(page: &Page) -> String {
    let mut text = summary::line(page, 200);
    text.push_str("\n\n");
    if !page.counts.is_empty() {
        let width = page.counts.iter().map(|(count, _)| count.to_string().len()).max().unwrap_or(1);
        for (count, what) in &page.counts {
            text.push_str(&format!("  {count:>width$}  {what}\n"));
        }
        text.push('\n');
    }
    rows(page, &mut text);
    if !page.notes.is_empty() {
        text.push_str("*** PLEASE NOTE ***\n");
        for note in &page.notes {
            text.push_str(&format!("  ! {note}\n"));
        }
        text.push('\n');
    }
    text.push_str(&format!("{}. Told by dockbell.\n", page.origin));
    text
}

fn rows(page: &Page, text: &mut String) {
    let width =
        |limit: usize, length: fn(&Row) -> usize| page.rows.iter().map(length).filter(|width| *width <= limit).max();
    let who = width(WHO, |row| row.words.who.chars().count()).unwrap_or(0);
    let what = width(WHAT, |row| row.words.what.chars().count()).unwrap_or(0);
    let mut date = "";
    for (index, row) in page.rows.iter().enumerate() {
        left_out(page, index, text);
        if row.date != date {
            if index > 0 {
                text.push('\n');
            }
            date = &row.date;
            let engine = page.engine.as_ref().map_or_else(String::new, |engine| format!(", engine {engine}"));
            text.push_str(&format!("{date}, {}{engine}\n", page.zone));
        }
        let line = format!("{}  {:who$}  {:what$}  {}", row.clock, row.words.who, row.words.what, row.image);
        text.push_str(line.trim_end());
        text.push('\n');
        details(&row.details, text);
    }
    left_out(page, page.rows.len(), text);
    if !page.rows.is_empty() {
        text.push('\n');
    }
}

fn left_out(page: &Page, index: usize, text: &mut String) {
    if let Some((_, said)) = page.left_out.as_ref().filter(|(place, _)| *place == index) {
        text.push_str(&format!(
            "
{said}

"
        ));
    }
}

fn details(details: &Details, text: &mut String) {
    let mut items = details.facts.clone();
    items.extend(details.attributes.iter().map(|(name, value)| format!("{name}: {value}")));
    if details.more > 0 {
        items.push(format!("and {} more", details.more));
    }
    let mut line = String::new();
    for item in items {
        if !line.is_empty() && line.chars().count() + item.chars().count() > LINE - INDENT.len() {
            text.push_str(&format!("{INDENT}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(" · ");
        }
        line.push_str(&item);
    }
    if !line.is_empty() {
        text.push_str(&format!("{INDENT}{line}\n"));
    }
    for (name, lines) in &details.texts {
        text.push_str(&format!("{INDENT}{name}:\n"));
        for line in lines {
            text.push_str(format!("{INDENT}| {line}").trim_end());
            text.push('\n');
        }
    }
}
