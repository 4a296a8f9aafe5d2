//! `[sinks.NAME]`: where messages go.

use std::path::PathBuf;

use secrecy::SecretString;

/// Where messages go; `type` says which.
#[derive(Debug, Clone)]
pub enum SinkConfig {
    /// `type = "email"`.
    Email(EmailConfig),
    /// `type = "stdout"`.
    Stdout(StdoutConfig),
    /// `type = "file"`.
    File(FileConfig),
}

/// Mail over SMTP.
///
/// ```toml
/// [sinks.ops]
/// type = "email"
/// server = "smtp://mail.example.com:587"   # STARTTLS; smtps:// for implicit TLS; ?tls=none for a relay without
/// user = "dockbell"
/// password-file = "/run/secrets/smtp"
/// from = "dockbell <dockbell@example.com>"
/// to = ["ops@example.com"]
/// ```
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// `server`, or `server-file` when it holds a password.
    pub server: SmtpServer,
    /// `from`: the sender, `Name <address>` or an address. Default `dockbell@` and the host name.
    pub from: String,
    /// `to`: the recipients, at least one. Each is told on its own: one bad address does not hold back the others.
    pub to: Vec<String>,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    /// Name or address.
    pub host: String,
    /// Port. Default by `tls`: 465 implicit, 587 STARTTLS, 25 none.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Who dockbell logs in as; none for a relay that wants no login.
    pub login: Option<Login>,
    /// `ca`: PEM file of further certificates that may sign the server's. Default: the system's alone.
    pub ca: Option<PathBuf>,
}

/// How a connection to a mail server is protected. There is no mode that falls back to plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte (`smtps://`).
    Implicit,
    /// Plain greeting, then STARTTLS, or no mail at all (`smtp://`).
    StartTls,
    /// None (`smtp://host?tls=none`), for relays on the own network.
    None,
}

/// A login; its `Debug` does not show the password.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
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
