//! Mail servers that misbehave: nothing is lost, nothing is sent twice but after an ambiguous end, nothing hangs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use dockbell::deliver::email::Limits;
use dockbell::deliver::{Attempt, Failure, Fault as Whose, Retry, Trouble, Waits};
use dockbell::store::{MessageState, Place};
use dockbell_tests::deliver::{Post, email, message, sink, sink_within, soon, text_message};
use dockbell_tests::smtp::{Fault, Options, ScriptedSmtp, Stage};
use jiff::Timestamp;

/// Delivers to this server, and tries again soon.
async fn post(server: &ScriptedSmtp) -> Post {
    Post::mail_in(&Place::Memory, &email(server.port()), soon()).await
}

/// The same with a sink that gives the server little time.
async fn post_within(server: &ScriptedSmtp, limits: Limits) -> Post {
    let sink = || sink_within(&email(server.port()), limits);
    Post::start(&Place::Memory, "ops", [sink(), sink()], soon()).await
}

/// One attempt to deliver one message.
async fn attempt(server: &ScriptedSmtp) -> Attempt {
    let mut sink = sink(&email(server.port()));
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    sink.deliver(&sealed).await
}

async fn failure(server: &ScriptedSmtp) -> Failure {
    attempt(server).await.failed.remove(0).1
}

#[tokio::test]
async fn a_server_that_is_away_is_probed_with_one_message_while_the_others_wait() {
    let server = ScriptedSmtp::start().await;
    let port = server.port();
    let address = server.stop().await;
    let outbox = Post::mail_in(&Place::Memory, &email(port), soon()).await;
    for number in 0..50 {
        outbox.send("ops", &message(number, &format!("message {number}"))).await;
    }
    let mut stats = outbox.stats("ops").unwrap();
    stats.wait_for(|stats| stats.retried >= 5).await.unwrap();
    assert!(stats.borrow().down.as_deref().unwrap().contains("refused"));
    let tries: Vec<u32> = outbox.messages().await.iter().map(|message| message.tries).collect();
    assert!(tries.len() == 50 && tries[0] >= 5 && tries[1..].iter().all(|tries| *tries == 0), "{tries:?}");

    let server = ScriptedSmtp::start_on(&address, Options::default()).await;
    let mails = server.wait_for(50).await;
    for (number, mail) in mails.iter().enumerate() {
        let subject = format!("Subject: message {number}\r\n");
        assert!(String::from_utf8_lossy(&mail.bytes).contains(&subject), "oldest first");
    }
    outbox.all_told().await;
    let stats = stats.borrow_and_update().clone();
    assert_eq!((stats.delivered, stats.refused, stats.down), (50, 0, None));
}

#[tokio::test]
async fn the_wait_for_a_server_that_takes_nothing_doubles_up_to_the_longest() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Greeting, Fault::reply("421 not now"));
    let waits = Waits { first: Duration::from_millis(40), most: Duration::from_millis(160) };
    let retry = Retry { sink: waits, ..soon() };
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), retry).await;
    let begun = Instant::now();
    outbox.send("ops", &message(1, "web died")).await;
    server.wait_until(Duration::from_secs(20), |server| server.connections() >= 7).await;
    // Half of 40, 80, and four times 160 ms.
    assert!(begun.elapsed() >= Duration::from_millis(380), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_never_greets_is_left_after_the_limit() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Greeting, Fault::Stall);
    let limits = Limits { greeting: Duration::from_millis(100), ..Limits::default() };
    let outbox = post_within(&server, limits).await;
    outbox.send("ops", &message(1, "web died")).await;
    server.wait_for(1).await;
    assert!(server.connections() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_stall_at_each_point_ends_within_its_limit_and_the_mail_is_sent_later() {
    for (stage, most) in [
        (Stage::Greeting, 301),
        (Stage::Ehlo, 301),
        (Stage::Mail, 301),
        (Stage::Rcpt, 301),
        (Stage::Data, 121),
        (Stage::Dot, 601),
    ] {
        let server = ScriptedSmtp::start().await;
        server.once(stage, Fault::Stall);
        let begun = tokio::time::Instant::now();
        let outcome = attempt(&server).await;
        let took = begun.elapsed();
        assert!(took <= Duration::from_secs(most) && took >= Duration::from_secs(most - 1), "{stage:?}: {took:?}");
        let failure = &outcome.failed[0].1;
        assert!(failure.error.contains("no answer within"), "{failure}");
        assert_eq!((failure.fault, failure.lasting, failure.ambiguous), (Whose::Sink, false, stage == Stage::Dot));
    }
}

#[tokio::test]
async fn a_greeting_that_refuses_for_good_loses_no_mail() {
    for greeting in ["421 4.3.2 too busy", "554 5.7.1 your address is blocked"] {
        let server = ScriptedSmtp::start().await;
        server.once(Stage::Greeting, Fault::reply(greeting));
        let failure = failure(&server).await;
        assert_eq!((failure.fault, failure.lasting), (Whose::Sink, false), "{failure}");
        assert!(failure.error.contains(greeting), "{failure}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_ehlo_is_tried_again() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Ehlo, Fault::reply("502 what is EHLO?"));
    let failure = failure(&server).await;
    assert_eq!((failure.fault, failure.lasting), (Whose::Sink, false));
    assert!(failure.error.contains("greeting and EHLO: 502"), "{failure}");
}

#[tokio::test]
async fn refusals_are_whose_fault_they_are() {
    use Stage::{Data, Dot, Mail, Rcpt};
    for (stage, reply, fault, lasting) in [
        (Mail, "452 4.3.1 no room", Whose::Sink, false),
        (Mail, "550 5.7.1 not your sender", Whose::Sink, false),
        (Mail, "552 5.3.4 too big", Whose::Message, true),
        (Mail, "530 5.7.0 log in", Whose::Sink, false),
        (Rcpt, "450 4.2.0 greylisted", Whose::Recipient, false),
        (Rcpt, "550 5.1.1 nobody", Whose::Recipient, true),
        (Rcpt, "552 5.2.2 too many", Whose::Recipient, false),
        (Rcpt, "421 4.3.2 going down", Whose::Sink, false),
        (Data, "451 4.3.0 not now", Whose::Message, false),
        (Data, "554 5.5.1 no", Whose::Message, true),
        (Data, "421 4.3.2 going down", Whose::Sink, false),
        (Data, "250 yes", Whose::Sink, false),
        (Dot, "451 4.7.1 scanner away", Whose::Message, false),
        (Dot, "452 4.3.1 disk full", Whose::Sink, false),
        (Dot, "554 5.7.1 spam", Whose::Message, true),
        (Dot, "421 4.3.2 going down", Whose::Sink, false),
    ] {
        let server = ScriptedSmtp::start().await;
        server.always(stage, Fault::reply(reply));
        let failure = failure(&server).await;
        assert_eq!((failure.fault, failure.lasting), (fault, lasting), "{stage:?} {reply}: {failure}");
        assert!(failure.error.contains(reply), "{failure}");
        assert!(!failure.ambiguous);
    }
}

#[tokio::test]
async fn only_a_yes_to_the_final_dot_counts_as_delivered() {
    for answer in ["354 go on", "334 VXNlcm5hbWU6", "xyz", "25", "999 what", "\u{fffd}"] {
        let server = ScriptedSmtp::start().await;
        server.once(Stage::Dot, Fault::reply(answer));
        server.always(Stage::Dot, Fault::Drop);
        let outcome = attempt(&server).await;
        assert!(outcome.accepted.is_empty(), "{answer}");
        let failure = &outcome.failed[0].1;
        assert_eq!(
            (failure.fault, failure.lasting, failure.ambiguous),
            (Whose::Sink, false, true),
            "{answer}: {failure}"
        );
    }
}

#[tokio::test]
async fn of_three_recipients_one_gets_it_one_is_lost_and_one_is_tried_alone() {
    let server = ScriptedSmtp::start().await;
    server.recipient("nobody@example.com", "550 5.1.1 no such user");
    server.recipient("later@example.com", "451 4.7.1 come back");
    let mut config = email(server.port());
    config.to = ["now@example.com", "nobody@example.com", "later@example.com"].map(str::to_owned).to_vec();
    let outbox = Post::mail_in(&Place::Memory, &config, soon()).await;
    outbox.send("ops", &message(1, "web died")).await;
    let first = server.wait_for(1).await;
    assert_eq!(first[0].to, ["now@example.com"]);
    let mut stats = outbox.stats("ops").unwrap();
    stats.wait_for(|stats| stats.retried >= 2).await.unwrap();
    let told = outbox.troubles();
    assert_eq!(told.len(), 1, "at once, not when the last recipient has it: {told:?}");

    server.heal();
    let both = server.wait_for(2).await;
    assert_eq!(both[1].to, ["later@example.com"]);
    assert_eq!(both[0].bytes, both[1].bytes);
    outbox.all_told().await;
    assert_eq!((stats.borrow().delivered, stats.borrow().refused), (2, 1));
    let asked = server.commands().iter().filter(|command| command.line.contains("nobody@")).count();
    assert_eq!(asked, 1);
    let message = outbox.messages().await.remove(0);
    assert_eq!(message.state, MessageState::Dead, "somebody has not got it");
    assert!(message.error.as_deref().unwrap().contains("550 5.1.1 no such user"), "{message:?}");
    let [Trouble::DeadLetter { error, .. }] = &outbox.troubles()[..] else { panic!("{:?}", outbox.troubles()) };
    assert!(error.contains("550 5.1.1 no such user"), "{error}");
}

#[tokio::test]
async fn a_greylisted_recipient_gets_the_mail_and_holds_back_no_other_message() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Rcpt, Fault::reply("451 4.7.1 greylisted"));
    let message_waits = Waits { first: Duration::from_secs(3), most: Duration::from_secs(3) };
    let retry = Retry { message: message_waits, ..soon() };
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), retry).await;
    outbox.send("ops", &message(1, "first")).await;
    outbox.stats("ops").unwrap().wait_for(|stats| stats.retried == 1).await.unwrap();
    outbox.send("ops", &message(2, "second")).await;
    let mails = server.wait_for(2).await;
    assert!(String::from_utf8_lossy(&mails[0].bytes).contains("Subject: second"));
    assert!(String::from_utf8_lossy(&mails[1].bytes).contains("Subject: first"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_nine_minutes_is_waited_for() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Dot, Fault::Pause(Duration::from_mins(9)));
    assert_eq!(attempt(&server).await.accepted.len(), 1, "and so no copy is sent");
}

#[tokio::test]
async fn a_connection_lost_after_the_dot_means_one_more_mail_with_the_same_bytes() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Dot, Fault::Drop);
    let outbox = post(&server).await;
    outbox.send("ops", &message(1, "web died")).await;
    server.wait_for(1).await;
    outbox.all_told().await;
    let attempts = server.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].bytes, attempts[1].bytes);
    assert!(String::from_utf8_lossy(&attempts[0].bytes).contains("Message-ID: <"));
    assert_eq!(outbox.stats("ops").unwrap().borrow().ambiguous, 1);
}

#[tokio::test]
async fn a_message_on_which_the_server_always_breaks_off_holds_back_no_other() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Dot, Fault::Drop);
    let message_waits = Waits { first: Duration::from_secs(3), most: Duration::from_secs(3) };
    let retry = Retry { message: message_waits, ..soon() };
    let outbox = Post::mail_in(&Place::Memory, &email(server.port()), retry).await;
    outbox.send("ops", &message(1, "first")).await;
    outbox.send("ops", &message(2, "second")).await;
    let mails = server.wait_for(2).await;
    assert!(String::from_utf8_lossy(&mails[0].bytes).contains("Subject: second"));
    assert!(String::from_utf8_lossy(&mails[1].bytes).contains("Subject: first"));
}

#[tokio::test]
async fn after_an_attempt_was_cut_off_the_next_uses_a_new_connection() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Body, Fault::Stall);
    let soon = Duration::from_millis(200);
    let limits = Limits { accept: soon, block: soon, ..Limits::default() };
    let outbox = post_within(&server, limits).await;
    outbox.send("ops", &message(1, "first")).await;
    outbox.send("ops", &message(2, "second")).await;
    let mails = server.wait_for(2).await;
    assert!(mails.iter().all(|mail| mail.connection > 1), "{mails:?}");
    assert_eq!(mails.len(), 2, "{mails:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut_off() {
    for (stage, fault) in [
        (Stage::Greeting, Fault::Endless),
        (Stage::Ehlo, Fault::Endless),
        (Stage::Mail, Fault::EndlessLine),
        (Stage::Dot, Fault::Endless),
        (Stage::Dot, Fault::EndlessLine),
        (Stage::Ehlo, Fault::Bytes(vec![b'2'; 10 << 20])),
    ] {
        let server = ScriptedSmtp::start().await;
        server.once(stage, fault.clone());
        let outcome = tokio::time::timeout(Duration::from_secs(20), attempt(&server)).await.expect("an end");
        assert_eq!(outcome.failed[0].1.fault, Whose::Sink, "{stage:?}");
        assert!(outcome.failed[0].1.error.len() < 600, "{}", outcome.failed[0].1);
    }
}

#[tokio::test]
async fn what_a_server_says_cannot_steer_a_terminal() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Rcpt, Fault::reply("550-no\x1b[2J\r\n550 \u{202e}really\x07"));
    let failure = failure(&server).await;
    assert!(failure.error.ends_with("550 no\u{fffd}[2J \u{fffd}really\u{fffd}"), "{failure}");
}

#[tokio::test]
async fn refused_content_is_sent_once_more_as_text_alone_and_then_given_up() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Dot, Fault::reply("554 5.7.1 no HTML here"));
    let outbox = post(&server).await;
    outbox.send("ops", &message(1, "web died")).await;
    let mail = server.wait_for(1).await.remove(0);
    let mail = mailparse::parse_mail(&mail.bytes).unwrap();
    assert_eq!(mail.ctype.mimetype, "text/plain");
    assert!(mail.get_body().unwrap().starts_with("web died\r\nexit code 137"));
    outbox.all_told().await;
    let letter = outbox.store.letters(message(1, "").id).await.unwrap().remove(0);
    assert!(letter.attempts[0].outcome.contains("554 5.7.1 no HTML here"), "{:?}", letter.attempts);
    let full = String::from_utf8(letter.wire.unwrap().to_vec()).unwrap();
    assert!(full.contains("text/html"), "what was refused can still be looked at: {full}");
    let pointer = format!("dockbell outbox show {}", message(1, "").id);
    assert!(mail.get_body().unwrap().replace("\r\n", " ").contains(&pointer));

    server.always(Stage::Dot, Fault::reply("554 5.7.1 not from you"));
    outbox.send("ops", &message(2, "db died")).await;
    outbox.all_told().await;
    let stats = outbox.stats("ops").unwrap().borrow().clone();
    assert_eq!((stats.delivered, stats.refused), (1, 1));
    assert_eq!(server.attempts().len(), 4);
    let [Trouble::DeadLetter { sink, id, subject, error }] = &outbox.troubles()[..] else { panic!("one is told") };
    assert_eq!((&**sink, *id, subject.as_str()), ("ops", message(2, "").id, "db died"));
    assert!(error.contains("554 5.7.1 not from you"), "{error}");
}

#[tokio::test]
async fn a_server_that_takes_a_byte_at_a_time_does_not_hold_back_another_sink() {
    let slow = ScriptedSmtp::start().await;
    for stage in [Stage::Greeting, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
        slow.always(stage, Fault::Slow(Duration::from_millis(20)));
    }
    let fast = ScriptedSmtp::start().await;
    let pair = |server: &ScriptedSmtp| [sink(&email(server.port())), sink(&email(server.port()))];
    let outbox = Post::start_all(&Place::Memory, [("slow", pair(&slow)), ("fast", pair(&fast))], soon()).await;
    for number in 0..2 {
        outbox.send("slow", &message(number, "web died")).await;
        outbox.send("fast", &message(number, "web died")).await;
    }
    fast.wait_for(2).await;
    assert_eq!(slow.mails().len(), 0);
    slow.wait_within(Duration::from_secs(60), 2).await;
    outbox.all_told().await;
    assert_eq!(slow.attempts().len(), 2);
}

#[tokio::test]
async fn an_address_that_is_not_ascii_needs_a_server_that_takes_it() {
    let mut options = Options::default();
    for takes in [false, true] {
        let server = ScriptedSmtp::start_with(options.clone()).await;
        let mut config = email(server.port());
        config.to = vec!["jürgen@müller.example".to_owned(), "ops@example.com".to_owned()];
        let mut sink = sink(&config);
        let sealed = sink.seal(&message(1, "web died")).unwrap();
        let outcome = sink.deliver(&sealed).await;
        let mail = &server.mails()[0];
        assert!(mail.bytes.is_ascii());
        if takes {
            assert_eq!(mail.to, ["jürgen@xn--mller-kva.example", "ops@example.com"]);
            assert!(server.commands().iter().any(|command| command.line.ends_with(" SMTPUTF8")));
        } else {
            assert_eq!(mail.to, ["ops@example.com"]);
            let failure = &outcome.failed[0].1;
            assert_eq!((failure.fault, failure.lasting), (Whose::Recipient, true));
            assert!(failure.error.contains("jürgen@xn--mller-kva.example: the server takes only ASCII"), "{failure}");
        }
        options.extensions.push("SMTPUTF8");
    }
}

#[tokio::test]
async fn a_mail_too_big_for_the_server_is_sent_as_shortened_text() {
    let server = ScriptedSmtp::start().await;
    server.once(Stage::Dot, Fault::reply("552 5.3.4 message too big"));
    let outbox = post(&server).await;
    let text = "0123456789 abcdefghij\n".repeat(20_000);
    outbox.send("ops", &text_message(1, "a long digest", &text)).await;
    let mail = server.wait_for(1).await.remove(0);
    assert!(mail.bytes.len() < 100_000);
    let body = mailparse::parse_mail(&mail.bytes).unwrap().get_body().unwrap();
    assert!(body.contains("[cut here: ") && body.contains(" of 440000 bytes are shown]"));
}

#[tokio::test]
async fn a_message_is_tried_until_its_deadline_and_then_told_as_a_dead_letter() {
    let server = ScriptedSmtp::start().await;
    server.always(Stage::Rcpt, Fault::reply("451 4.7.1 never"));
    let outbox = post(&server).await;
    let mut messages = outbox.seal("ops", &message(1, "web died")).await;
    messages[0].deadline = Some(Timestamp::now() + Duration::from_millis(300));
    outbox.put("ops", messages).await;
    outbox.all_told().await;
    let stats = outbox.stats("ops").unwrap().borrow().clone();
    assert_eq!((stats.delivered, stats.refused), (0, 1));
    assert!(stats.retried > 0, "{stats:?}");
    let [Trouble::DeadLetter { error, .. }] = &outbox.troubles()[..] else { panic!("{:?}", outbox.troubles()) };
    assert!(error.starts_with("it was tried until its time was over: ") && error.contains("451 4.7.1"), "{error}");
}

#[tokio::test]
async fn a_login_that_fails_for_a_while_loses_nothing() {
    let options = Options { login: Some(("dockbell".to_owned(), "s3cret".to_owned())), ..Options::default() };
    let server = ScriptedSmtp::start_with(options).await;
    server.once(Stage::Auth, Fault::reply("535 5.7.8 who?"));
    server.once(Stage::Auth, Fault::reply("454 4.7.0 not now"));
    server.once(Stage::Auth, Fault::reply("334 eyJzdGF0dXMiOiI0MDAifQ=="));
    let mut config = email(server.port());
    config.server.login = Some(dockbell_tests::deliver::login("s3cret"));
    let outbox = Post::mail_in(&Place::Memory, &config, soon()).await;
    outbox.send("ops", &message(1, "web died")).await;
    server.wait_for(1).await;
    outbox.all_told().await;
    assert_eq!(outbox.stats("ops").unwrap().borrow().refused, 0);
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn an_address_that_leads_nowhere_ends_within_the_limit() {
    let mut config = email(25);
    // TEST-NET-1 (RFC 5737): nobody answers, or the network says at once that it cannot be reached.
    config.server.host = "192.0.2.1".to_owned();
    let limits = Limits { connect: Duration::from_millis(200), ..Limits::default() };
    let mut sink = sink_within(&config, limits);
    let begun = Instant::now();
    let sealed = sink.seal(&message(1, "web died")).unwrap();
    let failure = sink.deliver(&sealed).await.failed.remove(0).1;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(failure.error.contains("192.0.2.1:25: connect: ") && failure.hint.is_some(), "{failure}");
}
