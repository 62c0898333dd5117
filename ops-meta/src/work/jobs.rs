//! Jobs go on: how their hosts stand is written behind once a second, and those that are over end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::clock::now_ms;
use crate::domain::job::Host;
use crate::log::{self, Seldom};
use crate::running::App;
use crate::store::{Actor, StoreError};

const EVERY: Duration = Duration::from_secs(1);

/// For ever.
pub async fn run(app: Arc<App>) {
    let warnings = Seldom::new(2);
    loop {
        if app.jobs.running().all().next().is_none() {
            app.jobs.moved.notified().await;
            continue;
        }
        if let Err(why) = round(&app).await {
            warnings.warn("jobs_wait", &[("why", &why.to_string())]);
        }
        sleep(EVERY).await;
    }
}

async fn round(app: &Arc<App>) -> Result<(), StoreError> {
    write(app).await?;
    let (running, mut failed) = (app.jobs.running().clone(), None);
    for one in running.all() {
        let Some(state) = one.end_at(now_ms()) else { continue };
        // One that cannot be ended keeps no other from it.
        match app.end_job(Actor("ops-meta".to_owned()), one, state).await {
            Ok(_) => log::line("job", &[("id", &one.job.id.to_string()), ("state", state.as_str())]),
            Err(why) => failed = Some(why),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// What is not written yet. What fails is tried again.
pub async fn write(app: &App) -> Result<(), StoreError> {
    let _turn = app.jobs.turn().await;
    let running = app.jobs.running().clone();
    let taken = running.all().map(|one| (one.job.id, one.take_unwritten()));
    let taken: Vec<(u64, Vec<Host>)> = taken.filter(|(_, hosts)| !hosts.is_empty()).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let written = app.store.write_job_hosts(taken.clone()).await;
    if written.is_err() {
        for (id, hosts) in &taken {
            running.get(*id).into_iter().for_each(|one| one.give_back(hosts));
        }
    }
    written
}
