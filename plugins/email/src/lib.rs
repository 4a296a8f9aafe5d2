//! The bundled formatter `email`: a batch as a mail for people, in plain text and in HTML.
//!
//! The subject says how many events there were, and who did what, the worst first:
//! `[host] 3 events: web-worker-1 crashed (exit 137), db-1 start ×2`. Both texts say the same: that line, the counts by
//! action, each event with its time, and the notes.
//!
//! # Configuration
//! | key | what |
//! | --- | --- |
//! | `hostname` | what stands in the brackets of the subject. Default: the name of the first event's engine |
//! | `timezone` | in which times are told: `utc`, or an offset such as `+02:00` |
//! | `utc-offset-seconds` | the same as a number, for the program that starts the plugin; `timezone` wins. Default `0` |
//!
//! # What is not shown
//! Whoever builds an image chooses its labels, and may put anything there. So control characters, escape sequences and
//! marks of text direction are removed from all values, each value is cut at 200 characters, and labels that say nothing
//! to people (`com.docker.compose.*`, `org.opencontainers.*`, ids, …) are left out. Of a command that is run in a container
//! only the program's name is shown: the rest can hold secrets.

mod config;
mod details;
mod html;
mod page;
mod plain;
mod summary;
mod words;

use dockbell_plugin::{Alternative, Batch, Formatter, Notification, export_formatter};

use config::Config;
use page::Page;

struct Email(Config);

impl Formatter for Email {
    fn configure(config: &str) -> Result<Self, String> {
        Config::parse(config).map(Self)
    }

    fn format(&mut self, batch: &Batch) -> Result<Vec<Notification>, String> {
        let page = Page::of(batch, &self.0);
        let form = |media_type: &str, content| Alternative { media_type: media_type.to_owned(), content };
        Ok(vec![Notification {
            subject: summary::subject(&page),
            alternatives: vec![form("text/plain", plain::render(&page)), form("text/html", html::render(&page))],
            fields: vec![("severity".to_owned(), page.worst.severity().to_owned())],
        }])
    }
}

export_formatter!(Email);

#[cfg(test)]
mod tests;
