#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn progress(hosts: usize, max_in_flight: Option<u32>) -> Progress {
    Progress::new((0..hosts).map(|n| Host::new(format!("web-{n:02}"))).collect(), max_in_flight)
}

fn told(progress: &mut Progress, now: i64) -> usize {
    let hosts = progress.hosts().len();
    (0..hosts).filter(|at| progress.tell(*at, now) == Tell::First).count()
}

#[test]
fn a_host_is_told_until_it_has_answered() {
    let mut progress = progress(2, None);
    assert_eq!((progress.tell(0, NOW), progress.tell(0, NOW + 1)), (Tell::First, Tell::Again));
    assert!(progress.answered(0, "", NOW + 2));
    assert_eq!(progress.tell(0, NOW + 3), Tell::Nothing);
    let host = progress.get(0).unwrap();
    assert_eq!(
        (host.state, host.told, host.answered),
        (HostState::Done, Some(NOW), Some(NOW + 2)),
        "when it was told first counts"
    );
    assert!(!progress.is_done());
    assert!(progress.answered(1, "held", NOW), "also one that was told by a server that was killed since");
    assert!(progress.is_done());
}

#[test]
fn what_is_said_twice_counts_once() {
    let mut progress = progress(1, None);
    progress.tell(0, NOW);
    assert!(progress.answered(0, "held", NOW + 1));
    assert!(!progress.answered(0, "", NOW + 2), "the first word counts");
    let host = progress.get(0).unwrap();
    assert_eq!((host.state, &*host.code, host.answered), (HostState::Failed, "held", Some(NOW + 1)));
    assert!(!progress.answered(7, "", NOW), "there is none");
}

#[test]
fn no_more_are_under_way_than_may_be() {
    let mut progress = progress(5, Some(2));
    assert_eq!((told(&mut progress, NOW), told(&mut progress, NOW + 1)), (2, 0));
    assert_eq!(progress.tell(0, NOW + 2), Tell::Again, "who is under way is told again all the same");
    progress.answered(1, "", NOW + 3);
    assert_eq!(told(&mut progress, NOW + 4), 1);
    progress.answered(0, "held", NOW + 5);
    progress.answered(2, "", NOW + 5);
    assert_eq!(told(&mut progress, NOW + 6), 2);
}

#[test]
fn who_falls_silent_does_not_hold_up_the_others_for_ever() {
    let mut progress = progress(4, Some(1));
    assert_eq!(told(&mut progress, NOW), 1);
    assert_eq!(told(&mut progress, NOW + IN_FLIGHT_MS_MAX - 1), 0);
    assert_eq!(told(&mut progress, NOW + IN_FLIGHT_MS_MAX), 1);
    assert!(progress.answered(0, "", NOW + IN_FLIGHT_MS_MAX + 1), "its late answer counts");
    // The clock is set back by a day.
    assert_eq!(told(&mut progress, NOW - 86_400_000), 1);
}

#[test]
fn after_a_restart_it_goes_on_from_there() {
    let mut before = progress(3, Some(1));
    before.tell(1, NOW);
    let mut after = Progress::new(before.hosts().to_vec(), Some(1));
    assert_eq!(told(&mut after, NOW + 1), 0);
    assert!(after.answered(1, "", NOW + 2));
    assert_eq!((told(&mut after, NOW + 3), after.is_done()), (1, false));
}

#[test]
fn who_has_not_answered_in_time_is_told_nothing_more() {
    let mut progress = progress(3, None);
    progress.tell(1, NOW);
    progress.tell(2, NOW);
    progress.answered(2, "", NOW);
    assert_eq!(progress.expire(), [0, 1]);
    assert!(progress.is_done());
    assert_eq!(progress.tell(0, NOW), Tell::Nothing);
    assert!(!progress.answered(1, "", NOW));
    let counts = progress.outcome().counts;
    assert_eq!(counts, Counts { done: 1, expired: 2, ..Counts::default() });
    assert_eq!((counts.percent(), counts.all()), (33, 3));
    let why = |at: usize| progress.hosts()[at].why(Kind::Restart);
    assert_eq!(why(0), Some("it could not be told before the job was over"));
    assert_eq!(why(1), Some("it was told, and did not answer before the job was over"));
    assert_eq!(why(2), None);
}

#[test]
fn failures_are_told_by_code_with_some_hosts() {
    let mut progress = progress(80, None);
    (0..15).for_each(|at| _ = progress.answered(at, "bad_name", NOW));
    (15..75).for_each(|at| _ = progress.answered(at, &format!("made_up_{at}"), NOW));
    let Outcome { counts, failures } = progress.outcome();
    assert_eq!((counts.failed, counts.pending, counts.percent()), (75, 5, 93));
    assert_eq!((failures["bad_name"].hosts, failures["bad_name"].some.len()), (15, 10));
    assert_eq!(failures["bad_name"].some[0], "web-00");
    assert_eq!((failures.len(), failures["other"].hosts), (51, 11));
    let why = progress.hosts()[0].why(Kind::Restart);
    assert_eq!(why, Some("there is no such agent on this host"));
    assert_eq!(progress.hosts()[20].why(Kind::Restart), None);
}

#[test]
fn hosts_named_twice_are_there_once_and_nobody_is_a_hundred_percent() {
    let hosts = ["b", "a", "b"].map(Host::new).to_vec();
    let progress = Progress::new(hosts, None);
    let names: Vec<&str> = progress.hosts().iter().map(|host| &*host.hostname).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(Counts::default().percent(), 0);
    for state in HostState::ALL {
        assert_eq!(
            serde_json::to_value(state).unwrap(),
            state.as_str(),
            "the database and the API say the same"
        );
    }
    assert_eq!("restart".parse(), Ok(Kind::Restart));
    assert_eq!("explode".parse::<Kind>().unwrap_err().to_string(), "there are restart, report");
}
