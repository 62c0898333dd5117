-- Times in which nothing may be changed, until somebody ends them.
CREATE TABLE freezes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of which agent, or of which group's hosts; both empty: of all.
    agent TEXT NOT NULL,
    of_group TEXT NOT NULL,
    why TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- Unix milliseconds.
    created INTEGER NOT NULL
);
-- JSON: how its hosts fared in the end.
ALTER TABLE rollouts ADD COLUMN seen TEXT;

-- Actions that some hosts do once each: those under way, and those that were.
CREATE TABLE jobs (
    -- What hosts know it by, who remember what they have done: never used again. It begins with the Unix time, so that a new
    -- database, or one from a backup, gives no number that another has given.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- restart, report
    kind TEXT NOT NULL,
    -- Empty: of the host itself.
    agent TEXT NOT NULL,
    -- NULL: any number.
    max_in_flight INTEGER,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- Unix milliseconds.
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    -- running, done, stopped, expired
    state TEXT NOT NULL,
    finished INTEGER,
    -- JSON, of one that is over: how many hosts came to what.
    outcome TEXT
);
CREATE INDEX jobs_running ON jobs (id) WHERE finished IS NULL;

CREATE TABLE job_hosts (
    job INTEGER NOT NULL,
    hostname TEXT NOT NULL,
    -- pending, sent, done, failed, expired
    state TEXT NOT NULL,
    -- Unix milliseconds: when it was first told, and when it answered.
    told INTEGER,
    answered INTEGER,
    -- Why it failed.
    code TEXT NOT NULL,
    PRIMARY KEY (job, hostname)
) WITHOUT ROWID;
