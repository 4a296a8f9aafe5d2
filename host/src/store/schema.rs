//! The tables of the store, version by version.

/// `application_id` of the database: "dbel". Tells a store of dockbell from another program's database.
pub(super) const APPLICATION: i32 = 0x6462_656c;

/// One step from a version of the schema to the next. A step is never changed once it was released: stores that it made
/// exist.
pub(super) const VERSIONS: &[&str] = &[V1, V2, V3];

/// Version 1.
///
/// `journal` has one row per batch of lines, `first` is the sequence number of its first line; `lines` has fewer than
/// `bytes` bytes where it is packed. `position` has for each such
/// batch where the engine's stream was then, and the keys of its events; the last row of an engine is its cursor. Both grow
/// at their end only, so that a commit of one event writes two pages.
///
/// A message is spread over `message` (small, changed by each attempt) and `body` (large, never changed): SQLite writes a
/// whole row whatever column of it changes. `sum` is a checksum of what is next to it: SQLite finds damage to its own
/// structure, not to what it holds.
const V1: &str = "
CREATE TABLE engine (
    number      INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    engine_id   TEXT
) STRICT;

CREATE TABLE journal (
    first       INTEGER PRIMARY KEY,
    count       INTEGER NOT NULL,
    engine      INTEGER NOT NULL REFERENCES engine,
    received_ms INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    sum         INTEGER NOT NULL,
    lines       BLOB NOT NULL
) STRICT;

CREATE TABLE position (
    first       INTEGER PRIMARY KEY,
    engine      INTEGER NOT NULL REFERENCES engine,
    last_nanos  INTEGER,
    anchor      BLOB,
    keys        BLOB NOT NULL
) STRICT;

CREATE TABLE container (
    engine      INTEGER NOT NULL REFERENCES engine,
    id          TEXT NOT NULL,
    state       TEXT NOT NULL,
    PRIMARY KEY (engine, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE route (
    name        TEXT PRIMARY KEY,
    settled     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE digest (
    route       TEXT NOT NULL,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    due_ms      INTEGER,
    sealed_through INTEGER NOT NULL,
    PRIMARY KEY (route, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX digest_idle ON digest (route, sealed_through) WHERE due_ms IS NULL;

CREATE TABLE message (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL,
    sink        TEXT NOT NULL,
    route       TEXT NOT NULL,
    digest      TEXT NOT NULL,
    phase       INTEGER NOT NULL,
    subject     TEXT NOT NULL,
    total       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    next_ms     INTEGER NOT NULL DEFAULT 0,
    sealed_ms   INTEGER NOT NULL,
    first_try_ms INTEGER,
    deadline_ms INTEGER NOT NULL,
    ended_ms    INTEGER,
    ambiguous   INTEGER NOT NULL DEFAULT 0,
    plain       INTEGER NOT NULL DEFAULT 0,
    late        INTEGER NOT NULL DEFAULT 0,
    alarm       INTEGER NOT NULL DEFAULT 0,
    error       TEXT,
    UNIQUE (id, sink)
) STRICT;
CREATE INDEX message_due ON message (state, sink, next_ms);
CREATE INDEX message_ended ON message (state, ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX message_deadline ON message (deadline_ms) WHERE state = 0;
CREATE INDEX message_untried ON message (route, digest, sink) WHERE state = 0 AND tries = 0;

CREATE TABLE body (
    message     INTEGER PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    sum         INTEGER NOT NULL,
    wire        BLOB NOT NULL,
    plainer     BLOB,
    batch       BLOB
) STRICT;

CREATE TABLE recipient (
    message     INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    place       INTEGER NOT NULL,
    address     TEXT NOT NULL,
    state       INTEGER NOT NULL DEFAULT 0,
    at_ms       INTEGER,
    error       TEXT,
    PRIMARY KEY (message, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    message     INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    stage       TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;
";

/// Version 2: what plugins keep across restarts, each in each route for itself.
const V2: &str = "
CREATE TABLE plugin_state (
    route       TEXT NOT NULL,
    plugin      TEXT NOT NULL,
    name        TEXT NOT NULL,
    value       BLOB NOT NULL,
    PRIMARY KEY (route, plugin, name)
) STRICT, WITHOUT ROWID;
";

/// Version 3: gaps.
///
/// A `position` in whose past events may be missing says between which times (`gap_to` where it is known); such a gap is not
/// decided yet. `gap` has those that the journal reports and that were not compared with the engine's containers yet.
const V3: &str = "
ALTER TABLE position ADD COLUMN gap_from INTEGER;
ALTER TABLE position ADD COLUMN gap_to INTEGER;

CREATE TABLE gap (
    first       INTEGER PRIMARY KEY,
    engine      INTEGER NOT NULL REFERENCES engine,
    from_nanos  INTEGER NOT NULL,
    to_nanos    INTEGER NOT NULL
) STRICT;
";
