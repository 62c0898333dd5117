//! The main job: an agent is installed, upgraded, stopped and taken away as ops-meta asks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{
    Answer, Base, FakeMeta, FileServer, Package, SOON, Sick, agent_script, binary, children, error_code,
    is_alive, kill, send, wait_for,
};
use nix::sys::signal::Signal;
use serde_json::json;

/// A host on which alpha 1.0.0 was ordered and runs.
fn with_alpha() -> (FakeMeta, FileServer, Base) {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    base.once().exits(0);
    base.daemon("alpha", "1.0.0");
    (meta, files, base)
}

#[test]
fn an_agent_that_is_ordered_is_installed_and_started() {
    let (meta, _files, base) = with_alpha();
    assert_eq!(base.version("alpha").as_deref(), Some("1.0.0"));
    let beats = meta.beats();
    assert_eq!(beats.len(), 2, "one beat to hear, one to report");
    assert_eq!(beats[0]["hostname"], "host-1");
    let agent = meta.agent("alpha");
    assert_eq!(
        (&agent["version"], &agent["status"], &agent["phase"]),
        (&json!("1.0.0"), &json!("started"), &json!("idle"))
    );
    assert_eq!(error_code(&agent), "");
    let steps: Vec<&str> =
        agent["steps"].as_array().unwrap().iter().map(|it| it["step"].as_str().unwrap()).collect();
    assert!(steps.starts_with(&["fetch"]) && steps.ends_with(&["start", "flip"]), "{steps:?}");
}

#[test]
fn an_upgrade_stops_the_old_version_and_starts_the_new_one() {
    let (meta, files, base) = with_alpha();
    let old = base.daemon("alpha", "1.0.0");
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.1"))]);
    base.once().exits(0);
    base.daemon("alpha", "1.0.1");
    assert!(!is_alive(old));
    assert_eq!(base.version("alpha").as_deref(), Some("1.0.1"));
    assert_eq!(meta.agent("alpha")["version"], "1.0.1");
    assert!(base.has("alpha", "1.0.0"), "the version before is kept");
}

#[test]
fn a_downgrade_is_an_upgrade_and_needs_no_download_of_what_is_here() {
    let (meta, files, base) = with_alpha();
    let (old, new) = (Package::agent("alpha", "1.0.0"), Package::agent("alpha", "1.0.1"));
    meta.order(&[files.offer(&new)]);
    base.once().exits(0);
    let before = files.asked_tarball(&old);
    meta.order(&[files.offer(&old)]);
    base.once().exits(0);
    base.daemon("alpha", "1.0.0");
    assert_eq!(files.asked_tarball(&old), before);
}

#[test]
fn uninstall_stops_the_agent_and_takes_its_folder_away() {
    let (meta, files, base) = with_alpha();
    let running = base.daemon("alpha", "1.0.0");
    meta.order(&[files.order(&Package::agent("alpha", ""), "uninstall")]);
    base.once().exits(0);
    assert!(!is_alive(running));
    assert!(!base.agent("alpha").exists());
    base.once().exits(0);
}

#[test]
fn an_uninstall_that_fails_is_told_and_takes_nothing_away() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let mut base = Base::new(&meta.address());
    base.set("stopTimeoutSecs", 1);
    meta.order(&[files.offer(&Package::sick("alpha", "1.0.0", Sick::CannotBeStopped))]);
    base.once().exits(0);
    meta.order(&[files.order(&Package::agent("alpha", ""), "uninstall")]);
    base.once().exits(1);
    assert_eq!(error_code(&meta.agent("alpha")), "stop_failed", "{}", meta.agent("alpha"));
    assert!(base.has("alpha", "1.0.0"));
}

#[test]
fn an_agent_of_which_another_version_runs_is_not_taken_away() {
    let (meta, files, base) = with_alpha();
    // As an operator would, by hand.
    let other = base.agent("alpha").join("0.9.0");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy("/bin/sleep", other.join("agent")).unwrap();
    let mut daemon = Command::new(other.join("agent")).arg("1000").spawn().unwrap();
    meta.order(&[files.order(&Package::agent("alpha", ""), "uninstall")]);
    base.once().exits(1);
    assert_eq!(error_code(&meta.agent("alpha")), "stop_failed", "{}", meta.agent("alpha"));
    assert!(base.has("alpha", "1.0.0") && is_alive(daemon.id() as i32));

    daemon.kill().unwrap();
    daemon.wait().unwrap();
    base.once().exits(0);
    assert!(!base.agent("alpha").exists());
}

#[test]
fn an_agent_that_is_not_here_is_neither_stopped_nor_uninstalled() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    for cmd in ["stop", "uninstall"] {
        meta.order(&[files.order(&Package::agent("alpha", "1.0.0"), cmd)]);
        base.once().exits(0);
        assert!(!base.agent("alpha").exists() && files.requests() == 0, "{cmd}");
    }
}

#[test]
fn a_blank_order_leaves_the_agent_alone() {
    let (meta, files, base) = with_alpha();
    let running = base.daemon("alpha", "1.0.0");
    meta.order(&[files.order(&Package::agent("alpha", "1.0.1"), "")]);
    base.once().exits(0);
    assert_eq!(base.daemon("alpha", "1.0.0"), running);
    assert_eq!(error_code(&meta.agent("alpha")), "");
}

#[test]
fn an_unknown_order_is_reported_and_the_agent_left_alone() {
    let (meta, files, base) = with_alpha();
    let running = base.daemon("alpha", "1.0.0");
    meta.order(&[files.order(&Package::agent("alpha", "1.0.1"), "explode")]);
    base.once().exits(1);
    assert_eq!(base.daemon("alpha", "1.0.0"), running);
    assert_eq!(error_code(&meta.agent("alpha")), "unknown_cmd");
}

#[test]
fn an_agent_that_crashed_is_started_again() {
    let (meta, files, mut base) = with_alpha();
    base.start();
    let requests = files.requests();
    let crashed = base.daemon("alpha", "1.0.0");
    kill(crashed);
    wait_for("another daemon runs", SOON, || base.daemons("alpha").contains_key("1.0.0"));
    assert_ne!(base.daemon("alpha", "1.0.0"), crashed);
    assert_eq!(files.requests(), requests);
    meta.wait_for_agent("it is told", "alpha", |it| it["status"] == "started");
}

#[test]
fn an_agent_that_crashed_is_started_again_while_ops_meta_is_away() {
    let (meta, _files, base) = with_alpha();
    kill(base.daemon("alpha", "1.0.0"));
    meta.say(Answer::Status(500));
    base.once().exits(1);
    base.daemon("alpha", "1.0.0");
}

#[test]
fn after_a_start_of_the_updater_crashed_agents_are_started_before_the_first_answer() {
    let (meta, _files, mut base) = with_alpha();
    kill(base.daemon("alpha", "1.0.0"));
    let beats = meta.beats().len();
    base.set("initialJitterSecs", 3600).start();
    wait_for("the daemon runs", SOON, || base.daemons("alpha").contains_key("1.0.0"));
    assert_eq!(meta.beats().len(), beats);
}

/// How an agent is started that notes what it sees of its surroundings.
const NOTES: &str = "    { umask; echo $called_in; cut -d' ' -f6 /proc/$$/stat; echo $$; env; } >seen
    setsid -f ./agent 100000
    pidof -s \"$here/agent\" >agent.pid
";

#[test]
fn an_agent_inherits_nothing_of_the_updater_nor_of_whoever_started_that() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let mut base = Base::new(&meta.address());
    base.use_updater(&carelessly_started(base.outside()));
    let usual = "    setsid ./agent 100000 </dev/null >/dev/null 2>&1 &\n    echo $! >agent.pid\n";
    // Not dash, which unblocks all signals by itself.
    let script = agent_script().replace("#!/bin/sh", "#!/bin/bash\ncalled_in=$(pwd)").replace(usual, NOTES);
    assert!(script.contains(NOTES));
    meta.order(&[files.offer(&Package::with_script("alpha", "1.0.0", &script))]);

    base.start();

    wait_for("the daemon runs", SOON, || base.daemons("alpha").contains_key("1.0.0"));
    let (daemon, folder) = (base.daemon("alpha", "1.0.0"), base.agent("alpha").join("1.0.0"));
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    let field = |name: &str| status.lines().find_map(|it| it.strip_prefix(name)).unwrap().trim();
    // 32 and 33 are glibc's own, and whoever spawns by posix_spawn, as this test does, has them ignored.
    let signals = |name: &str| u64::from_str_radix(field(name), 16).unwrap() & 0x7fff_ffff;
    assert_eq!((signals("SigBlk:"), signals("SigIgn:"), field("Umask:")), (0, 0, "0022"));
    assert_eq!(std::fs::read_link(format!("/proc/{daemon}/cwd")).unwrap(), folder);
    let out = base.path().join(".ops-updater/out/alpha.log").display().to_string();
    assert_eq!(descriptors(daemon), ["0 /dev/null".to_owned(), format!("1 {out}"), format!("2 {out}")]);

    let seen = std::fs::read_to_string(folder.join("seen")).unwrap();
    let mut seen = seen.lines();
    assert_eq!((seen.next(), seen.next()), (Some("0022"), folder.to_str()));
    assert_eq!(seen.next(), seen.next(), "the script leads a session of its own");
    let names: Vec<&str> = seen.filter_map(|it| it.split_once('=').map(|(name, _)| name)).collect();
    // The shell adds some of its own.
    let known = ["HOME", "USER", "LOGNAME", "LANG", "TZ", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.contains(&"PATH") && names.iter().all(|it| known.contains(it)), "{names:?}");
}

/// The updater as somebody starts it who leaves everything in disorder.
fn carelessly_started(folder: &Path) -> PathBuf {
    let path = folder.join("careless");
    let words = format!(
        "#!/bin/sh
umask 077
trap '' HUP INT QUIT TERM USR1 CHLD PIPE
export SECRET=1 LD_LIBRARY_PATH=/x
exec 3</etc/passwd 9</etc/passwd
cd /
exec env --block-signal=USR2,TERM,CHLD '{}' \"$@\"
",
        binary("ops-updater").display()
    );
    std::fs::write(&path, words).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Number and target of each open file of a process.
fn descriptors(pid: i32) -> Vec<String> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut open: Vec<String> = open
        .map(|it| {
            let target = std::fs::read_link(it.path()).unwrap();
            format!("{} {}", it.file_name().to_string_lossy(), target.display())
        })
        .collect();
    open.sort();
    open
}

#[test]
fn only_the_desired_agent_of_the_configuration_is_acted_on_and_all_are_reported() {
    let (meta, files, mut base) = with_alpha();
    base.set("desiredAgent", "beta");
    meta.order(&[
        files.offer(&Package::agent("alpha", "1.0.1")),
        files.offer(&Package::agent("beta", "1.0.0")),
    ]);
    base.once().exits(0);
    base.daemon("alpha", "1.0.0");
    base.daemon("beta", "1.0.0");
    assert_eq!(meta.agent("alpha")["version"], "1.0.0");
    assert_eq!(meta.agent("beta")["version"], "1.0.0");
}

#[test]
fn a_version_that_does_not_start_gives_way_to_the_old_one() {
    let (meta, files, base) = with_alpha();
    meta.order(&[files.offer(&Package::sick("alpha", "1.0.1", Sick::StartFails))]);
    base.once().exits(1);
    base.daemon("alpha", "1.0.0");
    assert_eq!(base.version("alpha").as_deref(), Some("1.0.0"));
    let agent = meta.agent("alpha");
    assert_eq!((error_code(&agent), &agent["phase"]), ("start_failed", &json!("rolled_back")));
    assert!(agent["error"].as_str().unwrap().contains("no licence on this host"), "{agent}");
    assert_eq!(agent["desiredVersion"], "1.0.1");
}

#[test]
fn a_first_install_that_does_not_start_leaves_no_version_in_use() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    meta.order(&[files.offer(&Package::sick("alpha", "1.0.0", Sick::StartFails))]);
    base.once().exits(1);
    assert_eq!((base.version("alpha"), base.daemons("alpha").len()), (None, 0));
    assert_eq!(
        (&meta.agent("alpha")["version"], error_code(&meta.agent("alpha"))),
        (&json!(""), "start_failed")
    );
}

#[test]
fn a_version_that_does_not_stay_in_its_trial_gives_way_to_the_old_one() {
    let (meta, files, mut base) = with_alpha();
    base.set("trialSecs", 4);
    meta.order(&[files.offer(&Package::sick("alpha", "1.0.1", Sick::DiesSoon))]);
    base.once().exits(1);
    base.daemon("alpha", "1.0.0");
    assert_eq!(base.version("alpha").as_deref(), Some("1.0.0"));
    assert_eq!(
        (error_code(&meta.agent("alpha")), &meta.agent("alpha")["phase"]),
        ("trial_failed", &json!("rolled_back"))
    );
}

#[test]
fn a_version_that_stays_in_its_trial_is_kept() {
    let (meta, files, mut base) = with_alpha();
    base.set("trialSecs", 1);
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.1"))]);
    base.once().exits(0);
    base.daemon("alpha", "1.0.1");
    assert!(!base.agent("alpha").join(".upgrade").exists());
}

#[test]
fn the_loop_installs_and_tells_soon() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let mut base = Base::new(&meta.address());
    base.start();
    meta.wait_for_beats(1);
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    meta.wait_for_agent("it is told", "alpha", |it| it["version"] == "1.0.0" && it["status"] == "started");
    base.daemon("alpha", "1.0.0");
    assert_eq!(base.stop(), Some(0));
}

#[test]
fn many_agents_are_brought_to_their_versions_in_one_beat() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    let names = ["a1", "a2", "a3", "a4", "a5"];
    meta.order(&names.map(|name| files.offer(&Package::agent(name, "1.0.0"))));
    base.once().exits(0);
    names.iter().for_each(|name| assert!(base.daemon(name, "1.0.0") > 0));
}

#[test]
fn an_agent_that_is_held_before_it_is_installed_is_not_installed() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let base = Base::new(&meta.address());
    base.run(&["hold", "alpha", "not", "here"]).exits(0);
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    base.once();
    assert_eq!((error_code(&meta.agent("alpha")), base.has("alpha", "1.0.0")), ("held", false));
    base.run(&["release", "alpha"]).exits(0);
    base.once().exits(0);
    base.daemon("alpha", "1.0.0");
}

#[test]
fn an_agent_that_is_held_in_its_trial_is_told_as_it_is_and_not_taken_back() {
    let (meta, files, mut base) = with_alpha();
    base.set("trialSecs", 8).set("interval", 1).start();
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.1"))]);
    meta.wait_for_agent("the trial", "alpha", |it| it["phase"] == "trial");
    let running = base.daemon("alpha", "1.0.1");
    base.run(&["hold", "alpha"]).exits(0);
    kill(running);
    let told = meta.wait_for_agent("its death is told", "alpha", |it| it["status"] == "stoped");
    assert_eq!((&told["phase"], error_code(&told)), (&json!("held"), "held"));
    meta.wait_for_beats(3);
    assert!(base.daemons("alpha").is_empty(), "a hold is a hold");
    base.run(&["release", "alpha"]).exits(0);
    meta.wait_for_agent("it is taken back", "alpha", |it| {
        it["version"] == "1.0.0" && it["status"] == "started"
    });
}

#[test]
fn folders_in_the_way_of_what_the_updater_writes_are_put_aside() {
    let (meta, files, base) = with_alpha();
    let alpha = base.agent("alpha");
    for name in [".version.new", ".upgrade.new", ".hold.new"] {
        fs::create_dir_all(alpha.join(name).join("x/y")).unwrap();
    }
    base.run(&["hold", "alpha"]).exits(0);
    base.run(&["release", "alpha"]).exits(0);
    meta.order(&[files.offer(&Package::agent("alpha", "1.0.1"))]);
    base.once().exits(0);
    base.daemon("alpha", "1.0.1");
}

#[test]
fn what_an_earlier_updater_left_is_deleted_however_deep_it_is() {
    let (_meta, _files, base) = with_alpha();
    let staging = base.path().join(".ops-updater/staging");
    // Nested deeper than the descriptors that a process may have.
    let nest = "mkdir -p .discarded-1-1 beta/unpacked && for top in .discarded-1-1 beta/unpacked; do
        (cd $top && i=0; while [ $i -lt 1500 ]; do mkdir d && cd -P d && >file || exit 1; i=$((i+1)); done) || exit 1
    done";
    let made = Command::new("sh").args(["-c", nest]).current_dir(&staging).status().unwrap();
    assert!(made.success());
    let run = format!(
        "ulimit -n 64; exec '{}' -c '{}' once",
        binary("ops-updater").display(),
        base.cfg_file().display()
    );

    let once = Command::new("sh").args(["-c", &run]).status().unwrap();

    assert!(once.success(), "{once}");
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
}

/// Begun by the updater, and still deleting.
fn sweeps(base: &Base) -> Option<i32> {
    sweeps_for(base.updater_pid())
}

fn sweeps_for(updater: i32) -> Option<i32> {
    let words = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    children(updater).into_iter().find(|pid| words(pid).ends_with("sweep\0"))
}

#[test]
fn once_reports_before_everything_is_deleted_and_then_waits_for_that() {
    let (meta, _files, base) = with_alpha();
    let staging = base.path().join(".ops-updater/staging");
    let aside = staging.join(".discarded-0");
    fs::create_dir(&aside).unwrap();
    (0..50_000).for_each(|it| drop(fs::File::create(aside.join(it.to_string())).unwrap()));
    let beats = meta.beats().len();
    let mut once = Command::new(binary("ops-updater"));
    let mut once = once.arg("-c").arg(base.cfg_file()).arg("once").spawn().unwrap();
    let updater = i32::try_from(once.id()).unwrap();
    wait_for("somebody deletes it", SOON, || sweeps_for(updater).is_some());

    let sweeps = sweeps_for(updater).unwrap();
    send(sweeps, Signal::SIGSTOP);

    wait_for("the second beat", SOON, || meta.beats().len() == beats + 2);
    assert!(once.try_wait().unwrap().is_none() && aside.exists());
    send(sweeps, Signal::SIGCONT);
    assert!(once.wait().unwrap().success());
    assert!(!aside.exists());
}

#[test]
fn a_tree_of_many_files_is_deleted_beside_everything_else() {
    let (meta, files, mut base) = with_alpha();
    let (data, staging) = (base.agent("alpha").join("data"), base.path().join(".ops-updater/staging"));
    fs::create_dir(&data).unwrap();
    (0..50_000).for_each(|it| drop(fs::File::create(data.join(it.to_string())).unwrap()));
    base.set("interval", 1).start();
    meta.wait_for_beats(1);
    meta.order(&[files.order(&Package::agent("alpha", ""), "uninstall")]);
    wait_for("somebody deletes it", SOON, || sweeps(&base).is_some());

    // However long it takes.
    send(sweeps(&base).unwrap(), Signal::SIGSTOP);

    meta.wait_for_beats(3);
    assert!(!base.agent("alpha").exists() && fs::read_dir(&staging).unwrap().count() > 0);
    send(sweeps(&base).unwrap(), Signal::SIGCONT);
    wait_for("nothing is left of it", SOON, || fs::read_dir(&staging).unwrap().count() == 0);
    assert!(base.is_running());
}

#[test]
fn what_an_end_left_half_deleted_goes_after_the_next_start() {
    let (meta, files, mut base) = with_alpha();
    let (data, staging) = (base.agent("alpha").join("data"), base.path().join(".ops-updater/staging"));
    fs::create_dir(&data).unwrap();
    (0..50_000).for_each(|it| drop(fs::File::create(data.join(it.to_string())).unwrap()));
    base.set("interval", 1).start();
    meta.order(&[files.order(&Package::agent("alpha", ""), "uninstall")]);
    wait_for("somebody deletes it", SOON, || sweeps(&base).is_some());
    let sweeps = sweeps(&base).unwrap();
    // Stopped before it has set itself up it would not notice that the updater ends. Nothing shows from outside when it has.
    std::thread::sleep(std::time::Duration::from_millis(10));
    send(sweeps, Signal::SIGSTOP);
    assert_eq!(base.stop(), Some(0), "nobody waits for it");
    wait_for("it ends with the updater", SOON, || !is_alive(sweeps));
    assert!(fs::read_dir(&staging).unwrap().count() > 0);

    base.once().exits(0);

    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
}
