//! kill -9 at any moment while several clients push and delete: nothing is half there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rand::TryRngCore as _;

use super::*;
use crate::support::tarball::{md5, package};
use crate::support::{eventually, exchange, request};

const CLIENTS: usize = 3;
/// Rounds are many, tarballs take time to make.
const TARBALLS: usize = 12;

/// What one client was told, by version. What it was told nothing of is in neither.
#[derive(Default)]
struct Acknowledged {
    there: BTreeMap<String, usize>,
    gone: BTreeSet<String>,
}

struct Client<'a> {
    address: &'a str,
    token: &'a str,
    name: String,
    round: usize,
    tarballs: &'a [Vec<u8>],
}

impl Client<'_> {
    /// Whether it was done; else another uploads the same bytes.
    fn ask(&self, stream: &mut TcpStream, method: &str, path: &str, body: &[u8]) -> io::Result<bool> {
        let path = format!("/api/v1/packages/{}/{path}", self.name);
        let reply = exchange(stream, &request(method, &path, &[&bearer(self.token)], body))?;
        let is_busy = reply.status == 409 && reply.text().contains("being uploaded already");
        assert!(reply.status < 300 || is_busy, "{method} {path}: {}", reply.text());
        Ok(!is_busy)
    }

    /// Pushes and deletes, until the server is gone.
    fn run(&self, told: &mut Acknowledged) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        for n in 0_usize.. {
            let version = format!("{}-{n}", self.round);
            let which = (n + self.round) % self.tarballs.len();
            let tarball = &self.tarballs[which];
            let mut query = Vec::new();
            if n % 3 == 0 {
                query.push(format!("md5={}", md5(tarball)));
            }
            // As the command line does it: what is cut is kept, and goes on.
            if n % 2 == 0 {
                query.push(format!("sha256={}", sha256(tarball)));
            }
            if !self.ask(&mut stream, "PUT", &format!("{version}?{}", query.join("&")), tarball)? {
                continue;
            }
            told.there.insert(version.clone(), which);
            if n % 3 != 2 {
                told.there.remove(&version);
                self.ask(&mut stream, "DELETE", &version, b"")?;
                told.gone.insert(version);
            }
        }
        Ok(())
    }
}

/// Goes on with every upload that was cut, which are whole then; how many there were.
fn resume(admin: &Operator<'_>, round: usize, tarballs: &[Vec<u8>]) -> usize {
    let parts = uploads(admin.server);
    for (n, part) in parts.iter().enumerate() {
        let bytes = tarballs.iter().find(|it| sha256(it) == *part).expect("it can be gone on with");
        let resumed = admin.resume(&format!("resumed/{round}-{n}"), bytes);
        assert_eq!(resumed.status, 201, "{}", resumed.text());
    }
    assert_eq!(uploads(admin.server), [""; 0]);
    parts.len()
}

/// Everything acknowledged is true, and what is served is what its digest says.
fn check(admin: &Operator<'_>, told: &[Acknowledged], tarballs: &[Vec<u8>]) {
    let server = admin.server;
    let leaves = |package: &Value| package["state"] == "deleting";
    eventually("what was being deleted to be gone", || (!admin.packages().iter().any(leaves)).then_some(()));
    let listed = admin.packages();
    let paths: BTreeMap<&str, &Value> = listed.iter().map(|it| (it["path"].as_str().unwrap(), it)).collect();
    for (client, told) in told.iter().enumerate() {
        for (version, which) in &told.there {
            let package = paths[&*format!("/packages/agent{client}-{version}.tar.gz")];
            assert_eq!(
                (&package["sha256"], &package["state"]),
                (&json!(sha256(&tarballs[*which])), &json!("ready"))
            );
        }
        for version in &told.gone {
            let path = format!("/packages/agent{client}-{version}.tar.gz");
            assert!(!paths.contains_key(&*path), "{path} is there again");
        }
    }
    for (path, package) in paths {
        let fetched = server.get(path);
        assert_eq!((fetched.status, &json!(sha256(&fetched.body))), (200, &package["sha256"]), "{path}");
    }
}

#[test]
fn nothing_is_half_there_and_nothing_acknowledged_is_lost() {
    let kills = if std::env::var_os("OPS_FULL").is_some() { 150 } else { 8 };
    let mut server = server();
    let token = Operator::first(&server).token;
    let tarballs: Vec<_> = (0..TARBALLS)
        .map(|n| if n % 4 == 0 { large(200_000 + n) } else { package(&n.to_string()) })
        .collect();
    let mut told: Vec<_> = (0..CLIENTS).map(|_| Acknowledged::default()).collect();
    let (mut acknowledged, mut resumed) = (0, 0);
    for round in 0..kills {
        let address = server.address.clone();
        thread::scope(|scope| {
            let clients: Vec<_> = told
                .iter_mut()
                .enumerate()
                .map(|(n, told)| {
                    let (address, token, tarballs) = (&*address, &*token, &*tarballs);
                    scope.spawn(move || {
                        Client { address, token, name: format!("agent{n}"), round, tarballs }.run(told)
                    })
                })
                .collect();
            let pause = 20 + rand::rngs::OsRng.try_next_u32().unwrap() % 300;
            thread::sleep(Duration::from_millis(pause.into()));
            server.restart_killed();
            clients.into_iter().for_each(|it| _ = it.join().unwrap().unwrap_err());
        });
        let admin = Operator::with(&server, token.clone());
        resumed += resume(&admin, round, &tarballs);
        check(&admin, &told, &tarballs);
        acknowledged += told.iter().map(|it| it.there.len() + it.gone.len()).sum::<usize>();
        // Else they grow without end, and every one is fetched in every round.
        let gc = admin.post("/api/v1/packages/gc", &json!({ "keep": 3 })).json();
        assert_eq!(gc["failed"], json!([]), "{gc}");
        let digests: BTreeSet<String> =
            admin.packages().iter().map(|it| it["sha256"].as_str().unwrap().to_owned()).collect();
        assert_eq!(
            blobs(&server).into_iter().collect::<BTreeSet<_>>(),
            digests,
            "files of no package are freed"
        );
        let left: BTreeSet<String> =
            admin.packages().iter().map(|it| format!("{} {}", it["name"], it["version"])).collect();
        for (n, told) in told.iter_mut().enumerate() {
            told.there.retain(|version, _| left.contains(&format!("\"agent{n}\" \"{version}\"")));
        }
    }
    assert!(acknowledged > kills, "only {acknowledged}");
    println!("{kills} kills, {acknowledged} packages acknowledged, {resumed} uploads resumed");
}
