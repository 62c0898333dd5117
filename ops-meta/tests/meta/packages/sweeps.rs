//! SIGKILL before each system call of an upload and of a delete that changes a file: nothing is half there.

use std::io;
use std::process::{Child, Command};

use super::*;
use crate::support::full_disk::attach;
use crate::support::tarball::package;
use crate::support::{eventually, exchange, request};

/// Those that this server makes; the log and the answers are among them, and no harm. strace counts each thread's by
/// itself, so they are gone through one by one: each is made by few.
const CALLS: [&str; 12] = [
    "openat",
    "write",
    "writev",
    "pwrite64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "rename",
    "unlink",
    "unlinkat",
    "mkdir",
    "renameat",
];
/// Far beyond what either takes.
const CALLS_MAX: usize = 100;

/// The server is killed before the `n`th such call of one of its threads from now on.
fn kill_before(server: &Server, call: &str, n: usize) -> Child {
    let inject = format!("inject=?{call}:signal=SIGKILL:when={n}");
    attach(server, Command::new("strace").args(["-f", "-o", "/dev/null", "-e", &inject]))
}

fn ask(server: &Server, token: &str, method: &str, query: &str, body: &[u8]) -> io::Result<Reply> {
    let path = format!("/api/v1/packages/a/1{query}");
    exchange(&mut server.connect(), &request(method, &path, &[&bearer(token)], body))
}

/// What is there after the kill.
#[derive(Debug, PartialEq)]
enum There {
    Whole,
    Nothing,
}

/// The package is whole or not there at all, as everybody sees it.
fn look(admin: &Operator<'_>, bytes: &[u8], call: &str) -> There {
    let leaves = |package: &Value| package["state"] == "deleting";
    eventually("it to be deleted", || (!admin.packages().iter().any(leaves)).then_some(()));
    let fetched = admin.server.get("/packages/a-1.tar.gz");
    match admin.packages().as_slice() {
        [] => {
            assert_eq!(fetched.status, 404, "{call}");
            There::Nothing
        }
        [package] => {
            assert_eq!(package["state"], "ready", "{call}");
            assert_eq!((fetched.status, fetched.body == bytes), (200, true), "{call}");
            There::Whole
        }
        more => panic!("{more:?}"),
    }
}

/// An upload, or a delete, that is killed.
struct Sweep<'a> {
    method: &'static str,
    query: String,
    body: &'a [u8],
    /// Brings the server to where it begins.
    before: fn(&Operator<'_>, &[u8]),
    bytes: &'a [u8],
    done: There,
}

impl Sweep<'_> {
    /// Kills before one call after the other, until there are no more of any kind.
    fn run(&self) {
        let mut server = server();
        let token = Operator::first(&server).token;
        let mut killed = Vec::new();
        for call in CALLS {
            let last = (1..CALLS_MAX).find(|&n| !self.is_killed(&mut server, &token, call, n));
            killed.push((call, last.expect("it ends at some time")));
        }
        println!("{}: there are fewer of these: {killed:?}", self.method);
        let of = |calls: &[&str]| killed.iter().any(|(call, last)| calls.contains(call) && *last > 1);
        assert!(of(&["pwrite64"]) && of(&["rename", "renameat", "unlink", "unlinkat"]), "{killed:?}");
    }

    /// Whether there was a part of an upload; it is whole then.
    fn goes_on(&self, admin: &Operator<'_>) -> bool {
        let parts = uploads(admin.server);
        if parts.is_empty() {
            return false;
        }
        assert!(!self.query.is_empty(), "nobody can go on with {parts:?}");
        assert_eq!(parts, [sha256(self.bytes)]);
        let resumed = admin.resume("a/1", self.bytes);
        assert_eq!((resumed.status, uploads(admin.server)), (201, vec![]), "{}", resumed.text());
        true
    }

    fn is_killed(&self, server: &mut Server, token: &str, call: &str, n: usize) -> bool {
        (self.before)(&Operator::with(server, token.to_owned()), self.bytes);
        let mut strace = kill_before(server, call, n);
        let reply = ask(server, token, self.method, &self.query, self.body);
        let acknowledged = reply.as_ref().is_ok_and(|reply| reply.status < 300);
        // Of a process that it killed a strace does not let go by itself.
        strace.kill().unwrap();
        strace.wait().unwrap();
        let was_killed = reply.is_err() || !server.is_running();
        assert!(was_killed || acknowledged, "{call} {n}: {reply:?}");
        server.restart_killed();
        let admin = Operator::with(server, token.to_owned());
        let mut there = look(&admin, self.bytes, &format!("{call} {n}"));
        assert!(
            !acknowledged || there == self.done,
            "{call} {n}: it was acknowledged, and there is {there:?}"
        );
        if self.goes_on(&admin) {
            assert_eq!(there, There::Nothing, "{call} {n}: what is whole is not there as a part, too");
            there = look(&admin, self.bytes, &format!("{call} {n}, gone on with"));
            assert_eq!(there, There::Whole, "{call} {n}");
        }
        admin.post("/api/v1/packages/gc", &json!({ "keep": 9 }));
        assert_eq!(
            blobs(server).len(),
            usize::from(there == There::Whole),
            "{call} {n}: files of no package"
        );
        was_killed
    }
}

fn sweep_uploads(query: String, bytes: &[u8]) {
    let before = |admin: &Operator<'_>, _: &[u8]| {
        let status = admin.delete("/api/v1/packages/a/1").status;
        assert!([204, 404].contains(&status), "{status}");
    };
    Sweep { method: "PUT", query, body: bytes, before, bytes, done: There::Whole }.run();
}

#[test]
fn an_upload_that_is_killed_before_any_of_its_calls_leaves_all_or_nothing() {
    sweep_uploads(String::new(), &package("one"));
}

#[test]
fn an_upload_with_its_digest_that_is_killed_before_any_of_its_calls_goes_on_to_be_whole() {
    let bytes = package("one");
    sweep_uploads(format!("?sha256={}", sha256(&bytes)), &bytes);
}

#[test]
fn a_delete_that_is_killed_before_any_of_its_calls_leaves_all_or_nothing() {
    let bytes = package("one");
    let before = |admin: &Operator<'_>, bytes: &[u8]| {
        let status = admin.push("a/1", &[], bytes).status;
        assert!([200, 201].contains(&status), "{status}");
    };
    Sweep { method: "DELETE", query: String::new(), body: b"", before, bytes: &bytes, done: There::Nothing }
        .run();
}
