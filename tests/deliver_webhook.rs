//! Webhooks: what a receiver gets, and that it can trust it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dockbell::config::{Config, Environment, Method, Secret, SinkConfig, Template, WebhookConfig};
use dockbell::deliver::Sink;
use dockbell::message::Message;
use dockbell_tests::deliver::{HOST, form, hook, message, webhook_to};
use dockbell_tests::http_server::{Received, Reply, ScriptedHttp};
use ring::hmac;

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What a receiver gets of one message.
async fn told(config: &WebhookConfig, message: &Message, server: &ScriptedHttp) -> Received {
    let mut sink = hook(config);
    let sealed = sink.seal(message).unwrap();
    let attempt = sink.deliver(&sealed).await;
    assert_eq!(attempt.failed, []);
    let received = server.received().pop().unwrap();
    assert_eq!(received.body, sealed.bytes, "what was sealed is what is sent");
    received
}

/// Verifies as a receiver does, with its own means.
fn verifies(received: &Received, secret: &str) -> bool {
    let (id, time) = (received.header("webhook-id").unwrap(), received.header("webhook-timestamp").unwrap());
    let signed = [format!("{id}.{time}.").as_bytes(), &received.body].concat();
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    received.header("webhook-signature").unwrap().split(' ').any(|signature| {
        let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, &signed, &signature).is_ok()
    })
}

#[tokio::test]
async fn a_receiver_gets_json_with_the_id_of_the_message() {
    let server = ScriptedHttp::start().await;
    let message = message(1, "web died");
    let received = told(&webhook_to(&server.url("/hook?key=1")), &message, &server).await;
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/hook?key=1"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("host"), Some(server.address().to_string().as_str()));
    let id = message.id.to_string();
    assert_eq!(received.header("webhook-id"), Some(id.as_str()));
    assert_eq!(received.header("idempotency-key"), Some(id.as_str()));
    assert!(received.header("webhook-signature").is_none());
    let json = received.json();
    assert_eq!((&json["subject"], &json["id"]), (&"web died".into(), &id.into()));
    assert_eq!(json["fields"]["severity"], "error");
}

#[tokio::test]
async fn the_json_of_the_formatter_is_taken_as_it_is() {
    let server = ScriptedHttp::start().await;
    let mut message = message(1, "web died");
    message.notification.alternatives.push(form("application/json", "{\"a\": 1.50}"));
    assert_eq!(told(&webhook_to(&server.url("/")), &message, &server).await.body, b"{\"a\": 1.50}");
}

#[tokio::test]
async fn a_template_makes_the_body() {
    let server = ScriptedHttp::start().await;
    let template = "{\"text\": {{ subject }}, \"level\": {{ fields.severity }}, \"missing\": {{ fields.other }}}";
    let template = Template::new(template.to_owned(), true).unwrap();
    let config = WebhookConfig { template: Some(template), ..webhook_to(&server.url("/")) };
    let received = told(&config, &message(1, "\"web\" died\u{1}"), &server).await;
    let expected = serde_json::json!({"text": "\"web\" died\u{1}", "level": "error", "missing": null});
    assert_eq!(received.json(), expected);
}

#[tokio::test]
async fn method_headers_and_login_are_sent_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    fs::write(&path, "# more\nX-Key: hunter2\n").unwrap();
    let server = ScriptedHttp::start().await;
    let url = format!("http://ops:hunter2@{}/", server.address());
    let config = WebhookConfig {
        method: Method::Put,
        headers: vec![("X-Team".to_owned(), "ops".into())],
        headers_file: Some(path.clone()),
        content_type: "text/plain".to_owned(),
        ..webhook_to(&url)
    };
    let received = told(&config, &message(1, "web died"), &server).await;
    assert_eq!((received.method.as_str(), received.header("x-team")), ("PUT", Some("ops")));
    assert_eq!((received.header("x-key"), received.header("content-type")), (Some("hunter2"), Some("text/plain")));
    assert_eq!(received.header("authorization"), Some("Basic b3BzOmh1bnRlcjI="));
    assert!(!format!("{config:?} {:?}", hook(&config)).contains("hunter2"));

    fs::write(&path, "X-Key: changed\n").unwrap();
    let received = told(&config, &message(2, "web died"), &server).await;
    assert_eq!(received.header("x-key"), Some("changed"));
}

#[tokio::test]
async fn while_secrets_are_replaced_old_and_new_verify_the_bytes_that_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let server = ScriptedHttp::start().await;
    let config = WebhookConfig { secret: Some(Secret::File(path.clone())), ..webhook_to(&server.url("/")) };
    let mut sink = hook_with(&path, OLD, &config);
    for (secrets, old, new) in
        [(OLD.to_owned(), true, false), (format!("{NEW}\n{OLD}\n"), true, true), (NEW.to_owned(), false, true)]
    {
        // Without a restart: the file is read anew for each message.
        fs::write(&path, secrets).unwrap();
        let sealed = sink.seal(&message(1, "web diëd")).unwrap();
        assert_eq!(sink.deliver(&sealed).await.failed, []);
        let received = server.received().pop().unwrap();
        assert_eq!((verifies(&received, OLD), verifies(&received, NEW)), (old, new));
        assert_eq!(received.body, sealed.bytes);
        let time: i64 = received.header("webhook-timestamp").unwrap().parse().unwrap();
        assert!((jiff::Timestamp::now().as_second() - time).abs() < 60, "the time of the attempt");
    }
}

fn hook_with(path: &std::path::Path, secret: &str, config: &WebhookConfig) -> Sink {
    fs::write(path, secret).unwrap();
    hook(config)
}

#[tokio::test]
async fn a_url_in_a_file_may_change_and_may_be_missing_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    let server = ScriptedHttp::start().await;
    let config = WebhookConfig { url: Secret::File(path.clone()), ..webhook_to("http://unused/") };
    let mut sink = hook(&config);
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    let failure = dockbell_tests::deliver::only_failure(sink.deliver(&sealed).await);
    assert!(!failure.lasting && failure.error.contains("`url`: cannot read"), "{failure}");
    for place in ["/first", "/second"] {
        fs::write(&path, server.url(place)).unwrap();
        assert_eq!(sink.deliver(&sealed).await.failed, []);
        assert_eq!(server.received().pop().unwrap().path, place);
    }
}

#[tokio::test]
async fn what_waits_on_disk_holds_no_url_and_no_secret() {
    let config = WebhookConfig {
        secret: Some(Secret::text(OLD)),
        headers: vec![("X-Key".to_owned(), "hunter2".into())],
        ..webhook_to("https://hooks.example.com/hunter2")
    };
    let sealed = format!("{:?}", hook(&config).seal(&message(1, "web died")).unwrap());
    for secret in ["hunter2", "example.com", &OLD[6..]] {
        assert!(!sealed.contains(secret), "{sealed}");
    }
}

#[tokio::test]
async fn a_check_connects_and_sends_nothing() {
    let server = ScriptedHttp::start().await;
    let config = WebhookConfig { secret: Some(Secret::text(OLD)), ..webhook_to(&server.url("/hunter2")) };
    let told = hook(&config).check().await.unwrap();
    assert_eq!(told, format!("webhook POST http://{}, signed", server.address()));
    let url = server.url("/hunter2");
    server.stop().await;
    let error = hook(&webhook_to(&url)).check().await.unwrap_err().to_string();
    assert!(error.starts_with("sink `hook`: http://127.0.0.1:") && error.contains("hint: nothing listens"), "{error}");
    let error = hook(&WebhookConfig::new(Secret::text(&url))).check().await.unwrap_err().to_string();
    assert!(error.contains("hint: for a receiver on this machine set `allow-loopback = true`"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_webhook_of_a_configuration_file_works() {
    let server = ScriptedHttp::start().await;
    server.once(Reply::status(204, "", ""));
    let text = format!(
        "[sinks.hook]\ntype = \"webhook\"\nurl = \"{}\"\nallow-loopback = true\nsecret = [\"{NEW}\", \"{OLD}\"]\n\
         headers = {{ X-Team = \"ops\" }}\ntemplate = '{{\"text\": {{{{ text }}}}}}'\n",
        server.url("/")
    );
    let config = Config::parse("dockbell.toml".as_ref(), &text, &Environment::default()).unwrap();
    let SinkConfig::Webhook(_) = &config.sinks["hook"] else { panic!("{config:?}") };
    let mut sink = Sink::open("hook", &config.sinks["hook"], HOST, None).unwrap();
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    assert_eq!(sink.deliver(&sealed).await.failed, []);
    let received = server.received().pop().unwrap();
    assert!(verifies(&received, OLD) && verifies(&received, NEW));
    assert_eq!(received.json()["text"], "web died\nexit code 137\n");
}
