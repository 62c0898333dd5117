//! The compiled answer: what a beat gets, as prepared bytes. Made anew after each change and swapped whole.

use bytes::Bytes;
use ops_wire::{Answer, DesiredAgent, Hostname};
use std::sync::Arc;

use crate::domain::Prefixes;
use crate::domain::policy2015::{self, Policy};

/// The answer to every host, of one generation.
pub struct Current {
    pub generation: u64,
    wanted: Prefixes<Arc<Wanted>>,
    nothing: Arc<Wanted>,
}

/// What is wanted of hosts that get the same answer.
pub struct Wanted {
    pub agents: Vec<DesiredAgent>,
    /// The body of the answer; cheap to clone.
    pub answer: Bytes,
}

impl Current {
    /// Fails only where an answer cannot be written as JSON, which none of its types allows.
    pub fn compile(policies: &[Policy], generation: u64) -> Result<Self, serde_json::Error> {
        let desired = policy2015::compile(policies);
        let wanted = desired.iter().map(|(prefix, agents)| {
            let wanted = Wanted::prepared(agents.clone(), generation)?;
            Ok((prefix.into(), wanted))
        });
        let wanted = wanted.collect::<Result<_, serde_json::Error>>()?;
        Ok(Self { generation, wanted, nothing: Wanted::prepared(Vec::new(), generation)? })
    }

    pub fn wanted(&self, hostname: &str) -> &Arc<Wanted> {
        self.wanted.find(hostname).unwrap_or(&self.nothing)
    }

    pub fn answer(&self, hostname: Hostname<'_>) -> Bytes {
        self.wanted(hostname.as_str()).answer.clone()
    }
}

impl Wanted {
    fn prepared(agents: Vec<DesiredAgent>, generation: u64) -> Result<Arc<Self>, serde_json::Error> {
        let answer = Answer { desired_agents: agents, generation: Some(generation), ..Answer::default() };
        let bytes = serde_json::to_vec(&answer)?.into();
        Ok(Arc::new(Self { agents: answer.desired_agents, answer: bytes }))
    }
}
