//! Packages: brought, fetched, listed, deleted; and whatever is wrong with one.

use serde_json::{Value, json};

use crate::support::tarball::{md5, package, sha256, tarball};
use crate::support::{Operator, Reply, Server, bearer, config_with};

fn server() -> Server {
    Server::start(&config_with(json!({ "agents": [] })))
}

impl Operator<'_> {
    fn push(&self, path: &str, head: &[&str], tarball: &[u8]) -> Reply {
        let token = bearer(&self.token);
        let head = [&[&*token], head].concat();
        self.server.ask("PUT", &format!("/api/v1/packages/{path}"), &head, tarball)
    }
}

fn detail(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    reply.json()["detail"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_was_pushed_is_fetched_byte_for_byte_with_its_digests() {
    let server = server();
    let admin = Operator::first(&server);
    let bytes = package("one");
    let pushed = admin.push("falcon-agent/1.0.0-2", &[], &bytes);
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    let it = pushed.json();
    assert_eq!(
        (&it["sha256"], &it["md5"], &it["size"], &it["entries"], &it["state"], &it["signed"]),
        (
            &json!(sha256(&bytes)),
            &json!(md5(&bytes)),
            &json!(bytes.len()),
            &json!(1),
            &json!("ready"),
            &json!(false)
        )
    );
    let file = "falcon-agent-1.0.0-2.tar.gz";
    assert_eq!(it["path"], format!("/packages/{file}"));
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
    let part = server.ask("GET", &format!("/packages/{file}"), &["Range: bytes=3-9"], b"");
    assert_eq!((part.status, &part.body[..]), (206, &bytes[3..10]));
    let known = format!("If-None-Match: \"{}\"", sha256(&bytes));
    assert_eq!(server.ask("GET", &format!("/packages/{file}"), &[&known], b"").status, 304);
    let head = server.ask("HEAD", &format!("/packages/{file}"), &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, &*bytes.len().to_string()));
}
