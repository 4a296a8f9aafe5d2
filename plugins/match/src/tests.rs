//! Configurations and what they make of events, as tables of cases.

use dockbell_plugin::{Event, Filter};

use super::Match;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A container that crashed.
fn crash() -> Event {
    Event {
        engine: "local".into(),
        kind: "container".into(),
        action: "die".into(),
        actor_id: "3f2a".repeat(16),
        scope: "local".into(),
        attributes: pairs(&[
            ("com.example.tier", "prod-eu"),
            ("empty", ""),
            ("exitCode", "137"),
            ("image", "nginx:1.27"),
            ("load", "0.75"),
            ("name", "shop-web-1"),
            ("word", "many"),
        ]),
        facts: pairs(&[("cause", "crashed"), ("exit-code", "137"), ("looping", "true"), ("up-for", "312s")]),
        ..Event::default()
    }
}

fn unhealthy() -> Event {
    Event { action: "health_status".into(), detail: "unhealthy".into(), ..crash() }
}

#[test]
fn a_condition_accepts_what_it_says() {
    let cases = [
        // (configuration, accepts the crash, accepts the failed health check)
        (r#"{}"#, true, true),
        (r#"{"kind": "container"}"#, true, true),
        (r#"{"kind": "Container"}"#, false, false),
        (r#"{"kind": "image"}"#, false, false),
        (r#"{"action": "die"}"#, true, false),
        (r#"{"action": ["die", "oom"]}"#, true, false),
        (r#"{"action": ["start", "stop"]}"#, false, false),
        (r#"{"action": "health_status", "detail": "unhealthy"}"#, false, true),
        (r#"{"detail": {"exists": true}}"#, false, true),
        (r#"{"detail": {"exists": false}}"#, true, false),
        (r#"{"detail": {"not": "unhealthy"}}"#, true, false),
        (r#"{"detail": ""}"#, false, false),
        (r#"{"engine": "local", "scope": "local"}"#, true, true),
        (r#"{"engine": "far"}"#, false, false),
        (r#"{"scope": {"not": ["swarm"]}}"#, true, true),
        (r#"{"name": "shop-web-1"}"#, true, true),
        (r#"{"name": "shop-web"}"#, false, false),
        (r#"{"name": {"glob": "shop-*"}}"#, true, true),
        (r#"{"image": "nginx"}"#, false, false),
        (r#"{"image": {"glob": "nginx:*"}}"#, true, true),
        (r#"{"label": {"com.example.tier": {"glob": "prod-*"}}}"#, true, true),
        (r#"{"label": {"com.example.tier": "prod-eu", "word": "one"}}"#, false, false),
        (r#"{"label": {"empty": ""}}"#, true, true),
        (r#"{"label": {"empty": {"exists": true}}}"#, true, true),
        (r#"{"attribute": {"exitCode": 137}}"#, true, true),
        (r#"{"attribute": {"exitCode": "137"}}"#, true, true),
        (r#"{"attribute": {"exitCode": [0, 137]}}"#, true, true),
        (r#"{"attribute": {"exitCode": ["0", 143]}}"#, false, false),
        (r#"{"attribute": {"load": 0.75}}"#, true, true),
        (r#"{"attribute": {"word": 5}}"#, false, false),
        (r#"{"fact": {"cause": ["crashed", "oom"]}}"#, true, true),
        (r#"{"fact": {"looping": true}}"#, true, true),
        (r#"{"fact": {"looping": "true"}}"#, true, true),
        (r#"{"fact": {"looping": false}}"#, false, false),
        (r#"{"fact": {"exitCode": 137}}"#, false, false),
        (r#"{"all": [{"action": "die"}, {"kind": "container"}]}"#, true, false),
        (r#"{"any": [{"action": "die"}, {"detail": "unhealthy"}]}"#, true, true),
        (r#"{"any": [{"action": "oom"}, {"detail": "unhealthy"}]}"#, false, true),
        (r#"{"not": {"action": "die"}}"#, false, true),
        (r#"{"not": {"not": {"action": "die"}}}"#, true, false),
        (r#"{"not": {}}"#, false, false),
        (r#"{"any": [{"action": "die"}, {"action": "oom"}], "not": {"name": {"regex": "^test-"}}}"#, true, false),
        (r#"{"kind": "container", "all": [{"any": [{"all": [{"action": "die"}]}]}]}"#, true, false),
    ];
    for (config, on_crash, on_unhealthy) in cases {
        let mut filter = Match::configure(config).unwrap_or_else(|error| panic!("{config}: {error}"));
        assert_eq!(filter.accept(&crash()), Ok(on_crash), "{config} on the crash");
        assert_eq!(filter.accept(&unhealthy()), Ok(on_unhealthy), "{config} on the failed health check");
    }
}

#[test]
fn a_matcher_fits_what_it_says() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        // (matcher, values that fit, values that do not); no value at all is tested below
        (r#"{"equals": "a"}"#, &["a"], &["", "A", "ab"]),
        (r#"{"equals": 3}"#, &["3", "3.0", "+3", "03", "3s", "3e0"], &["", "3.1", "-3", "three", "3 ", "0x3"]),
        (r#"{"one-of": ["a", 3]}"#, &["a", "3"], &["b", "", "4"]),
        (r#"{"glob": "web-*"}"#, &["web-", "web-1", "web-a/b"], &["web", "aweb-1", ""]),
        (r#"{"glob": "*"}"#, &["", "anything", "ä\n"], &[]),
        (r#"{"glob": ""}"#, &[""], &["a"]),
        (r#"{"glob": "a?c"}"#, &["abc", "aäc"], &["ac", "abbc"]),
        (r#"{"glob": "*.example.*"}"#, &["a.example.b", ".example.", "a.example.example.b"], &["example", "a.example"]),
        (r#"{"glob": "**a**b"}"#, &["ab", "xaxxb", "aab"], &["ba", "a"]),
        (r#"{"glob": "v[0-9].[!a-c]"}"#, &["v1.d", "v9.1"], &["vx.d", "v1.a", "v1."]),
        (r#"{"glob": "[]x]"}"#, &["]", "x"], &["[", ""]),
        (r#"{"glob": "[a-]"}"#, &["a", "-"], &["b"]),
        (r#"{"glob": "[\\]\\-]"}"#, &["]", "-"], &["\\"]),
        (r#"{"glob": "\\*\\["}"#, &["*["], &["a["]),
        (r#"{"regex": "eb"}"#, &["web", "eb"], &["", "be"]),
        (r#"{"regex": "^web-\\d+$"}"#, &["web-12"], &["web-", "a web-1", "web-1a"]),
        (r#"{"regex": "(?i)WEB"}"#, &["web", "WeB"], &["wb"]),
        (r#"{"lt": 10}"#, &["9", "9.99", "-20", "5s"], &["10", "11", "many", "", "inf", "NaN", "-inf"]),
        (r#"{"le": 10}"#, &["10", "9"], &["10.1"]),
        (r#"{"gt": 10}"#, &["11", "312s"], &["10", "9", "infinity", "11 apples", "s"]),
        (r#"{"ge": 10}"#, &["10", "1e3"], &["9.9"]),
        (r#"{"gt": 0, "lt": 128, "not": [1, 2]}"#, &["3", "127"], &["0", "128", "1", "2", "x"]),
        (r#"{"exists": true}"#, &["", "a"], &[]),
        (r#"{"exists": false}"#, &[], &["", "a"]),
        (r#"{"not": "a"}"#, &["b", ""], &["a"]),
        (r#"{"not": {"glob": "a*"}}"#, &["b"], &["a", "ab"]),
        (r#"{"not": {"not": "a"}}"#, &["a"], &["b"]),
        (r#"["a", 3, true]"#, &["a", "3", "true"], &["false", "1"]),
    ];
    for (matcher, fitting, others) in cases {
        let config = format!(r#"{{"label": {{"x.y": {matcher}}}}}"#);
        let mut filter = Match::configure(&config).unwrap_or_else(|error| panic!("{config}: {error}"));
        for (values, fits) in [(fitting, true), (others, false)] {
            for value in *values {
                let event = Event { attributes: pairs(&[("x.y", value)]), ..Event::default() };
                assert_eq!(filter.accept(&event), Ok(fits), "{matcher} on {value:?}");
            }
        }
    }
}

#[test]
fn what_an_event_does_not_have_fits_only_not_and_exists_false() {
    let fitting = [r#"{"exists": false}"#, r#"{"not": "a"}"#, r#"{"not": {"gt": 3}}"#, r#"{"not": {"exists": true}}"#];
    let others = [
        r#""a""#,
        r#""""#,
        "3",
        r#"["a"]"#,
        r#"{"equals": "a"}"#,
        r#"{"one-of": ["a"]}"#,
        r#"{"glob": "*"}"#,
        r#"{"regex": ""}"#,
        r#"{"lt": 3}"#,
        r#"{"le": 3}"#,
        r#"{"gt": 3}"#,
        r#"{"ge": 3}"#,
        r#"{"exists": true}"#,
        r#"{"not": {"not": "a"}}"#,
        r#"{"not": {"exists": false}}"#,
        r#"{"exists": false, "equals": "a"}"#,
    ];
    for (matchers, fits) in [(&fitting[..], true), (&others[..], false)] {
        for matcher in matchers {
            for place in ["detail", "name", "image", "label.x", "attribute.x", "fact.x"] {
                let config = match place.split_once('.') {
                    Some((table, name)) => format!(r#"{{"{table}": {{"{name}": {matcher}}}}}"#),
                    None => format!(r#"{{"{place}": {matcher}}}"#),
                };
                assert_eq!(Match::configure(&config).unwrap().accept(&Event::default()), Ok(fits), "{config}");
            }
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_path() {
    let cases = [
        // (configuration, how the refusal begins, what else it says)
        ("", "the configuration is not JSON: ", ""),
        ("[]", "a condition is a table, not a list", ""),
        (r#"{"acton": "die"}"#, "acton: unknown key", "did you mean `action`?"),
        (r#"{"Kind": "die"}"#, "Kind: unknown key", "did you mean `kind`?"),
        (r#"{"type": "container"}"#, "type: unknown key", "did you mean `kind`?"),
        (r#"{"exit-code": 3}"#, "exit-code: unknown key", "`fact = { exit-code = … }`"),
        (r#"{"zzz": 1}"#, "zzz: unknown key", "hint: the keys here are `all`, `any`, `not`, `kind`"),
        (r#"{"kind": null}"#, "kind: a string, a number, a list or a table is needed, not nothing", ""),
        (r#"{"kind": {}}"#, "kind: an empty table says nothing", "`one-of`"),
        (r#"{"kind": []}"#, "kind: an empty list fits nothing", ""),
        (r#"{"kind": [["a"]]}"#, "kind[0]: a string or a number is needed, not a list", ""),
        (r#"{"kind": {"glb": "a"}}"#, "kind.glb: unknown key", "did you mean `glob`?"),
        (r#"{"kind": {"one_of": ["a"]}}"#, "kind.one_of: unknown key", "did you mean `one-of`?"),
        (r#"{"kind": {"in": ["a"]}}"#, "kind.in: unknown key", "did you mean `one-of`?"),
        (r#"{"kind": {"equals": ["a"]}}"#, "kind.equals: a string or a number is needed, not a list", ""),
        (r#"{"kind": {"equals": {}}}"#, "kind.equals: a string or a number is needed, not a table", ""),
        (r#"{"kind": {"one-of": "a"}}"#, "kind.one-of: a list of strings or numbers is needed, not the string `a`", ""),
        (r#"{"kind": {"one-of": []}}"#, "kind.one-of: an empty list", ""),
        (r#"{"kind": {"one-of": ["a", {}]}}"#, "kind.one-of[1]: a string or a number is needed, not a table", ""),
        (r#"{"kind": {"glob": 3}}"#, "kind.glob: a pattern is a string, not the number 3", ""),
        (r#"{"kind": {"glob": "a["}}"#, "kind.glob: the glob `a[` has a `[` without a `]` (character 2)", ""),
        (r#"{"kind": {"glob": "[]"}}"#, "kind.glob: the glob `[]` has a `[` without a `]`", ""),
        (r#"{"kind": {"glob": "[z-a]"}}"#, "kind.glob: the glob `[z-a]` has a range that runs backwards", ""),
        (r#"{"kind": {"glob": "a\\"}}"#, "kind.glob: the glob `a\\` ends in a lone `\\`", ""),
        (r#"{"kind": {"regex": "a("}}"#, "kind.regex: ", "group"),
        (r#"{"kind": {"regex": true}}"#, "kind.regex: a pattern is a string, not `true`", ""),
        (r#"{"kind": {"lt": "3"}}"#, "kind.lt: a number is needed, not the string `3`", ""),
        (r#"{"kind": {"le": null}}"#, "kind.le: a number is needed, not nothing", ""),
        (r#"{"kind": {"gt": []}}"#, "kind.gt: a number is needed, not a list", ""),
        (r#"{"kind": {"ge": {}}}"#, "kind.ge: a number is needed, not a table", ""),
        (r#"{"kind": {"exists": "yes"}}"#, "kind.exists: `true` or `false` is needed, not the string `yes`", ""),
        (r#"{"kind": {"not": {"not": {"glob": "["}}}}"#, "kind.not.not.glob: ", ""),
        (r#"{"all": {}}"#, "all: a list of conditions is needed, not a table", ""),
        (r#"{"any": []}"#, "any: an empty list says nothing", ""),
        (r#"{"any": [{}, 3]}"#, "any[1]: a condition is a table, not the number 3", ""),
        (r#"{"not": ["a"]}"#, "not: a condition is a table, not a list", ""),
        (r#"{"label": "a"}"#, "label: a table of names and matchers is needed, not the string `a`", ""),
        (r#"{"fact": {}}"#, "fact: an empty table says nothing", ""),
        (
            r#"{"any": [{}, {"label": {"com.example": {"globb": 1}}}]}"#,
            r"any[1].label.com\.example.globb: unknown key",
            "`glob`",
        ),
        (r#"{"label": {"a\\b": null}}"#, r"label.a\\b: a string", ""),
        (r#"{"all": [{"not": {"attribute": {"a": [1, null]}}}]}"#, "all[0].not.attribute.a[1]: ", "not nothing"),
    ];
    for (config, begins, says) in cases {
        let refusal = Match::configure(config).err().unwrap_or_else(|| panic!("{config}: not refused"));
        assert!(refusal.starts_with(begins), "{config}: {refusal}");
        assert!(refusal.contains(says), "{config}: {refusal}");
    }
}

#[test]
fn every_key_of_a_condition_and_of_a_matcher_is_in_the_hint() {
    let refusal = Match::configure(r#"{"?": 1}"#).err().unwrap();
    for key in [
        "all",
        "any",
        "not",
        "kind",
        "action",
        "detail",
        "engine",
        "scope",
        "name",
        "image",
        "label",
        "attribute",
        "fact",
    ] {
        assert!(refusal.contains(&format!("`{key}`")), "{key}: {refusal}");
    }
    let refusal = Match::configure(r#"{"kind": {"?": 1}}"#).err().unwrap();
    for key in ["equals", "one-of", "glob", "regex", "lt", "le", "gt", "ge", "exists", "not"] {
        assert!(refusal.contains(&format!("`{key}`")), "{key}: {refusal}");
    }
}

#[test]
fn patterns_cope_with_long_hostile_values() {
    let value = "a".repeat(64 << 10);
    let event = Event { attributes: pairs(&[("x", &value)]), ..Event::default() };
    let mut glob = Match::configure(r#"{"label": {"x": {"glob": "*a*a*a*a*a*a*a*b"}}}"#).unwrap();
    assert_eq!(glob.accept(&event), Ok(false));
    let mut regex = Match::configure(r#"{"label": {"x": {"regex": "(a+)+b"}}}"#).unwrap();
    assert_eq!(regex.accept(&event), Ok(false));
}
