//! What hosts fetch: byte for byte, in part, with its digests.

use std::io::{Read as _, Write as _};

use super::*;
use crate::support::request;
use crate::support::tarball::{md5, package};

#[test]
fn what_was_pushed_is_fetched_byte_for_byte_with_its_digests() {
    let server = server();
    let admin = Operator::first(&server);
    let bytes = package("one");
    let it = admin.bring("falcon-agent/1.0.0-2", &bytes);
    let file = "falcon-agent-1.0.0-2.tar.gz";
    for (key, value) in [
        ("sha256", json!(sha256(&bytes))),
        ("md5", json!(md5(&bytes))),
        ("size", json!(bytes.len())),
        ("entries", json!(1)),
        ("state", json!("ready")),
        ("signed", json!(false)),
        ("path", json!(format!("/packages/{file}"))),
    ] {
        assert_eq!(it[key], value, "{key}");
    }
    // Hosts have no token for this, and 2015's prefixes may end in a slash.
    for path in [format!("/packages/{file}"), format!("//packages/{file}")] {
        let fetched = server.get(&path);
        assert_eq!((fetched.status, &fetched.body), (200, &bytes), "{path}");
        assert_eq!(fetched.header("etag"), format!("\"{}\"", sha256(&bytes)));
    }
    let text = |ending: &str| server.get(&format!("/packages/{file}{ending}"));
    assert_eq!(text(".md5").text(), format!("{}  {file}\n", md5(&bytes)));
    assert_eq!(text(".sha256").text(), format!("{}  {file}\n", sha256(&bytes)));
    assert_eq!(text(".minisig").status, 404);
    // A signature may come later.
    let signed = admin.push("falcon-agent/1.0.0-2", &["X-Minisign: c2lnbmVkCg=="], &bytes);
    assert_eq!((signed.status, &signed.json()["signed"]), (200, &json!(true)));
    assert_eq!(text(".minisig").text(), "signed\n");
}

#[test]
fn of_a_package_as_much_is_fetched_as_is_asked_for() {
    let server = server();
    let bytes = large(100_000);
    Operator::first(&server).bring("a/1", &bytes);
    let tag = format!("\"{}\"", sha256(&bytes));
    let ask = |method: &str, head: &[&str]| server.ask(method, "/packages/a-1.tar.gz", head, b"");
    let modified = ask("GET", &[]).header("last-modified").to_owned();
    for (head, status, body) in [
        (vec!["Range: bytes=3-9".to_owned()], 206, &bytes[3..10]),
        (vec!["Range: bytes=90000-".to_owned()], 206, &bytes[90_000..]),
        (vec!["Range: bytes=-7".to_owned()], 206, &bytes[bytes.len() - 7..]),
        (vec!["Range: bytes=3-9".to_owned(), format!("If-Range: {tag}")], 206, &bytes[3..10]),
        (vec!["Range: bytes=3-9".to_owned(), format!("If-Range: {modified}")], 206, &bytes[3..10]),
        (vec!["Range: bytes=3-9".to_owned(), "If-Range: \"other\"".to_owned()], 200, &bytes[..]),
        (vec!["Range: bytes=3-9".to_owned(), format!("If-Range: W/{tag}")], 200, &bytes[..]),
        (vec!["Range: bytes=3-9,20-30".to_owned()], 200, &bytes[..]),
        (vec!["Range: bytes=999999999-".to_owned()], 416, b""),
        (vec![format!("If-None-Match: {tag}")], 304, b""),
        (vec![format!("If-None-Match: \"x\", W/{tag}")], 304, b""),
        (vec!["If-None-Match: \"x\"".to_owned()], 200, &bytes[..]),
        (vec![format!("If-Modified-Since: {modified}")], 304, b""),
    ] {
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let reply = ask("GET", &head);
        assert_eq!((reply.status, reply.body == body), (status, true), "{head:?}");
        assert_eq!(reply.header("etag"), tag, "{head:?}");
        // A range is for GET alone.
        let whole = if status == 304 { 304 } else { 200 };
        let same = ask("HEAD", &head);
        assert_eq!((same.status, same.body.len()), (whole, 0), "{head:?}");
        assert_eq!(same.header("content-range"), "", "{head:?}");
        assert!(whole == 304 || same.header("content-length") == bytes.len().to_string(), "{head:?}");
    }
}

#[test]
fn each_machine_fetches_its_own_build() {
    let server = server();
    let admin = Operator::first(&server);
    let bytes = ["all", "linux", "x86_64"].map(package);
    admin.bring("a/1", &bytes[0]);
    admin.bring("a/1?os=linux", &bytes[1]);
    admin.bring("a/1?os=linux&arch=x86_64", &bytes[2]);
    for (folder, bytes) in ["", "linux/", "linux-x86_64/"].iter().zip(&bytes) {
        assert!(server.get(&format!("/packages/{folder}a-1.tar.gz")).body == *bytes, "{folder}");
        let md5 = format!("{}  a-1.tar.gz\n", md5(bytes));
        assert_eq!(server.get(&format!("/packages/{folder}a-1.tar.gz.md5")).text(), md5);
    }
    assert_eq!(server.get("/packages/linux-aarch64/a-1.tar.gz").status, 404);
    let shown = admin.get("/api/v1/packages/a/1").json();
    assert_eq!(shown["builds"].as_array().unwrap().len(), 3);
}

#[test]
fn where_packages_need_a_token_any_will_do() {
    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir(files.path().join("packages")).unwrap();
    for file in ["x", "packages/x"] {
        std::fs::write(files.path().join(file), "of 2015").unwrap();
    }
    let server = server_with(json!({ "packagesNeedToken": true, "tarballDir": files.path() }));
    let admin = Operator::first(&server);
    assert_eq!(admin.push("a/1", &["X-Minisign: c2lnbmVkCg=="], &package("one")).status, 201);
    let (_, host) = admin.create("a host", "host", &json!({ "hostname": "web01" }));
    let wrong = Operator::with(&server, "opsm_x".to_owned());
    assert_eq!(wrong.get("/packages/a-1.tar.gz").status, 401);
    for (path, status) in [
        ("/packages/a-1.tar.gz", 200),
        ("/packages/a-1.tar.gz.md5", 200),
        ("/packages/a-1.tar.gz.sha256", 200),
        ("/packages/a-1.tar.gz.minisig", 200),
        ("//packages/a-1.tar.gz", 200),
        ("/packages//a-1.tar.gz", 404),
        ("/%70ackages/a-1.tar.gz", 404),
        ("/./packages/a-1.tar.gz", 404),
        ("/packages/a-1.tar.gz?x=y", 200),
        ("/packages/linux/a-1.tar.gz", 404),
        ("/x", 200),
        ("/packages/x", 200),
        // Nobody learns what there is.
        ("/packages/there-is-none-1.tar.gz", 404),
        ("/there-is-none", 404),
        ("/", 404),
    ] {
        for method in ["GET", "HEAD"] {
            let ask = |head: &[&str]| server.ask(method, path, head, b"");
            assert_eq!(ask(&[]).status, 401, "{method} {path}");
            let part = ask(&["Range: bytes=0-0", "If-None-Match: *"]);
            assert_eq!((part.status, part.body.contains(&b'\x1f')), (401, false), "{method} {path}");
            assert_eq!(ask(&[&*bearer(&host.token)]).status, status, "{method} {path}");
        }
    }
}

#[test]
fn one_download_too_many_is_to_come_back_later() {
    let server = server_with(json!({ "downloadsMax": 1 }));
    let bytes = large(24 << 20);
    let admin = Operator::first(&server);
    admin.bring("a/1", &bytes);
    admin.bring("small/1", &package("small"));
    let mut slow = server.connect();
    slow.write_all(&request("GET", "/packages/a-1.tar.gz", &["Connection: close"], b"")).unwrap();
    slow.read_exact(&mut [0; 12]).unwrap();
    let refused = server.get("/packages/a-1.tar.gz");
    assert_eq!((refused.status, refused.header("retry-after").is_empty()), (503, false));
    assert_eq!(server.ask("HEAD", "/packages/a-1.tar.gz", &[], b"").status, 200);
    assert_eq!(server.get("/packages/small-1.tar.gz").status, 200);
    // It can be deleted meanwhile, and who reads it gets it whole.
    assert_eq!(admin.delete("/api/v1/packages/a/1").status, 204);
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&bytes));
}
