//! A container crashes on a real engine, and a real mail server (aiosmtpd) gets the mail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::Command;

use dockbell_tests::docker::{Container, engine};
use dockbell_tests::program::{Program, program};
use dockbell_tests::smtp_server::{ReceivedMail, SmtpServer};

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");

/// Runs the program, lets a container crash, and answers its name, the mail about that, and all that the program logged.
fn crash(dockbell: &mut Command, server: &SmtpServer) -> (String, ReceivedMail, String) {
    let docker = engine();
    let dockbell = Program::start(dockbell.env("DOCKER_HOST", docker.host()).env("DOCKBELL_HOSTNAME", "küche"));
    dockbell.logged("reads the events of");
    let web = Container::create(&docker, "web", &["--label", "note=<b>&amp;"], &["exit", "3"]).started();
    let died = format!("{} die (exit 3", web.name());
    dockbell.output(|output| output.contains(&died));
    let ended = dockbell.terminate();
    assert!(ended.status.success(), "{ended:?}");
    // The first mail may tell no more than the start.
    let mut mails = std::iter::repeat_with(|| server.next_mail());
    let is_it = |line: &str| line.contains(web.name()) && line.contains("exit 3");
    let mail = mails.find(|mail| mail.part("text/plain").unwrap().lines().any(is_it)).unwrap();
    (web.name().to_owned(), mail, ended.log)
}

fn assert_tells(mail: &ReceivedMail, container: &str) {
    assert_eq!(mail.defects, Vec::<String>::new());
    assert_eq!(mail.sender, "bell@example.com");
    assert_eq!(mail.recipients, ["ops@example.com"]);
    assert_eq!(mail.kind, "multipart/alternative");
    let subject = mail.header("Subject").unwrap();
    assert!(subject.starts_with("[küche] "), "{subject}");
    for kind in ["text/plain", "text/html"] {
        let text = mail.part(kind).unwrap();
        assert!(text.contains(container) && text.contains("exit 3"), "{kind}: {text}");
    }
    assert!(!mail.part("text/html").unwrap().contains("<b>&amp;"), "what comes from a label is escaped");
    for header in ["Date", "Message-ID", "From", "To", "Auto-Submitted"] {
        assert!(mail.header(header).is_some_and(|value| !value.is_empty()), "{header}: {:?}", mail.headers);
    }
    assert!(mail.longest_line <= 998, "{} bytes (RFC 5322)", mail.longest_line);
}

#[test]
fn a_relay_without_tls_and_login_gets_the_mail() {
    let server = SmtpServer::start(&[]);
    let mut dockbell = program(DOCKBELL);
    dockbell.env("DOCKBELL_SMTP_URL", format!("smtp://127.0.0.1:{}?tls=none", server.port()));
    dockbell.env("DOCKBELL_MAIL_FROM", "bell@example.com").env("DOCKBELL_MAIL_TO", "ops@example.com");
    let (container, mail, _) = crash(&mut dockbell, &server);
    assert_tells(&mail, &container);
    assert!(!mail.encrypted && mail.user.is_none());
}

#[test]
fn a_server_with_starttls_and_login_gets_the_mail_and_nothing_shows_the_password() {
    let server = SmtpServer::start(&["starttls", "login"]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "p@ss/w#rd\n").unwrap();
    let config = folder.path().join("dockbell.toml");
    let text = format!(
        "[routes.mail]
         to = [\"ops\"]
         [routes.terminal]
         formatter = \"plain\"
         settle = \"0s\"
         window = \"0s\"
         to = [\"terminal\"]
         [sinks.terminal]
         type = \"stdout\"
         [sinks.ops]
         type = \"email\"
         server = \"smtp://localhost:{}\"
         ca = {:?}
         user = \"bell\"
         password-file = \"password\"
         from = \"bell@example.com\"
         to = [\"ops@example.com\"]",
        server.port(),
        server.ca()
    );
    fs::write(&config, text).unwrap();
    let (container, mail, log) =
        crash(program(DOCKBELL).arg("--config").arg(&config).env("DOCKBELL_LOG", "trace"), &server);
    assert_tells(&mail, &container);
    assert!(mail.encrypted);
    assert_eq!(mail.user.as_deref(), Some("bell"));
    for secret in ["p@ss/w#rd", "p%40ss", "cEBzcy93I3Jk", "AGJlbGwAcEBzcy93I3Jk"] {
        assert!(!log.contains(secret), "the log shows the password, also as base64: {secret}");
    }
}
