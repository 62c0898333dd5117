//! Files of packages that are gone, or not what was brought.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::support::tarball::package;

const PATH: &str = "/packages/a-1.tar.gz";

/// What becomes of a file.
type Change<'a> = &'a dyn Fn(&Path);

fn verified(admin: &Operator<'_>) -> String {
    let reply = admin.post("/api/v1/packages/a/1/verify", &json!({}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let said = reply.json();
    assert_eq!(said["why"].is_string(), said["state"] != "good", "{said}");
    said["state"].as_str().unwrap().to_owned()
}

/// A push of the same bytes puts it right.
fn mends(admin: &Operator<'_>, bytes: &[u8], how: &str) {
    assert_eq!(admin.push("a/1", &[], bytes).status, 200, "{how}");
    let fetched = admin.server.get(PATH);
    assert_eq!((fetched.status, fetched.body == bytes), (200, true), "{how}");
    assert_eq!((verified(admin), uploads(admin.server).len()), ("good".to_owned(), 0), "{how}");
}

#[test]
fn a_missing_file_is_not_found_and_a_push_puts_it_back() {
    let server = server();
    let (admin, bytes) = (Operator::first(&server), package("one"));
    admin.bring("a/1", &bytes);
    fs::remove_file(blob(&server, &bytes)).unwrap();
    assert_eq!((server.get(PATH).status, verified(&admin).as_str()), (404, "missing"));
    server.wait_for_log(&["event=package_not_served", "level=warning", "a 1"]);
    mends(&admin, &bytes, "missing");
}

#[test]
fn other_bytes_are_never_served_told_once_and_a_push_mends_them() {
    let other = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[20] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let shorter = |path: &Path| File::options().write(true).open(path).unwrap().set_len(30).unwrap();
    let longer = |path: &Path| fs::write(path, [fs::read(path).unwrap(), b"x".to_vec()].concat()).unwrap();
    let replaced = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "something else").unwrap();
    };
    let changes: [(&str, Change<'_>); 4] =
        [("other", &other), ("shorter", &shorter), ("longer", &longer), ("replaced", &replaced)];
    let server = server();
    let (admin, bytes) = (Operator::first(&server), package("one"));
    admin.bring("a/1", &bytes);
    for (n, (how, change)) in changes.into_iter().enumerate() {
        change(&blob(&server, &bytes));
        for _ in 0..3 {
            let fetched = server.get(PATH);
            assert_eq!((fetched.status, fetched.body.is_empty()), (500, false), "{how}");
        }
        assert_eq!(admin.events("package.altered"), n + 1, "{how}");
        assert_eq!((verified(&admin).as_str(), admin.events("package.altered")), ("altered", n + 1), "{how}");
        mends(&admin, &bytes, how);
    }
}

/// As a disk does it that forgets.
#[test]
fn other_bytes_in_a_file_that_looks_the_same_are_found_by_reading_and_then_not_served() {
    let mut server = server();
    let (token, bytes) = (Operator::first(&server).token, package("one"));
    let admin = Operator::with(&server, token.clone());
    admin.bring("a/1", &bytes);
    let alter = |server: &Server| {
        let path = blob(server, &bytes);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut altered = bytes.clone();
        altered[20] ^= 1;
        fs::write(&path, altered).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    alter(&server);
    assert_eq!((verified(&admin).as_str(), server.get(PATH).status), ("altered", 500));
    assert_eq!(admin.events("package.altered"), 1);
    mends(&admin, &bytes, "it looked the same");
    alter(&server);
    assert_eq!(verified(&admin), "altered");
    server.restart_killed();
    assert_eq!(server.get(PATH).status, 500, "it is known after a new start");
    mends(&Operator::with(&server, token), &bytes, "after a new start");
}

#[test]
fn a_file_that_only_looks_otherwise_is_read_once_and_served() {
    let server = server();
    let (admin, bytes) = (Operator::first(&server), package("one"));
    admin.bring("a/1", &bytes);
    let path = blob(&server, &bytes);
    File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert!(server.get(PATH).body == bytes);
    // As from a backup.
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy).unwrap();
    fs::rename(&copy, &path).unwrap();
    let together: Vec<u16> = std::thread::scope(|scope| {
        let asks: Vec<_> = (0..8).map(|_| scope.spawn(|| server.get(PATH).status)).collect();
        asks.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!((together, admin.events("package.altered")), (vec![200; 8], 0));
}

/// The bytes of two versions lie in one file, which the second upload replaces.
#[test]
fn what_two_versions_share_is_good_for_both() {
    let server = server();
    let (admin, bytes) = (Operator::first(&server), package("one"));
    admin.bring("a/1", &bytes);
    admin.bring("a/2", &bytes);
    assert_eq!(blobs(&server), [sha256(&bytes)]);
    let database = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    let seen: i64 =
        database.query_row("SELECT count(DISTINCT seen) FROM packages", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 1, "none of them has to be read anew");
    for version in [1, 2] {
        assert!(server.get(&format!("/packages/a-{version}.tar.gz")).body == bytes);
    }
}

#[test]
fn folders_on_two_file_systems_are_told_at_the_start_and_not_after_an_upload() {
    use std::os::unix::fs::MetadataExt as _;

    let folder = tempfile::tempdir().unwrap();
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let device = |path: &std::path::Path| path.metadata().unwrap().dev();
    if device(folder.path()) == device(other.path()) {
        return;
    }
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("packages")).unwrap();
    std::os::unix::fs::symlink(other.path(), data.join("packages/blobs")).unwrap();
    let said = crate::support::refused(
        &["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()],
        None,
    );
    assert!(said.contains("have to be on one file system"), "{said}");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
}
