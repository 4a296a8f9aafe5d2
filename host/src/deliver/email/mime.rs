//! The content of a mail: text and HTML as alternatives, other forms as attachments, all within a size that servers take.

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, MaybeString, MultiPart, SinglePart};

use crate::message::{Alternative, Message};
use crate::text;

/// Most bytes of a mail. Postfix takes 10,240,000 by default, some services a tenth; readers do not read more.
const MAIL: usize = 1 << 20;
/// What the header, and the headers of the parts, may take of it.
const HEADERS: usize = 16 << 10;
/// Most bytes of the text, encoded, so that the other forms find room.
const TEXT: usize = 512 << 10;
/// Most bytes of the text in the plainer form of a mail.
const PLAINER: usize = 64 << 10;

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

/// All forms of a message that fit; the text says what was left out.
pub(super) fn full(message: &Message) -> Content {
    let told = &message.notification;
    let text = text::multi_line(told.text());
    let mut room = MAIL - HEADERS - encoded(&text).min(TEXT);
    let mut notes = Vec::new();
    let mut fits = |form: &Alternative, needed: usize| {
        let fits = needed <= room;
        if fits {
            room -= needed;
        } else {
            notes.push(format!("[{} left out: {} bytes]", text::one_line(&form.media_type, 60), form.content.len()));
        }
        fits
    };
    let mut html = None;
    let mut attachments = Vec::new();
    for form in &told.alternatives {
        match form.media_type.as_str() {
            "text/plain" => {}
            "text/html" if html.is_none() => {
                let content = text::multi_line(&form.content);
                html = fits(form, encoded(&content)).then_some(content);
            }
            _ if fits(form, form.content.len() / 3 * 4 + form.content.len() / 57 * 2 + 512) => attachments.push(form),
            _ => {}
        }
    }
    let text = part(ContentType::TEXT_PLAIN, cut(&text, TEXT, &notes));
    if html.is_none() && attachments.is_empty() {
        return Content::One(text);
    }
    let mut told = MultiPart::alternative().boundary(format!("{BOUNDARY}{}-a", message.id)).singlepart(text);
    if let Some(html) = html {
        told = told.singlepart(part(ContentType::TEXT_HTML, html));
    }
    if attachments.is_empty() {
        return Content::Many(told);
    }
    let mixed = MultiPart::mixed().boundary(format!("{BOUNDARY}{}-m", message.id)).multipart(told);
    Content::Many(attachments.into_iter().fold(mixed, |mixed, form| mixed.singlepart(attachment(form))))
}

/// The text alone, shorter, for a server that refuses the full form; `None` where that is as plain already.
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
    Some(Content::One(part(ContentType::TEXT_PLAIN, cut(&text, PLAINER, &[note]))))
}

/// A form that a mail program shows. Always quoted-printable: no line is too long, no byte unusual, and no content is taken
/// for a boundary or an end.
fn part(content_type: ContentType, content: String) -> SinglePart {
    let body = encode(content.trim_end_matches('\n').to_owned(), ContentTransferEncoding::QuotedPrintable);
    SinglePart::builder().content_type(content_type).body(body)
}

/// Quoted-printable and base64 take every content, so that the bytes never come back.
fn encode(content: impl Into<MaybeString>, encoding: ContentTransferEncoding) -> Body {
    Body::new_with_encoding(content, encoding).unwrap_or_else(Body::new)
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
    // As it is, byte for byte.
    let body = encode(form.content.clone().into_bytes(), ContentTransferEncoding::Base64);
    Attachment::new(name.to_owned()).body(body, kind)
}

/// The text with notes under it, cut so that it takes at most `most` bytes encoded, and saying so.
fn cut(text: &str, most: usize, notes: &[String]) -> String {
    let mut kept = text;
    let mut notes = notes.to_vec();
    if encoded(text) > most {
        let mut size: usize = 0;
        let end = text.char_indices().find(|(_, c)| {
            size += cost(*c);
            size + size.div_ceil(25) > most
        });
        kept = end.map_or(text, |(end, _)| &text[..end]);
        kept = kept.rfind('\n').map_or(kept, |end| &kept[..end]);
        notes.insert(0, format!("[cut here: {} of {} bytes are shown]", kept.len(), text.len()));
    }
    if notes.is_empty() {
        return kept.to_owned();
    }
    format!("{}\n\n{}", kept.trim_end_matches('\n'), notes.join("\n"))
}

/// At most how many bytes a text takes as quoted-printable. A soft line break of 3 bytes comes after each 75.
fn encoded(text: &str) -> usize {
    let bytes: usize = text.chars().map(cost).sum();
    bytes + bytes.div_ceil(25)
}

/// The same of a character, without line breaks.
const fn cost(c: char) -> usize {
    match c {
        '\n' => 2,
        // White space at the end of a line is encoded.
        ' ' | '\t' => 3,
        '!'..='<' | '>'..='~' => 1,
        c => 3 * c.len_utf8(),
    }
}
