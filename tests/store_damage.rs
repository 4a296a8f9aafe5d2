//! A database that is not whole, or not ours, is never deleted and never kept from anybody's eyes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dockbell::store::{Due, Filter, MessageState, Notice, Opened, Options, StoreError};
use fixture::{all_lines, message, noon, number, numbered, open, seal, try_open};
use rusqlite::Connection;

/// A state directory with 500 lines and 50 messages, closed well or as by `kill -9`.
async fn used(crashed: bool) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let engine = store.appender("local");
    for batch in 0..50 {
        engine.append(numbered(batch * 10..batch * 10 + 10, 400)).await.unwrap().await.unwrap();
    }
    seal(&store, (0..50).map(|group| message("ops", &group.to_string(), 1)).collect()).await;
    if crashed {
        // What a killed program leaves is what is there while it runs, under other names.
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        store.close().await.unwrap();
        return copy;
    }
    store.close().await.unwrap();
    directory
}

/// What was moved aside.
fn aside(opened: &Opened) -> Option<(PathBuf, String)> {
    opened.notices.iter().find_map(|notice| match notice {
        Notice::Damaged { aside, why } => Some((aside.clone(), why.clone())),
        _ => None,
    })
}

/// The store works, and is empty.
async fn works_anew(opened: &Opened) {
    assert!(all_lines(&opened.store, 0).await.is_empty());
    opened.store.appender("local").append(numbered(0..1, 0)).await.unwrap().await.unwrap();
    assert_eq!(all_lines(&opened.store, 0).await.len(), 1);
}

async fn holds_all(opened: &Opened) {
    assert_eq!(all_lines(&opened.store, 0).await.len(), 500);
    assert_eq!(opened.store.stats().await.unwrap().count(MessageState::Pending), 50);
}

#[tokio::test]
async fn after_a_crash_the_store_is_checked_and_whole() {
    let directory = used(true).await;
    let opened = open(directory.path());
    let crashed = |notice: &Notice| matches!(notice, Notice::Crashed { holder } if holder.starts_with("process "));
    assert!(opened.notices.iter().any(crashed), "{:?}", opened.notices);
    holds_all(&opened).await;
    opened.store.close().await.unwrap();
    let opened = open(directory.path());
    assert!(!opened.notices.iter().any(crashed), "{:?}", opened.notices);
}

#[tokio::test]
async fn a_truncated_database_is_moved_aside_and_a_new_one_begun() {
    for crashed in [false, true] {
        let directory = used(crashed).await;
        let path = directory.path().join("state.db");
        let length = fs::metadata(&path).unwrap().len();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        // Without its log, which would bring the pages back.
        let _ = fs::remove_file(directory.path().join("state.db-wal"));
        file.set_len(length.max(8192) / 2 + 100).unwrap();
        fs::write(directory.path().join("dockbell.lock"), "process 1 on `host`\n").unwrap();
        let opened = open(directory.path());
        let (aside, _) = aside(&opened).unwrap_or_else(|| panic!("{:?}", opened.notices));
        assert_eq!(fs::metadata(&aside).unwrap().len(), length.max(8192) / 2 + 100, "as it was found");
        works_anew(&opened).await;
    }
}

#[tokio::test]
async fn an_empty_file_a_text_and_noise_are_moved_aside_as_they_are() {
    let noise: Vec<u8> = (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for content in [b"".as_slice(), b"hello\n", &[0; 200], &noise, b"SQLite format 3\0"] {
        let directory = used(false).await;
        let path = directory.path().join("state.db");
        fs::write(&path, content).unwrap();
        let opened = open(directory.path());
        let (aside, why) = aside(&opened).unwrap_or_else(|| panic!("{:?}", opened.notices));
        assert!(aside.file_name().unwrap().to_string_lossy().starts_with("state.db.corrupt-"), "{aside:?}");
        assert_eq!(fs::read(&aside).unwrap(), content, "{why}");
        works_anew(&opened).await;
    }
}

#[tokio::test]
async fn what_is_moved_aside_keeps_its_log_and_never_takes_anothers_place() {
    let directory = used(true).await;
    let (path, wal) = (directory.path().join("state.db"), directory.path().join("state.db-wal"));
    let log = fs::read(&wal).unwrap();
    assert!(!log.is_empty());
    let mut found = Vec::new();
    for _ in 0..3 {
        fs::write(&path, "no database").unwrap();
        fs::write(&wal, &log).unwrap();
        let opened = open(directory.path());
        let (aside, _) = aside(&opened).unwrap();
        opened.store.close().await.unwrap();
        let mut name = aside.clone().into_os_string();
        name.push("-wal");
        assert_eq!(fs::read(name).unwrap(), log);
        assert!(!found.contains(&aside));
        found.push(aside);
    }
}

#[tokio::test]
async fn a_flipped_byte_is_found_or_does_no_harm() {
    let original = used(false).await;
    let bytes = fs::read(original.path().join("state.db")).unwrap();
    let mut moved = 0;
    // Everywhere in the file, and each byte of the first page's header and of a page's.
    let places = (0..100).step_by(7).chain((4096..4104).step_by(2)).chain((100..bytes.len()).step_by(bytes.len() / 40));
    for place in places {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        fs::write(&path, &bytes).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[bytes[place] ^ 0x5a], place as u64).unwrap();
        fs::write(directory.path().join("dockbell.lock"), "process 1 on `host`\n").unwrap();
        match try_open(directory.path(), &Options::default()) {
            Ok(opened) => {
                moved += usize::from(aside(&opened).is_some());
                // Damage that no check finds is found by its use, and that is an error, not a panic.
                match opened.store.journal(0, 1 << 30).await {
                    Err(StoreError::Corrupt { .. }) => {}
                    Ok(batches) => {
                        let told = batches.iter().filter(|batch| !batch.damaged).flat_map(|batch| batch.lines(0));
                        // The right words at the right place, or none.
                        assert!(told.into_iter().all(|(seq, line)| number(line) + 1 == u32::try_from(seq).unwrap()));
                    }
                    Err(other) => panic!("byte {place}: {other}"),
                }
            }
            // Of another program, or of another version, as far as one can see.
            Err(StoreError::Foreign { .. } | StoreError::Newer { .. } | StoreError::Setting { .. }) => {}
            Err(other) => panic!("byte {place}: {other}"),
        }
        assert!(
            fs::read_dir(directory.path())
                .unwrap()
                .any(|file| { file.unwrap().file_name().to_string_lossy().starts_with("state.db") })
        );
    }
    assert!(moved > 3, "{moved} were moved aside");
}

#[tokio::test]
async fn what_the_disk_changed_is_told_and_not_taken_for_what_was_stored() {
    let directory = used(false).await;
    let db = Connection::open(directory.path().join("state.db")).unwrap();
    db.execute("UPDATE journal SET lines = CAST(replace(lines, '2', '3') AS BLOB) WHERE first = 21", ()).unwrap();
    db.execute("UPDATE body SET wire = x'00' WHERE message = 1", ()).unwrap();
    drop(db);
    let store = open(directory.path()).store;
    let batches = store.journal(0, 1 << 30).await.unwrap();
    let damaged: Vec<_> = batches.iter().filter(|batch| batch.damaged).map(|one| (one.first, one.count)).collect();
    assert_eq!(damaged, [(21, 10)]);
    assert_eq!(all_lines(&store, 0).await.len(), 490);

    assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Now(1));
    assert_eq!(store.begin(1, noon()).await.unwrap(), None);
    assert_eq!(store.next_due("ops", noon()).await.unwrap(), Due::Now(2), "the others go on");
    let held = Filter { states: vec![MessageState::Held], ..Filter::default() };
    let held = store.messages(held).await.unwrap();
    assert!(held[0].error.as_deref().is_some_and(|error| error.contains("the disk has changed")), "{held:?}");
}

#[tokio::test]
async fn damage_that_only_its_use_finds_is_known_to_the_next_start() {
    let directory = used(false).await;
    let path = directory.path().join("state.db");
    let db = Connection::open(&path).unwrap();
    let root =
        db.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'", (), |row| row.get::<_, u32>(0));
    let root = root.unwrap();
    drop(db);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xff; 64], (u64::from(root) - 1) * 4096).unwrap();
    // It was closed well, so nobody looks until it is used.
    let opened = open(directory.path());
    assert_eq!(aside(&opened), None);
    let found = opened.store.journal(0, 1 << 20).await.unwrap_err();
    assert!(matches!(found, StoreError::Corrupt { .. }) && found.is_fatal(), "{found}");
    let _ = opened.store.close().await;
    let opened = open(directory.path());
    assert!(aside(&opened).is_some(), "{:?}", opened.notices);
    works_anew(&opened).await;
}

#[tokio::test]
async fn without_its_log_the_store_is_what_was_in_the_file_or_begins_anew() {
    let directory = used(true).await;
    fs::remove_file(directory.path().join("state.db-wal")).unwrap();
    let opened = open(directory.path());
    if aside(&opened).is_none() {
        let lines = all_lines(&opened.store, 0).await;
        assert!(lines.len() <= 500);
    }
    opened.store.appender("local").append(numbered(0..1, 0)).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_log_without_its_database_is_not_taken_for_that_of_the_new_one() {
    let directory = used(true).await;
    fs::remove_file(directory.path().join("state.db")).unwrap();
    let opened = open(directory.path());
    assert!(aside(&opened).is_some(), "{:?}", opened.notices);
    works_anew(&opened).await;
}

#[tokio::test]
async fn a_left_over_index_of_the_log_does_no_harm() {
    for crashed in [false, true] {
        let directory = used(crashed).await;
        fs::write(directory.path().join("state.db-shm"), vec![0xa5; 32_768]).unwrap();
        let opened = open(directory.path());
        assert_eq!(aside(&opened), None);
        holds_all(&opened).await;
    }
}

#[tokio::test]
async fn a_half_made_database_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("state.db.new"), "SQLite format 3\0 and no more").unwrap();
    fs::write(directory.path().join("state.db.new-wal"), "x").unwrap();
    let opened = open(directory.path());
    assert_eq!(aside(&opened), None);
    works_anew(&opened).await;
    assert!(!directory.path().join("state.db.new").exists());
}

fn write_header(path: &Path, place: u64, number: i32) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&number.to_be_bytes(), place).unwrap();
}

#[tokio::test]
async fn a_newer_and_a_foreign_database_are_refused_and_left_as_they_are() {
    // The places of `user_version` and `application_id`: SQLite's file format, section 1.3.
    for (place, words) in [(60, "of a newer dockbell"), (68, "not a store of dockbell")] {
        let directory = used(false).await;
        let path = directory.path().join("state.db");
        write_header(&path, place, 77);
        let before = fs::read(&path).unwrap();
        let refused = try_open(directory.path(), &Options::default()).unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains("\nhint: "), "{refused}");
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    seal(&store, vec![message("ops", "web", 1)]).await;
    store.next_due("ops", noon()).await.unwrap();
    let mut names = Vec::new();
    for file in fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["ballast", "dockbell.lock", "state.db", "state.db-shm", "state.db-wal"]);
}
