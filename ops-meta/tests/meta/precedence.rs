//! The rules of a 2015 cfg.json: `default`, then each of `others` whose prefix begins the hostname, in order, every
//! field that is not empty overriding. Written down here a second time, field by field.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Server, beat, config, config_with};

fn other(prefix: &str, version: &str, tarball: &str, md5: &str, cmd: &str) -> Value {
    json!({ "prefix": prefix, "version": version, "tarball": tarball, "md5": md5, "cmd": cmd })
}

fn wanted(server: &Server, hostname: &str) -> Value {
    server.post("/heartbeat", &beat(hostname, "started")).json()["desiredAgents"].clone()
}

#[test]
fn the_rules_of_2015_by_example() {
    let digest = "d41d8cd98f00b204e9800998ecf8427e";
    let others = json!([
        other("lg-", "2.0.0", "", "", ""),
        other("lg-dinp", "", "http://dinp", "", ""),
        other("lg-dinp-01", "", "", digest, "stop"),
        other("lg-", "2.0.1", "", "", ""),
        other("", "", "", "http://md5", ""),
        other("bj", "3.0.0", "http://bj", "", "uninstall"),
    ]);
    let default = json!({ "name": "falcon-agent", "version": "1.0.0", "tarball": "http://all", "md5": "", "cmd": "start" });
    let second =
        json!({ "default": { "name": "second", "version": "", "tarball": "", "md5": "", "cmd": "" } });
    let agents = json!([{ "default": default, "others": others }, second]);
    let server = Server::start(&config_with(json!({ "agents": agents })));
    for (hostname, version, tarball, md5, cmd) in [
        ("web01", "1.0.0", "http://all", "http://md5", "start"),
        ("lg", "1.0.0", "http://all", "http://md5", "start"),
        ("lg-web", "2.0.1", "http://all", "http://md5", "start"),
        ("lg-dinp", "2.0.1", "http://dinp", "http://md5", "start"),
        // Its own digest comes before the entry for all, which stands later in the file.
        ("lg-dinp-01.x", "2.0.1", "http://dinp", "http://md5", "stop"),
        ("bj01", "3.0.0", "http://bj", "http://md5", "uninstall"),
        ("LG-web", "1.0.0", "http://all", "http://md5", "start"),
    ] {
        let agents = wanted(&server, hostname);
        let first =
            json!({ "name": "falcon-agent", "version": version, "tarball": tarball, "md5": md5, "cmd": cmd });
        assert_eq!(agents[0], first, "{hostname}");
        assert_eq!(agents[1]["name"], "second");
    }
}

#[test]
fn the_example_file_of_2015_is_read_as_it_stands() {
    let example = r#"{
        "debug": true,
        "tarballDir": "/home/work/tarballs",
        "http": { "enabled": true, "listen": "0.0.0.0:0" },
        "agents": [
            {
                "default": {
                    "name": "falcon-agent", "version": "1.0.0", "tarball": "http://11.11.11.11:8888/falcon",
                    "md5": "", "cmd": "start"
                },
                "others": [
                    { "prefix": "lg-dinp", "version": "2.0.0", "tarball": "http://11.11.11.11:8888/falcon",
                      "md5": "", "cmd": "stop" }
                ]
            },
            {
                "default": {
                    "name": "dinp-agent", "version": "2.0.0", "tarball": "http://11.11.11.11:8888/dinp",
                    "md5": "", "cmd": ""
                }
            }
        ]
    }"#;
    let server = Server::start(&serde_json::from_str(example).unwrap());
    assert_eq!(wanted(&server, "lg-dinp-01")[0]["cmd"], "stop");
    assert_eq!(wanted(&server, "web")[0]["cmd"], "start");
    assert_eq!(wanted(&server, "web")[1]["version"], "2.0.0");
}

/// What the rules give one field of one agent.
fn by_the_rules(agent: &Value, field: &str, hostname: &str) -> Value {
    let mut value = agent["default"][field].clone();
    for other in agent["others"].as_array().unwrap() {
        let matches = hostname.starts_with(other["prefix"].as_str().unwrap());
        if matches && other[field] != "" {
            value = other[field].clone();
        }
    }
    value
}

fn pick(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(values).prop_map(str::to_owned)
}

fn fields() -> impl Strategy<Value = Value> {
    let version = pick(&["", "1.0", "2.0", "3.0-rc1"]);
    let tarball = pick(&["", "http://a/x", "https://b"]);
    let md5 = pick(&["", "http://md5", "d41d8cd98f00b204e9800998ecf8427e"]);
    // A start needs more than these give; it is in the examples above.
    (version, tarball, md5, pick(&["", "stop", "uninstall"]))
        .prop_map(|(version, tarball, md5, cmd)| other("", &version, &tarball, &md5, &cmd))
}

fn agents() -> impl Strategy<Value = Vec<Value>> {
    let other = ("[ab]{0,4}", fields()).prop_map(|(prefix, mut fields)| {
        fields["prefix"] = json!(prefix);
        fields
    });
    let agent = (fields(), prop::collection::vec(other, 0..6)).prop_map(|(mut default, others)| {
        default.as_object_mut().unwrap().remove("prefix");
        json!({ "default": default, "others": others })
    });
    prop::collection::vec(agent, 0..4).prop_map(|mut agents| {
        agents
            .iter_mut()
            .enumerate()
            .for_each(|(n, agent)| agent["default"]["name"] = json!(format!("agent{n}")));
        agents
    })
}

#[test]
fn the_rules_of_2015_hold_for_every_file_and_host() {
    let server = Server::start(&config());
    let hosts = prop::collection::vec("[ab]{1,6}", 6);
    proptest!(ProptestConfig::with_cases(60), |(agents in agents(), hosts in hosts)| {
        server.configure(&config_with(json!({ "agents": agents })));
        prop_assert_eq!(&server.get("/config/reload").json()["msg"], "success");
        for hostname in hosts {
            let given = wanted(&server, &hostname);
            prop_assert_eq!(given.as_array().unwrap().len(), agents.len());
            for (agent, given) in agents.iter().zip(given.as_array().unwrap()) {
                prop_assert_eq!(&given["name"], &agent["default"]["name"]);
                for field in ["version", "tarball", "md5", "cmd"] {
                    let expected = by_the_rules(agent, field, &hostname);
                    prop_assert_eq!(&given[field], &expected, "{} of {}", field, hostname);
                }
            }
        }
    });
}
