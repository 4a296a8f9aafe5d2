//! Chat services by their Apprise URL: each gets a text it takes, and each of several channels is told once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use dockbell::config::{Config, Environment, NotifyConfig, SinkConfig};
use dockbell::deliver::{Fault, Notify, Sink};
use dockbell::message::Message;
use dockbell_tests::deliver::{HOST, long_message, message, only_failure, text_message};
use dockbell_tests::http_server::{Leads, Received, Reply, ScriptedHttp};
use dockbell_tests::smtp::Certificate;
use tempfile::TempDir;

const SLACK: &str = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/";
const DISCORD: &str = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js";
const TELEGRAM: &str = "tgram://123456789:abcdefg_hijklmnop/12315544/";
const TWO_CHATS: &str = "tgram://123456789:abcdefg_hijklmnop/12315544/67890";
const THREE_CHATS: &str = "tgram://123456789:abcdefg_hijklmnop/12315544/67890/99999";
const GCHAT: &str = "gchat://workspace/webhookkey/webhooktoken";
const DINGTALK: &str = "dingtalk://abcdefg0123456789";
const PROWL: &str = "prowl://0123456789012345678901234567890123456789";
const NTFY: &str = "ntfys://ntfy.example.com/alerts";
const GOTIFY: &str = "gotifys://gotify.example.com/Ab.c1234567890d";
const TEAMS: &str = "workflows://teams.example.com:443/643e8cc5c1b64a9d8dd7e1a1a0a0a0a0/iEjtuYm7RvXk8wJ9ZzX2/";
const PUSHOVER: &str = "pover://uzXK1jdhE1gnmBX9oFpQBvbGUXVvLF@azGDORePK8gMaC0QOYAMyEEuzJnyUi";
const MATTERMOST: &str = "mmosts://mm.example.com/3ccdd113474722377935511fc85d3dd4";
const ROCKET: &str = "rockets://aB3dE5fG7hI9jK1lM%2FnO2pQ4rS6tU8vW0xY2zA4bC6@rocket.example.com/#ops";

/// A service with the names of all, to which every URL leads.
struct Service {
    server: ScriptedHttp,
    folder: TempDir,
}

impl Service {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "hooks.slack.com",
            "discord.com",
            "api.telegram.org",
            "api.pushover.net",
            "ntfy.example.com",
            "gotify.example.com",
            "teams.example.com",
            "mm.example.com",
            "rocket.example.com",
            "chat.googleapis.com",
            "oapi.dingtalk.com",
            "api.prowlapp.com",
        ];
        let certificate = Certificate::of(&names);
        std::fs::write(folder.path().join("ca.pem"), &certificate.ca_pem).unwrap();
        Self { server: ScriptedHttp::start_with(Some(certificate)).await, folder }
    }

    fn config(&self, url: &str) -> NotifyConfig {
        let ca = Some(self.folder.path().join("ca.pem"));
        NotifyConfig { ca, allow_loopback: true, ..NotifyConfig::new(url).unwrap() }
    }

    fn sink(&self, config: &NotifyConfig) -> Sink {
        let leads = Leads::to(&[self.server.address()]);
        let notify = Notify::open("chat", config).unwrap().with_client(|client| client.with_resolver(leads));
        Sink::Notify(Box::new(notify))
    }

    /// What the service gets of a message.
    async fn told(&self, url: &str, message: &Message) -> Received {
        let mut sink = self.sink(&self.config(url));
        let sealed = sink.seal(message).unwrap();
        assert_eq!(sink.deliver(&sealed).await.failed, [], "{url}");
        self.server.received().pop().unwrap()
    }
}

/// What is to be read in a request, whatever the service calls it.
fn text(received: &Received) -> String {
    let json = received.json();
    let place = |path: &str| json.pointer(path).and_then(serde_json::Value::as_str).map(str::to_owned);
    let title = ["/title", "/attachments/0/title"].iter().find_map(|path| place(path)).unwrap_or_default();
    let body = ["/text", "/content", "/message", "/attachments/0/text"].iter().find_map(|path| place(path));
    format!("{title}{}", body.unwrap_or_else(|| json.to_string()))
}

#[tokio::test]
async fn each_service_is_asked_where_and_how_it_wants() {
    let service = Service::start().await;
    for (url, host, path) in [
        (SLACK, "hooks.slack.com", "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"),
        (DISCORD, "discord.com", "/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV%5Fjs?wait=true"),
        (TELEGRAM, "api.telegram.org", "/bot123456789:abcdefg_hijklmnop/sendMessage"),
        (NTFY, "ntfy.example.com", "/"),
        (GOTIFY, "gotify.example.com", "/message"),
        (PUSHOVER, "api.pushover.net", "/1/messages.json"),
        (MATTERMOST, "mm.example.com", "/hooks/3ccdd113474722377935511fc85d3dd4"),
    ] {
        let received = service.told(url, &message(1, "web <died>")).await;
        assert_eq!(received.header("host"), Some(host));
        assert_eq!(received.path, path);
        if url != PUSHOVER {
            let text = text(&received).replace("&lt;", "<").replace("&gt;", ">");
            assert!(text.contains("web <died>") && text.contains("exit code 137"), "{url}: {text}");
            assert_eq!(text.matches("web <died>").count(), 1, "the subject stands once: {text}");
        }
    }
}

#[tokio::test]
async fn telegram_gets_html_that_it_can_read() {
    let service = Service::start().await;
    let received = service.told(TELEGRAM, &text_message(1, "web <b> died", "web <b> died\na & <script>\n")).await;
    let json = received.json();
    assert_eq!(json["parse_mode"], "HTML");
    assert_eq!(json["text"], "<b>web &lt;b&gt; died</b>\na &amp; &lt;script&gt;");
}

#[tokio::test]
async fn a_text_over_the_limit_of_a_service_is_cut_at_a_line_and_says_what_is_missing() {
    let service = Service::start().await;
    for (url, most) in [
        (DISCORD, 2000),
        (TELEGRAM, 4096),
        (NTFY, 4096),
        (SLACK, 3000),
        (GOTIFY, 30_000),
        (MATTERMOST, 4000),
        (ROCKET, 1000),
    ] {
        let config = NotifyConfig { whole: Some("the mail to ops".to_owned()), ..service.config(url) };
        let mut sink = service.sink(&config);
        let sealed = sink.seal(&long_message(1)).unwrap();
        assert_eq!(sink.deliver(&sealed).await.failed, [], "{url}");
        let text = text(&service.server.received().pop().unwrap());
        assert!(text.len() <= most && text.len() > most * 8 / 10, "{url}: {} of {most}", text.len());
        let shown = text.matches(": web-").count();
        let end = format!("… and {} more lines; the whole message is in the mail to ops", 2000 - shown);
        assert!(text.ends_with(&end), "{url}: {}", &text[text.len() - 200..]);
    }
    for (url, most) in [(TEAMS, 28_000), (PUSHOVER, 4096)] {
        let received = service.told(url, &long_message(1)).await;
        let body = String::from_utf8(received.body).unwrap();
        assert!(body.len() < most && body.contains("more"), "{url}: {}", body.len());
    }
}

#[tokio::test]
async fn a_text_of_wide_characters_or_one_endless_line_is_within_the_limit_too() {
    let service = Service::start().await;
    for (url, most) in [(DISCORD, 2000), (TELEGRAM, 4096)] {
        for text_of in ["🦀".repeat(9000), "x".repeat(9000), format!("x\n{}", "ä".repeat(9000)), "&<>\n".repeat(9000)]
        {
            let received = service.told(url, &text_message(1, &"subject ".repeat(100), &text_of)).await;
            let text = text(&received)
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&")
                .replace("<b>", "")
                .replace("</b>", "");
            assert!(text.encode_utf16().count() <= most, "{url}: {}", text.encode_utf16().count());
            assert!(text.contains("this is message 01"), "without a pointer the id is told: {text}");
        }
    }
    let received = service.told(SLACK, &text_message(1, "s", &"&<>\n".repeat(9000))).await;
    assert!(text(&received).len() <= 3000, "as it is written out");
    let received = service.told(NTFY, &text_message(1, "s", &"🦀".repeat(9000))).await;
    assert!(text(&received).len() <= 4096);
}

#[tokio::test]
async fn nobody_is_called_by_what_a_container_logs() {
    let service = Service::start().await;
    let calls =
        ["@everyone", "@HERE", "@somebody", "<@123>", "<@&123>", "<@!5>", "@**all**", "<users/all>", "<at>x</at>"];
    for url in [DISCORD, MATTERMOST, GCHAT, TELEGRAM, ROCKET, TEAMS, DINGTALK] {
        let written = format!("{} a@example.com", calls.join(" "));
        let received = service.told(url, &text_message(1, &format!("{} s", calls[0]), &written)).await;
        let text = String::from_utf8(received.body).unwrap().replace("&lt;", "<").replace("&gt;", ">");
        for call in calls {
            assert!(!text.contains(call), "{url}: {text}");
        }
        assert!(text.contains("a@example.com"), "{text}");
    }
    let text = text(&service.told(SLACK, &text_message(1, "s", "<!channel> & co")).await);
    assert!(text.contains("&lt;!channel&gt; &amp; co"), "{text}");
}

#[tokio::test]
async fn a_no_in_the_body_of_a_200_is_a_no() {
    let service = Service::start().await;
    for (url, no) in [
        (TELEGRAM, r#"{"ok":false,"error_code":400,"description":"chat not found"}"#),
        (DINGTALK, r#"{"errcode":310000,"errmsg":"keywords not in content"}"#),
        (PUSHOVER, r#"{"status":0,"errors":["user key is invalid"]}"#),
        (ROCKET, r#"{"success":false,"error":"invalid-channel"}"#),
    ] {
        service.server.once(Reply::status(200, "", no));
        let mut sink = service.sink(&service.config(url));
        let sealed = sink.seal(&message(1, "web died")).unwrap();
        let failure = only_failure(sink.deliver(&sealed).await);
        assert_eq!((failure.fault, failure.lasting), (Fault::Message, false), "{url}: {failure}");
        assert!(failure.error.contains("the service did not take the message"), "{failure}");
        assert_eq!(sink.deliver(&sealed).await.failed, [], "{url}");
    }
}

#[tokio::test]
async fn a_telephone_rings_for_an_error_unless_the_url_says_how_loud() {
    let service = Service::start().await;
    let mut calm = message(1, "web started");
    calm.notification.fields = vec![("severity".to_owned(), "info".to_owned())];
    let said = |received: Received| {
        let priority = received.header("x-priority").map(str::to_owned);
        priority.unwrap_or_else(|| received.json()["priority"].to_string())
    };
    for (url, high, low) in [(NTFY, "high", "low"), (GOTIFY, "8", "0")] {
        assert_eq!(said(service.told(url, &message(1, "web died")).await), high, "{url}");
        assert_ne!(said(service.told(url, &calm).await), high, "{url}");
        let quiet = format!("{url}?priority=low");
        assert_eq!(said(service.told(&quiet, &message(1, "web died")).await), low, "{url}");
    }
    for (url, high) in [(PUSHOVER, "priority=1"), (PROWL, "priority=1")] {
        let body = |received: Received| String::from_utf8(received.body).unwrap();
        assert!(body(service.told(url, &message(1, "web died")).await).contains(high), "{url}");
        assert!(!body(service.told(url, &calm).await).contains(high), "{url}");
    }
}

#[tokio::test]
async fn the_pause_that_a_service_asks_for_is_kept() {
    let service = Service::start().await;
    for (url, reply, wait) in [
        (SLACK, Reply::status(429, "Retry-After: 30\r\n", ""), 30.0),
        (DISCORD, Reply::status(429, "", r#"{"message": "slow down", "retry_after": 64.57, "global": false}"#), 64.57),
        (
            TELEGRAM,
            Reply::status(429, "", r#"{"ok": false, "error_code": 429, "parameters": {"retry_after": 35}}"#),
            35.0,
        ),
        (NTFY, Reply::status(429, "Retry-After: 315360000\r\n", ""), 21_600.0),
    ] {
        service.server.once(reply);
        let mut sink = service.sink(&service.config(url));
        let sealed = sink.seal(&message(1, "web died")).unwrap();
        let failure = only_failure(sink.deliver(&sealed).await);
        assert_eq!((failure.fault, failure.lasting), (Fault::Sink, false), "{failure}");
        assert_eq!(failure.retry_after, Some(Duration::from_secs_f64(wait)), "{url}");
        assert_eq!(sink.deliver(&sealed).await.failed, []);
    }
}

#[tokio::test]
async fn of_several_chats_only_the_one_that_failed_is_told_again() {
    let service = Service::start().await;
    service.server.once(Reply::status(400, "", r#"{"ok": false, "description": "chat not found"}"#));
    let mut sink = service.sink(&service.config(TWO_CHATS));
    let mut sealed = sink.seal(&message(1, "web died")).unwrap();
    assert_eq!(sealed.pending, [Arc::from("chat 1/2"), Arc::from("chat 2/2")]);
    let attempt = sink.deliver(&sealed).await;
    assert_eq!(attempt.accepted, [Arc::from("chat 2/2")]);
    let failure = &attempt.failed[0].1;
    assert!(failure.error.contains("api.telegram.org: answer: 400 Bad Request") && !failure.lasting, "{failure}");
    assert!(failure.error.contains("chat not found"), "{failure}");
    sealed.pending = vec![Arc::clone(&attempt.failed[0].0)];
    assert_eq!(sink.deliver(&sealed).await.accepted, [Arc::from("chat 1/2")]);
    let chats: Vec<_> =
        service.server.received().iter().map(|received| received.json()["chat_id"].to_string()).collect();
    assert_eq!(chats.len(), 3);
    assert_eq!(chats[0], chats[2]);
}

#[tokio::test]
async fn a_chat_that_is_gone_or_closed_to_us_stops_no_other() {
    let service = Service::start().await;
    for (status, lasting) in [(410, true), (403, false), (401, false)] {
        let mut sink = service.sink(&service.config(THREE_CHATS));
        let mut sealed = sink.seal(&message(1, "web died")).unwrap();
        service.server.once(Reply::status(status, "", "{}"));
        let attempt = sink.deliver(&sealed).await;
        assert_eq!(attempt.accepted, [Arc::from("chat 2/3"), Arc::from("chat 3/3")], "{status}");
        let (chat, failure) = &attempt.failed[0];
        assert_eq!((&**chat, failure.fault, failure.lasting), ("chat 1/3", Fault::Recipient, lasting), "{failure}");
        // Alone in a later attempt it is still one of three, and after the third no it is given up.
        sealed.pending = vec![Arc::clone(chat)];
        for lasting in [lasting, true] {
            service.server.once(Reply::status(status, "", "{}"));
            let failure = only_failure(sink.deliver(&sealed).await);
            assert_eq!((failure.fault, failure.lasting), (Fault::Recipient, lasting), "{status}");
        }
    }
}

#[tokio::test]
async fn what_every_chat_answers_is_about_the_sink() {
    let service = Service::start().await;
    for (status, lasting) in [(410, true), (403, false)] {
        service.server.always(Reply::status(status, "", "{}"));
        let mut sink = service.sink(&service.config(TWO_CHATS));
        let sealed = sink.seal(&message(1, "web died")).unwrap();
        let attempt = sink.deliver(&sealed).await;
        assert_eq!(attempt.failed.len(), 2);
        assert!(attempt.failed.iter().all(|(_, why)| (why.fault, why.lasting) == (Fault::Sink, lasting)), "{status}");
    }
}

#[tokio::test]
async fn a_service_that_is_down_is_not_asked_for_each_chat() {
    let service = Service::start().await;
    service.server.always(Reply::status(503, "", ""));
    let mut sink = service.sink(&service.config(TWO_CHATS));
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    let attempt = sink.deliver(&sealed).await;
    assert_eq!((attempt.failed.len(), service.server.received().len()), (2, 1));
}

#[tokio::test]
async fn what_waits_on_disk_and_what_is_told_of_a_failure_hold_no_token() {
    let service = Service::start().await;
    for (url, secrets) in [
        (SLACK, ["TIiajkdnlazkcOXrIdevi7FQ", "A1BRTD4JD"]),
        (DISCORD, ["JHMHI8qBe7bk2ZwO5U711o3dV_js", "4174216298"]),
        (TELEGRAM, ["abcdefg_hijklmnop", "123456789:"]),
        (GOTIFY, ["Ab.c1234567890d", "Ab.c"]),
    ] {
        service.server.once(Reply::status(500, "", &format!("you asked for {}", secrets[0])));
        let config = service.config(url);
        let mut sink = service.sink(&config);
        let sealed = sink.seal(&message(1, "web died")).unwrap();
        let failure = only_failure(sink.deliver(&sealed).await);
        let all = format!("{sealed:?} {failure:?} {failure} {sink:?} {config:?}");
        for secret in secrets {
            assert!(!all.contains(secret), "{url}: {all}");
        }
    }
}

#[tokio::test]
async fn a_check_says_which_service_it_is_and_sends_nothing() {
    let service = Service::start().await;
    let mut sink = service.sink(&service.config(SLACK));
    assert_eq!(sink.check().await.unwrap(), "slack by https://hooks.slack.com");
    assert_eq!((service.server.received().len(), service.server.connections()), (0, 1));
    service.server.stop().await;
    let error = Sink::Notify(Box::new(
        Notify::open("chat", &NotifyConfig::new(SLACK).unwrap())
            .unwrap()
            .with_client(|client| client.with_resolver(Leads::to(&["127.0.0.1:9".parse().unwrap()]))),
    ))
    .check()
    .await
    .unwrap_err()
    .to_string();
    assert!(error.contains("sink `chat`: https://hooks.slack.com: connect: 127.0.0.1 is this machine"), "{error}");
}

#[test]
fn a_configuration_file_may_name_the_url_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chat"), format!("{SLACK}\n")).unwrap();
    let text = "[sinks.chat]\ntype = \"notify\"\nurl-file = \"chat\"\nwhole = \"the mail to ops\"\n";
    let config = Config::parse(&folder.path().join("dockbell.toml"), text, &Environment::default()).unwrap();
    let SinkConfig::Notify(notify) = &config.sinks["chat"] else { panic!("{config:?}") };
    assert_eq!((notify.service.name(), notify.whole.as_deref()), ("slack", Some("the mail to ops")));
    assert!(Sink::open("chat", &config.sinks["chat"], HOST, None).is_ok());
}
