//! Logins with an access token: it is fetched for each login, and a refused one loses no mail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockbell::config::{Auth, Config, EmailConfig, Environment, Login, Secret, SinkConfig};
use dockbell::deliver::{Failure, Fault as Whose, Sealed, Sink};
use dockbell_tests::deliver::{HOST, email, message, only_failure, sink};
use dockbell_tests::smtp::{Fault, Options, ScriptedSmtp, Stage};

/// A server that takes this token of `dockbell` alone.
async fn server(token: &str) -> ScriptedSmtp {
    let login = Some(("dockbell".to_owned(), token.to_owned()));
    ScriptedSmtp::start_with(Options { login, mechanisms: Some("LOGIN XOAUTH2"), ..Options::default() }).await
}

fn config(server: &ScriptedSmtp, secret: Secret) -> EmailConfig {
    let mut config = email(server.port());
    config.server.login = Some(Login { user: "dockbell".to_owned(), secret, auth: Auth::XOAuth2 });
    config
}

fn sealed(sink: &Sink) -> Sealed {
    sink.seal(&message(1, "web died")).unwrap()
}

fn is_the_sinks(failure: &Failure) -> bool {
    (failure.fault, failure.lasting, failure.ambiguous) == (Whose::Sink, false, false)
}

#[tokio::test]
async fn a_token_of_a_file_is_sent_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "ya29.hunter2\n").unwrap();
    let server = server("ya29.hunter2").await;
    let mut sink = sink(&config(&server, Secret::File(path)));
    let sealed = sealed(&sink);
    assert_eq!(sink.deliver(&sealed).await.failed, []);
    let auth = server.commands().into_iter().filter(|command| command.line.starts_with("AUTH")).count();
    assert_eq!((auth, server.mails().len()), (1, 1));
}

#[tokio::test]
async fn a_refused_token_is_the_fault_of_the_sink_and_the_challenge_is_answered() {
    let server = server("the right one").await;
    let mut sink = sink(&config(&server, Secret::text("hunter2")));
    let sealed = sealed(&sink);
    let failure = only_failure(sink.deliver(&sealed).await);
    assert!(is_the_sinks(&failure), "{failure:?}");
    assert!(
        failure.error.contains("login: the token is refused: 535 5.7.8 authentication failed {\"status\":\"401\""),
        "{failure}"
    );
    assert!(failure.to_string().contains("hint: check `user`, and that the token is fresh"), "{failure}");
    assert!(!failure.to_string().contains("hunter2"), "{failure}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_server_that_refuses_without_a_challenge_or_repeats_the_token_shows_no_secret() {
    let server = server("hunter2").await;
    let mut sink = sink(&config(&server, Secret::text("hunter2")));
    let sealed = sealed(&sink);
    for reply in ["535 5.7.3 token hunter2 expired", "454 4.7.0 not now", "421 4.3.2 bye"] {
        server.once(Stage::Auth, Fault::reply(reply));
        let failure = only_failure(sink.deliver(&sealed).await);
        assert!(is_the_sinks(&failure) && !failure.to_string().contains("hunter2"), "{failure}");
        assert!(failure.error.contains(&reply[..3]), "{failure}");
    }
    assert_eq!(sink.deliver(&sealed).await.failed, []);
}

#[tokio::test]
async fn a_server_that_repeats_a_long_token_shows_no_part_of_it() {
    let token: String = (0..400).map(|number| format!("{number:04}x")).collect();
    let server = server(&token).await;
    let mut sink = sink(&config(&server, Secret::text(&token)));
    let sealed = sealed(&sink);
    let sent = STANDARD.encode(format!("user=dockbell\x01auth=Bearer {token}\x01\x01"));
    for repeated in [&token, &sent] {
        server.once(Stage::Auth, Fault::reply(&format!("500 5.5.2 unknown command: AUTH XOAUTH2 {repeated}")));
        let failure = only_failure(sink.deliver(&sealed).await);
        assert!(failure.error.contains("unknown command: AUTH XOAUTH2 [hidden]"), "{failure}");
        assert!(!failure.error.contains(&repeated[..20]), "{failure}");
    }
}

#[tokio::test]
async fn a_token_that_expires_is_fetched_anew_for_the_next_login_and_no_mail_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    // Prints token-1, token-2, … as one that asks a server does.
    let script = "n=$(($(cat \"$0\" 2>/dev/null || echo 0) + 1)); echo $n > \"$0\"; echo token-$n";
    let command = ["sh", "-c", script, count.to_str().unwrap()].map(str::to_owned).to_vec();
    let server = server("token-2").await;
    let mut sink = sink(&config(&server, Secret::Command(command)));
    let sealed = sealed(&sink);
    let failure = only_failure(sink.deliver(&sealed).await);
    assert!(is_the_sinks(&failure) && failure.error.contains("535"), "{failure}");
    assert_eq!(sink.deliver(&sealed).await.failed, [], "with the next token");
    sink.rest().await;
    let failure = only_failure(sink.deliver(&sealed).await);
    assert!(is_the_sinks(&failure), "the third is refused again: {failure}");
    assert_eq!(fs::read_to_string(count).unwrap().trim(), "3", "one token for each login");
}

#[tokio::test]
async fn a_command_that_fails_lets_the_mail_wait() {
    let server = server("x").await;
    let mut sink = sink(&config(&server, Secret::Command(vec!["false".to_owned()])));
    let sealed = sealed(&sink);
    let failure = only_failure(sink.deliver(&sealed).await);
    assert!(is_the_sinks(&failure), "{failure:?}");
    assert!(failure.to_string().contains("login: command `false`: ended with exit status: 1\nhint: "), "{failure}");
}

#[tokio::test]
async fn a_server_without_xoauth2_is_told_as_such() {
    let login = Some(("dockbell".to_owned(), "x".to_owned()));
    let server = ScriptedSmtp::start_with(Options { login, ..Options::default() }).await;
    let error = sink(&config(&server, Secret::text("x"))).check().await.unwrap_err().to_string();
    assert!(error.contains("the server offers no login by XOAUTH2\nhint: leave out `auth`"), "{error}");
}

#[tokio::test]
async fn a_configuration_file_names_a_token_and_who_it_is_of() {
    let server = server("hunter2").await;
    let text = format!(
        "[sinks.ops]\ntype = \"email\"\nserver = \"smtp://127.0.0.1:{}?tls=none\"\nauth = \"xoauth2\"\nuser = \"dockbell\"\n\
         token-command = [\"echo\", \"hunter2\"]\nto = \"ops@example.com\"\nfrom = \"dockbell@example.com\"\n",
        server.port()
    );
    let config = Config::parse(Path::new("dockbell.toml"), &text, &Environment::default()).unwrap();
    let SinkConfig::Email(_) = &config.sinks["ops"] else { panic!("{config:?}") };
    let mut sink = Sink::open("ops", &config.sinks["ops"], HOST, None).unwrap();
    assert!(sink.check().await.unwrap().ends_with("login as `dockbell`"));
}
