//! `ops-meta plan`, `apply`, `export` and `import`: what should run, as a file says it.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::support::command_line::{Said, command, run};
use crate::support::{Operator, Server, config, config_with};

const FLEET: &str = "\
# what we run
settings:
  packagesUrl: http://meta.example/packages
  confirmAbovePercent: 90
lists:
  racks: {file: racks.txt}
groups:
  prod: # all that earns money
    select: env=prod
    priority: 10
policies:
  - agent: my-agent
    version: 1.7.0
    cmd: start
    tarball: http://elsewhere.example
  - agent: my-agent
    group: prod
    version: 1.10
";

/// A server with three hosts, and the file.
fn server() -> (Server, String) {
    let server = Server::with_hosts(3);
    server.file("racks.txt", "r1 # the first\nr2\n");
    let file = server.file("fleet.yaml", FLEET);
    (server, file)
}

fn lines(said: &Said) -> Vec<&str> {
    said.out.lines().collect()
}

#[test]
fn a_plan_says_what_differs_and_who_is_told_something_else() {
    let (server, file) = server();
    let planned = server.say(&format!("plan -f {file}"));
    assert_eq!(planned.code, 10, "{planned:?}");
    assert_eq!(
        lines(&planned),
        [
            "+ settings  confirmAbovePercent 90, packagesUrl http://meta.example/packages",
            "+ list racks  2 words",
            "+ group prod  env=prod, priority 10",
            "+ policy my-agent  version 1.7.0, cmd start, tarball http://elsewhere.example",
            "+ policy my-agent for group prod  version 1.10",
            "",
            "3 of 3 hosts are told something else:",
            "  my-agent  not told -> 1.10   2 hosts: web-01 web-02",
            "  my-agent  not told -> 1.7.0  1 host: web-03",
        ]
    );
    assert!(planned.err.starts_with("this is planned from generation "), "{}", planned.err);
    let late = server.say(&format!("apply -f {file} --generation 77"));
    assert!(late.code == 1 && late.err.contains("was changed by another"), "{late:?}");
    assert_eq!(server.told("web-01"), [""; 0], "a plan changes nothing");
    let raw = server.say(&format!("plan -f {file} -o json"));
    assert_eq!((raw.code, raw.objects()[0]["changed"]["changed"].as_i64()), (10, Some(3)));
}

#[test]
fn to_apply_a_file_twice_changes_nothing_the_second_time() {
    let (server, file) = server();
    let dry = server.say(&format!("apply -f {file} --dry-run")).ok();
    assert_eq!(dry.err, "nothing was changed, as this was a dry run\n");
    assert_eq!(server.told("web-01"), [""; 0]);
    let applied = server.say(&format!("apply -f {file}")).ok();
    assert_eq!(applied.out, dry.out);
    assert!(applied.err.starts_with("this is generation "), "{applied:?}");
    assert_eq!(server.told("web-01"), ["my-agent 1.10"]);
    for verb in ["apply", "plan"] {
        let again = server.say(&format!("{verb} -f {file}")).ok();
        assert_eq!((again.out.as_str(), again.err.as_str()), ("nothing to change\n", ""));
    }
    server.file("fleet.yaml", &FLEET.replace("1.10", "1.10.1").replace("  racks: {file: racks.txt}\n", ""));
    let applied = server.say(&format!("apply -f {file}")).ok();
    assert_eq!(
        lines(&applied)[..2],
        ["- list racks", "~ policy my-agent for group prod  version 1.10 -> 1.10.1"],
        "what is not in the file is not wanted any more"
    );
}

#[test]
fn a_plan_is_read_from_standard_input_too() {
    let (server, _) = server();
    let mut child = server
        .command(&["plan", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"groups: {prod: {select: env=prd, x: 1}}").unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err.contains("standard input:1:34: groups.prod.x: there is no such field"), "{err}");
}

#[test]
fn every_fault_is_told_with_its_line_and_column() {
    let (server, _) = server();
    let faulty = FLEET.replace("env=prod", "env=prod && x").replace("group: prod", "group: prdo");
    let file = server.file("faulty.yaml", &faulty);
    for verb in ["plan", "apply"] {
        let said = server.say(&format!("{verb} -f {file}"));
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        let told = [
            &format!("ops-meta: nothing was changed: `{file}` has 2 faults"),
            &format!("  {file}:9:5: groups.prod.select: column 10"),
            "      env=prod && x",
            "               ^ `&&` means nothing here; write `and`",
            &format!("  {file}:17:5: policies[1].group: there is no group \"prdo\"; prod, perhaps?"),
        ];
        assert_eq!(said.err.lines().collect::<Vec<_>>(), told);
    }
    // What has another type than the server has for it.
    let file = server.file("faulty.yaml", &FLEET.replace("priority: 10", "priority: 99999999999"));
    let said = server.say(&format!("plan -f {file}"));
    let told = format!("{file}:10:5: groups.prod.priority: invalid value: integer `99999999999`");
    assert!(said.code == 2 && said.err.contains(&told), "{said:?}");
    // What is found before the server is asked.
    let file = server.file("faulty.yaml", "groups:\n  prod: {selct: env=prod}\n");
    let said = server.say(&format!("plan -f {file}"));
    assert!(said.code == 2 && said.err.contains(":2:10: groups.prod.selct: "), "{said:?}");
    assert_eq!(server.say("plan -f /nowhere.yaml").code, 2);
    assert_eq!(server.say("plan").code, 2);
}

#[test]
fn a_change_of_many_hosts_wants_to_be_confirmed() {
    let server = Server::with_hosts(12);
    let file =
        server.file("fleet.yaml", "policies: [{agent: my-agent, version: 1.8.0, tarball: 'http://t'}]\n");
    let refused = server.say(&format!("apply -f {file}"));
    assert_eq!(refused.code, 1);
    assert_eq!(lines(&refused)[0], "12 of 12 hosts are told something else:");
    assert!(
        lines(&refused)[1].starts_with("  my-agent  not told -> left alone  12 hosts: web-"),
        "{refused:?}"
    );
    assert!(lines(&refused)[1].ends_with(" ..."), "only some are named: {refused:?}");
    assert!(refused.err.contains("more than 25 %") && refused.err.contains("--confirm"), "{refused:?}");
    assert_eq!(server.told("web-01"), [""; 0]);
    server.say(&format!("apply -f {file} --confirm")).ok();
    assert_eq!(server.told("web-01"), ["my-agent 1.8.0"]);
}

#[test]
fn an_export_is_a_file_that_says_the_same_and_never_overwrites_one() {
    let (server, file) = server();
    assert_eq!(server.say("export").ok().out, "policies: []\n");
    server.say(&format!("apply -f {file}")).ok();
    let exported = server.say("export").ok().out;
    assert!(exported.contains("racks: [r1, r2]") && exported.contains("version: \"1.10\""), "{exported}");
    let new = server.path("new.yaml").to_str().unwrap().to_owned();
    assert_eq!(server.say(&format!("export -f {new}")).ok().err, format!("`{new}` is written\n"));
    assert_eq!(std::fs::read_to_string(&new).unwrap(), exported);
    assert_eq!(server.say(&format!("plan -f {new}")).ok().out, "nothing to change\n");
    let refused = server.say(&format!("export -f {file}"));
    assert!(refused.code == 1 && refused.err.contains("comments in it would be lost"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), FLEET);
}

#[test]
fn who_may_only_look_may_plan() {
    let (server, file) = server();
    let admin = Operator::first(&server);
    let (_, viewer) = admin.create("v", "viewer", &json!({}));
    let asked = |args: &[&str]| run(server.command(args).env("OPS_META_TOKEN", &viewer.token));
    assert_eq!(asked(&["plan", "-f", &file]).code, 10);
    let refused = asked(&["apply", "-f", &file]);
    assert!(refused.code == 1 && refused.err.contains("operator"), "{refused:?}");
}

#[test]
fn while_cfg_json_decides_a_file_is_planned_and_not_applied() {
    let server = Server::start(&config());
    server.wait_for_log(&["event=first_token"]);
    server.told("lg-01");
    let file = server.file("fleet.yaml", "policies: []\n");
    assert_eq!(server.say(&format!("plan -f {file}")).ok().out, "nothing to change\n");
    server.file(
        "fleet.yaml",
        "policies: [{agent: falcon-agent, version: 2.0.1, cmd: start, tarball: 'http://t'}]\n",
    );
    let planned = server.say(&format!("plan -f {file}"));
    assert!(planned.code == 10 && planned.out.contains("2.0.0 -> 2.0.1"), "{planned:?}");
    for words in [format!("apply -f {file}"), "policy set a --version 1".into(), "group delete a".into()] {
        let refused = server.say(&words);
        assert!(refused.code == 1 && refused.err.contains("cfg.json"), "{refused:?}");
    }
    assert_eq!(server.told("lg-01"), ["falcon-agent 2.0.0"]);
}

#[test]
fn a_cfg_json_becomes_groups_and_policies_that_tell_hosts_the_same() {
    let mut server = Server::start(&config());
    server.wait_for_log(&["event=first_token"]);
    for host in ["lg-01", "web-01"] {
        server.told(host);
    }
    let file = server.file("copy.json", &config().to_string());
    let dry = server.say(&format!("import {file} --dry-run")).ok();
    assert!(dry.out.contains("+ group prefix-lg"), "{dry:?}");
    assert!(dry.out.ends_with("\nnone of 2 hosts is told anything else\n"), "{dry:?}");
    let refused = server.say(&format!("import {file}"));
    assert!(refused.code == 1 && refused.err.contains("keep a copy"), "{refused:?}");

    server.configure(&config_with(json!({ "agents": [] })));
    server.restart();
    server.say("settings set --confirm-above-percent 50").ok();
    server.say(&format!("import {file}")).ok();
    assert_eq!(server.told("lg-01"), ["falcon-agent 2.0.0"]);
    assert_eq!(server.told("web-01"), ["falcon-agent 1.0.0"]);
    assert_eq!(server.say("settings show -o json").objects()[0]["confirmAbovePercent"], 50);

    let refused = server.say(&format!("import {file}"));
    assert!(refused.code == 1 && refused.err.contains("1 group and 2 policies already"), "{refused:?}");
    let again = server.say(&format!("import {file} --replace")).ok();
    assert_eq!(again.out, "nothing to change\n");
    let printed = run(&mut command(&["import", &file, "--print"])).ok().out;
    let file = server.file("printed.yaml", &format!("settings: {{confirmAbovePercent: 50}}\n{printed}"));
    assert_eq!(server.say(&format!("plan -f {file}")).ok().out, "nothing to change\n");
    assert_eq!(server.say("import /nowhere.json").code, 2);

    let nowhere = json!({"default": {"name": "b", "version": "1", "cmd": "start"}, "others": []});
    let file = server.file("nowhere.json", &config_with(json!({ "agents": [nowhere] })).to_string());
    let faulty = server.say(&format!("import {file} --replace"));
    assert!(
        faulty.code == 2 && faulty.err.contains("\n  policy b, version: there is no package b 1"),
        "{faulty:?}"
    );
}
