//! The stop rule.

use super::class::Class;
use super::count::{Counts, Tally};
use super::progress::Breached;
use super::wave::Wave;
use super::{MaxFailed, Rollout};

/// The first wave of those that have begun that has too many failures: what an early wave shows late counts, too.
pub fn breach(rollout: &Rollout, tally: &Tally) -> Option<Breached> {
    let begun = rollout.progress.waves.len();
    let known = |wave: usize| rollout.progress.known_failures.get(wave).copied().unwrap_or(0);
    let mut waves = rollout.plan.waves.iter().zip(&tally.waves).take(begun).enumerate();
    let (wave, why) = waves.find_map(|(n, (wave, counts))| Some((n, too_many(wave, counts, known(n))?)))?;
    Some(Breached { wave, failures: failures(tally, begun), why })
}

/// Known failures that are none any more: hosts that come back must not leave room for others to fail.
pub fn recovered(rollout: &Rollout, tally: &Tally) -> Option<Vec<u32>> {
    let known = &rollout.progress.known_failures;
    let now = failures(tally, known.len());
    let least: Vec<u32> = known.iter().zip(now).map(|(known, now)| now.min(*known)).collect();
    (least != *known).then_some(least)
}

fn failures(tally: &Tally, waves: usize) -> Vec<u32> {
    tally.waves.iter().take(waves).map(|counts| counts.of.failures()).collect()
}

fn too_many(wave: &Wave, counts: &Counts, known: u32) -> Option<String> {
    let failures = counts.of.failures().saturating_sub(known);
    let ordered = counts.of.ordered();
    let goal = wave.share.of(counts.hosts);
    // Of a few hosts a percentage means nothing yet, unless the whole wave cannot make up for them any more.
    let sample = match ordered < wave.min_sample.min(goal) {
        true => goal,
        false => ordered,
    };
    if !wave.max_failed.is_exceeded_by(failures, sample) {
        return None;
    }
    let allowed = match wave.max_failed {
        MaxFailed::Absolute(0) => "and none may".to_owned(),
        most => format!("and {most} may"),
    };
    let besides = if known > 0 { format!(", besides the {known} known before") } else { String::new() };
    Some(format!(
        "{failures} of {ordered} hosts ordered in wave {:?} failed ({}){besides}, {allowed}",
        wave.name,
        kinds(counts)
    ))
}

/// `2 rolled back, 1 vanished`
fn kinds(counts: &Counts) -> String {
    let kinds = [
        (Class::Failed, "with an error"),
        (Class::RolledBack, "rolled back"),
        (Class::TimedOut, "timed out"),
        (Class::Vanished, "vanished"),
    ];
    let kinds = kinds.into_iter().map(|(class, said)| (counts.of.get(class), said));
    let said = kinds.filter(|(count, _)| *count > 0).map(|(count, said)| format!("{count} {said}"));
    said.collect::<Vec<_>>().join(", ")
}
