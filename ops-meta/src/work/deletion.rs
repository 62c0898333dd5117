//! What was being deleted when ops-meta ended, or when the database did not answer, is deleted later.

use std::sync::Arc;
use std::time::Duration;

use crate::log;
use crate::packages::NotDone;
use crate::running::App;
use crate::store::{Actor, Package, PackageState, StoreError};

const EVERY: Duration = Duration::from_secs(60);

/// For ever. A package whose file stays becomes `delete_failed`, and is an operator's.
pub async fn run(app: Arc<App>) {
    let is_leaving = |package: &Arc<Package>| package.state == PackageState::Deleting;
    loop {
        for package in app.packages.all().into_iter().filter(is_leaving) {
            finish(&app, &package).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn finish(app: &App, package: &Package) {
    let (actor, name) = (Actor("ops-meta".to_owned()), package.build.to_string());
    match app.packages.delete(&app.store, actor, package, |_| None).await {
        Ok(()) => log::line("package_deleted", &[("package", &*name)]),
        // Somebody else did it meanwhile.
        Err(NotDone::Store(StoreError::Missing(_))) => {}
        Err(why) => {
            let fields = [("level", "error"), ("package", &*name), ("why", &*why.to_string())];
            log::line("package_not_deleted", &fields);
        }
    }
}
