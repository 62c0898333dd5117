//! What holds for every beat and every answer, and for every text that calls itself one.

// clippy.toml allows this inside of `#[test]` functions only, and the functions they share stand outside.
#![allow(clippy::unwrap_used)]

use std::fmt::Debug;

use ops_wire::{
    Action, ActionDone, AgentName, Answer, Cmd, DesiredAgent, Heartbeat, HexDigest, HostError, Md5, Phase,
    RealAgent, Status, StepDone, Version,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// The character set of a checked name; a text with `..` in it is thrown away.
const NAME: &str = "[A-Za-z0-9_][A-Za-z0-9._+~-]{0,15}";

fn name() -> impl Strategy<Value = AgentName> {
    NAME.prop_filter_map("no name", |text| text.parse().ok())
}

fn version() -> impl Strategy<Value = Version> {
    NAME.prop_filter_map("no version", |text| text.parse().ok())
}

fn sha256() -> impl Strategy<Value = HexDigest> {
    "[0-9a-fA-F]{64}".prop_map(|text| HexDigest::sha256(&text).unwrap())
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Started),
        Just(Status::Stopped),
        any::<String>().prop_map(|text| Status::read(&text))
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    use Phase::{Downloading, Failed, Held, Idle, RolledBack, Starting, Stopping, Trial, Unknown, Unpacking};
    select(&[Idle, Downloading, Unpacking, Stopping, Starting, Trial, RolledBack, Held, Failed, Unknown][..])
}

fn step() -> impl Strategy<Value = StepDone> {
    (any::<String>(), any::<i64>(), any::<u64>(), any::<String>()).prop_map(|(step, at, ms, code)| StepDone {
        step,
        at,
        ms,
        code,
    })
}

fn real_agent() -> impl Strategy<Value = RealAgent> {
    let first = (name(), of(version()), status(), any::<i64>());
    let digest_and_phase = (of(sha256()), of(phase()), of(version()));
    let fault = (any::<String>(), any::<String>(), of(any::<u32>()), of(any::<i64>()));
    let rest = (of(any::<u8>()), any::<bool>(), vec(step(), 0..3), of(any::<u64>()));
    (first, digest_and_phase, fault, rest).prop_map(|(first, digest_and_phase, fault, rest)| {
        let (name, version, status, timestamp) = first;
        let (sha256, phase, desired_version) = digest_and_phase;
        let (error_code, error, attempt, next_try) = fault;
        let (percent, reboot_required, steps, rollout) = rest;
        RealAgent {
            name,
            version,
            status,
            timestamp,
            sha256,
            phase,
            desired_version,
            error_code,
            error,
            attempt,
            next_try,
            percent,
            reboot_required,
            steps,
            rollout,
        }
    })
}

fn host_error() -> impl Strategy<Value = HostError> {
    any::<[String; 3]>().prop_map(|[agent, code, error]| HostError { agent, code, error })
}

fn action_done() -> impl Strategy<Value = ActionDone> {
    any::<(u64, String)>().prop_map(|(id, code)| ActionDone { id, code })
}

fn beat() -> impl Strategy<Value = Heartbeat> {
    let agents = vec(real_agent(), 0..4);
    let labels = btree_map(any::<String>(), any::<String>(), 0..3);
    let numbers = any::<(Option<u32>, Option<u64>)>();
    let lists = (vec(host_error(), 0..3), vec(action_done(), 0..3));
    (any::<[String; 7]>(), agents, labels, numbers, lists).prop_map(
        |(texts, real_agents, labels, numbers, lists)| {
            let [hostname, ip, updater_version, run_user, machine_id, os, arch] = texts;
            let ((interval_secs, generation), (errors, actions_done)) = (numbers, lists);
            Heartbeat {
                hostname,
                real_agents,
                ip,
                updater_version,
                run_user,
                machine_id,
                os,
                arch,
                labels,
                interval_secs,
                generation,
                errors,
                actions_done,
            }
        },
    )
}

fn md5() -> impl Strategy<Value = Md5> {
    prop_oneof![
        Just(Md5::TarballPrefix),
        "http://[a-z]{1,9}/[ -~]{0,9}".prop_map(Md5::Prefix),
        "[0-9a-f]{32}".prop_map(|text| Md5::Digest(HexDigest::md5(&text).unwrap())),
    ]
}

/// With a version whenever it is a start: a start without one is refused, and that is no round trip.
fn order() -> impl Strategy<Value = (Result<Version, String>, Cmd)> {
    let cmds = vec![Cmd::Blank, Cmd::Stop, Cmd::Uninstall, Cmd::Unknown("dance\u{7}".to_owned())];
    let no_version = "there is none".to_owned();
    prop_oneof![
        version().prop_map(|version| (Ok(version), Cmd::Start)),
        (of(version()), select(cmds))
            .prop_map(move |(version, cmd)| (version.ok_or(no_version.clone()), cmd)),
    ]
}

fn desired_agent() -> impl Strategy<Value = DesiredAgent> {
    let first = (name(), order(), any::<String>(), md5());
    let digests = (of(sha256()), of(sha256()));
    let numbers = any::<(Option<u64>, Option<u64>, Option<u32>, Option<u64>)>();
    let texts = any::<[String; 4]>();
    (first, digests, numbers, texts, vec(any::<String>(), 0..3)).prop_map(
        |(first, digests, numbers, texts, mirrors)| {
            let (name, (version, cmd), tarball, md5) = first;
            let (sha256, config_sha256) = digests;
            let (size, unpacked_size, trial_secs, rollout) = numbers;
            let [signature, run_user, config_file_name, config_remote_url] = texts;
            DesiredAgent {
                name,
                version,
                tarball,
                md5,
                cmd,
                sha256,
                signature,
                size,
                unpacked_size,
                mirrors,
                trial_secs,
                rollout,
                run_user,
                config_file_name,
                config_remote_url,
                config_sha256,
            }
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    any::<(u64, String, String)>().prop_map(|(id, kind, agent)| Action { id, kind, agent })
}

/// Each agent once: an agent that is ordered twice is no round trip.
fn answer() -> impl Strategy<Value = Answer> {
    let agents = vec(desired_agent(), 0..4).prop_map(|mut agents| {
        agents.sort_by(|a, b| a.name.cmp(&b.name));
        agents.dedup_by(|a, b| a.name == b.name);
        agents
    });
    (any::<String>(), agents, any::<(Option<u64>, Option<u32>)>(), vec(action(), 0..3)).prop_map(
        |(error_message, desired_agents, (generation, next_interval_secs), actions)| Answer {
            error_message,
            desired_agents,
            generation,
            next_interval_secs,
            actions,
            refused: Vec::new(),
        },
    )
}

/// Any JSON, more often than not with the words of this wire in it.
fn any_json() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] =
        &["", "a", "start", "stop", "stopped", "../x", "1.0.0", "trial", "d41d8cd98f00b204e9800998ecf8427e"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(WORDS).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let keys = [
        "name",
        "version",
        "cmd",
        "status",
        "id",
        "kind",
        "agent",
        "steps",
        "step",
        "hostname",
        "realAgents",
        "desiredAgents",
        "errorMessage",
        "generation",
        "actions",
        "errors",
        "labels",
        "mirrors",
        "sha256",
        "future",
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        let key = select(keys.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(key, inner, 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// One place of a JSON value, and what is put there; `None`: taken away.
fn mutation() -> impl Strategy<Value = (Index, Option<Value>)> {
    (any::<Index>(), of(any_json()))
}

fn places(value: &Value) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(entries) => {
            entries.iter().enumerate().map(|(n, entry)| (n.to_string(), entry)).collect()
        }
        Value::Object(fields) => {
            fields.iter().map(|(key, field)| (key.replace('~', "~0").replace('/', "~1"), field)).collect()
        }
        _ => Vec::new(),
    };
    let below = |(key, inner): &(String, &Value)| -> Vec<String> {
        places(inner).into_iter().map(|place| format!("/{key}{place}")).collect()
    };
    std::iter::once(String::new()).chain(inner.iter().flat_map(below)).collect()
}

fn mutate(value: &mut Value, mutations: Vec<(Index, Option<Value>)>) {
    for (index, new) in mutations {
        let places = places(value);
        let place = index.get(&places);
        let (parent, key) = place.rsplit_once('/').unwrap_or_default();
        match (new, value.pointer_mut(parent)) {
            (None, Some(Value::Object(fields))) => {
                fields.remove(key);
            }
            (None, Some(Value::Array(entries))) if !place.is_empty() => {
                entries.remove(key.parse().unwrap());
            }
            (new, _) => *value.pointer_mut(place).unwrap() = new.unwrap_or_default(),
        }
    }
}

fn print<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// The same object with one key twice, which the strict reading does not take, and of which the last one counts.
fn with_a_key_twice(object: &str, key: &str) -> String {
    let fields = object.trim_start().strip_prefix('{').unwrap();
    let comma = if fields.trim_start().starts_with('}') { "" } else { "," };
    format!(r#"{{"{key}":null,"{key}":null{comma}{fields}"#)
}

/// What a strict reading takes, the tolerant one takes too, for the same and without a complaint.
fn the_tolerant_reading_agrees(value: &Value) -> Result<(), TestCaseError> {
    let text = value.to_string();
    if !value.is_object() {
        return Ok(());
    }
    if let Ok(strict) = serde_json::from_str::<Heartbeat>(&text) {
        let twice = with_a_key_twice(&text, "hostname");
        prop_assert!(serde_json::from_str::<Heartbeat>(&twice).is_err());
        prop_assert_eq!(Heartbeat::read(text.as_bytes()), Ok((strict.clone(), Vec::new())));
        prop_assert_eq!(Heartbeat::read(twice.as_bytes()), Ok((strict, Vec::new())));
    }
    if serde_json::from_str::<Answer>(&text).is_ok() {
        let twice = with_a_key_twice(&text, "errorMessage");
        prop_assert!(serde_json::from_str::<Answer>(&twice).is_err());
        prop_assert_eq!(Answer::read(twice.as_bytes()), Answer::read(text.as_bytes()));
    }
    Ok(())
}

/// What was read can be printed and read again, and then nothing is left to complain of.
fn what_was_read_is_read_again(text: &[u8]) -> Result<(), TestCaseError> {
    if let Ok((beat, _)) = Heartbeat::read(text) {
        prop_assert_eq!(Heartbeat::read(print(&beat).as_bytes()), Ok((beat, Vec::new())));
    }
    if let Ok(answer) = Answer::read(text) {
        let again = Answer::read(print(&answer).as_bytes()).unwrap();
        prop_assert_eq!(&again.refused, &[]);
        prop_assert_eq!(print(&again), print(&answer));
    }
    Ok(())
}

fn assert_same<T: PartialEq + Debug>(left: T, right: T) -> Result<(), TestCaseError> {
    prop_assert_eq!(left, right);
    Ok(())
}

proptest! {
    #[test]
    fn a_beat_that_is_printed_is_read_as_it_was(beat in beat()) {
        assert_same(Heartbeat::read(print(&beat).as_bytes()), Ok((beat, Vec::new())))?;
    }

    #[test]
    fn an_answer_that_is_printed_is_read_as_it_was(answer in answer()) {
        assert_same(Answer::read(print(&answer).as_bytes()), Ok(answer))?;
    }

    #[test]
    fn the_tolerant_reading_of_a_good_beat_is_the_strict_one(beat in beat()) {
        the_tolerant_reading_agrees(&serde_json::to_value(beat).unwrap())?;
    }

    #[test]
    fn the_tolerant_reading_of_a_good_answer_is_the_strict_one(answer in answer()) {
        the_tolerant_reading_agrees(&serde_json::to_value(answer).unwrap())?;
    }

    #[test]
    fn one_bad_entry_takes_nothing_from_a_good_beat(beat in beat(), at in any::<Index>()) {
        let mut value = serde_json::to_value(&beat).unwrap();
        let agents = value["realAgents"].as_array_mut().unwrap();
        agents.insert(at.index(agents.len() + 1), Value::Null);
        let (read, refused) = Heartbeat::read(value.to_string().as_bytes()).unwrap();
        assert_same((read, refused.len()), (beat, 1))?;
    }

    #[test]
    fn one_bad_entry_takes_nothing_from_a_good_answer(answer in answer(), at in any::<Index>()) {
        let mut value = serde_json::to_value(&answer).unwrap();
        let agents = value["desiredAgents"].as_array_mut().unwrap();
        agents.insert(at.index(agents.len() + 1), json!({"name": "../x"}));
        let read = Answer::read(value.to_string().as_bytes()).unwrap();
        assert_same(read.refused.len(), 1)?;
        assert_same(Answer { refused: Vec::new(), ..read }, answer)?;
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..256)) {
        what_was_read_is_read_again(&bytes)?;
    }

    #[test]
    fn no_json_makes_it_panic(value in any_json()) {
        what_was_read_is_read_again(value.to_string().as_bytes())?;
        the_tolerant_reading_agrees(&value)?;
    }

    #[test]
    fn no_mutated_beat_makes_it_panic(beat in beat(), mutations in vec(mutation(), 1..4)) {
        let mut value = serde_json::to_value(beat).unwrap();
        mutate(&mut value, mutations);
        what_was_read_is_read_again(value.to_string().as_bytes())?;
        the_tolerant_reading_agrees(&value)?;
    }

    #[test]
    fn no_mutated_answer_makes_it_panic(answer in answer(), mutations in vec(mutation(), 1..4)) {
        let mut value = serde_json::to_value(answer).unwrap();
        mutate(&mut value, mutations);
        what_was_read_is_read_again(value.to_string().as_bytes())?;
        the_tolerant_reading_agrees(&value)?;
    }

    #[test]
    fn no_damaged_text_makes_it_panic(
        beat in beat(),
        answer in answer(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        end in any::<Index>(),
    ) {
        for text in [print(&beat), print(&answer)] {
            let mut bytes = text.into_bytes();
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            what_was_read_is_read_again(&bytes)?;
            what_was_read_is_read_again(&bytes[..end.index(bytes.len())])?;
        }
    }
}
