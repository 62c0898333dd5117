//! Packages: brought, listed, looked into, marked, deleted, read again.

mod delete;
mod detail;
mod gc;
mod list;
mod mark;
mod shown;
mod upload;
mod uses;
mod verify;

use std::sync::Arc;

use axum::http::StatusCode;
use ops_package::Platform;
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::domain::package::{Build, NoBuild};
use crate::packages::NotDone;
use crate::running::App;
use crate::store::Package;
pub use delete::{__path_delete, delete};
pub use detail::{__path_entries, __path_show, entries, show};
pub use gc::{__path_gc, gc};
pub use list::{__path_list, list};
pub use mark::{__path_mark, mark};
pub use upload::{__path_put, __path_upload_offset, put, upload_offset};
pub use verify::{__path_verify, verify};

impl From<NoBuild> for Problem {
    fn from(why: NoBuild) -> Self {
        Self::field(why.field(), why.to_string())
    }
}

impl From<NotDone> for Problem {
    fn from(why: NotDone) -> Self {
        let status = match why {
            NotDone::Store(error) => return error.into(),
            NotDone::NotDeleted(..) => {
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).code("delete_failed");
            }
            NotDone::HalfDeleted(..) | NotDone::Reading => {
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string()).retry_after(60);
            }
            NotDone::Differs(_) | NotDone::Leaving(_) | NotDone::Taken(..) | NotDone::InUse(..) => {
                StatusCode::CONFLICT
            }
            NotDone::Blob(_) | NotDone::Altered(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, why.to_string())
    }
}

/// Every build of a version, or why there is none.
fn builds(app: &App, name: &str, version: &str) -> Result<Vec<Arc<Package>>, Problem> {
    match app.packages.builds(name, version) {
        none if none.is_empty() => Err(Problem::missing(format!("package {name:?} {version:?}"))),
        builds => Ok(builds),
    }
}

/// Which of the builds of a version; the one for all hosts, unless said.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OneBuild {
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    os: String,
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{0,32}$")]
    arch: String,
}

impl OneBuild {
    fn find(&self, app: &App, name: &str, version: &str) -> Result<Arc<Package>, Problem> {
        Platform::new(&self.os, &self.arch).map_err(NoBuild::Platform)?;
        let missing = || {
            let of_others = app.packages.builds(name, version);
            let others = of_others.iter().map(|it| it.build.to_string()).collect::<Vec<_>>().join(", ");
            let there = if others.is_empty() { String::new() } else { format!("; there is {others}") };
            Problem::missing(format!("package {name:?} {version:?} for these hosts{there}"))
        };
        let build = Build::check(name, version, &self.os, &self.arch).map_err(|_| missing())?;
        app.packages.find(&build).ok_or_else(missing)
    }
}
