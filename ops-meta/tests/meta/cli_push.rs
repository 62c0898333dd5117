//! `ops-meta push`: through the real binary to the real server, over connections that break.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::command_line::{Said, asking, fake, run};
use crate::support::packages::{make_executable, tool};
use crate::support::tarball::{large_package, md5, package, sha256, tarball};
use crate::support::{Operator, Server, bearer, eventually, request};

fn server() -> Server {
    Server::serve(tempfile::tempdir().unwrap())
}

fn write(folder: &Path, file: &str, bytes: &[u8]) -> String {
    std::fs::write(folder.join(file), bytes).unwrap();
    folder.join(file).to_str().unwrap().to_owned()
}

fn push(server: &Server, args: &[&str]) -> Said {
    server.admin(&[&["push"], args].concat())
}

#[test]
fn what_is_pushed_is_served_byte_for_byte_and_not_sent_twice() {
    let (server, folder, bytes) = (server(), tempfile::tempdir().unwrap(), package("one"));
    let file = write(folder.path(), "falcon-agent-1.0.0-2.tar.gz", &bytes);
    let said = push(&server, &[&file]).ok();
    let rows: Vec<Vec<&str>> = said.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "VERSION", "FOR", "SIZE", "SHA256", "RESULT"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][2]), ("falcon-agent", "1.0.0-2", "all"));
    assert!(said.out.contains(&sha256(&bytes)) && said.out.ends_with("pushed\n"), "{said:?}");
    assert_eq!(said.err, format!("`{file}`: sending {} bytes\n", bytes.len()), "a line for each file");
    assert_eq!(server.get("/packages/falcon-agent-1.0.0-2.tar.gz").body, bytes);

    let again = push(&server, &[&file, "-o", "json"]).ok();
    let it = &again.objects()[0];
    assert_eq!(
        (
            &it["name"],
            &it["version"],
            &it["os"],
            &it["arch"],
            &it["size"],
            &it["sha256"],
            &it["result"],
            &it["file"]
        ),
        (
            &json!("falcon-agent"),
            &json!("1.0.0-2"),
            &json!(""),
            &json!(""),
            &json!(bytes.len()),
            &json!(sha256(&bytes)),
            &json!("already there"),
            &json!(file)
        )
    );
    assert_eq!(again.err, "", "nothing was sent");
}

#[test]
fn other_bytes_under_a_version_are_refused_before_they_are_sent() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let file = write(folder.path(), "a-1.tar.gz", &package("one"));
    push(&server, &[&file]).ok();
    write(folder.path(), "a-1.tar.gz", &package("two"));
    let said = push(&server, &[&file]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("another version") && !said.err.contains("sending"), "{said:?}");
    assert!(said.err.contains(&sha256(&package("one"))), "{said:?}");
}

#[test]
fn a_build_is_for_the_hosts_that_are_named() {
    let (server, folder, bytes) = (server(), tempfile::tempdir().unwrap(), package("linux"));
    let file = write(folder.path(), "out.tar.gz", &bytes);
    let whole = ["--name", "a", "--version", "1", "--os", "linux", "--arch", "x86_64"];
    let said = push(&server, &[&[&*file], &whole[..]].concat()).ok();
    assert!(said.out.contains("linux-x86_64"), "{said:?}");
    assert_eq!(server.get("/packages/linux-x86_64/a-1.tar.gz").body, bytes);
    assert_eq!(server.get("/packages/a-1.tar.gz").status, 404);
    // The manifest says it, and so does the name of the file.
    let manifest = br#"{"name": "b", "version": "2", "os": "freebsd"}"#;
    let bytes = tarball(&[("control", b"#!/bin/sh\n"), ("manifest.json", manifest)]);
    push(&server, &[&write(folder.path(), "build.tar.gz", &bytes)]).ok();
    assert_eq!(server.get("/packages/freebsd/b-2.tar.gz").body, bytes);
    for wrong in [&["--os", "Linux"][..], &["--arch", "x86_64"], &["--name", "a b"]] {
        assert_eq!(push(&server, &[&[&*file], wrong].concat()).code, 2, "{wrong:?}");
    }
}

#[test]
fn what_pack_and_check_take_for_an_agent_is_the_same_for_push() {
    let (server, folder, bytes) = (server(), tempfile::tempdir().unwrap(), package("one"));
    let file = write(folder.path(), "agent-3-1.0.tar.gz", &bytes);
    let said = push(&server, &[&file, "--name", "agent-3", "-o", "json"]).ok();
    let it = &said.objects()[0];
    assert_eq!((&it["name"], &it["version"]), (&json!("agent-3"), &json!("1.0")));
    let said = push(&server, &[&file, "--name", "other"]);
    assert!(said.code == 1 && said.err.contains("`agent-3-1.0` is not other-VERSION"), "{said:?}");

    let dir = folder.path().join("agent-4-1.0");
    std::fs::create_dir(&dir).unwrap();
    write(&dir, "manifest.json", br#"{"name": "agent-4"}"#);
    make_executable(Path::new(&write(&dir, "control", b"#!/bin/sh\n")));
    let out = folder.path().join("out");
    let (dir, out) = (dir.to_str().unwrap(), out.to_str().unwrap());
    server.admin(&["package", "pack", dir, "--out", out]).ok();
    server.admin(&["package", "check", &format!("{out}/agent-4-1.0.tar.gz")]).ok();
    let said = push(&server, &[out, "-o", "json"]).ok();
    let it = &said.objects()[0];
    assert_eq!((&it["name"], &it["version"]), (&json!("agent-4"), &json!("1.0")));
}

#[test]
fn what_the_server_would_refuse_is_refused_before_anybody_is_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    let url = fake(move |_| {
        counting.fetch_add(1, Ordering::SeqCst);
        ("500 Internal Server Error", "", String::new())
    });
    let folder = tempfile::tempdir().unwrap();
    let bytes = package("good");
    let whole = |name: &str, bytes: &[u8]| write(folder.path(), name, bytes);
    let wrong_md5 = whole("b-1.tar.gz", &bytes);
    whole("b-1.tar.gz.md5", format!("{}  b-1.tar.gz\n", md5(b"")).as_bytes());
    let wrong_sha256 = whole("c-1.tar.gz", &bytes);
    whole("c-1.tar.gz.sha256", format!("{}  c-1.tar.gz\n", sha256(b"")).as_bytes());
    let no_control = tarball(&[("bin/a", b"a")]);
    let other =
        tarball(&[("control", b"#!/bin/sh\n"), ("manifest.json", br#"{"name": "x", "version": "2"}"#)]);
    for (file, word) in [
        (whole("a-1.tar.gz", b"no gzip"), "gunzip"),
        (whole("a-2.tar.gz", &no_control), "control"),
        (whole("a-3.tar.gz", &bytes[..bytes.len() - 9]), "gunzip"),
        (wrong_md5, "damaged"),
        (wrong_sha256, "damaged"),
        (whole("noversion.tar.gz", &bytes), "--name"),
        (whole("a-4.tar.gz", &other), "x-2.tar.gz"),
    ] {
        let said = run(&mut asking(&url, &["push", &file]));
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{file}: {said:?}");
        assert!(said.err.contains(&file) && said.err.contains(word), "{file}: {said:?}");
    }
    let two = [whole("d-1.tar.gz", &bytes), whole("d-2.tar.gz", &bytes)];
    for args in [&["push", "/nowhere/a-1.tar.gz"][..], &["push", &two[0], &two[1], "--version", "3"]] {
        assert_eq!(run(&mut asking(&url, args)).code, 2, "{args:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn for_what_is_no_file_nobody_waits() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let bytes = package("one");
    for (n, ending) in ["", ".md5", ".sha256", ".minisig"].iter().enumerate() {
        let name = format!("a-{n}.tar.gz");
        let file = folder.path().join(&name).to_str().unwrap().to_owned();
        if !ending.is_empty() {
            write(folder.path(), &name, &bytes);
        }
        tool(folder.path(), &["mkfifo", &format!("{name}{ending}")]);
        let said = push(&server, &[&file]);
        assert!(said.code > 0 && said.err.contains("it is no file"), "{said:?}");
        let checked = server.admin(&["package", "check", &file]);
        assert_eq!(checked.code > 0, *ending != ".minisig", "{checked:?}");
    }
}

#[test]
fn of_a_folder_all_are_pushed_but_the_bad_ones() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    for name in ["a-1.tar.gz", "b-2.tar.gz"] {
        write(folder.path(), name, &package(name));
    }
    write(folder.path(), "a-2.tar.gz", b"bad");
    write(folder.path(), "README", b"no tarball");
    std::fs::create_dir(folder.path().join("below")).unwrap();
    write(&folder.path().join("below"), "c-1.tar.gz", &package("c"));
    let said = push(&server, &[folder.path().to_str().unwrap(), "-o", "json"]);
    assert_eq!(said.code, 1);
    let names: Vec<Value> = said.objects().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(said.err.contains("a-2.tar.gz` is refused"), "{said:?}");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(push(&server, &[empty.path().to_str().unwrap()]).code, 2);
}

#[test]
fn a_signature_goes_along_and_may_come_later() {
    let (server, folder, bytes) = (server(), tempfile::tempdir().unwrap(), package("signed"));
    let file = write(folder.path(), "a-1.tar.gz", &bytes);
    let result = || push(&server, &[&file, "-o", "json"]).ok().objects()[0]["result"].clone();
    assert_eq!(result(), "pushed");
    write(folder.path(), "a-1.tar.gz.minisig", b"untrusted comment: x\nRW\n");
    assert_eq!(result(), "signed");
    assert_eq!(server.get("/packages/a-1.tar.gz.minisig").text(), "untrusted comment: x\nRW\n");
    assert_eq!(result(), "already there");
    // As long as a host takes it.
    let longest = "x".repeat(16 << 10);
    write(folder.path(), "a-1.tar.gz.minisig", longest.as_bytes());
    assert_eq!(result(), "signed");
    assert_eq!(server.get("/packages/a-1.tar.gz.minisig").text(), longest);
    write(folder.path(), "a-1.tar.gz.minisig", format!("{longest}x").as_bytes());
    let said = push(&server, &[&file]);
    assert!(said.code == 1 && said.err.contains("is no signature"), "{said:?}");
}

#[test]
fn a_file_that_was_lost_or_altered_on_the_server_is_put_back() {
    let (server, folder, bytes) = (server(), tempfile::tempdir().unwrap(), package("one"));
    let file = write(folder.path(), "a-1.tar.gz", &bytes);
    let result = || push(&server, &[&file, "-o", "json"]).ok().objects()[0]["result"].clone();
    assert_eq!(result(), "pushed");
    let digest = sha256(&bytes);
    let blob = server.path(&format!("data/packages/blobs/{}/{digest}", &digest[..2]));
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(result(), "repaired");
    std::fs::write(&blob, b"other bytes").unwrap();
    assert_eq!(result(), "repaired");
    assert_eq!(server.get("/packages/a-1.tar.gz").body, bytes);
    assert_eq!(result(), "already there");
}

/// Passes everything on, but breaks the first `cuts` connections after so many bytes to the server. Says its address, and
/// counts what it passed on.
fn breaking(server: &Server, cuts: usize, after: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (passed, counting, to) = (Arc::new(AtomicUsize::new(0)), Arc::default(), server.address.clone());
    let result = (url, Arc::clone(&counting));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let left = if passed.fetch_add(1, Ordering::SeqCst) < cuts { after } else { usize::MAX };
            let server = TcpStream::connect(&to).unwrap();
            let (mut back, mut front) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back, &mut front));
            let counting = Arc::clone(&counting);
            std::thread::spawn(move || pass_on(client, server, left, &counting));
        }
    });
    result
}

fn pass_on(mut client: TcpStream, mut server: TcpStream, mut left: usize, counting: &AtomicUsize) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let count = count.min(left);
        counting.fetch_add(count, Ordering::SeqCst);
        left -= count;
        if server.write_all(&buffer[..count]).is_err() || left == 0 {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

#[test]
fn an_upload_goes_on_where_the_connection_broke() {
    let (server, folder, bytes) = (server(), tempfile::tempdir().unwrap(), large_package(6 << 20));
    let file = write(folder.path(), "a-1.tar.gz", &bytes);
    let (url, passed) = breaking(&server, 2, 2 << 20);
    let said = run(server.command(&["push", &file, "-o", "json"]).env("OPS_META_URL", url)).ok();
    assert_eq!(said.objects()[0]["result"], "pushed");
    assert!(said.err.contains("tried again in") && said.err.contains("going on behind"), "{said:?}");
    assert!(passed.load(Ordering::SeqCst) < bytes.len() * 3 / 2, "it was sent from the beginning: {said:?}");
    assert_eq!(server.get("/packages/a-1.tar.gz").body, bytes);
}

#[test]
fn an_upload_goes_on_after_both_sides_were_killed() {
    let (mut server, folder, bytes) = (server(), tempfile::tempdir().unwrap(), large_package(2 << 20));
    let (file, digest) = (write(folder.path(), "a-1.tar.gz", &bytes), sha256(&bytes));
    let token = Operator::first(&server).token;
    let path = format!("/api/v1/packages/a/1?sha256={digest}");
    let whole = request("PUT", &path, &[&bearer(&token)], &bytes);
    let mut stream = server.connect();
    stream.write_all(&whole[..1 << 20]).unwrap();
    let there = |server: &Server| {
        let offset =
            Operator::first(server).get(&format!("/api/v1/uploads/{digest}")).json()["offset"].as_u64();
        offset.filter(|&it| it > 0)
    };
    eventually("a part of the upload", || there(&server));
    server.restart_killed();
    drop(stream);
    assert!(there(&server).is_some());
    let said = push(&server, &[&file]).ok();
    assert!(said.err.contains("going on behind"), "{said:?}");
    assert_eq!(server.get("/packages/a-1.tar.gz").body, bytes);
}

#[test]
fn a_server_that_is_busy_is_asked_again_when_it_says() {
    let problem = "Content-Type: application/problem+json\r\n";
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let url = fake(move |request| {
        let mut noted = noted.lock().unwrap();
        noted.push(request.to_owned());
        let count = noted.iter().filter(|it| it.starts_with("PUT")).count();
        match (request.split(' ').next().unwrap(), count) {
            ("GET", _) if request.contains("/whoami") => ("200 OK", "", "{}".to_owned()),
            ("GET", _) if request.contains("/uploads/") => ("200 OK", "", r#"{"offset": 0}"#.to_owned()),
            ("GET", _) => ("404 Not Found", problem, r#"{"detail": "there is no such package"}"#.to_owned()),
            ("PUT", 1) => (
                "409 Conflict",
                "Retry-After: 1\r\nContent-Type: application/problem+json\r\n",
                r#"{"detail": "it is under way"}"#.to_owned(),
            ),
            ("PUT", 2) => (
                "503 Service Unavailable",
                "Retry-After: 2\r\nContent-Type: application/problem+json\r\n",
                r#"{"detail": "busy"}"#.to_owned(),
            ),
            _ => ("201 Created", "", r#"{"name": "a"}"#.to_owned()),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "a-1.tar.gz", &package("one"));
    let said = run(&mut asking(&url, &["push", &file])).ok();
    assert!(said.err.contains("it is under way") && said.err.contains("tried again in 2 s"), "{said:?}");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.iter().filter(|it| it.starts_with("PUT")).count(), 3);
}

/// A server that has 5 bytes of everything, and answers uploads so. How many there were, and what was said.
fn refusing(status: &'static str, problem: &'static str) -> (usize, Said) {
    let puts = Arc::new(AtomicUsize::new(0));
    let counting = puts.clone();
    let head = "Content-Type: application/problem+json\r\n";
    let url = fake(move |request| match request {
        it if it.starts_with("PUT") => {
            counting.fetch_add(1, Ordering::SeqCst);
            (status, head, problem.to_owned())
        }
        it if it.contains("/whoami") => ("200 OK", "", "{}".to_owned()),
        it if it.contains("/uploads/") => ("200 OK", "", r#"{"offset": 5}"#.to_owned()),
        _ => ("404 Not Found", head, r#"{"detail": "there is no such package"}"#.to_owned()),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "a-1.tar.gz", &package("one"));
    let said = run(&mut asking(&url, &["push", &file]));
    (puts.load(Ordering::SeqCst), said)
}

#[test]
fn only_what_is_wrong_with_the_part_that_was_there_is_sent_from_the_beginning() {
    for (status, problem, puts) in [
        ("400 Bad Request", r#"{"detail": "why", "field": "sha256"}"#, 2),
        ("400 Bad Request", r#"{"detail": "why", "field": "md5"}"#, 2),
        ("409 Conflict", r#"{"detail": "why", "offset": 0}"#, 2),
        ("400 Bad Request", r#"{"detail": "why", "field": "os"}"#, 1),
        ("409 Conflict", r#"{"detail": "why"}"#, 1),
        ("413 Payload Too Large", r#"{"detail": "why"}"#, 1),
        ("422 Unprocessable Entity", r#"{"detail": "why", "code": "too_large"}"#, 1),
        ("507 Insufficient Storage", r#"{"detail": "why"}"#, 1),
    ] {
        let (asked, said) = refusing(status, problem);
        assert_eq!((asked, said.code), (puts, 1), "{status} {problem}: {said:?}");
        assert!(said.err.ends_with("a-1.tar.gz`: why\n"), "{said:?}");
    }
}

#[test]
fn without_a_server_or_a_token_the_first_file_is_the_last() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    for name in ["a-1.tar.gz", "b-2.tar.gz", "c-3.tar.gz"] {
        write(folder.path(), name, &package(name));
    }
    let folder = folder.path().to_str().unwrap();
    for command in [
        &mut asking("http://127.0.0.1:1", &["push", folder]),
        server.command(&["push", folder]).env("OPS_META_TOKEN", "opsm_x"),
    ] {
        let said = run(command);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(said.err.contains("2 files") && said.err.contains("not tried"), "{said:?}");
    }
    let token = server.admin(&["token", "create", "v", "--role", "viewer"]).ok().out;
    let said = run(server.command(&["push", folder]).env("OPS_META_TOKEN", token.trim()));
    assert!(said.code == 1 && said.err.contains("publisher"), "{said:?}");
}

#[test]
fn who_reads_only_the_first_line_gets_all_packages_pushed() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    for name in ["a-1.tar.gz", "b-2.tar.gz", "c-3.tar.gz"] {
        write(folder.path(), name, &package(name));
    }
    let mut pushing = server.command(&["push", folder.path().to_str().unwrap()]);
    let mut child = pushing.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(Operator::first(&server).get("/api/v1/packages?total=true").json()["total"], 3);
}
