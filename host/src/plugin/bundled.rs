//! The plugins that are part of the program, built from `plugins/` and committed in `plugins/dist/`.

use serde::Serialize;

use super::runtime::Role;

/// A plugin that is part of the program.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// The name that `component` takes.
    pub name: &'static str,
    /// What it is in a route.
    pub role: Role,
    pub(super) component: &'static [u8],
    /// Its documentation; what dockbell says of its configuration stands there and nowhere else.
    readme: &'static str,
}

/// All of them.
pub const BUNDLED: [Bundled; 3] = [
    Bundled {
        name: "match",
        role: Role::Filter,
        component: include_bytes!("../../../plugins/dist/match.wasm"),
        readme: include_str!("../../../plugins/match/README.md"),
    },
    Bundled {
        name: "email",
        role: Role::Formatter,
        component: include_bytes!("../../../plugins/dist/email.wasm"),
        readme: include_str!("../../../plugins/email/README.md"),
    },
    Bundled {
        name: "json",
        role: Role::Formatter,
        component: include_bytes!("../../../plugins/dist/json.wasm"),
        readme: include_str!("../../../plugins/json/README.md"),
    },
];

/// A key of a plugin's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its name.
    pub key: &'static str,
    /// What it says.
    pub what: &'static str,
    /// What holds without it; empty where nothing does.
    pub default: &'static str,
    /// The key with a value, in TOML.
    pub example: &'static str,
}

impl Bundled {
    /// What it does, in one line: the first paragraph of its documentation.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.readme.lines().skip(1).find(|line| !line.is_empty()).unwrap_or_default()
    }

    /// The keys of its configuration: the rows of the table under "Configuration" in its documentation.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let section = self.readme.split("\n## Configuration\n").nth(1).unwrap_or_default();
        let section = section.split("\n## ").next().unwrap_or_default();
        // The first two are the heads of the columns and the line below.
        section.lines().filter(|line| line.starts_with('|')).skip(2).filter_map(Key::of_row).collect()
    }
}

impl Key {
    fn of_row(row: &'static str) -> Option<Self> {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let mut cell = || cells.next();
        let code = |cell: &'static str| cell.trim_matches('`');
        Some(Self { key: code(cell()?), what: cell()?, default: cell()?, example: code(cell()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plugin_says_what_it_is_and_each_key_has_an_example() {
        for plugin in BUNDLED {
            let article = if plugin.role == Role::Filter { "A filter: " } else { "A formatter: " };
            assert!(plugin.about().starts_with(article), "{}", plugin.about());
            assert!(!plugin.keys().is_empty(), "{}", plugin.name);
            for key in plugin.keys() {
                assert!(key.example.starts_with(&format!("{} = ", key.key)), "{key:?}");
                assert!(!key.what.is_empty(), "{key:?}");
            }
        }
    }
}
