//! What a rollout does next, and what it says it waits for.

use super::*;
use crate::domain::host::Listening;

/// What is counted, and when it is looked at.
struct Looked {
    tally: Tally,
    positions: Vec<u64>,
    secs: i64,
    learning: bool,
    frozen: Option<&'static str>,
    window: Opening,
}

/// Hosts of one wave that selects all: so many of a class, admitted by that wave, or by none.
fn looked(waves: usize, hosts: &[(u32, Option<usize>, Class)]) -> Looked {
    let mut tally = Tally::new(waves);
    for (count, admitted_by, class) in hosts {
        let (selected, is_kept) = (u32::MAX, *class == Shut);
        let seen = Seen { selected, admitted_by: *admitted_by, class: *class, is_kept };
        (0..*count).for_each(|_| tally.add(&seen));
    }
    let positions = (1..=1000).map(|n| n * 100).collect();
    Looked { tally, positions, secs: 0, learning: false, frozen: None, window: Opening::ALWAYS }
}

fn with<T>(looked: &Looked, f: impl FnOnce(&Look<'_>) -> T) -> T {
    let listening = Listening::new(Vec::new(), 0, NOW / 1000);
    f(&Look {
        now: NOW + looked.secs * 1000,
        learning: looked.learning,
        listening: &listening,
        frozen: looked.frozen,
        window: looked.window,
        tally: &looked.tally,
        next_positions: &looked.positions,
    })
}

fn next(rollout: &Rollout, looked: &Looked) -> Next {
    with(looked, |look| evaluate(rollout, look))
}

fn said(rollout: &Rollout, looked: &Looked) -> String {
    with(looked, |look| why(rollout, look)).to_string()
}

fn step(rollout: &mut Rollout, looked: &Looked) -> Step {
    let Next::Do(step) = next(rollout, looked) else { panic!("{}", said(rollout, looked)) };
    rollout.progress.take(&step, NOW + looked.secs * 1000);
    step
}

fn begun(waves: Value) -> Rollout {
    let mut it = rollout(waves);
    assert_eq!(step(&mut it, &looked(1, &[])), Step::Begin { wave: 0 });
    it
}

use crate::domain::rollout::count::Waiting as Waits;

use Class::{
    Away, Done, Failed, Moving, Ordered, Pending, Returning, RolledBack, Shut, There, Trial, Vanished,
    Waiting,
};

#[test]
fn it_admits_as_many_as_there_is_room_for() {
    for (wave, hosts, expected) in [
        (json!({"percent": 10}), &[(100, None, Pending)][..], Some((10, 1001))),
        (json!({"percent": 1}), &[(5, None, Pending)], Some((1, 101))),
        (json!({"count": 3}), &[(100, None, Pending)], Some((3, 301))),
        (json!({"count": 300}), &[(100, None, Pending)], Some((100, 10_001))),
        (json!({"percent": 10}), &[(95, None, Pending), (5, Some(0), Moving)], Some((5, 501))),
        // Those that are there need nothing, and are part of the share.
        (json!({"percent": 10}), &[(96, None, Pending), (4, None, There)], Some((6, 601))),
        (json!({"percent": 50, "maxInFlight": 8}), &[(100, None, Pending)], Some((8, 801))),
        (
            json!({"percent": 50, "maxInFlight": 8}),
            &[(95, None, Pending), (2, Some(0), Trial), (3, Some(0), Done)],
            Some((6, 601)),
        ),
        (json!({"percent": 50, "maxInFlight": 2}), &[(95, None, Pending), (5, Some(0), Trial)], None),
        (json!({"percent": 50, "hostsPerMinute": 60}), &[(100, None, Pending)], Some((10, 1001))),
        (json!({"percent": 50, "hostsPerMinute": 1}), &[(100, None, Pending)], Some((1, 101))),
        (
            json!({"percent": 99, "maxInFlight": 1}),
            &[(9, Some(0), Done), (3, None, Class::Waiting)],
            Some((1, 101)),
        ),
    ] {
        let it = begun(json!([wave, {"percent": 100, "name": "all"}]));
        let admitted = match next(&it, &looked(2, hosts)) {
            Next::Do(Step::Raise { wave: 0, threshold, hosts, .. }) => Some((hosts, threshold)),
            Next::Wait(_) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(admitted, expected, "{wave} {hosts:?}");
    }
}

#[test]
fn so_many_begin_in_a_minute() {
    for per_minute in [1u32, 7, 60, 1000] {
        let mut it = begun(json!([{"percent": 100, "hostsPerMinute": per_minute}]));
        let mut admitted = Vec::new();
        let mut look = looked(1, &[(2000, None, Pending)]);
        for secs in 0..600 {
            look.secs = secs;
            if let Next::Do(step @ Step::Raise { hosts, .. }) = next(&it, &look) {
                it.progress.take(&step, NOW + secs * 1000);
                admitted.push((secs, hosts));
            }
        }
        let in_minute = |from| {
            admitted
                .iter()
                .filter(|(secs, _)| (from..from + 60).contains(secs))
                .map(|(_, hosts)| hosts)
                .sum::<u32>()
        };
        let most = (0..540).map(in_minute).max().unwrap();
        assert!(most <= per_minute + per_minute / 6 + 1, "{most} of {per_minute}");
        let least = (60..540).map(in_minute).min().unwrap();
        assert!(least + 1 >= per_minute, "{least} of {per_minute}");
    }
}

#[test]
fn the_stop_rule() {
    for (limits, hosts, expected) in [
        // 2 % of those ordered, once there are ten.
        (json!({}), &[(9, Some(0), Done), (1, Some(0), Failed), (90, None, Pending)][..], true),
        (json!({}), &[(8, Some(0), Done), (1, Some(0), Failed), (91, None, Pending)], false),
        (json!({}), &[(98, Some(0), Done), (2, Some(0), Vanished)], false),
        (json!({}), &[(97, Some(0), Done), (3, Some(0), Vanished)], true),
        // Of fewer than ten, once the wave cannot make up for it.
        (json!({}), &[(1, Some(0), RolledBack), (4, None, Pending)], true),
        (json!({}), &[(2, Some(0), RolledBack), (1000, None, Pending)], false),
        (json!({"maxFailed": 1}), &[(1, Some(0), Class::TimedOut), (9, None, Pending)], false),
        (json!({"maxFailed": 1}), &[(1, Some(0), Class::TimedOut), (1, Some(0), Failed)], true),
        (json!({"maxFailed": 0}), &[(1, Some(0), Failed), (1000, Some(0), Done)], true),
        // Who is not waited for counts neither way.
        (json!({}), &[(9, Some(0), Done), (90, Some(0), Class::Away), (1, Some(0), Failed)], true),
        (json!({}), &[(50, Some(0), Class::Held), (50, Some(0), Class::Excluded)], false),
    ] {
        let mut wave = limits.clone();
        wave["percent"] = json!(100);
        let found = next(&begun(json!([wave])), &looked(1, hosts));
        assert_eq!(matches!(found, Next::Do(Step::Breach { .. })), expected, "{limits} {hosts:?}: {found:?}");
    }
}

#[test]
fn an_early_wave_that_falls_ill_late_stops_it_too() {
    let mut it = begun(json!([{"percent": 10}, {"percent": 100}]));
    it.progress.take(&Step::Begin { wave: 1 }, NOW);
    let sick = looked(2, &[(8, Some(0), Done), (2, Some(0), Vanished), (90, Some(1), Done)]);
    let Step::Breach { breached, then } = step(&mut it, &sick) else { panic!() };
    assert_eq!((breached.wave, then, it.progress.state), (0, OnBreach::Pause, State::Paused));
    assert_eq!(
        said(&it, &sick),
        "too many hosts failed: 2 of 10 hosts ordered in wave \"10 %\" failed (2 vanished), and 2 % of them may, since \
         2027-01-15 08:00:00Z; what moves it: resume goes on and leaves out what has failed, retry counts it anew, \
         rollback takes all back"
    );
}

#[test]
fn who_resumes_knows_of_the_failures_and_leaves_no_room_for_others() {
    let mut it = begun(json!([{"percent": 100, "maxFailed": 1}]));
    let sick = |failed| looked(1, &[(90, Some(0), Moving), (failed, Some(0), Failed)]);
    step(&mut it, &sick(5));
    it.progress = it.progress.after(Verb::Resume, None, NOW).unwrap().unwrap();
    assert!(matches!(next(&it, &sick(6)), Next::Wait(_)));
    assert!(matches!(next(&it, &sick(7)), Next::Do(Step::Breach { .. })));
    // Three come back.
    assert_eq!(step(&mut it, &sick(2)), Step::Recover { known_failures: vec![2] });
    assert!(matches!(next(&it, &sick(4)), Next::Do(Step::Breach { .. })));
    it.progress = it.progress.after(Verb::Retry, None, NOW + 5).unwrap().unwrap();
    assert_eq!((it.progress.failures_since, it.progress.known_failures.len()), (NOW + 5, 0));
}

#[test]
fn a_wave_ends_when_all_is_done_and_was_watched_for_a_while() {
    let mut it = begun(json!([{"percent": 10, "soakSecs": 600}, {"percent": 100}]));
    let mut look = looked(2, &[(9, Some(0), Done), (1, Some(0), Trial), (90, None, Pending)]);
    assert_eq!(next(&it, &look), Next::Wait(Wait::UnderWay { in_flight: 1, waiting: Waits::default() }));
    look.tally = looked(2, &[(10, Some(0), Done), (90, None, Pending)]).tally;
    assert_eq!(step(&mut it, &look), Step::Settle);
    look.secs = 599;
    assert_eq!(next(&it, &look), Next::Wait(Wait::Soak { since: NOW, left_secs: 1 }));
    look.secs = 600;
    assert_eq!(step(&mut it, &look), Step::Begin { wave: 1 });
    look.tally = looked(2, &[(100, Some(0), Done)]).tally;
    assert_eq!(step(&mut it, &look), Step::Complete);
    assert_eq!(it.progress.state, State::Completed);
}

#[test]
fn a_clock_that_jumps_neither_ends_nor_prolongs_a_soak() {
    let it = || begun(json!([{"percent": 10, "soakSecs": 600}, {"percent": 100}]));
    let mut look = looked(2, &[(10, Some(0), Done), (90, None, Pending)]);
    // Written by a clock that was a day fast.
    let mut fast = it();
    fast.progress.settled = Some(NOW + 86_400_000);
    assert_eq!(step(&mut fast, &look), Step::Settle);
    assert_eq!(fast.progress.settled, Some(NOW));
    // The server listens only since now.
    let mut slow = it();
    slow.progress.settled = Some(NOW - 86_400_000);
    look.secs = 5;
    assert_eq!(next(&slow, &look), Next::Wait(Wait::Soak { since: NOW - 86_400_000, left_secs: 595 }));
}

#[test]
fn what_is_waited_for_is_said() {
    let wave = json!({"percent": 50, "maxInFlight": 2, "timeoutSecs": 60});
    let it = begun(json!([wave, {"percent": 100, "approval": true}]));
    let under_way = [(1, Some(0), Moving), (1, Some(0), Ordered), (8, None, Pending)];
    let mut draft = it.clone();
    draft.progress = Progress::draft(NOW);
    let mut approval = it.clone();
    approval.progress.take(&Step::Await { wave: 1 }, NOW);
    let paused =
        Rollout { progress: it.progress.after(Verb::Pause, None, NOW).unwrap().unwrap(), ..it.clone() };
    let frozen = Looked { frozen: Some("Christmas"), ..looked(2, &[(9, None, Pending)]) };
    let closed = Opening::Closed { until: Some(NOW + 3_600_000) };
    let closed = Looked { window: closed, ..looked(2, &[(9, None, Pending)]) };
    let learning = Looked { learning: true, ..looked(2, &[]) };
    let waiting = Looked { positions: Vec::new(), ..looked(2, &[(3, None, Class::Waiting)]) };
    let few = begun(json!([{"percent": 100, "maxFailed": 9, "successPercent": 95}]));
    for (it, looked, expected) in [
        (&draft, looked(2, &[]), "it is a draft, and nobody has begun it, since"),
        (&approval, looked(2, &[]), "wave \"100 %\" waits until somebody approves it, since"),
        (&paused, looked(2, &[]), "somebody stopped or paused it, since"),
        (
            &it,
            looked(2, &under_way),
            "wave \"50 %\" has 3 hosts to go, and 2 are under way of 2 at once, since",
        ),
        (&it, frozen, "wave \"50 %\" waits, since changes are frozen: Christmas, since"),
        (&it, closed, "wave \"50 %\" waits for a maintenance window, since"),
        (&it, learning, "ops-meta has just begun to listen"),
        (&it, waiting, "wave \"50 %\" has 2 hosts to go, and none of those that are left may begin"),
        (
            &few,
            looked(1, &[(8, Some(0), Done), (2, Some(0), Failed)]),
            "8 of 10 hosts ordered in wave \"100 %\" are done, and 10 have to be; the others failed, since",
        ),
        (&it, looked(2, &[(9, None, Pending)]), "wave \"50 %\" admits 2 hosts, since"),
    ] {
        let said = said(it, &looked);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn next_ends_a_wave_but_leaves_nobody_out_of_the_last_one() {
    let mut it = begun(json!([{"percent": 50}, {"percent": 100, "maxInFlight": 1}]));
    it.progress = it.progress.after(Verb::Next, None, NOW).unwrap().unwrap();
    let half = looked(2, &[(1, Some(0), Moving), (9, None, Pending)]);
    assert_eq!(step(&mut it, &half), Step::Begin { wave: 1 });
    it.progress = it.progress.after(Verb::Next, None, NOW).unwrap().unwrap();
    assert_eq!(
        next(&it, &half),
        Next::Wait(Wait::InFlight { in_flight: 1, most: 1, left: 9, waiting: Waits::default() })
    );
    let all = looked(2, &[(1, Some(0), Moving), (9, Some(1), Ordered)]);
    assert_eq!(step(&mut it, &all), Step::Complete);
}

#[test]
fn who_may_not_begin_yet_takes_a_place_and_is_waited_for() {
    let it = begun(json!([{"percent": 100, "maxInFlight": 4}]));
    let full = looked(1, &[(1, Some(0), Moving), (2, Some(0), Shut), (1, Some(0), Waiting), (6, None, Shut)]);
    assert_eq!(
        next(&it, &full),
        Next::Wait(Wait::InFlight {
            in_flight: 4,
            most: 4,
            left: 6,
            waiting: Waits { requires: 1, shut: 2 }
        })
    );
    assert!(said(&it, &full).contains(
        "4 are under way of 4 at once, 3 of whom wait for the end of a freeze or the next window, or for what"
    ));
    // All that wait may begin at once, and no more than in a minute.
    let it = begun(json!([{"percent": 100, "hostsPerMinute": 3}]));
    let mut slow = looked(1, &[(2, Some(0), Shut), (8, None, Pending)]);
    slow.secs = 3600;
    assert!(matches!(next(&it, &slow), Next::Do(Step::Raise { hosts: 1, .. })));
    slow.tally = looked(1, &[(3, Some(0), Shut), (7, None, Pending)]).tally;
    assert_eq!(
        next(&it, &slow),
        Next::Wait(Wait::Pace { per_minute: 3, left: 7, waiting: Waits { requires: 0, shut: 3 } })
    );
}

#[test]
fn failures_that_may_be_hold_nothing_up_unless_they_are_half() {
    for (max_failed, done, failed, goes_on) in [
        (json!("30%"), 7, 3, true),
        (json!("2%"), 98, 2, true),
        (json!(9), 5, 5, true),
        (json!(9), 4, 6, false),
    ] {
        let it = begun(json!([{"percent": 50, "maxFailed": max_failed}, {"percent": 100}]));
        let look = looked(2, &[(done, Some(0), Done), (failed, Some(0), Failed)]);
        assert_eq!(next(&it, &look) == Next::Do(Step::Begin { wave: 1 }), goes_on, "{done} {failed}");
    }
}

#[test]
fn nothing_goes_on_while_more_hosts_are_missing_than_done() {
    let mut it = begun(json!([{"percent": 50}, {"percent": 100}]));
    let silent = looked(2, &[(10, Some(0), Away)]);
    assert_eq!(next(&it, &silent), Next::Wait(Wait::Missing { missing: 10, have_it: 0 }));
    assert!(
        said(&it, &silent)
            .starts_with("of the hosts of wave \"50 %\" 10 hosts are silent, or without what their package requires, and none is done")
    );
    let some = looked(2, &[(10, Some(0), Away), (9, Some(0), Done)]);
    assert_eq!(next(&it, &some), Next::Wait(Wait::Missing { missing: 10, have_it: 9 }));
    let kinds = [(7, Some(0), Class::Unmet), (3, Some(0), Away), (9, Some(0), Done), (90, None, Class::Held)];
    assert_eq!(next(&it, &looked(2, &kinds)), Next::Wait(Wait::Missing { missing: 10, have_it: 9 }));
    let half = looked(2, &[(10, Some(0), Away), (10, Some(0), Done)]);
    assert_eq!(next(&it, &half), Next::Do(Step::Begin { wave: 1 }));
    it.progress = it.progress.after(Verb::Next, None, NOW).unwrap().unwrap();
    assert_eq!(step(&mut it, &silent), Step::Begin { wave: 1 });
    // At the end it is all hosts, whosever turn it was, and those that have it, whoever told them.
    let mut rest =
        [(9, Some(0), Done), (1, None, There), (11, None, Class::Unmet), (9, None, Class::Excluded)];
    assert_eq!(next(&it, &looked(2, &rest)), Next::Wait(Wait::Missing { missing: 11, have_it: 10 }));
    rest[2].0 = 10;
    assert_eq!(next(&it, &looked(2, &rest)), Next::Do(Step::Complete));
    let none = looked(2, &[(9, None, Class::Excluded)]);
    assert_eq!(next(&it, &none), Next::Wait(Wait::Nobody { left_out: 9 }));
}

#[test]
fn nothing_is_written_while_somebody_is_kept_from_it() {
    let mut it = begun(json!([{"percent": 100}]));
    it.progress = it.progress.after(Verb::Next, None, NOW).unwrap().unwrap();
    let shut = looked(1, &[(5000, Some(0), Done), (1, Some(0), Shut)]);
    assert_eq!(next(&it, &shut), Next::Wait(Wait::Shut { hosts: 1 }));
    assert!(said(&it, &shut).starts_with("1 host is kept from beginning by a freeze"));
    assert_eq!(step(&mut it, &looked(1, &[(5000, Some(0), Done), (1, Some(0), Waiting)])), Step::Complete);
}

#[test]
fn what_is_frozen_or_closed_keeps_nobody_from_taking_back() {
    let mut it = begun(json!([{"percent": 50, "maxInFlight": 2}, {"percent": 100, "maxInFlight": 3}]));
    it.progress.waves = serde_json::from_value(json!([500, 1000])).unwrap();
    it.progress = it.progress.after(Verb::Rollback, None, NOW).unwrap().unwrap();
    let mut look = looked(2, &[(10, Some(0), Done), (10, Some(1), Done), (1, None, Returning)]);
    look.frozen = Some("Christmas");
    look.positions = vec![900, 800];
    assert_eq!(step(&mut it, &look), Step::Lower { wave: 1, threshold: 800, hosts: 2 });
    look.tally = looked(2, &[(10, Some(0), Done), (3, None, Returning)]).tally;
    assert_eq!(next(&it, &look), Next::Wait(Wait::Returning { returning: 3, most: Some(3) }));
    look.tally = looked(2, &[(10, Some(0), Done)]).tally;
    look.positions = vec![700];
    // Nobody is left in this wave.
    assert_eq!(step(&mut it, &look), Step::Lower { wave: 1, threshold: 0, hosts: 1 });
    look.positions = vec![400];
    assert_eq!(step(&mut it, &look), Step::Lower { wave: 0, threshold: 0, hosts: 1 });
    look.tally = looked(2, &[(1, None, Returning), (3, None, Failed)]).tally;
    assert_eq!(next(&it, &look), Next::Wait(Wait::Returning { returning: 1, most: None }));
    look.tally = looked(2, &[(3, None, Failed)]).tally;
    assert_eq!(step(&mut it, &look), Step::TakenBack { failed: 3 });
}
