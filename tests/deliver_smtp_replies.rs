//! Replies of mail servers in any bytes: the code decides at each stage, and each reply belongs to one command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::time::Duration;

use dockbell::config::SmtpTls;
use dockbell::deliver::{Failure, Fault as Whose};
use dockbell::store::Place;
use dockbell_tests::deliver::{Post, email, email_over, login, message, sink, soon};
use dockbell_tests::smtp::{Certificate, Fault, Options, ScriptedSmtp, Stage, Tls};
use tempfile::NamedTempFile;

/// "Not known" in GBK, as qq.com writes it.
const GBK: &[u8] = b"\xca\xd5\xbc\xfe\xc8\xcb\xb2\xbb\xb4\xe6\xd4\xda";

/// One reply with a code in each form that counts: with GBK, with Latin-1 over two lines, and without any text.
fn forms(code: &str) -> [Vec<u8>; 3] {
    let code = code.as_bytes();
    [
        [code, b" ", GBK, b"\r\n"].concat(),
        [code, b"-Gr\xfc\xdfe\r\n", code, b" \xe9\xe8\r\n"].concat(),
        [code, b"\r\n"].concat(),
    ]
}

/// What a server offers, in each of these forms.
fn offers() -> [Vec<u8>; 3] {
    [
        [b"250-", GBK, b"\r\n250-STARTTLS\r\n250-", GBK, b"\r\n250 AUTH PLAIN\r\n"].concat(),
        b"250-Gr\xfc\xdfe\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n".to_vec(),
        b"250-\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250\r\n".to_vec(),
    ]
}

async fn failure(server: &ScriptedSmtp) -> Failure {
    let mut sink = sink(&email(server.port()));
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    sink.deliver(&sealed).await.failed.remove(0).1
}

#[tokio::test]
async fn a_mail_is_delivered_once_whatever_bytes_the_replies_have() {
    let certificate = Certificate::valid();
    let mut ca = NamedTempFile::new().unwrap();
    ca.write_all(certificate.ca_pem.as_bytes()).unwrap();
    for (form, offers) in offers().into_iter().enumerate() {
        let server = ScriptedSmtp::start_with(Options {
            tls: Tls::StartTls(certificate.clone()),
            login: Some(("dockbell".to_owned(), "s3cret".to_owned())),
            ..Options::default()
        })
        .await;
        server.always(Stage::Ehlo, Fault::Says(offers));
        for (stage, code) in [
            (Stage::Greeting, "220"),
            (Stage::StartTls, "220"),
            (Stage::Auth, "235"),
            (Stage::Mail, "250"),
            (Stage::Rcpt, "250"),
            (Stage::Data, "354"),
            (Stage::Dot, "250"),
            (Stage::Other, "250"),
            (Stage::Quit, "221"),
        ] {
            server.always(stage, Fault::Says(forms(code)[form].clone()));
        }
        let mut config = email_over(SmtpTls::StartTls, server.port(), Some(ca.path().to_owned()));
        config.server.login = Some(login("s3cret"));
        let mut sink = sink(&config);
        for number in 0..2 {
            let sealed = sink.seal(&message(number, "web died")).unwrap();
            assert_eq!(sink.deliver(&sealed).await.failed, [], "form {form}");
        }
        sink.rest().await;
        assert!(sink.check().await.is_ok(), "form {form}");
        assert_eq!((server.mails().len(), server.attempts().len(), server.connections()), (2, 2, 2));
    }
}

#[tokio::test]
async fn an_accepted_mail_is_not_sent_again_for_the_text_of_the_reply() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Dot, Fault::Says([b"250 ", GBK, b"\r\n"].concat()));
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), soon()).await;
    outbox.send("ops", &message(1, "web died")).await;
    tokio::time::timeout(Duration::from_secs(20), outbox.all_told()).await.expect("it is delivered");
    assert_eq!((server.mails().len(), server.attempts().len()), (1, 1));
    let stats = outbox.stats("ops").unwrap().borrow().clone();
    assert_eq!((stats.delivered, stats.ambiguous), (1, 0));
}

#[tokio::test]
async fn a_refusal_is_whose_fault_it_is_whatever_bytes_it_has() {
    use Stage::{Data, Dot, Ehlo, Greeting, Mail, Rcpt};
    for (stage, code, fault, lasting) in [
        (Greeting, "554", Whose::Sink, false),
        (Ehlo, "502", Whose::Sink, false),
        (Mail, "452", Whose::Sink, false),
        (Rcpt, "450", Whose::Recipient, false),
        (Rcpt, "550", Whose::Recipient, true),
        (Data, "451", Whose::Message, false),
        (Dot, "554", Whose::Message, true),
        (Dot, "421", Whose::Sink, false),
    ] {
        for form in forms(code) {
            let server = ScriptedSmtp::start().await;
            server.always(stage, Fault::Bytes(form.clone()));
            let failure = failure(&server).await;
            let shown = form.escape_ascii();
            assert_eq!(
                (failure.fault, failure.lasting, failure.ambiguous),
                (fault, lasting, false),
                "{stage:?} {shown}"
            );
            assert!(failure.error.contains(&format!(": {code}")), "{failure}");
        }
    }
}

#[tokio::test]
async fn one_recipient_refused_in_other_bytes_does_not_hold_back_the_other() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Rcpt, Fault::Bytes([b"550 ", GBK, b"\r\n"].concat()));
    let mut config = email(server.port());
    config.to = ["gone@example.com", "ops@example.com"].map(str::to_owned).to_vec();
    let mut sink = sink(&config);
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    let attempt = sink.deliver(&sealed).await;
    assert_eq!(attempt.accepted, ["ops@example.com".into()]);
    let (gone, failure) = &attempt.failed[0];
    assert_eq!((&**gone, failure.fault, failure.lasting), ("gone@example.com", Whose::Recipient, true));
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_whatever_bytes_the_refusal_has() {
    for form in forms("535") {
        let options = Options { login: Some(("dockbell".to_owned(), "s3cret".to_owned())), ..Options::default() };
        let server = ScriptedSmtp::start_with(options).await;
        server.always(Stage::Auth, Fault::Bytes(form));
        let mut config = email(server.port());
        config.server.login = Some(login("s3cret"));
        let error = sink(&config).check().await.unwrap_err().to_string();
        assert!(error.contains("login: 535") && error.contains("hint: check `user`"), "{error}");
    }
}

#[tokio::test]
async fn a_reply_that_comes_before_the_end_of_the_message_is_none_to_it() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Data, Fault::Says(b"354 go on\r\n250 2.0.0 taken\r\n".to_vec()));
    server.always(Stage::Dot, Fault::Drop);
    let failure = failure(&server).await;
    assert_eq!((failure.fault, failure.lasting, failure.ambiguous), (Whose::Sink, false, false), "{failure}");
    assert!(failure.error.contains("sending the message: answered before it was asked: 250 2.0.0 taken"), "{failure}");
    assert_eq!(server.attempts().len(), 0, "the end is not sent any more");
}

#[tokio::test]
async fn a_refusal_before_the_end_of_the_message_is_one_of_the_message() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Data, Fault::Says(b"354 go on\r\n552 5.3.4 too big\r\n".to_vec()));
    let failure = failure(&server).await;
    assert_eq!((failure.fault, failure.lasting, failure.ambiguous), (Whose::Message, true, false), "{failure}");
    assert!(failure.error.contains("sending the message: 552 5.3.4 too big"), "{failure}");
}

#[tokio::test]
async fn a_reply_too_many_is_not_taken_for_that_to_the_next_command() {
    for (stage, reply) in [
        (Stage::Greeting, &b"220 hello\r\n250 AUTH PLAIN\r\n"[..]),
        (Stage::Mail, b"250 ok\r\n550 5.1.1 nobody\r\n"),
        (Stage::Rcpt, b"250 ok\r\n354 go on\r\n"),
        (Stage::Rcpt, b"250 ok\r\n354 go on\r\n250 taken\r\n"),
    ] {
        let server = ScriptedSmtp::start().await;
        server.always(stage, Fault::Says(reply.to_vec()));
        let failure = failure(&server).await;
        assert_eq!((failure.fault, failure.lasting, failure.ambiguous), (Whose::Sink, false, false), "{failure}");
        assert!(failure.error.contains("answered before it was asked"), "{failure}");
        assert_eq!(server.attempts().len(), 0);
    }
}
