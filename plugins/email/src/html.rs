//! The mail as HTML: one narrow table, styled in place, nothing to load.
//!
//! Mail programs know little of CSS: tables lay the page out, and every element carries its style. Only the colours of dark
//! mode need a style sheet; a program that drops it shows the light page.

use crate::details::Details;
use crate::page::{Page, Row};
use crate::summary;
use crate::words::Level;

const FONT: &str = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONO: &str = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace";

/// Colours of dark mode, by the classes that the elements carry beside their light style.
const DARK: &str = "@media (prefers-color-scheme:dark){\
.p{background:#101418!important}.c{background:#1a1f26!important;border-right-color:#2c333c!important;border-bottom-color:#2c333c!important;border-left-color:#2c333c!important}\
.t{color:#e8ebef!important}.m{color:#98a2b0!important}.l td{border-color:#2c333c!important}\
.k{background:#262d36!important;color:#c3cad4!important}.n{background:#3a2f14!important;color:#f5deb0!important}\
.e{background:#52201c!important;color:#ffb4ab!important}.w{background:#4a3410!important;color:#ffd08a!important}\
.g{background:#143d2b!important;color:#8fe0b5!important}}";

/// The mail as HTML.
pub(crate) fn render(page: &Page) -> String {
    let title = escape(&summary::line(page, 200));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"supported-color-schemes\" content=\"light dark\">\
         <title>{title}</title><style>{DARK}</style></head>\n\
         <body class=\"p\" style=\"margin:0;padding:0;background:#f3f5f8\">\n\
         <table class=\"p\" role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"background:#f3f5f8\">\
         <tr><td align=\"center\" style=\"padding:24px 10px\">\n\
         <table class=\"c\" role=\"presentation\" width=\"640\" cellpadding=\"0\" cellspacing=\"0\" style=\"width:100%;\
         max-width:640px;background:#ffffff;border:1px solid #e2e6ec;border-top:4px solid {accent};border-radius:8px;\
         {FONT};font-size:14px;line-height:20px;text-align:left\">\n",
        accent = accent(page.worst),
    );
    head(page, &title, &mut html);
    counts(page, &mut html);
    rows(page, &mut html);
    notes(page, &mut html);
    html.push_str(&format!(
        "<tr><td class=\"m\" style=\"padding:14px 24px 18px;color:#667085;font-size:12px;line-height:18px\">\
         {}. Told by dockbell.</td></tr>\n</table>\n</td></tr></table>\n</body></html>\n",
        escape(&page.origin)
    ));
    html
}

fn head(page: &Page, title: &str, html: &mut String) {
    let engine = match &page.engine {
        Some(engine) if *engine != page.host => format!(" · engine {}", escape(engine)),
        _ => String::new(),
    };
    html.push_str(&format!(
        "<tr><td style=\"padding:20px 24px 16px\">\
         <div class=\"m\" style=\"color:#667085;font-size:12px\">{}{engine}</div>\
         <div class=\"t\" style=\"padding-top:4px;color:#101828;font-size:17px;line-height:24px;font-weight:600;\
         word-break:break-word\">{title}</div></td></tr>\n",
        escape(&page.host),
    ));
}

fn counts(page: &Page, html: &mut String) {
    if page.counts.is_empty() {
        return;
    }
    html.push_str("<tr><td style=\"padding:0 24px 12px\">");
    for (count, what) in &page.counts {
        html.push_str(&format!(
            "<span class=\"k\" style=\"display:inline-block;margin:0 6px 6px 0;padding:2px 9px;border-radius:10px;\
             background:#eef1f5;color:#475467;font-size:12px\"><b>{count}</b> {}</span>",
            escape(what)
        ));
    }
    html.push_str("</td></tr>\n");
}

fn rows(page: &Page, html: &mut String) {
    if page.rows.is_empty() {
        return;
    }
    html.push_str(
        "<tr><td style=\"padding:0 24px\"><table class=\"l\" role=\"presentation\" width=\"100%\" cellpadding=\"0\" \
         cellspacing=\"0\" style=\"font-size:14px;line-height:20px\">\n",
    );
    let mut date = "";
    for (index, row) in page.rows.iter().enumerate() {
        left_out(page, index, html);
        if row.date != date {
            date = &row.date;
            html.push_str(&format!(
                "<tr><td class=\"m\" colspan=\"2\" style=\"padding:8px 0;color:#667085;font-size:12px\">{date}, {}</td></tr>\n",
                escape(&page.zone)
            ));
        }
        event(row, html);
    }
    left_out(page, page.rows.len(), html);
    html.push_str("</table></td></tr>\n");
}

fn left_out(page: &Page, index: usize, html: &mut String) {
    if let Some((_, said)) = page.left_out.as_ref().filter(|(place, _)| *place == index) {
        html.push_str(&format!(
            "<tr><td class=\"m\" colspan=\"2\" align=\"center\" style=\"{LINE};padding:12px 0;color:#667085;font-size:13px\">\
             {said}</td></tr>\n"
        ));
    }
}

const LINE: &str = "border-top:1px solid #e8ebf0";

fn event(row: &Row, html: &mut String) {
    let (class, colours) = match row.words.level {
        Level::Error => ("e", "background:#fde7e4;color:#a8231a"),
        Level::Warning => ("w", "background:#fdf0d3;color:#8a5200"),
        Level::Good => ("g", "background:#dcf5e7;color:#11663c"),
        Level::Info => ("k", "background:#eef1f5;color:#475467"),
    };
    html.push_str(&format!(
        "<tr><td class=\"m\" valign=\"top\" width=\"68\" style=\"{LINE};padding:10px 0;color:#667085;font-size:13px;\
         font-variant-numeric:tabular-nums\">{}</td><td class=\"t\" style=\"{LINE};padding:10px 0;color:#101828;word-break:break-word\">\
         <b>{}</b> <span class=\"{class}\" style=\"padding:1px 8px;border-radius:9px;{colours};font-size:13px\">{}</span>",
        row.clock,
        escape(&row.words.who),
        escape(&row.words.what),
    ));
    if !row.image.is_empty() {
        html.push_str(&format!(
            " &#8201;<span class=\"m\" style=\"color:#667085;font-size:13px\">{}</span>",
            escape(&row.image)
        ));
    }
    details(&row.details, html);
    html.push_str("</td></tr>\n");
}

fn details(details: &Details, html: &mut String) {
    const SMALL: &str = "padding-top:3px;font-size:13px;line-height:19px";
    if !details.facts.is_empty() {
        html.push_str(&format!(
            "<div class=\"t\" style=\"{SMALL};color:#344054\">{}</div>",
            escape(&details.facts.join(" · "))
        ));
    }
    if !details.attributes.is_empty() {
        html.push_str(&format!("<div class=\"m\" style=\"{SMALL};color:#667085\">"));
        for (index, (name, value)) in details.attributes.iter().enumerate() {
            let dot = if index > 0 { " · " } else { "" };
            html.push_str(&format!("{dot}{}: {}", escape(name), escape(value)));
        }
        if details.more > 0 {
            html.push_str(&format!(" · and {} more", details.more));
        }
        html.push_str("</div>");
    }
    for (name, lines) in &details.texts {
        html.push_str(&format!(
            "<div class=\"m\" style=\"{SMALL};color:#667085\">{}</div><div class=\"k\" style=\"margin-top:3px;padding:6px 10px;\
             border-radius:6px;background:#eef1f5;color:#475467;{MONO};font-size:12px;line-height:17px\">{}</div>",
            escape(name),
            lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("<br>"),
        ));
    }
}

fn notes(page: &Page, html: &mut String) {
    if page.notes.is_empty() {
        return;
    }
    html.push_str(
        "<tr><td style=\"padding:16px 24px 0\"><div class=\"n\" style=\"padding:10px 14px;border-radius:6px;\
         border-left:4px solid #e5a50a;background:#fff6dd;color:#5c4400;word-break:break-word\"><b>Please note</b>",
    );
    for note in &page.notes {
        html.push_str(&format!("<div style=\"padding-top:4px\">{}</div>", escape(note)));
    }
    html.push_str("</div></td></tr>\n");
}

/// The colour of the page's upper edge.
const fn accent(level: Level) -> &'static str {
    match level {
        Level::Error => "#d92d20",
        Level::Warning => "#e5a50a",
        Level::Good => "#1f9d61",
        Level::Info => "#8793a5",
    }
}

/// Text as HTML shows it, also inside a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}
