//! Logins for registries, in the form in which `docker login` keeps them.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::Failure;
use crate::config::{Reference, Secret};

#[derive(Deserialize)]
struct Logins {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The value of `Authorization` for a registry, out of a file; none where the file has no login for it.
pub(super) async fn login(file: &Path, reference: &Reference) -> Result<Option<SecretString>, Failure> {
    let text = Secret::File(file.to_owned()).read().await.map_err(|mistake| Failure::Login(mistake.to_string()))?;
    // What a library says of the text may repeat some of it.
    let wrong = || {
        let form = r#"{"auths": {"REGISTRY": {"auth": "…"}}}"#;
        Failure::Login(format!("`{}` is no file of logins\nhint: `docker login` writes them: {form}", file.display()))
    };
    let logins: Logins = serde_json::from_str(text.expose_secret()).map_err(|_| wrong())?;
    let Some(entry) = logins.auths.get(&reference.registry()) else { return Ok(None) };
    let basic = match (&entry.auth, &entry.username, &entry.password) {
        (Some(auth), _, _) if !auth.is_empty() => auth.clone(),
        (_, Some(name), Some(password)) => STANDARD.encode(format!("{name}:{password}")),
        _ => return Err(wrong()),
    };
    Ok(Some(SecretString::from(format!("Basic {basic}"))))
}
