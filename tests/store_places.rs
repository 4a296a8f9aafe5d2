//! Where the store can live, and where it says that it cannot.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "store_fixture.rs"]
mod fixture;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use dockbell::store::{Notice, Options, Place, Reader, Store, StoreError};
use fixture::{
    again, all_lines, at, has_own_mounts, mount_tmpfs, numbered, open, said, succeed, try_open, with_own_mounts,
};

#[tokio::test]
#[ignore = "the other process of the next tests"]
async fn hold_until_told() {
    let Some(directory) = std::env::var_os("DOCKBELL_TEST_HOLD") else { return };
    let opened = open(Path::new(&directory));
    println!("\nready");
    std::io::stdout().flush().unwrap();
    // Until the test is done with it.
    std::io::read_to_string(std::io::stdin()).unwrap();
    opened.store.close().await.unwrap();
}

#[tokio::test]
async fn of_two_instances_the_second_is_told_who_the_first_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut other =
        again("hold_until_told", ("DOCKBELL_TEST_HOLD", directory.path())).stdin(Stdio::piped()).spawn().unwrap();
    let mut words = said(&mut other);
    assert!(words.any(|line| line == "ready"));
    let refused = try_open(directory.path(), &Options::default()).unwrap_err();
    let StoreError::Locked { holder, path } = &refused else { panic!("{refused}") };
    assert!(holder.starts_with(&format!("process {} on `", other.id())), "{holder}");
    assert_eq!(path, &directory.path().join("dockbell.lock"));
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    let opened = open(directory.path());
    assert!(!opened.notices.iter().any(|notice| matches!(notice, Notice::Crashed { .. })), "{:?}", opened.notices);
}

#[tokio::test]
async fn the_lock_of_a_killed_instance_is_free_and_its_end_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let mut other =
        again("hold_until_told", ("DOCKBELL_TEST_HOLD", directory.path())).stdin(Stdio::piped()).spawn().unwrap();
    assert!(said(&mut other).any(|line| line == "ready"));
    other.kill().unwrap();
    other.wait().unwrap();
    let opened = open(directory.path());
    let crashed = format!("process {} on `", other.id());
    let told = |notice: &Notice| matches!(notice, Notice::Crashed { holder } if holder.starts_with(&crashed));
    assert!(opened.notices.iter().any(told), "{:?}", opened.notices);
}

#[tokio::test]
async fn in_memory_the_same_works_and_says_that_nothing_is_kept() {
    let opened = Store::open(&Place::Memory, &Options::default()).unwrap();
    assert_eq!(opened.notices, [Notice::InMemory]);
    assert!(opened.notices[0].to_string().contains("\nhint: name a directory with `--state`"));
    assert!(opened.store.is_in_memory());
    opened.store.appender("local").append(numbered(0..3, 0)).await.unwrap().await.unwrap();
    assert_eq!(all_lines(&opened.store, 0).await.len(), 3);
    opened.store.close().await.unwrap();
    assert!(matches!(opened.store.next_due("ops", at(0)).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_closed_store_says_so_to_all_its_handles() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).store;
    let other = store.clone();
    store.close().await.unwrap();
    assert!(matches!(other.settle("default", 1).await, Err(StoreError::Closed)));
    assert!(matches!(other.stats().await, Err(StoreError::Closed)));
    assert!(matches!(other.close().await, Err(StoreError::Closed)));
}

#[test]
fn another_process_reads_beside_the_running_one_and_is_told_when_there_is_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let nothing = Reader::open(directory.path()).unwrap_err().to_string();
    assert!(nothing.contains("there is no store in it") && nothing.contains("\nhint: "), "{nothing}");
}

#[test]
fn a_read_only_file_system_is_named_with_advice() {
    with_own_mounts("read_only_inside");
}

#[test]
#[ignore = "runs with mounts of its own, started by the test above"]
fn read_only_inside() {
    if !has_own_mounts() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    mount_tmpfs(base.path(), 8);
    let state = base.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,ro"]).arg(base.path());
    succeed(remount);
    for directory in [state, base.path().join("new")] {
        let error = try_open(&directory, &Options::default()).unwrap_err().to_string();
        assert!(
            error.contains("Read-only file system") && error.contains("\nhint: mount a writable volume"),
            "{error}"
        );
        assert!(error.contains(&*base.path().to_string_lossy()), "{error}");
    }
}

#[test]
fn a_tmpfs_is_used_with_a_warning() {
    with_own_mounts("tmpfs_inside");
}

#[tokio::test]
#[ignore = "runs with mounts of its own, started by the test above"]
async fn tmpfs_inside() {
    if !has_own_mounts() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    mount_tmpfs(base.path(), 64);
    let opened = open(base.path());
    let warned = |notice: &Notice| matches!(notice, Notice::Fleeting { filesystem: "tmpfs", .. });
    assert!(opened.notices.iter().any(warned), "{:?}", opened.notices);
    opened.store.close().await.unwrap();
}

#[tokio::test]
#[ignore = "the process of another user, started by the next test"]
async fn open_as_another_user() {
    let Some(directory) = std::env::var_os("DOCKBELL_TEST_OWNER") else { return };
    let error = try_open(Path::new(&directory), &Options::default()).unwrap_err().to_string();
    println!("\n{}", error.replace('\n', " | "));
}

#[test]
fn a_directory_of_another_user_is_named_with_both_users() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: only root can be two users");
        return;
    }
    let base = tempfile::tempdir().unwrap();
    std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    // Where another user can reach it.
    let program = base.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut other = Command::new(&program);
    other.args(["open_as_another_user", "--exact", "--ignored", "--nocapture"]);
    other.env("DOCKBELL_TEST_OWNER", base.path()).stdout(Stdio::piped()).uid(65_534).gid(65_534);
    let mut other = other.spawn().unwrap();
    let words: Vec<String> = said(&mut other).collect();
    other.wait().unwrap();
    let told = "it belongs to user 0, and dockbell runs as user 65534";
    assert!(words.iter().any(|line| line.contains(told) && line.contains(" | hint: `chown 65534` it")), "{words:?}");
}
