//! Why a host is told what it is told.

use std::sync::Arc;

use axum::Json;
use axum::extract;
use ops_wire::DesiredAgent;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::detail::{AgentDetail, agents_of};
use super::filter::{Whole, expression};
use super::missing;
use super::shown::Looked;
use crate::clock::now_ms;
use crate::current::Current;
use crate::domain::compile::{Compiled, Ordered, Withheld};
use crate::domain::conformity::{self, Conformity};
use crate::domain::explain::{self, Rule, Seen};
use crate::domain::precedence::Group;
use crate::domain::rollout::{Active, Standing, State};
use crate::domain::selector::HostFacts;
use crate::fleet::Host;
use crate::http::asked::{Query, Segment};
use crate::http::auth::{Viewer, With};
use crate::http::problem::{Problem, Problems};
use crate::http::rollouts::part;
use crate::running::App;

/// Groups that a host is not in, of which it is told why.
const OTHERS_MAX: usize = 50;

/// What decides on a host, and why.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    hostname: String,
    /// `policies`, or `cfg.json`
    decided_by: &'static str,
    /// Those that it is in, the strongest first, then those with policies that it is not in.
    groups: Vec<Membership>,
    agents: Vec<AgentExplained>,
    /// Of `where`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    filter: Option<FilterExplained>,
}

/// Whether a host is in a group, and why.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    name: String,
    priority: i32,
    is_in: bool,
    /// The conditions that decided.
    why: Vec<String>,
}

/// One agent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentExplained {
    name: String,
    /// All that apply, the strongest first.
    policies: Vec<PolicyExplained>,
    /// What the host is told, as on the wire; null: nothing.
    #[schema(value_type = Option<Object>)]
    told: Option<DesiredAgent>,
    /// Why it is told nothing, though policies are of it.
    withheld: Option<String>,
    /// Those that would change what it is told.
    rollouts: Vec<RolloutExplained>,
    /// What it says of the agent; null: nothing.
    real: Option<AgentDetail>,
    current: Conformity,
    /// All of this in sentences, and what would change it.
    sentences: Vec<String>,
}

/// One rollout that is of the host.
#[derive(Serialize, ToSchema)]
pub struct RolloutExplained {
    id: u64,
    state: State,
    /// The wave that admits it, from 1; null: none does yet.
    wave: Option<usize>,
    /// Where it stands, 0 to 1.
    position: f64,
    /// Of the last wave that has begun: those below are admitted; null: none has.
    threshold: Option<f64>,
    /// Whether it is told what the rollout changes.
    tells: bool,
    sentence: String,
}

impl RolloutExplained {
    fn of(active: &Active, standing: &Standing) -> Self {
        let rollout = &active.rollout;
        let Standing { position, selected, stand, .. } = *standing;
        let waves = &rollout.progress.waves;
        Self {
            id: rollout.id,
            state: rollout.progress.state,
            wave: waves.admitting(position, selected).map(|wave| wave + 1),
            position: part(position),
            threshold: waves.len().checked_sub(1).and_then(|last| waves.threshold(last)).map(part),
            tells: rollout.tells(position, selected, stand) && standing.shut.is_none(),
            sentence: standing.sentence(active),
        }
    }
}

/// One policy that applies.
#[derive(Serialize, ToSchema)]
pub struct PolicyExplained {
    /// `all hosts`, `group prod`, `host web-01`.
    of: String,
    /// What it decides: `version 1.2`.
    gives: Vec<String>,
    /// What it says, and a stronger one says otherwise.
    overridden: Vec<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ExplainAsked {
    /// Whether, and why, this filter admits the host, in the language of docs/selectors.md.
    #[serde(rename = "where")]
    #[param(rename = "where")]
    filter: Option<String>,
}

/// Whether a filter admits a host.
#[derive(Serialize, ToSchema)]
pub struct FilterExplained {
    admits: bool,
    /// The conditions that decided.
    why: Vec<String>,
}

/// Why a host is told what it is told, and what would change it.
#[utoipa::path(get, path = "/api/v1/hosts/{hostname}/explain", operation_id = "explainHost", tag = "hosts",
    security(("token" = [])), params(("hostname" = String, Path), ExplainAsked), responses((status = 200, body = Explained), Problems))]
pub async fn explain(
    extract::State(app): extract::State<Arc<App>>,
    _: With<Viewer>,
    Segment(hostname): Segment,
    Query(asked): Query<ExplainAsked>,
) -> Result<Json<Explained>, Problem> {
    let standing = app.standing().clone();
    let filter = asked.filter.as_deref().map(|text| expression(text, &standing.desired)).transpose()?;
    let host = app.fleet.find(&hostname).ok_or_else(|| missing(&hostname))?;
    let report = app.store.report(host.id).await?;
    let facts = host.stable(&hostname);
    let current = app.current();
    let (decided_by, groups, mut all) = match current.rules() {
        Some(compiled) => ("policies", memberships(compiled, &facts), of_rules(&current, &host, &facts)),
        None => ("cfg.json", Vec::new(), of_file(&app, &current, &facts)),
    };
    // Whatever else the host reports is left alone.
    for real in &host.agents.0 {
        if !all.iter().any(|it| *it.name == *real.name) {
            all.push(Decided::nothing_of(&real.name));
        }
    }
    let mut reals = agents_of(&host, report.as_ref());
    let agents = all.into_iter().map(|decided| {
        let real = reals.iter().position(|it| it.name() == decided.name).map(|n| reals.swap_remove(n));
        decided.explained(&host, real)
    });
    let agents = agents.collect();
    let filter = filter.map(|filter| {
        let mut looked = Looked::new(&app.fleet, &current, now_ms() / 1000);
        let whole = Whole::new(&hostname, &host, &mut looked);
        let why = filter.explain(&facts, &whole).iter().map(ToString::to_string).collect();
        FilterExplained { admits: filter.matches(&facts, &whole), why }
    });
    Ok(Json(Explained { hostname: hostname.clone(), decided_by, groups, agents, filter }))
}

fn memberships(compiled: &Compiled, facts: &HostFacts<'_>) -> Vec<Membership> {
    let rules = &compiled.rules;
    let membership = |group: &Group| {
        let why = group.selector.explain(facts).iter().map(ToString::to_string).collect();
        let is_in = group.selector.matches(facts);
        Membership { name: group.name.to_string(), priority: group.priority, is_in, why }
    };
    let (those, others): (Vec<_>, Vec<_>) = rules.groups().map(membership).partition(|it| it.is_in);
    let others = others.into_iter().filter(|it| rules.has_policies(&it.name)).take(OTHERS_MAX);
    those.into_iter().chain(others).collect()
}

/// What was decided of one agent.
struct Decided {
    name: String,
    rules: Vec<Rule>,
    told: Result<Option<DesiredAgent>, Withheld>,
    rollouts: Vec<RolloutExplained>,
}

fn of_rules(current: &Current, host: &Host, facts: &HostFacts<'_>) -> Vec<Decided> {
    let says = |agent: &str| host.says(agent);
    let standings = current.standings(facts, &says);
    let decided = current.ordered(facts, &says).into_iter().flatten().map(|ordered| {
        let Ordered { decision, told, .. } = ordered;
        let mut rules = explain::rules(&decision);
        for (rule, policy) in rules.iter_mut().zip(&decision.policies) {
            let changed = current.active().iter().find(|it| it.becomes(policy));
            if let Some(active) = changed {
                rule.of = format!("{} (as rollout {} changes it)", rule.of, active.rollout.id);
            }
        }
        let of_it = standings.iter().filter(|(active, _)| active.agent() == decision.agent);
        Decided {
            name: decision.agent.to_string(),
            rules,
            told: told.map(Some),
            rollouts: of_it.map(|(active, standing)| RolloutExplained::of(active, standing)).collect(),
        }
    });
    decided.collect()
}

fn of_file(app: &App, current: &Current, facts: &HostFacts<'_>) -> Vec<Decided> {
    let running = app.running();
    let wanted = current.wanted(facts, &|_| None);
    let decided = running.config.policies.iter().map(|policy| Decided {
        name: policy.name.to_string(),
        rules: explain::rules_of_2015(policy, facts.hostname),
        told: Ok(wanted.agents.iter().find(|agent| agent.name == policy.name).cloned()),
        rollouts: Vec::new(),
    });
    decided.collect()
}

impl Decided {
    fn nothing_of(agent: &str) -> Self {
        Self { name: agent.to_owned(), rules: Vec::new(), told: Ok(None), rollouts: Vec::new() }
    }

    fn explained(self, host: &Host, real: Option<AgentDetail>) -> AgentExplained {
        let told = self.told.as_ref().map(Option::as_ref);
        let current = told.ok().flatten().map_or(Conformity::Yes, |desired| {
            conformity::of_agent(desired, host.says(&self.name).map(|it| it.real))
        });
        let seen = real.as_ref().map(AgentDetail::seen);
        let mut sentences = explain::sentences(&self.name, &self.rules, told, seen, current);
        sentences.extend(self.rollouts.iter().map(|it| it.sentence.clone()));
        let policies = self.rules.into_iter().map(|Rule { of, gives, overridden }| PolicyExplained {
            of,
            gives,
            overridden,
        });
        let (told, withheld) = match self.told {
            Ok(told) => (told, None),
            Err(why) => (None, Some(why.to_string())),
        };
        AgentExplained {
            name: self.name,
            policies: policies.collect(),
            told,
            withheld,
            rollouts: self.rollouts,
            real,
            current,
            sentences,
        }
    }
}

impl AgentDetail {
    fn seen(&self) -> Seen<'_> {
        Seen {
            version: &self.shown.version,
            status: &self.shown.status,
            phase: self.shown.phase.unwrap_or_default(),
            error_code: self.shown.error_code.as_deref().unwrap_or_default(),
            error: self.error.as_deref().unwrap_or_default(),
        }
    }
}
