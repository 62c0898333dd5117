-- What a list of events asks for mostly; the newest come first.
CREATE INDEX events_of_object ON events (object, id);
CREATE INDEX events_of_kind ON events (kind, id);
