//! What is written, and what is wrong with it.

use ops_wire::{Cmd, Md5};

use super::*;
use crate::domain::desired::PolicyText;
use crate::domain::precedence::Order;

fn faults(waves: Value) -> Vec<String> {
    plan(json!({"agent": "a", "version": "2", "waves": waves})).err().unwrap_or_default()
}

#[test]
fn what_is_left_out_is_what_an_operator_expects() {
    let plan =
        plan(json!({"agent": "a", "version": "2", "waves": [{"percent": 0.25}, {"percent": 100}]})).unwrap();
    let wave = &plan.waves[0];
    assert_eq!((wave.name.as_str(), wave.success_percent, wave.min_sample), ("0.25 %", None, 10));
    assert_eq!((wave.timeout_secs, wave.soak_secs, wave.approval), (900, 0, false));
    assert_eq!((wave.max_failed, plan.on_breach), ("2%".parse().unwrap(), OnBreach::Pause));
}

#[test]
fn waves_that_make_no_sense_are_refused_one_by_one() {
    for (waves, expected) in [
        (json!([]), "`waves`: there are none; one wave with `percent` 100 changes all hosts at once"),
        (
            json!([{"percent": 0}, {"percent": 100}]),
            "`waves[0].percent`: 0 % is nobody; it has to be 0.01 to 100",
        ),
        (
            json!([{"count": 0}, {"percent": 100}]),
            "`waves[0].count`: 0 hosts are nobody; it has to be 1 or more",
        ),
        (
            json!([{"percent": 1, "count": 1}, {"percent": 100}]),
            "`waves[0].percent`: there is a `count`, too; leave one of them out",
        ),
        (
            json!([{}, {"percent": 100}]),
            "`waves[0].percent`: how many hosts is missing; write `percent` or `count`",
        ),
        (
            json!([{"percent": 10}, {"percent": 5}, {"percent": 100}]),
            "`waves[1].percent`: 5 % is not more than the 10 % of the wave \"10 %\" before it, and nobody would be left \
             for it: shares include those of earlier waves; make it larger, or leave the wave out",
        ),
        (
            json!([{"count": 5}, {"count": 5, "name": "again"}, {"percent": 100}]),
            "`waves[1].count`: 5 hosts is not more than the 5 hosts of the wave \"5 hosts\" before it, and nobody would be \
             left for it: shares include those of earlier waves; make it larger, or leave the wave out",
        ),
        (
            json!([{"percent": 1, "name": "x"}, {"percent": 100, "name": "x"}]),
            "`waves[1].name`: there are two waves \"x\"; call one otherwise",
        ),
        (
            json!([{"percent": 10}]),
            "`waves[0]`: the last wave has to be 100 % of all hosts, since the policy is written when it is over; add one, \
             with `approval` where somebody should look first",
        ),
        (
            json!([{"percent": 100, "select": "env"}, {"percent": 100}]),
            "`waves[0].select`: column 1\nenv\n^ `env` lacks an operator",
        ),
        (
            json!([{"percent": 100, "maxInFlight": 0}]),
            "`waves[0].maxInFlight`: of 0 nothing would ever happen; it has to be 1 or more, or left out",
        ),
        (
            json!([{"percent": 100, "successPercent": 101}]),
            "`waves[0].successPercent`: it has to be 0 to 100",
        ),
        (
            json!([{"percent": 100, "timeoutSecs": 0}]),
            "`waves[0].timeoutSecs`: it has to be 1 to 604800, which are 7 days",
        ),
    ] {
        let found = faults(waves.clone());
        assert!(found.iter().any(|it| it.starts_with(expected)), "{waves}: {found:#?}");
        assert_eq!(found.len(), 1, "{found:#?}");
    }
    let many: Vec<_> = (1..=33).map(|n| json!({"percent": n})).collect();
    assert_eq!(faults(json!(many)), ["`waves`: there are 33, 32 are allowed; join some"]);
}

#[test]
fn what_is_no_number_of_a_wave_is_refused_where_it_stands() {
    for (wave, expected) in [
        (json!({"percent": 100.01}), "a percentage is a number from 0 to 100 with two decimals at most"),
        (json!({"percent": 0.001}), "a percentage is a number from 0 to 100 with two decimals at most"),
        (json!({"percent": -1}), "a percentage is a number from 0 to 100 with two decimals at most"),
        (
            json!({"maxFailed": "many"}),
            "\"many\" is no number of hosts and no percentage; write it as `3` or `2%`",
        ),
        (json!({"maxFailed": -1}), "a number of hosts, or a percentage such as \"2%\""),
        (json!({"soak": 1}), "unknown field `soak`"),
    ] {
        let why = serde_json::from_value::<WaveText>(wave).unwrap_err().to_string();
        assert!(why.starts_with(expected), "{why}");
    }
}

#[test]
fn waves_of_a_selection_and_of_all_stand_beside_each_other() {
    let waves = json!([
        {"select": "hostname=c*", "percent": 50}, {"select": "hostname=c*", "percent": 100, "name": "canaries"},
        {"count": 5}, {"percent": 20}, {"percent": 100},
    ]);
    let plan = plan(json!({"agent": "a", "cmd": "stop", "group": "prod", "waves": waves})).unwrap();
    let labels = Default::default();
    let host = |hostname| crate::domain::selector::HostFacts {
        hostname,
        os: "",
        arch: "",
        ip: None,
        labels: &labels,
    };
    assert_eq!((plan.selected(&host("c1")), plan.selected(&host("h1"))), (0b11111, 0b11100));
}

#[test]
fn a_plan_says_what_is_to_change_and_where() {
    for (text, expected) in [
        (json!({"agent": "a"}), "`version`: nothing would change; say which `version`, or which `cmd`"),
        (
            json!({"agent": "a", "cmd": "dance"}),
            "`cmd`: \"dance\" is none; it has to be start, stop or uninstall",
        ),
        (json!({"agent": "", "cmd": "stop"}), "`agent`: this is no name: "),
        (
            json!({"agent": "a", "cmd": "stop", "group": "g", "host": "h"}),
            "`group`: it is for one of `group`, `host` and `hosts`; leave the others out",
        ),
        (
            json!({"agent": "a", "cmd": "stop", "host": "h", "hosts": ["h"]}),
            "`group`: it is for one of `group`, `host` and `hosts`",
        ),
        (json!({"agent": "a", "cmd": "stop", "hosts": ["h", ""]}), "`hosts[1]`: hostname is blank"),
        (
            json!({"agent": "a", "cmd": "stop", "hosts": vec!["h"; 10_001]}),
            "`hosts`: there are 10001, and 10000 are allowed; for more make a group",
        ),
    ] {
        let mut text = text;
        text["waves"] = json!([{"percent": 100}]);
        let found = plan(text).unwrap_err();
        assert!(found[0].starts_with(expected) && found.len() == 1, "{found:?}");
    }
}

#[test]
fn a_policy_forgets_what_described_the_old_version() {
    let order = Order {
        version: Some("1".parse().unwrap()),
        cmd: Cmd::Start,
        tarball: "http://t".to_owned(),
        md5: Md5::read(&"0".repeat(32)),
        size: Some(5),
        run_user: "u".to_owned(),
        ..Order::default()
    };
    let version = Target { version: Some("2".parse().unwrap()), cmd: None };
    let new = version.applied_to(&order);
    let expected =
        Order { version: Some("2".parse().unwrap()), md5: Md5::TarballPrefix, size: None, ..order.clone() };
    assert_eq!(new, expected);
    let cmd = Target { version: None, cmd: Some(Cmd::Stop) };
    assert_eq!(cmd.applied_to(&order), Order { cmd: Cmd::Stop, ..order });
}

#[test]
fn a_line_says_all_waves() {
    let text = PresetText {
        waves: "1%,10%,50%, 100%",
        soak: Some("10m"),
        max_failed: Some("2%"),
        ..PresetText::default()
    };
    let waves = preset(&text).unwrap();
    assert_eq!(
        serde_json::to_value(&waves[1]).unwrap(),
        json!({"name": "10 %", "percent": 10, "maxFailed": "2%", "soakSecs": 600})
    );
    assert_eq!(
        waves.iter().map(|wave| wave.name.as_str()).collect::<Vec<_>>(),
        ["1 %", "10 %", "50 %", "100 %"]
    );
    for (text, expected) in [
        (PresetText { waves: "", ..text }, "--waves: \"\" is no share of the hosts; write shares that grow"),
        (PresetText { waves: "1%,x", ..text }, "--waves: \"x\" is no share"),
        (PresetText { waves: "101%", ..text }, "--waves: \"101%\" is no share"),
        (PresetText { soak: Some("10"), ..text }, "--soak: \"10\" is no length of time; write it as `90s`"),
        (
            PresetText { max_failed: Some("2 per cent"), ..text },
            "--max-failed: \"2 per cent\" is no number of hosts",
        ),
    ] {
        let why = preset(&text).unwrap_err();
        assert!(why.starts_with(expected), "{why}");
    }
}

#[test]
fn a_share_of_some_hosts_is_never_nobody() {
    let percent = |text: &str| text.parse::<Percent>().unwrap();
    for (share, hosts, expected) in [
        ("1%", 0, 0),
        ("1%", 1, 1),
        ("1%", 100, 1),
        ("1%", 101, 2),
        ("0.25%", 1_000_000, 2500),
        ("100%", 7, 7),
    ] {
        assert_eq!(Share::Percent(percent(share)).of(hosts), expected, "{share} of {hosts}");
    }
    assert_eq!((Share::Count(5).of(3), Share::Count(5).of(30)), (3, 5));
    assert!(percent("2%").is_exceeded_by(3, 100) && !percent("2%").is_exceeded_by(2, 100));
}

/// A policy is written as what hosts were told by then.
#[test]
fn what_is_written_is_what_was_told() {
    use crate::domain::desired::{Desired, Document};
    let digest = "a".repeat(32);
    let sha256 = "b".repeat(64);
    for target in [
        json!({"version": "2"}),
        json!({"version": "1"}),
        json!({"cmd": "stop"}),
        json!({"version": "2", "cmd": "start"}),
    ] {
        for md5 in ["", digest.as_str(), "http://elsewhere"] {
            let policy = json!({"agent": "a", "version": "1", "cmd": "start", "tarball": "http://t", "md5": md5,
                                "sha256": sha256, "signature": "s", "size": 1, "unpackedSize": 2, "trialSecs": 3});
            let mut text = target.clone();
            text["agent"] = json!("a");
            text["waves"] = json!([{"percent": 100}]);
            let target = plan(text).unwrap().target;
            let order = |policy: &PolicyText| {
                let document = Document { policies: vec![policy.clone()], ..Document::default() };
                let (desired, _) = Desired::check(document, &Desired::default()).unwrap();
                desired.rules().policies().next().unwrap().order.clone()
            };
            let policy: PolicyText = serde_json::from_value(policy).unwrap();
            assert_eq!(order(&target.written_into(&policy)), target.applied_to(&order(&policy)));
        }
    }
}
