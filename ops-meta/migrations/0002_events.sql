-- What a list of events asks for mostly; the newest come first.
CREATE INDEX events_of_object ON events (object, id);
CREATE INDEX events_of_kind ON events (kind, id);

-- What cfg.json orders as far as it is known, in JSON and without passwords: an event tells what differs from it.
ALTER TABLE state ADD COLUMN orders TEXT NOT NULL DEFAULT '[]';
