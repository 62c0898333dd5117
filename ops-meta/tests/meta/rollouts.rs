//! A policy is changed in waves: by a real server, for model hosts that beat as real ones do.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::tarball::{package, sha256};
use crate::support::{Operator, Reply, Server, bearer, config_with, first_token};

/// Longer than any rollout here takes.
const DEADLINE: Duration = Duration::from_secs(30);

fn server() -> Server {
    Server::start(&config_with(json!({ "agents": [] })))
}

/// Hosts that do what they are told: at once, or not at all.
pub struct Hosts {
    all: Vec<Host>,
    /// Versions that do not run anywhere.
    pub bad: BTreeSet<&'static str>,
    /// What becomes of those that are told another version first.
    fates: Vec<Fate>,
}

#[derive(Clone, Copy)]
enum Fate {
    Ignores,
    Vanishes,
}

struct Host {
    name: String,
    version: String,
    rollout: Option<u64>,
    /// The version that failed here.
    failed: Option<String>,
    fate: Option<Fate>,
}

impl Hosts {
    pub fn new(count: usize) -> Self {
        let host = |n| Host {
            name: format!("web-{n:02}"),
            version: "1".to_owned(),
            rollout: None,
            failed: None,
            fate: None,
        };
        Self { all: (0..count).map(host).collect(), bad: BTreeSet::new(), fates: Vec::new() }
    }

    pub fn beat(&mut self, server: &Server) {
        for host in self.all.iter_mut().filter(|host| !matches!(host.fate, Some(Fate::Vanishes))) {
            let answer = server.post("/heartbeat", &host.says()).json();
            if let Some(told) = answer["desiredAgents"].as_array().and_then(|all| all.first()) {
                if told["version"] != host.version.as_str() && host.fate.is_none() {
                    host.fate = self.fates.pop();
                }
                if host.fate.is_none() {
                    host.hears(told, &self.bad);
                }
            }
        }
    }

    pub fn at(&self, version: &str) -> usize {
        self.all.iter().filter(|host| host.version == version).count()
    }

    /// Beats until it is so.
    pub fn until(&mut self, what: &str, server: &Server, mut is_so: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < DEADLINE, "{what}: not in time");
            self.beat(server);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Host {
    fn says(&self) -> Value {
        let mut agent = json!({"name": "a", "version": self.version, "status": "started",
                               "timestamp": 1_800_000_000, "phase": "idle", "rollout": self.rollout});
        if let Some(failed) = &self.failed {
            agent["phase"] = json!("rolled_back");
            agent["errorCode"] = json!("trial_failed");
            agent["desiredVersion"] = json!(failed);
        }
        json!({"hostname": self.name, "os": "linux", "arch": "x86_64", "intervalSecs": 1, "realAgents": [agent]})
    }

    fn hears(&mut self, told: &Value, bad: &BTreeSet<&str>) {
        let version = told["version"].as_str().unwrap();
        self.rollout = told["rollout"].as_u64();
        match bad.contains(version) {
            true => self.failed = Some(version.to_owned()),
            false => {
                version.clone_into(&mut self.version);
                self.failed = None;
            }
        }
    }
}

/// Version 1 of an agent that hosts fetch elsewhere.
fn policy(admin: &Operator<'_>) {
    let policy = json!({"version": "1", "cmd": "start", "tarball": "http://elsewhere"});
    let reply = admin.ask("PUT", "/api/v1/policies/a", Some(&policy));
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A server, and that many hosts that have been heard of.
pub fn begin(count: usize) -> (Server, Hosts) {
    let server = server();
    let mut hosts = Hosts::new(count);
    policy(&Operator::first(&server));
    hosts.beat(&server);
    (server, hosts)
}

pub fn plan(version: &str, waves: &Value) -> Value {
    json!({"agent": "a", "version": version, "waves": waves})
}

pub fn start(admin: &Operator<'_>, plan: &Value) -> u64 {
    let reply = admin.post("/api/v1/rollouts", plan);
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_u64().unwrap()
}

pub fn show(admin: &Operator<'_>, id: u64) -> Value {
    let reply = admin.get(&format!("/api/v1/rollouts/{id}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

pub fn is(admin: &Operator<'_>, id: u64, state: &str) -> bool {
    show(admin, id)["state"] == state
}

pub fn say(admin: &Operator<'_>, id: u64, verb: &str) -> Reply {
    admin.ask("POST", &format!("/api/v1/rollouts/{id}/{verb}"), None)
}

pub fn sentence(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    reply.json()["detail"].as_str().unwrap().to_owned()
}

fn version_of_policy(admin: &Operator<'_>) -> String {
    admin.get("/api/v1/policies/a").json()["version"].as_str().unwrap().to_owned()
}

/// What happened to a rollout, the oldest first.
fn events(admin: &Operator<'_>, id: u64) -> Vec<String> {
    let events = admin.get(&format!("/api/v1/events?object=rollout%20{id}")).json();
    let kind = |event: &Value| event["kind"].as_str().unwrap().to_owned();
    events["events"].as_array().unwrap().iter().rev().map(kind).collect()
}

#[test]
fn a_version_reaches_few_hosts_and_then_all_and_becomes_the_policy() {
    let (mut server, mut hosts) = begin(20);
    let admin = Operator::first(&server);
    let id = start(&admin, &plan("2", &json!([{"percent": 1}, {"percent": 100, "approval": true}])));
    hosts.until("the first wave", &server, |_| is(&admin, id, "awaiting_approval"));
    assert_eq!(hosts.at("2"), 1, "1 % of 20 is one");
    hosts.until("the counts", &server, |_| show(&admin, id)["each"][0]["of"] == json!({"done": 1}));
    assert_eq!(show(&admin, id)["each"][0]["name"], "1 %");
    assert_eq!(version_of_policy(&admin), "1");

    assert_eq!(say(&admin, id, "approve").status, 200);
    hosts.until("the end", &server, |_| is(&admin, id, "completed"));
    assert_eq!((hosts.at("2"), version_of_policy(&admin)), (20, "2".to_owned()));
    let expected = ["started", "wave_begun", "awaits_approval", "approved", "completed"];
    assert_eq!(events(&admin, id), expected.map(|kind| format!("rollout.{kind}")));
    let shown = show(&admin, id);
    assert_eq!(shown["why"]["what"], "it is complete: the policy says what it changed", "{shown}");
    // From now on it is the policy that says so.
    hosts.beat(&server);
    assert!(hosts.all.iter().all(|host| host.rollout.is_none()));
    // How it ended is kept.
    server.restart();
    let shown = show(&Operator::first(&server), id);
    assert_eq!((&shown["each"][1]["of"], &shown["percent"]), (&json!({"done": 19}), &json!(100)), "{shown}");
    assert!(shown["counted"].is_i64());
}

#[test]
fn a_version_that_fails_reaches_few_hosts_and_is_taken_back() {
    let (server, mut hosts) = begin(20);
    let admin = Operator::first(&server);
    hosts.bad.insert("2");
    let failed = |hosts: &Hosts| hosts.all.iter().filter(|host| host.failed.is_some()).count();
    let id = start(&admin, &plan("2", &json!([{"percent": 10, "maxFailed": 5}, {"percent": 100}])));
    hosts.until("two failures", &server, |_| show(&admin, id)["failures"]["trial_failed"]["hosts"] == 2);
    let waits = "0 of 2 hosts ordered in wave \"10 %\" are done, and 1 have to be; the others failed";
    hosts.until("the reason", &server, |_| show(&admin, id)["why"]["what"] == waits);
    assert_eq!((failed(&hosts), show(&admin, id)["state"].clone()), (2, json!("running")));
    let list = admin.get(&format!("/api/v1/rollouts/{id}/hosts?class=rolled_back")).json();
    assert_eq!(list["hosts"].as_array().unwrap().len(), 2, "{list}");
    say(&admin, id, "rollback");
    hosts.until("the way back", &server, |_| is(&admin, id, "rolled_back"));
    assert_eq!((hosts.at("1"), failed(&hosts), version_of_policy(&admin)), (20, 0, "1".to_owned()));

    // It pauses by itself, or takes it back where it is told so.
    let mut plan = plan("2", &json!([{"percent": 10}, {"percent": 100}]));
    let id = start(&admin, &plan);
    hosts.until("the breach", &server, |_| is(&admin, id, "paused"));
    let shown = show(&admin, id);
    assert!(shown["breach"]["why"].as_str().unwrap().contains("of 2 hosts ordered"), "{shown}");
    say(&admin, id, "rollback");
    hosts.until("the way back", &server, |_| is(&admin, id, "rolled_back"));
    plan["onBreach"] = json!("rollback");
    let id = start(&admin, &plan);
    hosts.until("the way back", &server, |_| is(&admin, id, "rolled_back"));
    assert_eq!((hosts.at("1"), failed(&hosts)), (20, 0));
    let expected = ["started", "wave_begun", "breached", "taken_back"];
    assert_eq!(events(&admin, id), expected.map(|kind| format!("rollout.{kind}")));
}

#[test]
fn people_pause_it_go_on_end_a_wave_and_stop_it() {
    let (server, mut hosts) = begin(10);
    let admin = Operator::first(&server);
    let waves =
        json!([{"percent": 20, "soakSecs": 3600}, {"percent": 50, "soakSecs": 3600}, {"percent": 100}]);
    let id = start(&admin, &plan("2", &waves));
    hosts.until("the first wave", &server, |hosts| hosts.at("2") == 2);
    let paused = say(&admin, id, "pause").json();
    assert_eq!(
        (&paused["state"], &paused["verbs"]),
        (&json!("paused"), &json!(["resume", "stop", "rollback", "retry"]))
    );
    assert_eq!(paused["why"]["what"], "somebody stopped or paused it");
    assert_eq!(say(&admin, id, "pause").status, 200, "it is so already");
    let why = sentence(&say(&admin, id, "next"), 409);
    assert_eq!(why, "a rollout that is paused cannot next; it can resume, stop, rollback, retry");
    // Whoever has it keeps it.
    (0..3).for_each(|_| hosts.beat(&server));
    assert_eq!(hosts.at("2"), 2);
    assert_eq!(say(&admin, id, "resume").json()["state"], "running");
    let next = format!("/api/v1/rollouts/{id}/next");
    for _ in 0..2 {
        assert_eq!(admin.post(&next, &json!({"wave": 1})).status, 200, "the same wave again ends no other");
    }
    hosts.until("the second wave", &server, |hosts| hosts.at("2") == 5);
    assert_eq!(admin.post(&next, &json!({"wave": 1})).status, 200);
    assert_eq!(show(&admin, id)["begun"], 2);
    assert_eq!(
        sentence(&admin.post(&next, &json!({"wave": 3})), 409).split(';').next().unwrap(),
        "next is meant for wave 3, and 2 have begun"
    );

    assert_eq!(say(&admin, id, "stop").json()["state"], "stopped");
    (0..3).for_each(|_| hosts.beat(&server));
    assert_eq!((hosts.at("2"), version_of_policy(&admin)), (5, "1".to_owned()));
    assert!(sentence(&admin.delete(&format!("/api/v1/rollouts/{id}")), 409).contains("keep it until"));
    // Another one goes on from there.
    let other = start(&admin, &plan("2", &json!([{"percent": 100}])));
    hosts.until("the end", &server, |_| is(&admin, other, "completed"));
    assert_eq!(hosts.at("2"), 10);
    assert!(sentence(&say(&admin, id, "rollback"), 409).contains("start another one"));
    assert_eq!(admin.delete(&format!("/api/v1/rollouts/{id}")).status, 204);
    assert_eq!(admin.get(&format!("/api/v1/rollouts/{id}")).status, 404);
    let list = admin.get("/api/v1/rollouts?state=completed&agent=a").json();
    assert_eq!(list["rollouts"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn a_server_that_was_killed_goes_on_where_it_was() {
    let (mut server, mut hosts) = begin(10);
    let id = {
        let admin = Operator::first(&server);
        start(&admin, &plan("2", &json!([{"percent": 30}, {"percent": 100, "maxInFlight": 2}])))
    };
    for kills in 0..3 {
        hosts.until("some hosts", &server, |hosts| hosts.at("2") > 2 * kills);
        server.restart_killed();
        // It learns first, and nobody who has it loses it.
        let before = hosts.at("2");
        hosts.beat(&server);
        assert!(hosts.at("2") >= before && hosts.at("2") < 10);
    }
    let admin = Operator::with(&server, first_token(&server.path("data")));
    hosts.until("the end", &server, |_| is(&admin, id, "completed"));
    assert_eq!((hosts.at("2"), version_of_policy(&admin)), (10, "2".to_owned()));
}

#[test]
fn a_policy_that_is_being_changed_is_nobody_elses() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    let waves = json!([{"count": 1, "soakSecs": 3600}, {"percent": 100}]);
    let id = start(&admin, &plan("2", &waves));
    let why = format!(
        "policy a is being changed by rollout {id}, which is running; wait for its end, or end it (`stop`, `rollback`)"
    );
    let policy = json!({"version": "3", "cmd": "start", "tarball": "http://elsewhere"});
    let edit = || admin.ask("PUT", "/api/v1/policies/a?confirm=true", Some(&policy));
    assert_eq!(sentence(&edit(), 409), why);
    assert_eq!(sentence(&admin.delete("/api/v1/policies/a?confirm=true"), 409), why);
    assert_eq!(sentence(&admin.post("/api/v1/rollouts", &plan("3", &waves)), 409), why);
    assert_eq!(
        sentence(&admin.delete(&format!("/api/v1/rollouts/{id}")), 409).split(';').next().unwrap(),
        format!("this is rollout {id}, which is running")
    );
    // Others may be.
    assert_eq!(admin.ask("PUT", "/api/v1/policies/b", Some(&policy)).status, 200);

    hosts.until("the first wave", &server, |hosts| hosts.at("2") == 1);
    say(&admin, id, "stop");
    let edited = edit();
    assert_eq!(edited.status, 200, "{}", edited.text());
    hosts.until("the edit", &server, |hosts| hosts.at("3") == 4);
    assert!(show(&admin, id)["finished"].is_i64());
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let (server, _hosts) = begin(3);
    let admin = Operator::first(&server);
    let all = json!([{"percent": 100}]);
    let fault = |plan: &Value| {
        let refused = admin.post("/api/v1/rollouts", plan);
        assert_eq!(refused.status, 400, "{}", refused.text());
        let fault = refused.json()["faults"][0].clone();
        format!("{}: {}", fault["path"].as_str().unwrap(), fault["why"].as_str().unwrap())
    };
    for (plan, expected) in [
        (
            json!({"agent": "x", "version": "2", "waves": all}),
            "agent: there is no policy x, and a rollout changes one; make it first",
        ),
        (json!({"agent": "a", "version": "2"}), "waves: there are none"),
        (
            json!({"agent": "a", "version": "2", "waves": [{"percent": 1}]}),
            "waves[0]: the last wave has to be 100 %",
        ),
        (
            json!({"agent": "a", "version": "2", "waves": [{"percent": 50, "select": "env=x"}, {"percent": 100}]}),
            "waves[0].select: no host of policy a is of the wave \"50 % of env=x\"; `allowEmpty`",
        ),
    ] {
        let found = fault(&plan);
        assert!(found.starts_with(expected), "{found}");
    }
    let already = admin.post("/api/v1/rollouts", &plan("1", &all));
    assert_eq!((already.status, &already.json()["id"]), (200, &Value::Null));
    assert_eq!(already.json()["already"], "that is ordered already (policy a)");
    // Where hosts fetch it here, it has to be here.
    let own = json!({"version": "1", "cmd": "stop"});
    assert_eq!(admin.ask("PUT", "/api/v1/policies/own?confirm=true", Some(&own)).status, 400);
    let dry = admin.post("/api/v1/rollouts?dryRun=true", &plan("2", &all));
    assert_eq!(
        (dry.status, &dry.json()["id"], &dry.json()["tried"]["changed"]["changed"]),
        (200, &Value::Null, &json!(3))
    );
    assert_eq!(sentence(&say(&admin, 7, "pause"), 404), "there is no rollout 7");
    let edit = admin.ask("PUT", "/api/v1/rollouts/1", Some(&plan("3", &all)));
    assert!(sentence(&edit, 405).starts_with("a rollout does not change once it is written down: stop it"));
    assert_eq!(sentence(&say(&admin, 7, "dance"), 404).split(':').next().unwrap(), "there is no such verb");
}

#[test]
fn a_host_is_told_why_it_waits_and_a_stronger_policy_shields_it() {
    let (server, mut hosts) = begin(5);
    let admin = Operator::first(&server);
    let own = json!({"version": "1"});
    assert_eq!(admin.ask("PUT", "/api/v1/policies/a?host=web-04", Some(&own)).status, 200);
    let id = start(&admin, &plan("2", &json!([{"count": 1, "soakSecs": 3600}, {"percent": 100}])));
    hosts.until("the first wave", &server, |hosts| hosts.at("2") == 1);
    // It has to say so.
    hosts.beat(&server);
    let of =
        |hostname: &str| admin.get(&format!("/api/v1/hosts/{hostname}/explain")).json()["agents"][0].clone();
    assert_eq!(of("web-04")["rollouts"], json!([]));
    for host in &hosts.all[..4] {
        let (agent, is_told) = (of(&host.name), host.version == "2");
        let rollout = &agent["rollouts"][0];
        assert_eq!((&rollout["id"], &rollout["tells"]), (&json!(id), &json!(is_told)), "{agent}");
        // To the digits that JSON has.
        let below = rollout["position"].as_f64() <= rollout["threshold"].as_f64();
        let sentence = rollout["sentence"].as_str().unwrap();
        let (begin, end) = match is_told {
            true => ("wave 1 (1 host) admits this host", "; it has the change, and keeps it."),
            false => ("wave 1 (1 host) does not admit this host, whose position", "what the policy says."),
        };
        let told = format!("Rollout {id} changes the policy of all hosts to version 2: {begin}");
        assert!(sentence.starts_with(&told) && sentence.ends_with(end), "{sentence}");
        assert_eq!((below, agent["told"]["version"] == "2"), (is_told, is_told));
        let strongest = agent["policies"][0]["of"].as_str().unwrap();
        assert_eq!(strongest == format!("all hosts (as rollout {id} changes it)"), is_told, "{strongest}");
    }
    hosts.until("a count", &server, |_| show(&admin, id)["each"][1]["hosts"] == 4);
}

#[test]
fn a_package_that_a_rollout_orders_cannot_be_deleted_and_is_told_whole() {
    let server = server();
    let admin = Operator::first(&server);
    let push = |version: &str, platform: &str| {
        let body = package(version);
        let path = format!("/api/v1/packages/a/{version}{platform}");
        assert_eq!(server.ask("PUT", &path, &[&*bearer(&admin.token)], &body).status, 201);
        sha256(&body)
    };
    push("1", "");
    let digest = push("2", "?os=linux&arch=x86_64");
    let policy = json!({"version": "1", "cmd": "start"});
    assert_eq!(admin.ask("PUT", "/api/v1/policies/a", Some(&policy)).status, 200);
    let mut hosts = Hosts::new(2);
    hosts.beat(&server);
    let other =
        json!({"hostname": "arm", "os": "linux", "arch": "aarch64", "intervalSecs": 1, "realAgents": []});
    server.post("/heartbeat", &other);
    let missing = admin.post("/api/v1/rollouts", &plan("3", &json!([{"percent": 100}]))).json();
    assert_eq!(missing["faults"][0]["path"], "version", "{missing}");
    let two = plan("2", &json!([{"percent": 50, "soakSecs": 3600}, {"percent": 100}]));
    let refused = admin.post("/api/v1/rollouts", &two);
    assert_eq!(refused.json()["code"], "needs_confirmation");
    assert!(
        sentence(&refused, 409)
            .starts_with("1 host would not be told to run a 2, and is left out: there is no package")
    );
    assert_eq!(admin.post("/api/v1/rollouts?confirm=true", &two).status, 201);
    hosts.until("the first wave", &server, |hosts| hosts.at("2") == 1);
    let moved = hosts.all.iter().find(|host| host.version == "2").unwrap();
    let told = server.post("/heartbeat", &moved.says()).json()["desiredAgents"][0].clone();
    assert_eq!((&told["sha256"], &told["rollout"]), (&json!(digest), &json!(1)));
    hosts.until("a count", &server, |_| show(&admin, 1)["rest"] == json!({"excluded": 1, "pending": 1}));
    let why = sentence(&admin.delete("/api/v1/packages/a/2"), 409);
    assert!(why.contains("rollout 1 orders it for all hosts"), "{why}");
}

#[test]
fn a_list_that_a_wave_names_stays_as_long_as_it_does() {
    let (server, _hosts) = begin(3);
    let admin = Operator::first(&server);
    let words = json!({"words": ["web-01"]});
    assert_eq!(admin.ask("PUT", "/api/v1/lists/few", Some(&words)).status, 200);
    let waves = json!([{"percent": 100, "select": "hostname in @few", "soakSecs": 3600}, {"percent": 100}]);
    let id = start(&admin, &plan("2", &waves));
    let why = sentence(&admin.delete("/api/v1/lists/few"), 409);
    assert!(why.starts_with(&format!("the waves of rollout {id}, which is running")), "{why}");
    let more = json!({"words": ["web-01", "web-02"]});
    let why = sentence(&admin.ask("PUT", "/api/v1/lists/few", Some(&more)), 409);
    assert!(
        why.starts_with(&format!("it would change the waves of rollout {id}, which is running")),
        "{why}"
    );
    say(&admin, id, "rollback");
}

#[test]
fn hosts_that_do_nothing_or_fall_silent_count_as_failed() {
    let (server, mut hosts) = begin(10);
    let admin = Operator::first(&server);
    hosts.fates = vec![Fate::Ignores, Fate::Vanishes];
    let waves = json!([{"percent": 30, "timeoutSecs": 5, "maxFailed": 1}, {"percent": 100}]);
    let id = start(&admin, &plan("2", &waves));
    hosts.until("the breach", &server, |_| is(&admin, id, "paused"));
    let shown = show(&admin, id);
    let why = "2 of 3 hosts ordered in wave \"30 %\" failed (1 timed out, 1 vanished), and 1 may";
    assert_eq!((&shown["breach"]["why"], hosts.at("2")), (&json!(why), 1), "{shown}");
    // Known failures are no breach again.
    say(&admin, id, "resume");
    let waits = "1 of 3 hosts ordered in wave \"30 %\" are done, and 2 have to be; the others failed";
    hosts.until("the reason", &server, |_| show(&admin, id)["why"]["what"] == waits);
    say(&admin, id, "next");
    hosts.until("the others", &server, |hosts| hosts.at("2") == 8);
}

#[test]
fn a_draft_leaves_what_was_stopped_as_it_is() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    let waves = json!([{"count": 2, "soakSecs": 600}, {"percent": 100}]);
    let id = start(&admin, &plan("2", &waves));
    hosts.until("the first wave", &server, |hosts| hosts.at("2") == 2);
    say(&admin, id, "stop");
    let mut draft = plan("2", &waves);
    draft["draft"] = json!(true);
    let refused = admin.post("/api/v1/rollouts", &draft);
    assert!(
        refused.status == 409 && refused.text().contains("hosts keep what they have"),
        "{}",
        refused.text()
    );
    for _ in 0..5 {
        hosts.beat(&server);
    }
    assert_eq!(hosts.at("2"), 2);
}

#[test]
fn nobody_is_late_for_what_was_said_before_a_pause() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    hosts.fates = vec![Fate::Ignores];
    let waves = json!([{"count": 1, "timeoutSecs": 4, "maxFailed": 0}, {"percent": 100}]);
    let id = start(&admin, &plan("2", &waves));
    hosts.until("the order", &server, |hosts| hosts.fates.is_empty());
    say(&admin, id, "pause");
    let beats = |hosts: &mut Hosts, secs| {
        let begun = Instant::now();
        hosts.until("some time", &server, |_| begun.elapsed() > Duration::from_secs(secs));
    };
    beats(&mut hosts, 6);
    say(&admin, id, "resume");
    beats(&mut hosts, 2);
    assert!(is(&admin, id, "running"), "it has all its time again");
    hosts.until("the breach", &server, |_| is(&admin, id, "paused"));
}

#[test]
fn who_failed_is_still_known_after_a_pause_and_when_it_was_taken_back() {
    let (server, mut hosts) = begin(4);
    let admin = Operator::first(&server);
    hosts.bad.insert("2");
    let id = start(&admin, &plan("2", &json!([{"percent": 100, "maxFailed": 1}])));
    hosts.until("the breach", &server, |_| is(&admin, id, "paused"));
    // They are told the old version now, and say nothing of the new one any more.
    for _ in 0..40 {
        hosts.all.iter_mut().for_each(|host| host.failed = None);
        hosts.beat(&server);
        thread::sleep(Duration::from_millis(20));
    }
    let failed = show(&admin, id)["failures"]["trial_failed"]["hosts"].as_u64();
    assert!(failed >= Some(2), "{}", show(&admin, id));
    let listed = admin.get(&format!("/api/v1/rollouts/{id}/hosts?class=rolled_back")).json();
    assert_eq!(listed["hosts"].as_array().map(Vec::len), failed.map(|it| it as usize), "{listed}");
    say(&admin, id, "rollback");
    hosts.until("the end", &server, |_| is(&admin, id, "rolled_back"));
    assert_eq!(
        show(&admin, id)["failures"]["trial_failed"]["hosts"].as_u64(),
        failed,
        "{}",
        show(&admin, id)
    );
}

#[test]
fn what_was_stopped_before_anybody_heard_of_it_is_over() {
    let (server, _hosts) = begin(2);
    let admin = Operator::first(&server);
    let closed = json!([{"start": "00:00", "durationSecs": 1, "days": ["mon"], "zone": "UTC"}]);
    let mut wanted = plan("2", &json!([{"percent": 100}]));
    wanted["windows"] = closed;
    let id = start(&admin, &wanted);
    thread::sleep(Duration::from_millis(1500));
    say(&admin, id, "stop");
    assert!(show(&admin, id)["finished"].is_i64());
    assert_eq!(admin.delete(&format!("/api/v1/rollouts/{id}")).status, 204);
}
