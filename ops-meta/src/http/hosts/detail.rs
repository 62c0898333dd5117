//! One host in full: what is in memory, what it said last, and what became of it.

use ops_wire::{Heartbeat, RealAgent};
use serde::Serialize;
use utoipa::ToSchema;

use super::shown::{AgentShown, Head, Looked};
use crate::domain::conformity::{self, Conformity};
use crate::fleet::{Host, Look, Real};
use crate::store::{HostChange, Report};

/// Everything that is known of a host. Times are Unix milliseconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HostDetail)]
pub struct Detail {
    #[serde(flatten)]
    head: Head,
    machine_id: String,
    run_user: String,
    interval_secs: u32,
    /// The newest that it has acted on; 0: it does not say.
    generation: u64,
    /// When it was last heard again after it had been gone; null: never.
    revived: Option<i64>,
    /// The other machine that says it is this host.
    rival: Option<RivalShown>,
    /// When the host was last heard as its last report that differed was written, to a second or so; null: it is not
    /// written yet.
    reported: Option<i64>,
    /// What runs, with everything that was said of it.
    agents: Vec<AgentDetail>,
    desired: Vec<Desired>,
    /// What belongs to no agent.
    errors: Vec<HostError>,
    /// Newest first.
    history: Vec<Line>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rival)]
pub struct RivalShown {
    machine_id: String,
    ip: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentDetail {
    #[serde(flatten)]
    pub shown: AgentShown,
    /// When it was looked at, by the host's clock.
    looked: i64,
    sha256: Option<String>,
    pub error: Option<String>,
    attempt: Option<u32>,
    next_try: Option<i64>,
    /// Of a download.
    percent: Option<u8>,
    rollout: Option<u64>,
    /// What the last upgrade did.
    steps: Vec<Step>,
}

#[derive(Serialize, ToSchema)]
pub struct Step {
    step: String,
    /// When it ended.
    at: i64,
    /// How long it took, in milliseconds.
    ms: u64,
    /// An error code; empty when it went well.
    code: String,
}

/// What should run.
#[derive(Serialize, ToSchema)]
pub struct Desired {
    name: String,
    version: String,
    /// `start`, `stop`, `uninstall`, or empty: left alone.
    cmd: String,
    current: Conformity,
}

#[derive(Serialize, ToSchema)]
pub struct HostError {
    agent: String,
    code: String,
    error: String,
}

/// One change.
#[derive(Serialize, ToSchema)]
#[schema(as = HostChange)]
pub struct Line {
    at: i64,
    /// Empty: the host itself.
    agent: String,
    /// `state`, `version`, `status`, `error`, `ip`, `machine`, `updater`.
    what: String,
    before: String,
    after: String,
}

impl Detail {
    pub fn of(
        hostname: &str,
        host: &Host,
        report: Option<Report>,
        history: Vec<HostChange>,
        looked: &mut Looked<'_>,
    ) -> Self {
        let reported = report.as_ref().map(|report| report.at);
        let beat = read(report.as_ref());
        let rival = host
            .rival(looked.now())
            .map(|(machine, ip)| RivalShown { machine_id: machine.to_text(), ip: ip.to_text() });
        Self {
            head: Head::of(hostname, host, looked),
            machine_id: host.machine.to_text(),
            run_user: host.facts.run_user.clone(),
            interval_secs: host.heard().interval_secs,
            generation: host.generation.into(),
            revived: (host.revived > 0).then(|| i64::from(host.revived) * 1000),
            rival,
            reported,
            agents: agents(host, &beat),
            desired: desired(hostname, host, looked),
            errors: beat.errors.into_iter().map(HostError::of).collect(),
            history: history.into_iter().map(Line::of).collect(),
        }
    }
}

/// It was read when it came.
fn read(report: Option<&Report>) -> Heartbeat {
    let beat = report.and_then(|report| Heartbeat::read(&report.body).ok()).map(|(beat, _)| beat);
    beat.unwrap_or_default()
}

/// What a host says of its agents.
pub fn agents_of(host: &Host, report: Option<&Report>) -> Vec<AgentDetail> {
    agents(host, &read(report))
}

fn agents(host: &Host, beat: &Heartbeat) -> Vec<AgentDetail> {
    let said = |name: &str| beat.real_agents.iter().find(|said| said.name.as_str() == name);
    let agents = host.agents.0.iter().zip(&host.looks);
    agents.map(|(real, look)| AgentDetail::of(real, *look, said(&real.name))).collect()
}

fn desired(hostname: &str, host: &Host, looked: &Looked<'_>) -> Vec<Desired> {
    let one = |desired: &ops_wire::DesiredAgent| Desired {
        name: desired.name.to_string(),
        version: desired.version.as_ref().map_or("", |version| version.as_str()).to_owned(),
        cmd: desired.cmd.as_str().to_owned(),
        current: conformity::of_agent(desired, host.says(desired.name.as_str()).map(|it| it.real)),
    };
    looked.wanted(hostname, host).agents.iter().map(one).collect()
}

impl AgentDetail {
    pub fn name(&self) -> &str {
        &self.shown.name
    }

    /// What is in memory is newer than what was `said` in the last report that was written.
    fn of(real: &Real, look: Look, said: Option<&RealAgent>) -> Self {
        Self {
            shown: AgentShown::of(real),
            looked: i64::from(look.at) * 1000,
            sha256: (!real.sha256.is_empty()).then(|| real.sha256.to_string()),
            error: said.map(|said| said.error.clone()).filter(|error| !error.is_empty()),
            attempt: said.and_then(|said| said.attempt),
            next_try: said.and_then(|said| said.next_try).map(|secs| secs.saturating_mul(1000)),
            percent: (look.percent <= 100).then_some(look.percent),
            rollout: real.rollout,
            steps: said.map(|said| said.steps.iter().map(Step::of).collect()).unwrap_or_default(),
        }
    }
}

impl Step {
    fn of(step: &ops_wire::StepDone) -> Self {
        Self {
            step: step.step.clone(),
            at: step.at.saturating_mul(1000),
            ms: step.ms,
            code: step.code.clone(),
        }
    }
}

impl HostError {
    fn of(error: ops_wire::HostError) -> Self {
        Self { agent: error.agent, code: error.code, error: error.error }
    }
}

impl Line {
    fn of(line: HostChange) -> Self {
        let HostChange { at, agent, what, before, after } = line;
        Self { at, agent: agent.into(), what: what.into(), before: before.into(), after: after.into() }
    }
}
