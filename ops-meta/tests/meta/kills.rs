//! kill -9 at any moment while operators change things: what was acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rand::TryRngCore as _;
use serde_json::{Value, json};

use crate::support::{Operator, Reply, Server, bearer, config, exchange, request};

/// What a client was told is done.
#[derive(Default)]
struct Acknowledged {
    created: BTreeMap<i64, String>,
    revoked: BTreeSet<i64>,
}

/// Changes one thing after the other, until the server is gone.
struct Client {
    address: String,
    token: String,
    round: usize,
}

impl Client {
    fn ask(&self, stream: &mut TcpStream, method: &str, path: &str, body: &str) -> io::Result<Reply> {
        let head = [&*bearer(&self.token), "Content-Type: application/json"];
        exchange(stream, &request(method, path, &head, body.as_bytes()))
    }

    fn run(&self, told: &mut Acknowledged) -> io::Result<()> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        for n in 0_usize.. {
            let name = format!("round {} number {n}", self.round);
            let wanted = json!({ "name": name, "role": "viewer" }).to_string();
            let reply = self.ask(&mut stream, "POST", "/api/v1/tokens", &wanted)?;
            assert_eq!(reply.status, 201, "{}", reply.text());
            let id = reply.json()["id"].as_i64().unwrap();
            told.created.insert(id, name);
            if n % 2 == 0 {
                let reply = self.ask(&mut stream, "DELETE", &format!("/api/v1/tokens/{id}"), "")?;
                assert_eq!(reply.status, 204, "{}", reply.text());
                told.revoked.insert(id);
            }
        }
        Ok(())
    }
}

/// All of a list, page by page.
fn all(admin: &Operator<'_>, noun: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/api/v1/{noun}?limit=1000{cursor}")).json();
        found.extend(page[noun].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

fn check(admin: &Operator<'_>, told: &Acknowledged) {
    let tokens = all(admin, "tokens");
    let by_id: BTreeMap<i64, &Value> = tokens.iter().map(|it| (it["id"].as_i64().unwrap(), it)).collect();
    for (id, name) in &told.created {
        assert_eq!(by_id[id]["name"], **name);
    }
    for id in &told.revoked {
        assert!(by_id[id]["revoked"].is_i64(), "token {id} counts again");
    }
    let names: BTreeSet<&str> = tokens.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names.len(), tokens.len(), "something was done twice");

    let events = all(admin, "events");
    let generations: Vec<u64> = events.iter().rev().map(|it| it["generation"].as_u64().unwrap()).collect();
    assert!(
        generations.iter().copied().eq(1..=events.len() as u64),
        "each change has one generation and one event"
    );
    let of = |kind: &str| -> Vec<&str> {
        let of_kind = events.iter().filter(|it| it["kind"] == kind);
        of_kind.map(|it| it["object"].as_str().unwrap()).collect()
    };
    let objects = |ids: Vec<i64>| ids.into_iter().map(|id| format!("token {id}")).collect::<BTreeSet<_>>();
    let revoked: Vec<i64> =
        by_id.iter().filter(|(_, it)| it["revoked"].is_i64()).map(|(&id, _)| id).collect();
    for (kind, ids) in [("token.created", by_id.keys().copied().collect()), ("token.revoked", revoked)] {
        assert_eq!(of(kind).len(), ids.len(), "{kind}");
        assert_eq!(of(kind).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), objects(ids), "{kind}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_done_twice() {
    let kills = if std::env::var_os("OPS_FULL").is_some() { 200 } else { 10 };
    let mut server = Server::start(&config());
    let token = Operator::first(&server).token;
    let mut told = Acknowledged::default();
    for round in 0..kills {
        let client = Client { address: server.address.clone(), token: token.clone(), round };
        thread::scope(|scope| {
            let running = scope.spawn(|| client.run(&mut told));
            thread::sleep(Duration::from_millis(
                5 + u64::from(rand::rngs::OsRng.try_next_u32().unwrap() % 150),
            ));
            server.restart_killed();
            running.join().unwrap().unwrap_err();
        });
    }
    check(&Operator::with(&server, token), &told);
    println!("{kills} kills, {} tokens acknowledged", told.created.len());
}
