//! `./control`: starts, stops and asks after the updater of its own folder, and of no other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use e2e::{Base, FakeMeta, Package, SOON, binary, is_alive, wait_for};
use serde_json::json;

/// A folder as it is laid out on a host: script, program, configuration, and nothing else.
struct Installed {
    meta: FakeMeta,
    base: Base,
}

impl Installed {
    fn new() -> Self {
        let meta = FakeMeta::new();
        let base = Base::new(&meta.address());
        let host = Self { meta, base };
        fs::copy(repository().join("control"), host.path("control")).unwrap();
        fs::copy(binary("ops-updater"), host.path("ops-updater")).unwrap();
        let cfg = json!({"server": host.meta.address(), "hostname": "host-1", "interval": 1, "initialJitterSecs": 0});
        fs::write(host.path("cfg.json"), cfg.to_string()).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// `./control WORDS`, in its folder.
    fn control(&self, words: &[&str]) -> Output {
        Command::new("./control").args(words).current_dir(self.base.path()).output().unwrap()
    }

    /// The same, which has to succeed; gives what it printed.
    #[track_caller]
    fn ok(&self, word: &str) -> String {
        let output = self.control(&[word]);
        assert!(output.status.success(), "{word}: {output:?}\n{}", self.log());
        text(&output.stdout)
    }

    #[track_caller]
    fn pid(&self) -> i32 {
        self.ok("pid").parse().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("ops-updater.log")).unwrap_or_default()
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// A process that is no updater, ended with this value.
struct Stranger(Child);

impl Stranger {
    fn new() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn starts_tells_and_stops() {
    let host = Installed::new();
    assert_eq!(host.ok("status"), "stoped");
    assert_eq!(host.control(&["pid"]).status.code(), Some(1));

    host.ok("start");
    assert_eq!(host.ok("status"), "started");
    let pid = host.pid();
    assert_eq!(fs::read_to_string(host.path("ops-updater.pid")).unwrap().trim(), pid.to_string());
    host.meta.wait_for_beats(1);
    assert!(host.log().contains("event=started"), "standard error goes into the log: {}", host.log());

    host.ok("start");
    assert_eq!(host.pid(), pid, "a second start starts nothing");

    host.ok("stop");
    assert!(!is_alive(pid), "`stop` returns when the process is gone");
    assert_eq!(host.ok("status"), "stoped");
    assert!(!host.path("ops-updater.pid").exists());
    host.ok("stop");
}

#[test]
fn works_from_any_folder_and_through_a_symlink() {
    let host = Installed::new();
    let (links, elsewhere) = (host.base.outside().join("links"), host.base.outside().join("else where"));
    fs::create_dir_all(&links).unwrap();
    fs::create_dir_all(&elsewhere).unwrap();
    symlink(host.path("control"), links.join("absolute")).unwrap();
    symlink("../base/control", links.join("relative")).unwrap();
    symlink("relative", links.join("twice")).unwrap();
    let run = |script: &Path, word: &str| {
        let output = Command::new(script).arg(word).current_dir(&elsewhere).output().unwrap();
        assert!(output.status.success(), "{script:?} {word}: {output:?}");
        text(&output.stdout)
    };

    run(&links.join("twice"), "start");

    assert_eq!(run(&links.join("relative"), "status"), "started");
    assert_eq!(run(&links.join("absolute"), "status"), "started");
    assert_eq!(run(&host.path("control"), "pid"), host.pid().to_string());
    let by_name =
        Command::new("sh").args(["control", "status"]).current_dir(host.base.path()).output().unwrap();
    assert_eq!(text(&by_name.stdout), "started");
    run(&links.join("twice"), "stop");
    assert_eq!(host.ok("status"), "stoped");
}

#[test]
fn a_pid_file_that_names_another_program_is_nobody() {
    let (host, stranger) = (Installed::new(), Stranger::new());
    fs::write(host.path("ops-updater.pid"), format!("{}\n", stranger.pid())).unwrap();

    assert_eq!(host.ok("status"), "stoped");
    host.ok("stop");
    assert!(is_alive(stranger.pid()), "no signal goes to a process of somebody else");
    assert_eq!(host.control(&["reload"]).status.code(), Some(1));
    assert!(is_alive(stranger.pid()));

    host.ok("start");
    assert_ne!(host.pid(), stranger.pid());
    host.ok("stop");
    assert!(is_alive(stranger.pid()));
}

#[test]
fn the_updater_of_another_folder_is_nobody() {
    let (host, other) = (Installed::new(), Installed::new());
    other.ok("start");
    fs::copy(other.path("ops-updater.pid"), host.path("ops-updater.pid")).unwrap();

    assert_eq!(host.ok("status"), "stoped");
    host.ok("stop");
    assert_eq!(other.ok("status"), "started");
}

#[test]
fn a_pid_file_of_rubbish_is_nobody() {
    let host = Installed::new();
    for rubbish in ["", "\n", "-1", "0", "1 2", "x", "../../1", "99999999999999999999999999"] {
        fs::write(host.path("ops-updater.pid"), rubbish).unwrap();
        assert_eq!(host.ok("status"), "stoped", "{rubbish:?}");
    }
    host.ok("start");
    assert_eq!(host.ok("status"), "started");
}

#[test]
fn after_a_power_cut_it_starts_anew() {
    let host = Installed::new();
    host.ok("start");
    let pid = host.pid();
    e2e::kill(pid);
    wait_for("the updater is gone", SOON, || !is_alive(pid));
    assert!(host.path("ops-updater.pid").exists(), "nobody was there to take it away");

    assert_eq!(host.ok("status"), "stoped");
    host.ok("start");
    assert_ne!(host.pid(), pid);
}

#[test]
fn restart_is_another_process() {
    let host = Installed::new();
    host.ok("restart");
    let before = host.pid();

    host.ok("restart");

    assert_ne!(host.pid(), before);
    assert!(!is_alive(before));
}

#[test]
fn reload_has_the_configuration_read_again() {
    let host = Installed::new();
    host.ok("start");
    let pid = host.pid();

    host.ok("reload");

    wait_for("the configuration is read", SOON, || host.log().contains("event=reloaded"));
    assert_eq!(host.pid(), pid);
}

#[test]
fn a_start_that_fails_says_why() {
    let host = Installed::new();
    fs::write(host.path("cfg.json"), r#"{"interval": 0}"#).unwrap();
    let output = host.control(&["start"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("`interval`: found 0"), "{output:?}");

    fs::remove_file(host.path("cfg.json")).unwrap();
    let output = host.control(&["start"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cfg.example.json"), "{output:?}");

    fs::remove_file(host.path("ops-updater")).unwrap();
    assert_eq!(host.control(&["start"]).status.code(), Some(1));
}

#[test]
fn the_example_is_all_the_configuration_that_is_needed() {
    let host = Installed::new();
    fs::copy(repository().join("cfg.example.json"), host.path("cfg.example.json")).unwrap();
    fs::rename(host.path("cfg.example.json"), host.path("cfg.json")).unwrap();

    host.ok("start");

    assert_eq!(host.ok("status"), "started");
    host.ok("stop");
}

#[test]
fn whoever_starts_it_is_not_kept_waiting() {
    let host = Installed::new();
    // `cat` ends when nobody holds the other end of its pipe any more.
    let mut shell = Command::new("sh")
        .args(["-c", "{ ./control start 3>&1 7>&1 9>&1; } 2>&1 | cat >/dev/null"])
        .current_dir(host.base.path())
        .spawn()
        .unwrap();
    wait_for("the pipe is closed", SOON, || shell.try_wait().unwrap().is_some());
    assert_eq!(host.ok("status"), "started");

    let leads_to_a_pipe = |fd: &i32| {
        let target = fs::read_link(format!("/proc/{}/fd/{fd}", host.pid()));
        target.is_ok_and(|it| it.to_string_lossy().starts_with("pipe:"))
    };
    let pipes: Vec<i32> = [0, 1, 2, 3, 7, 9].into_iter().filter(leads_to_a_pipe).collect();
    assert_eq!(pipes, Vec::<i32>::new());
}

#[test]
fn a_program_that_was_replaced_while_it_runs_is_still_ours() {
    let host = Installed::new();
    host.ok("start");
    let pid = host.pid();
    fs::copy(host.path("ops-updater"), host.path("ops-updater.new")).unwrap();
    fs::rename(host.path("ops-updater.new"), host.path("ops-updater")).unwrap();

    assert_eq!((host.ok("status").as_str(), host.pid()), ("started", pid));
    host.ok("restart");
    assert_ne!(host.pid(), pid);
    assert!(!is_alive(pid));
}

#[test]
fn the_pid_file_is_found_where_base_dir_says() {
    let host = Installed::new();
    let elsewhere = host.base.outside().join("agents");
    fs::create_dir(&elsewhere).unwrap();
    let cfg = json!({"server": host.meta.address(), "baseDir": elsewhere});
    fs::write(host.path("cfg.json"), serde_json::to_string_pretty(&cfg).unwrap()).unwrap();

    host.ok("start");

    assert!(elsewhere.join("ops-updater.pid").exists());
    assert_eq!(host.ok("status"), "started");
    host.ok("stop");
}

#[test]
fn a_log_that_grew_too_long_is_moved_aside() {
    let host = Installed::new();
    let long = "x".repeat(11 << 20);
    fs::write(host.path("ops-updater.log"), &long).unwrap();

    host.ok("start");

    assert_eq!(fs::metadata(host.path("ops-updater.log.1")).unwrap().len(), long.len() as u64);
    wait_for("the log begins anew", SOON, || host.log().contains("event=started"));
}

#[test]
fn a_log_that_grows_while_the_updater_runs_is_bounded_too() {
    let host = Installed::new();
    host.ok("start");
    let mut log = fs::OpenOptions::new().append(true).open(host.path("ops-updater.log")).unwrap();
    std::io::Write::write_all(&mut log, "x".repeat(11 << 20).as_bytes()).unwrap();

    wait_for("the log is moved aside", SOON, || host.path("ops-updater.log.1").exists());

    host.ok("reload");
    wait_for("the new log is written", SOON, || host.log().contains("event=reloaded"));
    assert!(host.log().len() < 1 << 20);
}

#[test]
fn agents_outlive_the_updater() {
    let host = Installed::new();
    let files = e2e::FileServer::new();
    host.meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
    host.ok("start");
    wait_for("the agent runs", SOON, || !host.base.daemons("alpha").is_empty());
    let agent = host.base.daemon("alpha", "1.0.0");

    host.ok("stop");
    assert!(is_alive(agent));
    host.ok("start");
    host.meta.wait_for_beats(2);
    assert_eq!(host.base.daemon("alpha", "1.0.0"), agent);
}

#[test]
fn wrong_use_ends_with_2_and_tells_the_right_one() {
    let host = Installed::new();
    for words in [&[][..], &["fly"], &["start", "now"], &["--help"]] {
        let output = host.control(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(
            text(&output.stderr).contains("start|stop|restart|status|tail|pid|reload|build|pack"),
            "{output:?}"
        );
    }
}

#[test]
fn packs_what_a_host_needs_into_one_tarball() {
    let host = Installed::new();
    fs::write(host.path("cfg.example.json"), "{}").unwrap();
    fs::write(host.path("cfg.json"), "{\"server\": \"secret:1\"}").unwrap();

    host.ok("pack");

    let version = text(&Command::new(binary("ops-updater")).arg("--version").output().unwrap().stdout);
    let package = format!("{}.tar.gz", version.replace(' ', "-"));
    let check = Command::new("md5sum")
        .arg("-c")
        .arg(format!("{package}.md5"))
        .current_dir(host.base.path())
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
    let list = Command::new("tar").arg("tzf").arg(host.path(&package)).output().unwrap();
    let mut names: Vec<String> = text(&list.stdout).lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["cfg.example.json", "control", "ops-updater"]);
}

#[test]
fn a_dash_runs_it_without_a_complaint() {
    let script = repository().join("control");
    assert!(fs::metadata(&script).unwrap().permissions().mode() & 0o111 != 0);
    let output = Command::new("dash").arg("-n").arg(script).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
