//! Room: at the quota and on a full volume nothing breaks, delivering goes on, and the store recovers by itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::fs;

use dockbell::store::{
    Due, Filter, Full, Keep, MessageState, NewMessage, Notice, Options, Outcome, Seal, Sealed, Store, StoreError, Then,
};
use fixture::{
    all_lines, end, grow, has_own_mounts, message, mount_tmpfs, noon, number, numbered, seal, try_open, with_own_mounts,
};

/// Appends batches until the store refuses one; how many it took, and why no more.
async fn fill(store: &Store, from: u32) -> (u32, StoreError) {
    let mut engine = store.appender("local");
    for batch in from.. {
        match engine.append(numbered(batch * 10..batch * 10 + 10, 2000)).await.unwrap().await {
            Ok(_) => {}
            Err(error) => {
                engine.resume();
                return (batch, error);
            }
        }
    }
    unreachable!("it has an end")
}

/// Everything that was taken is there, and the cursor is at its end.
async fn holds(store: &Store, batches: u32) {
    let lines = all_lines(store, 0).await;
    assert_eq!(lines.len(), batches as usize * 10);
    assert!(lines.iter().zip(0..).all(|((_, line), expected)| number(line) == expected));
    let cursor = store.cursor("local").await.unwrap().unwrap();
    assert_eq!(cursor.last_nanos, Some(i64::from(batches) * 10 - 1));
}

#[tokio::test]
async fn at_the_quota_new_lines_are_refused_and_delivering_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { quota: Some(8 << 20), ..Options::default() };
    let store = try_open(directory.path(), &options).unwrap().store;
    store.open_route("default").await.unwrap();
    seal(&store, (0..200).map(|group| message("ops", &group.to_string(), 1)).collect()).await;
    let (batches, error) = fill(&store, 0).await;
    assert!(matches!(error, StoreError::Full(Full::Quota { bytes }) if bytes == 8 << 20), "{error}");
    assert!(error.to_string().contains("\nhint: "), "{error}");
    assert!(fs::metadata(directory.path().join("state.db")).unwrap().len() <= 8 << 20);
    holds(&store, batches).await;

    // All 200 messages go out, each with attempts and results, while not one line fits in.
    while let Due::Now(number) = store.next_due("ops", noon()).await.unwrap() {
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap().unwrap();
    }
    assert_eq!(store.stats().await.unwrap().count(MessageState::Sent), 200);

    // Settling makes room, in the same process.
    store.settle("default", u64::from(batches) * 10).await.unwrap();
    while store.upkeep(noon(), Keep::default()).await.unwrap().more {}
    let (more, _) = fill(&store, batches).await;
    assert!(more > batches + batches / 2, "{batches}, then {more}");
    store.close().await.unwrap();
    assert!(
        try_open(directory.path(), &options)
            .unwrap()
            .notices
            .iter()
            .all(|notice| { !notice.to_string().contains("damaged") })
    );
}

/// A message of a route whose content cannot be packed.
fn bulky(route: &str, sink: &str, number: u32, bytes: usize) -> NewMessage {
    let wire = bytes::Bytes::from(vec![b'x'; bytes]);
    NewMessage { route: route.to_owned(), wire, ..message(sink, &format!("{route}-{number}"), 3) }
}

/// Seals one message; false when the store has no room for it.
async fn fits(store: &Store, message: NewMessage) -> bool {
    match store.seal(Seal { route: message.route.clone(), messages: vec![message], ..Seal::default() }).await {
        Ok(_) => true,
        Err(error) => {
            assert!(error.is_full(), "{error}");
            false
        }
    }
}

/// What the route `hog` lost.
#[derive(Default)]
struct Lost {
    given_up: u64,
    emptied: u64,
    events: u64,
}

impl Lost {
    /// As the program does when something is refused.
    async fn make_room(&mut self, store: &Store) {
        store.short_of_room().await;
        let gave_way = store.make_room(noon()).await.unwrap();
        let [one] = &gave_way[..] else { panic!("{gave_way:?}") };
        assert_eq!((one.route.as_str(), one.sink.as_str()), ("hog", "chat"));
        assert!(!one.alarms && one.since == noon());
        self.given_up += one.given_up;
        self.emptied += one.emptied;
        self.events += one.events;
    }
}

#[tokio::test]
async fn one_route_cannot_fill_the_store_for_the_others_and_what_gives_way_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = try_open(directory.path(), &Options { quota: Some(16 << 20), ..Options::default() }).unwrap().store;
    let in_memory = Options { quota: Some(16 << 20), ..Options::default() };
    let in_memory = Store::open(&dockbell::store::Place::Memory, &in_memory).unwrap().store;
    for store in [on_disk, in_memory] {
        let honest: Vec<_> = (0..20).map(|number| bulky("honest", "ops", number, 20_000)).collect();
        let honest_ids: Vec<_> = honest.iter().map(|message| message.id).collect();
        for message in honest {
            assert!(fits(&store, message).await);
        }
        // Nobody takes these. Some were tried already, and are dead.
        let mut lost = Lost::default();
        let mut engine = store.appender("local");
        for number in 0..400 {
            while !fits(&store, bulky("hog", "chat", number, 100_000)).await {
                lost.make_room(&store).await;
            }
            if number < 20
                && let Due::Now(number) = store.next_due("chat", noon()).await.unwrap()
            {
                let out = store.begin(number, noon()).await.unwrap().unwrap();
                store.end(end(&out, &Outcome::Dead("no".to_owned()), Then::Retry)).await.unwrap().unwrap();
            }
            let lines = numbered(number..number + 1, 10);
            while engine.append(lines.clone()).await.unwrap().await.is_err() {
                lost.make_room(&store).await;
                engine.resume();
            }
        }
        let Lost { given_up, emptied, events } = lost;
        assert!(given_up > 250 && emptied == 20 && events == (given_up + emptied) * 3, "{given_up} {emptied} {events}");
        let all = store.messages(Filter { most: 1000, ..Filter::default() }).await.unwrap();
        let of = |route: &str, state| all.iter().filter(|one| one.route == route && one.state == state).count() as u64;
        assert_eq!(of("honest", MessageState::Pending), 20, "whoever has little loses nothing");
        assert_eq!(of("hog", MessageState::Dead), given_up + emptied, "all are listed");
        assert_eq!(of("hog", MessageState::Pending), 400 - given_up - emptied);
        let oldest = all.iter().find(|one| one.route == "hog" && one.tries == 0).unwrap();
        assert!(oldest.error.as_deref().unwrap().contains("more than their share of the store"), "{oldest:?}");
        let newest = all.iter().rfind(|one| one.route == "hog").unwrap();
        assert_eq!(newest.state, MessageState::Pending, "the oldest gave way");
        // Without content it cannot be sent again; what waits still can.
        assert!(store.retry(vec![oldest.id], noon()).await.unwrap().is_empty());
        assert_eq!(store.retry(honest_ids, noon()).await.unwrap().len(), 20);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn delivered_messages_and_dead_letters_give_way_before_those_that_wait() {
    let store = Store::open(&dockbell::store::Place::Memory, &Options { quota: Some(8 << 20), ..Options::default() });
    let store = store.unwrap().store;
    for number in 0..30 {
        assert!(fits(&store, bulky("hog", "chat", number, 100_000)).await);
        let Due::Now(number) = store.next_due("chat", noon()).await.unwrap() else { panic!("it waits") };
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        store.end(end(&out, &Outcome::Dead("no".to_owned()), Then::Retry)).await.unwrap().unwrap();
    }
    for number in 30..50 {
        assert!(fits(&store, bulky("hog", "chat", number, 100_000)).await);
    }
    let gave_way = store.make_room(noon()).await.unwrap();
    assert_eq!((gave_way[0].given_up, gave_way[0].events), (0, gave_way[0].emptied * 3), "{gave_way:?}");
    assert!(gave_way[0].emptied > 10, "{gave_way:?}");
    assert!(store.make_room(noon()).await.unwrap().is_empty(), "that was enough");
}

#[tokio::test]
async fn lines_leave_room_for_the_messages_that_let_them_go() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path(), &Options { quota: Some(8 << 20), ..Options::default() }).unwrap().store;
    store.open_route("default").await.unwrap();
    let (batches, error) = fill(&store, 0).await;
    assert!(error.is_full(), "{error}");
    // Again and again, although the file has free pages meanwhile.
    let mut settled = 0;
    for round in 0..20_u32 {
        assert!(fits(&store, bulky("default", "ops", round, 100_000)).await, "round {round}");
        let Due::Now(number) = store.next_due("ops", noon()).await.unwrap() else { panic!("it waits") };
        let out = store.begin(number, noon()).await.unwrap().unwrap();
        store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap().unwrap();
        settled += 10;
        store.settle("default", settled).await.unwrap();
        while store.upkeep(noon(), Keep::default()).await.unwrap().more {}
        fill(&store, batches + round).await;
    }
}

#[tokio::test]
async fn what_a_burst_took_is_given_back_to_the_volume() {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(directory.path(), &Options::default()).unwrap().store;
    store.open_route("default").await.unwrap();
    let engine = store.appender("local");
    for batch in 0..60_u32 {
        engine.append(numbered(batch * 100..batch * 100 + 100, 10_000)).await.unwrap().await.unwrap();
    }
    assert!(store.stats().await.unwrap().store_bytes > 50 << 20);
    store.settle("default", 6_000).await.unwrap();
    let mut bites = 1;
    while store.upkeep(noon(), Keep::default()).await.unwrap().more {
        bites += 1;
    }
    assert!(bites < 200, "{bites}");
    let left = store.stats().await.unwrap().store_bytes;
    assert!(left < 20 << 20, "{left}");
    store.close().await.unwrap();
    assert_eq!(fs::metadata(directory.path().join("state.db")).unwrap().len(), left);
}

#[tokio::test]
async fn in_memory_there_is_a_quota_too() {
    let options = Options { quota: Some(4 << 20), ..Options::default() };
    let store = Store::open(&dockbell::store::Place::Memory, &options).unwrap().store;
    let (batches, error) = fill(&store, 0).await;
    assert!(batches > 50 && matches!(error, StoreError::Full(Full::Quota { .. })), "{batches}: {error}");
    holds(&store, batches).await;
}

#[tokio::test]
async fn nothing_overtakes_a_line_that_was_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { quota: Some(4 << 20), ..Options::default() };
    let store = try_open(directory.path(), &options).unwrap().store;
    let mut engine = store.appender("local");
    // Large ones and then small ones that would still fit.
    let mut tickets = Vec::new();
    for batch in 0..80_u32 {
        let filler = if batch < 40 { 10_000 } else { 0 };
        tickets.push(engine.append(numbered(batch * 10..batch * 10 + 10, filler)).await.unwrap());
    }
    let mut answers = Vec::new();
    for ticket in tickets {
        answers.push(ticket.await);
    }
    let taken = answers.iter().take_while(|answer| answer.is_ok()).count();
    assert!(taken > 10 && taken < 40, "{taken}");
    assert!(matches!(answers[taken], Err(StoreError::Full(_))), "{:?}", answers[taken]);
    assert!(answers[taken + 1..].iter().all(|answer| matches!(answer, Err(StoreError::OutOfTurn))));
    // Other streams are not concerned.
    store.appender("other").append(numbered(0..1, 0)).await.unwrap().await.unwrap();
    let lines = all_lines(&store, 0).await;
    assert_eq!(lines.len(), taken * 10 + 1);
    assert_eq!(store.cursor("local").await.unwrap().unwrap().last_nanos, Some(taken as i64 * 10 - 1));
    // Once its owner knows, the stream goes on.
    engine.resume();
    let next = u32::try_from(taken).unwrap() * 10;
    engine.append(numbered(next..next + 1, 0)).await.unwrap().await.unwrap();
}

#[test]
fn on_a_full_volume_delivering_goes_on_and_the_store_recovers_by_itself() {
    with_own_mounts("full_volume_inside");
}

#[tokio::test]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn full_volume_inside() {
    if !has_own_mounts() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    mount_tmpfs(base.path(), 80);
    let state = base.path().join("state");
    let options = Options { quota: Some(1 << 30), ballast: Some(4 << 20), ..Options::default() };
    let store = try_open(&state, &options).unwrap().store;
    store.open_route("default").await.unwrap();
    seal(&store, (0..50).map(|group| message("ops", &group.to_string(), 1)).collect()).await;
    assert_eq!(fs::metadata(state.join("ballast")).unwrap().len(), 4 << 20);

    // Somebody else fills the volume.
    let hog = base.path().join("hog");
    let mut batches = 0;
    for round in 0..2 {
        grow(&hog);
        let (taken, error) = fill(&store, batches).await;
        batches = taken;
        assert!(matches!(&error, StoreError::Full(Full::Volume { .. })), "round {round}: {error}");
        assert!(error.to_string().contains("\nhint: make room there"), "{error}");
        assert!(store.stats().await.unwrap().volume_full);
        assert!(!state.join("ballast").exists(), "it made room for what follows");

        for _ in 0..25 {
            let Due::Now(number) = store.next_due("ops", noon()).await.unwrap() else { panic!("50 messages") };
            let out = store.begin(number, noon()).await.unwrap().unwrap();
            store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap().unwrap();
        }
        assert!(fill(&store, batches).await.1.is_full(), "nothing new is taken meanwhile");

        fs::remove_file(&hog).unwrap();
        let more = store.appender("local").append(numbered(batches * 10..batches * 10 + 10, 10)).await.unwrap().await;
        more.unwrap_or_else(|error| panic!("round {round}: {error}"));
        batches += 1;
        assert!(state.join("ballast").exists(), "it is there for the next time");
        assert!(!store.stats().await.unwrap().volume_full);
        holds(&store, batches).await;
    }
    assert_eq!(store.stats().await.unwrap().count(MessageState::Sent), 50);
    store.close().await.unwrap();
    let opened = try_open(&state, &options).unwrap();
    holds(&opened.store, batches).await;
}

#[test]
fn on_a_volume_that_is_full_already_the_store_opens_by_its_reserve_and_recovers() {
    with_own_mounts("full_before_the_start_inside");
}

#[tokio::test]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn full_before_the_start_inside() {
    if !has_own_mounts() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    mount_tmpfs(base.path(), 80);
    let (state, hog) = (base.path().join("state"), base.path().join("hog"));
    let options = Options { ballast: Some(4 << 20), ..Options::default() };
    let store = try_open(&state, &options).unwrap().store;
    seal(&store, vec![message("ops", "web", 1), message("ops", "db", 1)]).await;
    fill_a_little(&store).await;
    store.close().await.unwrap();
    grow(&hog);
    let opened = try_open(&state, &options).unwrap();
    assert!(opened.notices.iter().any(|notice| matches!(notice, Notice::NoBallast { .. })), "{:?}", opened.notices);
    let store = opened.store;
    assert_eq!(all_lines(&store, 0).await.len(), 10);
    let refused = store.appender("local").append(numbered(10..20, 10)).await.unwrap().await;
    assert!(refused.unwrap_err().is_full());
    let Due::Now(number) = store.next_due("ops", noon()).await.unwrap() else { panic!("two wait") };
    let out = store.begin(number, noon()).await.unwrap().unwrap();
    store.end(end(&out, &Outcome::Sent, Then::Retry)).await.unwrap().unwrap();
    store.close().await.unwrap();

    // Now that the ballast is gone, too, there is not even room to open it.
    grow(&hog);
    let error = try_open(&state, &options).unwrap_err();
    assert!(error.is_full() && error.to_string().contains("\nhint: make room there"), "{error}");
    let new = base.path().join("new");
    let error = try_open(&new, &options).unwrap_err().to_string();
    assert!(error.contains("\nhint: make room"), "{error}");
    fs::remove_file(&hog).unwrap();
    let store = try_open(&state, &options).unwrap().store;
    fill_a_little(&store).await;
    assert_eq!(all_lines(&store, 0).await.len(), 20);
    assert!(state.join("ballast").exists());
}

async fn fill_a_little(store: &Store) {
    store.appender("local").append(numbered(0..10, 10)).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_message_for_which_there_is_never_room_is_a_dead_letter_without_content_and_blocks_nobody() {
    let store = Store::open(&dockbell::store::Place::Memory, &Options { quota: Some(2 << 20), ..Options::default() });
    let store = store.unwrap().store;
    store.open_route("default").await.unwrap();
    let huge = NewMessage { wire: vec![b'x'; 4 << 20].into(), ..message("ops", "web", 700) };
    let mut seal = Seal {
        route: "default".to_owned(),
        messages: vec![message("ops", "db", 1), huge.clone()],
        settled: Some(3),
        ..Seal::default()
    };
    let refused = store.seal(seal.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full(Full::Quota { .. })), "{refused}");
    assert!(seal.leave_out(store.largest_message()));
    assert!(!seal.leave_out(store.largest_message()), "the other one stays");
    let Sealed::Done(numbers) = store.seal(seal).await.unwrap() else { panic!("nothing was to be replaced") };
    assert_eq!(numbers.len(), 1);

    // Named and counted, and nothing of it is sent, not even when somebody asks for that.
    let dead = store.messages(Filter { states: vec![MessageState::Dead], ..Filter::default() }).await.unwrap();
    let [lost] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((lost.id, lost.total, &lost.subject), (huge.id, 700, &huge.subject));
    assert!(lost.error.as_deref().unwrap().contains("do not fit into the store"), "{lost:?}");
    let later = noon() + std::time::Duration::from_hours(1);
    assert_eq!(store.retry(vec![huge.id], later).await.unwrap(), Vec::<i64>::new());
    assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Now(numbers[0]));
    assert_eq!(store.open_route("default").await.unwrap(), 3, "the route goes on");
}
