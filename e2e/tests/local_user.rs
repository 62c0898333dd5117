//! What other accounts of the host can do to a root updater.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use e2e::{Base, FakeMeta, FileServer, Package, error_code};

#[test]
fn a_root_updater_runs_no_script_that_others_may_write() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    if base.path().metadata().unwrap().uid() != 0 {
        eprintln!("not root: the rule is for root alone");
        return;
    }
    let package = Package::agent("alpha", "1.0.0");
    meta.order(&[files.offer(&package)]);
    base.once().exits(0);

    let folder = base.agent("alpha").join("1.0.0");
    let (script, mark) = (folder.join("control"), base.outside().join("mark"));
    for path in [base.agent("alpha"), folder.clone(), script.clone()] {
        let before = path.metadata().unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        fs::write(&script, format!("#!/bin/sh\necho $1 >>{}\necho started\n", mark.display())).unwrap();
        base.once().exits(1);
        assert!(!mark.exists(), "{} may be written by anybody, and is run", path.display());
        assert_eq!(error_code(&meta.agent("alpha")), "control_unsafe", "{}", path.display());
        fs::set_permissions(&path, before).unwrap();
    }
    // That was all that stood in the way.
    base.once();
    assert!(mark.exists());
}

#[test]
fn the_memory_of_the_last_answer_and_the_staging_are_nobody_elses() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    base.once().exits(0);
    let own = base.path().join(".ops-updater");
    for path in [own.clone(), own.join("staging")] {
        assert_eq!(path.metadata().unwrap().mode() & 0o022, 0, "{}", path.display());
    }
    assert_eq!(own.join("memory.json").metadata().unwrap().mode() & 0o077, 0);
}
