//! What a server refuses of the session, not of a mailbox: the mails wait, a check finds it, and the hint says what to change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell::config::{Config, EmailConfig, Environment, SinkConfig, SmtpTls};
use dockbell::deliver::{Attempt, Fault as Whose, Retry, Sink, Trouble};
use dockbell::store::Place;
use dockbell_tests::deliver::{Post, email, email_over, login, message, sink, soon};
use dockbell_tests::smtp::{Certificate, Fault, Options, ScriptedSmtp, Stage, Tls};
use tokio::time::Instant;

async fn deliver(sink: &mut Sink) -> Attempt {
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    sink.deliver(&sealed).await
}

fn to_two(server: &ScriptedSmtp) -> EmailConfig {
    let mut config = email(server.port());
    config.to = ["ops@example.com", "dev@example.com"].map(str::to_owned).to_vec();
    config
}

#[tokio::test]
async fn a_refusal_of_the_session_that_comes_at_rcpt_holds_the_sink_and_says_what_to_change() {
    for (reply, hint) in [
        ("504 5.5.2 <web-1>: Helo command rejected: need fully-qualified hostname", "set `ehlo`"),
        ("450 4.7.1 <web-1>: Helo command rejected: Host not found", "set `ehlo`"),
        ("554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied", "log in (`user`"),
        ("550 relay not permitted", "log in (`user`"),
        ("454 4.7.1 <ops@example.com>: Relay access denied", "log in (`user`"),
        ("553 5.7.1 <dockbell@example.com>: Sender address rejected: not owned by user", "check `from`"),
        ("550 5.7.1 no", "log in (`user`"),
        ("530 5.7.0 log in", "wants a login"),
    ] {
        let server = ScriptedSmtp::start().await;
        server.always(Stage::Rcpt, Fault::reply(reply));
        for config in [email(server.port()), to_two(&server)] {
            let attempt = deliver(&mut sink(&config)).await;
            assert_eq!(attempt.failed.len(), config.to.len());
            for (_, failure) in attempt.failed {
                assert_eq!((failure.fault, failure.lasting), (Whose::Sink, false), "{reply}: {failure}");
                assert!(failure.error.contains(reply) && failure.to_string().contains(hint), "{failure}");
            }
            let error = sink(&config).check().await.unwrap_err().to_string();
            assert!(error.contains(reply) && error.contains(hint), "{error}");
        }
    }
}

#[tokio::test]
async fn mails_wait_while_the_server_refuses_the_session_and_are_delivered_when_it_no_longer_does() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Rcpt, Fault::reply("554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied"));
    let retry = Retry { patience: Duration::from_millis(100), ..soon() };
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), retry).await;
    for number in 0..3 {
        outbox.send("ops", &message(number, "web died")).await;
    }
    let mut stats = outbox.stats("ops").unwrap();
    stats.wait_for(|stats| stats.retried >= 8).await.unwrap();
    assert!(stats.borrow().down.as_deref().unwrap().contains("Client host rejected"));
    let [Trouble::SinkFailed { error, .. }] = &outbox.troubles()[..] else { panic!("{:?}", outbox.troubles()) };
    assert!(error.contains("Client host rejected"), "{error}");
    server.heal();
    server.wait_for(3).await;
    outbox.all_told().await;
    let stats = stats.borrow_and_update().clone();
    assert_eq!((stats.delivered, stats.refused, stats.down), (3, 0, None));
}

#[tokio::test]
async fn what_is_refused_to_one_of_several_recipients_is_his() {
    let server = ScriptedSmtp::start().await;
    server.recipient("dev@example.com", "550 5.7.1 not allowed");
    let mut sink = sink(&to_two(&server));
    let attempt = deliver(&mut sink).await;
    assert_eq!(attempt.accepted, ["ops@example.com".into()]);
    let failure = &attempt.failed[0].1;
    assert_eq!((failure.fault, failure.lasting), (Whose::Recipient, true), "{failure}");

    // He alone is left of a message that others have got: he holds back nobody, and is not given up either.
    let mut sealed = sink.seal(&message(2, "web died")).unwrap();
    sealed.pending.retain(|to| &**to == "dev@example.com");
    let failure = sink.deliver(&sealed).await.failed.remove(0).1;
    assert_eq!((failure.fault, failure.lasting), (Whose::Recipient, false), "{failure}");
}

#[tokio::test]
async fn all_recipients_that_do_not_exist_are_given_up() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Rcpt, Fault::reply("550 5.1.1 no such user"));
    for (_, failure) in deliver(&mut sink(&to_two(&server))).await.failed {
        assert_eq!((failure.fault, failure.lasting), (Whose::Recipient, true), "{failure}");
    }
    let error = sink(&to_two(&server)).check().await.unwrap_err().to_string();
    assert!(error.contains("ops@example.com: 127.0.0.1:") && error.contains("550 5.1.1 no such user"), "{error}");
}

#[tokio::test]
async fn a_greylist_does_not_fail_a_check() {
    let server = ScriptedSmtp::start().await;
    server.recipient("dev@example.com", "450 4.2.0 <dev@example.com>: Recipient address rejected: Greylisted");
    let said = sink(&to_two(&server)).check().await.unwrap();
    assert!(said.contains("\nnot now: dev@example.com: ") && said.contains("Greylisted"), "{said}");
}

#[tokio::test]
async fn ehlo_gives_a_name_that_servers_take() {
    for (configured, hostname, name) in [
        (None, "web-1", "[127.0.0.1]"),
        (None, "web_1.example.com", "[127.0.0.1]"),
        (None, "web-1.example.com", "web-1.example.com"),
        (Some("mail.example.com"), "web-1", "mail.example.com"),
    ] {
        let server = ScriptedSmtp::start().await;
        let configured = configured.map_or_else(String::new, |name| format!("ehlo = \"{name}\"\n"));
        let text = format!(
            "hostname = \"{hostname}\"\n[sinks.ops]\ntype = \"email\"\nserver = \"smtp://127.0.0.1:{}?tls=none\"\n\
             {configured}from = \"dockbell@example.com\"\nto = \"ops@example.com\"\n",
            server.port()
        );
        let config = Config::parse("dockbell.toml".as_ref(), &text, &Environment::default()).unwrap();
        Sink::open("ops", &config.sinks["ops"], hostname, None).unwrap().check().await.unwrap();
        assert_eq!(server.commands()[0].line, format!("EHLO {name}"));
    }
}

#[tokio::test]
async fn a_login_is_found_in_each_form_that_servers_write_and_else_the_error_names_what_there_is() {
    let options = || Options { login: Some(("dockbell".to_owned(), "s3cret".to_owned())), ..Options::default() };
    for (offers, error) in [
        ("250-mx\r\n250 AUTH=LOGIN\r\n", None),
        ("250-mx\r\n250 auth login\r\n", None),
        ("250-mx\r\n250-AUTH GSSAPI\r\n250 AUTH=GSSAPI PLAIN\r\n", None),
        (
            "250-mx\r\n250 AUTH CRAM-MD5 NTLM\r\n",
            Some("with `AUTH CRAM-MD5 NTLM` the server offers no login by PLAIN or LOGIN"),
        ),
        ("250 mx\r\n", Some("without `AUTH` the server offers no login by PLAIN or LOGIN")),
    ] {
        let server = ScriptedSmtp::start_with(options()).await;
        server.always(Stage::Ehlo, Fault::Says(offers.into()));
        let mut config = email(server.port());
        config.server.login = Some(login("s3cret"));
        match (sink(&config).check().await, error) {
            (Ok(_), None) => {}
            (Err(told), Some(error)) => assert!(told.to_string().contains(error), "{told}"),
            (checked, _) => panic!("{offers}: {checked:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_of_a_server_that_says_nothing_ends_within_15_s_and_names_the_likely_cause() {
    let silent = ScriptedSmtp::start().await;
    silent.always(Stage::Greeting, Fault::Stall);
    let tls =
        ScriptedSmtp::start_with(Options { tls: Tls::Implicit(Certificate::valid()), ..Options::default() }).await;
    for port in [silent.port(), tls.port()] {
        let begun = Instant::now();
        let error = sink(&email_over(SmtpTls::StartTls, port, None)).check().await.unwrap_err().to_string();
        assert!(begun.elapsed() <= Duration::from_secs(16), "{:?}", begun.elapsed());
        assert!(error.contains("greeting and EHLO: no answer within 15 s") && error.contains("`smtps://`"), "{error}");
    }
    let begun = Instant::now();
    silent.heal();
    for stage in [Stage::Greeting, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Other] {
        silent.always(stage, Fault::Pause(Duration::from_secs(6)));
    }
    sink(&email(silent.port())).check().await.unwrap_err();
    assert!(begun.elapsed() <= Duration::from_secs(16), "all stages together: {:?}", begun.elapsed());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_delivery_waits_for_is_logged_after_ten_seconds() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer({
        let log = log.clone();
        move || log.clone()
    });
    let _here = tracing::subscriber::set_default(subscriber.finish());
    let logged = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Greeting, Fault::Pause(Duration::from_secs(9)));
    let mut sink = sink(&email(server.port()));
    assert_eq!(deliver(&mut sink).await.failed, []);
    assert_eq!(logged(), "");
    server.once(Stage::Mail, Fault::Pause(Duration::from_secs(200)));
    assert_eq!(deliver(&mut sink).await.failed, []);
    assert!(logged().contains("has not answered yet") && logged().contains("stage=MAIL FROM"), "{}", logged());
    assert_eq!(logged().lines().count(), 1, "{}", logged());
}

#[test]
fn a_configuration_that_servers_will_refuse_is_warned_of() {
    let warnings = |text: &str, variables: &[(&str, &str)]| {
        let environment: Environment = variables.iter().copied().collect();
        let mut config = Config::parse("dockbell.toml".as_ref(), text, &environment).unwrap();
        config.warnings.retain(|warning| warning.contains("sink `"));
        (config.warnings.join("\n"), config.sinks)
    };
    let env = |url| [("DOCKBELL_SMTP_URL", url), ("DOCKBELL_MAIL_TO", "ops@example.com"), ("DOCKBELL_HOSTNAME", "vm")];
    let (said, _) = warnings("", &env("smtp://mail.example.com"));
    assert!(said.contains("sink `email` sends as `dockbell@vm`") && said.contains("`from`"), "{said}");
    // Most servers take mail from their own users' addresses alone.
    let (said, sinks) = warnings("", &env("smtp://ops%40example.com:x@mail.example.com"));
    let SinkConfig::Email(mail) = &sinks["email"] else { panic!("{sinks:?}") };
    assert_eq!((said.as_str(), mail.from.as_str()), ("", "ops@example.com"));

    let sink =
        |more: &str| format!("hostname = \"vm\"\n[sinks.ops]\ntype = \"email\"\nto = \"ops@example.com\"\n{more}");
    let (said, _) = warnings(&sink("server = \"smtp://a.example:465\"\nfrom = \"a@b.example\"\n"), &[]);
    assert!(said.contains("sink `ops` uses port 465") && said.contains("`smtps://`"), "{said}");
    let (said, _) = warnings(&sink("server = \"smtp://a.example\"\nfrom = \"a@b.example\"\nehlo = \"vm\"\n"), &[]);
    assert!(said.contains("sink `ops` names itself `vm`"), "{said}");
    for server in ["smtp://a.example:587", "smtps://a.example:465", "smtp://127.0.0.1:25?tls=none"] {
        let (said, _) = warnings(&sink(&format!("server = \"{server}\"\nfrom = \"a@b.example\"\n")), &[]);
        assert_eq!(said, "", "{server}");
    }
}
