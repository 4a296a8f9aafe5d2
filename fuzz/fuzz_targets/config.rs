//! A configuration file: it is read or refused with the places of its mistakes, and no secret in it is ever shown.
#![no_main]

use std::path::Path;

use dockbell::config::environment::SMTP_URL;
use dockbell::config::{Config, Environment, Problem};
use libfuzzer_sys::fuzz_target;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The password in every seed, as in the tests of the configuration.
const SECRET: &str = "hunter2";
/// In no folder that there is, so that relative paths lead nowhere.
const NAME: &str = "/nowhere/dockbell.toml";

// What is before the first NUL stands behind the password in the URL of a mail server in the environment.
fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (url, text) = input.split_once('\0').unwrap_or(("", input));
    let url = (!url.is_empty()).then(|| (SMTP_URL, format!("smtp://user:{SECRET}{url}")));
    let environment: Environment = url.into_iter().collect();
    let shown = match Config::parse(Path::new(NAME), text, &environment) {
        Ok(config) => {
            complete(&config);
            format!("{config:?}")
        }
        Err(error) => {
            assert!(!error.problems().is_empty());
            error.problems().iter().for_each(|problem| has_place(problem, text));
            let shown = error.to_string();
            assert!(!shown.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{shown:?}");
            format!("{shown}\n{error:?}")
        }
    };
    if is_secret_everywhere(text) {
        assert!(!shown.contains(SECRET), "{shown}");
    }
});

/// Every name leads to something.
fn complete(config: &Config) {
    for route in config.routes.values() {
        assert!(route.to.iter().all(|sink| config.sinks.contains_key(sink)));
        assert!(route.engines.iter().all(|engine| config.engines.contains_key(engine)));
        assert!(route.filters.iter().all(|filter| config.plugins.contains_key(filter)));
    }
    assert!(!config.routes.is_empty() && !config.sinks.is_empty() && !config.engines.is_empty());
}

/// A variable's name, or a line and a column that the file has.
fn has_place(problem: &Problem, text: &str) {
    let Some(place) = problem.place.strip_prefix(NAME) else {
        assert!(problem.place.starts_with("DOCKBELL_") || problem.place == "DOCKER_HOST", "{problem}");
        return;
    };
    let numbers: Vec<usize> = place.split(':').skip(1).map(|number| number.parse().unwrap()).collect();
    let [line, column] = numbers[..] else { panic!("{problem}") };
    let found = text.split('\n').nth(line - 1).unwrap_or_else(|| panic!("there is no such line: {problem}"));
    assert!((1..=found.chars().count() + 1).contains(&column), "{problem}");
}

/// Whether the secret stands nowhere but where nobody can doubt that it is one.
fn is_secret_everywhere(text: &str) -> bool {
    let mut places = text.match_indices(SECRET).map(|(start, _)| start..start + SECRET.len());
    if let Ok(table) = DeTable::parse(text) {
        let mut secrets = Vec::new();
        find(table.get_ref(), &mut secrets);
        return places.all(|place| secrets.iter().any(|secret| secret.start < place.start && place.end < secret.end));
    }
    places.all(|place| {
        let start = text[..place.start].rfind('\n').map_or(0, |newline| newline + 1);
        let statement = text[start..place.start].split_once('=');
        statement.is_some_and(|(key, value)| {
            let key = key.trim();
            (is_secret(key) && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
                && matches!(value.trim(), "\"" | "'")
        })
    })
}

fn find(table: &DeTable<'_>, secrets: &mut Vec<std::ops::Range<usize>>) {
    for (key, value) in table {
        match value.get_ref() {
            DeValue::String(_) if is_secret(key.get_ref()) => secrets.push(value.span()),
            DeValue::Table(headers) if key.get_ref() == "headers" => all_strings(headers.values(), secrets),
            DeValue::Table(inner) => find(inner, secrets),
            DeValue::String(text) if is_login(text) => secrets.push(value.span()),
            _ => {}
        }
    }
}

fn all_strings<'a>(values: impl Iterator<Item = &'a Spanned<DeValue<'a>>>, secrets: &mut Vec<std::ops::Range<usize>>) {
    secrets.extend(values.filter(|value| value.get_ref().is_str()).map(Spanned::span));
}

fn is_secret(key: &str) -> bool {
    matches!(key, "password" | "secret" | "url" | "api-token")
}

/// `scheme://user:password@host`
fn is_login(text: &str) -> bool {
    let login = text.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    login.and_then(|(login, _)| login.split_once(':')).is_some_and(|(_, password)| password == SECRET)
}
