#![doc = include_str!("../README.md")]

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
