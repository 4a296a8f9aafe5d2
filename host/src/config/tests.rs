//! What a file and an environment together become.

use std::fs;

use secrecy::ExposeSecret as _;

use super::*;

const NOTHING: [(&str, &str); 0] = [];

fn load<const N: usize>(text: &str, environment: [(&str, &str); N]) -> Config {
    let environment = environment.into_iter().collect();
    Config::parse(Path::new("/etc/d/dockbell.toml"), text, &environment).unwrap_or_else(|error| panic!("{error}"))
}

fn mistakes<const N: usize>(text: &str, environment: [(&str, &str); N]) -> String {
    let environment = environment.into_iter().collect();
    Config::parse(Path::new("/etc/d/dockbell.toml"), text, &environment).unwrap_err().to_string()
}

fn names<T>(map: &BTreeMap<String, T>) -> Vec<&str> {
    map.keys().map(String::as_str).collect()
}

fn mail<'c>(config: &'c Config, name: &str) -> &'c EmailConfig {
    match &config.sinks[name] {
        SinkConfig::Email(mail) => mail,
        other => panic!("{other:?}"),
    }
}

/// What a mail sink logs in with at present.
fn password(mail: &EmailConfig) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let secret = runtime.block_on(mail.server.login.as_ref().unwrap().secret.read());
    secret.unwrap().expose_secret().to_owned()
}

#[test]
fn without_anything_the_local_engine_is_printed_to_the_terminal_at_once() {
    let config = load("", NOTHING);
    assert_eq!(config.engines["local"].host, Host::Unix("/var/run/docker.sock".into()));
    assert_eq!((names(&config.engines), names(&config.sinks)), (vec!["local"], vec!["terminal"]));
    let route = &config.routes["terminal"];
    assert_eq!((names(&config.routes), route.formatter.as_str()), (vec!["terminal"], "plain"));
    assert_eq!((route.settle, route.window), (Duration::ZERO, Duration::ZERO));
    assert_eq!((&route.filters, &route.to), (&vec!["default".to_owned()], &vec!["terminal".to_owned()]));
    assert_eq!(names(&config.plugins), ["default", "email", "json", "match"]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_mail_server_in_the_environment_adds_digests_by_mail() {
    let environment = [
        ("DOCKBELL_SMTP_URL", "smtps://u:p%40ss@mail.example.com"),
        ("DOCKBELL_MAIL_TO", "ops@example.com, Dev <dev@example.com>,"),
        ("DOCKBELL_HOSTNAME", "web-1.example.com"),
    ];
    let config = load("", environment);
    assert_eq!((names(&config.sinks), names(&config.routes)), (vec!["email", "terminal"], vec!["default", "terminal"]));
    assert_eq!(
        (&config.routes["default"].to, config.routes["default"].window.as_secs()),
        (&vec!["email".to_owned()], 60)
    );
    let mail = mail(&config, "email");
    assert_eq!((mail.from.as_str(), mail.server.port), ("dockbell@web-1.example.com", 465));
    assert_eq!(mail.to, ["ops@example.com", "Dev <dev@example.com>"]);
    assert_eq!(password(mail), "p@ss");
}

#[test]
fn a_file_that_names_only_engines_changes_nothing_else() {
    let config = load("[engines.far]\nhost = \"tcp://far:2375\"", NOTHING);
    assert_eq!((names(&config.engines), names(&config.routes)), (vec!["far"], vec!["terminal"]));
    assert_eq!(config.routes["terminal"].engines, ["far"]);
}

#[test]
fn a_file_with_sinks_gets_one_route_that_tells_them_everything() {
    let config = load("[sinks.a]\ntype = \"stdout\"\n[sinks.b]\ntype = \"file\"\npath = \"b.jsonl\"", NOTHING);
    assert_eq!(names(&config.routes), ["default"]);
    assert_eq!(config.routes["default"].to, ["a", "b"]);
    assert_eq!(config.routes["default"].formatter, "email");
}

#[test]
fn a_file_with_routes_but_no_sinks_prints_to_the_terminal() {
    let config = load("[routes.all]\nfilters = []", NOTHING);
    assert_eq!((names(&config.routes), &config.routes["all"].to), (vec!["all"], &vec!["terminal".to_owned()]));
    assert!(config.routes["all"].filters.is_empty());
}

#[test]
fn the_default_filter_is_the_bundled_match_and_can_be_replaced() {
    let config = load("", NOTHING);
    let filter = &config.plugins["default"];
    assert_eq!(filter.component, "match");
    let text = serde_json::to_string(&filter.config).unwrap();
    assert!(
        text.starts_with(r#"{"any":[{"kind":"dockbell","not":{"action":["started","stopped","reloaded"]}},{"kind":"container","not":{"action":["attach","#),
        "{text}"
    );
    let config = load("[plugins.default]\ncomponent = \"match\"\nconfig = { kind = \"image\" }", NOTHING);
    assert_eq!(config.plugins["default"].config["kind"], "image");
}

#[test]
fn paths_are_relative_to_the_file() {
    let text = "[plugins.mine]\ncomponent = \"plugins/mine.wasm\"\n\
                [sinks.archive]\ntype = \"file\"\npath = \"/var/log/d.jsonl\"\n\
                [engines.far]\nhost = \"tcp://far\"\ntls = { ca = \"ca.pem\" }\n";
    let config = load(text, NOTHING);
    assert_eq!(config.plugins["mine"].component, "/etc/d/plugins/mine.wasm");
    assert_eq!(config.engines["far"].tls.as_ref().unwrap().ca.as_deref(), Some(Path::new("/etc/d/ca.pem")));
    let SinkConfig::File(file) = &config.sinks["archive"] else { panic!("not a file") };
    assert_eq!(file.path, Path::new("/var/log/d.jsonl"));
}

#[test]
fn docker_variables_name_the_engine_and_its_certificates() {
    let environment = [("DOCKER_HOST", "tcp://far:2376"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")];
    let engine = load("", environment).engines.remove("local").unwrap();
    let tls = engine.tls.unwrap();
    assert_eq!(engine.host.to_string(), "tcp://far:2376");
    assert_eq!(tls.ca.unwrap(), Path::new("/certs/ca.pem"));
    assert_eq!(tls.client.unwrap(), ("/certs/cert.pem".into(), "/certs/key.pem".into()));
    assert_eq!(
        load("", [("DOCKER_HOST", "unix:///run/d.sock"), ("DOCKER_TLS_VERIFY", "1")]).engines["local"].tls,
        None
    );
    assert!(mistakes("", [("DOCKER_HOST", "ssh://far")]).starts_with("DOCKER_HOST: `ssh://` is not supported\nhint: "));
}

#[test]
fn a_wrong_docker_host_matters_only_where_it_is_used() {
    let text = "[engines.local]\nhost = \"/run/docker.sock\"";
    assert!(load(text, [("DOCKER_HOST", "ssh://far")]).warnings.is_empty());
    let message = mistakes("[engines.local]", [("DOCKER_HOST", "ssh://far")]);
    assert!(
        message.contains("1:1: engines.local: has no `host`, and `DOCKER_HOST` cannot be used: `ssh://`"),
        "{message}"
    );
}

#[test]
fn the_host_name_of_the_environment_wins_over_the_file() {
    let text = "hostname = \"from-file\"";
    assert_eq!(load(text, NOTHING).hostname, "from-file");
    assert_eq!(load(text, [("DOCKBELL_HOSTNAME", "from-environment")]).hostname, "from-environment");
    assert!(!load("", NOTHING).hostname.is_empty());
    assert!(
        mistakes("", [("DOCKBELL_HOSTNAME", "two words")]).starts_with("DOCKBELL_HOSTNAME: is not a host name\nhint: ")
    );
}

#[test]
fn a_secret_may_come_from_a_file_and_loses_its_newline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    fs::write(&path, "smtp://u:hunter2@mail.example.com\r\n").unwrap();
    let path = path.to_str().unwrap();
    let environment = [("DOCKBELL_SMTP_URL_FILE", path), ("DOCKBELL_MAIL_TO", "a@b.c"), ("DOCKBELL_HOSTNAME", "h")];
    assert_eq!(mail(&load("", environment), "email").server.to_string(), "smtp://u@mail.example.com:587");

    let text = format!("[sinks.ops]\ntype = \"email\"\nserver-file = \"{path}\"\nto = \"a@b.c\"\nfrom = \"d@b.c\"");
    let config = load(&text, NOTHING);
    assert_eq!(password(mail(&config, "ops")), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_variable_and_its_twin_contradict_each_other() {
    let message = mistakes(
        "",
        [("DOCKBELL_MAIL_TO", "a@b.c"), ("DOCKBELL_SMTP_URL", "smtp://m"), ("DOCKBELL_SMTP_URL_FILE", "x")],
    );
    assert_eq!(message, "DOCKBELL_SMTP_URL_FILE: is set, and `DOCKBELL_SMTP_URL` too\nhint: unset one of the two");
}

#[test]
fn what_is_wrong_in_the_environment_is_told_with_the_variable_and_without_the_secret() {
    for (environment, start) in [
        (vec![("DOCKBELL_SMTP_URL", "smtp://u:hunter2@/")], "DOCKBELL_SMTP_URL: is not the URL of a mail server\n"),
        (vec![("DOCKBELL_SMTP_URL", "smtp://m")], "DOCKBELL_MAIL_TO: is missing, and `DOCKBELL_SMTP_URL` is set\n"),
        (
            vec![("DOCKBELL_SMTP_URL", "smtp://m"), ("DOCKBELL_MAIL_TO", "a@b.c,ops")],
            "DOCKBELL_MAIL_TO: `ops` is not a mail address\n",
        ),
        (
            vec![("DOCKBELL_SMTP_URL", "smtp://m"), ("DOCKBELL_MAIL_TO", ",")],
            "DOCKBELL_MAIL_TO: is missing, and `DOCKBELL_SMTP_URL` is set\n",
        ),
        (
            vec![
                ("DOCKBELL_SMTP_URL", "smtp://m"),
                ("DOCKBELL_MAIL_TO", "a@b.c"),
                ("DOCKBELL_MAIL_FROM", "hunter://x"),
            ],
            "DOCKBELL_MAIL_FROM: what is there is not a mail address\n",
        ),
        (
            vec![("DOCKBELL_SMTP_URL", "smtp://m"), ("DOCKBELL_MAIL_TO", "a@b.c"), ("DOCKBELL_HOSTNAME", "my..host")],
            "DOCKBELL_MAIL_FROM: the sender is missing, and the host name `my..host` does not make a mail address\n",
        ),
        (
            vec![("DOCKBELL_SMTP_URL_FILE", "/no/such/file")],
            "DOCKBELL_SMTP_URL_FILE: cannot read `/no/such/file`: it does not exist\n",
        ),
    ] {
        let environment = [("DOCKBELL_HOSTNAME", "h")].into_iter().chain(environment).collect();
        let message = Config::from_environment(&environment).unwrap_err().to_string();
        assert!(message.starts_with(start) && message.contains("hint: ") && !message.contains("hunter"), "{message}");
    }
}

#[test]
fn a_sink_of_the_file_and_one_of_the_environment_cannot_share_a_name() {
    let environment = [("DOCKBELL_SMTP_URL", "smtp://m"), ("DOCKBELL_MAIL_TO", "a@b.c"), ("DOCKBELL_HOSTNAME", "h")];
    let message = mistakes("[sinks.email]\ntype = \"stdout\"", environment);
    assert!(
        message.starts_with("DOCKBELL_SMTP_URL: makes a sink `email`, which the file has already\nhint: "),
        "{message}"
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let environment =
        [("DOCKER_HOST", ""), ("DOCKBELL_SMTP_URL", ""), ("DOCKBELL_MAIL_TO", ""), ("DOCKBELL_CONFIG", "")];
    let config = load("", environment);
    assert_eq!(names(&config.sinks), ["terminal"]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let text = "[engines.a]\nhost = \"/run/d.sock\"\n[engines.b]\nhost = \"unix:///run/d.sock\"\n\
                [plugins.idle]\ncomponent = \"match\"\n[sinks.idle]\ntype = \"stdout\"\n[routes.default]\nto = [\"ops\"]\n\
                [sinks.ops]\ntype = \"email\"\nserver = \"smtp://u:hunter2@relay?tls=none\"\nto = \"a@b.c\"\nfrom = \"d@b.c\"";
    let environment = [("DOCKBELL_SMPT_URL", "x"), ("DOCKBELL_MAIL_TO", "a@b.c"), ("DOCKER_CERT_PATH", "/certs")];
    assert_eq!(
        load(text, environment).warnings,
        [
            "environment variable `DOCKBELL_SMPT_URL` is not known and has no effect (did you mean `DOCKBELL_SMTP_URL`?)",
            "`DOCKBELL_MAIL_TO` has no effect without `DOCKBELL_SMTP_URL`",
            "`DOCKER_CERT_PATH` has no effect without `DOCKER_TLS_VERIFY=1`",
            "engines `a` and `b` are the same, unix:///run/d.sock: its events are told twice",
            "no route uses sink `idle`",
            "sink `ops` sends its password to `relay` without TLS: anyone between can read it",
            "no route uses plugin `idle`",
        ]
    );
}

#[test]
fn a_login_to_a_relay_on_the_own_machine_needs_no_tls() {
    let text =
        "[sinks.ops]\ntype = \"email\"\nserver = \"smtp://u:p@127.0.0.1?tls=none\"\nto = \"a@b.c\"\nfrom = \"d@b.c\"";
    assert!(load(text, NOTHING).warnings.is_empty());
}

#[test]
fn the_file_is_the_one_given_else_the_one_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    let (given, named) = (folder.path().join("given.toml"), folder.path().join("named.toml"));
    fs::write(&given, "hostname = \"given\"").unwrap();
    fs::write(&named, "hostname = \"named\"").unwrap();
    let environment = Environment::from_iter([("DOCKBELL_CONFIG", &named)]);
    assert_eq!(Config::load(Some(&given), &environment).unwrap().hostname, "given");
    assert_eq!(Config::load(None, &environment).unwrap().hostname, "named");
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let message = Config::load(Some(&missing), &Environment::default()).unwrap_err().to_string();
    let path = missing.display();
    assert!(message.starts_with(&format!("{path}: cannot read `{path}`: it does not exist\nhint: ")), "{message}");

    let environment = Environment::from_iter([("DOCKBELL_CONFIG", folder.path())]);
    let message = Config::load(None, &environment).unwrap_err().to_string();
    assert!(message.starts_with("DOCKBELL_CONFIG: cannot read `"), "{message}");
    assert!(message.contains("`: it is a directory\nhint: "), "{message}");
}

#[test]
fn neither_the_debug_form_of_the_environment_nor_that_of_an_error_shows_a_value() {
    let environment = Environment::from_iter([("DOCKBELL_SMTP_URL", "smtp://u:hunter2@m/x")]);
    let error = Config::from_environment(&environment).unwrap_err();
    assert!(!format!("{environment:?} {error:?} {error}").contains("hunter2"));
}

/// Every one-character slip in a file with two secrets: none makes the reader panic, and none shows a secret.
#[test]
fn no_slip_of_the_pen_shows_a_secret() {
    let text = "hostname = \"wéb\"\n[sinks.ops]\ntype = \"email\"\nserver = \"smtp://mail.example.com\"\nuser = \"u\"\n\
                password = \"hunter2\"\nto = [\n  \"a@b.c\",\n]\n[sinks.b]\ntype = \"email\"\nfrom = \"d@b.c\"\nto = \"a@b.c\"\n\
                server = \"smtp://u:hunter2@mail.example.com:587?tls=none\"\n\
                [sinks.c]\ntype = \"email\"\nserver = \"smtp://m\"\nuser = \"u\"\npassword = '''\nhunter2'''\nto = \"a@b.c\"\n";
    let mut rejected = 0;
    let places = text.char_indices().filter(|(at, _)| !is_inside(text, *at, "hunter2"));
    for (at, c) in places {
        for slip in ["", "\"", "'", "\n", " ", "=", "x", "[", "\\", "@", "é", "\u{1b}"] {
            let slipped = [&text[..at], slip, &text[at + c.len_utf8()..]].concat();
            if let Err(error) = Config::parse(Path::new("x"), &slipped, &Environment::default()) {
                assert!(!error.to_string().contains("hunter2"), "{slipped}\n{error}");
                rejected += 1;
            }
        }
    }
    assert!(rejected > 1000, "{rejected}");
}

fn is_inside(text: &str, at: usize, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| (start..start + word.len()).contains(&at))
}

#[test]
fn a_fallback_is_a_route_for_what_was_not_delivered() {
    let file = "fallback = \"pager\"\n[sinks.ops]\ntype = \"stdout\"\n[sinks.pager]\ntype = \"stdout\"\n";
    let config = load(file, NOTHING);
    let route = &config.routes["fallback"];
    assert_eq!(
        (route.filters.as_slice(), route.to.as_slice()),
        (&["fallback".to_owned()][..], &["pager".to_owned()][..])
    );
    let error = mistakes(&file.replace("\"pager\"\n[", "\"page\"\n["), NOTHING);
    assert!(error.contains("there is no sink `page`") && error.contains("did you mean `pager`?"), "{error}");
}

#[test]
fn what_a_plugin_is_configured_with_is_not_shown() {
    let config = load("[plugins.trouble]\ncomponent = \"match\"\nconfig = { token = \"hunter2\" }", NOTHING);
    let shown = format!("{config:?}");
    assert!(shown.contains("token") && !shown.contains("hunter2"), "{shown}");
}
