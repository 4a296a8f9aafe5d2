//! The outbox: a message is there until each recipient has it or never will.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::time::Duration;

use bytes::Bytes;
use dockbell::message::Phase;
use dockbell::store::{
    Ambiguous, Due, End, Filter, Keep, MessageState, NewMessage, Options, Outcome, Seal, Sealed, Stats, Store, Then,
};
use fixture::{at, both, end, message, noon, open, seal, try_open};
use jiff::Timestamp;

async fn stats(store: &Store) -> Stats {
    store.stats().await.unwrap()
}

/// Takes a message that must be there, and ends the attempt.
async fn attempt(store: &Store, number: i64, outcome: &Outcome, then: Then) -> MessageState {
    let outgoing = store.begin(number, noon()).await.unwrap().unwrap();
    store.end(end(&outgoing, outcome, then)).await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_message_goes_out_with_the_bytes_it_was_sealed_with() {
    for (_directory, store) in both() {
        let new = NewMessage {
            plainer: Some(Bytes::from_static(b"plain")),
            recipients: vec!["a@example.com".into(), "b@example.com".into()],
            phase: Phase::First,
            ..message("ops", "web", 3)
        };
        let [number] = seal(&store, vec![new.clone()]).await[..] else { panic!("one message") };
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Now(number));
        assert_eq!(store.next_due("other", noon()).await.unwrap(), Due::Nothing);
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        assert_eq!((out.id, &*out.sink, &*out.route, &*out.group), (new.id, "ops", "default", "web"));
        assert_eq!((out.phase, out.total, out.tries, out.sealed_at), (Phase::First, 3, 1, noon()));
        assert_eq!(out.deadline, noon() + Duration::from_hours(5 * 24));
        assert_eq!((out.wire, out.plainer, &out.pending), (new.wire, new.plainer, &new.recipients));
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Nothing, "it is being sent");
        assert_eq!(store.begin(number, noon()).await.unwrap(), None, "nobody else can send it");
    }
}

#[tokio::test]
async fn each_recipient_has_a_result_of_its_own() {
    for (_directory, store) in both() {
        let recipients = ["one@example.com", "two@example.com", "three@example.com"].map(Into::into).to_vec();
        let new = NewMessage { recipients, ..message("ops", "web", 1) };
        let id = new.id;
        let number = seal(&store, vec![new]).await[0];
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        let results = [Outcome::Sent, Outcome::Dead("550 no such user".into()), Outcome::Pending("451 later".into())];
        let then = Then::RetryAt(noon() + Duration::from_secs(60));
        let ended =
            End { recipients: out.pending.iter().cloned().zip(results).collect(), ..end(&out, &Outcome::Sent, then) };
        let ended = store.end(ended).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.pending), (MessageState::Pending, vec!["three@example.com".into()]));
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::At(noon() + Duration::from_secs(60)));

        let later = noon() + Duration::from_secs(61);
        assert_eq!(store.next_due("ops", later).await.unwrap(), Due::Now(number));
        let out = store.begin(number, later).await.unwrap().unwrap();
        assert_eq!(
            (out.pending.as_slice(), out.tries, out.first_try),
            (["three@example.com".into()].as_slice(), 2, noon())
        );
        let ended = store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap().unwrap();
        assert_eq!(ended.state, MessageState::Dead, "one of them will not get it");

        let [letter] = &store.letters(id).await.unwrap()[..] else { panic!("one letter") };
        let states: Vec<_> = letter.recipients.iter().map(|recipient| recipient.state).collect();
        assert_eq!(states, [MessageState::Sent, MessageState::Dead, MessageState::Sent]);
        assert_eq!(letter.recipients[1].error.as_deref(), Some("550 no such user"));
        assert_eq!(letter.attempts.len(), 2);

        // A dead letter that is sent again goes to nobody who has it.
        assert_eq!(store.retry(vec![id], noon() + Duration::from_hours(1)).await.unwrap(), [number]);
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        assert!(out.late && out.id == id);
        assert_eq!(out.pending, ["two@example.com".into()]);
    }
}

#[tokio::test]
async fn a_message_that_all_have_gives_its_bytes_up_and_is_remembered_for_a_day() {
    for (_directory, store) in both() {
        let new = message("ops", "web", 1);
        let id = new.id;
        let number = seal(&store, vec![new]).await[0];
        assert_eq!(attempt(&store, number, &Outcome::Sent, Then::Retry).await, MessageState::Sent);
        let [letter] = &store.letters(id).await.unwrap()[..] else { panic!("one letter") };
        assert_eq!((letter.summary.state, &letter.wire), (MessageState::Sent, &None));
        assert!(store.messages(Filter::default()).await.unwrap().is_empty());
        assert!(store.retry(vec![id], noon()).await.unwrap().is_empty());
        store.upkeep(noon() + Duration::from_hours(23), Keep::default()).await.unwrap();
        assert_eq!(stats(&store).await.count(MessageState::Sent), 1);
        store.upkeep(noon() + Duration::from_hours(25), Keep::default()).await.unwrap();
        assert_eq!(stats(&store).await.count(MessageState::Sent), 0);
    }
}

#[tokio::test]
async fn the_oldest_goes_first_and_one_that_was_put_off_waits_for_its_time() {
    for (_directory, store) in both() {
        let numbers = seal(&store, (1..=3).map(|group| message("ops", &group.to_string(), 1)).collect()).await;
        let due = async |now| store.next_due("ops", now).await.unwrap();
        assert_eq!(due(noon()).await, Due::Now(numbers[0]));
        // The sink failed: the message keeps its place.
        assert_eq!(
            attempt(&store, numbers[0], &Outcome::Pending("refused".into()), Then::Retry).await,
            MessageState::Pending
        );
        assert_eq!(due(noon()).await, Due::Now(numbers[0]));
        // The message failed: the others go on, and it comes first when its time has come.
        let later = noon() + Duration::from_secs(30);
        attempt(&store, numbers[0], &Outcome::Pending("451".into()), Then::RetryAt(later)).await;
        assert_eq!(due(noon()).await, Due::Now(numbers[1]));
        assert_eq!(due(later).await, Due::Now(numbers[0]));
        // A message that was put off and then met a sink that is down stays put off.
        attempt(&store, numbers[0], &Outcome::Pending("refused".into()), Then::Retry).await;
        assert_eq!(due(noon()).await, Due::Now(numbers[1]));
        for number in &numbers[1..] {
            attempt(&store, *number, &Outcome::Sent, Then::Retry).await;
        }
        assert_eq!(due(noon()).await, Due::At(later));
        // Until a person does not want to wait.
        let waiting = store.messages(Filter::default()).await.unwrap();
        assert_eq!(store.retry(vec![waiting[0].id], later).await.unwrap(), [numbers[0]]);
        assert_eq!(due(noon()).await, Due::Now(numbers[0]));
        assert!(!store.begin(numbers[0], noon()).await.unwrap().unwrap().late);
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_leaves_no_message_waiting_for_long() {
    for (_directory, store) in both() {
        let number = seal(&store, vec![message("ops", "web", 1)]).await[0];
        let day = Duration::from_hours(24);
        attempt(&store, number, &Outcome::Pending("451".into()), Then::RetryAt(noon() + day)).await;
        let hour = Duration::from_hours(1);
        assert_eq!(store.clamp_due(noon(), hour).await.unwrap(), 1);
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::At(noon() + hour));
        assert_eq!(store.clamp_due(noon(), hour).await.unwrap(), 0);
        // One that was never tried does not depend on the clock at all.
        let fresh = seal(&store, vec![message("ops", "web", 1)]).await[0];
        assert_eq!(store.next_due("ops", at(0)).await.unwrap(), Due::Now(fresh));
    }
}

#[tokio::test]
async fn refused_content_is_sent_in_its_simpler_form_from_then_on() {
    for (_directory, store) in both() {
        let new = NewMessage { plainer: Some(Bytes::from_static(b"plain")), ..message("ops", "web", 1) };
        let full = new.wire.clone();
        let number = seal(&store, vec![new]).await[0];
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        let ended = End { plainer: true, ..end(&out, &Outcome::Pending("554".into()), Then::Retry) };
        store.end(ended).await.unwrap();
        for _ in 0..2 {
            let out = store.begin(number, noon()).await.unwrap().unwrap();
            assert_eq!((&out.wire[..], &out.plainer), (b"plain".as_slice(), &None));
            store.end(end(&out, &Outcome::Pending("451".into()), Then::Retry)).await.unwrap();
        }
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap();
        let letter = store.letters(out.id).await.unwrap().remove(0);
        assert_eq!(letter.wire, Some(full), "the full form can still be looked at");
    }
}

#[tokio::test]
async fn what_was_being_sent_when_the_program_died_is_sent_again_or_held() {
    for policy in [Ambiguous::Resend, Ambiguous::Hold] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).store;
        let new = message("ops", "web", 1);
        let numbers = seal(&store, vec![new.clone(), message("ops", "db", 1)]).await;
        let before = store.begin(numbers[0], noon()).await.unwrap().unwrap();
        store.close().await.unwrap();

        let options = Options { ambiguous: policy, ..Options::default() };
        let opened = try_open(directory.path(), &options).unwrap();
        let [interrupted] = &opened.interrupted[..] else { panic!("{:?}", opened.interrupted) };
        assert_eq!((interrupted.number, interrupted.id, &*interrupted.sink), (numbers[0], new.id, "ops"));
        let store = opened.store;
        if policy == Ambiguous::Hold {
            assert_eq!(interrupted.state, MessageState::Held);
            assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Now(numbers[1]));
            store.retry(vec![new.id], before.deadline).await.unwrap();
        }
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Now(numbers[0]));
        let again = store.begin(numbers[0], noon()).await.unwrap().unwrap();
        assert!(again.ambiguous && !before.ambiguous);
        assert_eq!((again.id, &again.wire, again.tries), (before.id, &before.wire, 2));
        let letter = store.letters(new.id).await.unwrap().remove(0);
        assert_eq!(letter.attempts[0].stage, "interrupted");
    }
}

#[tokio::test]
async fn a_digest_that_was_never_tried_gives_way_to_a_later_one_with_its_count() {
    for (_directory, store) in both() {
        let old = NewMessage { batch: Some(Bytes::from_static(b"[1,2]")), ..message("ops", "web", 2) };
        let others = [
            message("ops", "db", 1),
            message("chat", "web", 1),
            NewMessage { phase: Phase::Closing, batch: Some(Bytes::from_static(b"[3]")), ..message("ops", "web", 1) },
        ];
        let numbers = seal(&store, std::iter::once(old).chain(others).collect()).await;
        let untried = store.untried("default", "web", "ops").await.unwrap();
        assert_eq!(untried.len(), 1, "neither another group, sink nor phase: {untried:?}");
        assert_eq!((untried[0].number, untried[0].total, &*untried[0].batch), (numbers[0], 2, &b"[1,2]"[..]));

        let merged = NewMessage { batch: Some(Bytes::from_static(b"[1,2,3]")), ..message("ops", "web", 7) };
        let replace = Seal {
            route: "default".to_owned(),
            messages: vec![merged.clone()],
            replaces: vec![numbers[0]],
            ..Seal::default()
        };
        let Sealed::Done(new) = store.seal(replace.clone()).await.unwrap() else { panic!("it was untried") };
        assert_eq!(store.begin(numbers[0], noon()).await.unwrap(), None);
        let untried = store.untried("default", "web", "ops").await.unwrap();
        assert_eq!((untried.len(), untried[0].number, untried[0].total), (1, new[0], 7));

        // Once it was tried, it stays, and a seal that would replace it changes nothing.
        attempt(&store, new[0], &Outcome::Pending("refused".into()), Then::Retry).await;
        let late =
            Seal { messages: vec![message("ops", "web", 9)], replaces: vec![new[0]], settled: Some(5), ..replace };
        assert_eq!(store.seal(late).await.unwrap(), Sealed::Tried);
        assert_eq!(stats(&store).await.count(MessageState::Pending), 4);
        assert_eq!(store.open_route("default").await.unwrap(), 0, "it has not settled anything");
    }
}

#[tokio::test]
async fn a_message_that_is_too_old_becomes_a_dead_letter_even_if_it_never_had_its_turn() {
    for (_directory, store) in both() {
        let new = NewMessage { deadline: Some(noon() + Duration::from_secs(10)), ..message("ops", "web", 4) };
        let id = new.id;
        seal(&store, vec![new, message("ops", "db", 1)]).await;
        assert!(store.upkeep(noon(), Keep::default()).await.unwrap().expired.is_empty());
        let upkept = store.upkeep(noon() + Duration::from_secs(11), Keep::default()).await.unwrap();
        assert_eq!(upkept.expired.iter().map(|letter| (letter.id, letter.total)).collect::<Vec<_>>(), [(id, 4)]);
        assert_eq!(stats(&store).await.count(MessageState::Dead), 1);
        assert_eq!(store.letters(id).await.unwrap()[0].recipients[0].state, MessageState::Dead);

        let month = noon() + Duration::from_hours(31 * 24);
        let purged = store.upkeep(month, Keep::default()).await.unwrap().purged;
        assert_eq!(purged.iter().map(|letter| letter.id).collect::<Vec<_>>(), [id]);
        assert!(store.letters(id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_message_that_waited_while_dockbell_was_off_is_not_given_up_for_that() {
    let directory = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let days = |days: u64| Duration::from_hours(24 * days);
    let store = open(directory.path()).store;
    let new = NewMessage { sealed_at: now - days(6), ..message("ops", "web", 1) };
    let id = new.id;
    seal(&store, vec![new]).await;
    store.close().await.unwrap();
    // It was written last six days ago.
    let file = std::fs::File::options().write(true).open(directory.path().join("state.db")).unwrap();
    file.set_modified(std::time::SystemTime::now() - days(6)).unwrap();
    let store = open(directory.path()).store;
    assert!(store.upkeep(now, Keep::default()).await.unwrap().expired.is_empty());
    let left = store.letters(id).await.unwrap()[0].summary.deadline.duration_since(now);
    assert!(left > jiff::SignedDuration::from_hours(24 * 5 - 1), "{left}");
    store.close().await.unwrap();

    // Whoever was awake all the time gives it up.
    let store = open(directory.path()).store;
    assert_eq!(store.upkeep(now + days(6), Keep::default()).await.unwrap().expired.len(), 1);
}

#[tokio::test]
async fn dead_letters_are_listed_dropped_and_tried_again() {
    for (_directory, store) in both() {
        let all: Vec<_> = (0..3).map(|group| message("ops", &group.to_string(), 1)).collect();
        let ids: Vec<_> = all.iter().map(|message| message.id).collect();
        for number in seal(&store, all).await {
            assert_eq!(attempt(&store, number, &Outcome::Dead("550".into()), Then::Retry).await, MessageState::Dead);
        }
        let dead = Filter { states: vec![MessageState::Dead], most: 2, ..Filter::default() };
        let first = store.messages(dead.clone()).await.unwrap();
        let rest = store.messages(Filter { after: first[1].number, ..dead.clone() }).await.unwrap();
        assert_eq!(first.iter().chain(&rest).map(|letter| letter.id).collect::<Vec<_>>(), ids);
        assert_eq!(first[0].error.as_deref(), Some("Dead(\"550\")"));
        assert!(store.messages(Filter { sink: Some("chat".to_owned()), ..dead }).await.unwrap().is_empty());

        assert_eq!(store.drop_messages(vec![ids[0]]).await.unwrap().len(), 1);
        assert_eq!(store.retry(ids.clone(), noon() + Duration::from_hours(1)).await.unwrap().len(), 2);
        let stats = stats(&store).await;
        assert_eq!((stats.count(MessageState::Dead), stats.count(MessageState::Pending)), (0, 2));
    }
}

#[tokio::test]
async fn what_is_being_sent_is_not_dropped() {
    for (_directory, store) in both() {
        let new = message("ops", "web", 1);
        let id = new.id;
        let number = seal(&store, vec![new]).await[0];
        store.begin(number, noon()).await.unwrap().unwrap();
        assert!(store.drop_messages(vec![id]).await.unwrap().is_empty());
        assert_eq!(store.letters(id).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn messages_of_a_sink_that_is_gone_wait_until_it_is_back() {
    for (_directory, store) in both() {
        let number = seal(&store, vec![message("ops", "web", 1), message("chat", "web", 1)]).await[0];
        assert_eq!(store.match_sinks(&["chat"]).await.unwrap(), (1, 0));
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Nothing);
        assert_eq!(store.match_sinks(&["chat", "ops"]).await.unwrap(), (0, 1));
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Now(number));
        assert_eq!(store.hold_all().await.unwrap(), 2);
        assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Nothing);
    }
}

#[tokio::test]
async fn of_many_attempts_the_first_and_the_last_are_kept() {
    for (_directory, store) in both() {
        let new = message("ops", "web", 1);
        let id = new.id;
        let number = seal(&store, vec![new]).await[0];
        for _ in 0..100 {
            attempt(&store, number, &Outcome::Pending("é".repeat(5_000)), Then::Retry).await;
        }
        let letter = store.letters(id).await.unwrap().remove(0);
        let kept: Vec<_> = letter.attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(kept, std::iter::once(1).chain(82..=100).collect::<Vec<_>>());
        assert!(letter.attempts.iter().all(|attempt| attempt.outcome.len() <= 2_000));
        assert_eq!(letter.summary.tries, 100);
    }
}

#[tokio::test]
async fn the_same_message_does_not_go_to_the_same_sink_twice() {
    for (_directory, store) in both() {
        let new = message("ops", "web", 1);
        seal(&store, vec![new.clone()]).await;
        let again =
            Seal { route: "default".to_owned(), messages: vec![message("ops", "db", 1), new], ..Seal::default() };
        store.seal(again).await.unwrap_err();
        assert_eq!(stats(&store).await.count(MessageState::Pending), 1, "all of it or nothing");
    }
}

#[tokio::test]
async fn counts_are_exact_per_sink_and_state() {
    for (_directory, store) in both() {
        let late = NewMessage { sealed_at: noon() + Duration::from_secs(5), ..message("ops", "web", 1) };
        let numbers = seal(&store, vec![message("ops", "a", 1), late, message("chat", "b", 1)]).await;
        attempt(&store, numbers[0], &Outcome::Dead("550".into()), Then::Retry).await;
        let stats = stats(&store).await;
        let mut rows: Vec<_> =
            stats.messages.iter().map(|row| (&*row.sink, row.state, row.messages, row.oldest)).collect();
        rows.sort();
        let five = noon() + Duration::from_secs(5);
        assert_eq!(
            rows,
            [
                ("chat", MessageState::Pending, 1, noon()),
                ("ops", MessageState::Pending, 1, five),
                ("ops", MessageState::Dead, 1, noon())
            ]
        );
        assert_eq!(stats.oldest_pending, Some(noon()));
        assert!(stats.store_bytes > 0 && stats.quota.is_some() && !stats.volume_full);
    }
}
