//! What must hold whatever happens.

use super::host::{NEW, OLD, Order, Said};
use super::server::Server;
use crate::domain::rollout::state::{Event, TABLE, after};
use crate::domain::rollout::{
    Class, MaxFailed, Next, Progress, Rollout, Seen, Share, Stand, State, Step, Tally, Verb,
};

type AllSeen = [(u64, Seen)];

pub fn verb(before: &Progress, verb: Verb, now: &Progress) {
    assert_eq!(after(before.state, Event::Do(verb)), Some(now.state));
    assert!(now.waves.len() <= before.waves.len() + usize::from(verb == Verb::Approve));
}

/// One version, and never a new one where nobody new begins, or this host may not.
pub fn told(server: &Server, host: usize, said: &Said, order: Option<Order>, now: i64) {
    let Some(order) = order else { return };
    assert!([OLD, NEW].contains(&order.version));
    let stand = server.stand(said);
    let by_policy = server.rollout.progress.state == State::Completed;
    if order.version == NEW && stand == Stand::Elsewhere && !by_policy {
        assert_eq!(server.bar(host, now), None);
    }
    match server.rollout.progress.state {
        State::Draft | State::RolledBack => assert_eq!(order.version, OLD),
        State::Paused | State::Stopped if order.version == NEW => assert_ne!(stand, Stand::Elsewhere),
        State::Paused | State::Stopped => assert_ne!(stand, Stand::There),
        _ => {}
    }
}

/// The stop rule, worked out in another way; and nothing happens while nobody knows better.
pub fn judged(server: &Server, next: &Next, seen: &AllSeen, now: i64) {
    let rollout = &server.rollout;
    let state = rollout.progress.state;
    if server.is_learning(now) || matches!(state, State::Paused) || state.is_over() {
        assert!(matches!(next, Next::Wait(_)), "{state} {next:?}");
        return;
    }
    let is_shut = server.frozen || server.window != crate::domain::rollout::Opening::ALWAYS;
    if is_shut {
        assert!(!matches!(next, Next::Do(Step::Raise { .. } | Step::Complete)), "{next:?}");
    }
    if !matches!(state, State::Running | State::AwaitingApproval) {
        return;
    }
    let sick = (0..rollout.progress.waves.len()).any(|wave| is_sick(rollout, wave, seen));
    if sick {
        assert!(matches!(next, Next::Do(Step::Breach { .. })), "{next:?}");
    }
}

fn is_sick(rollout: &Rollout, wave: usize, seen: &AllSeen) -> bool {
    let known = rollout.progress.known_failures.get(wave).copied().unwrap_or(0);
    let admitted = seen.iter().filter(|(_, it)| it.admitted_by == Some(wave)).map(|(_, it)| it.class);
    let failed = [Class::Failed, Class::RolledBack, Class::TimedOut, Class::Vanished];
    let failures = admitted.clone().filter(|class| failed.contains(class)).count() as u32;
    // Nothing is ordered of whoever may not begin yet.
    let ordered = admitted.filter(|class| class.is_counted() && !waits(*class)).count() as u32;
    let failures = failures.saturating_sub(known);
    let plan = &rollout.plan.waves[wave];
    match plan.max_failed {
        MaxFailed::Absolute(most) => failures > most,
        MaxFailed::Percent(most) => ordered >= plan.min_sample && most.is_exceeded_by(failures, ordered),
    }
}

fn waits(class: Class) -> bool {
    matches!(class, Class::Pending | Class::Waiting | Class::Shut)
}

pub fn stepped(before: &Rollout, now: &Rollout, step: &Step, tally: &Tally, seen: &AllSeen) {
    let (was, is) = (before.progress.state, now.progress.state);
    assert!(was == is || TABLE.iter().any(|(from, _, to)| (*from, *to) == (was, is)), "{was} -> {is}");
    let admitted = |rollout: &Rollout| {
        let waves = rollout.progress.waves.clone();
        let admits =
            move |(position, seen): &&(u64, Seen)| waves.admitting(*position, seen.selected).is_some();
        seen.iter().filter(admits).map(|(position, _)| *position).collect::<Vec<_>>()
    };
    let (had, has) = (admitted(before), admitted(now));
    match step {
        Step::Raise { wave, hosts, .. } => {
            assert!(had.iter().all(|position| has.contains(position)), "somebody was left out again");
            let new: Vec<_> = seen.iter().filter(|(p, _)| has.contains(p) && !had.contains(p)).collect();
            let counted = new.iter().filter(|(_, it)| waits(it.class)).count() as u32;
            assert_eq!(counted, *hosts);
            let plan = &before.plan.waves[*wave];
            if let Some(most) = plan.max_in_flight {
                assert!(tally.in_flight() + counted <= most, "{tally:?} {step:?}");
            }
            let counts = &tally.waves[*wave];
            let goal = match plan.share {
                Share::Count(count) => count.min(counts.hosts),
                Share::Percent(percent) => percent.of(counts.hosts),
            };
            assert!(counts.reached + counted <= goal, "{counts:?} {step:?}");
        }
        Step::Lower { hosts, .. } => {
            assert!(has.iter().all(|position| had.contains(position)), "somebody was admitted");
            assert_eq!((had.len() - has.len()) as u32, *hosts);
            let last = before.wave().unwrap();
            if let Some(most) = last.1.max_in_flight {
                assert!(tally.rest.get(Class::Returning) + hosts <= most);
            }
        }
        Step::Breach { .. } => {
            assert_ne!(is, State::Running);
            assert_eq!(had, has);
        }
        Step::TakenBack { .. } => assert!(has.is_empty()),
        Step::Complete => {
            assert!(seen.iter().all(|(_, it)| !it.is_kept), "somebody is kept from it")
        }
        _ => assert_eq!(had, has),
    }
}
