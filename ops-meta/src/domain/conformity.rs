//! Whether a host runs what it should.

use std::fmt;
use std::str::FromStr;

use ops_wire::{Cmd, DesiredAgent, ErrorCode, Phase, Status};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::host::Unknown;

/// Whether a host, or an agent on it, is as desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Conformity {
    /// As desired.
    Yes,
    /// Under way.
    Pending,
    /// Not as desired, and nothing is seen to change it: not told yet, held, or unable.
    No,
    /// Not as desired, and the host says why.
    Failed,
}

impl Conformity {
    pub const ALL: [Self; 4] = [Self::Yes, Self::Pending, Self::No, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Pending => "pending",
            Self::No => "no",
            Self::Failed => "failed",
        }
    }
}

/// What a host says of an agent, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Real<'a> {
    /// Empty: not installed.
    pub version: &'a str,
    pub status: &'a Status,
    pub phase: Option<Phase>,
    pub error_code: &'a str,
}

/// Of the whole host: the worst of its agents.
pub fn of_host<'a>(desired: &[DesiredAgent], real: impl Fn(&str) -> Option<Real<'a>>) -> Conformity {
    let each = desired.iter().map(|agent| of_agent(agent, real(agent.name.as_str())));
    each.max().unwrap_or(Conformity::Yes)
}

/// Of one agent, `None` when the host does not report it.
pub fn of_agent(desired: &DesiredAgent, real: Option<Real<'_>>) -> Conformity {
    if is_as_desired(desired, real) {
        return Conformity::Yes;
    }
    let Some(real) = real else { return Conformity::No };
    match real.phase {
        _ if !real.error_code.is_empty() && real.error_code != "held" => Conformity::Failed,
        Some(Phase::Failed | Phase::RolledBack) => Conformity::Failed,
        Some(Phase::Downloading | Phase::Unpacking | Phase::Stopping | Phase::Starting | Phase::Trial) => {
            Conformity::Pending
        }
        _ => Conformity::No,
    }
}

fn is_as_desired(desired: &DesiredAgent, real: Option<Real<'_>>) -> bool {
    let is_started = |real: Real<'_>| *real.status == Status::Started;
    match &desired.cmd {
        Cmd::Start => real.is_some_and(|real| {
            // Another content has the version that is desired.
            let reused = real.error_code == ErrorCode::VersionReused.as_str();
            let version = desired.version.as_ref().map_or("", |version| version.as_str());
            let settled = !matches!(real.phase, Some(Phase::Trial | Phase::Starting | Phase::Stopping));
            real.version == version && !reused && is_started(real) && settled
        }),
        Cmd::Stop => !real.is_some_and(is_started),
        Cmd::Uninstall => real.is_none_or(|real| real.version.is_empty()),
        // Left alone.
        _ => true,
    }
}

impl fmt::Display for Conformity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Conformity {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or(Unknown)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn desired(version: &str, cmd: &str) -> DesiredAgent {
        let version = version.parse().map_err(|_| String::new());
        DesiredAgent::with_any_version("a".parse().unwrap(), version, String::new(), Cmd::read(cmd))
    }

    #[test]
    fn an_agent_is_as_desired_or_under_way_or_failed_or_not() {
        let (started, stopped, sick) = (Status::Started, Status::Stopped, Status::Other("hm".to_owned()));
        use Conformity::{Failed, No, Pending, Yes};
        for (cmd, version, status, phase, error, expected) in [
            ("start", "2", &started, None, "", Yes),
            ("start", "2", &started, Some(Phase::Idle), "", Yes),
            ("start", "2", &started, Some(Phase::Trial), "", Pending),
            ("start", "1", &started, Some(Phase::Downloading), "", Pending),
            ("start", "1", &started, Some(Phase::Idle), "", No),
            ("start", "1", &started, None, "", No),
            ("start", "2", &stopped, None, "", No),
            ("start", "2", &sick, None, "status_failed", Failed),
            ("start", "2", &started, None, "version_reused", Failed),
            ("start", "1", &started, Some(Phase::RolledBack), "trial_failed", Failed),
            ("start", "1", &started, Some(Phase::Held), "held", No),
            ("stop", "1", &stopped, None, "", Yes),
            ("stop", "1", &started, None, "", No),
            ("stop", "1", &started, Some(Phase::Stopping), "", Pending),
            ("uninstall", "", &stopped, None, "", Yes),
            ("uninstall", "1", &stopped, None, "stop_failed", Failed),
            ("", "1", &stopped, None, "", Yes),
            ("dance", "1", &stopped, None, "", Yes),
        ] {
            let real = Real { version, status, phase, error_code: error };
            let found = of_agent(&desired("2", cmd), Some(real));
            assert_eq!(found, expected, "{cmd} {real:?}");
        }
    }

    #[test]
    fn what_is_not_reported_is_not_there() {
        assert_eq!(of_agent(&desired("2", "start"), None), Conformity::No);
        assert_eq!(of_agent(&desired("2", "stop"), None), Conformity::Yes);
        assert_eq!(of_agent(&desired("2", "uninstall"), None), Conformity::Yes);
    }

    #[test]
    fn a_host_is_as_its_worst_agent() {
        assert_eq!(of_host(&[], |_| None), Conformity::Yes);
        assert_eq!(of_host(&[desired("1", "stop"), desired("1", "start")], |_| None), Conformity::No);
    }
}
