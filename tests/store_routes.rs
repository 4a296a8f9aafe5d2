//! Routes and their digests: after a restart each goes on where it was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::time::Duration;

use dockbell::store::{ContainerState, GroupChange, GroupRow, MessageState, Seal, Sealed};
use fixture::{all_lines, both, message, noon, numbered, open};

fn group(key: &str, due: u64, sealed_through: u64) -> GroupRow {
    let due = Some(noon() + Duration::from_millis(due));
    GroupRow { key: key.to_owned(), state: format!("{{\"key\":\"{key}\"}}"), due, sealed_through }
}

#[tokio::test]
async fn a_restart_finds_open_digests_with_their_due_times() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let rows = [group("db", 60_000, 0), group("web", 1_500, 7)];
    let save = |row: &GroupRow| GroupChange::Save(row.clone());
    store.save_groups("default", rows.iter().map(save).collect()).await.unwrap();
    store.save_groups("other", vec![save(&group("web", 9, 1))]).await.unwrap();
    store.close().await.unwrap();

    let store = open(directory.path()).store;
    assert_eq!(store.groups("default").await.unwrap(), rows);
    assert_eq!(store.groups("nobody").await.unwrap(), []);
    // A window may last a week: what a clock that was set back has done to it, its route finds out.
    assert_eq!(store.clamp_due(noon(), Duration::from_secs(30)).await.unwrap(), 0);
    assert_eq!(store.groups("default").await.unwrap(), rows);
}

#[tokio::test]
async fn a_seal_is_all_or_nothing() {
    for (_directory, store) in both() {
        store.save_groups("default", vec![GroupChange::Save(group("web", 1, 0))]).await.unwrap();
        let seal = Seal {
            route: "default".to_owned(),
            groups: vec![GroupChange::Save(group("web", 60_000, 10)), GroupChange::Save(group("db", 5, 0))],
            settled: Some(10),
            messages: vec![message("ops", "web", 1), message("chat", "web", 1)],
            ..Seal::default()
        };
        let Sealed::Done(numbers) = store.seal(seal.clone()).await.unwrap() else { panic!("nothing was replaced") };
        assert_eq!(numbers.len(), 2);
        assert_eq!(store.open_route("default").await.unwrap(), 10);
        assert_eq!(store.groups("default").await.unwrap(), [group("db", 5, 0), group("web", 60_000, 10)]);

        // The ids are known already, so nothing of this one is taken.
        let again = Seal { settled: Some(20), groups: vec![GroupChange::Save(group("web", 1, 20))], ..seal };
        store.seal(again).await.unwrap_err();
        assert_eq!(store.open_route("default").await.unwrap(), 10);
        assert_eq!(store.groups("default").await.unwrap()[1], group("web", 60_000, 10));
        assert_eq!(store.stats().await.unwrap().count(MessageState::Pending), 2);
    }
}

#[tokio::test]
async fn a_digest_that_is_over_is_known_until_the_route_has_settled_its_lines() {
    for (_directory, store) in both() {
        let engine = store.appender("local");
        assert_eq!(store.open_route("default").await.unwrap(), 0);
        engine.append(numbered(0..8, 0)).await.unwrap().await.unwrap();
        // Line 5 waits in `db`; lines 6 and 7 were told through `web`, which is over.
        let close = |key: &str, sealed_through| GroupChange::Close { key: key.to_owned(), sealed_through };
        let changes =
            vec![GroupChange::Save(group("db", 9, 0)), GroupChange::Save(group("web", 9, 7)), close("web", 7)];
        store
            .seal(Seal { route: "default".to_owned(), groups: changes, settled: Some(4), ..Seal::default() })
            .await
            .unwrap();
        let rows = store.groups("default").await.unwrap();
        assert_eq!((rows[1].key.as_str(), rows[1].due, rows[1].sealed_through), ("web", None, 7));
        assert_eq!(store.stats().await.unwrap().open_groups, 1);
        assert_eq!(all_lines(&store, 4).await.len(), 4);

        // Told: nothing is left to remember.
        store
            .seal(Seal {
                route: "default".to_owned(),
                groups: vec![close("db", 5)],
                settled: Some(8),
                ..Seal::default()
            })
            .await
            .unwrap();
        assert_eq!(store.groups("default").await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_was_told_of_a_key_never_goes_back() {
    for (_directory, store) in both() {
        store.save_groups("default", vec![GroupChange::Save(group("web", 1, 9))]).await.unwrap();
        store.save_groups("default", vec![GroupChange::Save(group("web", 2, 0))]).await.unwrap();
        assert_eq!(store.groups("default").await.unwrap(), [group("web", 2, 9)]);
    }
}

#[tokio::test]
async fn a_new_route_begins_behind_what_was_read_before_it() {
    for (_directory, store) in both() {
        store.appender("local").append(numbered(0..8, 0)).await.unwrap().await.unwrap();
        assert_eq!(store.open_route("new").await.unwrap(), 8);
        store.appender("local").append(numbered(8..9, 0)).await.unwrap().await.unwrap();
        assert_eq!(store.open_route("new").await.unwrap(), 8, "and stays there");
    }
}

#[tokio::test]
async fn routes_that_are_gone_are_forgotten_with_their_digests() {
    for (_directory, store) in both() {
        store.open_route("keep").await.unwrap();
        store.open_route("gone").await.unwrap();
        store.save_groups("gone", vec![GroupChange::Save(group("web", 1, 0))]).await.unwrap();
        let gone = store.retain_routes(&["keep"]).await.unwrap();
        assert_eq!(gone.into_iter().collect::<Vec<_>>(), [("gone".to_owned(), 1)]);
        assert_eq!(store.groups("gone").await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_known_states_of_containers_are_replaced_at_once() {
    for (_directory, store) in both() {
        let state = |id: &str, state: &str| ContainerState { id: id.to_owned(), state: state.to_owned() };
        store.replace_containers("local", vec![state("a", "1"), state("b", "2")]).await.unwrap();
        store.replace_containers("remote", vec![state("a", "9")]).await.unwrap();
        store.replace_containers("local", vec![state("b", "3"), state("c", "4")]).await.unwrap();
        assert_eq!(store.containers("local").await.unwrap(), [state("b", "3"), state("c", "4")]);
        assert_eq!(store.containers("remote").await.unwrap(), [state("a", "9")]);
        assert_eq!(store.containers("nobody").await.unwrap(), []);
    }
}
