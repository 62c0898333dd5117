-- One tarball of one version each, and who brought it. Its bytes are a blob, named by its sha256, which several may share.
CREATE TABLE packages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    -- Empty: for all hosts.
    os TEXT NOT NULL,
    arch TEXT NOT NULL,
    -- What hosts fetch, below /packages/: two that are called the same would be one to them.
    path TEXT NOT NULL UNIQUE,
    -- ready, deleting, delete_failed
    state TEXT NOT NULL,
    -- Of delete_failed.
    why TEXT,
    sha256 TEXT NOT NULL,
    md5 TEXT NOT NULL,
    size INTEGER NOT NULL,
    unpacked_size INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    -- The blob's file as it was when its bytes were last seen to be right: another one is read anew before it is served.
    seen TEXT NOT NULL,
    -- The text of NAME-VERSION.tar.gz.minisig.
    signature TEXT,
    -- JSON: what is known of the archive's; `{}`: it has none.
    manifest TEXT NOT NULL,
    -- Why nobody should use it any more.
    deprecated TEXT,
    -- Not to be deleted.
    protected INTEGER NOT NULL,
    created INTEGER NOT NULL,
    actor TEXT NOT NULL,
    UNIQUE (name, version, os, arch)
);
CREATE INDEX packages_of_blob ON packages (sha256);

-- What is in it, in JSON; apart, since few ask.
CREATE TABLE package_entries (
    -- Of the package.
    id INTEGER PRIMARY KEY,
    entries TEXT NOT NULL
);

-- What was deleted: a version is one content for ever, also for hosts that have it still.
CREATE TABLE deleted_packages (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    os TEXT NOT NULL,
    arch TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (name, version, os, arch)
);
