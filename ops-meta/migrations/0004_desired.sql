-- What operators decided: groups, policies, lists and the settings, one row each, as it stands in a fleet.yaml.
CREATE TABLE desired (
    -- group, policy, list, settings
    kind TEXT NOT NULL,
    -- Among those of its kind.
    name TEXT NOT NULL,
    -- JSON
    value TEXT NOT NULL,
    -- Of the change that wrote it.
    generation INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
);
