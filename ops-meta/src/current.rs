//! The compiled answer: what a beat gets, as prepared bytes. Made anew after each change and swapped whole.

use bytes::Bytes;
use ops_wire::{Answer, DesiredAgent, Hostname};

use crate::domain::Prefixes;
use crate::domain::policy2015::{self, Policy};

/// The answer that changes nothing.
const NO_CHANGE: Bytes = Bytes::from_static(br#"{"errorMessage":"","desiredAgents":[]}"#);

/// The answer to every host, of one configuration.
pub struct Current {
    answers: Prefixes<Bytes>,
}

impl Current {
    /// Fails only where an answer cannot be written as JSON, which none of its types allows.
    pub fn compile(policies: &[Policy]) -> Result<Self, serde_json::Error> {
        let desired = policy2015::compile(policies);
        let answers = desired.iter().map(|(prefix, agents)| Ok((prefix.into(), prepared(agents)?)));
        Ok(Self { answers: answers.collect::<Result<_, serde_json::Error>>()? })
    }

    /// The body of the answer to `hostname`; cheap to clone.
    pub fn answer(&self, hostname: Hostname<'_>) -> Bytes {
        self.answers.find(hostname.as_str()).cloned().unwrap_or(NO_CHANGE)
    }
}

fn prepared(agents: &[DesiredAgent]) -> Result<Bytes, serde_json::Error> {
    let answer = Answer { desired_agents: agents.to_vec(), ..Answer::default() };
    serde_json::to_vec(&answer).map(Bytes::from)
}
