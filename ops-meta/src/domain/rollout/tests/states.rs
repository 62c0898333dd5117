//! Every state and every verb.

use super::*;
use crate::domain::rollout::state::{Event, Refused, TABLE, after, diagram, done};

#[test]
fn every_verb_in_every_state() {
    // A state, a blank: nothing changes; `-`: refused.
    let expected = "
                        approve  pause   resume   next     stop     rollback      retry
        draft             running -       -        -        stopped  -             -
        awaiting_approval running paused  -        -        stopped  rolling_back  awaiting_approval
        running           =       paused  =        running  stopped  rolling_back  running
        paused            -       =       running  -        stopped  rolling_back  running
        completed         -       -       -        -        -        -             -
        stopped           -       -       -        -        =        rolling_back  -
        rolling_back      -       -       -        -        stopped  =             -
        rolled_back       -       -       -        -        -        =             -";
    for line in expected.lines().skip(2) {
        let mut words = line.split_whitespace();
        let state: State = words.next().unwrap().parse().unwrap();
        for (verb, word) in Verb::ALL.iter().zip(words) {
            let expected = match word {
                "-" => Err(Refused::NotIn { state, verb: *verb }),
                "=" => Ok(None),
                to => Ok(Some(to.parse().unwrap())),
            };
            assert_eq!(done(state, *verb), expected, "{state} {verb}");
        }
    }
}

#[test]
fn no_way_stands_in_the_table_twice_and_every_state_is_reached() {
    for (n, (from, by, _)) in TABLE.iter().enumerate() {
        assert!(!TABLE[n + 1..].iter().any(|(f, b, _)| (f, b) == (from, by)), "{from} {by}");
    }
    for state in State::ALL.iter().filter(|state| **state != State::Draft) {
        assert!(TABLE.iter().any(|(.., to)| to == state), "{state}");
    }
    assert_eq!(after(State::Completed, Event::TakenBack), None);
}

#[test]
fn what_is_refused_says_what_would_do() {
    for (state, verb, expected) in [
        (
            State::Paused,
            Verb::Next,
            "a rollout that is paused cannot next; it can resume, stop, rollback, retry",
        ),
        (
            State::Completed,
            Verb::Rollback,
            "a rollout that is completed cannot rollback; start one that leads back to the earlier version",
        ),
        (State::RolledBack, Verb::Resume, "a rollout that is rolled_back cannot resume; start another one"),
    ] {
        assert_eq!(done(state, verb).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_diagram_has_every_way() {
    let diagram = diagram();
    assert!(diagram.starts_with("stateDiagram-v2\n"));
    assert_eq!(
        diagram.lines().filter(|line| line.contains(": ") && !line.contains("[*]")).count(),
        TABLE.len()
    );
    assert!(diagram.contains("    paused --> running: resume\n"), "{diagram}");
}

#[test]
fn a_verb_said_twice_counts_once() {
    let mut it = rollout(
        json!([{"percent": 10}, {"percent": 50, "approval": true}, {"percent": 100, "approval": true}]),
    );
    it.progress.take(&Step::Begin { wave: 0 }, NOW);
    let next = it.progress.after(Verb::Next, Some(0), NOW).unwrap().unwrap();
    assert!(next.hurry);
    assert_eq!(next.after(Verb::Next, Some(0), NOW), Ok(None));
    let mut second = next.clone();
    second.take(&Step::Await { wave: 1 }, NOW);
    let second = second.after(Verb::Approve, Some(1), NOW).unwrap().unwrap();
    assert_eq!((second.waves.len(), second.state), (2, State::Running));
    // Late, from whoever saw the first wave.
    assert_eq!(second.after(Verb::Next, Some(0), NOW), Ok(None));
    let mut third = second.clone();
    third.take(&Step::Await { wave: 2 }, NOW);
    assert_eq!(third.after(Verb::Approve, Some(1), NOW), Ok(None));
    let refused = third.after(Verb::Approve, Some(3), NOW).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "approve is meant for wave 4, and 2 have begun; look where the rollout is, and say it again"
    );
}

#[test]
fn a_step_that_comes_too_late_changes_nothing() {
    let mut it = rollout(json!([{"percent": 100}]));
    it.progress.take(&Step::Begin { wave: 0 }, NOW);
    let paused = it.progress.after(Verb::Pause, None, NOW).unwrap().unwrap();
    for step in [
        Step::Raise { wave: 0, threshold: 9, hosts: 1, paced: 1 },
        Step::Lower { wave: 0, threshold: 0, hosts: 1 },
        Step::Settle,
        Step::Begin { wave: 1 },
        Step::Await { wave: 1 },
        Step::Complete,
        Step::TakenBack { failed: 0 },
    ] {
        let mut same = paused.clone();
        same.take(&step, NOW + 1);
        assert_eq!(same, paused, "{step:?}");
    }
}

#[test]
fn a_wave_begins_once() {
    let mut it = rollout(json!([{"percent": 10}, {"percent": 100, "approval": true}]));
    it.progress.take(&Step::Begin { wave: 0 }, NOW);
    let once = it.progress.clone();
    it.progress.take(&Step::Begin { wave: 0 }, NOW + 1);
    it.progress.take(&Step::Await { wave: 0 }, NOW + 1);
    assert_eq!(it.progress, once);
}

#[test]
fn progress_is_kept_as_json() {
    let mut it = rollout(json!([{"percent": 100}]));
    it.progress.take(&Step::Begin { wave: 0 }, NOW);
    it.progress.take(&Step::Raise { wave: 0, threshold: u64::MAX - 3, hosts: 1, paced: 5 }, NOW);
    let kept = serde_json::to_string(&it.progress).unwrap();
    assert_eq!(serde_json::from_str::<Progress>(&kept).unwrap(), it.progress);
    // As the first version wrote it.
    let least = r#"{"state":"running","since":1,"waves":[18446744073709551612]}"#;
    assert_eq!(serde_json::from_str::<Progress>(least).unwrap().waves, it.progress.waves);
}

#[test]
fn the_picture_in_the_documents_is_drawn_from_the_table() {
    let documents = include_str!("../../../../../docs/rollouts.md");
    let drawn = documents.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(drawn, Some(diagram().as_str()), "put this into docs/rollouts.md");
}

#[test]
fn words_are_the_same_in_json_and_in_sentences() {
    for state in State::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    for verb in Verb::ALL {
        assert_eq!(serde_json::to_value(verb).unwrap(), verb.as_str());
    }
    for then in OnBreach::ALL {
        assert_eq!(serde_json::to_value(then).unwrap(), then.as_str());
    }
}
