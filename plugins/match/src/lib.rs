//! The bundled filter `match`: lets the events pass for which a condition holds.
//!
//! Its configuration **is** the condition, here in TOML:
//!
//! ```toml
//! [plugins.trouble.config]
//! kind = "container"
//! any = [
//!     { action = "die", fact = { cause = ["crashed", "oom"] } },
//!     { action = "health_status", detail = "unhealthy" },
//!     { label = { "com.example.tier" = { glob = "prod-*" } }, not = { name = { regex = "^test-" } } },
//! ]
//! ```
//!
//! # Conditions
//! A condition is a table, and it holds when each of its keys does; `{}` always holds.
//!
//! | key | holds when |
//! | --- | --- |
//! | `all = [condition, …]` | each holds |
//! | `any = [condition, …]` | at least one holds |
//! | `not = condition` | it does not hold |
//! | `kind`, `action`, `detail`, `engine`, `scope` | the event's field fits the matcher |
//! | `name`, `image` | the attribute of this name fits the matcher |
//! | `label = { "NAME" = matcher, … }` | each label fits its matcher (engines put labels among the attributes) |
//! | `attribute = { "NAME" = matcher, … }` | each attribute fits its matcher |
//! | `fact = { NAME = matcher, … }` | each of dockbell's own facts fits its matcher |
//!
//! # Matchers
//! A string fits a value that is exactly the same: `image = "nginx"` does not fit `nginx:1.27`, `image = { glob = "nginx:*" }`
//! does. A number fits an equal number (`3` fits `3` and `3.0`), a boolean the value `true` or `false`, a list what fits
//! one of its items. A table fits when each of its keys does:
//!
//! | key | fits when the value |
//! | --- | --- |
//! | `equals = "x"` | is the same (a number: is an equal number) |
//! | `one-of = ["x", 3]` | is one of these |
//! | `glob = "web-*"` | as a whole fits the pattern: `*` any text (`/` too), `?` one character, `[a-z]`, `[!a-z]`, `\` before a character that stands for itself |
//! | `regex = "^web-\\d+$"` | holds the pattern anywhere; anchor it with `^` and `$`. The syntax is that of the crate `regex-lite`, so `\d` and `(?i)` know ASCII only |
//! | `lt`, `le`, `gt`, `ge` = number | is a number below, not above, above, not below this one |
//! | `exists = true` | is there at all; `false`: is not there |
//! | `not = matcher` | does not fit |
//!
//! A value counts as a number with or without the unit of dockbell's own durations: `312s` is 312. Any other value is no
//! number, and no comparison holds for it.
//!
//! What the event does not have (an empty `detail`, a label that is not set) fits only `exists = false` and `not`.
//!
//! Anything else in the configuration is refused, with the path of the key: `any[1].label.com\.example: …`.

mod condition;
mod glob;
mod matcher;
mod refusal;

use dockbell_plugin::{Event, Filter, export_filter};

use condition::Condition;
use refusal::Place;

struct Match(Condition);

impl Filter for Match {
    fn configure(config: &str) -> Result<Self, String> {
        let config = serde_json::from_str(config).map_err(|error| format!("the configuration is not JSON: {error}"))?;
        Condition::compile(&Place::Root, &config).map(Self)
    }

    fn accept(&mut self, event: &Event) -> Result<bool, String> {
        Ok(self.0.holds(event))
    }
}

export_filter!(Match);

#[cfg(test)]
mod tests;
