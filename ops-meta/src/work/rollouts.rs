//! Rollouts go on: all hosts are counted, and what follows from that is done, again and again. What happens is in the
//! database before any host hears of it, so a server that was killed goes on from there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::clock::now_ms;
use crate::current::Current;
use crate::domain::host::{Listening, Run};
use crate::domain::rollout::{Gates, Look, Next, Rollout, Step, Wait, Why, evaluate, opening, why};
use crate::log::Seldom;
use crate::rollouts::{Counted, Scanned, Seen, scan};
use crate::running::App;

/// Between two looks at all hosts; nobody does in less what a host notices.
const EVERY: Duration = Duration::from_secs(1);
/// The same while no rollout moves by itself: only people see what is counted.
const EVERY_AT_REST: Duration = Duration::from_secs(10);
/// After a step there may be another.
const AFTER_STEP: Duration = Duration::from_millis(20);
/// After a look this many times as long as it took: so it has 4 % of one processor at most.
const REST_PER_LOOK: u32 = 24;
/// The same where somebody began a rollout or did something with one.
const REST_PER_LOOK_ASKED: u32 = 3;
/// But no longer: meanwhile nothing stops a rollout that goes wrong.
const REST_MAX: Duration = Duration::from_secs(300);
/// The same where somebody did something, and waits for what comes of it.
const REST_ASKED_MAX: Duration = Duration::from_secs(10);

/// For ever, whatever happens: while nobody looks, nothing stops a rollout that goes wrong.
pub async fn run(app: Arc<App>) {
    let warnings = Seldom::new(2);
    loop {
        let ended = tokio::spawn(rounds(app.clone())).await;
        let why = ended.map_or_else(|why| why.to_string(), |()| "it ended".to_owned());
        warnings.warn("rollouts_broke_off", &[("why", &why)]);
        tokio::time::sleep(EVERY).await;
    }
}

/// Windows open and close in time, however long a look at all hosts takes.
pub async fn watch_windows(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        app.look_at_windows().await;
    }
}

async fn rounds(app: Arc<App>) {
    let warnings = Seldom::new(2);
    loop {
        if app.current().active().is_empty() {
            // While cfg.json decides, nobody hears of any.
            app.looks.memories().clear();
            let _ = timeout(EVERY_AT_REST, app.looks.moved.notified()).await;
            continue;
        }
        let Some((current, scanned)) = look(&app).await else {
            tokio::time::sleep(EVERY).await;
            continue;
        };
        let rest = (scanned.took * REST_PER_LOOK).min(REST_MAX);
        let rest_asked = (scanned.took * REST_PER_LOOK_ASKED).min(REST_ASKED_MAX);
        let pause = match go_on(&app, &current, scanned).await {
            Ok(went) => pause_after(went),
            Err(why) => {
                warnings.warn("rollouts_wait", &[("why", &why)]);
                EVERY
            }
        };
        tokio::time::sleep(rest_asked).await;
        let _ = timeout(pause.max(rest).saturating_sub(rest_asked), app.looks.moved.notified()).await;
    }
}

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Went {
    /// Nothing happens by itself.
    AtRest,
    Waits,
    Step,
}

fn pause_after(went: Went) -> Duration {
    match went {
        Went::AtRest => EVERY_AT_REST,
        Went::Waits => EVERY,
        Went::Step => AFTER_STEP,
    }
}

/// Looks at every host, and so takes its turn.
async fn look(app: &Arc<App>) -> Option<(Arc<Current>, Scanned)> {
    let looking = app.clone();
    let turn = app.scans.clone().acquire_owned().await;
    let looked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let current = looking.current().clone();
        let scanned = scan(&looking.fleet, &current, &looking.looks);
        (current, scanned)
    });
    looked.await.ok()
}

/// Every rollout, as far as this look leads.
async fn go_on(app: &App, current: &Current, scanned: Scanned) -> Result<Went, String> {
    let run = app.fleet.listen(now_ms() / 1000);
    let listening = app.fleet.listening().clone();
    let learning = is_learning(run, scanned.interval_secs);
    let (mut went, mut failed) = (Went::AtRest, None);
    for (active, counted) in current.active().iter().zip(scanned.all) {
        let of = Round { scanned_at: scanned.at, learning, listening: &listening, gates: current.gates() };
        // One that cannot go on keeps no other from it.
        match of.one(app, active.rollout.clone(), counted).await {
            Ok(one) => went = went.max(one),
            Err(why) => failed = Some(failed.unwrap_or(why)),
        }
    }
    failed.map_or(Ok(went), Err)
}

/// Until every host could be heard once.
fn is_learning(run: Run, interval_secs: i64) -> bool {
    run.until - run.since < interval_secs
}

struct Round<'a> {
    scanned_at: i64,
    learning: bool,
    listening: &'a Listening,
    gates: &'a Gates,
}

impl Round<'_> {
    async fn one(&self, app: &App, mut rollout: Rollout, counted: Counted) -> Result<Went, String> {
        let mut last = None;
        let went = loop {
            let frozen = self.frozen(&rollout);
            let look = self.look(&rollout, &counted, frozen.as_deref());
            let step = match evaluate(&rollout, &look) {
                Next::Wait(Wait::Paused | Wait::Over(_)) => break Went::AtRest,
                Next::Wait(_) => break Went::Waits,
                Next::Do(step) => step,
            };
            let why = step.said(&rollout);
            if matches!(step, Step::Complete | Step::TakenBack { .. } | Step::Breach { .. }) {
                // What is kept of the end is what it ends by.
                self.note(app, &rollout, &counted);
            }
            let went = app.step_rollout(rollout.id, &rollout.progress, &step, why.clone(), self.gates).await;
            let went = match went {
                Ok(went) => went,
                Err(why) => {
                    // People see why, too.
                    let stuck = Why {
                        what: format!("it cannot go on: {why}"),
                        since: rollout.progress.since,
                        moved_by: "whatever mends that; it is tried again all the time".to_owned(),
                    };
                    self.note_why(app, &rollout, &counted, stuck);
                    return Err(format!("rollout {}: {why}", rollout.id));
                }
            };
            // Unless somebody did something meanwhile.
            let Some(progress) = went else { break Went::Step };
            rollout.progress = progress;
            // Of the first wave it is known already who is next.
            let keeps_counts = matches!(step, Step::Settle | Step::Recover { .. } | Step::Begin { wave: 0 });
            if !keeps_counts {
                // What was counted does not count any more.
                last = Some(why);
                break Went::Step;
            }
        };
        match last {
            None => self.note(app, &rollout, &counted),
            Some(what) => {
                let moved_by = "it goes on by itself, within seconds".to_owned();
                self.note_why(app, &rollout, &counted, Why { what, since: rollout.progress.since, moved_by });
            }
        }
        Ok(went)
    }

    fn note(&self, app: &App, rollout: &Rollout, counted: &Counted) {
        let frozen = self.frozen(rollout);
        let why = why(rollout, &self.look(rollout, counted, frozen.as_deref()));
        self.note_why(app, rollout, counted, why);
    }

    fn note_why(&self, app: &App, rollout: &Rollout, counted: &Counted, why: Why) {
        let (tally, failures) = (counted.tally.clone(), counted.failures.clone());
        app.looks.note(rollout.id, Seen { at: self.scanned_at, tally, failures, why });
    }

    fn frozen(&self, rollout: &Rollout) -> Option<String> {
        self.gates.frozen(rollout.plan.agent.as_str()).map(ToString::to_string)
    }

    fn look<'a>(&'a self, rollout: &Rollout, counted: &'a Counted, frozen: Option<&'a str>) -> Look<'a> {
        let now = now_ms();
        Look {
            now,
            learning: self.learning,
            listening: self.listening,
            frozen,
            window: opening(&rollout.plan.windows, now),
            tally: &counted.tally,
            next_positions: &counted.next,
        }
    }
}
