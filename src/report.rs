//! One view of an agent, for the heartbeat, `status` and metrics alike. Pure.

use ops_wire::{AgentName, Cmd, DesiredAgent, ErrorCode, Phase, RealAgent, Status, StepDone};

use crate::error::Fault;
use crate::plan::{self, Real};
use crate::upgrade::{self, State};

/// How far staging is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of the download.
    pub percent: Option<u8>,
    pub unpacking: bool,
}

/// What is known of one agent.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub name: &'a AgentName,
    pub real: Result<&'a Real, &'a Fault>,
    pub state: &'a State,
    pub desired: Option<&'a DesiredAgent>,
    /// What stands in the way of what is desired.
    pub fault: Option<&'a Fault>,
    pub progress: Progress,
    pub steps: &'a [StepDone],
    /// Unix seconds.
    pub looked_at: i64,
}

/// The view.
pub fn agent(facts: &Facts<'_>) -> RealAgent {
    let real = match facts.real {
        Ok(real) => real,
        Err(fault) => return unreadable(facts, fault),
    };
    let mut view = RealAgent::new(facts.name.clone(), real.version.clone(), status(real), facts.looked_at);
    view.sha256 = real.record.as_ref().and_then(|it| it.sha256.clone());
    view.desired_version = desired_version(facts);
    view.percent = facts.progress.percent;
    view.steps = facts.steps.to_vec();
    view.rollout = facts.desired.and_then(|it| it.rollout);
    let failure = view
        .desired_version
        .as_ref()
        .and_then(|version| real.past.last(version, facts.desired.and_then(|it| it.digest())));
    let look_fault = real.look.as_ref().and_then(|it| it.fault.as_ref());
    if let Some(held) = plan::held(real) {
        (view.error_code, view.error) = (held.code.to_string(), held.sentence);
    } else if let Some(failure) = failure {
        (view.error_code, view.error) = (failure.code.to_string(), failure.error.clone());
        (view.attempt, view.next_try) = (Some(failure.count), failure.next_try);
    } else if let Some(fault) = facts.fault.or(look_fault) {
        (view.error_code, view.error) = (fault.code.to_string(), fault.sentence.clone());
    }
    view.phase = Some(phase(facts, real, &view.error_code));
    view
}

fn unreadable(facts: &Facts<'_>, fault: &Fault) -> RealAgent {
    let mut view =
        RealAgent::new(facts.name.clone(), None, Status::Other(fault.sentence.clone()), facts.looked_at);
    (view.error_code, view.error) = (fault.code.to_string(), fault.sentence.clone());
    view.phase = Some(Phase::Failed);
    view
}

fn status(real: &Real) -> Status {
    match (&real.version, &real.look) {
        (None, _) => Status::Stopped,
        (Some(version), _) if !real.complete => {
            Status::Other(format!("the folder of version {version} has no control script that can be run"))
        }
        (Some(_), Some(look)) => look.status.clone(),
        (Some(_), None) => Status::Other("not looked at yet".to_owned()),
    }
}

fn desired_version(facts: &Facts<'_>) -> Option<ops_wire::Version> {
    let under_way = facts.state.upgrade().map(|it| it.to.clone());
    let wanted = facts.desired.filter(|it| it.cmd == Cmd::Start);
    under_way.or_else(|| wanted.and_then(|it| it.version.clone().ok()))
}

fn phase(facts: &Facts<'_>, real: &Real, error_code: &str) -> Phase {
    match facts.state {
        State::Staging(_) if facts.progress.unpacking => Phase::Unpacking,
        State::Staging(_) => Phase::Downloading,
        State::Publishing(_) | State::Prechecking(_) | State::Recording(_) => Phase::Unpacking,
        State::Stopping(_) | State::Removing => Phase::Stopping,
        State::Preparing(_) | State::Starting(_) | State::Flipping(_) | State::Restoring(..) => {
            Phase::Starting
        }
        State::Trial { .. } => Phase::Trial,
        State::AtRest => phase_at_rest(real, error_code),
    }
}

/// With nothing under way in this process, the files say what is.
fn phase_at_rest(real: &Real, error_code: &str) -> Phase {
    let code = ErrorCode::parse(error_code);
    match (&real.intent, code) {
        _ if real.held.is_some() => Phase::Held,
        (Some(_), Some(ErrorCode::RollbackFailed | ErrorCode::StopFailed)) => Phase::Failed,
        (Some(intent), _) => match intent.phase {
            upgrade::Phase::Switching => Phase::Starting,
            upgrade::Phase::Trial => Phase::Trial,
            upgrade::Phase::TakingBack => Phase::Stopping,
        },
        (None, Some(ErrorCode::StartFailed | ErrorCode::StartTimeout | ErrorCode::TrialFailed))
            if was_taken_back(real) =>
        {
            Phase::RolledBack
        }
        (None, Some(_)) => Phase::Failed,
        (None, None) => Phase::Idle,
    }
}

/// The version that failed is not the one in use.
fn was_taken_back(real: &Real) -> bool {
    let Some(version) = &real.version else { return false };
    real.past.failures.last().is_some_and(|it| it.version != *version)
}
