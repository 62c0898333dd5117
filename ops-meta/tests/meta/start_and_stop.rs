//! What is typed and configured, who may speak, and how it ends.

use std::io::{Read as _, Write as _};
use std::process::Command;

use crate::support::command_line::{command, run};
use crate::support::{Operator, Server, beat, config, config_with, read_reply, refused, request};
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn serve_needs_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::run(folder, &["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let answer = server.post("/heartbeat", &beat("web01", "started"));
    assert_eq!(answer.json(), json!({ "errorMessage": "", "desiredAgents": [], "generation": 0 }));
}

#[test]
fn serve_takes_a_configuration_and_its_own_address_wins() {
    let folder = tempfile::tempdir().unwrap();
    let config = config_with(json!({ "http": { "enabled": true, "listen": "127.0.0.1:1" } }));
    std::fs::write(folder.path().join("cfg.json"), config.to_string()).unwrap();
    let server = Server::run(folder, &["serve", "--listen", "127.0.0.1:0", "-c", "cfg.json"]);
    assert_eq!(server.post("/heartbeat", &beat("lg-1", "x")).json()["desiredAgents"][0]["version"], "2.0.0");
}

#[test]
fn every_host_is_let_in_only_where_somebody_said_so() {
    let beat = beat("web01", "started");
    let server = Server::run(tempfile::tempdir().unwrap(), &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(server.post("/heartbeat", &beat).status, 401);

    let allowed = &["serve", "--listen", "0.0.0.0:0", "--allow-anonymous-hosts"];
    let server = Server::run(tempfile::tempdir().unwrap(), allowed);
    assert!(server.address.starts_with("0.0.0.0:"));
    assert_eq!(server.post("/heartbeat", &beat).status, 200);

    let everywhere = json!({ "http": { "enabled": true, "listen": ":0" } });
    let server = Server::start(&config_with(everywhere));
    server.wait_for_log(&["level=warn", "anonymous"]);
    assert_eq!(server.post("/heartbeat", &beat).status, 200);
}

#[test]
fn every_fault_of_a_configuration_is_said_at_once() {
    let bad = json!({
        "debug": 1,
        "tarballDir": [],
        "http": { "enabled": "yes", "listen": "nowhere" },
        "hostsMax": 0,
        "downloadsMax": -1,
        "connectionsMax": 1.5,
        "bytesPerSecMin": "much",
        "timeouts": { "idleMillis": 1 },
        "tls": { "certFile": "x" },
        "agents": [
            null,
            5,
            {},
            { "default": { "name": "a/b", "version": "../x", "tarball": "-x", "md5": 5, "cmd": "go" } },
            { "default": { "name": "a", "version": "1" }, "others": [null, { "prefix": 5, "version": "a b" }] },
            { "default": { "name": "s", "tarball": "http://t", "cmd": "start" } },
            { "default": { "name": "a", "version": "1" } },
            { "default": null, "others": {} }
        ]
    });
    let said = refused(&["-c", "cfg.json"], Some(&bad.to_string()));
    for key in [
        "debug",
        "tarballDir",
        "http.enabled",
        "http.listen",
        "hostsMax",
        "downloadsMax",
        "connectionsMax",
        "bytesPerSecMin",
        "timeouts.idleMillis",
        "tls.keyFile",
        "agents[0]",
        "agents[1]",
        "agents[2]",
        "agents[3].default.name",
        "agents[3].default.version",
        "agents[3].default.tarball",
        "agents[3].default.md5",
        "agents[3].default.cmd",
        "agents[4].others[0]",
        "agents[4].others[1].prefix",
        "agents[4].others[1].version",
        "agents[5]",
        "agents[7].default",
        "agents[7].others",
    ] {
        assert!(said.contains(key), "{key} is not named: {said}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    for (config, word) in
        [(None, "cfg.json"), (Some("{"), "JSON"), (Some("[]"), "object"), (Some("null"), "object")]
    {
        let said = refused(&["-c", "cfg.json"], config);
        assert!(said.contains(word), "{config:?}: {said}");
    }
}

#[test]
fn the_first_line_of_a_log_says_who_it_is_of() {
    let server = Server::start(&config());
    let path = |name: &str| server.path(name).canonicalize().unwrap().to_str().unwrap().to_owned();
    let first = server.log().remove(0);
    for field in [
        concat!("version=", env!("CARGO_PKG_VERSION")).to_owned(),
        format!("config={}", path("cfg.json")),
        format!("data={}", path("data")),
    ] {
        assert!(first.contains(&field), "{field} is not in {first}");
    }
    let server = Server::serve(tempfile::tempdir().unwrap());
    assert!(server.log().remove(0).contains("config=none"));
}

#[test]
fn a_folder_in_use_is_named_with_who_uses_it() {
    let server = Server::start(&config());
    let args = ["serve", "--listen", "127.0.0.1:0", "--data", "data"];
    let said = run(command(&args).current_dir(server.path("")));
    let folder = server.path("data").canonicalize().unwrap();
    assert!(said.err.contains(&format!("`{}`: another ops-meta uses it", folder.display())), "{said:?}");
    // The file systems that tests run on tell it.
    assert!(said.err.contains(&format!("(pid {})", server.pid())), "{said:?}");
}

#[test]
fn an_address_is_written_as_in_the_configuration() {
    let server = Server::run(tempfile::tempdir().unwrap(), &["serve", "--listen", ":0"]);
    assert!(server.address.starts_with("0.0.0.0:"), "{}", server.address);
    let said = run(&mut command(&["serve", "--listen", "24103"]));
    assert!(
        said.code == 2 && said.err.contains("`127.0.0.1:2000`") && said.err.contains("`:2000`"),
        "{said:?}"
    );
}

#[test]
fn a_key_of_a_newer_version_is_a_warning() {
    let server = Server::start(&config_with(json!({ "hosts_max": 5, "tls": null })));
    server.wait_for_log(&["level=warn", "key=hosts_max"]);
}

#[test]
fn a_start_without_a_tarball_is_a_warning_as_2015_took_it() {
    let mut without = config();
    without["agents"][0]["default"]["tarball"] = json!("");
    without["agents"][0]["others"][0]["tarball"] = json!("http://lg");
    let server = Server::start(&without);
    server.wait_for_log(&["start_without_tarball", "level=warn", "agent=falcon-agent", "prefix=\"\""]);
    assert!(!server.log().iter().any(|line| line.contains("prefix=lg-")));
    let wanted = &server.post("/heartbeat", &beat("web01", "started")).json()["desiredAgents"][0];
    assert_eq!((&wanted["cmd"], &wanted["tarball"]), (&json!("start"), &json!("")));
}

#[test]
fn a_tarball_dir_that_does_not_exist_is_named_at_the_start_and_on_reload() {
    let server = Server::start(&config_with(json!({ "tarballDir": "nowhere" })));
    server.wait_for_log(&["no_tarball_dir", "level=warn", "tarballDir=/", "/nowhere"]);
    server.configure(&config_with(json!({ "tarballDir": "elsewhere" })));
    assert_eq!(server.get("/config/reload").json()["msg"], "success");
    server.wait_for_log(&["no_tarball_dir", "tarballDir=/", "/elsewhere"]);
    assert_eq!(server.get("/x").status, 404);

    std::fs::create_dir(server.path("elsewhere")).unwrap();
    std::fs::write(server.path("elsewhere/x"), "here").unwrap();
    assert_eq!(server.get("/x").text(), "here", "it may come later");
}

#[test]
fn why_it_does_not_start_is_one_sentence_of_one_kind() {
    for (args, config) in [
        (&["-c", "cfg.json"][..], None),
        (&["-c", "cfg.json"], Some("{")),
        (&["-c", "cfg.json"], Some("{}")),
        (&["serve"], None),
        (&["serve", "--listen", "192.0.2.1:1", "--allow-anonymous-hosts"], None),
    ] {
        let said = refused(args, config);
        assert!(said.starts_with("ops-meta: failed to "), "{args:?} {config:?}: {said}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&["serve", "--listen", &address], None);
    assert!(said.contains(&address), "{said}");
}

#[test]
fn wrong_use_ends_with_two() {
    let status = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_ops-meta")).args(args).output().unwrap().status.code()
    };
    assert_eq!(status(&["serve", "--listen", "x"]), Some(2));
    assert_eq!(status(&["nonsense"]), Some(2));
    for args in [&["--version"][..], &["-v"], &["-h"], &["serve", "--help"]] {
        assert_eq!(status(args), Some(0), "{args:?}");
    }
}

#[test]
fn sigterm_ends_it_well_and_idle_connections_hold_nobody_up() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::start(&config());
        let mut idle = server.connect();
        idle.write_all(&request("GET", "/health", &[], b"")).unwrap();
        assert_eq!(read_reply(&mut idle, false).unwrap().text(), "ok");
        let began = std::time::Instant::now();
        server.signal(signal);
        assert_eq!(server.ended().code(), Some(0));
        assert!(began.elapsed() < std::time::Duration::from_secs(3), "it took {:?}", began.elapsed());
    }
}

#[test]
fn a_reload_that_hangs_holds_up_no_end() {
    let mut server = Server::start(&config());
    std::fs::remove_file(server.path("cfg.json")).unwrap();
    nix::unistd::mkfifo(&server.path("cfg.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    server.signal(Signal::SIGHUP);
    // Some time later another process has opened nothing yet.
    assert_eq!(server.get("/health").text(), "ok");
    server.signal(Signal::SIGTERM);
    server.wait_for_log(&["event=ending"]);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn what_is_not_written_at_the_end_is_a_failure() {
    let mut server = Server::start(&config());
    let other = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    server.post("/heartbeat", &beat("web01", "started"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().code(), Some(1));
    server.wait_for_log(&["what hosts said last is not written", "locked"]);
}

#[test]
fn a_request_under_way_is_finished_before_the_end() {
    let mut server = Server::start(&config());
    let whole = request("POST", "/heartbeat", &[], beat("web01", "started").to_string().as_bytes());
    let (first, rest) = whole.split_at(whole.len() - 5);
    let mut stream = server.connect();
    stream.write_all(first).unwrap();
    // The server has read the head once it has answered somebody who came later.
    server.get("/health");
    server.signal(Signal::SIGTERM);
    server.wait_for_log(&["event=ending"]);
    stream.write_all(rest).unwrap();
    assert_eq!(read_reply(&mut stream, false).unwrap().status, 200);
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn connections_beyond_the_most_wait_their_turn() {
    let few = json!({ "connectionsMax": 2, "connectionsPerAddressMax": 2, "timeouts": { "headerMillis": 300, "idleMillis": 300 } });
    let server = Server::start(&config_with(few));
    let silent = [server.connect(), server.connect(), server.connect()];
    assert_eq!(server.get("/health").text(), "ok");
    drop(silent);
}

#[test]
fn tokens_of_hosts_can_be_demanded_where_there_are_agents_and_on_loopback() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cfg.json"), config().to_string()).unwrap();
    let server = Server::run(folder, &["serve", "-c", "cfg.json", "--require-host-tokens"]);
    server.wait_for_log(&["event=hosts_need_tokens"]);
    let without = server.post("/heartbeat", &beat("web01", "started"));
    assert_eq!(without.status, 401, "{}", without.text());
    assert_eq!(server.get("/status/text/falcon-agent").status, 401);
    let admin = Operator::first(&server);
    let (_, host) = admin.create("fleet", "host", &json!({}));
    assert_eq!(host.post("/heartbeat", &beat("web01", "started")).status, 200);
    server.configure(&config_with(json!({ "agents": [] })));
    assert_eq!(server.get("/config/reload").json()["msg"], "success");
    assert!(!server.log().iter().any(|line| line.contains("needs_restart")), "{:?}", server.log());
    let both = ["serve", "--listen", "127.0.0.1:0", "--require-host-tokens", "--allow-anonymous-hosts"];
    assert!(refused(&both, None).contains("cannot be used with"));
}
