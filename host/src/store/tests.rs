//! What can be asked of the database itself, below the interface.

use rusqlite::Connection;

use super::schema;

/// How SQLite goes about a statement, one step per line.
pub(super) fn plan(sql: &str) -> String {
    let db = Connection::open_in_memory().unwrap();
    schema::VERSIONS.iter().for_each(|step| db.execute_batch(step).unwrap());
    let mut rows = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let count = rows.parameter_count();
    let steps = rows.query_map(rusqlite::params_from_iter(vec![0; count]), |row| row.get::<_, String>(3)).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}
