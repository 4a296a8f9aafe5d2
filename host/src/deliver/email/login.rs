//! Logs in to a mail server, with a password or a token that is read for each login.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use super::connection::{Connection, DONE, MORE, wanted};
use super::error::{Cause, SmtpError, Stage};
use super::reply::BYTES;
use crate::config::{Auth, Login};
use crate::text;

impl Connection {
    /// Logs in with the secret as it is now: a changed password or a fresh token holds from the next login on.
    pub(super) async fn login(&mut self, login: &Login) -> Result<(), SmtpError> {
        let server = Arc::clone(&self.server);
        let limit = server.limits.command;
        let reading = async { login.secret.read().await.map_err(Cause::NoSecret) };
        let secret =
            server.stage(Stage::Login, limit, reading).await.map_err(|cause| self.error(Stage::Login, cause))?;
        let encoded = Encoded::new(&login.user, secret.expose_secret());
        // Some servers repeat what they do not understand.
        let Encoded { password, plain, token, .. } = &encoded;
        let hidden = [plain, token, password].map(String::as_str).into_iter().chain([secret.expose_secret()]);
        self.hidden = hidden.filter(|secret| !secret.is_empty()).map(str::to_owned).collect();
        let steps = async {
            match login.auth {
                Auth::Password => self.by_password(&encoded).await,
                Auth::XOAuth2 => self.by_token(&encoded).await,
            }
        };
        let done = server.stage(Stage::Login, limit, steps).await;
        done.map_err(|cause| self.error(Stage::Login, cause))
    }

    /// By PLAIN (RFC 4616), else by LOGIN, which asks for the user and then for the password.
    async fn by_password(&mut self, encoded: &Encoded) -> Result<(), Cause> {
        if self.offers.login("PLAIN") {
            return self.step(&format!("AUTH PLAIN {}", encoded.plain), DONE).await;
        }
        if !self.offers.login("LOGIN") {
            return Err(Cause::NoLogin { wanted: "PLAIN or LOGIN", offered: self.offers.logins() });
        }
        self.step("AUTH LOGIN", MORE).await?;
        self.step(&encoded.user, MORE).await?;
        self.step(&encoded.password, DONE).await
    }

    /// One step; a server that refuses the token says why in a challenge, and gives its code after an empty answer to it.
    async fn by_token(&mut self, encoded: &Encoded) -> Result<(), Cause> {
        if !self.offers.login("XOAUTH2") {
            return Err(Cause::NoLogin { wanted: "XOAUTH2", offered: self.offers.logins() });
        }
        let reply = self.ask(&format!("AUTH XOAUTH2 {}", encoded.token)).await?;
        if !reply.is(MORE) {
            return wanted(reply, DONE).map(drop).map_err(|cause| refused(cause, ""));
        }
        let challenge = STANDARD.decode(reply.lines.join("").trim()).unwrap_or_default();
        let challenge = text::one_line(&String::from_utf8_lossy(&challenge), BYTES);
        let reply = self.ask("").await?;
        let cause = wanted(reply, DONE).err().unwrap_or(Cause::No { code: 334, words: String::new() });
        Err(refused(cause, &challenge))
    }

    async fn step(&mut self, line: &str, class: u16) -> Result<(), Cause> {
        wanted(self.ask(line).await?, class).map(drop)
    }
}

/// User and secret as each login sends them.
struct Encoded {
    user: String,
    password: String,
    plain: String,
    token: String,
}

impl Encoded {
    fn new(user: &str, secret: &str) -> Self {
        Self {
            user: STANDARD.encode(user),
            password: STANDARD.encode(secret),
            plain: STANDARD.encode(format!("\0{user}\0{secret}")),
            token: STANDARD.encode(format!("user={user}\x01auth=Bearer {secret}\x01\x01")),
        }
    }
}

/// Returns the refusal of a token, with what the challenge said.
fn refused(cause: Cause, challenge: &str) -> Cause {
    match cause {
        Cause::No { code, words } => Cause::NoToken { code, words: format!("{words} {challenge}").trim().to_owned() },
        cause => cause,
    }
}
