//! Uploads that are cut, too large, not what was told, or at the same time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::*;
use crate::support::full_disk::FullDisk;
use crate::support::tarball::{md5, package};
use crate::support::{eventually, exchange, read_reply, request};

/// The head of an upload of `size` bytes, and the first of them. Waits until they are written.
fn begin(admin: &Operator<'_>, path: &str, size: usize, first: &[u8]) -> TcpStream {
    begin_on(admin.server.connect(), admin, path, size, first)
}

fn begin_on(mut stream: TcpStream, admin: &Operator<'_>, path: &str, size: usize, first: &[u8]) -> TcpStream {
    let head = [&*bearer(&admin.token), &format!("Content-Length: {size}")];
    stream.write_all(&request("PUT", &format!("/api/v1/packages/{path}"), &head, b"")).unwrap();
    stream.write_all(first).unwrap();
    let folder = admin.server.path("data/packages/uploads");
    eventually("the bytes to be written", || {
        let mut entries = std::fs::read_dir(&folder).unwrap();
        entries.any(|it| it.unwrap().metadata().is_ok_and(|it| it.len() == first.len() as u64)).then_some(())
    });
    stream
}

fn offset(admin: &Operator<'_>, bytes: &[u8]) -> Value {
    admin.get(&format!("/api/v1/uploads/{}", sha256(bytes))).json()["offset"].clone()
}

fn range(first: usize, size: usize) -> String {
    format!("Content-Range: bytes {first}-{}/{size}", size - 1)
}

fn has_nothing(admin: &Operator<'_>, why: &str) {
    assert_eq!(admin.packages(), [Value::Null; 0], "{why}");
    eventually(&format!("uploads to be empty: {why}"), || uploads(admin.server).is_empty().then_some(()));
    assert_eq!(blobs(admin.server), [""; 0], "{why}");
}

#[test]
fn a_cut_upload_goes_on_where_it_was_cut_also_after_kill_9() {
    let (mut server, bytes) = (server(), large(300_000));
    let token = Operator::first(&server).token;
    let path = format!("a/1?sha256={}", sha256(&bytes));
    let stream = begin(&Operator::with(&server, token.clone()), &path, bytes.len(), &bytes[..100_000]);
    server.restart_killed();
    drop(stream);
    let admin = Operator::with(&server, token);
    assert_eq!(offset(&admin, &bytes), 100_000);

    let elsewhere = admin.push(&path, &[&range(100_001, bytes.len())], &bytes[100_001..]);
    assert!(detail(&elsewhere, 409).contains("go on at 100000"));
    assert_eq!(elsewhere.json()["offset"], 100_000);

    // It is cut once more, by the network alone.
    let head = [
        &*bearer(&admin.token),
        &*range(100_000, bytes.len()),
        &format!("Content-Length: {}", bytes.len() - 100_000),
    ];
    let mut stream = server.connect();
    stream.write_all(&request("PUT", &format!("/api/v1/packages/{path}"), &head, b"")).unwrap();
    stream.write_all(&bytes[100_000..200_000]).unwrap();
    eventually("more to be there", || (offset(&admin, &bytes) == 200_000).then_some(()));
    drop(stream);

    // From a little before, as who does not know what arrived.
    let done = eventually("the end of the upload before", || {
        let reply = admin.push(&path, &[&range(199_990, bytes.len())], &bytes[199_990..]);
        (reply.status != 409).then_some(reply)
    });
    assert_eq!((done.status, &done.json()["sha256"]), (201, &json!(sha256(&bytes))), "{}", done.text());
    assert!(server.get("/packages/a-1.tar.gz").body == bytes);
    assert_eq!((uploads(&server).len(), offset(&admin, &bytes)), (0, json!(0)));
}

#[test]
fn of_a_cut_upload_that_nobody_can_go_on_with_nothing_is_left() {
    let (mut server, bytes) = (server(), large(300_000));
    let token = Operator::first(&server).token;
    let admin = Operator::with(&server, token.clone());
    drop(begin(&admin, "a/1", bytes.len(), &bytes[..100_000]));
    has_nothing(&admin, "it was cut");
    let stream = begin(&admin, "a/1", bytes.len(), &bytes[..100_000]);
    server.restart_killed();
    drop(stream);
    has_nothing(&Operator::with(&server, token), "kill -9");
}

#[test]
fn a_kept_part_that_is_another_file_s_is_found_out_and_goes() {
    let (server, bytes, other) = (server(), large(300_000), large(300_001));
    let admin = Operator::first(&server);
    std::fs::write(server.path("data/packages/uploads").join(sha256(&bytes)), &other[..1000]).unwrap();
    let path = format!("a/1?sha256={}", sha256(&bytes));
    let pushed = admin.push(&path, &[&range(1000, bytes.len())], &bytes[1000..]);
    assert!(detail(&pushed, 400).contains("sha256"));
    has_nothing(&admin, "it is another's");
    admin.bring(&path, &bytes);
}

/// In pieces whose number nobody knows beforehand.
fn push_chunked(admin: &Operator<'_>, path: &str, bytes: &[u8]) -> Reply {
    let head = [&*bearer(&admin.token), "Transfer-Encoding: chunked"];
    let mut stream = admin.server.connect();
    let mut text = request("PUT", &format!("/api/v1/packages/{path}"), &head, b"");
    for piece in bytes.chunks(1000) {
        text.extend(format!("{:x}\r\n", piece.len()).bytes());
        text.extend([piece, b"\r\n"].concat());
    }
    text.extend(b"0\r\n\r\n");
    // A server that refuses early closes.
    let _ = stream.write_all(&text);
    read_reply(&mut stream, false).unwrap()
}

#[test]
fn what_is_too_large_is_refused_before_it_is_kept() {
    let bytes = large(20_000);
    let server = server_with(json!({ "packageBytesMax": bytes.len() - 1 }));
    let admin = Operator::first(&server);
    let told = format!("a/1?sha256={}", sha256(&bytes));
    for reply in [
        admin.push("a/1", &[], &bytes),
        admin.push(&told, &[], &bytes),
        push_chunked(&admin, "a/1", &bytes),
        push_chunked(&admin, &told, &bytes),
    ] {
        assert!(detail(&reply, 413).contains("packageBytesMax"), "{}", reply.text());
        has_nothing(&admin, "it is too large");
    }
    drop(begin(&admin, &told, bytes.len() - 1, &bytes[..10_000]));
    let more = eventually("the upload before to end", || {
        let reply = admin.push(&told, &[&range(10_000, bytes.len())], &bytes[10_000..]);
        (reply.status != 409).then_some(reply)
    });
    detail(&more, 413);

    let server = server_with(json!({ "packageBytesMax": bytes.len() }));
    let admin = Operator::first(&server);
    assert_eq!(push_chunked(&admin, "a/1", &bytes).status, 201);
    admin.bring("a/2", &bytes);
}

#[test]
fn what_is_not_what_was_told_is_refused() {
    let (server, bytes) = (server(), package("one"));
    let admin = Operator::first(&server);
    let (sha256, md5, wrong) = (sha256(&bytes), md5(&bytes), "0".repeat(64));
    let size = bytes.len();
    for (path, head, field, words) in [
        (format!("a/1?sha256={wrong}"), None, "sha256", "nothing was kept"),
        (format!("a/1?sha256={sha256}&md5={}", &wrong[..32]), None, "md5", "nothing was kept"),
        (format!("a/1?md5={}", &wrong[..32]), None, "md5", "nothing was kept"),
        (format!("a/1?sha256={}", &sha256[1..]), None, "sha256", "64 hexadecimal digits"),
        (format!("a/1?md5={md5}0"), None, "md5", "32 hexadecimal digits"),
        ("a/1".to_owned(), Some(range(0, size)), "sha256", "give that too"),
        (format!("a/1?sha256={sha256}"), Some(range(0, size + 1)), "", "that `Content-Range` tells"),
        (
            format!("a/1?sha256={sha256}"),
            Some("Content-Range: bytes 0-1/9999".to_owned()),
            "",
            "go to the end",
        ),
        (format!("a/1?sha256={sha256}"), Some(range(5, size)), "", "`Content-Length` is"),
        (format!("a/1?sha256={sha256}"), Some(range(5, size + 5)), "", "go on at 0"),
        ("a/1".to_owned(), Some("X-Minisign: ?".to_owned()), "", "base64"),
        ("a/1".to_owned(), Some("X-Minisign: ".to_owned()), "", "base64"),
        ("a/1?arch=x86_64".to_owned(), None, "arch", "`os`"),
        ("a/1?sha=1".to_owned(), None, "sha", "`sha256`"),
    ] {
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let reply = admin.push(&path, &head, &bytes);
        assert!([400, 409].contains(&reply.status), "{path} {head:?}: {}", reply.text());
        let said = reply.json();
        assert_eq!(said["field"].as_str().unwrap_or_default(), field, "{path} {head:?}: {said}");
        assert!(said["detail"].as_str().unwrap().contains(words), "{path} {head:?}: {said}");
        has_nothing(&admin, &path);
    }
    // Upper case is the same digest.
    admin.bring(&format!("a/1?sha256={}&md5={}", sha256.to_uppercase(), md5.to_uppercase()), &bytes);
}

#[test]
fn a_length_that_is_a_lie_makes_no_package() {
    let (server, bytes) = (server(), package("one"));
    let admin = Operator::first(&server);
    let mut stream = begin(&admin, "a/1", bytes.len() + 1, &bytes);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // Until the server has seen it.
    assert!(read_reply(&mut stream, false).is_ok_and(|reply| reply.status == 400));
    has_nothing(&admin, "more was told");
    let mut stream = server.connect();
    let head = [&*bearer(&admin.token), &format!("Content-Length: {}", bytes.len() - 1)];
    stream.write_all(&request("PUT", "/api/v1/packages/a/1", &head, b"")).unwrap();
    stream.write_all(&bytes).unwrap();
    assert_eq!(read_reply(&mut stream, false).unwrap().status, 422);
    has_nothing(&admin, "less was told");
}

#[test]
fn of_two_uploads_at_once_the_second_is_refused() {
    let (server, bytes, other) = (server(), large(100_000), package("other"));
    let admin = Operator::first(&server);
    let path = format!("a/1?sha256={}", sha256(&bytes));
    let mut first = begin(&admin, &path, bytes.len(), &bytes[..50_000]);
    for path in ["a/1".to_owned(), path.clone(), format!("b/2?sha256={}", sha256(&bytes))] {
        let second = admin.push(&path, &[], &bytes);
        assert!(detail(&second, 409).contains("being uploaded already"), "{}", second.text());
        assert_eq!(second.header("retry-after"), "5");
    }
    admin.bring("c/1", &other);
    first.write_all(&bytes[50_000..]).unwrap();
    assert_eq!(read_reply(&mut first, false).unwrap().status, 201);
    assert_eq!(admin.push(&path, &[], &bytes).status, 200, "the same bytes");
    assert!(detail(&admin.push("a/1", &[], &other), 409).contains("other bytes"));
    assert!(
        detail(&admin.push(&format!("a/1?sha256={}", sha256(&other)), &[], &other), 409)
            .contains("other bytes")
    );
    assert_eq!(uploads(&server), [""; 0]);
    assert!(server.get("/packages/a-1.tar.gz").body == bytes);
}

#[test]
fn slow_uploads_take_no_more_than_their_places() {
    let (server, bytes) = (server(), package("one"));
    let admin = Operator::first(&server);
    let slow = |host: u8| {
        let path = |n: usize| format!("slow-{host}/{n}");
        let begin = |n| begin_on(server.connect_from([127, 0, 0, host]), &admin, &path(n), 1000, &vec![0; n]);
        (1..=16).map(|n| begin(n + 16 * usize::from(host))).collect::<Vec<_>>()
    };
    let first = slow(1);
    let refused = admin.push("a/1", &[], &bytes);
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.text());
    // One address has not all of them.
    let push = |host: u8, path: &str| {
        let head = [&*bearer(&admin.token)];
        let request = request("PUT", &format!("/api/v1/packages/{path}"), &head, &bytes);
        exchange(&mut server.connect_from([127, 0, 0, host]), &request).unwrap().status
    };
    assert_eq!(push(2, "a/1"), 201);
    let second = slow(2);
    assert_eq!(push(3, "b/1"), 503);
    drop(first);
    eventually("a place", || (push(3, "b/1") == 201).then_some(()));
    drop(second);
}

#[test]
fn on_a_full_disk_nothing_is_kept_and_the_rest_goes_on() {
    let (server, bytes, there) = (server(), large(100_000), package("there"));
    let admin = Operator::first(&server);
    admin.bring("there/1", &there);
    let path = format!("a/1?sha256={}", sha256(&bytes));
    let nameless = (0..32).map(|n| format!("packages/uploads/nameless-{n}"));
    let files: Vec<String> = nameless.chain([format!("packages/uploads/{}", sha256(&bytes))]).collect();
    let disk = FullDisk::of(&server, &files.iter().map(String::as_str).collect::<Vec<_>>());
    for path in [&*path, "a/1"] {
        let refused = admin.push(path, &[], &bytes);
        assert!(detail(&refused, 507).contains("the disk of the data folder is full"), "{}", refused.text());
        assert_eq!(uploads(&server), [""; 0], "the room is needed");
    }
    assert!(server.get("/packages/there-1.tar.gz").body == there);
    drop(disk);
    admin.bring(&path, &bytes);

    // The same of the database: the bytes lie there, and are nobody's.
    let disk = FullDisk::of(&server, &["ops-meta.db", "ops-meta.db-wal"]);
    let refused = admin.push("b/1", &[], &package("b"));
    assert_eq!(refused.status, 507, "{}", refused.text());
    drop(disk);
    assert_eq!(server.get("/packages/b-1.tar.gz").status, 404);
    admin.bring("b/1", &package("b"));
    assert!(server.get("/packages/b-1.tar.gz").body == package("b"));
    let mut left = blobs(&server);
    left.sort();
    let mut wanted = [&there, &bytes, &package("b")].map(|it| sha256(it));
    wanted.sort();
    assert_eq!((left, uploads(&server)), (wanted.to_vec(), vec![]), "each once");
}

#[test]
fn what_stays_free_is_taken_by_no_upload() {
    let server = server_with(json!({ "diskReserveBytes": 1_u64 << 40 }));
    let (admin, bytes) = (Operator::first(&server), package("one"));
    let told = format!("a/1?sha256={}", sha256(&bytes));
    for reply in
        [admin.push("a/1", &[], &bytes), admin.push(&told, &[], &bytes), push_chunked(&admin, "a/1", &bytes)]
    {
        assert!(detail(&reply, 507).contains("`diskReserveBytes`"), "{}", reply.text());
    }
    has_nothing(&admin, "there is no room");
}

/// Writes the first bytes of an upload, and goes away; waits until the server has seen it.
fn cut(admin: &Operator<'_>, path: &str, bytes: &[u8], at: usize) {
    drop(begin(admin, &format!("{path}?sha256={}", sha256(bytes)), bytes.len(), &bytes[..at]));
    eventually("the upload before to end", || {
        // One that begins behind its end does nothing.
        let reply = admin.push(
            &format!("{path}?sha256={}", sha256(bytes)),
            &[&range(bytes.len() - 1, bytes.len())],
            &bytes[bytes.len() - 1..],
        );
        (reply.json()["offset"] == at || reply.json()["offset"] == 0).then_some(())
    });
}

#[test]
fn uploads_that_were_cut_are_kept_up_to_a_bound_and_the_oldest_goes_first() {
    let tarballs: Vec<_> = (0..4).map(|n| large(40_000 + n)).collect();
    let server = server_with(json!({ "packageBytesMax": 50_000 }));
    let admin = Operator::first(&server);
    for (n, bytes) in tarballs.iter().enumerate() {
        cut(&admin, &format!("cut/{n}"), bytes, 30_000 + n);
    }
    let offsets = |_: ()| tarballs.iter().map(|it| offset(&admin, it)).collect::<Vec<_>>();
    let wanted = [0, 30_001, 30_002, 30_003].map(Value::from);
    eventually("the first to go", || (offsets(()) == wanted).then_some(()));
    let rest = &tarballs[1][30_001..];
    let path = format!("cut/1?sha256={}", sha256(&tarballs[1]));
    assert_eq!(admin.push(&path, &[&range(30_001, tarballs[1].len())], rest).status, 201);
}

#[test]
fn an_upload_that_comes_by_the_byte_gives_its_place_back() {
    let server = server_with(json!({ "bytesPerSecMin": 1000, "timeouts": { "idleMillis": 500 } }));
    let (admin, bytes) = (Operator::first(&server), package("one"));
    let path = format!("a/1?sha256={}", sha256(&bytes));
    let mut slow = begin(&admin, &path, bytes.len(), &bytes[..10]);
    slow.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let mut head = [0; 12];
    let mut sent = 10;
    eventually("it to be cut", || {
        let _ = slow.write_all(&bytes[sent..=sent]);
        sent += 1;
        slow.read_exact(&mut head).is_ok().then_some(())
    });
    assert_eq!(&head, b"HTTP/1.1 408");
    assert!(offset(&admin, &bytes).as_u64().is_some_and(|it| it >= 10), "it is kept");
    admin.bring(&path, &bytes);
}

#[test]
fn who_is_refused_before_he_has_sent_all_reads_why() {
    let server = server_with(json!({ "packageBytesMax": 1000 }));
    let admin = Operator::first(&server);
    let bytes = vec![0; 900_000];
    for _ in 0..20 {
        let mut stream = server.connect();
        let head = [&*bearer(&admin.token), &format!("Content-Length: {}", bytes.len())];
        stream.write_all(&request("PUT", "/api/v1/packages/a/1", &head, b"")).unwrap();
        stream.write_all(&bytes).expect("all of it is taken");
        assert_eq!(read_reply(&mut stream, false).unwrap().status, 413);
    }
    // Who waits to be asked for it is not asked.
    let mut stream = server.connect();
    let head = [&*bearer(&admin.token), "Content-Length: 900000", "Expect: 100-continue"];
    stream.write_all(&request("PUT", "/api/v1/packages/a/1", &head, b"")).unwrap();
    assert_eq!(read_reply(&mut stream, false).unwrap().status, 413);
}

#[test]
fn a_client_that_waits_for_what_takes_long_is_not_taken_for_one_that_is_gone() {
    let server = Server::start(&config_with(json!({ "agents": [], "timeouts": { "idleMillis": 50 } })));
    let admin = Operator::first(&server);
    // It is all there, and cannot become a package before another program lets the database go.
    let other = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let held = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        other.execute_batch("ROLLBACK").unwrap();
    });
    let reply = admin.push("a/1", &[], &package("one"));
    assert_eq!(reply.status, 201, "{}", reply.text());
    held.join().unwrap();
}
