//! What was being deleted when ops-meta ended is deleted when it starts again.

use std::sync::Arc;
use std::time::Duration;

use crate::log;
use crate::packages::NotDone;
use crate::running::App;
use crate::store::{Actor, Package, PackageState};

/// Before the database is asked again; each time twice as long, up to the most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Until all of it is gone, or its file turns out to stay: then it is `delete_failed`, and an operator's.
pub async fn run(app: Arc<App>) {
    let is_leaving = |package: &Arc<Package>| package.state == PackageState::Deleting;
    let left: Vec<_> = app.packages.all().into_iter().filter(is_leaving).collect();
    for package in left {
        finish(&app, &package).await;
    }
}

async fn finish(app: &App, package: &Package) {
    let mut pause = PAUSE;
    // An operator may have deleted it again meanwhile, and another be there under its name.
    let is_there = || app.packages.find(&package.build).is_some_and(|it| it.id == package.id);
    while is_there() {
        let name = package.build.to_string();
        match app.packages.delete(&app.store, Actor("ops-meta".to_owned()), package).await {
            Ok(()) => return log::line("package_deleted", &[("package", &*name)]),
            Err(why) => {
                let fields = [("level", "error"), ("package", &*name), ("why", &*why.to_string())];
                log::line("package_not_deleted", &fields);
                if matches!(why, NotDone::NotDeleted(..)) {
                    return;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(PAUSE_MAX);
    }
}
