//! What the answers of a receiver mean: nothing is lost by a receiver that is down, nothing is sent where a redirect points.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use dockbell::deliver::{Failure, Fault};
use dockbell::store::Place;
use dockbell_tests::deliver::{Post, hook, message, only_failure, soon, webhook_to};
use dockbell_tests::http_server::{Reply, ScriptedHttp};

const SIX_HOURS: Duration = Duration::from_hours(6);

/// What an answer comes to.
async fn failure(reply: Reply) -> Failure {
    let server = ScriptedHttp::start().await;
    server.always(reply);
    let mut sink = hook(&webhook_to(&server.url("/hunter2?key=hunter2")));
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    let failure = only_failure(sink.deliver(&sealed).await);
    assert!(!failure.to_string().contains("hunter2"), "{failure}");
    assert_eq!(server.connections(), 1);
    failure
}

#[tokio::test]
async fn five_hundred_twenty_times_and_then_200_is_one_delivery_with_one_id() {
    let server = ScriptedHttp::start().await;
    for _ in 0..20 {
        server.once(Reply::status(500, "", "oops"));
    }
    let mut sink = hook(&webhook_to(&server.url("/")));
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    for _ in 0..20 {
        let failure = only_failure(sink.deliver(&sealed).await);
        assert_eq!((failure.fault, failure.lasting, failure.ambiguous), (Fault::Message, false, false), "{failure}");
    }
    assert_eq!(sink.deliver(&sealed).await.failed, []);
    let received = server.received();
    assert_eq!(received.len(), 21);
    for request in &received {
        assert_eq!(request.header("webhook-id"), received[0].header("webhook-id"));
        assert_eq!(request.body, received[0].body);
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_closes_the_sink() {
    let failure = failure(Reply::status(410, "", "gone")).await;
    assert_eq!((failure.fault, failure.lasting), (Fault::Sink, true), "{failure}");
    assert!(failure.to_string().contains("410 Gone gone\nhint: the receiver is gone for good"), "{failure}");
}

#[tokio::test]
async fn a_redirect_to_the_metadata_address_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let location = "location: http://169.254.169.254/latest/meta-data/hunter2\r\n";
        let failure = failure(Reply::status(status, location, "")).await;
        assert_eq!((failure.fault, failure.lasting), (Fault::Message, true), "{failure}");
        assert!(failure.to_string().contains("hint: no redirect is followed"), "{failure}");
    }
}

#[tokio::test]
async fn what_says_nothing_of_the_message_lets_all_wait() {
    for status in [401, 403, 407, 429, 502, 503, 504] {
        let failure = failure(Reply::status(status, "", "")).await;
        assert_eq!((failure.fault, failure.lasting), (Fault::Sink, false), "{failure}");
    }
    for status in [408, 425, 500, 501, 599] {
        let failure = failure(Reply::status(status, "", "")).await;
        assert_eq!((failure.fault, failure.lasting), (Fault::Message, false), "{failure}");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_three_times_is_given_up_and_the_next_is_tried_thrice_too() {
    for status in [400, 404, 413, 422] {
        let server = ScriptedHttp::start().await;
        server.always(Reply::status(status, "", "no"));
        let mut sink = hook(&webhook_to(&server.url("/")));
        for number in 1..=2 {
            let sealed = sink.seal(&message(number, "web died")).unwrap();
            for attempt in 1..=3 {
                let failure = only_failure(sink.deliver(&sealed).await);
                assert_eq!((failure.fault, failure.lasting), (Fault::Message, attempt == 3), "{attempt}: {failure}");
                let pause = (attempt < 3).then_some(Duration::from_secs(60));
                assert_eq!(failure.retry_after, pause, "a receiver that is just replaced has time to come back");
            }
        }
    }
}

#[tokio::test]
async fn a_receiver_is_left_alone_as_long_as_it_wants_and_six_hours_at_most() {
    for (header, wait) in [
        ("retry-after: 120\r\n", Some(Duration::from_secs(120))),
        ("Retry-After: 315360000\r\n", Some(SIX_HOURS)),
        ("retry-after: Fri, 31 Dec 2199 23:59:59 GMT\r\n", Some(SIX_HOURS)),
        ("retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", Some(Duration::ZERO)),
        ("retry-after: soon\r\n", None),
        ("", None),
    ] {
        for status in [429, 503] {
            let failure = failure(Reply::status(status, header, "")).await;
            assert_eq!(failure.retry_after, wait, "{header}");
        }
    }
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
    let wait = failure(Reply::status(429, &format!("retry-after: {date}\r\n"), "")).await.retry_after.unwrap();
    assert!(wait > Duration::from_secs(570) && wait <= Duration::from_secs(600), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_after_the_request_is_ambiguous_and_before_it_is_not() {
    for reply in [Reply::Stall(Vec::new()), Reply::Bytes(b"HTTP/1.1 200".to_vec()), Reply::Bytes(Vec::new())] {
        let failure = failure(reply).await;
        assert_eq!((failure.fault, failure.lasting, failure.ambiguous), (Fault::Sink, false, true), "{failure}");
    }
    let server = ScriptedHttp::start().await;
    let url = server.url("/");
    server.stop().await;
    let mut sink = hook(&webhook_to(&url));
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    let failure = only_failure(sink.deliver(&sealed).await);
    assert_eq!((failure.fault, failure.lasting, failure.ambiguous), (Fault::Sink, false, false), "{failure}");
}

#[tokio::test]
async fn an_answer_that_repeats_what_it_was_sent_shows_no_secret() {
    let failure = failure(Reply::status(400, "", "no route /hunter2?key=hunter2\r\n\x1b[31m")).await;
    assert!(failure.error.contains("400 Bad Request no route /[hidden]?key=[hidden]"), "{failure}");
    assert!(!failure.error.contains('\x1b'), "{failure}");
    for form in ["HUNTER2", "&#104;unter2", "\\u0068unter2", "%68unter2", "eDpodW50ZXIy"] {
        let failure = self::failure(Reply::status(400, "", &format!("no: {form}"))).await;
        assert!(failure.error.contains("400 Bad Request no: ") && failure.error.contains("[hidden]"), "{failure}");
        assert!(!failure.error.to_lowercase().contains("unter2"), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_message_stays_accepted_whatever_comes_behind_the_status() {
    for rest in ["", "content-length: 100\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\nzz\r\n"] {
        let server = ScriptedHttp::start().await;
        let end = if rest.is_empty() { "\r\n" } else { "" };
        server.once(Reply::Bytes(format!("HTTP/1.1 202 Accepted\r\n{rest}{end}").into_bytes()));
        let mut sink = hook(&webhook_to(&server.url("/")));
        let sealed = sink.seal(&message(1, "web died")).unwrap();
        assert_eq!(sink.deliver(&sealed).await.failed, [], "{rest:?}");
    }
}

#[tokio::test]
async fn a_dead_letter_says_how_to_mend_it() {
    let receiver = ScriptedHttp::start().await;
    receiver.always(Reply::status(301, "Location: https://example.com/\r\n", ""));
    let config = webhook_to(&receiver.url("/hook"));
    let outbox = Post::start(&Place::Memory, "hook", [hook(&config), hook(&config)], soon()).await;
    let message = message(1, "web died");
    outbox.send("hook", &message).await;
    outbox.stats("hook").unwrap().wait_for(|stats| stats.refused == 1).await.unwrap();
    outbox.all_told().await;
    let letter = outbox.store.letters(message.id).await.unwrap().remove(0);
    let error = letter.recipients[0].error.as_deref().unwrap_or_default();
    assert!(error.contains("301 Moved Permanently") && error.contains("\nhint: no redirect is followed"), "{error}");
}
