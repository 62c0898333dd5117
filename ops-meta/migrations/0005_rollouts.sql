-- Controlled changes of policies: those under way, and those that were.
CREATE TABLE rollouts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- JSON: what is to change, and in which waves. It does not change.
    plan TEXT NOT NULL,
    -- JSON: how far it is.
    progress TEXT NOT NULL,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- Unix milliseconds.
    created INTEGER NOT NULL,
    -- Since when it tells no host anything any more.
    finished INTEGER
);
CREATE INDEX rollouts_standing ON rollouts (id) WHERE finished IS NULL;
