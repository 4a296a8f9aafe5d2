//! Where messages go.

use super::email::{Email, EmailError};
use super::{Attempt, Failure, File, Notify, Sealed, Stdout, Webhook};
use crate::config::{Output, SinkConfig};
use crate::message::Message;
use crate::tls::TlsError;

/// Where messages go.
#[derive(Debug)]
pub enum Sink {
    /// Mail over SMTP.
    Email(Box<Email>),
    /// The terminal.
    Stdout(Stdout),
    /// A file of JSON lines.
    File(File),
    /// HTTP requests.
    Webhook(Box<Webhook>),
    /// A chat or push service.
    Notify(Box<Notify>),
}

/// Why a sink cannot be used, or a message not be written for it.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The configuration of a mail sink cannot be used.
    #[error("sink `{sink}`: {error}")]
    Email {
        /// Name of the sink.
        sink: String,
        /// What is wrong.
        error: EmailError,
    },
    /// TLS cannot be set up for a sink.
    #[error("sink `{sink}`: {error}")]
    Tls {
        /// Name of the sink.
        sink: String,
        /// What is wrong.
        error: TlsError,
    },
    /// The sink does not work at present.
    #[error("sink `{sink}`: {failure}")]
    Down {
        /// Name of the sink.
        sink: String,
        /// What does not work.
        failure: Failure,
    },
}

impl Sink {
    /// Opens a sink; connects to nothing and writes nothing yet. `hostname` is the name that messages give this machine;
    /// `output` is what `--output` said, and replaces what the configuration says for a terminal.
    ///
    /// # Errors
    /// An address that is none, a certificate file that cannot be read.
    pub fn open(name: &str, config: &SinkConfig, hostname: &str, output: Option<Output>) -> Result<Self, SinkError> {
        let of_tls = |error| SinkError::Tls { sink: name.to_owned(), error };
        match config {
            SinkConfig::Webhook(config) => Webhook::open(name, config).map(Box::new).map(Self::Webhook).map_err(of_tls),
            SinkConfig::Notify(config) => Notify::open(name, config).map(Box::new).map(Self::Notify).map_err(of_tls),
            SinkConfig::Email(config) => match Email::open(name, config, hostname) {
                Ok(email) => Ok(Self::Email(Box::new(email))),
                Err(error) => Err(SinkError::Email { sink: name.to_owned(), error }),
            },
            SinkConfig::Stdout(config) => Ok(Self::Stdout(Stdout::open(output.unwrap_or(config.output)))),
            SinkConfig::File(config) => Ok(Self::File(File::new(name, &config.path))),
        }
    }

    /// Gives a message the form in which the sink delivers it. The same message always gets the same bytes.
    ///
    /// # Errors
    /// A mail that cannot be written; not known to happen.
    pub fn seal(&self, message: &Message) -> Result<Sealed, SinkError> {
        match self {
            Self::Email(email) => {
                email.seal(message).map_err(|error| SinkError::Email { sink: email.name().to_owned(), error })
            }
            Self::Stdout(stdout) => Ok(stdout.seal(message)),
            Self::File(file) => Ok(file.seal(message)),
            Self::Webhook(webhook) => Ok(webhook.seal(message)),
            Self::Notify(notify) => Ok(notify.seal(message)),
        }
    }

    /// Tries once to deliver a message to those who have not got it yet.
    pub async fn deliver(&mut self, sealed: &Sealed) -> Attempt {
        match self {
            Self::Email(email) => email.deliver(sealed).await,
            Self::Stdout(stdout) => stdout.deliver(sealed).await,
            Self::File(file) => file.deliver(sealed).await,
            Self::Webhook(webhook) => webhook.deliver(sealed).await,
            Self::Notify(notify) => notify.deliver(sealed).await,
        }
    }

    /// Lets go of what is only kept open for the next message, such as a connection.
    pub async fn rest(&mut self) {
        if let Self::Email(email) = self {
            email.rest().await;
        }
    }

    /// Tries whether the sink works, without delivering anything, and says what it is in one line.
    ///
    /// # Errors
    /// What does not work, with a hint where one is known.
    pub async fn check(&mut self) -> Result<String, SinkError> {
        let (name, checked) = match self {
            Self::Stdout(stdout) => return Ok(stdout.describe()),
            Self::Email(email) => (email.name().to_owned(), email.check().await),
            Self::File(file) => (file.name().to_owned(), file.check().await),
            Self::Webhook(webhook) => (webhook.name().to_owned(), webhook.check().await),
            Self::Notify(notify) => (notify.name().to_owned(), notify.check().await),
        };
        checked.map_err(|failure| SinkError::Down { sink: name, failure })
    }
}
