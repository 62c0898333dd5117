//! Agents on hosts that are named: each gets a policy of its own, in waves.

use serde_json::{Value, json};

use crate::rollouts::{begin, is, plan, say, sentence, show, start};
use crate::support::tarball::package_with;
use crate::support::{Operator, Reply, bearer};

fn of_hosts(version: &str, hosts: Value) -> Value {
    let mut plan = plan(version, &json!([{"percent": 50}, {"percent": 100}]));
    plan["hosts"] = hosts;
    plan
}

fn own(admin: &Operator<'_>, host: &str) -> Value {
    admin.get(&format!("/api/v1/policies/a?host={host}")).json()
}

#[test]
fn an_agent_is_installed_on_hosts_that_are_named_and_they_have_policies_then() {
    let (server, mut hosts) = begin(6);
    let admin = Operator::first(&server);
    let named = json!(["web-01", "web-02", "web-03", "web-04"]);
    let mine =
        admin.ask("PUT", "/api/v1/policies/a?host=web-04", Some(&json!({"version": "1", "trialSecs": 7})));
    assert_eq!(mine.status, 200);
    let typo = admin.post("/api/v1/rollouts", &of_hosts("2", json!(["web-01", "wbe-02"])));
    assert_eq!(
        typo.json()["faults"][0]["why"],
        "not known: wbe-02 (1 of those named); --allow-unknown (`allowUnknown`) takes them all the same, and they are told once they come"
    );
    let dry = admin.post("/api/v1/rollouts?dryRun=true", &of_hosts("2", named.clone())).json();
    assert_eq!(
        (&dry["tried"]["changed"]["changed"], &dry["tried"]["there"]),
        (&json!(4), &json!(0)),
        "{dry}"
    );
    let id = start(&admin, &of_hosts("2", named.clone()));
    // Nobody else's meanwhile.
    let busy = admin.ask("PUT", "/api/v1/policies/a?host=web-02", Some(&json!({"version": "3"})));
    assert!(sentence(&busy, 409).starts_with(&format!("a on 4 hosts is being changed by rollout {id}")));
    let again = admin.post("/api/v1/rollouts", &of_hosts("3", json!(["web-04", "web-05"])));
    assert!(sentence(&again, 409).starts_with(&format!("a on 2 hosts is being changed by rollout {id}")));
    hosts.until("all", &server, |_| is(&admin, id, "completed"));
    assert_eq!(hosts.at("2"), 4);
    let row = admin.get("/api/v1/rollouts").json()["rollouts"][0].clone();
    assert_eq!((&row["hosts"], &row["plan"]["hosts"]), (&json!(4), &json!(["web-01"])));
    let events = admin.get(&format!("/api/v1/events?object=rollout%20{id}&kind=rollout.started")).json();
    assert_eq!(events["events"][0]["after"]["plan"]["hosts"], 4, "{events}");
    assert_eq!(
        (&own(&admin, "web-01")["version"], &own(&admin, "web-04")["trialSecs"]),
        (&json!("2"), &json!(7))
    );
    assert_eq!(own(&admin, "web-05")["status"], 404);
    hosts.beat(&server);
    assert_eq!(hosts.at("2"), 4, "by policies of their own");
    let nothing = admin.post("/api/v1/rollouts", &of_hosts("2", named));
    assert_eq!(
        (nothing.status, &nothing.json()["already"]),
        (200, &json!("that is ordered already (a on 4 hosts)"))
    );
    let all = admin.post("/api/v1/rollouts?dryRun=true", &plan("3", &json!([{"percent": 100}]))).json();
    assert_eq!(all["tried"]["stronger"], 4, "{all}");
    let typo = |allow: bool| {
        let wanted = json!({"agent": "aa", "cmd": "uninstall", "hosts": ["web-01"], "allowEmpty": allow,
                            "waves": [{"percent": 100}]});
        admin.post("/api/v1/rollouts?dryRun=true", &wanted)
    };
    let why = typo(false).json()["faults"][0]["why"].clone();
    assert!(why.as_str().unwrap().starts_with("no policy is of aa, and host web-01 has none"), "{why}");
    assert_eq!(typo(true).status, 200);
}

#[test]
fn what_fails_on_hosts_that_are_named_is_taken_back_and_leaves_no_policy() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    hosts.bad.insert("2");
    let mut wanted = of_hosts("2", json!(["web-01", "web-02"]));
    wanted["onBreach"] = json!("rollback");
    let id = start(&admin, &wanted);
    hosts.until("the end", &server, |_| is(&admin, id, "rolled_back"));
    assert_eq!((hosts.at("1"), &own(&admin, "web-01")["status"]), (4, &json!(404)));
}

#[test]
fn no_host_is_of_two_rollouts_of_one_agent() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    let id = start(&admin, &plan("2", &json!([{"count": 1, "soakSecs": 3600}, {"percent": 100}])));
    hosts.until("the first", &server, |hosts| hosts.at("2") == 1);
    let clash = |reply: &Reply| {
        let why = sentence(reply, 409);
        assert!(why.starts_with("a is being changed on host web-0"), "{why}");
        assert!(why.contains(&format!("and perhaps on others, by rollout {id}, which is running")), "{why}");
    };
    clash(&admin.post("/api/v1/rollouts", &of_hosts("3", json!(["web-01"]))));
    let mut draft = of_hosts("3", json!(["web-01"]));
    draft["draft"] = json!(true);
    clash(&admin.post("/api/v1/rollouts", &draft));
    say(&admin, id, "rollback");
    hosts.until("the end", &server, |_| is(&admin, id, "rolled_back"));
    // A draft is written down, and another begins before it.
    let written = start(&admin, &draft);
    let id = start(&admin, &plan("2", &json!([{"count": 1, "soakSecs": 3600}, {"percent": 100}])));
    hosts.until("the first", &server, |hosts| hosts.at("2") == 1);
    let late = admin.post(&format!("/api/v1/rollouts/{written}/approve"), &json!({}));
    assert!(sentence(&late, 409).contains(&format!("by rollout {id}, which is running")));
}

#[test]
fn one_host_takes_an_agent_or_says_why_not() {
    let (server, mut hosts) = begin(3);
    let admin = Operator::first(&server);
    let push = |name: &str, platform: &str, manifest: &str| {
        let path = format!("/api/v1/packages/{name}/1{platform}");
        let put = server.ask("PUT", &path, &[&*bearer(&admin.token)], &package_with(manifest));
        assert_eq!(put.status, 201, "{put:?}");
    };
    push("arm", "?os=linux&arch=aarch64", "{}");
    push("top", "", r#"{"requires": {"a": ">=2"}}"#);
    push("plain", "", "{}");
    let install = |host: &str, agent: &str, force: bool| {
        admin.post(
            &format!("/api/v1/hosts/{host}/install"),
            &json!({"agent": agent, "version": "1", "force": force}),
        )
    };
    let rejected = |host: &str, agent: &str, code: &str, why: &str| {
        let reply = install(host, agent, false);
        assert_eq!((reply.status, &reply.json()["code"]), (409, &json!(code)), "{reply:?}");
        assert!(sentence(&reply, 409).starts_with(&format!("rejected: {why}")), "{reply:?}");
    };
    rejected("web-00", "arm", "excluded", "there is no package arm 1 for linux, only for linux-aarch64");
    rejected("web-00", "top", "requires", "top 1 requires a >=2, and a 1 is ordered");
    let held = json!({"hostname": "held", "os": "linux", "intervalSecs": 1, "realAgents": [
        {"name": "plain", "version": "0", "status": "started", "phase": "held", "timestamp": 1_800_000_000}]});
    server.post("/heartbeat", &held);
    rejected("held", "plain", "held", "plain is held on held: `ops-updater release plain` there ends it");
    let freeze =
        admin.post("/api/v1/freezes", &json!({"agent": "plain", "why": "audit"})).json()["id"].clone();
    rejected("web-00", "plain", "frozen", "changes of agent plain are frozen since");
    let forced = install("web-00", "plain", true);
    assert_eq!(forced.status, 201, "{forced:?}");
    let id = forced.json()["rollout"].as_u64().unwrap();
    hosts.until("the reason", &server, |_| {
        show(&admin, id)["why"]["what"].to_string().contains("frozen: changes of agent")
    });
    assert_eq!(admin.delete(&format!("/api/v1/freezes/{freeze}")).status, 204);
    let told =
        |host: &Value| server.post("/heartbeat", host).json()["desiredAgents"].to_string().contains("plain");
    let web =
        json!({"hostname": "web-00", "os": "linux", "arch": "x86_64", "intervalSecs": 1, "realAgents": []});
    hosts.until("the order", &server, |_| told(&web));
    assert_eq!(install("nobody", "plain", false).status, 404);
    let gone = admin.post("/api/v1/hosts/web-01/uninstall", &json!({"agent": "a"}));
    assert_eq!(gone.status, 201, "{gone:?}");
    let web = json!({"hostname": "web-01", "os": "linux", "arch": "x86_64", "intervalSecs": 1, "realAgents": [
        {"name": "a", "version": "1", "status": "started", "phase": "idle", "timestamp": 1_800_000_000}]});
    hosts.until("the order to go", &server, |_| {
        server.post("/heartbeat", &web).json()["desiredAgents"][0]["cmd"] == "uninstall"
    });
}

#[test]
fn a_retry_is_one_after_a_restart_too() {
    let (mut server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    hosts.bad.insert("2");
    // So that all of them have failed by then.
    let waves = json!([{"percent": 100, "maxFailed": 3, "timeoutSecs": 600}]);
    let id = start(&admin, &plan("2", &waves));
    hosts.until("the breach", &server, |_| is(&admin, id, "paused"));
    say(&admin, id, "retry");
    drop(admin);
    server.restart();
    let admin = Operator::first(&server);
    // Hosts say what they said before, and that is no new failure.
    for _ in 0..100 {
        hosts.beat(&server);
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    assert!(is(&admin, id, "running"), "{}", show(&admin, id));
    hosts.bad.clear();
    hosts.until("the end", &server, |_| is(&admin, id, "completed"));
}

#[test]
fn a_start_asks_what_its_dry_run_asks() {
    let (server, _hosts) = begin(0);
    let admin = Operator::first(&server);
    for (path, manifest) in [("base/1", "{}"), ("base/2", "{}"), ("top/1", r#"{"requires": {"base": "<2"}}"#)]
    {
        let path = format!("/api/v1/packages/{path}");
        assert_eq!(server.ask("PUT", &path, &[&*bearer(&admin.token)], &package_with(manifest)).status, 201);
    }
    for name in ["base", "top"] {
        let policy = json!({"version": "1", "cmd": "start"});
        assert_eq!(admin.ask("PUT", &format!("/api/v1/policies/{name}"), Some(&policy)).status, 200);
    }
    server.post("/heartbeat", &json!({"hostname": "h", "intervalSecs": 1, "realAgents": []}));
    for change in [json!({"version": "2"}), json!({"cmd": "uninstall"})] {
        let mut wanted = change;
        wanted["agent"] = json!("base");
        wanted["waves"] = json!([{"percent": 100}]);
        let dry = admin.post("/api/v1/rollouts?dryRun=true", &wanted).json();
        let why = dry["tried"]["unconfirmed"].as_str().unwrap();
        assert!(why.starts_with("1 host would not be told to run top 1, and is left out"), "{dry}");
        let refused = admin.post("/api/v1/rollouts", &wanted);
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("needs_confirmation")));
    }
}

#[test]
fn after_a_stop_only_the_same_goes_on_and_the_rest_is_taken_back_first() {
    let (server, mut hosts) = begin(6);
    let admin = Operator::first(&server);
    let few = json!([{"count": 4, "soakSecs": 3600}, {"percent": 100}]);
    let id = start(&admin, &plan("2", &few));
    hosts.until("four", &server, |hosts| hosts.at("2") == 4);
    say(&admin, id, "stop");
    let other = admin.post("/api/v1/rollouts", &plan("3", &few));
    let why = sentence(&other, 409);
    assert!(
        why.contains(
            "of which hosts keep what they have, and would go back all at once; take that back first"
        ),
        "{why}"
    );
    let again = start(&admin, &plan("2", &json!([{"percent": 100}])));
    (0..20).for_each(|_| hosts.beat(&server));
    assert!(hosts.at("2") >= 4);
    hosts.until("the end", &server, |_| is(&admin, again, "completed"));
}

#[test]
fn who_is_held_is_waited_for_where_nobody_else_is() {
    let (server, mut hosts) = begin(2);
    let admin = Operator::first(&server);
    let says = |phase: &str| {
        json!({"hostname": "held", "os": "linux", "intervalSecs": 1, "realAgents": [
        {"name": "a", "version": "1", "status": "started", "phase": phase, "timestamp": 1_800_000_000}]})
    };
    server.post("/heartbeat", &says("held"));
    let forced =
        admin.post("/api/v1/hosts/held/install", &json!({"agent": "a", "version": "2", "force": true}));
    let id = forced.json()["rollout"].as_u64().unwrap();
    hosts.until("the reason", &server, |_| {
        server.post("/heartbeat", &says("held"));
        show(&admin, id)["why"]["what"].to_string().contains("is of 1 host, all of whom are held")
    });
    assert!(is(&admin, id, "running"));
}

#[test]
fn a_group_that_is_frozen_counts_for_one_host_though_no_policy_is_for_it() {
    let (server, _hosts) = begin(2);
    let admin = Operator::first(&server);
    let group = json!({"select": "hostname=web-00"});
    assert_eq!(admin.ask("PUT", "/api/v1/groups/db", Some(&group)).status, 200);
    assert_eq!(admin.post("/api/v1/freezes", &json!({"group": "db", "why": "x"})).status, 201);
    let wanted = json!({"agent": "a", "version": "2"});
    let rejected = admin.post("/api/v1/hosts/web-00/install", &wanted);
    assert_eq!((rejected.status, &rejected.json()["code"]), (409, &json!("frozen")));
    assert_eq!(admin.post("/api/v1/hosts/web-01/install", &wanted).status, 201);
}

#[test]
fn a_list_is_read_once_however_often_it_is_named() {
    let (server, _hosts) = begin(0);
    let admin = Operator::first(&server);
    let words: Vec<String> = (0..10_000).map(|n| format!("h{n}")).collect();
    assert_eq!(admin.ask("PUT", "/api/v1/lists/big", Some(&json!({ "words": words }))).status, 200);
    // Read each time this would take minutes.
    let wanted = json!({"kind": "report", "hosts": vec!["@big"; 100_000], "allowUnknown": true});
    let dry = admin.post("/api/v1/jobs?dryRun=true", &wanted);
    assert_eq!(dry.json()["hosts"].as_array().unwrap().len(), 10_000);
}

#[test]
fn rollouts_of_groups_run_beside_each_other_where_each_policy_says_the_version() {
    let (server, mut hosts) = begin(6);
    let admin = Operator::first(&server);
    for (group, select) in [("even", "hostname in (web-00, web-02)"), ("low", "hostname in (web-00, web-01)")]
    {
        let group_path = format!("/api/v1/groups/{group}");
        assert_eq!(admin.ask("PUT", &group_path, Some(&json!({ "select": select }))).status, 200);
    }
    let of_group = |group: &str, policy: Value| {
        admin.ask("PUT", &format!("/api/v1/policies/a?group={group}&confirm=true"), Some(&policy)).status
    };
    assert_eq!(of_group("even", json!({"version": "1"})), 200);
    assert_eq!(of_group("low", json!({"version": "1"})), 200);
    let rollout = |group: &str| {
        let mut plan = plan("2", &json!([{"percent": 100, "soakSecs": 3600}]));
        plan["group"] = json!(group);
        plan
    };
    let (low, even) = (start(&admin, &rollout("low")), start(&admin, &rollout("even")));
    hosts.until("both", &server, |hosts| hosts.at("2") == 3);
    let of = |id: u64| {
        admin.get(&format!("/api/v1/rollouts/{id}/hosts")).json()["hosts"].as_array().unwrap().len()
    };
    assert_eq!((of(low), of(even)), (2, 1), "of two groups the one with the later name is the stronger");
    // One that leaves the version to others is of the same hosts.
    say(&admin, even, "rollback");
    hosts.until("the end", &server, |_| is(&admin, even, "rolled_back"));
    assert_eq!(of_group("even", json!({"trialSecs": 5})), 200);
    let default = start(&admin, &plan("3", &json!([{"count": 1, "soakSecs": 3600}, {"percent": 100}])));
    let clash = admin.post("/api/v1/rollouts", &rollout("even"));
    assert!(sentence(&clash, 409).contains(&format!("by rollout {default}, which is running")), "{clash:?}");
}
