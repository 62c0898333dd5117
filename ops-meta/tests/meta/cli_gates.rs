//! `ops-meta freeze`, windows, and agents on one host: what is typed, and what is seen.

use crate::rollouts::begin;
use crate::support::command_line::Said;

fn refused(said: &Said, code: i32, sentence: &str) {
    assert!(said.code == code && said.err.contains(sentence), "{sentence} is not in {said:?}");
}

#[test]
fn a_freeze_begins_is_listed_refuses_changes_and_ends() {
    let (server, hosts) = begin(12);
    assert_eq!(server.say("freeze list").ok().err, "nothing is frozen\n");
    let begun = server.admin(&["freeze", "begin", "sales week", "--agent", "a"]).ok();
    assert_eq!(begun.out, "1\n");
    assert_eq!(begun.err, "frozen: agent a; `ops-meta freeze end 1` ends it\n");
    let listed = server.say("freeze list").ok().out;
    let line = listed.lines().nth(1).unwrap();
    assert!(line.starts_with("1   agent a  20") && line.ends_with("sales week"), "{listed}");

    refused(
        &server.say("policy set a --version 2"),
        1,
        "this changes what 12 hosts are told, and changes of agent a are frozen",
    );
    let dry = server.say("policy set a --version 2 --dry-run").ok();
    assert!(dry.out.contains("\nfrozen: 12 hosts: web-"), "{dry:?}");
    refused(&server.say("host install web-01 a 2"), 1, "rejected: changes of agent a are frozen since");
    refused(&server.say("freeze begin x --group nobody"), 2, "there is no group nobody");
    assert_eq!(server.say("freeze end 1").ok().err, "freeze 1 has ended\n");
    refused(&server.say("freeze end 1"), 3, "there is no freeze 1");
    let events = server.say("event list --kind freeze.begun").ok().out;
    assert!(events.contains("sales week"), "{events}");
    drop(hosts);
}

#[test]
fn an_agent_is_installed_on_one_host_and_taken_from_it() {
    let (server, mut hosts) = begin(3);
    let said = server.say("host install web-01 a 2").ok();
    assert_eq!(said.out, "1\n");
    assert!(said.err.starts_with("accepted: rollout 1 does it on web-01"), "{said:?}");
    let again = server.say("host install web-01 a 2").ok();
    assert_eq!((&*again.out, &*again.err), ("1\n", "nothing to do: rollout 1 does that already\n"));
    hosts.until("the end", &server, |_| {
        server.say("rollout show 1 -o json").ok().objects()[0]["state"] == "completed"
    });
    assert_eq!(hosts.at("2"), 1);
    let own = server.say("policy show a --host web-01 -o json").ok().objects().remove(0);
    assert_eq!(own["version"], "2");
    let again = server.say("host install web-01 a 2").ok();
    let nothing = "nothing to do: that is ordered already (a on host web-01)\n";
    assert_eq!((&*again.out, &*again.err), ("", nothing));
    let again = server.say("job install a 2 web-01").ok();
    assert_eq!((&*again.out, &*again.err), ("", nothing));
    refused(&server.say("host install nobody a 2"), 3, "there is no host nobody");
    let gone = server.say("host uninstall web-02 a -o json").ok().objects().remove(0);
    assert_eq!(gone["rollout"], 2);
}

#[test]
fn an_agent_is_installed_on_hosts_of_a_list_in_waves() {
    let (server, mut hosts) = begin(6);
    server.admin(&["list", "add", "some", "web-01", "web-02"]).ok();
    let words = "job install a 2 @some web-03 --select hostname=web-03 --waves 1,100%";
    let dry = server.say(&format!("{words} --dry-run")).ok();
    assert!(
        dry.out.starts_with(
            "3 of 6 hosts are told something else:\n  a  1 -> 2  3 hosts: web-01 web-02 web-03\n"
        ),
        "{dry:?}"
    );
    let said = server.say(words).ok();
    assert_eq!(said.out, "1\n");
    assert!(
        said.err.starts_with("3 of 6 hosts are told something else:")
            && said.err.contains("rollout 1 is running"),
        "{said:?}"
    );
    assert!(server.say("rollout list").ok().out.contains("3 named hosts"));
    hosts.until("the end", &server, |_| {
        server.say("rollout show 1 -o json").ok().objects()[0]["state"] == "completed"
    });
    assert_eq!(hosts.at("2"), 3);
    let more = server.say("job install a 2 @some web-04 --dry-run").ok();
    assert!(
        more.out.contains("1 of 6 hosts is told") && more.out.contains("\n2 hosts already are as wanted\n"),
        "{more:?}"
    );
    let gone = server.say("job uninstall a @some").ok();
    assert!(gone.err.starts_with("2 of 6 hosts are told something else:\n  a  2 -> uninstall"), "{gone:?}");
    refused(&server.say("job install a 2 @nobody"), 2, "there is no list \"nobody\"");
    refused(&server.say("job install a 2 wbe-01"), 2, "not known: wbe-01 (1 of those named)");
    refused(&server.say("rollout start a --version 3"), 2, "waves are missing; give --waves");
}

#[test]
fn windows_are_written_and_read_as_words() {
    let (server, _hosts) = begin(2);
    let words = [
        "group",
        "set",
        "db",
        "--select",
        "hostname=web-*",
        "--window",
        "sat,sun 02:00 3h Europe/Berlin",
        "--window",
        "22:00 90m",
    ];
    server.admin(&words).ok();
    let shown = server.say("group show db").ok().out;
    assert!(shown.contains("windows     sat,sun 02:00 3h Europe/Berlin; 22:00 90m\n"), "{shown}");
    let exported = server.say("export").ok().out;
    assert!(
        exported.contains("    windows:\n      - days: [sat, sun]\n        start: \"02:00\"\n"),
        "{exported}"
    );
    refused(&server.admin(&["group", "set", "db", "--window", "noon 1h"]), 2, "\"noon\" is no day");
    server.say("group set db --no-windows").ok();
    assert!(!server.say("group show db").ok().out.contains("windows"));
    let words = [
        "rollout",
        "start",
        "a",
        "--version",
        "2",
        "--waves",
        "100%",
        "--window",
        "mon-fri 22:00 4h Nowhere",
    ];
    refused(&server.admin(&words), 2, "windows[0].zone: \"Nowhere\" is no time zone");
}
