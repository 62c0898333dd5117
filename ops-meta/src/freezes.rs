//! Freezes begin and end.

use std::sync::Arc;

use ops_wire::AgentName;

use crate::clock::now_ms;
use crate::deciding::NotEdited;
use crate::domain::desired::Fault;
use crate::domain::freeze::{Freeze, Frozen};
use crate::running::App;
use crate::store::{Actor, Change};

/// More are not overlooked any more.
const FREEZES_MAX: usize = 1000;

impl App {
    /// From now on nothing begins there. The same again changes nothing. Not to be broken off.
    pub async fn freeze(self: Arc<Self>, actor: Actor, of: Frozen, why: String) -> Result<Freeze, NotEdited> {
        let _turn = self.deciding.turn_in_time().await?;
        if self.current().rules().is_none() {
            return Err(NotEdited::FileDecides);
        }
        let freezes = self.freezes();
        if let Some(same) = freezes.iter().find(|it| it.of == of && it.why == why) {
            return Ok(same.clone());
        }
        if freezes.len() >= FREEZES_MAX {
            let why = format!("there are {FREEZES_MAX} freezes; end some (`ops-meta freeze list`)");
            return Err(NotEdited::InUse(why));
        }
        if let Frozen::Agent(agent) = &of
            && !self.knows(agent)
        {
            let why = format!(
                "no policy, rollout or package is of {agent}; `ops-meta package list` shows what there is"
            );
            return Err(NotEdited::Faults(vec![Fault { path: "agent".to_owned(), why }]));
        }
        let group = of.as_group().filter(|name| self.standing().desired.rules().group_called(name).is_none());
        if let Some(name) = group {
            let why = format!("there is no group {name}; `ops-meta group list` shows those that there are");
            return Err(NotEdited::Faults(vec![Fault { path: "group".to_owned(), why }]));
        }
        let change = Change::Freeze { of: of.clone(), why: why.clone() };
        let changed = self.store.change(actor.clone(), change).await?;
        let since = changed.event.as_ref().map_or_else(now_ms, |event| event.at);
        let id = changed.id.unwrap_or_default().unsigned_abs();
        let freeze = Freeze { id, of, why, actor: actor.0, since };
        self.keep_freezes(freezes.iter().cloned().chain([freeze.clone()]).collect());
        self.decide(&self.running(), changed.generation);
        self.looks.moved.notify_one();
        Ok(freeze)
    }

    fn knows(&self, agent: &AgentName) -> bool {
        self.standing().desired.rules().agents().contains(agent)
            || self.rollouts().are_of(agent)
            || self.packages.all().iter().any(|it| it.build.name == *agent)
    }

    /// Not to be broken off.
    pub async fn unfreeze(self: Arc<Self>, actor: Actor, id: u64) -> Result<(), NotEdited> {
        let _turn = self.deciding.turn_in_time().await?;
        let freezes = self.freezes();
        if freezes.iter().all(|it| it.id != id) {
            return Err(NotEdited::Missing(format!("freeze {id}")));
        }
        let changed = self.store.change(actor, Change::Unfreeze(id)).await?;
        self.keep_freezes(freezes.iter().filter(|it| it.id != id).cloned().collect());
        self.decide(&self.running(), changed.generation);
        self.others_begin();
        Ok(())
    }

    /// Where windows have opened or closed since, hosts begin or do not.
    pub async fn look_at_windows(&self) {
        if !self.current().gates().may_change(now_ms()) {
            return;
        }
        let _turn = self.deciding.turn().await;
        let current = self.current().clone();
        if let Some(compiled) = current.rules() {
            self.keep_current(current.after_gates(self.gates(compiled)));
            self.others_begin();
        }
    }

    /// Hosts that were kept from it hear of it with their next beats, and not before.
    fn others_begin(&self) {
        let now = now_ms() / 1000;
        self.current().active().iter().for_each(|it| self.looks.moves(it.rollout.id, now));
        self.looks.moved.notify_one();
    }
}
