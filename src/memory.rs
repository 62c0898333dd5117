//! The last accepted answer, across restarts: with the server away it stays in force. And since when there was none, for
//! `status`, which is a process of its own.

use std::collections::BTreeMap;

use ops_wire::{ActionDone, Answer, DesiredAgent, ErrorCode};
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::fs_layout::{Layout, read_json, remove_if_there};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    #[serde(default)]
    pub desired_agents: Vec<DesiredAgent>,
    #[serde(default)]
    pub generation: Option<u64>,
    /// Actions that were done and need not be done again, the newest last.
    #[serde(default)]
    pub actions_done: Vec<u64>,
    /// Why some of them failed, by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub action_codes: BTreeMap<u64, String>,
}

/// Ids of actions that are remembered.
const ACTIONS_MAX: usize = 256;

impl Memory {
    /// What was remembered; a damaged file is as good as none.
    pub fn load(layout: &Layout) -> (Self, Option<Fault>) {
        match read_json(&layout.memory()) {
            Ok(memory) => (memory.unwrap_or_default(), None),
            Err(fault) => (Self::default(), Some(fault)),
        }
    }

    /// Takes an answer over. An empty or missing list means "no change".
    pub fn accept(&mut self, answer: &Answer) {
        if !answer.desired_agents.is_empty() {
            self.desired_agents.clone_from(&answer.desired_agents);
        }
        self.generation = answer.generation.or(self.generation);
    }

    pub fn action_done(&mut self, done: &ActionDone) {
        self.actions_done.push(done.id);
        if !done.code.is_empty() {
            self.action_codes.insert(done.id, done.code.clone());
        }
        let surplus = self.actions_done.len().saturating_sub(ACTIONS_MAX);
        self.actions_done.drain(..surplus);
        self.action_codes.retain(|id, _| self.actions_done.contains(id));
    }

    /// What became of an action; `None`: it was not done yet.
    pub fn outcome_of(&self, id: u64) -> Option<ActionDone> {
        let code = || self.action_codes.get(&id).cloned().unwrap_or_default();
        self.actions_done.contains(&id).then(|| ActionDone { id, code: code() })
    }

    /// Writes what is to be remembered, when it changed.
    pub fn save(&self, layout: &Layout) -> Result<(), Fault> {
        let bytes =
            serde_json::to_vec(self).map_err(|error| Fault::io("print", &layout.memory(), &error.into()))?;
        layout.write_if_changed(&layout.memory(), &bytes, 0o600)
    }
}

/// ops-meta is not heard: every beat since then failed. Kept in a file of its own, which a failed beat may write without
/// touching the last answer, and which is there for as long as that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unheard {
    /// When the first of these beats failed, in Unix seconds.
    pub since: i64,
    pub error_code: ErrorCode,
    pub error: String,
}

impl Unheard {
    /// What an earlier process noted. A damaged file is forgotten: the next beat that fails writes it anew.
    pub fn load(layout: &Layout) -> Option<Self> {
        read_json(&layout.unheard()).ok().flatten()
    }

    /// One more beat failed. What fails like the one before is not told anew: hours without a server cost one write.
    #[must_use]
    pub fn again(before: Option<Self>, fault: &Fault, unix: i64) -> Self {
        let since = before.as_ref().map_or(unix, |it| it.since);
        let new = Self { since, error_code: fault.code, error: fault.sentence.clone() };
        before.filter(|it| it.gist() == new.gist()).unwrap_or(new)
    }

    /// What makes two failures alike. The page of a proxy names another request each time: of a refusal its status counts,
    /// not its text.
    fn gist(&self) -> (ErrorCode, &str) {
        let whole = self.error.as_str();
        let gist = match self.error_code {
            ErrorCode::HttpStatus => whole.split_once(": ").map_or(whole, |(status, _)| status),
            _ => whole,
        };
        (self.error_code, gist)
    }

    /// Writes it, when it changed.
    pub fn save(&self, layout: &Layout) -> Result<(), Fault> {
        let bytes =
            serde_json::to_vec(self).map_err(|error| Fault::io("print", &layout.unheard(), &error.into()))?;
        layout.write_if_changed(&layout.unheard(), &bytes, 0o600)
    }

    /// ops-meta is heard again.
    pub fn forget(layout: &Layout) -> Result<(), Fault> {
        remove_if_there(&layout.unheard())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_an_action_is_remembered_for_the_newest() {
        let mut memory = Memory::default();
        for id in 1..=ACTIONS_MAX as u64 + 10 {
            let code = if id % 2 == 0 { "held" } else { "" };
            memory.action_done(&ActionDone { id, code: code.to_owned() });
        }
        let outcome = |id| memory.outcome_of(id).map(|done| done.code);
        assert_eq!(
            (outcome(10), outcome(11), outcome(12)),
            (None, Some(String::new()), Some("held".to_owned()))
        );
        assert_eq!((memory.actions_done.len(), memory.action_codes.len()), (ACTIONS_MAX, ACTIONS_MAX / 2));
    }

    fn refused(sentence: &str) -> Fault {
        Fault::new(ErrorCode::HttpStatus, sentence)
    }

    #[test]
    fn a_failure_like_the_one_before_is_not_told_anew() {
        let first = Unheard::again(None, &refused("`u` answered 502 Bad Gateway: request 1"), 100);
        let alike = refused("`u` answered 502 Bad Gateway: request 2");
        assert_eq!(Unheard::again(Some(first.clone()), &alike, 160), first);
    }

    #[test]
    fn another_failure_is_told_and_began_when_the_first_did() {
        let first = Unheard::again(None, &refused("`u` answered 502 Bad Gateway: no"), 100);
        for other in [
            refused("`u` answered 401 Unauthorized: no"),
            Fault::new(ErrorCode::Unreachable, "`u`: connection refused"),
        ] {
            let told = Unheard::again(Some(first.clone()), &other, 160);
            assert_eq!((told.since, told.error_code, &told.error), (100, other.code, &other.sentence));
        }
    }
}
