//! One host on which alpha is to come to 1.0.1 beside beta, and what has to be true of it at every moment.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use e2e::{Base, Entry, FakeMeta, FileServer, Package, agent_script, below, gzip, snapshot, tar};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const OLD: &str = "1.0.0";
pub const NEW: &str = "1.0.1";

/// What happens to alpha when nobody disturbs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// From 1.0.0 to 1.0.1.
    Upgrade { trial_secs: u32 },
    /// 1.0.1 starts, ends in its trial, and 1.0.0 comes back.
    TakeBack,
    /// To 1.0.1 where no alpha is.
    Install,
}

impl Scenario {
    fn old(self) -> Option<&'static str> {
        (self != Self::Install).then_some(OLD)
    }

    /// What runs in the end.
    fn goal(self) -> &'static str {
        if self == Self::TakeBack { OLD } else { NEW }
    }

    fn trial_secs(self) -> u32 {
        match self {
            Self::Upgrade { trial_secs } => trial_secs,
            Self::TakeBack => 1,
            Self::Install => 0,
        }
    }

    fn package(self, version: &str) -> Package {
        Package::of_bytes("alpha", version, gzip(&tar(&self.entries(version))))
    }

    /// What is packed: each kind of entry is in it.
    fn entries(self, version: &str) -> Vec<Entry> {
        // A start that finds another version running tells on it.
        let usual = "start)\n    runs && exit 0\n";
        let watchful = "start)
    runs && exit 0
    for note in ../*/agent.pid; do
        other=$(readlink \"/proc/$(cat \"$note\" 2>/dev/null)/exe\")
        case $other in \"$here/agent\") ;; \"${here%/*}\"/*/agent) echo \"$here beside $other\" >>../both ;; esac
    done
";
        let mut script = agent_script().replace(usual, watchful);
        assert!(script.contains("../both"));
        if self == Self::TakeBack && version == NEW {
            script = script.replace("./agent 100000", "./agent 0.9");
            assert!(script.contains("./agent 0.9"));
        }
        let mut entries = Package::entries(version, &script);
        entries.extend([
            Entry::folder("etc"),
            Entry::file("etc/large", 0o640, vec![b'x'; 150_000]),
            Entry::symlink("etc/link", "large"),
            Entry::hard_link("etc/twin", "content"),
        ]);
        entries
    }
}

pub struct Host {
    pub base: Base,
    /// From some call on all of them failed.
    pub broken: bool,
    scenario: Scenario,
    // They answer as long as they are there.
    _meta: FakeMeta,
    _files: FileServer,
    /// Everything outside BASE/alpha that is not the updater's own.
    before: BTreeMap<PathBuf, String>,
    /// Its daemon, unless a power cut ended it.
    beta: Option<i32>,
}

impl Host {
    /// beta runs, alpha 1.0.0 perhaps, and alpha 1.0.1 is ordered.
    pub fn new(scenario: Scenario) -> Self {
        let (meta, files) = (FakeMeta::new(), FileServer::new());
        let mut base = Base::new(&meta.address());
        let beta = files.offer(&Package::agent("beta", OLD));
        let mut orders = vec![beta.clone()];
        orders.extend(scenario.old().map(|old| files.offer(&scenario.package(old))));
        meta.order(&orders);
        base.once().exits(0);
        if let Some(old) = scenario.old() {
            base.daemon("alpha", old);
        }
        let running = Some(base.daemon("beta", OLD));
        base.set("trialSecs", scenario.trial_secs());
        meta.order(&[files.offer(&scenario.package(NEW)), beta]);
        let before = BTreeMap::new();
        let mut host =
            Self { base, broken: false, scenario, _meta: meta, _files: files, before, beta: running };
        host.before = host.others();
        host
    }

    /// The files that an upgrade of alpha has nothing to do with.
    fn others(&self) -> BTreeMap<PathBuf, String> {
        let base = self.base.path();
        let mut all = snapshot(self.base.outside());
        all.retain(|path, _| match path.strip_prefix(&base) {
            Ok(below) => {
                let first = below.iter().next().unwrap_or_default().to_string_lossy();
                below != Path::new("")
                    && !["alpha", ".ops-updater"].contains(&&*first)
                    && !first.starts_with("ops-updater.")
            }
            // The tests' own notes.
            Err(_) => path.file_name().is_some_and(|it| it == "cfg.json"),
        });
        all
    }

    /// What is true at every moment, whatever happened. `agrees`: nobody was interrupted, so what runs is what
    /// `.version` names.
    pub fn check(&self, agrees: bool) -> Result<(), String> {
        let version = self.base.version("alpha");
        let version = version.as_deref();
        if ![self.scenario.old(), Some(NEW)].contains(&version) {
            return Err(format!("`.version` is {version:?}, neither what it was nor {NEW}"));
        }
        for version in [OLD, NEW] {
            self.check_folder(version)?;
        }
        if version.is_some_and(|it| !self.base.has("alpha", it)) {
            return Err(format!("`.version` names {version:?}, whose folder is not there"));
        }
        let daemons = self.base.daemons("alpha");
        if daemons.len() > 1 || daemons.values().any(|pids| pids.len() > 1) {
            return Err(format!("more than one alpha runs: {daemons:?}"));
        }
        if let Ok(both) = fs::read_to_string(self.base.agent("alpha").join("both")) {
            return Err(format!("a version was started while another one ran: {both}"));
        }
        if agrees && daemons.keys().map(String::as_str).ne(version) && !self.cannot_be_restored(version) {
            return Err(format!("`.version` names {version:?}, and there run {daemons:?}"));
        }
        self.check_beta()
    }

    /// The new version is dead, the old one was started for want of it, and not even a rename is possible any more: then
    /// the upgrade is still recorded as under way.
    fn cannot_be_restored(&self, version: Option<&str>) -> bool {
        let runs_old = self.base.daemons("alpha").keys().eq([OLD]);
        let recorded = self.base.agent("alpha").join(".upgrade").exists();
        self.scenario == Scenario::TakeBack && self.broken && version == Some(NEW) && runs_old && recorded
    }

    /// A folder that has its name equals its tarball.
    fn check_folder(&self, version: &str) -> Result<(), String> {
        let folder = self.base.agent("alpha").join(version);
        if !folder.exists() {
            return Ok(());
        }
        let mut found = BTreeMap::new();
        for path in snapshot(&folder).into_keys() {
            let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
            // The agent's own, and the updater's record.
            if name != "agent.pid" && name != ".ops-updater" {
                found.insert(name, seen(&path));
            }
        }
        let entries = self.scenario.entries(version);
        let wanted: BTreeMap<String, Seen> = entries.iter().map(|it| packed(it, version)).collect();
        if found != wanted {
            let differ: Vec<_> =
                found.keys().chain(wanted.keys()).filter(|it| found.get(*it) != wanted.get(*it)).collect();
            return Err(format!("alpha/{version} has its name and is not what was packed: {differ:?}"));
        }
        let record = fs::read(folder.join(".ops-updater")).unwrap_or_default();
        match serde_json::from_slice::<serde_json::Value>(&record) {
            Ok(record) if record.is_object() => Ok(()),
            _ => Err(format!("alpha/{version} has its name and no whole record of its digests")),
        }
    }

    fn check_beta(&self) -> Result<(), String> {
        let daemons = self.base.daemons("beta");
        if daemons.values().flatten().copied().ne(self.beta) {
            return Err(format!("beta was process {:?}, now there are {daemons:?}", self.beta));
        }
        match e2e::changes(&self.before, &self.others()) {
            changed if changed.is_empty() => Ok(()),
            changed => Err(format!("files of nobody's business changed: {changed:?}")),
        }
    }

    /// Every process of BASE and the updater end at once, and the host comes up again with nothing running.
    pub fn power_cut(&mut self, updaters: &[i32]) {
        let mut pids: Vec<i32> = updaters.to_vec();
        loop {
            pids.extend(below(&self.base.path()).iter().map(|it| it.pid));
            if pids.is_empty() {
                break;
            }
            for pid in pids.drain(..) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        e2e::wait_for("the updaters are gone", e2e::SOON, || !updaters.iter().any(|it| e2e::is_alive(*it)));
        self.beta = None;
        // Another boot has another id.
        let upgrade = self.base.agent("alpha").join(".upgrade");
        change_json(&upgrade, |it| it["boot_id"] = serde_json::json!("of-the-boot-before"));
    }

    /// After a power cut beta is started again, too: as another process, whose id its script notes.
    pub fn beta_came_up(&mut self) -> Result<(), String> {
        let daemons = self.base.daemons("beta");
        match daemons.get(OLD).map(Vec::as_slice) {
            Some([pid]) if daemons.len() == 1 => self.beta = Some(*pid),
            _ => return Err(format!("beta does not run again: {daemons:?}")),
        }
        let note = self.base.agent("beta").join(OLD).join("agent.pid");
        if let Some(now) = self.others().remove(&note) {
            self.before.insert(note, now);
        }
        Ok(())
    }

    /// What waits for its time to be tried again has waited long enough.
    pub fn time_passes(&self) {
        change_json(&self.base.agent("alpha").join(".failed"), |past| {
            for failure in past["failures"].as_array_mut().into_iter().flatten() {
                if failure["nextTry"].is_i64() {
                    failure["nextTry"] = serde_json::json!(0);
                }
            }
        });
    }

    /// It is done, and nothing is left of it. `untidy`: something could not be deleted. Then the `.version` before may be
    /// left, which the next upgrade replaces.
    pub fn is_there(&self, untidy: bool) -> Result<(), String> {
        let version = self.base.version("alpha");
        let running: Vec<String> = self.base.daemons("alpha").into_keys().collect();
        let goal = self.scenario.goal();
        if version.as_deref() != Some(goal) || running != [goal] {
            return Err(format!("`.version` names {version:?}, there run {running:?}"));
        }
        let staging = self.base.path().join(".ops-updater/staging");
        let mut over = vec![".upgrade", ".version.new"];
        if !untidy {
            over.push(".version.old");
        }
        // Elsewhere a failure is forgotten.
        if self.scenario != Scenario::TakeBack {
            over.push(".failed");
        }
        let left: Vec<PathBuf> = over
            .into_iter()
            .map(|it| self.base.agent("alpha").join(it))
            .filter(|it| it.exists())
            .chain(fs::read_dir(staging).unwrap().flatten().map(|it| it.path()))
            .collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} is left")) }
    }
}

fn change_json(path: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let Ok(bytes) = fs::read(path) else { return };
    // Always written whole, so it can be read whenever it is there.
    let mut value =
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Kind, mode and content.
type Seen = (char, u32, Vec<u8>);

fn seen(path: &Path) -> Seen {
    let it = fs::symlink_metadata(path).unwrap();
    if it.is_symlink() {
        return ('l', 0, fs::read_link(path).unwrap().to_string_lossy().into_owned().into_bytes());
    }
    let mode = it.permissions().mode() & 0o7777;
    if it.is_dir() { ('d', mode, Vec::new()) } else { ('f', mode, fs::read(path).unwrap()) }
}

fn packed(entry: &Entry, version: &str) -> (String, Seen) {
    let seen = match entry.kind {
        b'5' => ('d', entry.mode, Vec::new()),
        b'2' => ('l', 0, entry.link.clone().into_bytes()),
        // A second name of what `content` holds: it comes out as a copy.
        b'1' => ('f', 0o644, version.into()),
        _ => ('f', entry.mode, entry.content.clone()),
    };
    (entry.path.clone(), seen)
}
