//! A host as lists show it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ops_wire::Phase;
use serde::Serialize;
use utoipa::ToSchema;

use crate::current::{Current, Wanted};
use crate::domain::conformity::{self, Conformity};
use crate::domain::host::State;
use crate::fleet::{Agents, Fleet, Host, Real};

/// How many answers are kept in mind, of how many kinds of hosts.
const KEPT_MAX: usize = 10_000;

type Held = (Arc<Wanted>, Arc<Agents>);

/// Looks at hosts at one moment, with what is desired then.
pub struct Looked<'a> {
    fleet: &'a Fleet,
    current: &'a Current,
    /// Unix seconds.
    now: i64,
    /// Hosts with the same orders and the same agents are as desired or not, all of them. Both are held, so that nobody
    /// else comes to their address.
    kept: HashMap<(usize, usize), (Held, Conformity)>,
    /// The one that was asked for last: hosts that say the same stand together, and most are like their neighbour.
    last: Option<((usize, usize), Conformity)>,
}

impl<'a> Looked<'a> {
    pub fn new(fleet: &'a Fleet, current: &'a Current, now: i64) -> Self {
        Self { fleet, current, now, kept: HashMap::new(), last: None }
    }

    pub fn state(&self, host: &Host) -> State {
        self.fleet.state(host, self.now)
    }

    pub fn is_claimed_twice(&self, host: &Host) -> bool {
        host.rival(self.now).is_some()
    }

    pub fn wanted(&self, hostname: &str, host: &Host) -> Arc<Wanted> {
        self.current.wanted_of(&host.stable(hostname), &host.answer, &|agent| host.says(agent))
    }

    pub fn now(&self) -> i64 {
        self.now
    }

    /// Whether the host is as desired.
    pub fn current(&mut self, hostname: &str, host: &Host) -> Conformity {
        let wanted = self.wanted(hostname, host);
        let key = (Arc::as_ptr(&wanted).addr(), Arc::as_ptr(&host.agents).addr());
        if let Some((_, known)) = self.last.filter(|(last, _)| *last == key) {
            return known;
        }
        let known = self.kept.get(&key).map(|(_, known)| *known);
        let found = known.unwrap_or_else(|| {
            let told = conformity::of_host(&wanted.agents, |name| host.says(name).map(|it| it.real));
            // What cannot be told is wanted all the same.
            if wanted.withheld.is_empty() { told } else { told.max(Conformity::No) }
        });
        let has_room = self.kept.len() < KEPT_MAX;
        if known.is_none() && has_room {
            self.kept.insert(key, ((wanted, host.agents.clone()), found));
        }
        // What is not held, to its address something else may come.
        self.last = (known.is_some() || has_room).then_some((key, found));
        found
    }
}

/// In a list a status is cut here, in bytes: a host has as many as it has agents, and may say 2 KiB in each.
const STATUS_BYTES_MAX: usize = 256;

/// One host.
#[derive(Serialize, ToSchema)]
#[schema(as = Host)]
pub struct Shown {
    #[serde(flatten)]
    head: Head,
    agents: Vec<AgentShown>,
}

/// What lists and the page of one host have in common. Times are Unix milliseconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HostHead)]
pub struct Head {
    hostname: String,
    state: State,
    /// Whether it is as desired.
    current: Conformity,
    reboot_required: bool,
    /// Two machines say that they are this host.
    claimed_twice: bool,
    ip: String,
    os: String,
    arch: String,
    updater_version: String,
    labels: BTreeMap<String, String>,
    first_seen: i64,
    last_seen: i64,
}

/// One agent on a host.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Agent)]
pub struct AgentShown {
    pub name: String,
    /// Empty: ordered, but not installed yet.
    pub version: String,
    /// `started`, `stoped`, or a sentence of the host's; in a list a long one is cut, with `...` behind it.
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reboot_required: bool,
}

impl Shown {
    pub fn of(hostname: &str, host: &Host, looked: &mut Looked<'_>) -> Self {
        let agents = host.agents.0.iter().map(AgentShown::in_a_list).collect();
        Self { head: Head::of(hostname, host, looked), agents }
    }
}

impl Head {
    pub fn of(hostname: &str, host: &Host, looked: &mut Looked<'_>) -> Self {
        let facts = &host.facts;
        Self {
            hostname: hostname.to_owned(),
            state: looked.state(host),
            current: looked.current(hostname, host),
            reboot_required: host.agents.0.iter().any(|real| real.reboot_required),
            claimed_twice: looked.is_claimed_twice(host),
            ip: host.ip.to_text(),
            os: facts.os.clone(),
            arch: facts.arch.clone(),
            updater_version: facts.updater_version.clone(),
            labels: facts.labels.clone(),
            first_seen: i64::from(host.first) * 1000,
            last_seen: i64::from(host.last) * 1000,
        }
    }
}

impl AgentShown {
    fn in_a_list(real: &Real) -> Self {
        Self::with(real, cut(real.status.as_str()))
    }

    pub fn of(real: &Real) -> Self {
        Self::with(real, real.status.to_string())
    }

    fn with(real: &Real, status: String) -> Self {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            name: real.name.to_string(),
            version: real.version.to_string(),
            status,
            phase: real.phase.map(Phase::as_str),
            desired_version: given(&real.desired_version),
            error_code: given(&real.error_code),
            reboot_required: real.reboot_required,
        }
    }
}

fn cut(status: &str) -> String {
    match status.len() {
        ..=STATUS_BYTES_MAX => status.to_owned(),
        _ => format!("{}...", &status[..status.floor_char_boundary(STATUS_BYTES_MAX)]),
    }
}
