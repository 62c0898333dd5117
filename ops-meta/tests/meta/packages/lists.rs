//! Lists of packages.

use super::*;
use crate::support::tarball::package;

#[test]
fn a_page_of_packages_that_say_much_is_bounded_and_the_next_goes_on() {
    const MORE: usize = 1500;
    let mut server = server();
    let token = Operator::first(&server).token;
    Operator::with(&server, token.clone()).bring("a/0", &package("one"));
    let database = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        INSERT INTO packages SELECT NULL, name, n, os, arch, 'a-' || n || '.tar.gz', state, why, sha256, md5, size, unpacked_size,
            entries, seen, signature, ?2, deprecated, protected, created, actor FROM n, packages WHERE version = '0'";
    let manifest = json!({ "description": "x".repeat(4000) }).to_string();
    assert_eq!(database.execute(sql, rusqlite::params![MORE as i64, manifest]).unwrap(), MORE);
    server.restart_killed();
    let admin = Operator::with(&server, token);
    let (mut versions, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = admin.get(&format!("/api/v1/packages?limit=1000{cursor}"));
        assert!(reply.body.len() < 5 << 20, "{} bytes", reply.body.len());
        let page = reply.json();
        let found = page["packages"].as_array().unwrap().clone();
        versions.extend(found.iter().map(|it| it["version"].as_str().unwrap().parse::<usize>().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(versions.iter().copied().eq((0..=MORE).rev()), "{} versions", versions.len());
}

#[test]
fn an_order_of_a_package_that_is_not_there_is_told() {
    let agent = |tarball: &str| json!({ "default": { "name": "a", "version": "1", "tarball": tarball, "md5": "", "cmd": "start" } });
    let server =
        Server::start(&config_with(json!({ "agents": [agent("http://meta.example:2000/packages/")] })));
    server.wait_for_log(&["event=no_such_package", "level=warning", "agent=a", "version=1", "push"]);
    Operator::first(&server).bring("a/1", &package("one"));
    let tarballs = ["http://meta.example/packages", "http://files.example/a", "http://x/packages/linux"];
    for tarball in tarballs {
        let http = json!({ "enabled": true, "listen": server.address });
        let config = config_with(json!({ "agents": [agent(tarball)], "http": http }));
        std::fs::write(server.path("cfg.json"), config.to_string()).unwrap();
        assert!(server.get("/config/reload").text().contains("success"));
    }
    let told = server.log().iter().filter(|line| line.contains("no_such_package")).count();
    assert_eq!(told, 1, "it is there now, or elsewhere");
}
