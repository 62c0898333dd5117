//! Frozen texts and what they mean. The files are never changed, only added to: every one of them is on a wire somewhere.

// clippy.toml allows this inside of `#[test]` functions only, and the functions they share stand outside.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use ops_wire::{
    Action, ActionDone, AgentName, Answer, Cmd, DesiredAgent, Heartbeat, HexDigest, HostError, Md5, Phase,
    RealAgent, Refused, Status, StepDone, Version,
};

const TEST_SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn name(text: &str) -> AgentName {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn sha256(text: &str) -> Option<HexDigest> {
    Some(HexDigest::sha256(text).unwrap())
}

fn real(agent: &str, at: &str, status: Status, timestamp: i64) -> RealAgent {
    RealAgent::new(name(agent), Some(version(at)), status, timestamp)
}

fn desired(agent: &str, to: &str, tarball: &str, cmd: Cmd) -> DesiredAgent {
    DesiredAgent::new(name(agent), version(to), tarball.to_owned(), cmd)
}

fn without_version(agent: &str, cmd: Cmd) -> DesiredAgent {
    DesiredAgent::with_any_version(name(agent), Err("there is none".to_owned()), String::new(), cmd)
}

/// A beat that was read without a complaint.
fn beat(text: &str) -> Heartbeat {
    let (beat, refused) = Heartbeat::read(text.as_bytes()).unwrap();
    assert_eq!(refused, Vec::<Refused>::new());
    beat
}

/// An answer that was read; complaints stand in its `refused`.
fn answer(text: &str) -> Answer {
    Answer::read(text.as_bytes()).unwrap()
}

fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_bare_request_of_the_2015_readme_is_a_beat_without_a_hostname() {
    let expected = Heartbeat {
        real_agents: vec![
            real("falcon-agent", "1.0.0", Status::Started, 0),
            real("dinp-agent", "2.0.0", Status::Stopped, 0),
        ],
        ..Heartbeat::default()
    };
    assert_eq!(beat(include_str!("golden/readme_2015_request.json")), expected);
}

#[test]
fn the_bare_response_of_the_2015_readme_is_an_answer() {
    let falcon = DesiredAgent {
        md5: Md5::Prefix("http://11.11.11.11:8888/falcon".to_owned()),
        ..desired("falcon-agent", "1.0.0", "http://11.11.11.11:8888/falcon", Cmd::Start)
    };
    let dinp = desired("dinp-agent", "2.0.0", "http://11.11.11.11:8888/dinp", Cmd::Stop);
    let expected = Answer { desired_agents: vec![falcon, dinp], ..Answer::default() };
    assert_eq!(answer(include_str!("golden/readme_2015_response.json")), expected);
}

#[test]
fn the_urls_are_put_together_as_the_2015_readme_says() {
    let answer = answer(include_str!("golden/readme_2015_response.json"));
    let urls: Vec<_> = answer
        .desired_agents
        .iter()
        .map(|agent| {
            let version = agent.version.clone().unwrap();
            (agent.tarball_urls(&version).concat(), agent.md5_url(&version).unwrap())
        })
        .collect();
    let below = |path: &str| format!("http://11.11.11.11:8888/{path}");
    let expected = [
        (below("falcon/falcon-agent-1.0.0.tar.gz"), below("falcon/falcon-agent-1.0.0.tar.gz.md5")),
        (below("dinp/dinp-agent-2.0.0.tar.gz"), below("dinp/dinp-agent-2.0.0.tar.gz.md5")),
    ];
    assert_eq!(urls, expected);
}

#[test]
fn the_go_updater_is_understood() {
    let failed = Status::Other("exec `./control status` fail: exit status 1".to_owned());
    let expected = Heartbeat {
        hostname: "web-01.example.com".to_owned(),
        real_agents: vec![
            real("falcon-agent", "1.0.0", Status::Started, 1_430_000_000),
            real("dinp-agent", "2.0.0", failed, 1_430_000_000),
        ],
        ..Heartbeat::default()
    };
    assert_eq!(beat(include_str!("golden/go_request.json")), expected);
}

#[test]
fn the_go_updaters_null_is_an_empty_list() {
    let expected = Heartbeat { hostname: "web-01.example.com".to_owned(), ..Heartbeat::default() };
    assert_eq!(beat(include_str!("golden/go_request_null_agents.json")), expected);
}

#[test]
fn the_go_server_is_understood() {
    let falcon = desired("falcon-agent", "1.0.1", "http://11.11.11.11:8888/falcon", Cmd::Start);
    let dinp = DesiredAgent {
        md5: Md5::Prefix("http://11.11.11.11:8888/md5".to_owned()),
        ..desired("dinp-agent", "2.0.0", "http://11.11.11.11:8888/dinp", Cmd::Stop)
    };
    let hawk = without_version("hawk-agent", Cmd::Blank);
    let expected = Answer { desired_agents: vec![falcon, dinp, hawk], ..Answer::default() };
    assert_eq!(answer(include_str!("golden/go_response.json")), expected);
}

#[test]
fn the_go_servers_null_is_no_change() {
    assert_eq!(answer(include_str!("golden/go_response_null_agents.json")), Answer::default());
}

#[test]
fn the_go_servers_error_is_kept() {
    let expected = Answer { error_message: "hostname is blank".to_owned(), ..Answer::default() };
    assert_eq!(answer(include_str!("golden/go_response_error.json")), expected);
}

#[test]
fn the_coraldane_updater_is_understood_and_its_work_dir_passed_over() {
    let expected = Heartbeat {
        hostname: "web-01.example.com".to_owned(),
        ip: "10.0.0.7".to_owned(),
        run_user: "root".to_owned(),
        updater_version: "1.0.1".to_owned(),
        real_agents: vec![real("falcon-agent", "5.1.2", Status::Started, 1_460_000_000)],
        ..Heartbeat::default()
    };
    assert_eq!(beat(include_str!("golden/coraldane_request.json")), expected);
}

#[test]
fn the_coraldane_server_is_understood_and_its_work_dir_passed_over() {
    let falcon = DesiredAgent {
        md5: Md5::Digest(HexDigest::md5("5f9ab5e81c386cde72c022d1b6d061d9").unwrap()),
        run_user: "falcon".to_owned(),
        config_file_name: "cfg.json".to_owned(),
        config_remote_url: "http://releases.example.com/falcon/conf/falcon-agent-cfg.json".to_owned(),
        ..desired("falcon-agent", "5.1.3", "http://releases.example.com/falcon", Cmd::Start)
    };
    let expected = Answer { desired_agents: vec![falcon], ..Answer::default() };
    assert_eq!(answer(include_str!("golden/coraldane_response.json")), expected);
}

fn our_falcon() -> RealAgent {
    let step =
        |step: &str, at, ms, code: &str| StepDone { step: step.to_owned(), at, ms, code: code.to_owned() };
    RealAgent {
        sha256: sha256(TEST_SHA256),
        phase: Some(Phase::RolledBack),
        desired_version: Some(version("1.0.1")),
        error_code: "trial_failed".to_owned(),
        error: "the version started and did not stay: port 1988 is in use".to_owned(),
        attempt: Some(2),
        next_try: Some(1_790_000_600),
        percent: Some(100),
        reboot_required: true,
        steps: vec![
            step("fetch", 1_789_999_900, 5321, ""),
            step("trial", 1_789_999_960, 60_000, "trial_failed"),
        ],
        rollout: Some(17),
        ..real("falcon-agent", "1.0.0", Status::Started, 1_790_000_000)
    }
}

fn our_beat() -> Heartbeat {
    let dinp = RealAgent {
        phase: Some(Phase::Downloading),
        desired_version: Some(version("2.0.0")),
        percent: Some(0),
        ..RealAgent::new(name("dinp-agent"), None, Status::Stopped, 1_790_000_000)
    };
    let error = |agent: &str, code: &str, error: &str| HostError {
        agent: agent.to_owned(),
        code: code.to_owned(),
        error: error.to_owned(),
    };
    Heartbeat {
        hostname: "web-01.example.com".to_owned(),
        real_agents: vec![our_falcon(), dinp],
        ip: "10.0.0.7".to_owned(),
        updater_version: "0.1.0".to_owned(),
        run_user: "root".to_owned(),
        machine_id: "b1946ac92492d2347c6235b4d2611184".to_owned(),
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        labels: BTreeMap::from(
            [("idc", "beijing"), ("tier", "web")].map(|(k, v)| (k.to_owned(), v.to_owned())),
        ),
        interval_secs: Some(300),
        generation: Some(41),
        errors: vec![
            error("../evil", "bad_name", "'.' is not allowed there"),
            error("", "not_confined", "the kernel is too old"),
        ],
        actions_done: vec![
            ActionDone { id: 7, code: String::new() },
            ActionDone { id: 8, code: "unknown_cmd".to_owned() },
        ],
    }
}

fn our_answer() -> Answer {
    let falcon = DesiredAgent {
        md5: Md5::Digest(HexDigest::md5("d41d8cd98f00b204e9800998ecf8427e").unwrap()),
        sha256: sha256(EMPTY_SHA256),
        signature: "untrusted comment: signature\nRUQ=\n\
                    trusted comment: file:falcon-agent-1.0.1.tar.gz\nRUQ=\n"
            .to_owned(),
        size: Some(10_485_760),
        unpacked_size: Some(41_943_040),
        mirrors: ["http://mirror-1.example.com/falcon", "http://mirror-2.example.com/falcon/"]
            .map(str::to_owned)
            .to_vec(),
        trial_secs: Some(60),
        rollout: Some(17),
        run_user: "falcon".to_owned(),
        config_file_name: "cfg.json".to_owned(),
        config_remote_url: "http://11.11.11.11:8888/conf/falcon-agent-cfg.json".to_owned(),
        config_sha256: sha256(TEST_SHA256),
        ..desired("falcon-agent", "1.0.1", "http://11.11.11.11:8888/falcon", Cmd::Start)
    };
    let action = |id, kind: &str, agent: &str| Action { id, kind: kind.to_owned(), agent: agent.to_owned() };
    Answer {
        desired_agents: vec![falcon, without_version("dinp-agent", Cmd::Uninstall)],
        generation: Some(42),
        next_interval_secs: Some(60),
        actions: vec![action(9, "restart", "falcon-agent"), action(10, "report", "")],
        ..Answer::default()
    }
}

#[test]
fn our_request_means_what_it_says() {
    assert_eq!(beat(include_str!("golden/ours_request.json")), our_beat());
}

#[test]
fn our_request_is_printed_as_it_is_frozen() {
    assert_eq!(serde_json::to_value(our_beat()).unwrap(), value(include_str!("golden/ours_request.json")));
}

#[test]
fn our_response_means_what_it_says() {
    assert_eq!(answer(include_str!("golden/ours_response.json")), our_answer());
}

#[test]
fn our_response_is_printed_as_it_is_frozen() {
    assert_eq!(serde_json::to_value(our_answer()).unwrap(), value(include_str!("golden/ours_response.json")));
}

#[test]
fn mirrors_come_before_the_tarball_and_a_trailing_slash_is_not_doubled() {
    let [falcon, ..] = <[_; 2]>::try_from(our_answer().desired_agents).unwrap();
    let urls = falcon.tarball_urls(&version("1.0.1"));
    let file = "falcon/falcon-agent-1.0.1.tar.gz";
    let hosts = ["http://mirror-1.example.com", "http://mirror-2.example.com", "http://11.11.11.11:8888"];
    assert_eq!(urls, hosts.map(|host| format!("{host}/{file}")));
}

#[test]
fn a_sha256_wins_over_an_md5_and_an_md5_that_was_sent_has_no_url() {
    let [falcon, ..] = <[_; 2]>::try_from(our_answer().desired_agents).unwrap();
    assert_eq!(falcon.digest(), sha256(EMPTY_SHA256).as_ref());
    assert_eq!(falcon.md5_url(&version("1.0.1")), None);
}

#[test]
fn what_has_only_the_2015_fields_is_printed_with_the_2015_fields_only() {
    let beat = beat(include_str!("golden/go_request.json"));
    assert_eq!(serde_json::to_value(beat).unwrap(), value(include_str!("golden/go_request.json")));
    let answer = answer(include_str!("golden/go_response.json"));
    assert_eq!(serde_json::to_value(answer).unwrap(), value(include_str!("golden/go_response.json")));
}
