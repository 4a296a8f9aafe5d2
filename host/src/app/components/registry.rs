//! Asks a registry for a manifest and a blob (OCI distribution specification 1.1).

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::challenge::Challenge;
use super::error::Failure;
use super::login::login;
use super::manifest::{self, IMAGE, Manifest};
use crate::config::{HttpUrl, PluginConfig, Reference, Sha256};
use crate::deliver::http::{Answer, Client, Limits, Request};

/// How long the body of a component may take: 256 MiB at 1 MiB a second.
const LONGEST_BODY: Duration = Duration::from_secs(256);
/// How long one attempt waits before the next one, after what may pass.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// How often a blob may lead elsewhere.
const MOST_REDIRECTS: usize = 5;

/// One repository of a registry.
pub(super) struct Registry {
    client: Client,
    reference: Reference,
    login_file: Option<PathBuf>,
    /// What proves who we are, once the registry has asked for it.
    proof: Option<SecretString>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    pub(super) fn open(reference: &Reference, plugin: &PluginConfig) -> Result<Self, Failure> {
        let client = Client::new(None, reference.is_loopback()).map_err(Failure::Tls)?;
        Ok(Self { client, reference: reference.clone(), login_file: plugin.login_file.clone(), proof: None })
    }

    /// Why a tag alone is not taken, with what to write instead.
    pub(super) async fn name_digest(&mut self) -> Failure {
        match self.get(&self.reference.manifest(), manifest::MOST_BYTES, "its manifest").await {
            Ok(bytes) => Failure::Tag(Box::new(self.reference.pinned(Sha256::of(&bytes)))),
            Err(failure) => failure,
        }
    }

    /// The manifest, which is what the digest says.
    pub(super) async fn manifest(&mut self, digest: Sha256) -> Result<Bytes, Failure> {
        let what = "its manifest";
        checked(self.get(&self.reference.manifest(), manifest::MOST_BYTES, what).await?, digest, what)
    }

    /// The component, which is what the manifest says.
    pub(super) async fn blob(&mut self, manifest: &Manifest) -> Result<Bytes, Failure> {
        let what = "the component";
        let bytes = self.get(&self.reference.blob(manifest.component), manifest.bytes, what).await?;
        let found = bytes.len() as u64;
        if found != manifest.bytes {
            return Err(Failure::Length { what, expected: manifest.bytes, found });
        }
        checked(bytes, manifest.component, what)
    }

    /// Asks until it gets an answer, or one that will not change.
    async fn get(&mut self, url: &HttpUrl, most: u64, what: &'static str) -> Result<Bytes, Failure> {
        let mut waits = WAITS.iter();
        loop {
            let failure = match self.get_once(url, most, what).await {
                Err(failure @ (Failure::Http { .. } | Failure::Status { status: 500.., .. })) => failure,
                ended => return ended,
            };
            let Some(wait) = waits.next() else { return Err(failure) };
            tokio::time::sleep(*wait).await;
        }
    }

    async fn get_once(&mut self, url: &HttpUrl, most: u64, what: &'static str) -> Result<Bytes, Failure> {
        // One byte more shows that there is more.
        let limit = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1);
        let mut url = url.clone();
        let mut asked_again = false;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&url, limit).await?;
            match answer.status {
                StatusCode::OK if answer.body.len() < limit => return Ok(answer.body),
                StatusCode::OK if most == manifest::MOST_BYTES => return Err(Failure::HugeManifest(most)),
                StatusCode::OK => return Ok(answer.body),
                StatusCode::UNAUTHORIZED if !asked_again && self.is_own(&url) => {
                    asked_again = true;
                    self.prove(&answer).await?;
                }
                status if status.is_redirection() => url = self.led_to(&url, &answer)?,
                status => return Err(Failure::Status { what, status: status.as_u16() }),
            }
        }
        Err(Failure::Redirect("again and again".to_owned()))
    }

    async fn ask(&self, url: &HttpUrl, limit: usize) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(IMAGE));
        // Whoever the registry leads to must not learn what only it may know.
        if let Some(proof) = self.proof.as_ref().filter(|_| self.is_own(url)) {
            headers.insert(AUTHORIZATION, sensitive(proof)?);
        }
        self.send(url, headers, limit).await
    }

    async fn send(&self, url: &HttpUrl, headers: HeaderMap, limit: usize) -> Result<Answer, Failure> {
        let request = Request { method: Method::GET, headers, body: Bytes::new() };
        let client =
            self.client.clone().with_limits(Limits { body: LONGEST_BODY, body_bytes: limit, ..Limits::default() });
        client.send(url, request).await.map_err(|error| Failure::Http { error })
    }

    fn is_own(&self, url: &HttpUrl) -> bool {
        url.same_origin(&self.reference.manifest())
    }

    fn led_to(&self, from: &HttpUrl, answer: &Answer) -> Result<HttpUrl, Failure> {
        let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let to = location.and_then(|location| from.join(location).ok());
        let to = to.ok_or_else(|| Failure::Redirect("to nowhere".to_owned()))?;
        if from.is_https() && !to.is_https() {
            return Err(Failure::Redirect(format!("to `{to}`, without TLS")));
        }
        Ok(to)
    }

    /// Gets what the registry wants to see: a token, perhaps one that everybody gets, or the login.
    async fn prove(&mut self, answer: &Answer) -> Result<(), Failure> {
        let asked = answer.headers.get_all(WWW_AUTHENTICATE).iter();
        let challenge = asked.filter_map(|header| Challenge::parse(header.to_str().ok()?)).next();
        let login = match &self.login_file {
            Some(file) => login(file, &self.reference).await?,
            None => None,
        };
        let proof = match challenge.ok_or(Failure::Challenge)? {
            Challenge::Basic => login.ok_or(Failure::Status { what: "its manifest", status: 401 })?,
            Challenge::Bearer { realm, pairs } => self.token(&realm, pairs, login).await?,
        };
        self.proof = Some(proof);
        Ok(())
    }

    async fn token(
        &self,
        realm: &str,
        pairs: Vec<(String, String)>,
        login: Option<SecretString>,
    ) -> Result<SecretString, Failure> {
        let wrong = |what: &str| Failure::Token(what.to_owned());
        let realm: HttpUrl = realm.parse().map_err(|_| wrong("the registry names no place that gives one"))?;
        if self.reference.manifest().is_https() && !realm.is_https() {
            return Err(wrong("the registry names a place without TLS"));
        }
        let url = pairs.into_iter().fold(realm, |url, (name, value)| url.with_pair(&name, &value));
        let mut headers = HeaderMap::new();
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, sensitive(&login)?);
        }
        let answer = self.send(&url, headers, 64 << 10).await?;
        if answer.status != StatusCode::OK {
            return Err(Failure::Token(format!("`{url}` answers {}", answer.status)));
        }
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| wrong("what came is none"))?;
        let token = token.token.or(token.access_token).ok_or_else(|| wrong("what came has none in it"))?;
        Ok(SecretString::from(format!("Bearer {token}")))
    }
}

fn checked(bytes: Bytes, expected: Sha256, what: &'static str) -> Result<Bytes, Failure> {
    let found = Sha256::of(&bytes);
    if found == expected { Ok(bytes) } else { Err(Failure::Digest { what, expected, found }) }
}

fn sensitive(text: &SecretString) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(text.expose_secret())
        .map_err(|_| Failure::Login("it holds what cannot be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
