//! Hosts that have not been heard of for three days are forgotten, as in 2015: dead names would fill the fleet.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::now_ms;
use crate::log;
use crate::running::App;

const EVERY: Duration = Duration::from_secs(3600);
const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);

/// Looks once an hour, for ever.
pub async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let forgotten = app.fleet.forget(KEPT, now_ms() / 1000);
        if forgotten > 0 {
            log::line("hosts_forgotten", &[("hosts", &forgotten.to_string())]);
        }
    }
}
