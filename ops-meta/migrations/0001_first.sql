-- Times are integer Unix milliseconds. What a list or a filter asks for stands in `hosts`, which is read whole at each
-- start and therefore stays narrow; what a host said in full stands in `reports`.
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- Raised by every administrative change.
    generation INTEGER NOT NULL,
    -- Of what cfg.json orders, as far as it is known; a restart with the same one is no change.
    orders_digest TEXT NOT NULL
);
INSERT INTO state VALUES (1, 0, '');

-- When hosts were listened to, without a break: nobody was silent meanwhile. The last one grows about once a minute.
CREATE TABLE runs (
    since INTEGER PRIMARY KEY,
    until INTEGER NOT NULL
);

-- Rows are found by number, which the fleet gives and remembers: new hosts come behind the others, and no page of an index
-- is touched for each of a million.
CREATE TABLE hosts (
    id INTEGER PRIMARY KEY,
    hostname TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    -- Written seldom: see `LAST_SEEN_KEPT` in fleet.
    last_seen INTEGER NOT NULL,
    -- When it was last heard again after it had been gone; 0: never.
    revived INTEGER NOT NULL,
    -- Of what stands in the report only: one that is the same is not written again.
    report_hash INTEGER NOT NULL,
    ip TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    -- JSON, the same few texts for a million hosts.
    facts TEXT NOT NULL,
    agents TEXT NOT NULL
);

CREATE TABLE reports (
    -- Of the host.
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    -- The last beat that differed from the one before, as it was sent.
    report BLOB NOT NULL
);

CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    host INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- Empty: the host itself.
    agent TEXT NOT NULL,
    what TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL
);
CREATE INDEX history_of_host ON history (host, id);

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Of a host's token: the only host that may use it.
    hostname TEXT,
    -- sha256 of the token's text, which is random enough to need no more.
    hash BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER,
    last_used INTEGER
);

-- Append-only: the triggers below hold for everybody who opens the file.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    -- JSON, or NULL where there was or is nothing.
    before TEXT,
    after TEXT
);
-- A replaced row is deleted without a word.
CREATE TRIGGER events_are_new BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;
CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;
CREATE TRIGGER events_stand BEFORE UPDATE ON events BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;
