//! Who has to do with a package: the hosts that run it or are moved to it, and the orders that name it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use axum::http::StatusCode;
use ops_wire::AgentName;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::problem::Problem;
use crate::clock::now_ms;
use crate::domain::host::State;
use crate::domain::package::Build;
use crate::fleet::{Agents, Fleet};
use crate::running::App;

/// Hosts that are named.
const NAMED_MAX: usize = 10;

/// Living hosts of one version.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PackageHosts)]
pub struct Hosts {
    /// On how many it runs.
    pub running: usize,
    /// How many are being moved to it.
    pub wanted: usize,
    /// The first of those that run it, by name.
    some: BTreeSet<String>,
    /// The first of those that are being moved to it.
    some_wanted: BTreeSet<String>,
}

/// What living hosts run of some agents, and what they are moved to.
pub struct Uses(HashMap<(Box<str>, Box<str>), Hosts>);

/// Hosts that say the same.
struct Same {
    agents: Arc<Agents>,
    count: usize,
    some: BTreeSet<String>,
}

impl Uses {
    /// Looks at every host, and so takes its turn.
    pub async fn of(app: &Arc<App>, names: impl IntoIterator<Item = AgentName>) -> Result<Self, Problem> {
        let names: HashSet<AgentName> = names.into_iter().collect();
        let (looking, turn) = (app.clone(), app.scans.clone().acquire_owned().await);
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            Self::look(&looking.fleet, |name| names.iter().any(|it| it.as_str() == name))
        });
        looked
            .await
            .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the look at the hosts broke off"))
    }

    /// Most hosts say what others say: what they say is looked at once.
    fn look(fleet: &Fleet, is_asked_for: impl Fn(&str) -> bool) -> Self {
        let now = now_ms() / 1000;
        let mut all: HashMap<*const Agents, Same> = HashMap::new();
        fleet.visit(|hostname, host| {
            if fleet.state(host, now) == State::Gone {
                return;
            }
            let same = all.entry(Arc::as_ptr(&host.agents)).or_insert_with(|| Same {
                agents: host.agents.clone(),
                count: 0,
                some: BTreeSet::new(),
            });
            same.count += 1;
            name(&mut same.some, hostname);
        });
        let mut uses = Self(HashMap::new());
        for Same { agents, count, some } in all.into_values() {
            for real in agents.0.iter().filter(|real| is_asked_for(&real.name)) {
                if let Some(hosts) = uses.entry(&real.name, &real.version) {
                    hosts.running += count;
                    some.iter().for_each(|it| name(&mut hosts.some, it));
                }
                let wanted = (real.desired_version != real.version).then_some(&real.desired_version);
                if let Some(hosts) = wanted.and_then(|version| uses.entry(&real.name, version)) {
                    hosts.wanted += count;
                    some.iter().for_each(|it| name(&mut hosts.some_wanted, it));
                }
            }
        }
        uses
    }

    /// `None`: there is no such version.
    fn entry(&mut self, name: &str, version: &str) -> Option<&mut Hosts> {
        (!version.is_empty()).then(|| self.0.entry((name.into(), version.into())).or_default())
    }

    pub fn of_version(&self, build: &Build) -> Hosts {
        let key = (build.name.as_str().into(), build.version.as_str().into());
        self.0.get(&key).cloned().unwrap_or_default()
    }

    /// Why a version cannot be missed, in a sentence each.
    pub fn sentences(&self, app: &App, build: &Build) -> Vec<String> {
        let mut sentences: Vec<String> = orders(app, build);
        let hosts = self.of_version(build);
        let list = |some: &BTreeSet<String>| some.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        if hosts.running > 0 {
            let run = hosts_that(hosts.running, "runs", "run");
            sentences.push(format!("{run} it, some of them: {}", list(&hosts.some)));
        }
        if hosts.wanted > 0 {
            let moved = hosts_that(hosts.wanted, "is being moved to", "are being moved to");
            sentences.push(format!("{moved} it, some of them: {}", list(&hosts.some_wanted)));
        }
        sentences
    }
}

/// Keeps the first few names.
fn name(some: &mut BTreeSet<String>, hostname: &str) {
    let fits = some.len() < NAMED_MAX || some.last().is_some_and(|last| hostname < last.as_str());
    if fits && some.insert(hostname.to_owned()) && some.len() > NAMED_MAX {
        some.pop_last();
    }
}

fn hosts_that(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 host {one}"),
        count => format!("{count} hosts {several}"),
    }
}

/// Who says that hosts should run it, in a sentence each. Policies count while cfg.json decides, too: it may cease to.
fn orders(app: &App, build: &Build) -> Vec<String> {
    let running = app.running();
    let of_it = running.config.policies.iter().filter(|policy| policy.name == build.name);
    let hosts = of_it.flat_map(|policy| policy.hosts_ordered(&build.version));
    let of_file = hosts.map(|hosts| format!("cfg.json orders it for {hosts}"));
    let standing = app.standing();
    let policies =
        standing.desired.rules().policies().filter(|policy| {
            policy.agent == build.name && policy.order.version.as_ref() == Some(&build.version)
        });
    let policies = policies.map(|policy| format!("a policy orders it for {}", policy.scope));
    let rollouts = app.rollouts().clone();
    let of_it = rollouts
        .all()
        .map(|it| (it.id, &it.plan))
        .filter(|(_, plan)| plan.agent == build.name && plan.target.version.as_ref() == Some(&build.version));
    let of_rollouts = of_it.map(|(id, plan)| format!("rollout {id} orders it for {}", plan.whose));
    of_file.chain(policies).chain(of_rollouts).collect()
}

/// The first of them: an order may have come since somebody looked.
pub fn ordered(app: &App, build: &Build) -> Option<String> {
    orders(app, build).into_iter().next()
}
