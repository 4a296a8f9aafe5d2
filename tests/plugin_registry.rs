//! Components out of an OCI registry: only what the digest says is run, and what was fetched once needs no network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockbell::app::components::{Shelf, fetch};
use dockbell::config::{Config, Environment};
use dockbell::plugin::{Plugin, Runtime};
use dockbell::store::Place;
use dockbell_tests::engine::container;
use dockbell_tests::guests::Guest;
use dockbell_tests::registry::{Registry, manifest, sha256};
use dockbell_tests::rig::Rig;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

fn component() -> Vec<u8> {
    Guest::filter().component()
}

fn table(component: &str, rest: &str) -> String {
    format!("[plugins.night]\ncomponent = \"{component}\"\n{rest}\n[routes.default]\nfilters = [\"night\"]\n")
}

fn config(component: &str, rest: &str) -> Config {
    Config::parse(Path::new("/nowhere/dockbell.toml"), &table(component, rest), &Environment::default()).unwrap()
}

struct Kept {
    folder: TempDir,
    shelf: Shelf,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(&Place::Directory(folder.path().to_owned()));
        Self { folder, shelf }
    }

    fn files(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.folder.path().join("components"));
        folder.map(|files| files.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
    }

    async fn fetch(&self, config: &Config) -> Result<Config, String> {
        fetch(config, &self.shelf).await.map_err(|error| error.to_string())
    }
}

fn load(config: &Config) -> std::sync::Arc<Plugin> {
    Runtime::new().unwrap().load("night", &config.plugins["night"]).unwrap()
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[tokio::test]
async fn a_component_is_fetched_once_and_then_needs_no_registry() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let config = config(&registry.publish("plugins/night", "1.0", &component()), "");
    load(&kept.fetch(&config).await.unwrap());
    assert_eq!(registry.asked().len(), 2, "the manifest and the component");
    drop(registry);
    let fetched = kept.fetch(&config).await.unwrap();
    load(&fetched);
    assert_eq!(fetched.plugins["night"].sha256.unwrap().to_string(), sha256(&component())[7..]);
    assert_eq!(kept.files().len(), 2);
}

#[tokio::test]
async fn what_no_start_has_wanted_for_90_days_is_removed_and_what_is_wanted_stays() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let config = config(&registry.publish("plugins/night", "1.0", &component()), "");
    kept.fetch(&config).await.unwrap();
    let folder = kept.folder.path().join("components");
    let gone = [folder.join(format!("sha256-{}", "0".repeat(64))), folder.join("left-behind.new")];
    let foreign = folder.join("notes.txt");
    for file in gone.iter().chain([&foreign]) {
        fs::write(file, "").unwrap();
    }
    let age = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    for file in kept.files() {
        fs::File::open(file).unwrap().set_modified(age(100)).unwrap();
    }
    drop(registry);
    kept.fetch(&config).await.unwrap();
    assert!(gone.iter().all(|file| !file.exists()) && foreign.exists());
    assert_eq!(kept.files().len(), 3, "the manifest, the component, and what is not ours");
    for file in kept.files().iter().filter(|file| **file != foreign) {
        let renewed = fs::metadata(file).unwrap().modified().unwrap();
        assert!(renewed > age(1), "{}", file.display());
    }
}

#[tokio::test]
async fn another_manifest_or_component_than_the_digest_says_is_refused_and_not_kept() {
    let kept = Kept::new();
    let other = Guest::formatter().component();
    for (part, content) in [("/manifests/", manifest(&other)), ("/blobs/", vec![0; component().len()])] {
        let registry = Registry::start().await;
        let config = config(&registry.publish("plugins/night", "1.0", &component()), "");
        registry.exchange(part, &content);
        let message = kept.fetch(&config).await.unwrap_err();
        assert_says(&message, &["plugin `night`: `oci://127.0.0.1:", "cannot be had", "is another one"]);
        assert_says(&message, &[&sha256(&content)[7..], "\nhint: "]);
    }
    // The manifest of the second one was right.
    assert_eq!(kept.files().len(), 1);
}

#[tokio::test]
async fn a_component_that_is_cut_off_or_too_long_is_refused() {
    let kept = Kept::new();
    let registry = Registry::start().await;
    let config = config(&registry.publish("plugins/night", "1.0", &component()), "");
    registry.cut_blobs_at(100);
    let message = kept.fetch(&config).await.unwrap_err();
    assert_says(&message, &["the component has ", &format!("not {}", component().len()), "\nhint: "]);
    let registry = Registry::start().await;
    let config = self::config(&registry.publish("plugins/night", "1.0", &component()), "");
    registry.exchange("/blobs/", &vec![0; 10 << 20]);
    let message = kept.fetch(&config).await.unwrap_err();
    assert_says(&message, &[&format!("has {} bytes, not {}", component().len() + 1, component().len())]);
}

#[tokio::test]
async fn what_is_not_there_is_said_and_so_is_a_registry_that_is_not() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let published = registry.publish("plugins/night", "1.0", &component());
    let missing = config(&published.replace("plugins/night", "plugins/day"), "");
    assert_says(&kept.fetch(&missing).await.unwrap_err(), &["its manifest: 404", "\nhint: check the reference"]);
    drop(registry);
    let message = kept.fetch(&config(&published, "")).await.unwrap_err();
    assert_says(&message, &["plugin `night`", "http://127.0.0.1:"]);
}

#[tokio::test]
async fn a_manifest_without_measure_is_not_read() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let huge = vec![b' '; (4 << 20) + 1];
    let published = registry.put_manifest("plugins/night", "1.0", &component(), &huge);
    let message = kept.fetch(&config(&published, "")).await.unwrap_err();
    assert_says(&message, &["its manifest has more than 4194304 bytes"]);
}

#[tokio::test]
async fn a_container_image_is_no_component() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let image = String::from_utf8(manifest(&component())).unwrap();
    let image = image.replace("application/vnd.wasm.config.v0+json", "application/vnd.oci.image.config.v1+json");
    let published = registry.put_manifest("plugins/night", "1.0", &component(), image.as_bytes());
    let message = kept.fetch(&config(&published, "")).await.unwrap_err();
    assert_says(&message, &["it is no component", "image.config.v1+json", "\nhint: `wkg oci push`"]);
}

#[tokio::test]
async fn a_tag_alone_is_refused_with_the_line_to_write() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let pinned = registry.publish("plugins/night", "1.0", &component());
    let tag = pinned.split_once('@').unwrap().0.to_owned() + ":1.0";
    let message = kept.fetch(&config(&tag, "")).await.unwrap_err();
    let line = format!("write `component = \"{}\"`", pinned.replace("/night@", "/night:1.0@"));
    assert_says(&message, &["a tag may be another component tomorrow", "\nhint: ", &line]);
    assert!(kept.files().is_empty());
    load(&kept.fetch(&config(&pinned.replace("/night@", "/night:1.0@"), "")).await.unwrap());
}

#[tokio::test]
async fn a_token_is_got_where_the_registry_wants_one() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let config = config(&registry.publish("plugins/night", "1.0", &component()), "");
    registry.want_token(None);
    load(&kept.fetch(&config).await.unwrap());
    let asked = registry.asked();
    let tokens: Vec<&str> = asked.iter().map(|asked| &*asked.path).filter(|path| path.contains("/token")).collect();
    assert_eq!(tokens, ["/token?service=registry&scope=repository%3Aplugins%2Fnight%3Apull"], "once");
}

#[tokio::test]
async fn a_login_goes_to_those_alone_who_ask_for_it() {
    let (registry, elsewhere, kept) = (Registry::start().await, Registry::start().await, Kept::new());
    let published = registry.publish("plugins/night", "1.0", &component());
    let _ = elsewhere.publish("plugins/night", "1.0", &component());
    let login = format!("Basic {}", STANDARD.encode("me:hunter2"));
    registry.want_token(Some(&login));
    registry.keep_blobs_at(&elsewhere.origin());
    let message = kept.fetch(&config(&published, "")).await.unwrap_err();
    assert_says(&message, &["a token was not given", "403"]);
    let file = kept.folder.path().join("config.json");
    for (logins, is_right) in [
        (r#"{"auths": {"other:5000": {"auth": "bWU6aHVudGVyMg=="}}}"#.to_owned(), false),
        (format!(r#"{{"auths": {{"{}": {{"auth": "bWU6aHVudGVyMg=="}}}}}}"#, registry.address()), true),
    ] {
        fs::write(&file, logins).unwrap();
        let config = config(&published, &format!("login-file = \"{}\"", file.display()));
        assert_eq!(kept.fetch(&config).await.is_ok(), is_right);
    }
    let shown = |asked: &dockbell_tests::registry::Asked| asked.authorization.as_deref() == Some(&login);
    assert!(registry.asked().iter().all(|asked| asked.path.starts_with("/token") || !shown(asked)));
    assert!(elsewhere.asked().iter().all(|asked| asked.authorization.is_none()), "nobody else sees the token");
    assert_eq!(elsewhere.asked().len(), 1);
    fs::write(&file, "password: hunter2").unwrap();
    let other = Kept::new();
    let config = config(&published, &format!("login-file = \"{}\"", file.display()));
    let message = other.fetch(&config).await.unwrap_err();
    assert!(message.contains("is no file of logins") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn a_blob_that_leads_in_a_circle_is_given_up() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let config = config(&registry.publish("plugins/night", "1.0", &component()), "");
    registry.keep_blobs_at(&registry.origin());
    assert_says(&kept.fetch(&config).await.unwrap_err(), &["the registry leads elsewhere: again and again"]);
}

#[tokio::test]
async fn what_was_kept_and_is_damaged_is_fetched_anew() {
    let (registry, kept) = (Registry::start().await, Kept::new());
    let config = config(&registry.publish("plugins/night", "1.0", &component()), "");
    kept.fetch(&config).await.unwrap();
    for file in kept.files() {
        fs::write(file, "something else").unwrap();
    }
    load(&kept.fetch(&config).await.unwrap());
    for file in kept.files() {
        fs::write(file, "something else").unwrap();
    }
    drop(registry);
    assert!(kept.fetch(&config).await.is_err(), "it is not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_checks_and_runs_it_and_starts_again_without_the_registry() {
    let (rig, registry) = (Rig::new(DOCKBELL).await, Registry::start().await);
    let mut nobody = Guest::filter();
    nobody.accept("(call $answer (i32.const 0))");
    let published = registry.publish("plugins/night", "1.0", &nobody.component());
    let routes = table(&published, "timeout = \"10s\"")
        + "settle = \"0s\"\nwindow = \"50ms\"\nformatter = \"json\"\nto = [\"ops\"]\n\
           [routes.all]\nfilters = []\nformatter = \"plain\"\nsettle = \"0s\"\nwindow = \"0s\"\nto = [\"terminal\"]\n\
           [sinks.terminal]\ntype = \"stdout\"\n";
    rig.configure("", &routes);
    let mut check = dockbell_tests::program::program(DOCKBELL);
    check.arg("check").arg("--config").arg(rig.file("dockbell.toml")).arg("--state").arg(rig.state());
    let checked = check.output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.contains("plugin night: filter"), "{said}");
    drop(registry);
    let program = rig.start().await;
    rig.engine.send(container("die").name("web"));
    program.output(|output| output.contains("web die"));
    let ended = program.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(rig.told().is_empty(), "the filter from the registry lets nothing pass");
}
