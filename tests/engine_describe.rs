//! Who answers, which API is spoken, and what is said when nobody does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use dockbell::config::{EngineConfig, EngineTls, Host};
use dockbell::engine::{ApiVersion, Engine, EngineError, Fault};
use dockbell_tests::engine::{ScriptedEngine, Watch, container};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

fn client(config: &EngineConfig) -> Engine {
    Engine::new(Arc::from("local"), config).unwrap()
}

fn version(text: &str) -> Option<ApiVersion> {
    Some(text.parse().unwrap())
}

fn unix(path: &std::path::Path) -> EngineConfig {
    EngineConfig { host: Host::Unix(path.to_owned()), tls: None }
}

fn local(port: u16) -> EngineConfig {
    EngineConfig { host: Host::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) }, tls: None }
}

/// The error that a description ends with, checked to name the engine and to end with a hint.
async fn refusal(config: &EngineConfig) -> EngineError {
    let error = client(config).describe().await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("engine `local` at `"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with("hint: "), "{text}");
    error
}

#[tokio::test]
async fn an_engine_is_described_by_product_and_version() {
    let engine = ScriptedEngine::unix().await;
    let description = client(&engine.config()).describe().await.unwrap();
    assert_eq!(description.to_string(), "Docker 1.2.3, API 1.47");
    engine.be_podman();
    assert_eq!(client(&engine.config()).describe().await.unwrap().product, "Podman");
}

#[tokio::test]
async fn the_version_that_both_know_is_spoken_with_engines_old_and_new() {
    for (min, max, spoken) in [("1.12", "1.41", "1.41"), ("1.44", "1.52", "1.52"), ("1.44", "1.99", "1.53")] {
        let engine = ScriptedEngine::unix().await;
        engine.serve_api(min, max);
        engine.set_container("abc", r#"{"Id":"abc","State":{"ExitCode":3}}"#);
        let client = client(&engine.config());
        assert_eq!(client.describe().await.unwrap().api_version, version(spoken));
        assert_eq!(client.inspect("abc").await.unwrap().unwrap().exit_code, Some(3));
        let mut watch = Watch::live(&engine).await;
        engine.send(container("die"));
        assert_eq!(watch.next().await.action, "die");
        for path in ["/containers/abc/json", "/events?since="] {
            engine.asked(&format!("/v{spoken}{path}"), 1).await;
        }
    }
}

#[tokio::test]
async fn an_engine_that_forgot_all_we_know_is_asked_without_a_version() {
    let engine = ScriptedEngine::unix().await;
    engine.serve_api("1.60", "1.70");
    let description = client(&engine.config()).describe().await.unwrap();
    assert_eq!(description.api_version, None);
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die"));
    assert_eq!(watch.next().await.action, "die");
}

#[tokio::test]
async fn a_proxy_that_forbids_the_version_is_survived() {
    let engine = ScriptedEngine::tcp().await;
    engine.refuse("/version", 403, "<html><body><h1>403 Forbidden</h1></body></html>");
    let description = client(&engine.config()).describe().await.unwrap();
    assert_eq!(description.to_string(), "Docker 1.2.3, API 1.47", "from the headers of the ping");
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die"));
    assert_eq!(watch.next().await.action, "die");
}

#[tokio::test]
async fn a_proxy_that_forbids_the_ping_is_survived() {
    let engine = ScriptedEngine::unix().await;
    engine.refuse("/_ping", 403, "");
    let description = client(&engine.config()).describe().await.unwrap();
    assert_eq!(description.api_version, version("1.47"));
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die"));
    assert_eq!(watch.next().await.action, "die");
}

#[tokio::test]
async fn a_proxy_that_forbids_everything_is_told_with_the_grant_it_lacks() {
    let engine = ScriptedEngine::unix().await;
    for status in [401, 403] {
        engine.refuse("/_ping", status, "");
        engine.refuse("/version", status, "");
        let error = refusal(&engine.config()).await;
        assert!(matches!(error.fault, Fault::Status { status: said, .. } if said == status), "{error}");
        assert!(error.fault.hint().contains("`PING=1`"), "{error}");
    }
}

#[tokio::test]
async fn an_inspect_that_a_proxy_forbids_is_none_and_so_is_a_container_that_is_gone() {
    let engine = ScriptedEngine::unix().await;
    let client = client(&engine.config());
    client.describe().await.unwrap();
    assert_eq!(client.inspect("gone").await.unwrap(), None);
    engine.refuse("/containers/abc/json", 403, "");
    assert_eq!(client.inspect("abc").await.unwrap(), None);
    let before = engine.requests().len();
    for no_container in ["", "../events", "a/b", "a?b", "a b", "ä"] {
        assert_eq!(client.inspect(no_container).await.unwrap(), None, "{no_container:?}");
    }
    assert_eq!(engine.requests().len(), before, "the engine is not asked");
}

#[tokio::test]
async fn an_inspect_tells_how_a_container_ended() {
    let engine = ScriptedEngine::unix().await;
    engine.set_container(
        "abc",
        r#"{"Id":"abc","RestartCount":4,"State":{"Status":"exited","Running":false,"OOMKilled":true,"Restarting":true,
        "ExitCode":137,"Error":"out","StartedAt":"2026-03-01T12:00:00.5Z","FinishedAt":"0001-01-01T00:00:00Z"}}"#,
    );
    let seen = client(&engine.config()).inspect("abc").await.unwrap().unwrap();
    assert_eq!((seen.exit_code, seen.oom_killed, seen.restarting, seen.running), (Some(137), true, true, false));
    assert_eq!((seen.restart_count, seen.error.as_str()), (4, "out"));
    assert_eq!(seen.started_at.unwrap().to_string(), "2026-03-01T12:00:00.5Z");
    assert_eq!(seen.finished_at, None, "the year 1 means never");
}

#[tokio::test(start_paused = true)]
async fn an_inspect_that_gets_no_answer_ends_after_two_seconds() {
    let engine = ScriptedEngine::unix().await;
    let client = client(&engine.config());
    engine.stall(true);
    let began = tokio::time::Instant::now();
    let error = client.inspect("abc").await.unwrap_err();
    assert!(error.to_string().contains("no answer to `/containers/abc/json` within 2 s"), "{error}");
    assert!(began.elapsed().as_secs_f64() < 3.0);
}

#[tokio::test]
async fn over_tls_both_sides_prove_who_they_are() {
    let engine = ScriptedEngine::tls().await;
    client(&engine.config()).describe().await.unwrap();
    let mut watch = Watch::live(&engine).await;
    engine.send(container("die"));
    assert_eq!(watch.next().await.action, "die");

    let mut anonymous = engine.config();
    anonymous.tls.as_mut().unwrap().client = None;
    let error = refusal(&anonymous).await;
    assert!(matches!(error.fault, Fault::Tls(_)), "{error}");
    assert!(error.fault.hint().contains("cert = "), "{error}");

    let stranger = ScriptedEngine::tls().await;
    let mut config = engine.config();
    config.tls.as_mut().unwrap().ca = Some(stranger.certificates().join("ca.pem"));
    let error = refusal(&config).await;
    assert!(matches!(error.fault, Fault::Tls(_)) && error.fault.hint().contains("ca = "), "{error}");

    let mut config = engine.config();
    if let Host::Tcp { host, .. } = &mut config.host {
        "localhost".clone_into(host);
    }
    let error = refusal(&config).await;
    assert!(matches!(error.fault, Fault::Tls(_)) && error.fault.hint().contains("name or address"), "{error}");
}

#[tokio::test]
async fn tls_on_one_side_only_is_told_either_way() {
    let engine = ScriptedEngine::tcp().await;
    let certificates = ScriptedEngine::tls().await;
    let config = EngineConfig { host: engine.config().host, tls: certificates.config().tls };
    let error = refusal(&config).await;
    assert!(matches!(error.fault, Fault::Tls(_)) && error.fault.hint().contains("does not speak TLS"), "{error}");

    engine.refuse("/_ping", 400, "Client sent an HTTP request to an HTTPS server.\n");
    let error = refusal(&engine.config()).await;
    assert!(error.fault.hint().contains("DOCKER_TLS_VERIFY"), "{error}");
}

#[tokio::test]
async fn certificate_files_that_cannot_be_used_are_told_before_anything_is_connected() {
    let engine = ScriptedEngine::tls().await;
    let folder = engine.certificates();
    let refused = |tls: EngineTls| {
        let config = EngineConfig { host: engine.config().host, tls: Some(tls) };
        Engine::new(Arc::from("local"), &config).unwrap_err().to_string()
    };
    let missing = refused(EngineTls { ca: Some(folder.join("none.pem")), client: None });
    assert!(
        missing.contains("none.pem") && missing.contains("No such file") && missing.contains("hint: "),
        "{missing}"
    );
    std::fs::write(folder.join("text.pem"), "not PEM").unwrap();
    let text = refused(EngineTls { ca: Some(folder.join("text.pem")), client: None });
    assert!(text.contains("there is no certificate in it"), "{text}");
    let swapped = refused(EngineTls { ca: None, client: Some((folder.join("key.pem"), folder.join("cert.pem"))) });
    assert!(swapped.contains("key.pem") || swapped.contains("no certificate authority"), "{swapped}");
}

#[tokio::test]
async fn without_a_socket_the_hint_says_where_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(&unix(&folder.path().join("docker.sock"))).await;
    assert!(matches!(error.fault, Fault::NoSocket(_)), "{error}");
    assert!(error.to_string().contains("there is no socket `"), "{error}");
    assert!(error.fault.hint().contains("DOCKER_HOST") && error.fault.hint().contains("--volume"), "{error}");
}

/// Describes an engine as a user who may not do everything.
fn refusal_of_nobody(config: EngineConfig) -> String {
    // Only this thread becomes somebody else.
    let nobody = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(refusal(&config)).to_string()
    });
    nobody.join().unwrap()
}

#[test]
fn a_socket_of_another_group_is_told_with_the_group_that_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&socket, Permissions::from_mode(0o000)).unwrap();
    let group = socket.metadata().unwrap().gid();
    let error = refusal_of_nobody(unix(&socket));
    assert!(error.contains(&format!("permission denied on the socket `{}`", socket.display())), "{error}");
    assert!(error.contains("sudo usermod -aG docker USER"), "{error}");
    assert!(error.contains(&format!("`group_add: [\"{group}\"]`")), "{error}");
}

#[test]
fn a_socket_in_a_closed_folder_is_told_without_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let socket = closed.join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let error = refusal_of_nobody(unix(&socket));
    std::fs::set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();
    assert!(error.contains("permission denied") && error.contains("its folder must be open"), "{error}");
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let error = refusal(&unix(&socket)).await;
    assert_eq!(error.fault, Fault::Refused);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = refusal(&local(port)).await;
    assert_eq!(error.fault, Fault::Refused);
    assert!(error.to_string().contains(&format!("tcp://127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn what_does_not_speak_http_is_not_an_engine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example.org ESMTP\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    });
    let error = refusal(&local(port)).await;
    assert!(matches!(error.fault, Fault::NotAnEngine(_)), "{error}");
    server.abort();
}

#[tokio::test]
async fn a_web_server_is_not_an_engine() {
    let engine = ScriptedEngine::tcp().await;
    engine.refuse("/_ping", 404, "<html>nginx</html>");
    engine.refuse("/version", 404, "<html>nginx</html>");
    let error = refusal(&engine.config()).await;
    assert!(matches!(error.fault, Fault::NotAnEngine(_)), "{error}");

    let engine = ScriptedEngine::tcp().await;
    engine.hide_headers();
    engine.refuse("/version", 200, "welcome");
    let error = refusal(&engine.config()).await;
    assert!(
        error.to_string().contains("not a container engine: the answer to `/_ping` names no `Api-Version`"),
        "{error}"
    );
}

#[tokio::test]
async fn an_engine_that_is_ill_is_quoted() {
    let engine = ScriptedEngine::unix().await;
    engine.refuse("/_ping", 500, r#"{"message":"containerd is not running"}"#);
    let error = refusal(&engine.config()).await;
    assert!(error.to_string().contains("`/_ping` was answered with status 500: containerd is not running"), "{error}");
    assert!(error.fault.hint().contains("journalctl"), "{error}");
    engine.refuse("/_ping", 503, "<html>");
    assert!(refusal(&engine.config()).await.fault.hint().contains("proxy"), "Service Unavailable");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_answers_is_given_up_after_ten_seconds() {
    let engine = ScriptedEngine::unix().await;
    engine.stall(true);
    let error = refusal(&engine.config()).await;
    assert!(error.to_string().contains("no answer to `/_ping` within 10 s"), "{error}");
}
