//! Where in the configuration file stands what a plugin refuses of its `config`.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, Place};
use super::file;
use super::problem::Mistake;
use super::{PluginConfig, Problem};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// `file:line:column`, and the line with a mark below it, where it is short enough to be shown.
    pub place: String,
    /// How to mend it, where the shape of the file shows that.
    pub hint: Option<String>,
}

/// Returns the place that a plugin's refusal speaks of. One that begins with the path of a key, as those of the bundled plugins
/// do (`any[0].acton: unknown key`), leads to that key, another one to `config`. `None` if the plugin has no table in the file, or if
/// the file has changed so that it cannot be found.
#[must_use]
pub fn locate(name: &str, plugin: &PluginConfig, refusal: &str) -> Option<Located> {
    let path = plugin.file.as_deref()?;
    let text = file::read_configuration(path).ok()?;
    find(path, &text, name, plugin, refusal)
}

fn find(file: &Path, text: &str, name: &str, plugin: &PluginConfig, refusal: &str) -> Option<Located> {
    let document = Document::new(file, text);
    document.parse()?;
    let root = DeTable::parse(text).ok()?.into_inner();
    let DeValue::Table(plugins) = root.get("plugins")?.get_ref() else { return None };
    let DeValue::Table(table) = plugins.get(name)?.get_ref() else { return None };
    let (key, config) = table.get_key_value("config")?;
    if !plugin.is_bundled() {
        document.hide_values(config);
    }
    let steps = steps(refusal.split(": ").next().unwrap_or_default());
    let mut span = key.span();
    let mut value = config;
    for step in &steps {
        match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => {
                let Some((key, inner)) = table.get_key_value(key.as_str()) else { break };
                (span, value) = (key.span(), inner);
            }
            (Step::Item(index), DeValue::Array(items)) => {
                let Some(inner) = items.get(*index) else { break };
                (span, value) = (inner.span(), inner);
            }
            _ => break,
        }
    }
    document.report(&Place { path: String::new(), span }, Mistake::plain(""));
    let Problem { place, excerpt, .. } = document.into_problems().pop()?;
    let place = excerpt.map_or(place.clone(), |excerpt| format!("{place}\n{excerpt}"));
    Some(Located { place, hint: dotted(&steps, config) })
}

/// A part of the path of a key.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// Returns the parts of a path as the bundled plugins write it: `any[0].label.com\.example`.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = vec![Step::Key(String::new())];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match (c, steps.last_mut()) {
            ('.', _) => steps.push(Step::Key(String::new())),
            ('[', _) => {
                let index: String = chars.by_ref().take_while(|c| *c != ']').collect();
                steps.extend(index.parse().map(Step::Item));
            }
            ('\\', Some(Step::Key(key))) => key.extend(chars.next()),
            (c, Some(Step::Key(key))) => key.push(c),
            _ => {}
        }
    }
    steps.retain(|step| *step != Step::Key(String::new()));
    steps
}

/// Returns how to write a label or attribute with dots in its name, where TOML made tables of them.
fn dotted(steps: &[Step], config: &Spanned<DeValue<'_>>) -> Option<String> {
    let at = steps.iter().position(|step| matches!(step, Step::Key(key) if key == "label" || key == "attribute"))?;
    let (Step::Key(key), [Step::Key(_), Step::Key(_), ..]) = (&steps[at], &steps[at + 1..]) else { return None };
    let mut value = config;
    for step in &steps[..=at] {
        value = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(key.as_str())?,
            (Step::Item(index), DeValue::Array(items)) => items.get(*index)?,
            _ => return None,
        };
    }
    let mut names: Vec<&str> = Vec::new();
    while let DeValue::Table(table) = value.get_ref() {
        let next = match steps.get(at + 1 + names.len()) {
            Some(Step::Key(key)) => table.get_key_value(key.as_str()),
            _ => table.iter().next(),
        };
        let (name, inner) = next?;
        names.push(name.get_ref());
        value = inner;
    }
    Some(format!("a name with dots stands in quotes: `{key}.\"{}\"`", names.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn located(config: &str, refusal: &str) -> Located {
        let text = format!("[plugins.trouble]\ncomponent = \"match\"\n{config}\n");
        let file = Path::new("/etc/d.toml");
        let loaded = Config::parse(file, &text, &Environment::default()).unwrap();
        find(file, &text, "trouble", &loaded.plugins["trouble"], refusal).unwrap()
    }

    #[test]
    fn the_key_that_a_plugin_refuses_is_marked_in_its_line() {
        for (config, refusal, place) in [
            (
                "config = { acton = \"die\" }",
                "acton: unknown key",
                "/etc/d.toml:3:12\n    config = { acton = \"die\" }\n               ^^^^^",
            ),
            (
                "config.any = [\n  { kind = \"image\" },\n  { not = { acton = 1 } },\n]",
                "any[1].not.acton: unknown key",
                "/etc/d.toml:5:13\n      { not = { acton = 1 } },\n                ^^^^^",
            ),
            (
                "[plugins.trouble.config.label]\n\"a.b\" = [[]]",
                r"label.a\.b[0]: a string is needed",
                "/etc/d.toml:4:10\n    \"a.b\" = [[]]\n             ^^",
            ),
            ("config = {}", "it is empty: really", "/etc/d.toml:3:1\n    config = {}\n    ^^^^^^"),
        ] {
            assert_eq!(located(config, refusal), Located { place: place.to_owned(), hint: None }, "{config}");
        }
    }

    #[test]
    fn a_label_with_dots_that_is_not_quoted_is_written_out_in_quotes() {
        let hint =
            located("config = { label.com.docker.compose.project = \"shop\" }", "label.com.docker: unknown key").hint;
        assert_eq!(hint.as_deref(), Some("a name with dots stands in quotes: `label.\"com.docker.compose.project\"`"));
        let hint = located("config.any = [{ attribute.a.b = 1 }]", "any[0].attribute.a.b: unknown key").hint;
        assert_eq!(hint.as_deref(), Some("a name with dots stands in quotes: `attribute.\"a.b\"`"));
    }

    #[test]
    fn what_a_plugin_of_ones_own_is_configured_with_is_not_shown() {
        let text = "[plugins.mine]\ncomponent = \"./mine.wasm\"\nconfig = { key = \"hunter2\" }\n";
        let file = Path::new("d.toml");
        let loaded = Config::parse(file, text, &Environment::default()).unwrap();
        let located = find(file, text, "mine", &loaded.plugins["mine"], "key: no").unwrap();
        assert!(located.place.starts_with("d.toml:3:12\n") && !located.place.contains("hunter2"), "{}", located.place);
    }
}
