//! Bad inputs: each of them spoils only itself, what is left out is named, and nothing panics.

// clippy.toml allows this inside of `#[test]` functions only, and the functions they share stand outside.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use ops_wire::{Answer, Cmd, ErrorCode, Heartbeat, Phase, Refused, Status};
use serde_json::{Value, json};

/// Characters of a refusal's sentence and of the agent's name in it, of which each may take ten when escaped.
const WHY_CHARS_MAX: usize = 320;
const AGENT_CHARS_MAX: usize = 800;

fn answer(value: &Value) -> Answer {
    Answer::read(value.to_string().as_bytes()).unwrap()
}

fn beat(value: &Value) -> (Heartbeat, Vec<Refused>) {
    Heartbeat::read(value.to_string().as_bytes()).unwrap()
}

/// The names that an answer orders something of, and the codes of what it left out.
fn outcome(answer: &Answer) -> (Vec<&str>, Vec<ErrorCode>) {
    let names = answer.desired_agents.iter().map(|agent| agent.name.as_str()).collect();
    (names, answer.refused.iter().map(|refused| refused.code).collect())
}

fn codes(refused: &[Refused]) -> Vec<ErrorCode> {
    refused.iter().map(|refused| refused.code).collect()
}

/// Entries that are no desired agent, and the code that says so.
fn bad_desired_agents() -> Vec<(Value, ErrorCode)> {
    use ErrorCode::{BadAnswer, BadName};
    vec![
        (json!(null), BadAnswer),
        (json!(true), BadAnswer),
        (json!(7), BadAnswer),
        (json!("falcon-agent"), BadAnswer),
        (json!([]), BadAnswer),
        (json!(["dinp-agent", "1.0.0", "http://x", "", "start"]), BadAnswer),
        (json!([{"name": "dinp-agent"}]), BadAnswer),
        (json!({}), BadAnswer),
        (json!({"version": "1.0.0", "cmd": "start"}), BadAnswer),
        (json!({"name": null}), BadAnswer),
        (json!({"name": 7}), BadAnswer),
        (json!({"name": {"name": "dinp-agent"}}), BadAnswer),
        (json!({"name": "dinp-agent", "version": 1.0}), BadAnswer),
        (json!({"name": "dinp-agent", "tarball": ["http://x"]}), BadAnswer),
        (json!({"name": "dinp-agent", "md5": 5}), BadAnswer),
        (json!({"name": "dinp-agent", "cmd": true}), BadAnswer),
        (json!({"name": "dinp-agent", "sha256": "abc"}), BadAnswer),
        (json!({"name": "dinp-agent", "configSha256": "d41d8cd98f00b204e9800998ecf8427e"}), BadAnswer),
        (json!({"name": "dinp-agent", "size": -1}), BadAnswer),
        (json!({"name": "dinp-agent", "size": 1.5}), BadAnswer),
        (json!({"name": "dinp-agent", "unpackedSize": "9"}), BadAnswer),
        (json!({"name": "dinp-agent", "unpackedSize": 18_446_744_073_709_551_616.0}), BadAnswer),
        (json!({"name": "dinp-agent", "trialSecs": 4_294_967_296_u64}), BadAnswer),
        (json!({"name": "dinp-agent", "mirrors": "http://x"}), BadAnswer),
        (json!({"name": "dinp-agent", "mirrors": [null]}), BadAnswer),
        (json!({"name": "dinp-agent", "cmd": "start"}), BadName),
        (json!({"name": "dinp-agent", "cmd": "start", "version": null}), BadName),
        (json!({"name": "dinp-agent", "cmd": "start", "version": ""}), BadName),
        (json!({"name": "dinp-agent", "cmd": "start", "version": "../1.0.0"}), BadName),
        (json!({"name": "", "version": "1.0.0", "cmd": "start"}), BadName),
        (json!({"name": "..", "version": "1.0.0", "cmd": "start"}), BadName),
        (json!({"name": "../../etc", "cmd": "uninstall"}), BadName),
        (json!({"name": "a/b", "cmd": "stop"}), BadName),
        (json!({"name": "/etc", "cmd": "stop"}), BadName),
        (json!({"name": "-rf", "cmd": "stop"}), BadName),
        (json!({"name": ".hidden"}), BadName),
        (json!({"name": "dinp\u{0}agent"}), BadName),
        (json!({"name": "dinp agent\n"}), BadName),
        (json!({"name": "агент"}), BadName),
        (json!({"name": "a".repeat(65)}), BadName),
    ]
}

#[test]
fn a_bad_desired_agent_spoils_only_itself() {
    for (bad, code) in bad_desired_agents() {
        let answer = answer(&json!({
            "desiredAgents": [
                {"name": "falcon-agent", "version": "1.0.0", "cmd": "start"},
                bad,
                {"name": "hawk-agent", "version": "2.0.0", "cmd": "stop"},
            ],
            "generation": 5,
        }));
        assert_eq!(outcome(&answer), (vec!["falcon-agent", "hawk-agent"], vec![code]), "{bad}");
        assert_eq!(answer.generation, Some(5), "{bad}");
    }
}

#[test]
fn a_bad_desired_agent_spoils_only_itself_in_a_bare_array() {
    for (bad, code) in bad_desired_agents() {
        let answer = answer(&json!([bad, {"name": "falcon-agent", "version": "1.0.0", "cmd": "start"}]));
        assert_eq!(outcome(&answer), (vec!["falcon-agent"], vec![code]), "{bad}");
    }
}

#[test]
fn a_bad_real_agent_spoils_only_itself() {
    use ErrorCode::{BadAnswer, BadName};
    let table = [
        (json!(null), BadAnswer),
        (json!("falcon-agent"), BadAnswer),
        (json!(["dinp-agent", "1.0.0", "started", 0]), BadAnswer),
        (json!({}), BadAnswer),
        (json!({"name": null}), BadAnswer),
        (json!({"name": "dinp-agent", "status": 1}), BadAnswer),
        (json!({"name": "dinp-agent", "timestamp": "now"}), BadAnswer),
        (json!({"name": "dinp-agent", "timestamp": 1e300}), BadAnswer),
        (json!({"name": "dinp-agent", "timestamp": 9_223_372_036_854_775_808_u64}), BadAnswer),
        (json!({"name": "dinp-agent", "sha256": "z".repeat(64)}), BadAnswer),
        (json!({"name": "dinp-agent", "phase": 3}), BadAnswer),
        (json!({"name": "dinp-agent", "attempt": -1}), BadAnswer),
        (json!({"name": "dinp-agent", "percent": 300}), BadAnswer),
        (json!({"name": "dinp-agent", "rebootRequired": "yes"}), BadAnswer),
        (json!({"name": "dinp-agent", "steps": {}}), BadAnswer),
        (json!({"name": "dinp-agent", "steps": [["fetch", 0, 0, ""]]}), BadAnswer),
        (json!({"name": "dinp-agent", "steps": [{"step": "fetch", "ms": -1}]}), BadAnswer),
        (json!({"name": "", "version": "1.0.0"}), BadName),
        (json!({"name": "../dinp-agent"}), BadName),
        (json!({"name": "dinp-agent", "version": "1.0/0"}), BadName),
    ];
    for (bad, code) in table {
        let (beat, refused) = beat(&json!({
            "hostname": "web-01",
            "realAgents": [bad, {"name": "falcon-agent", "version": "1.0.0", "status": "started"}],
            "intervalSecs": 60,
        }));
        let names: Vec<_> = beat.real_agents.iter().map(|agent| agent.name.as_str()).collect();
        assert_eq!((names, codes(&refused)), (vec!["falcon-agent"], vec![code]), "{bad}");
        assert_eq!((beat.hostname.as_str(), beat.interval_secs), ("web-01", Some(60)), "{bad}");
    }
}

#[test]
fn an_error_message_that_cannot_be_read_spoils_the_answer() {
    for bad in [json!(5), json!(["no"]), json!({})] {
        let value = json!({"errorMessage": bad, "desiredAgents": [{"name": "a", "cmd": "stop"}]});
        assert!(
            Answer::read(value.to_string().as_bytes()).is_err(),
            "{value}: it says whether the rest counts"
        );
    }
}

#[test]
fn a_bad_field_of_an_answer_spoils_only_itself() {
    let table = [
        ("generation", json!("5")),
        ("generation", json!(-5)),
        ("generation", json!(1e19)),
        ("generation", json!(1e300)),
        ("nextIntervalSecs", json!(4_294_967_296_u64)),
        ("nextIntervalSecs", json!(0.5)),
        ("actions", json!({"id": 1})),
        ("actions", json!([null])),
        ("actions", json!([[1, "restart", "falcon-agent"]])),
        ("actions", json!([{"kind": "restart"}])),
        ("actions", json!([{"id": "1"}])),
    ];
    for (field, bad) in table {
        let mut value =
            json!({"desiredAgents": [{"name": "falcon-agent", "version": "1.0.0", "cmd": "start"}]});
        let whole = answer(&value);
        value.as_object_mut().unwrap().insert(field.to_owned(), bad);
        let spoiled = answer(&value);
        assert_eq!(codes(&spoiled.refused), [ErrorCode::BadAnswer], "{value}");
        assert_eq!(Answer { refused: Vec::new(), ..spoiled }, whole, "{value}");
    }
}

#[test]
fn a_bad_field_of_a_beat_spoils_only_itself() {
    let table = [
        ("ip", json!(10)),
        ("updaterVersion", json!({})),
        ("runUser", json!(0)),
        ("machineId", json!([])),
        ("os", json!(false)),
        ("arch", json!(64)),
        ("labels", json!(["web"])),
        ("labels", json!({"tier": 1})),
        ("intervalSecs", json!(-1)),
        ("generation", json!(18_446_744_073_709_551_616.0)),
        ("errors", json!("none")),
        ("errors", json!([["falcon-agent", "io", "no"]])),
        ("errors", json!([{"agent": 1}])),
        ("actionsDone", json!([{}])),
        ("actionsDone", json!([[1, ""]])),
    ];
    for (field, bad) in table {
        let mut value = json!({"hostname": "web-01", "realAgents": [{"name": "falcon-agent"}]});
        let (whole, _) = beat(&value);
        value.as_object_mut().unwrap().insert(field.to_owned(), bad);
        let (spoiled, refused) = beat(&value);
        assert_eq!(codes(&refused), [ErrorCode::BadAnswer], "{value}");
        assert_eq!(spoiled, whole, "{value}");
    }
}

#[test]
fn a_list_that_is_none_is_an_empty_one() {
    for bad in [json!({}), json!("falcon-agent"), json!(1), json!(false)] {
        let answer = answer(&json!({"desiredAgents": bad, "generation": 5}));
        assert_eq!(outcome(&answer), (Vec::new(), vec![ErrorCode::BadAnswer]), "{bad}");
        assert_eq!(answer.generation, Some(5), "{bad}");
        let (beat, refused) = beat(&json!({"hostname": "web-01", "realAgents": bad}));
        assert_eq!((beat.hostname.as_str(), beat.real_agents.len()), ("web-01", 0), "{bad}");
        assert_eq!(codes(&refused), [ErrorCode::BadAnswer], "{bad}");
    }
}

#[test]
fn a_beat_without_a_usable_hostname_has_a_blank_one() {
    for value in
        [json!({}), json!([]), json!({"hostname": null}), json!({"hostname": 7}), json!({"hostname": ""})]
    {
        assert_eq!(beat(&value).0, Heartbeat::default(), "{value}");
    }
}

#[test]
fn texts_in_a_bare_array_are_no_fields() {
    for value in [json!(["an error", []]), json!([null, [{"name": "falcon-agent"}]])] {
        let answer = answer(&value);
        assert_eq!(answer.error_message, "", "{value}");
        assert_eq!(outcome(&answer), (Vec::new(), vec![ErrorCode::BadAnswer; 2]), "{value}");
        let (beat, refused) = beat(&value);
        assert_eq!((beat, refused.len()), (Heartbeat::default(), 2), "{value}");
    }
}

#[test]
fn null_is_the_same_as_absent_in_every_optional_field() {
    let mut everything: Value = serde_json::from_str(include_str!("golden/ours_request.json")).unwrap();
    let mut bare = everything.clone();
    blank(&mut everything, &["hostname", "name", "id", "idc", "tier"], |object, field| {
        object.insert(field, Value::Null);
    });
    blank(&mut bare, &["hostname", "name", "id", "idc", "tier"], |object, field| {
        object.remove(&field);
    });
    assert_eq!(beat(&everything), beat(&bare));
    assert_eq!(beat(&bare).1, []);

    let mut everything: Value = serde_json::from_str(include_str!("golden/ours_response.json")).unwrap();
    let mut bare = everything.clone();
    blank(&mut everything, &["name", "id"], |object, field| {
        object.insert(field, Value::Null);
    });
    blank(&mut bare, &["name", "id"], |object, field| {
        object.remove(&field);
    });
    assert_eq!(answer(&everything), answer(&bare));
    assert_eq!(answer(&bare).refused, []);
}

/// Does `what` to each field that holds neither an object nor a list of objects and is not one of `kept`.
fn blank(value: &mut Value, kept: &[&str], what: fn(&mut serde_json::Map<String, Value>, String)) {
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(|entry| blank(entry, kept, what)),
        Value::Object(fields) => {
            for (_, inner) in fields.iter_mut() {
                blank(inner, kept, what);
            }
            let leaf = |inner: &Value| match inner {
                Value::Array(entries) => !entries.iter().any(Value::is_object),
                inner => !inner.is_object(),
            };
            let leaves: Vec<_> =
                fields.iter().filter(|(_, inner)| leaf(inner)).map(|(name, _)| name.clone()).collect();
            for name in leaves.into_iter().filter(|name| !kept.contains(&name.as_str())) {
                what(fields, name);
            }
        }
        _ => {}
    }
}

#[test]
fn a_null_list_of_steps_and_a_step_with_nulls_are_fine() {
    let (beat, refused) = beat(&json!({"hostname": "web-01", "realAgents": [
        {"name": "falcon-agent", "steps": null},
        {"name": "dinp-agent", "steps": [{"step": "fetch", "at": null, "ms": null, "code": null}, {}]},
    ]}));
    assert_eq!(refused, []);
    let steps: Vec<_> = beat.real_agents.iter().map(|agent| agent.steps.len()).collect();
    assert_eq!(steps, [0, 2]);
}

#[test]
fn unknown_fields_and_words_are_fine() {
    let (beat, refused) = beat(&json!({
        "hostname": "web-01", "future": {"a": [1, null]},
        "realAgents": [{"name": "falcon-agent", "phase": "dreaming", "status": "not started", "future": 1e300}],
    }));
    assert_eq!(refused, []);
    assert_eq!(beat.real_agents[0].phase, Some(Phase::Unknown));
    assert_eq!(beat.real_agents[0].status, Status::Other("not started".to_owned()));
    let answer = answer(&json!({
        "future": [[]],
        "desiredAgents": [{"name": "falcon-agent", "cmd": "dance", "future": {}}],
        "actions": [{"id": 1, "kind": "dance", "future": 0}],
    }));
    assert_eq!(outcome(&answer), (vec!["falcon-agent"], vec![]));
    assert_eq!(answer.desired_agents[0].cmd, Cmd::Unknown("dance".to_owned()));
    assert_eq!(answer.actions[0].kind, "dance");
}

#[test]
fn both_spellings_of_stopped_are_read_and_2015s_is_written() {
    for text in ["stoped", "stopped"] {
        let (beat, _) = beat(&json!({"hostname": "web-01", "realAgents": [{"name": "a", "status": text}]}));
        assert_eq!(beat.real_agents[0].status, Status::Stopped);
        assert_eq!(serde_json::to_value(&beat).unwrap()["realAgents"][0]["status"], "stoped");
    }
}

#[test]
fn only_a_start_needs_a_version() {
    for cmd in ["stop", "uninstall", "", "dance"] {
        for version in [json!(null), json!(""), json!("../1.0.0"), json!("1 0")] {
            let answer = answer(&json!([{"name": "falcon-agent", "version": version, "cmd": cmd}]));
            assert_eq!(outcome(&answer), (vec!["falcon-agent"], vec![]), "{cmd} {version}");
            assert!(answer.desired_agents[0].version.is_err());
        }
        assert_eq!(outcome(&answer(&json!([{"name": "falcon-agent", "cmd": cmd}]))).0, ["falcon-agent"]);
    }
}

#[test]
fn an_absent_and_an_empty_version_are_the_same() {
    let versions =
        [json!({"name": "a"}), json!({"name": "a", "version": ""}), json!({"name": "a", "version": null})];
    let answer = answer(&json!(versions));
    assert_eq!(outcome(&answer), (vec!["a"], vec![]));
}

#[test]
fn an_agent_that_is_ordered_twice_and_differently_is_refused_once_and_the_others_are_not() {
    let answer = answer(&json!([
        {"name": "falcon-agent", "version": "1.0.0", "cmd": "start"},
        {"name": "dinp-agent", "version": "2.0.0", "cmd": "start"},
        {"name": "falcon-agent", "version": "1.0.1", "cmd": "start"},
        {"name": "falcon-agent", "version": "1.0.0", "cmd": "start"},
    ]));
    assert_eq!(outcome(&answer), (vec!["dinp-agent"], vec![ErrorCode::BadAnswer]));
    assert_eq!(answer.refused[0].agent, "falcon-agent");
}

#[test]
fn a_start_and_a_stop_of_one_agent_are_a_contradiction() {
    let answer = answer(&json!({"desiredAgents": [
        {"name": "falcon-agent", "version": "1.0.0", "cmd": "start"},
        {"name": "falcon-agent", "version": "1.0.0", "cmd": "stop"},
    ]}));
    assert_eq!(outcome(&answer), (vec![], vec![ErrorCode::BadAnswer]));
}

#[test]
fn an_agent_that_is_ordered_twice_and_alike_is_ordered_once() {
    let falcon = json!({"name": "falcon-agent", "version": "1.0.0", "cmd": "start"});
    let dinp = json!({"name": "dinp-agent", "version": "1.0.0", "cmd": "stop"});
    assert_eq!(
        outcome(&answer(&json!([falcon, dinp, falcon, falcon]))),
        (vec!["falcon-agent", "dinp-agent"], vec![])
    );
}

#[test]
fn names_of_different_case_are_different_agents() {
    let answer = answer(&json!([{"name": "a", "cmd": "stop"}, {"name": "A", "cmd": "uninstall"}]));
    assert_eq!(outcome(&answer), (vec!["a", "A"], vec![]));
}

#[test]
fn of_duplicate_keys_the_last_one_counts() {
    let text =
        br#"{"generation":1,"generation":2,"desiredAgents":[{"name":"a","cmd":"start","cmd":"stop"}]}"#;
    let answer = Answer::read(text).unwrap();
    assert_eq!((answer.generation, outcome(&answer)), (Some(2), (vec!["a"], vec![])));
    assert_eq!(answer.desired_agents[0].cmd, Cmd::Stop);
    let (beat, refused) = Heartbeat::read(br#"{"hostname":"a","hostname":"b"}"#).unwrap();
    assert_eq!((beat.hostname.as_str(), refused.len()), ("b", 0));
}

#[test]
fn a_number_that_no_machine_holds_is_not_json() {
    for number in ["1e999".to_owned(), "9".repeat(400)] {
        let text = format!(r#"{{"hostname":"a","realAgents":[{{"name":"a","timestamp":{number}}}]}}"#);
        assert!(Heartbeat::read(text.as_bytes()).is_err(), "{number}");
        assert!(Answer::read(format!(r#"{{"generation":{number}}}"#).as_bytes()).is_err(), "{number}");
    }
}

#[test]
fn the_largest_numbers_are_read() {
    let answer = answer(&json!({"generation": u64::MAX, "nextIntervalSecs": u32::MAX}));
    assert_eq!((answer.generation, answer.next_interval_secs), (Some(u64::MAX), Some(u32::MAX)));
    for timestamp in [i64::MIN, i64::MAX] {
        let (beat, _) =
            beat(&json!({"hostname": "a", "realAgents": [{"name": "a", "timestamp": timestamp}]}));
        assert_eq!(beat.real_agents[0].timestamp, timestamp);
    }
}

#[test]
fn what_is_no_object_and_no_array_is_unreadable() {
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
    let table = [
        String::new(),
        " \n".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "7".to_owned(),
        "\"falcon-agent\"".to_owned(),
        "<html>502 Bad Gateway</html>".to_owned(),
        "{".to_owned(),
        "[".to_owned(),
        "{}{}".to_owned(),
        "[],".to_owned(),
        "{\"hostname\":\"a\"".to_owned(),
        "{'hostname':'a'}".to_owned(),
        "\u{feff}{\"hostname\":\"a\"}".to_owned(),
        "{\"hostname\":\"a\u{0}\"}".to_owned(),
        nested("[", "]"),
        nested("{\"a\":", "}"),
        format!("{{\"desiredAgents\":{0},\"realAgents\":{0}}}", nested("[", "]")),
        format!("{{\"errorMessage\":{0},\"hostname\":{0}}}", nested("{\"a\":", "}")),
        "[".repeat(200_000),
    ];
    for text in &table {
        let start: String = text.chars().take(40).collect();
        for error in
            [Answer::read(text.as_bytes()).unwrap_err(), Heartbeat::read(text.as_bytes()).unwrap_err()]
        {
            let sentence = error.to_string();
            assert!(!sentence.is_empty() && sentence.len() < 200, "{start}: {sentence}");
            assert!(!sentence.contains(char::is_control), "{start}: {sentence}");
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_unreadable() {
    for bytes in [&b"\xff\xfe"[..], b"{\"hostname\":\"\xff\",\"errorMessage\":\"\xff\"}", b"\x1f\x8b\x08\x00"]
    {
        assert!(Answer::read(bytes).is_err());
        assert!(Heartbeat::read(bytes).is_err());
    }
}

#[test]
fn nesting_below_the_limit_is_an_unknown_field_like_any_other() {
    let text = format!("{{\"hostname\":\"a\",\"future\":{}{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(Heartbeat::read(text.as_bytes()).unwrap().0.hostname, "a");
}

/// Texts that harm a terminal or a log: escape sequences, line ends, marks that turn the reading direction.
fn nasty_texts() -> Vec<String> {
    let short = [
        "\u{1b}[2J\u{7}",
        "a\r\nINFO all is well",
        "\u{0}",
        "\u{7f}\u{85}\u{9b}31m",
        "\u{202e}\u{2028}\u{feff}",
    ];
    let long = ["x", "\n", "\u{1b}", "\u{10ffff}", "ä", "\"", "\\"].map(|text| text.repeat(5_000));
    short.into_iter().map(str::to_owned).chain(long).collect()
}

fn assert_harmless(refused: &[Refused]) {
    assert!(!refused.is_empty());
    for Refused { agent, why, .. } in refused {
        for text in [agent, why] {
            let harmful = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{feff}');
            assert!(!text.contains(harmful), "{text:?}");
        }
        assert!(agent.chars().count() <= AGENT_CHARS_MAX, "{} characters", agent.chars().count());
        assert!(why.chars().count() <= WHY_CHARS_MAX, "{} characters", why.chars().count());
        assert!(!why.is_empty());
    }
}

#[test]
fn a_refusal_is_bounded_and_without_control_characters_whatever_was_sent() {
    for nasty in nasty_texts() {
        let entries = [
            json!(nasty),
            json!({"name": nasty}),
            json!({"name": "a", "version": nasty, "cmd": "start"}),
            json!({"name": nasty, "version": nasty, "cmd": "start"}),
            json!({"name": "a", "sha256": nasty}),
            json!({"name": "a", "size": nasty}),
            json!({"name": "a", "timestamp": nasty}),
            json!({"name": "a", "mirrors": {&nasty: 1}}),
            json!({"name": {&nasty: nasty}}),
        ];
        for entry in &entries {
            let answer = answer(&json!({
                "desiredAgents": [entry], "actions": [nasty, {"id": nasty}], "generation": nasty,
            }));
            assert_harmless(&answer.refused);
            let (_, refused) = beat(&json!({
                "hostname": {&nasty: 1}, "realAgents": [entry, nasty], "errors": nasty, "labels": {"a": [nasty]},
                "intervalSecs": nasty,
            }));
            assert_harmless(&refused);
        }
    }
}

#[test]
fn a_refusal_names_the_agent_the_field_and_the_place() {
    let answer =
        answer(&json!({"desiredAgents": [{"name": "a"}, {"name": "b", "size": "big"}], "generation": "x"}));
    let said: Vec<_> =
        answer.refused.iter().map(|refused| (refused.agent.as_str(), refused.why.as_str())).collect();
    assert!(said.iter().any(|(agent, why)| *agent == "b" && why.contains("desiredAgents[1]")), "{said:?}");
    assert!(said.iter().any(|(agent, why)| agent.is_empty() && why.contains("generation")), "{said:?}");
}

/// A host reads one MiB of an answer. Comparing every agent with every other took more than half a minute.
#[test]
fn a_long_list_takes_no_time_to_speak_of() {
    let different: Vec<_> = (0..60_000).map(|n| json!({"name": format!("a{n}")})).collect();
    let alike = vec![json!({"name": "a"}); 60_000];
    let torn: Vec<_> =
        (0..60_000).map(|n| json!({"name": format!("a{}", n % 30_000), "rollout": n})).collect();
    for (list, agents, refused) in [(different, 60_000, 0), (alike, 1, 0), (torn, 0, 30_000)] {
        let bytes = json!(list).to_string();
        let begun = Instant::now();
        let answer = Answer::read(bytes.as_bytes()).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
        assert_eq!((answer.desired_agents.len(), answer.refused.len()), (agents, refused));
    }
}
