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
    assert!(words.iter().any(|line| line.contains(told) && line.contains(" | hint: `chown -R 65534` it")), "{words:?}");
}

#[tokio::test]
async fn nothing_is_written_through_a_link_in_the_state_directory() {
    use std::os::unix::fs::symlink;
    for (name, is_replaced) in [
        ("dockbell.lock", false),
        ("state.db", false),
        ("state.db-wal", false),
        ("state.db-shm", false),
        ("state.db.new", true),
        ("ballast", true),
    ] {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = elsewhere.path().join("shadow");
        std::fs::write(&target, "precious").unwrap();
        let link = directory.path().join(name);
        symlink(&target, &link).unwrap();
        match try_open(directory.path(), &Options { ballast: Some(1 << 20), ..Options::default() }) {
            Ok(opened) => {
                assert!(is_replaced, "{name} was used");
                opened.store.close().await.unwrap();
                assert!(!link.is_symlink(), "{name}");
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!is_replaced && error.contains("it is not a regular file"), "{name}: {error}");
                assert!(error.contains(&format!("`{}`\nhint: remove it", link.display())), "{name}: {error}");
            }
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious", "{name}");
        // A link to nothing makes no file there.
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path().join("new"), directory.path().join(name)).unwrap();
        let _ = try_open(directory.path(), &Options::default());
        assert!(!elsewhere.path().join("new").exists(), "{name}");
    }
}

#[tokio::test]
async fn root_does_not_keep_its_state_in_the_directory_of_another_user_but_can_look_there() {
    use std::os::unix::fs::{MetadataExt, chown};
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: only root can be two users");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let give = |user| {
        chown(directory.path(), Some(user), None).unwrap();
        for file in std::fs::read_dir(directory.path()).unwrap() {
            chown(file.unwrap().path(), Some(user), None).unwrap();
        }
    };
    open(directory.path()).store.close().await.unwrap();
    give(12345);
    let error = try_open(directory.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("it belongs to user 12345, and dockbell runs as user 0"), "{error}");
    assert!(error.contains("\nhint: `chown -R 0` it, or run dockbell as user 12345"), "{error}");
    Reader::open(directory.path()).unwrap();
    // A file of somebody else in our own directory.
    give(0);
    for name in ["dockbell.lock", "state.db"] {
        let file = directory.path().join(name);
        chown(&file, Some(12345), None).unwrap();
        let error = try_open(directory.path(), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("it belongs to user 12345") && error.contains(&*file.to_string_lossy()), "{error}");
        chown(&file, Some(0), None).unwrap();
    }
    open(directory.path()).store.close().await.unwrap();
}
