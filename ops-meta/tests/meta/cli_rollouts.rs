//! `ops-meta rollout`: what it begins, shows, moves and looks on at.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::rollouts::{Hosts, begin};
use crate::support::Server;
use crate::support::command_line::{Said, asking, fake, run};

/// Words, and what is begun.
fn start(server: &Server, words: &str) -> u64 {
    let said = server.say(&format!("rollout start a {words}")).ok();
    said.out.trim().parse().unwrap()
}

fn show(server: &Server, id: u64) -> Value {
    server.say(&format!("rollout show {id} -o json")).ok().objects().remove(0)
}

fn until_state(hosts: &mut Hosts, server: &Server, id: u64, state: &str) {
    hosts.until(state, server, |_| show(server, id)["state"] == state);
}

fn refused(said: &Said, code: i32, sentence: &str) {
    assert!(said.code == code && said.err.contains(sentence), "{sentence} is not in {said:?}");
}

#[test]
fn a_rollout_is_begun_listed_shown_watched_and_deleted() {
    let (server, mut hosts) = begin(20);
    assert_eq!(server.say("rollout list").ok().err, "no rollouts\n");
    let dry = server.say("rollout start a --version 2 --waves 10%,100% --dry-run").ok();
    assert!(
        dry.out.starts_with("20 of 20 hosts are told something else:\n  a  1 -> 2  20 hosts: web-"),
        "{dry:?}"
    );
    assert!(dry.out.ends_with("\nwave 1 is a share of 20 hosts\nwave 2 is a share of 20 hosts\n"), "{dry:?}");
    assert_eq!(dry.err, "nothing was begun, as this was a dry run\n");

    let words = [
        "rollout",
        "start",
        "a",
        "--version",
        "2",
        "--waves",
        "10%,100%",
        "--soak",
        "1h",
        "--note",
        "for jo",
    ];
    let said = server.admin(&words).ok();
    assert_eq!(said.out, "1\n");
    assert!(said.err.starts_with("rollout 1 is running: "), "{said:?}");
    hosts.until("the first wave", &server, |hosts| hosts.at("2") == 2);
    hosts.until("the soak", &server, |_| {
        server.say("rollout list").out.contains("all went well in wave \"10 %\"; it is watched for another 3")
    });
    let listed = server.say("rollout list --state running --agent a").ok().out;
    let row = "1   a      all hosts  2       running  1/2   10 %     all went well in wave \"10 %\"";
    assert!(
        listed
            .lines()
            .next()
            .unwrap()
            .starts_with("ID  AGENT  FOR        CHANGE  STATE    WAVE  PERCENT  WAITS"),
        "{listed}"
    );
    assert!(listed.lines().nth(1).unwrap().starts_with(row), "{listed}");
    assert_eq!(server.say("rollout list --state paused").ok().err, "no rollouts\n");
    assert_eq!(server.say("rollout list --state running -o json").ok().objects()[0]["id"], 1);

    let page = server.say("rollout show 1").ok().out;
    for line in [
        "  policy      a for all hosts",
        "  wave        1/2; 10 % of the hosts are done",
        "  moved by    time; next ends it now",
        "  it can      pause, next, stop, rollback, retry",
        "  note        for jo",
        "  10 %   [##############################] 2 of 2 hosts  done 2",
        "  100 %  [###...........................] 2 of 20 hosts",
        "  WAVE   OF   MAX FAILED  IN FLIGHT  A MINUTE  TIMEOUT  SOAK    APPROVAL",
        "  10 %   all  2%          any        any       900 s    3600 s  no",
    ] {
        assert!(page.lines().any(|it| it == line), "{line} is not in {page}");
    }
    let listed = server.say("rollout hosts 1 --class done").ok().out;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert_eq!(server.say("rollout hosts 1 --class done,pending -o json").ok().objects().len(), 20);
    refused(&server.say("rollout hosts 1 --class well"), 1, "`class` has \"well\"; allowed: there, pending");
    refused(&server.say("rollout delete 1"), 1, "this is rollout 1, which is running");

    let mut watching = server.command(&["rollout", "watch", "1", "--until", "done", "--interval", "1s"]);
    let mut child = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("running, wave 1/2, 10 % done; done 2, under way 0, failed 0; all went well"),
        "{first}"
    );
    for _ in 0..2 {
        let next = server.say("rollout next 1 --wave 1").ok().out;
        assert!(next.starts_with("rollout 1 is running; it can pause"), "{next}");
    }
    hosts.until("the second wave", &server, |hosts| hosts.at("2") == 20);
    hosts.until("its soak", &server, |_| show(&server, 1)["percent"] == 100);
    server.say("rollout next 1 --wave 2").ok();
    until_state(&mut hosts, &server, 1, "completed");
    assert!(lines.last().unwrap().starts_with("completed, wave 2/2"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(server.say("policy show a -o json").objects()[0]["version"], "2");

    refused(
        &server.say("rollout next 1"),
        1,
        "ops-meta: a rollout that is completed cannot next; start one that",
    );
    server.say("rollout delete 1").ok();
    for words in ["show 1", "hosts 1", "watch 1", "watch 1 --until done", "delete 1", "pause 1"] {
        refused(&server.say(&format!("rollout {words}")), 3, "ops-meta: there is no rollout 1\n");
    }
}

#[test]
fn a_breach_ends_the_look_with_its_reason() {
    let (server, mut hosts) = begin(20);
    hosts.bad.insert("2");
    let id = start(&server, "--version 2 --waves 2,100%");
    until_state(&mut hosts, &server, id, "paused");
    let said = server.say(&format!("rollout watch {id} --until done"));
    refused(&said, 1, "ops-meta: rollout 1 paused by itself: too many hosts failed in wave 1: 2 of 2 hosts");
    hosts.until("the reasons", &server, |_| show(&server, id)["failures"]["trial_failed"]["hosts"] == 2);
    let page = server.say(&format!("rollout show {id}")).ok().out;
    assert!(page.contains("\nfailed\n  trial_failed  2 hosts: web-"), "{page}");
    assert!(page.contains("[xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx] 2 of 2 hosts  rolled_back 2"), "{page}");
    let listed = server.say(&format!("rollout hosts {id} --class rolled_back")).ok().out;
    assert!(listed.lines().nth(1).unwrap().ends_with("trial_failed"), "{listed}");

    let back = server.say(&format!("rollout rollback {id}")).ok();
    assert!(back.out.starts_with("rollout 1 is rolling_back"), "{back:?}");
    until_state(&mut hosts, &server, id, "rolled_back");
    server.say(&format!("rollout rollback {id}")).ok();
    refused(
        &server.say(&format!("rollout watch {id} --until done")),
        1,
        "rollout 1 was rolled back: too many hosts",
    );
    assert!(server.say(&format!("rollout watch {id}")).ok().out.starts_with("rolled_back, wave "));
}

#[test]
fn people_move_it_and_what_makes_no_sense_is_refused() {
    let (server, mut hosts) = begin(4);
    let waves = "- {name: one, count: 1, approval: true}\n- percent: 100\n  maxFailed: 50%\n";
    let file = server.file("waves.yaml", waves);
    let id = start(&server, &format!("--version 2 --draft -f {file}"));
    let page = server.say(&format!("rollout show {id}")).ok().out;
    assert!(page.contains("  state       draft\n") && page.contains("\n  one    not begun\n"), "{page}");
    assert!(page.contains("  100 %  all  50%  ") && page.contains("yes\n"), "{page}");
    refused(&server.say(&format!("rollout pause {id}")), 1, "a rollout that is draft cannot pause; it can");
    server.say(&format!("rollout approve {id}")).ok();
    hosts.until("the first wave", &server, |_| {
        server.say(&format!("rollout approve {id} --wave 1")).code == 0 && show(&server, id)["begun"] == 1
    });
    for (verb, state) in
        [("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("stop", "stopped")]
    {
        let said = server.say(&format!("rollout {verb} {id}")).ok();
        assert!(said.out.starts_with(&format!("rollout {id} is {state}")), "{said:?}");
    }
    refused(
        &server.say(&format!("rollout watch {id} --until done")),
        1,
        "rollout 1 was stopped: somebody wanted it so",
    );
    assert_eq!(server.say(&format!("rollout retry {id} -o json")).code, 1);
    refused(&server.say("rollout pause 9"), 3, "there is no rollout 9");
    for (words, code, sentence) in [
        ("a --waves 100%", 2, "nothing would change; give --version"),
        ("a --version 2", 2, "--waves"),
        ("a --version 2 --waves ten", 2, "--waves: \"ten\" is no share of the hosts"),
        ("a --version 2 --waves 100% --soak long", 2, "--soak: \"long\" is no length of time"),
        ("a --version 2 --waves 10%", 2, "nothing was changed\n  waves[0]: the last wave has to be 100 %"),
        ("x --version 2 --waves 100%", 2, "agent: there is no policy x"),
        ("a --version 2 --waves 100% --on-breach cry", 2, "pause"),
        ("a --version 2 -f /no/such", 2, "failed to read `/no/such`"),
    ] {
        refused(&server.say(&format!("rollout start {words}")), code, sentence);
    }
    let file = server.file("wrong.yaml", "percent: 100\n");
    refused(&server.say(&format!("rollout start a --version 2 -f {file}")), 2, "it is no list of waves");
}

#[test]
fn the_waves_of_the_documentation_are_taken() {
    let (server, _hosts) = begin(4);
    let words = server.file("canaries.txt", "web-01\n");
    server.say(&format!("list set canaries {words}")).ok();
    let docs = include_str!("../../../docs/ops-meta.md");
    let (_, rest) = docs.split_once("```yaml\n- name: canaries\n").unwrap();
    let file = server.file("waves.yaml", &format!("- name: canaries\n{}", rest.split("```").next().unwrap()));
    let dry = server.say(&format!("rollout start a --version 2 --dry-run -f {file}")).ok();
    assert!(dry.out.contains("wave 1 is a share of 1 host\nwave 2 is a share of 4 hosts\n"), "{dry:?}");
}

#[test]
fn on_a_terminal_it_is_drawn_anew() {
    let (server, mut hosts) = begin(4);
    let id = start(&server, "--version 2 --waves 25%,100% --soak 1h");
    hosts.until("the first wave", &server, |_| show(&server, id)["percent"] == 25);
    let shown = server.on_a_terminal(&format!("rollout watch {id} --interval 1s --timeout 2s"), "");
    assert!(shown.contains("rollout 1: a for all hosts to 2\r\n"), "{shown:?}");
    assert!(shown.contains("  25 %   [##############################] 1 of 1 host  done 1\r\n"), "{shown:?}");
    assert!(shown.contains("A\r\u{1b}[J") && shown.contains("0 hosts a minute"), "{shown:?}");
    assert!(
        shown.contains("ops-meta: rollout 1 is not over after 2.0 s; `ops-meta rollout show 1`"),
        "{shown:?}"
    );
}

#[test]
fn a_server_that_is_away_is_asked_again() {
    let mut asked = 0;
    let url = fake(move |_| {
        asked += 1;
        let rollout = |state: &str| {
            ("200 OK", "", json!({"id": 1, "state": state, "begun": 1, "waves": 1}).to_string())
        };
        match asked {
            1 => rollout("running"),
            2 | 3 => ("502 Bad Gateway", "", String::new()),
            _ => rollout("completed"),
        }
    });
    let said = run(&mut asking(&url, &["rollout", "watch", "1", "--interval", "1s", "--until", "done"])).ok();
    assert_eq!(said.out, "running, wave 1/1\ncompleted, wave 1/1\n");
    assert!(
        said.err.contains("502 Bad Gateway; it is asked again\n") && said.err.lines().count() == 1,
        "{said:?}"
    );
}
