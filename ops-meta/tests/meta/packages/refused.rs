//! Archives, manifests, names and callers that are refused.

use std::path::Path;

use super::*;
use crate::support::tarball::package;

/// Every archive below a folder, and what is expected of it.
fn archives(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(archives(&path));
        } else if let Some(of) = path.to_str().unwrap().strip_suffix(".tar.gz") {
            let expected = std::fs::read_to_string(format!("{of}.expected")).unwrap();
            found.push((path, expected));
        }
    }
    found
}

#[test]
fn every_bad_archive_is_refused_with_its_code() {
    let server = server();
    let admin = Operator::first(&server);
    let archives = archives(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops-package/tests/bad"));
    assert!(archives.len() > 150, "{}", archives.len());
    let mut taken = Vec::new();
    for (n, (path, expected)) in archives.into_iter().enumerate() {
        let bytes = std::fs::read(&path).unwrap();
        let pushed = admin.push(&format!("bad/{n}?sha256={}", sha256(&bytes)), &[], &bytes);
        // Beyond limits that are smaller than a server's.
        if expected.starts_with("too_large") && pushed.status == 201 {
            assert_eq!(admin.delete(&format!("/api/v1/packages/bad/{n}")).status, 204);
            let name = path.file_name().unwrap().to_str().unwrap();
            taken.push(name.strip_suffix(".tar.gz").unwrap().to_owned());
            continue;
        }
        let said = detail(&pushed, 422);
        assert!(said.starts_with(&format!("bad-{n}.tar.gz is refused: ")), "{path:?}: {said}");
        let code = expected.split_whitespace().next().unwrap();
        assert_eq!(pushed.json()["code"], code, "{path:?}: {said}");
    }
    taken.sort();
    let small = [
        "depth",
        "entries",
        "entries-implied",
        "hard-links",
        "long",
        "metadata",
        "padding",
        "path",
        "unpacked",
    ];
    assert_eq!(taken, small);
    let nothing = admin.push("bad/1", &["Content-Length: 0"], b"");
    assert_eq!(nothing.status, 422, "{}", nothing.text());
    assert_eq!((admin.packages().len(), uploads(&server).len(), blobs(&server).len()), (0, 0, 0));
}

#[test]
fn what_can_be_no_name_reaches_no_file() {
    let server = server();
    let admin = Operator::first(&server);
    let bytes = package("one");
    let long = format!("{}/1", "x".repeat(1000));
    for path in [
        "..%2f..%2fx/1",
        "a%2fb/1",
        "%2e%2e/1",
        "../1",
        "a/..",
        "a/%2e%2e%2fb",
        "a/b%2fc",
        "%ff/1",
        "a/%ff",
        "/1",
        "a/",
        "a/%00",
        "a%00/1",
        "a%20b/1",
        "-a/1",
        "a/-1",
        ".a/1",
        "a/.",
        "%2fetc/passwd",
        "a%0ab/1",
        "gc/..",
        &long,
        "a",
    ] {
        let pushed = admin.push(path, &[], &bytes);
        assert!([400, 404, 405].contains(&pushed.status), "{path}: {} {}", pushed.status, pushed.text());
        for method in ["GET", "DELETE", "PATCH"] {
            let body = (method == "PATCH").then(|| json!({ "protected": true }));
            let reply = admin.ask(method, &format!("/api/v1/packages/{path}"), body.as_ref());
            assert!(
                [400, 404, 405].contains(&reply.status),
                "{method} {path}: {} {}",
                reply.status,
                reply.text()
            );
        }
    }
    for path in [
        "..%2f..%2fadmin.token",
        "../admin.token",
        "%2e%2e/admin.token",
        "blobs",
        "",
        "%ff",
        "linux/..",
        "a-1.tar.gz%00",
    ] {
        let fetched = server.get(&format!("/packages/{path}"));
        assert_eq!(fetched.status, 404, "{path}");
    }
    assert_eq!((admin.packages().len(), uploads(&server).len(), blobs(&server).len()), (0, 0, 0));
}

fn with_manifest(manifest: &str) -> Vec<u8> {
    tarball(&[("control", b"#!/bin/sh\n"), ("manifest.json", manifest.as_bytes())])
}

#[test]
fn a_manifest_that_contradicts_or_cannot_be_read_is_refused() {
    let server = server();
    let admin = Operator::first(&server);
    for (path, manifest, word) in [
        ("a/1", r#"{"name": "b"}"#, "`name` b"),
        ("a/1", r#"{"version": "2"}"#, "`version` 2"),
        ("a/1?os=linux", r#"{"os": "freebsd"}"#, "`os` freebsd"),
        ("a/1?os=linux&arch=aarch64", r#"{"os": "linux", "arch": "x86_64"}"#, "`os` linux x86_64"),
        ("a/1?os=linux", r#"{"os": "linux", "arch": "x86_64"}"#, "`os` linux x86_64"),
        ("a/1", r#"{"name": "../a"}"#, "name"),
        ("a/1", r#"{"trialSecs": "30"}"#, "trialSecs"),
        ("a/1", r#"{"arch": "x86_64"}"#, "arch"),
        ("a/1", "{", "manifest.json"),
        ("a/1", "[]", "manifest.json"),
        ("a/1", "", "manifest.json"),
    ] {
        let bytes = with_manifest(manifest);
        let pushed = admin.push(
            &format!("{path}{}sha256={}", if path.contains('?') { "&" } else { "?" }, sha256(&bytes)),
            &[],
            &bytes,
        );
        assert!(detail(&pushed, 422).contains(word), "{manifest}: {}", pushed.text());
        assert_eq!(pushed.json()["code"], "manifest_invalid", "{manifest}");
    }
    assert_eq!((admin.packages().len(), uploads(&server).len(), blobs(&server).len()), (0, 0, 0));
    // What it says counts where nothing else was said.
    let brought = admin.bring("a/1", &with_manifest(r#"{"os": "linux", "deprecated": true, "more": 1}"#));
    assert_eq!((&brought["os"], &brought["path"]), (&json!("linux"), &json!("/packages/linux/a-1.tar.gz")));
    assert!(brought["deprecated"].is_string(), "{brought}");
}

#[test]
fn two_that_hosts_would_fetch_by_one_name_are_not_both_taken() {
    let server = server();
    let admin = Operator::first(&server);
    let (one, other) = (package("one"), package("other"));
    admin.bring("a/b-1", &one);
    for path in ["a-b/1".to_owned(), format!("a-b/1?sha256={}", sha256(&other))] {
        let said = detail(&admin.push(&path, &[], &other), 409);
        assert!(said.contains("`/packages/a-b-1.tar.gz`") && said.contains("a b-1"), "{said}");
    }
    assert_eq!((uploads(&server), blobs(&server)), (vec![], vec![sha256(&one)]));
    assert!(server.get("/packages/a-b-1.tar.gz").body == one);
    admin.bring("a-b/1?os=linux", &other);
    assert_eq!(admin.delete("/api/v1/packages/a/b-1").status, 204);
    admin.bring("a-b/1", &other);
}

#[test]
fn only_who_may_changes_packages() {
    let server = server();
    let admin = Operator::first(&server);
    let bytes = package("one");
    admin.bring("a/1", &bytes);
    let changes = |who: &Operator<'_>| {
        [
            who.push("b/1", &[], &bytes),
            who.ask("PATCH", "/api/v1/packages/a/1", Some(&json!({ "deprecated": "why" }))),
            who.post("/api/v1/packages/a/1/verify", &json!({})),
            who.post("/api/v1/packages/gc", &json!({ "dryRun": true })),
            who.get(&format!("/api/v1/uploads/{}", sha256(&bytes))),
            who.delete("/api/v1/packages/a/1"),
        ]
        .map(|reply| reply.status)
    };
    let reads = |who: &Operator<'_>| {
        ["", "/a/1", "/a/1/entries"].map(|path| who.get(&format!("/api/v1/packages{path}")).status)
    };
    let (_, host) = admin.create("a host", "host", &json!({ "hostname": "web01" }));
    let (_, viewer) = admin.create("a viewer", "viewer", &Value::Null);
    let (_, publisher) = admin.create("a publisher", "publisher", &Value::Null);
    assert_eq!((changes(&host), reads(&host)), ([403; 6], [403; 3]));
    assert_eq!((changes(&viewer), reads(&viewer)), ([403; 6], [200; 3]));
    let nobody = Operator::with(&server, "opsm_x".to_owned());
    assert_eq!((changes(&nobody), reads(&nobody)), ([401; 6], [401; 3]));
    assert_eq!(admin.packages().len(), 1);
    assert_eq!((reads(&publisher), changes(&publisher)), ([200; 3], [201, 200, 200, 200, 200, 204]));
}
