//! What a rollout does next, by itself.

use super::breach::{breach, recovered};
use super::count::{Counts, Tally};
use super::progress::Breached;
use super::share::Percent;
use super::state::{OnBreach, State};
use super::wave::Wave;
use super::why::Wait;
use super::window::Opening;
use super::{Class, Rollout};
use crate::domain::host::Listening;

/// So many positions are asked for at most.
const HOSTS_PER_STEP_MAX: u32 = 100_000;
const MINUTE_MS: i64 = 60_000;
/// `hostsPerMinute` saves up no more than this, so that no minute has many more than that.
const SAVED_MS_MAX: i64 = 10_000;
/// Of a thousand hosts so many may still be under way when a wave has settled: in a large fleet there is always one that
/// has just come.
const LATECOMERS_PER_MILLE: u64 = 1;

/// What is looked at. Times are Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    pub now: i64,
    /// The server has not listened for an interval yet: what it knows of hosts may be old.
    pub learning: bool,
    /// Only time in which the server listened counts as time in which all went well.
    pub listening: &'a Listening,
    /// Why nothing may begin.
    pub frozen: Option<&'a str>,
    pub window: Opening,
    pub tally: &'a Tally,
    /// [`super::Nearest::sorted`] of the hosts that [`Rollout::is_next`] tells, as many as [`room`] says.
    pub next_positions: &'a [u64],
}

/// One change of a rollout's progress, for [`super::Progress::take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Admits the next hosts.
    Raise {
        wave: usize,
        threshold: u64,
        hosts: u32,
        paced: i64,
    },
    /// All hosts of the wave are where they should be.
    Settle,
    /// Some known failures are none any more.
    Recover {
        known_failures: Vec<u32>,
    },
    /// Begins a wave.
    Begin {
        wave: usize,
    },
    /// The next wave wants approval.
    Await {
        wave: usize,
    },
    /// The policy is to be written.
    Complete,
    Breach {
        breached: Breached,
        then: OnBreach,
    },
    /// Takes back the change from the last hosts that got it.
    Lower {
        wave: usize,
        threshold: u64,
        hosts: u32,
    },
    TakenBack {
        /// On the way back: they are not as before.
        failed: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Do(Step),
    Wait(Wait),
}

/// One step, or what is waited for. To be asked again after each step: it needs other positions then.
pub fn evaluate(rollout: &Rollout, look: &Look<'_>) -> Next {
    let state = rollout.progress.state;
    match state {
        State::Draft => Next::Wait(Wait::Draft),
        State::Paused => Next::Wait(Wait::Paused),
        State::Completed | State::Stopped | State::RolledBack => Next::Wait(Wait::Over(state)),
        _ if look.learning => Next::Wait(Wait::Learning),
        State::AwaitingApproval => stop_rule(rollout, look).unwrap_or(Next::Wait(Wait::Approval)),
        State::Running => running(rollout, look),
        State::RollingBack => rolling_back(rollout, look),
    }
}

/// How many hosts may be moved by the next step.
pub fn room(rollout: &Rollout, tally: &Tally, now: i64) -> u32 {
    let Some((at, wave)) = rollout.wave() else { return 0 };
    let room = match rollout.progress.state {
        State::Running => {
            let left = tally.waves.get(at).map_or(0, |counts| left(wave, counts));
            let paced = paced(rollout.progress.paced, wave, now).min(may_wait(wave, tally));
            left.min(slots(wave, tally.in_flight())).min(paced)
        }
        State::RollingBack => slots(wave, tally.rest.get(Class::Returning)),
        _ => 0,
    };
    room.min(HOSTS_PER_STEP_MAX)
}

fn stop_rule(rollout: &Rollout, look: &Look<'_>) -> Option<Next> {
    let breached = breach(rollout, look.tally)?;
    Some(Next::Do(Step::Breach { breached, then: rollout.plan.on_breach }))
}

fn running(rollout: &Rollout, look: &Look<'_>) -> Next {
    if let Some(stop) = stop_rule(rollout, look) {
        return stop;
    }
    if let Some(known_failures) = recovered(rollout, look.tally) {
        return Next::Do(Step::Recover { known_failures });
    }
    let counted = rollout.wave().and_then(|(at, wave)| Some((at, wave, look.tally.waves.get(at)?)));
    let Some((at, wave, counts)) = counted else { return ended(rollout, look) };
    let is_last = at + 1 >= rollout.plan.waves.len();
    // What the last wave leaves out would begin all at once.
    if rollout.progress.hurry && !is_last {
        return ended(rollout, look);
    }
    if left(wave, counts) > 0 {
        return admit(rollout, look, at, wave, counts);
    }
    if rollout.progress.hurry {
        return ended(rollout, look);
    }
    unsettled(rollout, look, at, wave, counts).unwrap_or_else(|| ended(rollout, look))
}

/// The next hosts of the wave.
fn admit(rollout: &Rollout, look: &Look<'_>, at: usize, wave: &Wave, counts: &Counts) -> Next {
    if let Some(shut) = shut(look) {
        return Next::Wait(shut);
    }
    let (in_flight, waiting) = (look.tally.in_flight(), look.tally.waiting());
    let room = room(rollout, look.tally, look.now);
    let next = look.next_positions.get(..look.next_positions.len().min(room as usize)).unwrap_or_default();
    if let Some(last) = next.last() {
        let hosts = next.len() as u32;
        let paced = paid(rollout.progress.paced, wave, hosts, look.now);
        return Next::Do(Step::Raise { wave: at, threshold: last.saturating_add(1), hosts, paced });
    }
    let left = left(wave, counts);
    Next::Wait(match (wave.max_in_flight, wave.hosts_per_minute) {
        (Some(most), _) if slots(wave, in_flight) == 0 => Wait::InFlight { in_flight, most, left, waiting },
        (_, Some(per_minute)) if room == 0 => Wait::Pace { per_minute, left, waiting },
        _ => Wait::Turns { left },
    })
}

/// What is still waited for when all hosts of the wave are admitted.
fn unsettled(rollout: &Rollout, look: &Look<'_>, at: usize, wave: &Wave, counts: &Counts) -> Option<Next> {
    let (in_flight, ordered, done) = (counts.of.in_flight(), counts.of.ordered(), counts.of.get(Class::Done));
    if u64::from(in_flight) * 1000 > u64::from(ordered) * LATECOMERS_PER_MILLE {
        return Some(Next::Wait(Wait::UnderWay { in_flight, waiting: counts.of.waiting() }));
    }
    // Of hosts that nobody hears, or that lack what they require, nobody knows how they would fare: as long as it is not the
    // end, of those whose turn it was.
    let is_last = at + 1 >= rollout.plan.waves.len();
    let (missing, have_it) =
        if is_last { (counts.missing, counts.have_it) } else { (counts.of.missing(), done) };
    if missing > have_it {
        return Some(Next::Wait(Wait::Missing { missing, have_it }));
    }
    if counts.hosts == 0 && counts.left_out > 0 {
        return Some(Next::Wait(Wait::Nobody { left_out: counts.left_out }));
    }
    let judged = ordered.saturating_sub(in_flight);
    // Unless somebody says how many it takes: all but those that may have failed, and those that are known; and half.
    let known = rollout.progress.known_failures.get(at).copied().unwrap_or(0);
    let but_failed =
        || judged.saturating_sub(wave.max_failed.of(judged).saturating_add(known)).max(judged.div_ceil(2));
    let wanted = wave.success_percent.map_or_else(but_failed, |percent| Percent::whole(percent).of(judged));
    if done < wanted {
        return Some(Next::Wait(Wait::TooFewDone { done, ordered, wanted }));
    }
    if wave.soak_secs == 0 {
        return None;
    }
    // By a clock that was set back it is not so far yet.
    let Some(settled) = rollout.progress.settled.filter(|settled| *settled <= look.now) else {
        return Some(Next::Do(Step::Settle));
    };
    let soaked = look.listening.silence(settled / 1000, look.now / 1000);
    let left_secs = i64::from(wave.soak_secs) - soaked;
    (left_secs > 0).then_some(Next::Wait(Wait::Soak { since: settled, left_secs }))
}

/// The wave under way is over, or none has begun.
fn ended(rollout: &Rollout, look: &Look<'_>) -> Next {
    let wave = rollout.progress.waves.len();
    match rollout.plan.waves.get(wave) {
        Some(next) if next.approval => Next::Do(Step::Await { wave }),
        Some(_) => Next::Do(Step::Begin { wave }),
        // Whoever is kept from beginning would begin by the policy.
        None => match look.tally.kept {
            0 => shut(look).map_or(Next::Do(Step::Complete), Next::Wait),
            hosts => Next::Wait(Wait::Shut { hosts }),
        },
    }
}

fn shut(look: &Look<'_>) -> Option<Wait> {
    match (look.frozen, look.window) {
        (Some(why), _) => Some(Wait::Frozen { why: why.to_owned() }),
        (None, Opening::Closed { until }) => Some(Wait::Window { until }),
        (None, Opening::Open { .. }) => None,
    }
}

/// Neither a freeze nor a window keeps anybody from taking back: they are there so that nothing breaks.
fn rolling_back(rollout: &Rollout, look: &Look<'_>) -> Next {
    let returning = look.tally.rest.get(Class::Returning);
    let Some((wave, plan)) = rollout.wave() else {
        return match returning {
            0 => Next::Do(Step::TakenBack { failed: look.tally.rest.failures() }),
            _ => Next::Wait(Wait::Returning { returning, most: None }),
        };
    };
    let room = room(rollout, look.tally, look.now);
    if room == 0 {
        return Next::Wait(Wait::Returning { returning, most: plan.max_in_flight });
    }
    let next = look.next_positions.get(..look.next_positions.len().min(room as usize)).unwrap_or_default();
    // With fewer than there is room for, nobody is left behind them.
    let threshold = if next.len() < room as usize { 0 } else { next.last().copied().unwrap_or(0) };
    Next::Do(Step::Lower { wave, threshold, hosts: next.len() as u32 })
}

/// Hosts that the wave has yet to admit.
fn left(wave: &Wave, counts: &Counts) -> u32 {
    wave.share.of(counts.hosts).saturating_sub(counts.reached)
}

fn slots(wave: &Wave, in_flight: u32) -> u32 {
    wave.max_in_flight.map_or(u32::MAX, |most| most.saturating_sub(in_flight))
}

/// With `hostsPerMinute` no more hosts may wait than begin in a minute: all of them may begin at once.
fn may_wait(wave: &Wave, tally: &Tally) -> u32 {
    wave.hosts_per_minute.map_or(u32::MAX, |most| most.saturating_sub(tally.waiting().all()))
}

/// Hosts that the time since `until` is good for.
fn paced(until: i64, wave: &Wave, now: i64) -> u32 {
    let Some(per_minute) = wave.hosts_per_minute.map(i64::from) else { return u32::MAX };
    let saved = now - saved_from(until, per_minute, now);
    u32::try_from(saved.saturating_mul(per_minute) / MINUTE_MS).unwrap_or(u32::MAX)
}

/// Until when time is used up once so many hosts were let in.
fn paid(until: i64, wave: &Wave, hosts: u32, now: i64) -> i64 {
    let Some(per_minute) = wave.hosts_per_minute.map(i64::from) else { return now };
    let ms = (i64::from(hosts) * MINUTE_MS + per_minute - 1) / per_minute.max(1);
    saved_from(until, per_minute, now).saturating_add(ms).min(now)
}

/// A host is let in at once, however few there are in a minute.
fn saved_from(until: i64, per_minute: i64, now: i64) -> i64 {
    let one_host_ms = (MINUTE_MS + per_minute - 1) / per_minute.max(1);
    let most = now.saturating_sub(SAVED_MS_MAX.max(one_host_ms));
    // What lies ahead was written by a clock that has been set back since, and would keep all from going on.
    if until > now { most } else { until.max(most) }
}
