//! Logs in to a mail server, with a password or a token that is read for each login.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::commands::Auth as Command;
use lettre::transport::smtp::response::Severity;
use secrecy::ExposeSecret;

use super::connection::Connection;
use super::error::{Cause, SmtpError, Stage, WORDS};
use crate::config::{Auth, Login};
use crate::text;

impl Connection {
    /// Logs in with the secret as it is now: a changed password or a fresh token holds from the next login on.
    pub(super) async fn login(&mut self, login: &Login) -> Result<(), SmtpError> {
        let secret = login.secret.read().await;
        let secret = secret.map_err(|mistake| self.error(Stage::Login, Cause::NoSecret(mistake)))?;
        let credentials = Credentials::new(login.user.clone(), secret.expose_secret().to_owned());
        self.hide(&credentials, secret.expose_secret());
        match login.auth {
            Auth::Password => self.by_password(&credentials).await,
            Auth::XOAuth2 => self.by_token(credentials).await,
        }
    }

    async fn by_password(&mut self, credentials: &Credentials) -> Result<(), SmtpError> {
        if self.smtp.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            return Err(self.error(Stage::Login, Cause::NoLogin("PLAIN or LOGIN")));
        }
        let limit = self.server.limits.command;
        let answer = self.server.stage(limit, self.smtp.auth(DEFAULT_MECHANISMS, credentials), Cause::of).await;
        let answer = answer.map_err(|cause| self.error(Stage::Login, cause))?;
        self.expect(Stage::Login, &answer, Severity::PositiveCompletion)
    }

    /// One step; a server that refuses the token says why in a challenge, and gives its code after an empty answer to it.
    async fn by_token(&mut self, credentials: Credentials) -> Result<(), SmtpError> {
        if self.smtp.server_info().get_auth_mechanism(&[Mechanism::Xoauth2]).is_none() {
            return Err(self.error(Stage::Login, Cause::NoLogin("XOAUTH2")));
        }
        let command = Command::new(Mechanism::Xoauth2, credentials, None)
            .map_err(|error| self.error(Stage::Login, Cause::of(&error)))?;
        let limit = self.server.limits.command;
        let answer = self.server.stage(limit, self.smtp.command(command), Cause::of).await;
        let answer = answer.map_err(|cause| self.error(Stage::Login, refused(cause, "")))?;
        if !answer.has_code(334) {
            return self.expect(Stage::Login, &answer, Severity::PositiveCompletion);
        }
        let challenge = answer.first_word().map(|word| STANDARD.decode(word).unwrap_or_default()).unwrap_or_default();
        let challenge = text::one_line(&String::from_utf8_lossy(&challenge), WORDS);
        let answer = self.server.stage(limit, self.smtp.command("\r\n"), Cause::of).await;
        let cause = match answer {
            Err(cause) => refused(cause, &challenge),
            Ok(answer) => refused(Cause::No { code: answer.code().into(), words: String::new() }, &challenge),
        };
        Err(self.error(Stage::Login, cause))
    }

    /// Remembers what no error may show: the secret in clear and as it is sent. Some servers repeat what they do not
    /// understand.
    fn hide(&mut self, credentials: &Credentials, secret: &str) {
        let encoded = |mechanism, challenge: Option<&str>| {
            Command::new(mechanism, credentials.clone(), challenge.map(str::to_owned)).map(|auth| auth.to_string())
        };
        let sent = [
            encoded(Mechanism::Plain, None),
            encoded(Mechanism::Login, Some("Password")),
            encoded(Mechanism::Xoauth2, None),
        ];
        let sent = sent.iter().flatten().filter_map(|sent| sent.split_whitespace().last());
        self.hidden = sent.chain([secret]).filter(|secret| !secret.is_empty()).map(str::to_owned).collect();
    }
}

/// A refusal of the token, with what the challenge said.
fn refused(cause: Cause, challenge: &str) -> Cause {
    match cause {
        Cause::No { code, words } if challenge.is_empty() => Cause::NoToken { code, words },
        Cause::No { code, words } => Cause::NoToken { code, words: format!("{words} {challenge}").trim().to_owned() },
        cause => cause,
    }
}
