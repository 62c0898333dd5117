//! Every other path is a file of `tarballDir`, whole or in part, and nothing else.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::support::{Server, config, config_with, eventually, read_reply, refused, request};
use serde_json::json;

const NAME: &str = "/falcon-agent-1.0.0.tar.gz";

/// A file of a few hundred KiB whose bytes tell where they stand.
fn content() -> Vec<u8> {
    (0_u32..100_000).flat_map(u32::to_be_bytes).collect()
}

/// Serves a folder with one tarball, one digest and many a trap.
fn server(other: serde_json::Value) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("tarballs");
    std::fs::create_dir_all(files.join("sub")).unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    std::fs::write(files.join(&NAME[1..]), content()).unwrap();
    std::fs::write(files.join("a.md5"), "digest").unwrap();
    std::fs::write(files.join("empty"), "").unwrap();
    std::fs::write(files.join("sub/file"), "in sub").unwrap();
    std::fs::write(files.join(".hidden"), "secret").unwrap();
    symlink("a.md5", files.join("link-inside")).unwrap();
    symlink("../secret", files.join("link-outside")).unwrap();
    symlink(folder.path().join("secret"), files.join("link-absolute")).unwrap();
    symlink("..", files.join("link-up")).unwrap();
    symlink("loop", files.join("loop")).unwrap();
    nix::unistd::mkfifo(&files.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut config = config_with(json!({ "tarballDir": files }));
    config.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    Server::start_in(folder, &config)
}

#[test]
fn a_file_is_served_whole() {
    let server = server(json!({}));
    let reply = server.get(NAME);
    assert_eq!((reply.status, reply.body == content()), (200, true));
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("content-length"), content().len().to_string());
    assert!(reply.header("last-modified").ends_with(" GMT"));
    let tag = reply.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "no strong tag: {tag}");
    assert_eq!(reply.header("content-encoding"), "");
    assert_eq!(server.get("/sub/file").text(), "in sub");
    assert_eq!(server.get("/a.md5?x=y").text(), "digest");
    assert_eq!(server.get("/%61.md5").text(), "digest");
    assert_eq!(server.get("/link-inside").text(), "digest");
    assert_eq!((server.get("/empty").status, server.get("/empty").body.len()), (200, 0));
}

#[test]
fn head_says_the_same_and_sends_nothing() {
    let server = server(json!({}));
    let (get, head) = (server.get(NAME), server.ask("HEAD", NAME, &[], b""));
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-length", "etag", "last-modified", "accept-ranges", "content-type"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[test]
fn a_part_is_served_by_its_range() {
    let (server, whole) = (server(json!({})), content());
    let bytes = whole.len();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=100-299", 100, 300),
        ("bytes=399000-", 399_000, bytes),
        ("bytes=-10", bytes - 10, bytes),
        ("bytes=399990-999999999", 399_990, bytes),
    ] {
        let reply = server.ask("GET", NAME, &[&format!("Range: {range}")], b"");
        assert_eq!((reply.status, &*reply.body), (206, &whole[from..to]), "{range}");
        assert_eq!(reply.header("content-range"), format!("bytes {from}-{}/{bytes}", to - 1));
    }
    let reply = server.ask("GET", NAME, &["Range: bytes=400000-"], b"");
    assert_eq!((reply.status, reply.header("content-range")), (416, "bytes */400000"));
    for range in ["bytes=5-2", "bytes=x", "lines=1-2", "bytes=0-1,4-5"] {
        let reply = server.ask("GET", NAME, &[&format!("Range: {range}")], b"");
        assert_eq!((reply.status, reply.body.len()), (200, bytes), "{range}");
    }
}

#[test]
fn a_broken_download_is_resumed_only_of_the_very_same_file() {
    let server = server(json!({}));
    let first = server.get(NAME);
    let (tag, date) = (first.header("etag"), first.header("last-modified"));
    let resume = |condition: &str| {
        server.ask("GET", NAME, &["Range: bytes=399000-", &format!("If-Range: {condition}")], b"").status
    };
    assert_eq!((resume(tag), resume(date)), (206, 206));
    let weak = format!("W/{tag}");
    for condition in
        [&*weak, "\"other\"", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "x"]
    {
        assert_eq!(resume(condition), 200, "{condition}");
    }
    // The same size, another content.
    std::fs::write(server.path("tarballs/new"), vec![7; 400_000]).unwrap();
    std::fs::rename(server.path("tarballs/new"), server.path(&format!("tarballs{NAME}"))).unwrap();
    assert_eq!(resume(tag), 200);
    assert_ne!(server.get(NAME).header("etag"), tag);
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let server = server(json!({}));
    let first = server.get(NAME);
    let (tag, date) = (first.header("etag").to_owned(), first.header("last-modified").to_owned());
    for condition in [
        format!("If-None-Match: {tag}"),
        format!("If-None-Match: \"x\", W/{tag}"),
        "If-None-Match: *".to_owned(),
        format!("If-Modified-Since: {date}"),
    ] {
        let reply = server.ask("GET", NAME, &[&condition], b"");
        assert_eq!((reply.status, reply.header("etag")), (304, &*tag), "{condition}");
    }
    for condition in [
        "If-None-Match: \"x\"".to_owned(),
        "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
        "If-Modified-Since: yesterday".to_owned(),
    ] {
        assert_eq!(server.ask("GET", NAME, &[&condition], b"").status, 200, "{condition}");
    }
    let both = ["If-None-Match: \"x\"", &format!("If-Modified-Since: {date}")];
    assert_eq!(server.ask("GET", NAME, &both, b"").status, 200, "the tag decides");
}

#[test]
fn nothing_outside_the_folder_and_no_listing_is_to_be_had() {
    let server = server(json!({}));
    for path in [
        "/",
        "/sub",
        "/sub/",
        "/missing",
        "/.hidden",
        "/%2ehidden",
        "/./a.md5",
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/sub/../../secret",
        "/sub/..%2f..%2fsecret",
        "/link-outside",
        "/link-absolute",
        "/link-up/secret",
        "/loop",
        "/fifo",
        "/a.md5/x",
        "/a.md5%00",
        "/a.md5%00.gz",
        "/%ff",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/..\\secret",
        "/..;/secret",
        "/....//secret",
    ] {
        let reply = server.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains("secret\n") && !reply.text().contains("root:"), "{path}");
    }
    let long = format!("/{}", "a".repeat(5000));
    assert_eq!(server.get(&long).status, 404);
}

#[test]
fn files_are_only_read() {
    let server = server(json!({}));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(server.ask(method, NAME, &[], b"x").status, 405, "{method}");
    }
    assert_eq!(server.get(NAME).body, content());
}

#[test]
fn without_a_folder_nothing_is_served() {
    let server = Server::start(&config());
    assert_eq!(server.get("/cfg.json").status, 404);
    let server = Server::start(&config_with(json!({ "tarballDir": "/nowhere" })));
    assert!(server.get("/x").status >= 400);
}

#[test]
fn downloads_have_a_number_and_the_next_is_told_when_to_ask_again() {
    let server = server(json!({ "downloadsMax": 1 }));
    std::fs::write(server.path("tarballs/large"), vec![0; 64 << 20]).unwrap();
    let mut slow = server.connect();
    slow.write_all(&request("GET", "/large", &[], b"")).unwrap();
    slow.read_exact(&mut [0; 12]).unwrap();
    let reply = server.get(NAME);
    assert_eq!(reply.status, 503);
    assert!((1..=3600).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
    // What costs nothing goes on.
    assert_eq!(server.get("/a.md5").status, 200);
    assert_eq!(server.ask("HEAD", NAME, &[], b"").status, 200);
    drop(slow);
    eventually("the place given back", || (server.get(NAME).status == 200).then_some(()));
}

#[test]
fn a_client_that_stops_reading_loses_its_place() {
    let server = server(json!({ "downloadsMax": 1, "timeouts": { "idleMillis": 300 } }));
    std::fs::write(server.path("tarballs/large"), vec![0; 64 << 20]).unwrap();
    let mut stalled = server.connect();
    stalled.write_all(&request("GET", "/large", &[], b"")).unwrap();
    stalled.read_exact(&mut [0; 12]).unwrap();
    eventually("the place given back", || (server.get(NAME).status == 200).then_some(()));
}

const LARGE: usize = 8 << 20;

/// Fetches a file of `LARGE` bytes and takes `step` of it every 50 ms, for 6 s; then the rest. How much there was.
fn taken_slowly(server: &Server, step: usize) -> usize {
    std::fs::write(server.path("tarballs/large"), vec![1; LARGE]).unwrap();
    let mut stream = server.connect();
    stream.write_all(&request("GET", "/large", &["Connection: close"], b"")).unwrap();
    let (began, mut taken) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(6) {
        let mut part = (&mut stream).take(step as u64);
        if part.read_to_end(&mut taken).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Its end, or a reset.
    let _ = stream.read_to_end(&mut taken);
    taken.len()
}

#[test]
fn a_client_that_takes_less_than_the_least_is_cut_off() {
    let server = server(json!({ "bytesPerSecMin": 8 << 20, "timeouts": { "idleMillis": 1000 } }));
    let taken = taken_slowly(&server, 16 << 10);
    assert!(taken < LARGE, "all of it was sent");
}

/// Neither by its rate, nor since the kernel took megabytes at once and asked for no more for a long while.
#[test]
fn an_honest_slow_client_is_not_cut_off() {
    let server = server(json!({ "bytesPerSecMin": 32 << 10, "timeouts": { "idleMillis": 2000 } }));
    let taken = taken_slowly(&server, 10 << 10);
    assert!(taken > LARGE, "only {taken} bytes were sent");
}

#[test]
fn a_file_that_becomes_shorter_breaks_the_download_and_is_not_filled_up() {
    let server = server(json!({}));
    let path = server.path("tarballs/large");
    std::fs::write(&path, vec![1; 64 << 20]).unwrap();
    let mut stream = server.connect();
    stream.write_all(&request("GET", "/large", &[], b"")).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20, "the whole length was sent");
}

#[test]
fn a_connection_is_used_for_several_files() {
    let server = server(json!({}));
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(&request("GET", "/a.md5", &[], b"")).unwrap();
        assert_eq!(read_reply(&mut stream, false).unwrap().text(), "digest");
    }
}

#[test]
fn what_lies_in_a_data_folder_is_no_file_to_fetch_wherever_it_is() {
    let server = server(json!({}));
    std::fs::create_dir(server.path("tarballs/old")).unwrap();
    for name in [
        "admin.token",
        "admin.token.new",
        "ops-meta.db",
        "ops-meta.db-wal",
        "ops-meta.db.before-restore-1",
        "lock",
    ] {
        for path in [format!("/{name}"), format!("/old/{name}")] {
            std::fs::write(server.path(&format!("tarballs{path}")), "a secret").unwrap();
            assert_eq!(server.get(&path).status, 404, "{path}");
        }
    }
    assert_eq!(server.get("/%61dmin.token").status, 404);
    std::fs::write(server.path("tarballs/lock-1.0.tar.gz"), "an agent").unwrap();
    assert_eq!(server.get("/lock-1.0.tar.gz").text(), "an agent");
}

#[test]
fn a_folder_that_holds_the_data_is_not_served() {
    for dir in [".", "data", "./data/..", "/"] {
        let said = refused(&["-c", "cfg.json"], Some(&config_with(json!({ "tarballDir": dir })).to_string()));
        assert!(said.contains("tarballDir") && said.contains("--data"), "{dir}: {said}");
    }
    let server = Server::start(&config());
    symlink(".", server.path("files")).unwrap();
    server.configure(&config_with(json!({ "tarballDir": "files" })));
    let said = server.get("/config/reload").json()["msg"].as_str().unwrap().to_owned();
    assert!(said.contains("the data folder"), "{said}");
    assert_eq!(server.get("/data/admin.token").status, 404);

    std::fs::create_dir(server.path("data/files")).unwrap();
    server.configure(&config_with(json!({ "tarballDir": "data/files" })));
    assert_eq!(server.get("/config/reload").json()["msg"], "success", "there is nothing but files in it");
}
