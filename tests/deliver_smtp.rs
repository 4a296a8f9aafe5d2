//! Mail through a server that behaves: with and without TLS, with and without a login.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::time::Duration;

use dockbell::config::SmtpTls;
use dockbell::deliver::{Fault as Whose, Sink};
use dockbell_tests::deliver::{Post, email, email_over, login, message, sink};
use dockbell_tests::smtp::{Certificate, Fault, Options, ScriptedSmtp, Stage, Tls};
use tempfile::NamedTempFile;

fn ca(certificate: &Certificate) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(certificate.ca_pem.as_bytes()).unwrap();
    file
}

fn wanting(login: bool, tls: Tls) -> Options {
    let login = login.then(|| ("dockbell".to_owned(), "s3cret".to_owned()));
    Options { tls, login, ..Options::default() }
}

/// Delivers one message and returns what the sink says of it.
async fn attempt(sink: &mut Sink) -> dockbell::deliver::Attempt {
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    sink.deliver(&sealed).await
}

#[tokio::test]
async fn a_relay_without_login_and_tls_takes_a_mail() {
    let server = ScriptedSmtp::start().await;
    let outbox = Post::mail(&email(server.port())).await;
    outbox.send("ops", &message(1, "web died")).await;
    let mail = server.wait_for(1).await.remove(0);
    assert_eq!(mail.from, "dockbell@example.com");
    assert_eq!(mail.to, ["ops@example.com"]);
    assert!(mail.bytes.starts_with(b"From: \"dockbell\" <") || mail.bytes.starts_with(b"From: dockbell <"));
    assert_eq!(outbox.close(Duration::from_secs(5)).await.lost(), 0);
}

#[tokio::test]
async fn a_login_goes_over_starttls() {
    let certificate = Certificate::valid();
    let server = ScriptedSmtp::start_with(wanting(true, Tls::StartTls(certificate.clone()))).await;
    let ca = ca(&certificate);
    let mut config = email_over(SmtpTls::StartTls, server.port(), Some(ca.path().to_owned()));
    config.server.login = Some(login("s3cret"));
    let outcome = attempt(&mut sink(&config)).await;
    assert_eq!(outcome.accepted.len(), 1, "{outcome:?}");
    assert_eq!(server.mails().len(), 1);
    let commands = server.commands();
    let clear: Vec<_> = commands.iter().filter(|command| !command.encrypted).map(|command| &command.line).collect();
    assert_eq!(clear, ["EHLO [127.0.0.1]", "STARTTLS"]);
}

#[tokio::test]
async fn a_login_goes_over_implicit_tls() {
    let certificate = Certificate::valid();
    let server = ScriptedSmtp::start_with(wanting(true, Tls::Implicit(certificate.clone()))).await;
    let ca = ca(&certificate);
    let mut config = email_over(SmtpTls::Implicit, server.port(), Some(ca.path().to_owned()));
    // `localhost` has an IPv6 address too, where nobody listens: the next address is tried.
    config.server.host = "localhost".to_owned();
    config.server.login = Some(login("s3cret"));
    let outcome = attempt(&mut sink(&config)).await;
    assert_eq!(outcome.accepted.len(), 1, "{outcome:?}");
    assert!(server.commands().iter().all(|command| command.encrypted));
}

#[tokio::test]
async fn a_server_that_knows_only_login_is_logged_in_to() {
    let options = Options { mechanisms: Some("LOGIN"), ..wanting(true, Tls::None) };
    let server = ScriptedSmtp::start_with(options).await;
    let mut config = email(server.port());
    config.server.login = Some(login("s3cret"));
    assert_eq!(attempt(&mut sink(&config)).await.accepted.len(), 1);
}

#[tokio::test]
async fn no_password_is_sent_when_starttls_is_not_offered() {
    let server = ScriptedSmtp::start_with(wanting(true, Tls::None)).await;
    let mut config = email_over(SmtpTls::StartTls, server.port(), None);
    config.server.login = Some(login("s3cret"));
    let outcome = attempt(&mut sink(&config)).await;
    let failure = &outcome.failed[0].1;
    assert_eq!((failure.fault, failure.lasting), (Whose::Sink, false));
    assert!(failure.to_string().contains("does not offer STARTTLS"), "{failure}");
    assert!(failure.to_string().contains("hint: ") && failure.to_string().contains("?tls=none"), "{failure}");
    assert!(
        server.commands().iter().all(|command| !command.line.starts_with("AUTH") && !command.line.starts_with("MAIL"))
    );
}

#[tokio::test]
async fn what_is_slipped_in_behind_the_reply_to_starttls_is_not_believed() {
    let server = ScriptedSmtp::start_with(wanting(true, Tls::StartTls(Certificate::valid()))).await;
    let slipped = b"220 go ahead\r\n250-evil.example\r\n250 AUTH PLAIN LOGIN\r\n235 welcome\r\n250 ok\r\n".to_vec();
    server.once(Stage::StartTls, Fault::Bytes(slipped));
    let mut config = email_over(SmtpTls::StartTls, server.port(), None);
    config.server.login = Some(login("s3cret"));
    let outcome = attempt(&mut sink(&config)).await;
    assert_eq!(outcome.failed[0].1.fault, Whose::Sink);
    assert!(outcome.failed[0].1.error.contains("STARTTLS"), "{outcome:?}");
    assert!(server.commands().iter().all(|command| !command.line.contains("AUTH")));
    assert_eq!(server.attempts().len(), 0);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_stops_the_mail_and_says_why() {
    for (certificate, known, reason, hint) in [
        (Certificate::valid(), false, "UnknownIssuer", "ca = "),
        (Certificate::expired(), true, "expired", "renewed"),
        (Certificate::of_another_host(), true, "not valid for name", "as its certificate does"),
    ] {
        for mode in [SmtpTls::Implicit, SmtpTls::StartTls] {
            let tls = match mode {
                SmtpTls::Implicit => Tls::Implicit(certificate.clone()),
                _ => Tls::StartTls(certificate.clone()),
            };
            let server = ScriptedSmtp::start_with(wanting(true, tls)).await;
            let ca = ca(&certificate);
            let mut config = email_over(mode, server.port(), known.then(|| ca.path().to_owned()));
            config.server.login = Some(login("s3cret"));
            let outcome = attempt(&mut sink(&config)).await;
            let said = outcome.failed[0].1.to_string();
            assert!(said.contains(reason) && said.contains(hint), "{mode:?} {said}");
            assert_eq!(outcome.failed[0].1.fault, Whose::Sink);
            assert!(server.commands().iter().all(|command| !command.line.contains("AUTH")));
        }
    }
}

#[tokio::test]
async fn a_server_with_old_tls_alone_is_refused_with_the_reason() {
    let server = ScriptedSmtp::start().await;
    // The alert `protocol_version`, as a server with TLS 1.0 alone sends it.
    server.always(Stage::Connect, Fault::Bytes(vec![0x15, 3, 1, 0, 2, 2, 70]));
    let outcome = attempt(&mut sink(&email_over(SmtpTls::Implicit, server.port(), None))).await;
    assert!(outcome.failed[0].1.to_string().contains("must speak TLS 1.2"), "{outcome:?}");
}

#[tokio::test]
async fn tls_at_a_port_without_it_says_what_to_write() {
    let server = ScriptedSmtp::start().await;
    let outcome = attempt(&mut sink(&email_over(SmtpTls::Implicit, server.port(), None))).await;
    let said = outcome.failed[0].1.to_string();
    assert!(said.contains("TLS handshake") && said.contains("`smtp://`"), "{said}");
}

#[tokio::test]
async fn a_wrong_password_keeps_the_mail_and_stays_secret() {
    let server = ScriptedSmtp::start_with(wanting(true, Tls::None)).await;
    let mut config = email(server.port());
    config.server.login = Some(login("wr0ng-passw0rd"));
    let mut sink = sink(&config);
    let failure = attempt(&mut sink).await.failed.remove(0).1;
    assert_eq!((failure.fault, failure.lasting), (Whose::Sink, false));
    assert!(failure.error.contains("login: 535 5.7.8 authentication failed"), "{failure}");
    assert!(failure.to_string().contains("hint: check `user` and `password-file`"));
    for said in [failure.to_string(), format!("{sink:?}"), format!("{config:?}")] {
        assert!(!said.contains("wr0ng-passw0rd"), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_login_does_not_reveal_it() {
    for (mechanism, echo) in [
        ("PLAIN", "500 unknown: AUTH PLAIN AGRvY2tiZWxsAHMzY3JldA=="),
        ("PLAIN", "500 unknown: dockbell s3cret"),
        ("LOGIN", "500 unknown: czNjcmV0"),
        ("PLAIN", "500 unknown: auth plain DOCKBELL S3CRET"),
        ("PLAIN", "500 unknown: {\"password\":\"\\u00733cret\"}"),
        ("PLAIN", "500 unknown: &#115;3cret, %733cret"),
        ("PLAIN", "500 unknown: dXNlcjpzM2NyZXQ="),
    ] {
        let server =
            ScriptedSmtp::start_with(Options { mechanisms: Some(mechanism), ..wanting(true, Tls::None) }).await;
        server.always(Stage::Auth, Fault::reply(echo));
        let mut config = email(server.port());
        config.server.login = Some(login("s3cret"));
        let said = attempt(&mut sink(&config)).await.failed.remove(0).1.to_string();
        assert!(said.contains("[hidden]"), "{said}");
        for secret in ["s3cret", "czNjcmV0", "AGRvY2tiZWxsAHMzY3JldA"] {
            assert!(!said.to_lowercase().contains(&secret.to_lowercase()), "{said}");
        }
        for part in ["3cret", "NyZX"] {
            assert!(!said.contains(part), "{said}");
        }
    }
}

#[tokio::test]
async fn a_check_connects_and_logs_in_but_sends_nothing() {
    let certificate = Certificate::valid();
    let server = ScriptedSmtp::start_with(wanting(true, Tls::StartTls(certificate.clone()))).await;
    let ca = ca(&certificate);
    let mut config = email_over(SmtpTls::StartTls, server.port(), Some(ca.path().to_owned()));
    config.server.login = Some(login("s3cret"));
    let said = sink(&config).check().await.unwrap();
    assert_eq!(said, format!("mail server 127.0.0.1:{}, STARTTLS, login as `dockbell`", server.port()));
    let last: Vec<_> = server.commands().into_iter().map(|command| command.line).skip(4).collect();
    assert_eq!(last, ["MAIL FROM:<dockbell@example.com>", "RCPT TO:<ops@example.com>", "RSET", "QUIT"]);
    assert_eq!(server.attempts().len(), 0);

    config.server.login = Some(login("wrong"));
    let error = sink(&config).check().await.unwrap_err().to_string();
    assert!(error.starts_with("sink `ops`: 127.0.0.1:") && error.contains("535") && error.contains("hint:"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_says_so() {
    let server = ScriptedSmtp::start().await;
    let port = server.port();
    server.stop().await;
    let error = sink(&email(port)).check().await.unwrap_err().to_string();
    assert!(
        error.contains("connect: ") && error.contains("refused") && error.contains("hint: nothing listens"),
        "{error}"
    );

    let mut config = email(25);
    config.server.host = "no-such-host.invalid".to_owned();
    let error = sink(&config).check().await.unwrap_err().to_string();
    assert!(error.contains("no-such-host.invalid:25: connect") && error.contains("check the host name"), "{error}");
}

#[tokio::test]
async fn messages_that_come_together_share_a_connection() {
    let server = ScriptedSmtp::start().await;
    let outbox = Post::mail(&email(server.port())).await;
    for number in 0..5 {
        outbox.send("ops", &message(number, &format!("message {number}"))).await;
    }
    let mails = server.wait_for(5).await;
    assert_eq!(server.connections(), 1);
    for (number, mail) in mails.iter().enumerate() {
        assert!(String::from_utf8_lossy(&mail.bytes).contains(&format!("Subject: message {number}\r\n")));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_no_mail_and_no_wait() {
    let server = ScriptedSmtp::start().await;
    let mut sink = sink(&email(server.port()));
    for number in 0..3 {
        server.once(Stage::Mail, Fault::Drop);
        let sealed = sink.seal(&message(number, "web died")).unwrap();
        if number == 0 {
            assert_eq!(sink.deliver(&sealed).await.failed.len(), 1);
            continue;
        }
        // The first MAIL of a connection fails, the second works: as with a connection that waited too long.
        server.heal();
        assert_eq!(sink.deliver(&sealed).await.accepted.len(), 1);
        server.once(Stage::Mail, Fault::reply("421 too long"));
    }
    assert_eq!(server.mails().len(), 2);
}

#[tokio::test]
async fn an_idle_connection_is_given_up() {
    let server = ScriptedSmtp::start().await;
    let outbox = Post::mail(&email(server.port())).await;
    outbox.send("ops", &message(1, "web died")).await;
    server.wait_for(1).await;
    server.wait_until(Duration::from_secs(60), |server| server.open_connections() == 0).await;
    assert_eq!(server.commands().last().unwrap().line, "QUIT");
    assert_eq!(outbox.close(Duration::ZERO).await.lost(), 0);
}

#[tokio::test]
async fn addresses_that_are_none_are_refused_at_the_start() {
    use dockbell::config::SinkConfig;
    for (to, says) in [("ops", "not a mail address: `ops`"), ("a@b.example\r\nBcc: x@y.example", "not a mail address")]
    {
        let mut config = email(25);
        config.to = vec![to.to_owned()];
        let error = Sink::open("ops", &SinkConfig::Email(config), "host-1", None).unwrap_err().to_string();
        assert!(error.contains("sink `ops`") && error.contains(says) && error.contains("\nhint: "), "{error}");
    }
    let config = email_over(SmtpTls::StartTls, 25, Some("/no/such/ca.pem".into()));
    let error = Sink::open("ops", &SinkConfig::Email(config), "host-1", None).unwrap_err().to_string();
    assert!(error.contains("`/no/such/ca.pem`: No such file"), "{error}");
}
