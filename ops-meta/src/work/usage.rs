//! When tokens were last used is written once a minute. A batch that is not written is lost: the next use comes soon.

use std::sync::Arc;
use std::time::Duration;

use crate::running::App;
use crate::store::Batch;

const EVERY: Duration = Duration::from_secs(60);

/// Tokens in one transaction: others wait for it.
const BATCH_TOKENS: usize = 5000;

/// For ever.
pub async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        write(&app).await;
    }
}

/// What is not written yet.
pub async fn write(app: &App) {
    for used in app.tokens.take_used().chunks(BATCH_TOKENS) {
        let used = used.to_vec();
        let _ = app.store.flush(|| Batch { used, ..Batch::default() }).await;
    }
}
