//! What is allowed but probably not meant.

use super::condition;
use super::environment::{Environment, MAIL_FROM, MAIL_TO, SMTP_URL};
use super::{Config, SinkConfig, SmtpTls};

/// The warnings of a configuration; `own_plugins` are the names in its file.
pub(super) fn of(config: &Config, own_plugins: &[String], environment: &Environment) -> Vec<String> {
    let mut warnings: Vec<String> = environment.unknown().collect();
    let is_set = |name: &str| environment.get(name).or_else(|| environment.get(&format!("{name}_FILE"))).is_some();
    if !is_set(SMTP_URL) {
        let idle = [MAIL_FROM, MAIL_TO].into_iter().filter(|name| is_set(name));
        warnings.extend(idle.map(|name| format!("`{name}` has no effect without `{SMTP_URL}`")));
    }
    if is_set("DOCKER_CONTEXT") && is_set("DOCKER_HOST") {
        warnings.push("`DOCKER_CONTEXT` has no effect beside `DOCKER_HOST`".to_owned());
    }
    if is_set("DOCKER_CERT_PATH") && !is_set("DOCKER_TLS_VERIFY") {
        warnings.push("`DOCKER_CERT_PATH` has no effect without `DOCKER_TLS_VERIFY=1`".to_owned());
    }
    for (name, engine) in &config.engines {
        let twin = config.engines.range::<String, _>(..name).find(|(_, other)| other.host == engine.host);
        if let Some((twin, _)) = twin {
            let host = &engine.host;
            warnings.push(format!("engines `{twin}` and `{name}` are the same, {host}: its events are told twice"));
        }
    }
    for (name, sink) in &config.sinks {
        if !config.routes.values().any(|route| route.to.contains(name)) {
            warnings.push(format!("no route uses sink `{name}`"));
        }
        if let SinkConfig::Email(mail) = sink {
            warnings.extend(mail.doubts().into_iter().map(|doubt| format!("sink `{name}` {doubt}")));
            let server = &mail.server;
            if server.tls == SmtpTls::None && server.login.is_some() && !server.is_loopback() {
                let host = &server.host;
                warnings.push(format!(
                    "sink `{name}` sends its password to `{host}` without TLS: anyone between can read it"
                ));
            }
        }
    }
    let engines: Vec<&str> = config.engines.keys().map(String::as_str).collect();
    for name in own_plugins {
        let used = config.routes.values().any(|route| route.filters.contains(name) || route.formatter == *name);
        if !used {
            warnings.push(format!("no route uses plugin `{name}`"));
        }
        if let Some(plugin) = config.plugins.get(name).filter(|plugin| plugin.component == "match") {
            let doubts = condition::warnings(&plugin.config, &engines);
            warnings.extend(doubts.into_iter().map(|doubt| format!("plugin `{name}`: {doubt}")));
        }
    }
    warnings
}
