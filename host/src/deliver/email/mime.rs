//! The content of a mail: text and HTML as alternatives, other forms as attachments, all within a size that servers take.
//!
//! What a plugin made may be of any shape. Every step here takes time in proportion to its length, and lettre gets each part
//! encoded: its own change of line breaks inserts into the text one by one, which is quadratic.

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, MultiPart, SinglePart};

use crate::message::{Alternative, Message};
use crate::text;

/// Most bytes of a mail. Postfix takes 10,240,000 by default, some services a tenth; readers do not read more.
pub(super) const MAIL: usize = 1 << 20;
/// What the header of the mail may take of it: 8 KiB for the recipients, a subject of 900 bytes encoded, and the rest.
const HEADERS: usize = 24 << 10;
/// What the notes about forms that were left out may take of it, encoded.
const NOTES: usize = 8 << 10;
/// What the header and the boundary of each part may take of it.
const PART: usize = 512;
/// Most bytes of the text, encoded, so that the other forms find room.
const TEXT: usize = 512 << 10;
/// Most bytes of the text in the plainer form of a mail.
const PLAINER: usize = 64 << 10;
/// Most lines of the text; no reader scrolls so far, and empty ones take little room.
const LINES: usize = 20_000;
/// Most forms beside the text.
const FORMS: usize = 32;
/// Most forms that are named one by one where they were left out.
const NAMED: usize = 8;

/// How boundaries begin: neither quoted-printable nor base64 ever has it (RFC 2045 section 6.7), so that no content is taken
/// for one, not even by chance.
const BOUNDARY: &str = "=_";

/// The content of a mail.
#[derive(Debug)]
pub(super) enum Content {
    /// Text alone.
    One(SinglePart),
    /// More than one form.
    Many(MultiPart),
}

/// Returns all forms of a message that fit; the text says what was left out.
pub(super) fn full(message: &Message) -> Content {
    let told = &message.notification;
    let text = text::multi_line(told.text());
    let mut fitting = Fitting {
        room: MAIL - HEADERS - NOTES - PART - encoded(&text).min(TEXT),
        forms: FORMS,
        left_out: Vec::new(),
        more: 0,
    };
    let mut html = None;
    let mut attachments = Vec::new();
    for form in &told.alternatives {
        match form.media_type.as_str() {
            "text/plain" => {}
            "text/html" if html.is_none() => {
                let content = text::multi_line(&form.content);
                html = fitting.fits(form, encoded(&content)).then_some(content);
            }
            _ if fitting.fits(form, form.content.len() / 3 * 4 + form.content.len() / 57 * 2 + 4) => {
                attachments.push(form);
            }
            _ => {}
        }
    }
    let text = part(ContentType::TEXT_PLAIN, &cut(&text, TEXT, fitting.notes()));
    if html.is_none() && attachments.is_empty() {
        return Content::One(text);
    }
    let mut told = MultiPart::alternative().boundary(format!("{BOUNDARY}{}-a", message.id)).singlepart(text);
    if let Some(html) = html {
        told = told.singlepart(part(ContentType::TEXT_HTML, &html));
    }
    if attachments.is_empty() {
        return Content::Many(told);
    }
    let mixed = MultiPart::mixed().boundary(format!("{BOUNDARY}{}-m", message.id)).multipart(told);
    Content::Many(attachments.into_iter().fold(mixed, |mixed, form| mixed.singlepart(attachment(form))))
}

/// Returns the text alone, shorter, for a server that refuses the full form; `None` where that is as plain already.
pub(super) fn plainer(message: &Message, full: &Content) -> Option<Content> {
    let text = text::multi_line(message.notification.text());
    let short = encoded(&text) <= PLAINER;
    if short && matches!(full, Content::One(_)) {
        return None;
    }
    let note = format!(
        "[the mail server refused the full form of this message; this is its text alone. `dockbell outbox show {}` has all of it]",
        message.id
    );
    Some(Content::One(part(ContentType::TEXT_PLAIN, &cut(&text, PLAINER, vec![note]))))
}

/// Which forms of a message still fit.
struct Fitting {
    /// Bytes left.
    room: usize,
    /// Forms left.
    forms: usize,
    /// The first forms that did not fit.
    left_out: Vec<String>,
    /// How many more did not.
    more: usize,
}

impl Fitting {
    /// Takes the room for a form of this encoded length, or notes that it was left out.
    fn fits(&mut self, form: &Alternative, length: usize) -> bool {
        let needed = length.saturating_add(PART);
        if self.forms > 0 && needed <= self.room {
            self.forms -= 1;
            self.room -= needed;
            return true;
        }
        if self.left_out.len() < NAMED {
            let kind = text::one_line(&form.media_type, 60);
            self.left_out.push(format!("[{kind} left out: {} bytes]", form.content.len()));
        } else {
            self.more += 1;
        }
        false
    }

    /// Returns a note for each of the first forms that were left out, and one for the rest.
    fn notes(self) -> Vec<String> {
        let mut notes = self.left_out;
        if self.more > 0 {
            notes.push(format!("[{} more forms left out]", self.more));
        }
        notes
    }
}

/// A form that a mail program shows. Always quoted-printable: no line is too long, no byte unusual, and no content is taken
/// for a boundary or an end.
fn part(content_type: ContentType, content: &str) -> SinglePart {
    let content = content.trim_end_matches('\n').replace('\n', "\r\n");
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = Body::dangerous_pre_encoded(quoted_printable::encode(content), encoding);
    SinglePart::builder().content_type(content_type).body(body)
}

fn attachment(form: &Alternative) -> SinglePart {
    let media_type = text::one_line(&form.media_type, 100).to_ascii_lowercase();
    let simple =
        |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-._".contains(&c));
    let (kind, name) = match media_type.split_once('/') {
        Some(("application", "json")) => (media_type.as_str(), "events.json"),
        Some(("application", "x-ndjson")) => (media_type.as_str(), "events.jsonl"),
        Some(("text", "markdown")) => ("text/markdown; charset=utf-8", "message.md"),
        Some(("text", "html")) => ("text/html; charset=utf-8", "message.html"),
        Some(("text", kind)) if simple(kind) => ("text/plain; charset=utf-8", "message.txt"),
        Some(("application" | "image", kind)) if simple(kind) => (media_type.as_str(), "message.bin"),
        _ => ("application/octet-stream", "message.bin"),
    };
    let kind = ContentType::parse(kind).unwrap_or(ContentType::TEXT_PLAIN);
    // As it is, byte for byte: bytes, unlike text, are encoded without a change. Base64 takes every content, so that none
    // comes back.
    let content = form.content.clone().into_bytes();
    let body = Body::new_with_encoding(content, ContentTransferEncoding::Base64).unwrap_or_else(Body::new);
    Attachment::new(name.to_owned()).body(body, kind)
}

/// Returns the text with notes under it, cut so that it takes at most `most` bytes encoded and [`LINES`] lines, and saying
/// so. The notes come on top.
fn cut(text: &str, most: usize, mut notes: Vec<String>) -> String {
    let mut kept = text;
    if let Some((end, _)) = text.match_indices('\n').nth(LINES - 1) {
        kept = &text[..end];
    }
    if encoded(kept) > most {
        let mut size: usize = 0;
        let end = kept.char_indices().find(|(_, c)| {
            size += cost(*c);
            size + size.div_ceil(25) > most
        });
        kept = end.map_or(kept, |(end, _)| &kept[..end]);
        kept = kept.rfind('\n').map_or(kept, |end| &kept[..end]);
    }
    // Line breaks at the end show nothing.
    if kept.len() < text.trim_end_matches('\n').len() {
        notes.insert(0, format!("[cut here: {} of {} bytes are shown]", kept.len(), text.len()));
    }
    if notes.is_empty() {
        return kept.to_owned();
    }
    format!("{}\n\n{}", kept.trim_end_matches('\n'), notes.join("\n"))
}

/// Returns at most how many bytes a text takes as quoted-printable. A soft line break of 3 bytes comes after each 75.
fn encoded(text: &str) -> usize {
    let bytes: usize = text.chars().map(cost).sum();
    bytes + bytes.div_ceil(25)
}

/// Returns the same of a character, without line breaks.
const fn cost(c: char) -> usize {
    match c {
        '\n' => 2,
        // White space at the end of a line is encoded.
        ' ' | '\t' => 3,
        '!'..='<' | '>'..='~' => 1,
        c => 3 * c.len_utf8(),
    }
}
