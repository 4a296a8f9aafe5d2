//! `type = "email"`: mail over SMTP.

use std::path::{Path, PathBuf};

use lettre::Address;
use lettre::message::Mailbox;

use super::document::{Given, Place, Table};
use super::environment::{Environment, MAIL_FROM, MAIL_TO, SMTP_URL};
use super::problem::{Mistake, Problem};
use super::rate::Rate;
use super::secret::Secret;
use super::smtp::check_ehlo;
use super::smtp_login;
use super::value::Value;
use crate::text;

/// Mail over SMTP.
///
/// ```toml
/// [sinks.ops]
/// type = "email"
/// server = "smtp://mail.example.com:587"   # STARTTLS; smtps:// for implicit TLS; ?tls=none for a relay without
/// user = "dockbell"
/// password-file = "/run/secrets/smtp"      # read anew for each login
/// from = "dockbell <dockbell@example.com>"
/// to = ["ops@example.com"]
///
/// [sinks.office]
/// type = "email"
/// server = "smtp://smtp.office365.com:587"
/// auth = "xoauth2"
/// user = "dockbell@example.com"
/// token-command = ["/usr/local/bin/get-token", "--scope", "smtp"]   # or token-file
/// to = ["ops@example.com"]
/// ```
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// `server`: the URL of the mail server. It may hold the login (`smtp://user:password@host`); then better
    /// `server-file`, a file that holds the URL.
    pub server: SmtpServer,
    /// `from`: the sender, `Name <address>` or an address. Default: `user` if that is an address, else `dockbell@` and
    /// [`hostname`](super::Config::hostname).
    pub from: String,
    /// `to`: the recipients, at least one. Each is told on its own: one bad address does not hold back the others.
    pub to: Vec<String>,
    /// `rate`: how many messages may be sent, such as `30/min`: so many at once, then one by one evenly over the time; what is
    /// above it waits, and is merged. `unlimited` for no limit. Default `30/min`.
    pub rate: Option<Rate>,
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
    /// Who dockbell logs in as: `user` and `password` (or `password-file`), or those in the URL; with `auth = "xoauth2"`
    /// `user` and `token-file` or `token-command`, a command and its arguments, which everyone on the machine can see: no
    /// secret belongs in them. Default: nobody, for a relay that wants no login.
    pub login: Option<Login>,
    /// `ca`: PEM file of further certificates to trust: those that sign servers', or the server's own. Default: the system's
    /// alone.
    pub ca: Option<PathBuf>,
    /// `ehlo`: the name that dockbell gives itself, a domain name or an address in brackets. Many servers refuse a name without
    /// a dot. Default: [`hostname`](super::Config::hostname) if it has a dot and can be a domain name, else the address of this
    /// machine on the connection (RFC 5321 section 4.1.3).
    pub ehlo: Option<String>,
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
    /// Password or token. One in a file or from a command is read anew for each login, so that a changed one holds without
    /// a restart.
    pub secret: Secret,
    /// What the secret is, and so how it is sent.
    pub auth: Auth,
}

/// How dockbell logs in to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// `auth = "password"`, the default: by PLAIN or LOGIN.
    #[default]
    Password,
    /// `auth = "xoauth2"`: with an access token of Microsoft 365 or Google, which `token-file` or `token-command` gives.
    XOAuth2,
}

impl EmailConfig {
    pub(super) fn read(table: &mut Table<'_>, hostname: &str) -> Option<Self> {
        let server = SmtpServer::read(table);
        let login = server.as_ref().and_then(|server| server.login.as_ref());
        let from = match table.take("from") {
            Some(from) => from.string().and_then(|(from, place)| checked(table, from, &place)),
            None => default_sender(login, hostname).map_err(|mistake| table.report(mistake)).ok(),
        };
        let to = table.need("to", "such as `to = [\"ops@example.com\"]`").and_then(|to| {
            let place = to.place.clone();
            let addresses = to.strings()?;
            if addresses.is_empty() {
                table.document.report(&place, Mistake::new("is empty", "a mail needs at least one recipient"));
            }
            let checked = addresses.into_iter().map(|(address, place)| checked(table, address, &place));
            checked.collect::<Vec<_>>().into_iter().collect()
        });
        let rate = Rate::read(table, Some(Rate::MAIL));
        Some(Self { server: server?, from: from?, to: to?, rate })
    }
}

impl EmailConfig {
    /// The mail sink that the environment describes, if `DOCKBELL_SMTP_URL` is set.
    pub(super) fn from_environment(environment: &Environment, hostname: &str) -> Result<Option<Self>, Problem> {
        let Some(url) = environment.text_or_file(SMTP_URL)? else { return Ok(None) };
        let server: SmtpServer = url.value.parse().map_err(|mistake| Problem::at(url.variable, mistake))?;
        let server = server.reading(environment.path(&format!("{SMTP_URL}_FILE")).as_deref());
        let from = match environment.text_or_file(MAIL_FROM)? {
            Some(from) => check_address(&from.value)
                .map(|()| from.value)
                .map_err(|mistake| Problem::at(from.variable, mistake))?,
            None => default_sender(server.login.as_ref(), hostname).map_err(|mistake| {
                let hint = "set it, such as `dockbell <dockbell@example.com>`".to_owned();
                Problem::at(MAIL_FROM, Mistake { hint: Some(hint), ..mistake })
            })?,
        };
        let missing = || {
            Mistake::new(format!("is missing, and `{SMTP_URL}` is set"), "such as `ops@example.com,dev@example.com`")
        };
        let to = environment.text_or_file(MAIL_TO)?.ok_or_else(|| Problem::at(MAIL_TO, missing()))?;
        let addresses = to.value.split(',').map(str::trim).filter(|address| !address.is_empty());
        let addresses: Vec<String> = addresses.map(str::to_owned).collect();
        let wrong = addresses.iter().find_map(|address| check_address(address).err());
        match wrong.or_else(|| addresses.is_empty().then(missing)) {
            Some(mistake) => Err(Problem::at(to.variable, mistake)),
            None => Ok(Some(Self { server, from, to: addresses, rate: Some(Rate::MAIL) })),
        }
    }
}

/// Returns the sender when none is named. Most servers take mail from their own users' addresses alone.
fn default_sender(login: Option<&Login>, hostname: &str) -> Result<String, Mistake> {
    if let Some(login) = login.filter(|login| login.user.parse::<Address>().is_ok()) {
        return Ok(login.user.clone());
    }
    let address = format!("dockbell@{hostname}");
    check_address(&address).map(|()| address).map_err(|_| {
        Mistake::new(
            format!("the sender is missing, and the host name `{hostname}` does not make a mail address"),
            "such as `from = \"dockbell <dockbell@example.com>\"`",
        )
    })
}

/// Whether a text is a mail address, alone or as `Name <address>`.
fn check_address(text: &str) -> Result<(), Mistake> {
    let is_clean = text::one_line(text, usize::MAX) == text.trim();
    let is_address = is_clean && text.parse::<Mailbox>().is_ok();
    is_address.then_some(()).ok_or_else(|| {
        let hint =
            "such as `ops@example.com` or `Ops <ops@example.com>`; a name with special characters in it is quoted";
        // What looks like a URL may have a password in it.
        let shown = if text.contains("://") { "what is there".into() } else { format!("`{}`", text.escape_debug()) };
        Mistake::new(format!("{shown} is not a mail address"), hint)
    })
}

fn checked(table: &Table<'_>, address: String, place: &Place) -> Option<String> {
    match check_address(&address) {
        Ok(()) => Some(address),
        Err(mistake) => {
            table.document.report(place, mistake);
            None
        }
    }
}

impl SmtpServer {
    fn read(table: &mut Table<'_>) -> Option<Self> {
        if !table.has("server") && !table.has("server-file") {
            let hint = "such as `server = \"smtp://mail.example.com:587\"`";
            table.report(Mistake::new("`server` is missing", hint));
        }
        let server = table.secret("server", "server-file");
        let login = smtp_login::read(table);
        let ca = table.take("ca").and_then(Value::path);
        let ehlo = table.take("ehlo").and_then(Value::string).and_then(|(name, place)| match check_ehlo(&name) {
            Ok(()) => Some(name),
            Err(mistake) => {
                table.document.report(&place, mistake);
                None
            }
        });
        let given = server?;
        let mut server = Self::given(&given).map_err(|mistake| table.document.report(&given.place, mistake)).ok()?;
        (server.ca, server.ehlo) = (ca, ehlo);
        if let Some((login, place)) = login {
            if server.login.is_some() {
                let hint = "remove `user` and what belongs to it, or the login in the URL";
                table.document.report(&place, Mistake::new("`server` holds a login already", hint));
            }
            server.login = Some(login);
        }
        Some(server)
    }

    /// A server whose URL was given, perhaps in a file; then the password is read there.
    fn given(given: &Given) -> Result<Self, Mistake> {
        Ok(given.text.parse::<Self>()?.reading(given.file.as_deref()))
    }

    fn reading(mut self, file: Option<&Path>) -> Self {
        if let (Some(login), Some(file)) = (&mut self.login, file) {
            login.secret = Secret::ServerFile(file.to_owned());
        }
        self
    }
}

impl EmailConfig {
    /// Returns what servers are likely to refuse, without the name of the sink.
    pub(super) fn doubts(&self) -> Vec<String> {
        let server = &self.server;
        let mut doubts = Vec::new();
        if server.tls == SmtpTls::StartTls && server.port == SmtpTls::Implicit.default_port() {
            let port = server.port;
            doubts.push(format!(
                "uses port {port} with STARTTLS; servers want TLS from the first byte there: `smtps://`"
            ));
        }
        if server.is_loopback() {
            return doubts;
        }
        if let Ok(Mailbox { email, .. }) = self.from.parse()
            && !email.domain().contains(['.', ':'])
        {
            doubts.push(format!("sends as `{email}`, which many servers refuse: set `from` to an address of your own"));
        }
        if let Some(ehlo) = server.ehlo.as_deref().filter(|name| !name.contains(['.', ':'])) {
            doubts.push(format!("names itself `{ehlo}`, which many servers refuse: set `ehlo` to a name with a dot"));
        }
        doubts
    }
}
