//! What a host is counted as.

use ops_wire::{Cmd, DesiredAgent, Phase, Status};

use super::*;
use crate::domain::conformity::Real;
use crate::domain::host;

fn desired(version: &str, cmd: Cmd) -> DesiredAgent {
    let version = version.parse().map_err(|_| String::new());
    DesiredAgent::with_any_version("a".parse().unwrap(), version, String::new(), cmd)
}

fn real(version: &'static str, phase: Phase, error_code: &'static str) -> Option<Real<'static>> {
    Some(Real { version, status: &Status::Started, phase: Some(phase), error_code })
}

/// What is known of a host, by what it says.
#[derive(Debug, Clone, Copy)]
struct Known {
    admitted: bool,
    was_admitted: bool,
    state: host::State,
    told_secs: Option<i64>,
    real: Option<Real<'static>>,
    rollout: Option<u64>,
    failed_before: bool,
    bar: Option<Bar>,
}

/// It runs the old version, was told a minute ago, and has said so.
fn known() -> Known {
    Known {
        admitted: true,
        was_admitted: true,
        state: host::State::Alive,
        told_secs: Some(60),
        real: real("1", Phase::Idle, ""),
        rollout: Some(7),
        failed_before: false,
        bar: None,
    }
}

fn class(known: Known, taking_back: bool) -> Class {
    let (target, policy) = (desired("2", Cmd::Start), desired("1", Cmd::Start));
    let asked = Asked { rollout: 7, target: &target, policy: Some(&policy) };
    let Known { admitted, was_admitted, state, told_secs, real, rollout, failed_before, bar } = known;
    let report = asked.report(real, rollout);
    Going { taking_back, timeout_secs: 900 }.class(&super::super::Known {
        admitted,
        was_admitted,
        state,
        told_secs,
        report,
        failed_before,
        bar,
    })
}

#[test]
fn an_admitted_host_is_under_way_or_done_or_failed() {
    use Class::*;
    let at = |version, phase, error| Known { real: real(version, phase, error), ..known() };
    let late = |known| Known { told_secs: Some(901), ..known };
    let silent = |known| Known { state: host::State::Late, ..known };
    let other = |known| Known { rollout: Some(6), ..known };
    for (known, expected) in [
        (known(), Ordered),
        (Known { real: None, ..known() }, Ordered),
        (at("1", Phase::Downloading, ""), Moving),
        (at("2", Phase::Starting, ""), Moving),
        (at("2", Phase::Trial, ""), Trial),
        (at("2", Phase::Idle, ""), Done),
        (at("1", Phase::RolledBack, "trial_failed"), RolledBack),
        (at("1", Phase::Failed, "sha256_mismatch"), Failed),
        (at("2", Phase::Idle, "version_reused"), Failed),
        // What failed was another order.
        (other(at("1", Phase::Failed, "sha256_mismatch")), Ordered),
        (Known { rollout: None, ..at("1", Phase::Failed, "no_space") }, Ordered),
        // It has another try.
        (Known { failed_before: true, ..at("1", Phase::RolledBack, "trial_failed") }, Ordered),
        (late(Known { failed_before: true, ..at("1", Phase::RolledBack, "trial_failed") }), TimedOut),
        (late(known()), TimedOut),
        (late(at("1", Phase::Downloading, "")), TimedOut),
        (late(at("2", Phase::Idle, "")), Done),
        (silent(known()), Vanished),
        (silent(at("2", Phase::Idle, "")), Vanished),
        // It fell silent before it heard of it.
        (silent(Known { told_secs: None, rollout: None, ..known() }), Away),
        (at("1", Phase::Held, "held"), Held),
        (Known { bar: Some(Bar::Excluded), ..known() }, Excluded),
        (Known { bar: Some(Bar::Waiting), ..known() }, Waiting),
        (late(Known { bar: Some(Bar::Shut), ..known() }), Shut),
        (silent(Known { bar: Some(Bar::Shut), told_secs: None, rollout: None, ..known() }), Away),
        // It had begun already.
        (Known { bar: Some(Bar::Waiting), ..at("2", Phase::Trial, "") }, Trial),
    ] {
        assert_eq!(class(known, false), expected, "{known:?}");
    }
}

#[test]
fn a_host_that_is_not_admitted_is_there_or_to_come_or_kept_from_it() {
    use Class::*;
    let before = Known { admitted: false, told_secs: None, rollout: None, ..known() };
    let at = |version, phase, error| Known { real: real(version, phase, error), ..before };
    for (known, expected) in [
        (before, Pending),
        (at("1", Phase::Failed, "no_space"), Pending),
        (at("2", Phase::Idle, ""), There),
        (at("1", Phase::Held, "held"), Held),
        (Known { state: host::State::Gone, ..before }, Away),
        (Known { bar: Some(Bar::Excluded), ..before }, Excluded),
        (Known { bar: Some(Bar::Unmet), state: host::State::Late, ..before }, Unmet),
        (Known { bar: Some(Bar::Waiting), ..before }, Waiting),
        (Known { bar: Some(Bar::Shut), ..before }, Shut),
        (Known { bar: Some(Bar::Shut), state: host::State::Late, ..before }, Away),
    ] {
        assert_eq!(class(known, false), expected, "{known:?}");
    }
}

#[test]
fn on_the_way_back_a_host_is_returning_until_it_is_as_before() {
    use Class::*;
    let before = Known { admitted: false, told_secs: Some(10), rollout: None, ..known() };
    let at = |version, phase, error| Known { real: real(version, phase, error), ..before };
    for (known, expected) in [
        (before, Pending),
        (at("2", Phase::Idle, ""), Returning),
        (at("2", Phase::Downloading, ""), Returning),
        (at("1", Phase::Trial, ""), Returning),
        // It has not heard of it yet.
        (Known { told_secs: None, ..before }, Returning),
        (Known { rollout: Some(7), ..at("1", Phase::Downloading, "") }, Returning),
        (Known { rollout: Some(7), ..at("0", Phase::Failed, "start_failed") }, Returning),
        // It went back by itself, and may try again until it is told otherwise.
        (Known { rollout: Some(7), ..at("1", Phase::RolledBack, "trial_failed") }, Pending),
        (
            Known { rollout: Some(7), told_secs: None, ..at("1", Phase::RolledBack, "trial_failed") },
            Returning,
        ),
        (Known { rollout: Some(7), ..at("1", Phase::Starting, "trial_failed") }, Returning),
        (at("2", Phase::Failed, "no_space"), Failed),
        (Known { told_secs: Some(901), ..at("2", Phase::Downloading, "") }, TimedOut),
        (Known { state: host::State::Late, ..at("2", Phase::Idle, "") }, Away),
        (at("2", Phase::Held, "held"), Held),
        // It was never told of it.
        (Known { was_admitted: false, told_secs: None, ..before }, Pending),
        (Known { was_admitted: false, told_secs: None, ..at("1", Phase::Downloading, "") }, Pending),
        (Known { was_admitted: false, told_secs: None, ..at("2", Phase::Idle, "") }, Returning),
        (Known { was_admitted: false, rollout: Some(7), ..at("1", Phase::Downloading, "") }, Returning),
        // It never was as the policy says, and that has nothing to do with this.
        (at("0", Phase::Idle, ""), Pending),
    ] {
        assert_eq!(class(known, true), expected, "{known:?}");
    }
}

#[test]
fn a_crashed_host_does_not_stand_where_a_rollout_leads() {
    use Stand::*;
    let (new, old) = (desired("2", Cmd::Start), desired("1", Cmd::Start));
    let (stop, start) = (desired("1", Cmd::Stop), desired("1", Cmd::Start));
    let stand = |target, policy, real, rollout| {
        Asked { rollout: 7, target, policy: Some(policy) }.report(real, rollout).stand
    };
    let crashed =
        |version| Some(Real { version, status: &Status::Stopped, phase: Some(Phase::Idle), error_code: "" });
    for (target, policy, real, rollout, expected) in [
        (&new, &old, real("1", Phase::Idle, ""), Some(7), Elsewhere),
        (&new, &old, real("1", Phase::Downloading, ""), Some(7), Moving),
        (&new, &old, real("1", Phase::Downloading, ""), None, Elsewhere),
        (&new, &old, real("2", Phase::Idle, ""), None, There),
        // It keeps its version although it has crashed.
        (&new, &old, crashed("2"), None, There),
        (&stop, &start, crashed("1"), None, Elsewhere),
        (&stop, &start, crashed("1"), Some(7), There),
        (&start, &stop, crashed("1"), None, Elsewhere),
        (&new, &old, None, None, Elsewhere),
    ] {
        assert_eq!(stand(target, policy, real, rollout), expected, "{real:?} {rollout:?}");
    }
}
