//! `make bench`: measures the updater as it is, side by side with what does the same work by hand, and prints a
//! table. It writes nothing but temporary folders. Words after `--` choose: install, files, memory, beat, cycle, down,
//! size.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a measurement that cannot go on ends here, and it starts programs as it needs"
)]

mod table;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{
    Base, Entry, FakeMeta, Meta, Package, SOON, agent_script, below, binary, changes, snapshot, wait_for,
};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};
use tempfile::TempDir;

use table::{Sides, median, row};

/// Rounds of a comparison; the sides take turns in each.
const ROUNDS: usize = 7;
/// Beats of one round, a second apart.
const BEATS: usize = 15;
const BEAT_ROUNDS: usize = 3;
const UPGRADES: usize = 10;
/// The large package: up to half of it programs, the rest libraries.
const UNPACKED_BYTES: u64 = 270_000_000;
/// One file alone should not be the package.
const FILE_BYTES_MAX: u64 = 32_000_000;
const AGENT: &str = "large";
const VERSION: &str = "1.0.0";

fn main() {
    let Some(chosen) = table::begin(&["install", "files", "memory", "beat", "cycle", "down", "size"]) else {
        return;
    };
    let is_chosen = |names: &[&str]| names.iter().any(|it| chosen.contains(it));
    if is_chosen(&["install", "memory", "beat"]) {
        let large = Large::pack();
        if is_chosen(&["install"]) {
            install(&large);
        }
        if is_chosen(&["memory", "beat"]) {
            let mut base = memory(&large);
            if is_chosen(&["beat"]) {
                beat(&large, &mut base);
            }
        }
    }
    if is_chosen(&["files"]) {
        files();
    }
    if is_chosen(&["cycle"]) {
        cycle();
    }
    if is_chosen(&["down"]) {
        down();
    }
    if is_chosen(&["size"]) {
        sizes();
    }
}

/// A package of ordinary programs and libraries, served by ops-meta; a stand-in for it gives the orders, since only so
/// an order can name a sha256.
struct Large {
    meta: Meta,
    orders: FakeMeta,
    md5: Value,
    sha256: Value,
}

impl Large {
    fn pack() -> Self {
        let (meta, content) = (Meta::new(), TempDir::new().unwrap());
        let libraries = fs::read_dir("/usr/lib")
            .unwrap()
            .flatten()
            .map(|it| it.path())
            .find(|it| it.join("libc.so.6").is_file())
            .expect("this machine has no /usr/lib/TUPLE");
        let mut unpacked = copy(Path::new("/usr/bin"), &content.path().join("bin"), UNPACKED_BYTES / 2);
        unpacked += copy(&libraries, &content.path().join("lib"), UNPACKED_BYTES - unpacked);
        for Entry { path, mode, content: bytes, .. } in Package::entries(VERSION, &agent_script()) {
            let path = content.path().join(path);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let pack = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pack.sh");
        succeeds(Command::new(pack).args([AGENT, VERSION]).arg(content.path()).arg(meta.tarballs()));
        let tarball = meta.tarballs().join(file_name());
        let sum = Command::new("sha256sum").arg(&tarball).output().unwrap().stdout;
        let sum = String::from_utf8(sum).unwrap()[..64].to_owned();
        let url = format!("http://{}", meta.address());
        let md5 = json!({"name": AGENT, "version": VERSION, "tarball": url, "md5": "", "cmd": "start"});
        let mut sha256 = md5.clone();
        sha256["sha256"] = sum.into();
        let packed = fs::metadata(tarball).unwrap().len();
        println!("the package: {:.1} MB, unpacked {:.1} MB", packed as f64 / 1e6, unpacked as f64 / 1e6);
        Self { meta, orders: FakeMeta::new(), md5, sha256 }
    }

    /// The same for every run: the tarball is in the page cache, and nothing waits to be written.
    fn settle(&self) {
        std::io::copy(&mut fs::File::open(self.tarball()).unwrap(), &mut std::io::sink()).unwrap();
        succeeds(Command::new("sync").arg("-f").arg(std::env::temp_dir()));
    }

    fn tarball(&self) -> PathBuf {
        self.meta.tarballs().join(file_name())
    }

    fn by_hand(&self) -> f64 {
        let folder = TempDir::new().unwrap();
        self.settle();
        let url = format!("http://{}/{}", self.meta.address(), file_name());
        let script = format!(
            "wget -q --no-proxy {url} {url}.md5 && md5sum --quiet -c {file}.md5 && tar zxf {file} && sync -f .",
            file = file_name()
        );
        let begun = Instant::now();
        succeeds(Command::new("sh").args(["-c", &script]).current_dir(folder.path()));
        begun.elapsed().as_secs_f64()
    }

    fn by_updater(&self, order: &Value) -> f64 {
        let base = Base::new(&self.orders.address());
        self.orders.order(std::slice::from_ref(order));
        self.settle();
        let begun = Instant::now();
        base.once().exits(0);
        begun.elapsed().as_secs_f64()
    }
}

fn file_name() -> String {
    format!("{AGENT}-{VERSION}.tar.gz")
}

/// Without what cargo adds to the environment: it makes the start of every program slower.
#[track_caller]
fn succeeds(command: &mut Command) {
    let output = command.env_remove("LD_LIBRARY_PATH").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Copies the ordinary files of one folder, in the order of their names, up to so many bytes.
fn copy(from: &Path, to: &Path, bytes_max: u64) -> u64 {
    let mut files: Vec<PathBuf> = fs::read_dir(from).unwrap().flatten().map(|it| it.path()).collect();
    files.sort();
    fs::create_dir(to).unwrap();
    let mut bytes = 0;
    for file in files {
        let it = file.symlink_metadata().unwrap();
        if it.is_file() && it.nlink() == 1 && it.len() <= FILE_BYTES_MAX && bytes + it.len() <= bytes_max {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            bytes += it.len();
        }
    }
    bytes
}

/// From the start of `ops-updater once` to its end: two beats, the whole change, a start and its proof.
fn install(large: &Large) {
    let (mut md5, mut sha256) = (Sides::default(), Sides::default());
    for _ in 0..ROUNDS {
        let by_hand = large.by_hand();
        md5.theirs.push(by_hand);
        md5.ours.push(large.by_updater(&large.md5));
        sha256.theirs.push(by_hand);
        sha256.ours.push(large.by_updater(&large.sha256));
    }
    md5.row("install, md5 (wget, md5sum, tar, sync -f)", "s", 0.55);
    sha256.row("install, sha256 (the same)", "s", 0.55);
}

/// Many small files, staged durably: fetched, verified, unpacked and synced, by the steps that the updater reports. Beside
/// it, the same files only written.
fn files() {
    const FILES: usize = 3000;
    let content: Vec<u8> = (0..8192_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut entries = Package::entries(VERSION, &agent_script());
    entries.extend((0..FILES).map(|it| Entry::file(&format!("file{it}"), 0o644, content.clone())));
    let (meta, orders) = (Meta::new(), FakeMeta::new());
    meta.put(&Package::of("many", VERSION, &entries));
    let url = format!("http://{}", meta.address());
    orders.order(&[json!({"name": "many", "version": VERSION, "tarball": url, "md5": "", "cmd": "start"})]);
    let mut sides = Sides::default();
    for _ in 0..ROUNDS {
        succeeds(Command::new("sync").arg("-f").arg(std::env::temp_dir()));
        let folder = TempDir::new().unwrap();
        let begun = Instant::now();
        entries.iter().for_each(|it| fs::write(folder.path().join(&it.path), &it.content).unwrap());
        sides.theirs.push(begun.elapsed().as_secs_f64());
        succeeds(Command::new("sync").arg("-f").arg(std::env::temp_dir()));
        let base = Base::new(&orders.address());
        base.once().exits(0);
        let steps = orders.agent("many")["steps"].as_array().unwrap().clone();
        let staged =
            steps.iter().filter(|it| ["fetch", "verify", "unpack"].contains(&it["step"].as_str().unwrap()));
        sides.ours.push(staged.map(|it| it["ms"].as_f64().unwrap() / 1000.0).sum());
    }
    sides.row("3,000 files staged durably (only written)", "s", 2.0);
}

/// Installs the large package by the loop, and gives the host that it is on.
fn memory(large: &Large) -> Base {
    let mut base = Base::new(&large.orders.address());
    base.set("interval", 1);
    large.orders.order(std::slice::from_ref(&large.md5));
    base.start();
    let parent = base.updater_pid();
    let (mut parent_peak, mut child_peak) = (0, 0);
    wait_for("the package is installed", Duration::from_secs(120), || {
        parent_peak = parent_peak.max(memory_of(parent, "VmHWM"));
        for child in children(parent) {
            // Until it has executed, a child shows the memory of its parent.
            if is_staging(child) {
                child_peak = child_peak.max(memory_of(child, "VmHWM"));
            }
        }
        base.version(AGENT).is_some()
    });
    base.stop();
    memory_row("parent's peak while it installs", parent_peak, 8);
    memory_row("staging child's peak", child_peak, 32);
    base.start();
    large.orders.wait_for_beats(2);
    memory_row("parent between two beats", memory_of(base.updater_pid(), "VmRSS"), 4);
    base.stop();
    base
}

fn memory_row(figure: &str, kib: u64, mib_max: u64) {
    let met = kib <= mib_max << 10;
    row(figure, &format!("{:.2} MiB", kib as f64 / 1024.0), "", "", &format!("<= {mib_max} MiB"), Some(met));
}

/// In KiB; 0 when the process is gone.
fn memory_of(pid: i32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|it| it.parse().ok()).collect()
}

fn is_staging(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it.ends_with(b"--child\0stage\0"))
}

/// CPU seconds, user and system, of the children that have ended, and theirs.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

/// CPU seconds of the loop with all its children, a beat, its start and end shared out among them. The second value: of
/// one `./control status` of each agent, called the same number of times by itself.
fn cpu_of_a_beat(orders: &FakeMeta, base: &mut Base, agents: &[&str]) -> (f64, f64) {
    let (before, beats) = (cpu(), orders.beats().len());
    base.start();
    wait_for("the beats", SOON * 3, || orders.beats().len() >= beats + BEATS);
    // The last one is to be over.
    std::thread::sleep(Duration::from_millis(300));
    base.stop();
    let whole = (cpu() - before) / (orders.beats().len() - beats) as f64;
    let before = cpu();
    for _ in 0..BEATS {
        for agent in agents {
            let folder = base.agent(agent).join(base.version(agent).unwrap());
            succeeds(Command::new(folder.join("control")).arg("status").current_dir(folder));
        }
    }
    (whole, (cpu() - before) / BEATS as f64)
}

fn beat(large: &Large, base: &mut Base) {
    let before = snapshot(&base.path());
    let mut own = Vec::new();
    for _ in 0..BEAT_ROUNDS {
        let (whole, status) = cpu_of_a_beat(&large.orders, base, &[AGENT]);
        own.push((whole - status) * 1e3);
    }
    let ms = median(own.into_iter());
    row(
        "CPU of a beat, nothing to do, without status",
        &format!("{ms:.2} ms"),
        "",
        "",
        "<= 5 ms",
        Some(ms <= 5.0),
    );
    // An updater that starts and ends writes its pid.
    base.start();
    large.orders.wait_for_beats(2);
    let running = snapshot(&base.path());
    large.orders.wait_for_beats(5);
    let written = changes(&running, &snapshot(&base.path()));
    let beyond: Vec<_> =
        changes(&before, &running).into_iter().filter(|it| it.starts_with(base.agent(AGENT))).collect();
    base.stop();
    let count = written.len() + beyond.len();
    row("files changed below BASE by 5 such beats", &count.to_string(), "", "", "0", Some(count == 0));
    written.iter().chain(&beyond).for_each(|it| println!("    {}", it.display()));
}

/// Three small agents at rest: all that is run for one beat, beside their `./control status` alone.
fn cycle() {
    let names = ["alpha", "beta", "gamma"];
    let (meta, orders) = (Meta::new(), FakeMeta::new());
    let mut base = Base::new(&orders.address());
    base.set("interval", 1);
    let url = format!("http://{}", meta.address());
    let agents = names.map(|name| {
        meta.put(&Package::agent(name, VERSION));
        json!({"name": name, "version": VERSION, "tarball": url, "md5": "", "cmd": "start"})
    });
    orders.order(&agents);
    base.once().exits(0);
    let mut sides = Sides::default();
    for _ in 0..BEAT_ROUNDS {
        let (whole, status) = cpu_of_a_beat(&orders, &mut base, &names);
        sides.ours.push(whole * 1e3);
        sides.theirs.push(status * 1e3);
    }
    sides.row("CPU of a cycle, 3 agents (3 status alone)", "ms", 3.0);
}

/// How long an agent is down in an upgrade beyond its own stop and start, by its own clock.
fn down() {
    let script = "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
case $1 in start|stop) ;; *) exec ./real \"$@\" ;; esac
echo \"$1 begins $(date +%s%N)\" >>../../../marks
./real \"$@\"
code=$?
echo \"$1 ends $(date +%s%N)\" >>../../../marks
exit $code
";
    let (meta, orders) = (Meta::new(), FakeMeta::new());
    let base = Base::new(&orders.address());
    let url = format!("http://{}", meta.address());
    let marks = base.outside().join("marks");
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for number in 0..=UPGRADES {
        let version = format!("1.0.{number}");
        let mut entries = Package::entries(&version, script);
        entries.push(Entry::file("real", 0o755, agent_script()));
        meta.put(&Package::of("alpha", &version, &entries));
        orders.order(&[
            json!({"name": "alpha", "version": version, "tarball": url, "md5": "", "cmd": "start"}),
        ]);
        fs::write(&marks, "").unwrap();
        base.once().exits(0);
        if number > 0 {
            ours.push(gap_ms(&marks));
        }
        fs::write(&marks, "").unwrap();
        let control = base.agent("alpha").join(version).join("control");
        succeeds(Command::new("sh").args(["-c", "\"$0\" stop; \"$0\" start"]).arg(control));
        by_hand.push(gap_ms(&marks));
    }
    let (ours, by_hand) = (median(ours.into_iter()), median(by_hand.into_iter()));
    let more = ours - by_hand;
    row(
        "down in an upgrade, beyond its stop and start",
        &format!("{ours:.1} ms"),
        &format!("{by_hand:.1} ms"),
        &format!("{more:+.1} ms"),
        "<= +100 ms",
        Some(more <= 100.0),
    );
    assert!(!below(&base.path()).is_empty(), "the agent does not run");
}

/// From the end of `stop` to the beginning of `start`.
fn gap_ms(marks: &Path) -> f64 {
    let text = fs::read_to_string(marks).unwrap();
    let at = |what: &str| -> f64 {
        let found = text.lines().find_map(|line| line.strip_prefix(what)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {what:?}: {text}"))
    };
    (at("start begins") - at("stop ends")) / 1e6
}

fn sizes() {
    for (name, most) in [("ops-updater", Some(3_200_000)), ("ops-meta", None)] {
        let bytes = fs::metadata(binary(name)).unwrap().len();
        row(
            &format!("size of {name}"),
            &format!("{:.2} MB", bytes as f64 / 1e6),
            "",
            "",
            &most.map(|it: u64| format!("<= {:.1} MB", it as f64 / 1e6)).unwrap_or_default(),
            most.map(|it| bytes <= it),
        );
    }
}
