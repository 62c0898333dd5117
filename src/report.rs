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
        let before = failure.or_else(|| real.past.last(real.version.as_ref()?, None));
        let told = held_after(held, before, look_fault);
        (view.error_code, view.error) = (told.code.to_string(), told.sentence);
    } else if let Some(failure) = failure {
        (view.error_code, view.error) = (failure.code.to_string(), failure.error.clone());
        (view.attempt, view.next_try) = (Some(failure.count), failure.next_try);
    } else if let Some(fault) = facts.fault.or(look_fault) {
        (view.error_code, view.error) = (fault.code.to_string(), fault.sentence.clone());
    }
    view.phase = Some(phase(facts, real, &view.error_code));
    view
}

/// A hold, and what stood in the way before it, which is perhaps why there is one. Its code is the hold's: whoever held
/// the agent knows, and nothing is tried meanwhile.
fn held_after(held: Fault, failure: Option<&plan::Failure>, look: Option<&Fault>) -> Fault {
    let before = failure.map(|it| (it.code, &it.error)).or(look.map(|it| (it.code, &it.sentence)));
    match before {
        Some((code, error)) => {
            Fault::new(held.code, format!("{}; before that {code}: {error}", held.sentence))
        }
        None => held,
    }
}

/// The same view for node_exporter's textfile collector, and why ops-meta did not answer the last beat, if it did not.
/// Nothing in it changes unless an agent or the server does.
pub fn metrics(agents: &[RealAgent], refusal: Option<ErrorCode>) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, samples: Vec<(String, bool)>| {
        text.push_str(&format!("# HELP ops_updater_{name} {help}\n# TYPE ops_updater_{name} gauge\n"));
        for (labels, value) in samples {
            text.push_str(&format!("ops_updater_{name}{labels} {}\n", u8::from(value)));
        }
    };
    let version = |it: &Option<ops_wire::Version>| it.as_ref().map(ToString::to_string).unwrap_or_default();
    metric(
        "info",
        "The updater itself.",
        vec![(format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), true)],
    );
    metric(
        "meta_reached",
        "Whether ops-meta answered the last beat.",
        vec![(String::new(), refusal.is_none())],
    );
    let refusal = refusal.map(|code| (format!("{{code=\"{code}\"}}"), true));
    metric("meta_error", "Why the last beat failed.", refusal.into_iter().collect());
    let started = |it: &RealAgent| {
        (
            format!("{{agent=\"{}\",version=\"{}\"}}", it.name, version(&it.version)),
            it.status == Status::Started,
        )
    };
    metric("agent_started", "Whether the agent is started.", agents.iter().map(started).collect());
    let wanted = |it: &RealAgent| {
        let labels = format!("{{agent=\"{}\",version=\"{}\"}}", it.name, version(&it.desired_version));
        it.desired_version.is_some().then_some((labels, it.desired_version == it.version))
    };
    let help = "Whether the wanted version is the one in use.";
    metric("agent_as_wanted", help, agents.iter().filter_map(wanted).collect());
    let phase = |it: &RealAgent| {
        let phase = it.phase.map_or("", Phase::as_str);
        (format!("{{agent=\"{}\",phase=\"{phase}\"}}", it.name), true)
    };
    metric("agent_phase", "What is being done with the agent.", agents.iter().map(phase).collect());
    let error = |it: &RealAgent| {
        let labels = format!("{{agent=\"{}\",code=\"{}\"}}", it.name, it.error_code);
        (!it.error_code.is_empty()).then_some((labels, true))
    };
    metric("agent_error", "What stands in the way.", agents.iter().filter_map(error).collect());
    text
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
        State::Trial { .. } if real.held.is_some() => Phase::Held,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_say_what_status_says() {
        let mut alpha =
            RealAgent::new("alpha".parse().unwrap(), Some("1.0.0".parse().unwrap()), Status::Started, 5);
        alpha.desired_version = Some("1.0.1".parse().unwrap());
        alpha.phase = Some(Phase::Failed);
        alpha.error_code = "md5_mismatch".to_owned();
        let text = metrics(&[alpha], Some(ErrorCode::TlsFailed));
        for line in [
            "ops_updater_meta_reached 0",
            r#"ops_updater_meta_error{code="tls_failed"} 1"#,
            r#"ops_updater_agent_started{agent="alpha",version="1.0.0"} 1"#,
            r#"ops_updater_agent_as_wanted{agent="alpha",version="1.0.1"} 0"#,
            r#"ops_updater_agent_phase{agent="alpha",phase="failed"} 1"#,
            r#"ops_updater_agent_error{agent="alpha",code="md5_mismatch"} 1"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }
}
