//! A BASE as the 2015 updater leaves it is taken over as it is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;

use e2e::{Base, FakeMeta, FileServer, Package, changes, snapshot};
use serde_json::json;

#[test]
fn a_base_of_2015_is_taken_over_without_download_restart_or_write() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let mut base = Base::new(&meta.address());
    let packages = ["falcon-agent", "dns-agent"].map(|name| Package::agent(name, "1.0.0"));
    packages.iter().for_each(|it| base.install_as_in_2015(it));
    // What else 2015's folder holds, and its configuration beside the binary.
    let path = base.path();
    fs::create_dir(path.join("var")).unwrap();
    fs::write(path.join("var/app.log"), "2015/01/01 cron.go:1: heartbeat\n").unwrap();
    fs::write(path.join("var/app.pid"), "4711\n").unwrap();
    fs::write(path.join("control"), "#!/bin/bash\n").unwrap();
    fs::write(path.join("gitversion"), "").unwrap();
    let cfg = json!({"debug": true, "hostname": "", "desiredAgent": "", "server": meta.address(), "interval": 300,
                     "http": {"enabled": true, "listen": "0.0.0.0:2001"}});
    fs::write(path.join("cfg.json"), cfg.to_string()).unwrap();
    fs::copy(e2e::binary("ops-updater"), path.join("ops-updater")).unwrap();
    base.use_updater(&path.join("ops-updater"));
    let running = packages.each_ref().map(|it| base.daemon(&it.name, "1.0.0"));
    let before = packages.each_ref().map(|it| snapshot(&base.agent(&it.name)));
    meta.order(&packages.each_ref().map(|it| files.offer(it)));

    base.run_bare(&["once"]).exits(0);
    base.run_bare(&["once"]).exits(0);

    assert_eq!(packages.each_ref().map(|it| base.daemon(&it.name, "1.0.0")), running, "nothing is restarted");
    assert_eq!(files.requests(), 0, "nothing is downloaded");
    for (package, before) in packages.iter().zip(&before) {
        let changed = changes(before, &snapshot(&base.agent(&package.name)));
        assert!(changed.is_empty(), "something is written: {changed:?}");
        let agent = meta.agent(&package.name);
        assert_eq!((&agent["version"], &agent["status"]), (&json!("1.0.0"), &json!("started")));
    }
    assert_eq!(meta.last()["realAgents"].as_array().unwrap().len(), 2, "`var` is no agent");

    // `once` waits for the end of a trial.
    let mut cfg = cfg;
    cfg["trialSecs"] = json!(0);
    fs::write(path.join("cfg.json"), cfg.to_string()).unwrap();
    let next = Package::agent("falcon-agent", "1.0.1");
    let mut order = files.offer(&next);
    // This file of 2015 says nothing of trials, and `once` would wait for the usual two minutes.
    order["trialSecs"] = json!(0);
    meta.order(&[order]);
    base.run_bare(&["once"]).exits(0);
    base.daemon("falcon-agent", "1.0.1");
    base.daemon("dns-agent", "1.0.0");
}

#[test]
fn a_version_file_with_a_newline_or_emptied_by_a_full_disk_is_no_dead_end() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    let package = Package::agent("alpha", "1.0.0");
    base.install_as_in_2015(&package);
    meta.order(&[files.offer(&package)]);
    let running = base.daemon("alpha", "1.0.0");
    fs::write(base.agent("alpha").join(".version"), "1.0.0\n").unwrap();
    base.once().exits(0);
    assert_eq!((base.daemon("alpha", "1.0.0"), files.requests()), (running, 0));
    fs::write(base.agent("alpha").join(".version"), "").unwrap();
    base.once();
    base.daemon("alpha", "1.0.0");
    base.once().exits(0);
    assert_eq!(base.version("alpha").as_deref(), Some("1.0.0"));
}
