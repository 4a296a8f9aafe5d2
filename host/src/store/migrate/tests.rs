use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::OpenFlags;

use super::*;

/// A made-up history: what version 1 kept in one table, version 2 keeps in another.
const FIRST: &str = "CREATE TABLE old (n INTEGER) STRICT";
const SECOND: &str = "CREATE TABLE new (n INTEGER) STRICT; INSERT INTO new SELECT n FROM old; DROP TABLE old";
const ROWS: i64 = 50_000;

fn open(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let db = Connection::open_with_flags(path, flags).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
    db
}

fn old_store(path: &Path) -> Connection {
    let mut db = open(path);
    migrate(&mut db, &[FIRST], &Arc::from(path)).unwrap();
    db.execute_batch(&format!(
        "INSERT INTO old WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ROWS}) SELECT n FROM c"
    ))
    .unwrap();
    db
}

fn rows(db: &Connection, table: &str) -> rusqlite::Result<i64> {
    db.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0))
}

#[test]
fn an_older_store_is_brought_to_the_newest_version_with_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut db = old_store(&path);
    migrate(&mut db, &[FIRST, SECOND], &Arc::from(path.as_path())).unwrap();
    assert_eq!(version(&db).unwrap(), 2);
    assert_eq!(rows(&db, "new").unwrap(), ROWS);
    // Once more changes nothing.
    migrate(&mut db, &[FIRST, SECOND], &Arc::from(path.as_path())).unwrap();
    assert_eq!(rows(&db, "new").unwrap(), ROWS);
}

#[test]
fn a_step_that_fails_leaves_the_version_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut db = old_store(&path);
    let broken = "CREATE TABLE new (n INTEGER) STRICT; INSERT INTO nowhere VALUES (1)";
    migrate(&mut db, &[FIRST, broken], &Arc::from(path.as_path())).unwrap_err();
    assert_eq!(version(&db).unwrap(), 1);
    assert_eq!(rows(&db, "old").unwrap(), ROWS);
    rows(&db, "new").unwrap_err();
}

#[test]
fn a_store_of_a_newer_dockbell_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut db = open(&path);
    db.pragma_update(None, "user_version", 7).unwrap();
    let refused = migrate(&mut db, &[FIRST, SECOND], &Arc::from(path.as_path())).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 7, known: 2, .. }), "{refused}");
    assert!(refused.to_string().contains("\nhint: run the newer dockbell"), "{refused}");
}

#[test]
#[ignore = "the process that the next test kills"]
fn migrate_until_killed() {
    let Some(path) = std::env::var_os("DOCKBELL_TEST_MIGRATE") else { return };
    let path = Path::new(&path);
    let mut db = open(path);
    println!("\nready");
    migrate(&mut db, &[FIRST, SECOND], &Arc::from(path)).unwrap();
}

#[test]
fn killed_within_a_migration_either_version_is_there_and_never_half_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let (mut before, mut after) = (0, 0);
    for trial in 0..20 {
        let path = directory.path().join(format!("{trial}.db"));
        drop(old_store(&path));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::migrate::tests::migrate_until_killed", "--exact", "--ignored", "--nocapture"])
            .env("DOCKBELL_TEST_MIGRATE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut lines = std::io::BufRead::lines(out);
        lines.find(|line| line.as_ref().is_ok_and(|line| line == "ready")).unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(2 * trial));
        // It may have ended.
        let _ = child.kill();
        child.wait().unwrap();

        let db = open(&path);
        match version(&db).unwrap() {
            1 => {
                before += 1;
                assert_eq!(rows(&db, "old").unwrap(), ROWS);
                rows(&db, "new").unwrap_err();
            }
            2 => {
                after += 1;
                assert_eq!(rows(&db, "new").unwrap(), ROWS);
                rows(&db, "old").unwrap_err();
            }
            other => panic!("version {other}"),
        }
    }
    println!("killed before the commit: {before}, after it: {after}");
}
