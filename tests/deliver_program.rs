//! The program as a process, from an engine's event to a webhook and a chat service.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

use dockbell_tests::engine::{ScriptedEngine, container};
use dockbell_tests::http_server::ScriptedHttp;
use dockbell_tests::program::{Program, program};
use dockbell_tests::proxy::ScriptedProxy;
use dockbell_tests::smtp::Certificate;
use tempfile::TempDir;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// A configuration with a webhook and a chat service, whose URLs hold a secret.
fn configure(folder: &Path, engine: &ScriptedEngine, hook: &str, chat: &str) {
    let text = format!(
        "[engines.local]\nhost = \"{}\"\n[routes.default]\nsettle = \"0s\"\nwindow = \"0s\"\n\
         [sinks.hook]\ntype = \"webhook\"\nurl = \"{hook}\"\nallow-loopback = true\n\
         [sinks.chat]\ntype = \"notify\"\nurl = \"{chat}\"\nallow-loopback = true\n",
        engine.host()
    );
    fs::write(folder.join("dockbell.toml"), text).unwrap();
}

fn dockbell(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program(DOCKBELL);
    command
        .args(arguments)
        .arg("--config")
        .arg(folder.join("dockbell.toml"))
        .env("DOCKBELL_STATE", folder.join("state"));
    command.env("DOCKBELL_LOG", "debug,dockbell=trace");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_reaches_a_webhook_and_a_chat_service_and_no_log_shows_their_urls() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let (hook, chat) = (ScriptedHttp::start().await, ScriptedHttp::start().await);
    let chat_url = format!("gotify://{}/hunter2.hunter2", chat.address());
    configure(folder.path(), &engine, &hook.url("/hunter2"), &chat_url);
    let dockbell = Program::start(&mut dockbell(folder.path(), &[]));
    engine.subscribed(1).await;
    engine.send(container("die").name("worker").attribute("exitCode", "3"));
    let hooked = hook.wait_for(1).await.remove(0);
    let chatted = chat.wait_for(1).await.remove(0);
    assert_eq!(hooked.path, "/hunter2");
    assert!(hooked.json()["text"].as_str().unwrap().contains("worker"), "{:?}", hooked.json());
    assert_eq!(chatted.path, "/message");
    assert!(String::from_utf8_lossy(&chatted.body).contains("worker"));
    let ended = dockbell.terminate();
    assert!(!format!("{}{}", ended.output, ended.log).contains("hunter2"), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_of_webhooks_and_chat_services_what_works_and_sends_nothing() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let (hook, chat) = (ScriptedHttp::start().await, ScriptedHttp::start().await);
    let chat_url = format!("gotify://{}/hunter2.hunter2", chat.address());
    configure(folder.path(), &engine, &hook.url("/hunter2"), &chat_url);
    let check = || Program::start(&mut dockbell(folder.path(), &["check"])).ended();
    let good = check();
    assert_eq!(good.status.code(), Some(0), "{}", good.output);
    for line in [
        format!("ok    sink hook: webhook POST http://{}, not signed", hook.address()),
        format!("ok    sink chat: gotify by http://{}", chat.address()),
    ] {
        assert!(good.output.contains(&line), "{line}: {}", good.output);
    }
    assert!(hook.received().is_empty() && chat.received().is_empty());

    chat.stop().await;
    let bad = check();
    assert_eq!(bad.status.code(), Some(1), "{}", bad.output);
    assert!(bad.output.contains("FAIL  sink chat: http://127.0.0.1:"), "{}", bad.output);
    assert!(bad.output.contains("ok    sink hook") && !bad.output.contains("hunter2"), "{}", bad.output);
}

/// The login `ops:hunter2`, as a proxy is shown it.
const LOGIN: &str = "Basic b3BzOmh1bnRlcjI=";

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_and_chats_of_hosts_that_only_a_proxy_knows_go_through_it() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let certificate = Certificate::of(&["hooks.example.invalid"]);
    let (hook, chat) = (ScriptedHttp::start_with(Some(certificate.clone())).await, ScriptedHttp::start().await);
    let proxies =
        [ScriptedProxy::start(hook.address(), LOGIN).await, ScriptedProxy::start(chat.address(), LOGIN).await];
    configure(
        folder.path(),
        &engine,
        "https://hooks.example.invalid/in",
        "gotify://chat.example.invalid:8080/hunter2.hunter2",
    );
    let path = folder.path().join("dockbell.toml");
    fs::write(folder.path().join("ca.pem"), &certificate.ca_pem).unwrap();
    let text = fs::read_to_string(&path).unwrap().replace("[sinks.chat]", "ca = \"ca.pem\"\n[sinks.chat]");
    fs::write(&path, text).unwrap();
    let with_proxies = |arguments: &[&str]| {
        let [https, http] = proxies.each_ref().map(|proxy| format!("http://ops:hunter2@{}", proxy.address()));
        let mut command = dockbell(folder.path(), arguments);
        command.env("HTTPS_PROXY", https).env("http_proxy", http);
        Program::start(&mut command)
    };

    let checked = with_proxies(&["check"]).ended();
    assert_eq!(checked.status.code(), Some(0), "{}", checked.output);
    for line in [
        format!(
            "ok    sink hook: webhook POST https://hooks.example.invalid through the proxy http://{} (HTTPS_PROXY), not signed",
            proxies[0].address()
        ),
        format!(
            "ok    sink chat: gotify by http://chat.example.invalid:8080 through the proxy http://{} (http_proxy)",
            proxies[1].address()
        ),
    ] {
        assert!(checked.output.contains(&line), "{line}: {}", checked.output);
    }
    assert!(hook.received().is_empty() && chat.received().is_empty());

    let watching = with_proxies(&[]);
    engine.subscribed(1).await;
    engine.send(container("die").name("worker").attribute("exitCode", "3"));
    let hooked = hook.wait_for(1).await.remove(0);
    let chatted = chat.wait_for(1).await.remove(0);
    assert_eq!((hooked.path.as_str(), hooked.header("host")), ("/in", Some("hooks.example.invalid")));
    assert_eq!(hooked.header("proxy-authorization"), None, "it is for the proxy alone");
    assert_eq!(chatted.path, "http://chat.example.invalid:8080/message", "a proxy reads what is not encrypted");
    let ended = watching.terminate();
    let asked = proxies[0].heads();
    assert!(asked.iter().all(|head| head.starts_with("CONNECT hooks.example.invalid:443 HTTP/1.1\r\n")), "{asked:?}");
    let said = format!("{}{}{}{}", checked.output, checked.log, ended.output, ended.log);
    assert!(!said.contains("hunter2") && !said.contains(LOGIN), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_or_cannot_be_used_is_named_with_its_variable_and_nothing_goes_around_it() {
    let (engine, folder) = (ScriptedEngine::unix().await, TempDir::new().unwrap());
    let server = ScriptedHttp::start().await;
    let proxy = ScriptedProxy::start(server.address(), LOGIN).await;
    let check = |hook: &str, value: &str| {
        configure(folder.path(), &engine, hook, "gotify://127.0.0.1:1/hunter2.hunter2");
        let mut command = dockbell(folder.path(), &["check"]);
        Program::start(command.env("ALL_PROXY", value)).ended()
    };
    let wrong = format!("http://ops:sesame@{}", proxy.address());
    let refused = check("https://hooks.example.invalid/in", &wrong);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.output);
    for words in [
        &format!("through the proxy http://{} (ALL_PROXY): connect: the proxy answers 407", proxy.address()),
        "hint: check host, port and login in `ALL_PROXY`; a host in `NO_PROXY` is connected to without a proxy",
    ] {
        assert!(refused.output.contains(words), "{words}: {}", refused.output);
    }
    assert!(!refused.output.contains("sesame"), "{}", refused.output);
    assert!(refused.output.contains("FAIL  sink chat: http://127.0.0.1:1: connect: "), "{}", refused.output);
    assert_eq!(proxy.heads().len(), 1, "this machine needs no proxy");

    let none = check("https://hooks.example.invalid/in", "");
    assert!(
        none.output.contains("hint: check the host name in the URL, and the network; where only a proxy leads out"),
        "{}",
        none.output
    );

    let socks = check("https://hooks.example.invalid/in", "socks5://127.0.0.1:1080");
    assert!(socks.output.contains("the value of `ALL_PROXY` is not the URL of a proxy"), "{}", socks.output);

    let metadata = check("http://169.254.169.254/in", &format!("http://ops:hunter2@{}", proxy.address()));
    assert!(metadata.output.contains("169.254.169.254 is a link-local address"), "{}", metadata.output);
    assert_eq!(proxy.heads().len(), 1, "it was not asked for that");
}
