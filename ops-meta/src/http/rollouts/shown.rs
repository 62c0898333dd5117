//! Rollouts as they are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::now_ms;
use crate::domain::desired::Fault;
use crate::domain::failures::Failures;
use crate::domain::host::Listening;
use crate::domain::rollout::{
    Look, Opening, Plan, PlanText, Progress, Rollout, State, Tally, Verb, Why, why,
};
use crate::http::problem::Problem;
use crate::rollouts::{Ended, WaveEnded};
use crate::running::App;
use crate::store::{RolloutRow, StoreError};

/// One rollout in a list. Times are Unix milliseconds.
#[derive(Serialize, ToSchema)]
#[schema(as = Rollout)]
pub struct Head {
    id: u64,
    state: State,
    /// When it came into this state, or into this wave.
    since: i64,
    plan: PlanText,
    /// Waves that have begun, and how many there are.
    begun: usize,
    waves: usize,
    /// How many hosts its plan names; in a list only the first of them stands in it.
    hosts: usize,
    /// Of all hosts of the policy those that have the change; null: nobody has counted them.
    percent: Option<u32>,
    note: String,
    /// Who began it.
    actor: String,
    created: i64,
    /// Since when it tells hosts nothing any more.
    finished: Option<i64>,
    /// What it waits for; null: nobody has looked yet.
    why: Option<Why>,
}

/// One rollout, and how its hosts fare. Times are Unix milliseconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RolloutDetail)]
pub struct Detail {
    #[serde(flatten)]
    head: Head,
    /// What can be done with it now.
    verbs: Vec<Verb>,
    /// Too many hosts failed, and nobody has done something about it.
    breach: Option<BreachShown>,
    /// When hosts were counted, of what is over at its end; null: not since ops-meta was started.
    counted: Option<i64>,
    each: Vec<WaveShown>,
    /// Hosts that no wave admits, by how far they are.
    #[schema(value_type = Object)]
    rest: serde_json::Value,
    /// Hosts that failed, by why.
    #[schema(value_type = Object)]
    failures: BTreeMap<String, Failures>,
}

/// Why a rollout stopped by itself.
#[derive(Serialize, ToSchema)]
pub struct BreachShown {
    /// From 1.
    wave: usize,
    why: String,
}

/// One wave.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RolloutWave)]
pub struct WaveShown {
    name: String,
    begun: bool,
    /// Hosts whose position is below this are admitted, 0 to 1; null: it has not begun.
    threshold: Option<f64>,
    /// Those that it selects, as far as they count.
    hosts: u32,
    /// Of them those that some wave admitted, or that are there anyway.
    reached: u32,
    /// Those that it was the first to admit, by how far they are: `{"done": 12, "failed": 1}`.
    #[schema(value_type = Object)]
    of: serde_json::Value,
}

/// Of one that does nothing by itself: for that nobody has to count hosts.
fn why_at_rest(app: &App, id: u64, text: &PlanText, progress: &Progress) -> Option<Why> {
    let at_rest = progress.state.is_over() || matches!(progress.state, State::Draft | State::Paused);
    let plan = Plan::check(text, app.standing().desired.lists()).ok().filter(|_| at_rest)?;
    let look = Look {
        now: now_ms(),
        learning: false,
        listening: &Listening::default(),
        frozen: None,
        window: Opening::ALWAYS,
        tally: &Tally::default(),
        next_positions: &[],
    };
    Some(why(&Rollout { id, plan, progress: progress.clone() }, &look))
}

/// A position, or what it is compared with, as a part of all.
pub fn part(position: u64) -> f64 {
    position as f64 / u64::MAX as f64
}

fn read<T: serde::de::DeserializeOwned>(
    id: u64,
    what: &str,
    value: serde_json::Value,
) -> Result<T, StoreError> {
    let damaged = |why| StoreError::Damaged(format!("the {what} of rollout {id} cannot be read: {why}"));
    serde_json::from_value(value).map_err(damaged)
}

impl Head {
    pub fn of(app: &App, row: RolloutRow) -> Result<Self, Problem> {
        Ok(Self::with(app, row)?.0)
    }

    fn with(app: &App, row: RolloutRow) -> Result<(Self, Progress, Option<Ended>), StoreError> {
        let RolloutRow { id, plan, named: hosts, progress, note, actor, created, finished, seen } = row;
        let plan: PlanText = read(id, "plan", plan)?;
        let progress: Progress = read(id, "progress", progress)?;
        let now = app.looks.of(id);
        let why =
            why_at_rest(app, id, &plan, &progress).or_else(|| now.as_ref().map(|seen| seen.why.clone()));
        // Of what is over it counts how it was then: its hosts go on to other things.
        let kept = seen.map(|seen| read(id, "end", seen)).transpose()?;
        let now = now.map(|seen| seen.ended());
        let seen = if finished.is_some() { kept.or(now) } else { now.or(kept) };
        let Progress { state, since, .. } = progress;
        let (begun, waves) = (progress.waves.len(), plan.waves.len());
        let percent = seen.as_ref().map(|seen| seen.percent);
        let head = Self {
            id,
            state,
            since,
            plan,
            begun,
            waves,
            hosts,
            percent,
            note,
            actor,
            created,
            finished,
            why,
        };
        Ok((head, progress, seen))
    }
}

impl Detail {
    pub fn of(app: &App, row: RolloutRow) -> Result<Self, Problem> {
        let (head, progress, seen) = Head::with(app, row)?;
        let counts = |wave: usize| seen.as_ref().and_then(|seen| seen.waves.get(wave).cloned());
        let each = names(app, &head.plan).into_iter().enumerate();
        let each = each.map(|(n, name)| WaveShown::of(name, progress.waves.threshold(n), counts(n)));
        let breach = progress.breach.as_ref();
        let rest = seen.as_ref().map(|seen| seen.rest.clone());
        // One that was stopped, and has left its policy, cannot do anything any more.
        let verbs = if head.finished.is_none() { progress.state.verbs().collect() } else { Vec::new() };
        Ok(Self {
            verbs,
            breach: breach.map(|it| BreachShown { wave: it.wave + 1, why: it.why.clone() }),
            counted: seen.as_ref().map(|seen| seen.at),
            each: each.collect(),
            rest: rest.unwrap_or_else(|| serde_json::json!({})),
            failures: seen.as_ref().map(|seen| seen.failures.clone()).unwrap_or_default(),
            head,
        })
    }
}

impl WaveShown {
    fn of(name: String, threshold: Option<u64>, counts: Option<WaveEnded>) -> Self {
        let WaveEnded { hosts, reached, of } = counts.unwrap_or_default();
        Self {
            name,
            begun: threshold.is_some(),
            threshold: threshold.map(part),
            hosts,
            reached,
            of: if of.is_null() { serde_json::json!({}) } else { of },
        }
    }
}

/// A wave without a name is called by its share. Lists that waves name may be gone when all is over.
fn names(app: &App, text: &PlanText) -> Vec<String> {
    let written = |_: Vec<Fault>| text.waves.iter().map(|wave| wave.name.clone()).collect();
    let plan = Plan::check(text, app.standing().desired.lists());
    plan.map_or_else(written, |plan| plan.waves.into_iter().map(|wave| wave.name).collect())
}
