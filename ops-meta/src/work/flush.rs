//! What hosts said is written once a second, in transactions that let others have their turn. While the database is
//! away it waits in memory, within bounds, and heartbeats are answered as ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::clock::now_ms;
use crate::domain::host::Run;
use crate::log::Seldom;
use crate::running::App;
use crate::store::Batch;

const EVERY: Duration = Duration::from_secs(1);
/// Hosts in one transaction: a tenth of a second, for which administrative changes wait.
const BATCH_HOSTS: usize = 5000;
/// How long the last write is tried.
const LAST: Duration = Duration::from_secs(10);
/// How often it is noted that hosts are listened to.
const LISTENED_SECS: i64 = 60;

/// Writes until it is told to end, and then what is left. Why that was not written, if so.
pub async fn run(app: Arc<App>, mut end: oneshot::Receiver<()>) -> Result<(), String> {
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (warnings, mut noted) = (Seldom::new(2), Run::default());
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            _ = &mut end => return last(&app).await,
        }
        let run = listens(&app);
        // Where the last write failed, somebody has to find out when one does not.
        let due = app.readiness.is_lacking("database")
            || run.since != noted.since
            || run.until - noted.until >= LISTENED_SECS;
        match write_all(&app, due.then_some(run)).await {
            Ok(()) if due => noted = run,
            Ok(()) => {}
            Err(why) => warnings.warn("hosts_not_written", &[("why", &why)]),
        }
    }
}

/// Whoever holds the database may let it go.
async fn last(app: &Arc<App>) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match write_all(app, Some(listens(app))).await {
            Err(_) if begun.elapsed() < LAST => tokio::time::sleep(EVERY).await,
            written => return written,
        }
    }
}

fn listens(app: &App) -> Run {
    app.fleet.listen(now_ms() / 1000)
}

async fn write_all(app: &Arc<App>, mut listened: Option<Run>) -> Result<(), String> {
    while listened.is_some() || app.fleet.pending_bytes() > 0 {
        let (taking, began) = (app.clone(), Instant::now());
        let take = move || Batch { listened, ..taking.fleet.take(BATCH_HOSTS) };
        let written = app.store.flush(take).await;
        app.metrics.flushed(began.elapsed(), written.as_ref().ok().copied());
        match written {
            Ok(written) => {
                listened = None;
                if written < BATCH_HOSTS {
                    return Ok(());
                }
            }
            Err(not) => {
                app.fleet.give_back(not.batch);
                return Err(not.error.to_string());
            }
        }
    }
    Ok(())
}
