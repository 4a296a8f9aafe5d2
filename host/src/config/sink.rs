//! `[sinks.NAME]`: where messages go.

use std::path::PathBuf;

use super::document::Table;
use super::email::EmailConfig;
use super::notify::NotifyConfig;
use super::problem::listed;
use super::rate::Rate;
use super::value::Value;
use super::webhook::WebhookConfig;

/// Where messages go; `type` says which.
#[derive(Debug, Clone)]
pub enum SinkConfig {
    /// `type = "email"`.
    Email(EmailConfig),
    /// `type = "stdout"`.
    Stdout(StdoutConfig),
    /// `type = "file"`.
    File(FileConfig),
    /// `type = "webhook"`.
    Webhook(Box<WebhookConfig>),
    /// `type = "notify"`.
    Notify(Box<NotifyConfig>),
}

/// The terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StdoutConfig {
    /// `output`: `text` or `json`. Default `text`, or what `--output` says.
    pub output: Output,
}

/// How messages are written to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// For people; coloured when standard output is a terminal and `NO_COLOR` is not set.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A file of JSON lines, appended to.
///
/// ```toml
/// [sinks.archive]
/// type = "file"
/// path = "/var/log/dockbell.jsonl"
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// `path`: the file; made when it is missing, opened again when it was moved away. Its folder must exist.
    pub path: PathBuf,
}

impl SinkConfig {
    /// How many messages the sink may be sent; `None` for as many as there are.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        match self {
            Self::Email(config) => config.rate,
            Self::Webhook(config) => config.rate,
            Self::Notify(config) => config.rate,
            Self::Stdout(_) | Self::File(_) => None,
        }
    }

    /// One entry of `[sinks]`.
    pub(super) fn read(value: Value<'_>, hostname: &str) -> Option<Self> {
        let mut table = value.table()?;
        let kinds = [
            ("email", Kind::Email),
            ("webhook", Kind::Webhook),
            ("notify", Kind::Notify),
            ("file", Kind::File),
            ("stdout", Kind::Stdout),
        ];
        let kind = table.need("type", &format!("possible values: {}", listed(&kinds.map(|(word, _)| word))))?;
        let sink = match kind.choice(&kinds)? {
            Kind::Webhook => WebhookConfig::read(&mut table).map(Box::new).map(Self::Webhook),
            Kind::Notify => NotifyConfig::read(&mut table).map(Box::new).map(Self::Notify),
            Kind::Email => EmailConfig::read(&mut table, hostname).map(Self::Email),
            Kind::Stdout => Some(Self::Stdout(StdoutConfig::read(&mut table))),
            Kind::File => {
                let path = table.need("path", "such as `path = \"/var/log/dockbell.jsonl\"`").and_then(Value::path);
                path.map(|path| Self::File(FileConfig { path }))
            }
        };
        table.finish();
        sink
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Email,
    Webhook,
    Notify,
    File,
    Stdout,
}

impl StdoutConfig {
    fn read(table: &mut Table<'_>) -> Self {
        let choices = [("text", Output::Text), ("json", Output::Json)];
        Self { output: table.take("output").and_then(|value| value.choice(&choices)).unwrap_or_default() }
    }
}
