//! Values in the conditions of the bundled filter `match` that no known event has: allowed, and probably misspelt.

use serde_json::{Map, Value as Json};

use super::problem::{listed, nearest};
use crate::event::vocabulary::{self, HEALTH};
use crate::event::{Cause, Fact, OWN_KIND};
use crate::text;

/// The longest sentence in bytes: a value may be as long as a file.
const LONGEST: usize = 600;

/// What users reach for, and the words of Docker and dockbell for it.
const OTHER_ACTIONS: [(&str, &str); 9] = [
    ("exit", "`die`"),
    ("exited", "`die`"),
    ("dead", "`die`"),
    ("crash", "`die` with `fact.cause = \"crashed\"`"),
    ("crashed", "`die` with `fact.cause = \"crashed\"`"),
    ("healthy", "`health_status` with `detail = \"healthy\"`"),
    ("unhealthy", "`health_status` with `detail = \"unhealthy\"`"),
    ("remove", "`destroy`"),
    ("removed", "`destroy`"),
];

/// Returns a sentence for each value of a condition that matches nothing known, with the nearest word that does. `engines` are
/// the names of the configured engines.
pub(super) fn warnings(condition: &Map<String, Json>, engines: &[&str]) -> Vec<String> {
    let mut doubts = Doubts { engines, found: Vec::new() };
    doubts.table("config", condition, &[]);
    doubts.found
}

struct Doubts<'a> {
    engines: &'a [&'a str],
    found: Vec<String>,
}

impl Doubts<'_> {
    /// A table of keys that must all hold. `kinds` are those that hold already; none means any.
    fn table(&mut self, place: &str, table: &Map<String, Json>, kinds: &[&str]) {
        let own: Vec<&str> =
            table.get("kind").filter(|kind| kind.get("not").is_none()).map(literals).unwrap_or_default();
        let kinds = if own.is_empty() { kinds } else { &own };
        for (key, value) in table {
            let place = format!("{place}.{key}");
            match (key.as_str(), value) {
                ("all" | "any", Json::Array(parts)) => {
                    for (index, part) in parts.iter().enumerate() {
                        if let Json::Object(part) = part {
                            self.table(&format!("{place}[{index}]"), part, kinds);
                        }
                    }
                }
                ("not", Json::Object(part)) => self.table(&place, part, kinds),
                ("fact", Json::Object(facts)) => {
                    for (name, value) in facts {
                        self.fact(&format!("{place}.{name}"), name, value);
                    }
                }
                (key, value) => {
                    for word in literals(value) {
                        self.word(&place, key, word, kinds);
                    }
                }
            }
        }
    }

    /// A literal value of an event's own field.
    fn word(&mut self, place: &str, key: &str, word: &str, kinds: &[&str]) {
        if matches!(key, "kind" | "action" | "engine" | "scope" | "name" | "image") && self.is_pattern(place, word) {
            return;
        }
        match key {
            "kind" => self.one_of(place, "kind", word, &vocabulary::kinds().collect::<Vec<_>>()),
            "action" => self.action(place, word, kinds),
            "scope" => self.one_of(place, "scope", word, &["local", "swarm"]),
            "engine" => {
                let known: Vec<&str> = self.engines.iter().copied().chain([OWN_KIND]).collect();
                self.one_of(place, "engine", word, &known);
            }
            // Behind `exec_create` stands any command.
            "detail" if !HEALTH.contains(&word) => {
                if let Some(meant) = nearest(word, HEALTH) {
                    self.doubt(place, &format!("unknown detail `{word}`: did you mean `{meant}`?"));
                }
            }
            _ => {}
        }
    }

    fn action(&mut self, place: &str, word: &str, kinds: &[&str]) {
        if let Some((action, detail)) = word.split_once(": ") {
            let meant = format!("write `action = \"{action}\"` and `detail = \"{detail}\"`");
            return self.doubt(place, &format!("`{word}` never matches: {meant}"));
        }
        let known =
            |kinds: &[&'static str]| kinds.iter().flat_map(|kind| vocabulary::actions(kind)).collect::<Vec<_>>();
        let all: Vec<&'static str> = vocabulary::kinds().collect();
        // Of a kind that is not known no action is.
        let among: Vec<&'static str> = all.iter().copied().filter(|kind| kinds.contains(kind)).collect();
        let among = if kinds.is_empty() { all.clone() } else { among };
        let candidates = known(&among);
        if among.is_empty() || candidates.contains(&word) {
            return;
        }
        let lower = word.to_lowercase();
        let other = OTHER_ACTIONS.iter().find(|(other, _)| *other == lower).map(|(_, meant)| (*meant).to_owned());
        let of = if kinds.is_empty() { String::new() } else { format!(" of {}", listed(&among)) };
        let meant = other.or_else(|| nearest(word, candidates).map(|meant| format!("`{meant}`")));
        self.unknown(place, &format!("action `{word}`{of}"), meant);
    }

    /// A fact's name and the values it is compared with.
    fn fact(&mut self, place: &str, name: &str, value: &Json) {
        let names: Vec<&str> = Fact::ALL.iter().map(|fact| fact.name()).collect();
        let Some(fact) = Fact::ALL.iter().find(|fact| fact.name() == name) else {
            return self.one_of(place, "fact", name, &names);
        };
        let is_number = |word: &str| word.strip_suffix('s').unwrap_or(word).parse::<u64>().is_ok();
        for word in literals(value) {
            match fact {
                Fact::Cause => {
                    let causes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
                    self.one_of(place, "cause", word, &causes);
                }
                Fact::Looping | Fact::Late | Fact::Inferred if word != "true" => {
                    let instead = format!("write `not = {{ fact.{name} = true }}`");
                    self.doubt(
                        place,
                        &format!("`{word}` never matches, since `{name}` is `true` or missing: {instead}"),
                    );
                }
                Fact::ExitCode | Fact::Signal | Fact::Restarts if word.parse::<i64>().is_err() => {
                    self.doubt(place, &format!("`{word}` never matches: `{name}` is a number"));
                }
                Fact::UpFor | Fact::RecoveredAfter if !is_number(word) => {
                    let instead = "compare it with a number of seconds, such as `{ gt = 300 }`";
                    self.doubt(place, &format!("`{word}` never matches: {instead}"));
                }
                Fact::Identity => {
                    self.is_pattern(place, word);
                }
                _ => {}
            }
        }
    }

    /// Returns whether a literal looks like a pattern, which it is not.
    fn is_pattern(&mut self, place: &str, word: &str) -> bool {
        let matcher = match word {
            word if word.starts_with('^') || word.ends_with('$') => "regex",
            word if word.contains(['*', '?']) => "glob",
            _ => return false,
        };
        self.doubt(place, &format!("`{word}` is compared as it is: a pattern is `{{ {matcher} = \"{word}\" }}`"));
        true
    }

    fn one_of(&mut self, place: &str, what: &str, word: &str, known: &[&str]) {
        if !known.contains(&word) {
            let meant = nearest(word, known.iter().copied()).map(|meant| format!("`{meant}`"));
            self.unknown(
                place,
                &format!("{what} `{word}`"),
                meant.or_else(|| Some(listed(known)).filter(|_| known.len() < 9)),
            );
        }
    }

    fn unknown(&mut self, place: &str, what: &str, meant: Option<String>) {
        match meant {
            Some(meant) => self.doubt(place, &format!("unknown {what}: did you mean {meant}?")),
            None => self.doubt(place, &format!("unknown {what}: `dockbell facts` lists the known words")),
        }
    }

    fn doubt(&mut self, place: &str, what: &str) {
        self.found.push(text::one_line(&format!("`{place}`: {what}"), LONGEST));
    }
}

/// The texts that a matcher compares with: a text, those of a list, or those of `equals`, `one-of` and `not` in a table.
fn literals(matcher: &Json) -> Vec<&str> {
    match matcher {
        Json::String(text) => vec![text],
        Json::Bool(truth) => vec![if *truth { "true" } else { "false" }],
        Json::Array(items) => items.iter().filter(|item| !item.is_array()).flat_map(literals).collect(),
        Json::Object(table) => {
            let compared = ["equals", "one-of", "not"].into_iter().filter_map(|key| table.get(key));
            compared.flat_map(literals).collect()
        }
        Json::Number(_) | Json::Null => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(condition: &str) -> Vec<String> {
        let table: toml::Table = condition.parse().unwrap();
        let Ok(Json::Object(condition)) = serde_json::to_value(table) else { panic!("no table") };
        warnings(&condition, &["local", "web-1"])
    }

    #[test]
    fn a_value_that_no_event_has_is_named_with_the_nearest_that_one_has() {
        for (condition, doubt) in [
            ("action = 'died'", "`config.action`: unknown action `died`: did you mean `die`?"),
            ("kind = 'contianer'", "`config.kind`: unknown kind `contianer`: did you mean `container`?"),
            ("kind = 'Container'", "`config.kind`: unknown kind `Container`: did you mean `container`?"),
            ("fact.cause = 'crash'", "`config.fact.cause`: unknown cause `crash`: did you mean `crashed`?"),
            ("fact.causes = 'oom'", "`config.fact.causes`: unknown fact `causes`: did you mean `cause`?"),
            ("name = 'web-*'", "`config.name`: `web-*` is compared as it is: a pattern is `{ glob = \"web-*\" }`"),
            (
                "image = '^shop/'",
                "`config.image`: `^shop/` is compared as it is: a pattern is `{ regex = \"^shop/\" }`",
            ),
            ("engine = 'web1'", "`config.engine`: unknown engine `web1`: did you mean `web-1`?"),
            ("detail = 'unhealty'", "`config.detail`: unknown detail `unhealty`: did you mean `unhealthy`?"),
            (
                "action = 'health_status: unhealthy'",
                "`config.action`: `health_status: unhealthy` never matches: write `action = \"health_status\"` and \
                 `detail = \"unhealthy\"`",
            ),
            (
                "action = 'unhealthy'",
                "`config.action`: unknown action `unhealthy`: did you mean `health_status` with `detail = \"unhealthy\"`?",
            ),
            (
                "kind = 'image'\naction = 'die'",
                "`config.action`: unknown action `die` of `image`: `dockbell facts` lists the known words",
            ),
            (
                "kind = 'dockbell'\naction = 'enginelost'",
                "`config.action`: unknown action `enginelost` of `dockbell`: did you mean `engine_lost`?",
            ),
            ("fact.signal = 'SIGKILL'", "`config.fact.signal`: `SIGKILL` never matches: `signal` is a number"),
            (
                "fact.looping = false",
                "`config.fact.looping`: `false` never matches, since `looping` is `true` or missing: write `not = { \
                 fact.looping = true }`",
            ),
            (
                "fact.up-for = '5m'",
                "`config.fact.up-for`: `5m` never matches: compare it with a number of seconds, such as `{ gt = 300 }`",
            ),
            (
                "action = ['oom', 'frobnicate']",
                "`config.action`: unknown action `frobnicate`: `dockbell facts` lists the known words",
            ),
            (
                "any = [{ all = [{ not = { action = { one-of = ['stopp'] } } }] }]",
                "`config.any[0].all[0].not.action`: unknown action `stopp`: did you mean `stop`?",
            ),
        ] {
            assert_eq!(doubts(condition), [doubt], "{condition}");
        }
    }

    #[test]
    fn what_an_event_may_have_is_no_doubt() {
        for condition in [
            "kind = 'container'\nany = [{ action = ['oom'] }, { action = 'die', not = { fact.cause = ['stopped', 'restarted'] } }]",
            "kind = ['dockbell', 'container']\nnot = { action = ['started', 'exec_create', 'cleanup'] }",
            "kind = { not = 'image' }\naction = 'die'",
            "action = { glob = 'exec_*' }\nname = { regex = '^web' }\nimage = 'shop/web:2'",
            "label.rule = 'Host(`*.example.com`)'\nattribute.exitCode = '*'",
            "fact = { exit-code = 137, restarts = { gt = 3 }, signal = '9', up-for = '12s', looping = true, identity = 'shop/web' }",
            "kind = 'machine'\naction = 'start'\nscope = 'local'\nengine = ['local', 'dockbell']\ndetail = 'nc -z db'",
        ] {
            // A kind of which nothing is known is one.
            let mut doubts = doubts(condition);
            doubts.retain(|doubt| !doubt.contains("unknown kind `machine`"));
            assert!(doubts.is_empty(), "{condition}: {doubts:?}");
        }
    }
}
