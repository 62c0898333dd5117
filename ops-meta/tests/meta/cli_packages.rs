//! `ops-meta package`: what is on the server, looked at, marked, deleted, collected, checked and imported.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::command_line::{Said, asking, fake, run};
use crate::support::tarball::{package, sha256, tarball, write_with_md5};
use crate::support::{Operator, Server, beat, config, config_with};

fn server() -> Server {
    let server = Server::start(&config_with(json!({ "agents": [] })));
    server.wait_for_log(&["event=first_token"]);
    server
}

impl Server {
    fn package(&self, args: &[&str]) -> Said {
        self.admin(&[&["package"], args].concat())
    }

    /// Pushes a package that says `word`, whose bytes it gives.
    fn has(&self, name: &str, version: &str, word: &str) -> Vec<u8> {
        let bytes = package(word);
        let file = self.path(&format!("{name}-{version}.tar.gz"));
        std::fs::write(&file, &bytes).unwrap();
        self.admin(&["push", file.to_str().unwrap()]).ok();
        bytes
    }

    fn blob(&self, bytes: &[u8]) -> PathBuf {
        let digest = sha256(bytes);
        self.path(&format!("data/packages/blobs/{}/{digest}", &digest[..2]))
    }
}

#[test]
fn every_filter_is_asked_of_the_server() {
    let asked = Arc::new(Mutex::new(String::new()));
    let noted = asked.clone();
    let url = fake(move |request| {
        *noted.lock().unwrap() = request.to_owned();
        ("200 OK", "", json!({"packages": [], "next": null, "total": null}).to_string())
    });
    let args = "package list --name a --query x&y --state delete_failed --deprecated --protected --hosts";
    let said = run(&mut asking(&url, &args.split(' ').collect::<Vec<_>>())).ok();
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", "no packages\n"));
    let asked = asked.lock().unwrap();
    for part in
        ["name=a", "q=x%26y", "state=delete_failed", "deprecated=true", "protected=true", "hosts=true"]
    {
        assert!(asked.contains(part), "{part} is not in {asked}");
    }
}

#[test]
fn packages_are_listed_newest_first_with_what_is_odd_of_them() {
    let server = server();
    server.has("a", "1", "one");
    server.has("b", "2", "two");
    server.package(&["deprecate", "a", "1", "it leaks"]).ok();
    server.package(&["protect", "a", "1"]).ok();
    let table = server.package(&["list", "--hosts"]).ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("NAME") && lines[0].contains("HOSTS"), "{table}");
    assert!(lines[1].starts_with("b ") && lines[2].ends_with("protected; deprecated: it leaks"), "{table}");
    let names = |args: &[&str]| -> Vec<String> {
        let said = server.package(&[&["list", "-o", "json"], args].concat()).ok();
        said.objects().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(&["--deprecated"]), names(&["--query", "2"])), (vec!["a".into()], vec!["b".into()]));
    assert_eq!((names(&["--limit", "1"]), names(&["--name", "c"])), (vec!["b".into()], vec![]));
}

#[test]
fn a_page_about_a_version_says_who_has_to_do_with_it() {
    let server = Server::start(&config());
    server.wait_for_log(&["event=first_token"]);
    let manifest =
        br#"{"description": "a proxy", "requires": {"b": ">=1"}, "trialSecs": 30, "restart": "reboot"}"#;
    let bytes = tarball(&[("control", b"#!/bin/sh\n"), ("bin/x", b"12345"), ("manifest.json", manifest)]);
    let file = server.path("falcon-agent-1.0.0.tar.gz");
    std::fs::write(&file, &bytes).unwrap();
    server.admin(&["push", file.to_str().unwrap()]).ok();
    assert_eq!(server.post("/heartbeat", &beat("web01", "started")).status, 200);
    let shown = server.package(&["show", "falcon-agent", "1.0.0", "--entries"]).ok().out;
    for part in [
        "falcon-agent 1.0.0",
        "all hosts",
        &sha256(&bytes),
        "a proxy",
        "b >=1",
        "30 s",
        "boot anew",
        "1 runs it",
        "web01",
        "cfg.json orders it",
        "0755  10     control",
        "0644  5      bin/x",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    server.has("b", "1", "required");
    let required = server.package(&["show", "b", "1"]).ok().out;
    assert!(required.contains("required by falcon-agent 1.0.0"), "{required}");
    let whole =
        &server.package(&["show", "falcon-agent", "1.0.0", "--entries", "-o", "json"]).ok().objects()[0];
    assert_eq!((&whole["builds"][0]["trialSecs"], &whole["hosts"]["running"]), (&json!(30), &json!(1)));
    assert_eq!(whole["contents"][0]["entries"].as_array().unwrap().len(), 4);
    assert_eq!(server.package(&["show", "falcon-agent", "9"]).code, 3);

    let refused = server.package(&["delete", "falcon-agent", "1.0.0", "--yes"]);
    assert!(refused.code == 1 && refused.err.contains("in use"), "{refused:?}");
}

#[test]
fn a_version_is_deleted_only_when_somebody_means_it() {
    let server = server();
    server.has("a", "1", "one");
    let said = server.package(&["delete", "a", "1"]);
    assert!(said.code == 2 && said.err.contains("--yes"), "nobody can be asked: {said:?}");
    server.package(&["protect", "a", "1"]).ok();
    let said = server.package(&["delete", "a", "1", "--yes"]);
    assert!(said.code == 1 && said.err.contains("protected"), "{said:?}");
    server.package(&["protect", "a", "1", "--off"]).ok();
    let said = server.package(&["delete", "a", "1", "--os", "linux", "--yes"]);
    assert!(said.code == 3 && said.err.contains("there is a 1"), "{said:?}");
    assert_eq!(
        server.package(&["delete", "a", "1", "--os", "", "--yes"]).ok().err,
        "a 1 for all hosts is deleted\n"
    );
    assert_eq!(server.package(&["delete", "a", "1", "--yes"]).code, 3);
}

#[test]
fn a_version_is_marked_and_the_mark_is_taken_away() {
    let server = server();
    server.has("a", "1", "one");
    let mark = || {
        server.package(&["show", "a", "1", "-o", "json"]).ok().objects()[0]["builds"][0]["deprecated"].clone()
    };
    assert_eq!(
        server.package(&["deprecate", "a", "1", "it leaks"]).ok().err,
        "a 1 is deprecated: it leaks\n"
    );
    assert_eq!(mark(), "it leaks");
    server.package(&["deprecate", "a", "1", "--off"]).ok();
    assert_eq!(mark(), json!(null));
    assert_eq!(server.package(&["deprecate", "a", "1"]).code, 2);
    assert_eq!(server.package(&["deprecate", "a", "1", "why", "--off"]).code, 2);
    assert_eq!(server.package(&["deprecate", "a", "2", "why"]).code, 3);
}

#[test]
fn what_nobody_uses_is_told_and_then_freed() {
    let server = server();
    let bytes: Vec<_> = ["1", "2", "3"].iter().map(|version| server.has("a", version, version)).collect();
    let told = server.package(&["gc", "--dry-run", "--keep", "1"]).ok();
    assert!(
        told.out.lines().count() == 3 && told.err.starts_with("2 packages would be deleted: "),
        "{told:?}"
    );
    assert!(server.blob(&bytes[0]).exists());
    std::fs::create_dir_all(server.path("data/packages/blobs/aa")).unwrap();
    std::fs::write(server.path(&format!("data/packages/blobs/aa/{}", "a".repeat(64))), "left").unwrap();
    let freed = bytes[0].len() + bytes[1].len() + 4;
    let said = server.package(&["gc", "--keep", "1"]);
    assert!(said.code == 2 && said.err.contains("--yes"), "nobody can be asked: {said:?}");
    let asked = server.on_a_terminal("package gc --keep 1", "n\n");
    let question =
        format!("delete 2 packages and 1 file of no package, {freed} bytes (--dry-run names them)? [y/N]");
    assert!(asked.contains(&question) && asked.contains("nothing was deleted"), "{asked}");
    assert!(server.blob(&bytes[0]).exists());
    let done = server.package(&["gc", "--keep", "1", "--yes"]).ok();
    assert_eq!(done.err, format!("2 packages and 1 file of no package are deleted: {freed} bytes\n"));
    assert!(!server.blob(&bytes[0]).exists() && server.blob(&bytes[2]).exists());
    let none = server.package(&["gc", "--yes", "-o", "json"]).ok().objects();
    assert_eq!((&none[0]["deleted"], &none[0]["bytes"]), (&json!([]), &json!(0)));
    server.has("a", "4", "4");
    let asked = server.on_a_terminal("package gc --keep 1", "y\n");
    assert!(asked.contains("delete 1 package, ") && asked.contains("1 package is deleted: "), "{asked}");
    let asked = server.on_a_terminal("package gc --keep 1", "");
    assert!(!asked.contains("[y/N]") && asked.contains("0 packages are deleted: 0 bytes"), "{asked}");
}

#[test]
fn a_check_finds_what_is_lost_and_what_is_altered() {
    let server = server();
    let bytes: Vec<_> = ["1", "2", "3"].iter().map(|version| server.has("a", version, version)).collect();
    let good = server.package(&["fsck"]).ok();
    assert!(
        good.out.is_empty() && good.err.contains("3 packages") && good.err.contains("all are good"),
        "{good:?}"
    );
    std::fs::remove_file(server.blob(&bytes[0])).unwrap();
    std::fs::write(server.blob(&bytes[1]), "other bytes").unwrap();
    std::fs::write(server.blob(&bytes[1]).with_file_name("b".repeat(64)), "left").unwrap();
    let said = server.package(&["fsck", "-o", "json"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("2 are damaged") && said.err.contains("1 file of no package takes 4 bytes"),
        "{said:?}"
    );
    let found = said.objects();
    let states: Vec<_> =
        found.iter().map(|it| (it["version"].as_str().unwrap(), it["state"].as_str().unwrap())).collect();
    assert_eq!(states, [("2", "altered"), ("1", "missing")]);
    assert!(
        found.iter().all(|it| it["todo"].as_str().unwrap().contains("push the same tarball again")),
        "{found:?}"
    );
    let table = server.package(&["fsck"]);
    assert!(table.code == 1 && table.out.contains(&sha256(&bytes[0])), "{table:?}");
    for version in ["1", "2"] {
        server.has("a", version, version);
    }
    server.package(&["fsck"]).ok();
}

#[test]
fn a_folder_of_2015_is_imported_as_far_as_its_digests_are_right() {
    let server = server();
    let folder = server.path("tarball");
    write_with_md5(&folder, "falcon-agent-1.0.0.tar.gz", &package("1"));
    write_with_md5(&folder.join("old"), "falcon-agent-0.9.tar.gz", &package("0.9"));
    write_with_md5(&folder, "wrong-1.tar.gz", &package("wrong"));
    std::fs::write(folder.join("wrong-1.tar.gz"), package("altered")).unwrap();
    std::fs::write(folder.join("bare-1.tar.gz"), package("bare")).unwrap();
    let import = || server.package(&["import", folder.to_str().unwrap(), "-o", "json"]);
    for result in ["pushed", "already there"] {
        let said = import();
        assert_eq!(said.code, 1);
        let found = said.objects();
        assert_eq!(found.iter().map(|it| &it["version"]).collect::<Vec<_>>(), ["1.0.0", "0.9"]);
        assert!(found.iter().all(|it| it["result"] == result), "{said:?}");
        assert!(said.err.contains("no `bare-1.tar.gz.md5`") && said.err.contains("damaged"), "{said:?}");
    }
    assert_eq!(Operator::first(&server).get("/api/v1/packages?total=true").json()["total"], 2);
    for file in ["wrong-1.tar.gz", "bare-1.tar.gz"] {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    import().ok();
    assert_eq!(server.package(&["import", "/nowhere"]).code, 2);
}
