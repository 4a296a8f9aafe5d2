use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refusal<T: fmt::Debug>(result: io::Result<T>) -> Unsafe {
    Unsafe::of(&result.unwrap_err()).unwrap().clone()
}

/// A path below a directory that every user may write to.
fn exposed() -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let state = base.path().join("open/state");
    fs::create_dir_all(&state).unwrap();
    chmod(&base.path().join("open"), 0o777);
    (base, state)
}

#[test]
fn a_new_directory_and_its_files_are_for_this_user_alone() {
    let base = tempfile::tempdir().unwrap();
    let directory = Directory::create(&base.path().join("a/b")).unwrap();
    assert_eq!(directory.mode(), 0o700);
    assert_eq!(directory.create_file("f").unwrap().metadata().unwrap().mode() & 0o7777, 0o600);
    assert_eq!(directory.subdirectory("c").unwrap().mode(), 0o700);
    assert!(directory.create_file("f").is_err(), "it is there");
}

#[test]
fn a_directory_that_every_user_may_write_to_is_refused_also_above() {
    let (base, state) = exposed();
    let above = base.path().join("open");
    let refused = refusal(Directory::create(&state));
    assert_eq!((&*refused.path, refused.hint.starts_with("`chmod o-w` it")), (&*above, true), "{refused}");
    refusal(Directory::create(&above.join("new")));
    assert!(!above.join("new").exists(), "nothing is made there");
    chmod(&above, 0o1777);
    Directory::create(&state).unwrap();
    chmod(&state, 0o777);
    assert_eq!(refusal(Directory::create(&state)).path, state);
    chmod(&state, 0o1777);
    Directory::create(&state).unwrap();
}

#[test]
fn links_of_this_user_are_followed_to_where_they_lead() {
    let base = tempfile::tempdir().unwrap();
    let (real, link, far) = (base.path().join("real"), base.path().join("link"), base.path().join("far"));
    fs::create_dir(&real).unwrap();
    symlink("real", &link).unwrap();
    symlink(base.path().join("./link/../link"), &far).unwrap();
    let expected = real.canonicalize().unwrap();
    for path in [&link, &far, &real.join("../link/.")] {
        assert_eq!(Directory::create(path).unwrap().path(), expected);
    }
    symlink("loop", base.path().join("loop")).unwrap();
    assert!(Directory::create(&base.path().join("loop")).is_err());
}

#[test]
fn a_link_leads_nowhere_safe_through_what_every_user_may_write_to() {
    let (base, state) = exposed();
    let link = base.path().join("link");
    symlink(&state, &link).unwrap();
    assert_eq!(refusal(Directory::create(&link)).path, base.path().join("open"));
}

#[test]
fn in_place_of_a_file_nothing_else_is_opened() {
    let base = tempfile::tempdir().unwrap();
    let directory = Directory::create(base.path()).unwrap();
    let target = base.path().join("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, base.path().join("link")).unwrap();
    symlink("nowhere", base.path().join("dangling")).unwrap();
    fs::create_dir(base.path().join("directory")).unwrap();
    rustix::fs::mknodat(&directory, "pipe", FileType::Fifo, FILE_MODE, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(base.path().join("socket")).unwrap();
    for name in ["link", "dangling", "pipe", "socket"] {
        let flags = OFlags::RDWR | OFlags::CREATE;
        let refused = refusal(directory.open_file(name, flags));
        assert_eq!((&*refused.problem, refused.path), ("it is not a regular file", base.path().join(name)));
        refusal(directory.inspect(name));
    }
    refusal(directory.inspect("directory"));
    refusal(directory.subdirectory("link"));
    refusal(directory.subdirectory("target"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(!base.path().join("nowhere").exists());
    assert!(directory.inspect("nothing").unwrap().is_none());
}

#[test]
fn a_file_that_every_user_may_write_to_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let directory = Directory::create(base.path()).unwrap();
    fs::write(base.path().join("f"), "").unwrap();
    chmod(&base.path().join("f"), 0o666);
    assert!(refusal(directory.open_file("f", OFlags::RDONLY)).hint.starts_with("`chmod o-w` it"));
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if me() != 0 {
        println!("skipped: only root can be two users");
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let state = base.path().join("theirs/state");
    fs::create_dir_all(&state).unwrap();
    let chown = |path: &Path, user| std::os::unix::fs::lchown(path, Some(user), None).unwrap();

    chown(&state, 12345);
    let refused = refusal(Directory::create(&state));
    assert_eq!(refused.problem, "it belongs to user 12345, and dockbell runs as user 0");
    assert_eq!(refused.hint, "`chown -R 0` it, or run dockbell as user 12345");
    Directory::open_to_read(&state).unwrap();

    chown(&state, 0);
    chown(&base.path().join("theirs"), 12345);
    assert_eq!(refusal(Directory::create(&state)).path, base.path().join("theirs"));

    // Where all may make links, theirs are not followed.
    let real = tempfile::tempdir().unwrap();
    let link = base.path().join("link");
    symlink(real.path(), &link).unwrap();
    Directory::create(&link).unwrap();
    chown(&link, 12345);
    assert_eq!(refusal(Directory::create(&link)).path, link);

    let directory = Directory::create(real.path()).unwrap();
    fs::write(real.path().join("f"), "").unwrap();
    chown(&real.path().join("f"), 12345);
    assert_eq!(refusal(directory.inspect("f")).path, real.path().join("f"));
    assert_eq!(refusal(directory.open_file("f", OFlags::RDWR)).path, real.path().join("f"));
}
