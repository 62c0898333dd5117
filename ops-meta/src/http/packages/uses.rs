//! Who has to do with a package: the hosts that run it or are moved to it, and the orders that name it.

use std::collections::{HashMap, HashSet};
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
#[schema(as = PackageHosts)]
pub struct Hosts {
    /// On how many it runs.
    pub running: usize,
    /// How many are being moved to it.
    pub wanted: usize,
    /// Some of them all.
    some: Vec<String>,
}

/// What living hosts run of some agents, and what they are moved to.
pub struct Uses(HashMap<(Box<str>, Box<str>), Hosts>);

/// Hosts that say the same.
struct Same {
    agents: Arc<Agents>,
    count: usize,
    some: Vec<String>,
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
                some: Vec::new(),
            });
            same.count += 1;
            if same.some.len() < NAMED_MAX {
                same.some.push(hostname.to_owned());
            }
        });
        let mut uses = Self(HashMap::new());
        for Same { agents, count, some } in all.into_values() {
            for real in agents.0.iter().filter(|real| is_asked_for(&real.name)) {
                uses.add(&real.name, &real.version, &some, |hosts| hosts.running += count);
                if real.desired_version != real.version {
                    uses.add(&real.name, &real.desired_version, &some, |hosts| hosts.wanted += count);
                }
            }
        }
        uses
    }

    fn add(&mut self, name: &str, version: &str, some: &[String], count: impl FnOnce(&mut Hosts)) {
        if version.is_empty() {
            return;
        }
        let hosts = self.0.entry((name.into(), version.into())).or_default();
        count(hosts);
        let room = NAMED_MAX.saturating_sub(hosts.some.len());
        hosts.some.extend(some.iter().take(room).cloned());
    }

    pub fn of_version(&self, build: &Build) -> Hosts {
        let key = (build.name.as_str().into(), build.version.as_str().into());
        self.0.get(&key).cloned().unwrap_or_default()
    }

    /// Why a version cannot be missed, in a sentence each.
    pub fn sentences(&self, app: &App, build: &Build) -> Vec<String> {
        let mut sentences: Vec<String> = orders(app, build);
        let hosts = self.of_version(build);
        let some = hosts.some.join(" ");
        if hosts.running > 0 {
            sentences.push(format!("{} it, some of them: {some}", hosts_that(hosts.running, "runs", "run")));
        }
        if hosts.wanted > 0 {
            let moved = hosts_that(hosts.wanted, "is being moved to", "are being moved to");
            sentences.push(format!("{moved} it, some of them: {some}"));
        }
        sentences
    }
}

fn hosts_that(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 host {one}"),
        count => format!("{count} hosts {several}"),
    }
}

/// Who is told to run it, in a sentence each.
fn orders(app: &App, build: &Build) -> Vec<String> {
    let running = app.running();
    let of_it = running.config.policies.iter().filter(|policy| policy.name == build.name);
    let hosts = of_it.flat_map(|policy| policy.hosts_ordered(&build.version));
    hosts.map(|hosts| format!("cfg.json orders it for {hosts}")).collect()
}

/// The first of them: an order may have come since somebody looked.
pub fn ordered(app: &App, build: &Build) -> Option<String> {
    orders(app, build).into_iter().next()
}
