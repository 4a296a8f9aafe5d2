//! Passwords that change while dockbell runs: no restart is needed, and no mail is lost meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;

use dockbell::config::{Config, Environment};
use dockbell::deliver::{Fault, Sink};
use dockbell_tests::deliver::{HOST, message, only_failure};
use dockbell_tests::smtp::{Options, ScriptedSmtp};

/// Both ways to keep a password in a file: alone, and in the URL of the server.
#[tokio::test]
async fn a_password_that_is_changed_in_its_file_holds_from_the_next_login_on() {
    for in_url in [false, true] {
        let login = Some(("dockbell".to_owned(), "new hunter2".to_owned()));
        let server = ScriptedSmtp::start_with(Options { login, ..Options::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let write = |password: &str| {
            let (password, port) = (password.replace(' ', "%20"), server.port());
            let url = format!("smtp://dockbell:{password}@127.0.0.1:{port}?tls=none");
            fs::write(&path, if in_url { url } else { password.replace("%20", " ") }).unwrap();
        };
        write("old hunter2");
        let shown = path.display();
        let keys = if in_url {
            format!("server-file = \"{shown}\"")
        } else {
            let port = server.port();
            format!("server = \"smtp://127.0.0.1:{port}?tls=none\"\nuser = \"dockbell\"\npassword-file = \"{shown}\"")
        };
        let text =
            format!("[sinks.ops]\ntype = \"email\"\n{keys}\nto = \"ops@example.com\"\nfrom = \"d@example.com\"\n");
        let config = Config::parse("dockbell.toml".as_ref(), &text, &Environment::default()).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));

        let mut sink = Sink::open("ops", &config.sinks["ops"], HOST, None).unwrap();
        let sealed = sink.seal(&message(1, "web died")).unwrap();
        let failure = only_failure(sink.deliver(&sealed).await);
        assert_eq!((failure.fault, failure.lasting), (Fault::Sink, false), "{failure}");
        assert!(failure.error.contains("535") && !failure.to_string().contains("hunter2"), "{failure}");

        fs::remove_file(&path).unwrap();
        let failure = only_failure(sink.deliver(&sealed).await);
        assert_eq!((failure.fault, failure.lasting), (Fault::Sink, false), "{failure}");
        assert!(failure.to_string().contains("it does not exist\nhint: check the path"), "{failure}");

        write("new hunter2");
        assert_eq!(sink.deliver(&sealed).await.failed, []);
        assert_eq!(server.mails().len(), 1);
    }
}
