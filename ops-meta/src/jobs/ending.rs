//! A job ends: all hosts have answered, its time is over, or somebody stops it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::One;
use crate::domain::job::State;
use crate::running::App;
use crate::store::{Actor, Change, JobEnd, StoreError};

impl One {
    /// How it ends by itself at `now`, Unix milliseconds; `None`: it does not yet.
    pub fn end_at(&self, now: i64) -> Option<State> {
        match self.look(|progress| progress.is_done()) {
            true => Some(State::Done),
            false => (now >= self.job.expires).then_some(State::Expired),
        }
    }

    /// From now on nothing changes, unless it `goes_on`.
    pub(super) fn ends(&self, state: State) -> JobEnd {
        let mut moving = self.moving();
        moving.is_ending = true;
        let mut places: BTreeSet<usize> = std::mem::take(&mut moving.unwritten).into_iter().collect();
        // As it will be: where that cannot be written, nobody's time is over yet.
        let mut progress = moving.progress.clone();
        // Of one that was stopped it is told who was told, and who was not.
        if state == State::Expired {
            places.extend(progress.expire());
        }
        let hosts = places.into_iter().filter_map(|at| progress.get(at).cloned()).collect();
        JobEnd { id: self.job.id, state, outcome: progress.outcome(), hosts }
    }

    pub(super) fn goes_on(&self, end: &JobEnd) {
        self.moving().is_ending = false;
        self.give_back(&end.hosts);
    }
}

impl App {
    /// Ends one that runs: first the rows, then what hosts are told. Not to be broken off.
    pub async fn end_job(&self, actor: Actor, one: &Arc<One>, state: State) -> Result<(), StoreError> {
        let _turn = self.jobs.turn().await;
        let id = one.job.id;
        // Somebody else may have ended it.
        if self.jobs.running().get(id).is_none() {
            return Ok(());
        }
        let end = one.ends(state);
        match self.store.change(actor, Change::EndJob(Box::new(end.clone()))).await {
            Ok(_) => self.jobs.change(|jobs| _ = jobs.remove(&id)),
            Err(why) => {
                one.goes_on(&end);
                return Err(why);
            }
        }
        Ok(())
    }

    /// Ends it as somebody wants it. One that is over stays as it is. Not to be broken off.
    pub async fn stop_job(self: Arc<Self>, actor: Actor, id: u64) -> Result<(), StoreError> {
        let found = self.jobs.running().get(id).cloned();
        match found {
            Some(one) => self.end_job(actor, &one, State::Stopped).await,
            None => self.store.job(id).await?.map(drop).ok_or(StoreError::Missing(format!("job {id}"))),
        }
    }

    /// Deletes the history of one that is over. Not to be broken off.
    pub async fn delete_job(self: Arc<Self>, actor: Actor, id: u64) -> Result<(), StoreError> {
        self.store.change(actor, Change::DeleteJob(id)).await.map(drop)
    }
}
