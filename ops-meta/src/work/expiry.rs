//! Hosts that have not been heard of for three days are forgotten, as in 2015: dead names would fill the fleet. What
//! became of hosts is kept for a month.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::now_ms;
use crate::fleet::Forgotten;
use crate::log;
use crate::running::App;
use crate::store::{Actor, Change};

const EVERY: Duration = Duration::from_secs(3600);
const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);
const HISTORY_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

/// Looks once an hour, for ever.
pub async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        forget_history(&app).await;
        forget_hosts(&app).await;
        forget_uploads(&app).await;
    }
}

/// Looks at every host, and so takes its turn.
async fn forget_hosts(app: &Arc<App>) {
    let (looking, turn) = (app.clone(), app.scans.clone().acquire_owned().await);
    let looked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        looking.fleet.forget(KEPT, now_ms() / 1000)
    });
    let Forgotten { count, some } = looked.await.unwrap_or_default();
    if count == 0 {
        return;
    }
    log::line("hosts_forgotten", &[("hosts", &count.to_string()), ("some", &some.join(" "))]);
    let change = Change::ForgetHosts { count, some };
    if let Err(why) = app.store.change(Actor("ops-meta".to_owned()), change).await {
        log::line("no_event", &[("level", "warning"), ("why", &why.to_string())]);
    }
}

/// Those that were cut, and that nobody went on with.
async fn forget_uploads(app: &Arc<App>) {
    let looking = app.clone();
    let looked = tokio::task::spawn_blocking(move || looking.packages.blobs.forget_old_uploads()).await;
    if let Ok(Err(error)) = looked {
        log::line("uploads_not_removed", &[("level", "warning"), ("why", &error.to_string())]);
    }
}

/// A part at a time; what fails is tried in an hour.
async fn forget_history(app: &App) {
    let before = now_ms() - HISTORY_KEPT_MS;
    while app.store.forget_history(before).await.is_ok_and(|lines| lines > 0) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use ops_wire::Heartbeat;
    use serde_json::json;

    use super::*;
    use crate::fleet::Said;
    use crate::store::EventsAsked;

    #[tokio::test]
    async fn hosts_that_are_forgotten_leave_one_event() {
        let folder = tempfile::TempDir::new().unwrap();
        let app = Arc::new(App::for_test(folder.path()).await);
        let most = app.running().config.limits.fleet;
        let beat = |n: u32, at| {
            let beat = Heartbeat { hostname: format!("host{n}"), ..Heartbeat::default() };
            app.fleet.record(&beat, &Said { body: b"", known_by: 0 }, at, most);
        };
        let (long_ago, now) = (now_ms() - 4 * 24 * 3600 * 1000, now_ms());
        (0..30).for_each(|n| beat(n, long_ago));
        beat(30, now);
        // Without a break: nobody is silent while nobody listens.
        (long_ago / 1000..=now / 1000).step_by(30).for_each(|secs| _ = app.fleet.listen(secs));
        forget_hosts(&app).await;
        forget_hosts(&app).await;
        assert_eq!(app.fleet.count(), 1);
        let asked =
            EventsAsked { kind: Some("hosts.forgotten".to_owned()), limit: 9, ..EventsAsked::default() };
        let events = app.store.events(asked).await.unwrap();
        let before = events.iter().filter_map(|event| event.before.clone()).collect::<Vec<_>>();
        assert_eq!((before.len(), before.first().map(|it| it["count"].clone())), (1, Some(json!(30))));
        assert_eq!(before.first().and_then(|it| Some(it["some"].as_array()?.len())), Some(20));
    }
}
