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
