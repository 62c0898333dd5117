//! Every path below BASE, and the only code that renames. What must not be half there is written beside its place,
//! synced, renamed, and the folder above is synced.

mod remove;

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg, OFlag, RenameFlags};
use ops_wire::{AgentName, ErrorCode, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Fault;
use crate::plan::{Past, Record};

pub use remove::remove_all;

/// Files in BASE that are the updater's own, and therefore no agents.
const RESERVED: &[&str] = &["ops-updater", "cfg.json", "cfg.example.json", "control"];
/// And whatever is written beside them.
const RESERVED_BEGINNINGS: &[&str] = &["ops-updater.", "cfg.json."];
/// The largest file of our own that is read back.
const OWN_FILE_BYTES_MAX: u64 = 4 << 20;
/// An agent's own output is cut above this.
const OUT_BYTES_MAX: u64 = 1 << 20;
/// The updater's log is moved aside above this.
const LOG_BYTES_MAX: u64 = 10 << 20;

/// A partial download that nobody went on with is kept this long.
const PARTIAL_KEPT: Duration = Duration::from_secs(86_400);

/// What the names of things to be deleted begin with; no agent can have such a name.
const DISCARDED: &str = ".discarded-";

/// Held as long as this process works on a BASE.
pub type Lock = Flock<File>;

/// The folder that the agents live in. Its path has no symlinks and is absolute, so that paths below it can be
/// compared with what the kernel says.
#[derive(Debug, Clone)]
pub struct Layout {
    base: PathBuf,
}

impl Layout {
    /// `base` has to be there.
    pub fn open(base: &Path) -> Result<Self, Fault> {
        let real = fs::canonicalize(base).map_err(|error| Fault::io("open the base folder", base, &error))?;
        match fs::metadata(&real) {
            Ok(it) if it.is_dir() => Ok(Self { base: real }),
            Ok(_) => Err(Fault::new(ErrorCode::Io, format!("`{}` is no folder", real.display()))),
            Err(error) => Err(Fault::io("look at", &real, &error)),
        }
    }

    pub fn base(&self) -> &Path {
        &self.base
    }

    pub fn own(&self) -> PathBuf {
        self.base.join(".ops-updater")
    }

    pub fn pid_file(&self) -> PathBuf {
        self.base.join("ops-updater.pid")
    }

    pub fn memory(&self) -> PathBuf {
        self.own().join("memory.json")
    }

    /// There while ops-meta is not heard.
    pub fn unheard(&self) -> PathBuf {
        self.own().join("unheard.json")
    }

    pub fn metrics(&self) -> PathBuf {
        self.own().join("metrics.prom")
    }

    pub fn staging(&self) -> PathBuf {
        self.own().join("staging")
    }

    pub fn agent(&self, name: &AgentName) -> PathBuf {
        self.base.join(name.as_str())
    }

    pub fn version_folder(&self, name: &AgentName, version: &Version) -> PathBuf {
        self.agent(name).join(version.as_str())
    }

    pub fn control(&self, name: &AgentName, version: &Version) -> PathBuf {
        self.version_folder(name, version).join("control")
    }

    fn version_file(&self, name: &AgentName) -> PathBuf {
        self.agent(name).join(".version")
    }

    fn prepared(&self, name: &AgentName) -> PathBuf {
        self.agent(name).join(".version.new")
    }

    /// What `.version` was before an upgrade that is under way.
    fn kept(&self, name: &AgentName) -> PathBuf {
        self.agent(name).join(".version.old")
    }

    fn hold_file(&self, name: &AgentName) -> PathBuf {
        self.agent(name).join(".hold")
    }

    /// The folder in which `name`'s next package is made.
    pub fn agent_staging(&self, name: &AgentName) -> PathBuf {
        self.staging().join(name.as_str())
    }

    pub fn is_reserved(name: &AgentName) -> bool {
        let name = name.as_str();
        RESERVED.contains(&name) || RESERVED_BEGINNINGS.iter().any(|it| name.starts_with(it))
    }

    /// Makes the updater's own folders.
    pub fn make_own(&self) -> Result<(), Fault> {
        for folder in [self.own(), self.staging(), self.own().join("out")] {
            make_folder(&folder, 0o700)?;
        }
        Ok(())
    }

    /// An account that may not look would see an empty host where there is none.
    pub fn make_sure_it_can_be_read(&self) -> Result<(), Fault> {
        match fs::read_dir(self.own()) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Fault::new(
                ErrorCode::Io,
                format!(
                    "`{}` cannot be read by this account: use the one that the updater runs as",
                    self.own().display()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// One updater to a BASE: the lock ends with the process that holds it.
    pub fn lock(&self) -> Result<Lock, Fault> {
        let path = self.own().join("lock");
        let file = open_own(&path, OpenOptions::new().read(true).write(true).create(true))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, cause)| match cause {
            nix::Error::EWOULDBLOCK => Fault::new(
                ErrorCode::Io,
                format!("another ops-updater works on `{}`{}", self.base.display(), self.whom_to_end()),
            ),
            other => Fault::io("lock", &path, &other.into()),
        })
    }

    fn whom_to_end(&self) -> String {
        let pid = read_bounded(&self.pid_file()).ok().flatten().unwrap_or_default();
        match String::from_utf8_lossy(&pid).trim() {
            "" => String::new(),
            pid => format!(", its process id is {pid}: end it first, by `./control stop` for example"),
        }
    }

    pub fn write_pid(&self) -> Result<(), Fault> {
        self.write_atomically(&self.pid_file(), format!("{}\n", std::process::id()).as_bytes(), 0o644)
    }

    pub fn remove_pid(&self) {
        let _ = fs::remove_file(self.pid_file());
    }

    /// The agents that are here: folders with a checked name that hold a `.version`, a version folder, or a hold of what is
    /// not installed yet.
    pub fn agents(&self) -> Result<Vec<AgentName>, Fault> {
        let mut agents: Vec<AgentName> =
            self.folder_names(&self.base)?.into_iter().filter(|name| !Self::is_reserved(name)).collect();
        agents.retain(|name| self.is_agent(name) || self.hold_file(name).symlink_metadata().is_ok());
        agents.sort();
        Ok(agents)
    }

    fn is_agent(&self, name: &AgentName) -> bool {
        self.version_file(name).symlink_metadata().is_ok()
            || self.versions(name).iter().any(|it| self.is_complete(name, it))
    }

    /// Something of an agent is here: not just a folder that somebody else made.
    pub fn has_agent(&self, name: &AgentName) -> bool {
        let own = [self.failed_file(name), self.intent_file(name)];
        self.exists(name) && (self.is_agent(name) || own.iter().any(|it| it.symlink_metadata().is_ok()))
    }

    /// The folder of this version holds a control script that is no link and can be run.
    pub fn is_complete(&self, name: &AgentName, version: &Version) -> bool {
        let folder = self.version_folder(name, version).symlink_metadata();
        let script = self.control(name, version).symlink_metadata();
        folder.is_ok_and(|it| it.is_dir()) && script.is_ok_and(|it| it.is_file() && it.mode() & 0o111 != 0)
    }

    /// The folder of an agent is there.
    pub fn exists(&self, name: &AgentName) -> bool {
        self.agent(name).symlink_metadata().is_ok_and(|it| it.is_dir())
    }

    pub fn make_agent(&self, name: &AgentName) -> Result<(), Fault> {
        make_folder(&self.agent(name), 0o755)
    }

    /// The version folders of an agent.
    pub fn versions(&self, name: &AgentName) -> Vec<Version> {
        self.folder_names(&self.agent(name)).unwrap_or_default()
    }

    fn folder_names<T: std::str::FromStr>(&self, folder: &Path) -> Result<Vec<T>, Fault> {
        let entries = fs::read_dir(folder).map_err(|error| Fault::io("list", folder, &error))?;
        let folders = entries.flatten().filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(folders.filter_map(|it| it.file_name().to_str().and_then(|name| name.parse().ok())).collect())
    }

    /// The version in use. A damaged file is a fault, not "none": nothing is installed over it.
    pub fn version(&self, name: &AgentName) -> Result<Option<Version>, Fault> {
        let path = self.version_file(name);
        let Some(bytes) = read_bounded(&path)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|why| {
                let sentence = format!("`{}` does not name a version: {why}", path.display());
                Fault::new(ErrorCode::BadName, sentence)
            }),
        }
    }

    /// Writes and syncs what `.version` is going to be, so that a full disk is met before the start, and keeps the one that
    /// names `from`, so that a take-back needs no room at all.
    pub fn prepare_version(
        &self,
        name: &AgentName,
        from: Option<&Version>,
        to: &Version,
    ) -> Result<(), Fault> {
        make_folder(&self.agent(name), 0o755)?;
        self.write_synced(&self.prepared(name), to.as_str().as_bytes(), 0o644)?;
        let kept = self.kept(name);
        if !from.is_some_and(|it| names(&kept, it)) {
            // Where there are no hard links a take-back writes it anew.
            let _ = remove_if_there(&kept).map(|()| fs::hard_link(self.version_file(name), &kept));
        }
        Ok(())
    }

    /// The prepared `.version` takes its place. One that names `version` already stays. When only the sync fails it is undone;
    /// where even that cannot be, `.version` names what runs, and the fault is all there is to tell.
    pub fn flip(&self, name: &AgentName, version: &Version) -> Result<Option<Fault>, Fault> {
        let before = self.version(name)?;
        if before.as_ref() == Some(version) {
            return remove_if_there(&self.prepared(name)).map(|()| None);
        }
        let (kept, file) = (self.kept(name), self.version_file(name));
        rename_unsynced(&self.prepared(name), &file)?;
        let Err(fault) = sync_folder(&self.agent(name)) else { return Ok(None) };
        let undone = match &before {
            Some(before) => names(&kept, before) && rename_unsynced(&kept, &file).is_ok(),
            None => fs::remove_file(&file).is_ok(),
        };
        if undone { Err(fault) } else { Ok(Some(fault)) }
    }

    /// `.version` names `version` again, or nothing at all.
    pub fn restore_version(&self, name: &AgentName, version: Option<&Version>) -> Result<(), Fault> {
        // Left behind it does no harm: the next upgrade writes it anew.
        let _ = remove_if_there(&self.prepared(name));
        let (kept, file) = (self.kept(name), self.version_file(name));
        match version {
            Some(version) if self.version(name)?.as_ref() == Some(version) => Ok(()),
            Some(version) if names(&kept, version) && rename(&kept, &file).is_ok() => Ok(()),
            Some(version) => self.write_atomically(&file, version.as_str().as_bytes(), 0o644),
            None => remove_if_there(&file),
        }
    }

    /// An upgrade is over, well or not: nothing tells of it any more.
    pub fn settle(&self, name: &AgentName) -> Result<(), Fault> {
        // In this order: whoever is interrupted between them comes by here again.
        let removed = remove_if_there(&self.kept(name));
        remove_if_there(&self.intent_file(name)).and(removed)
    }

    /// What a version's folder was made from, when an updater recorded it.
    pub fn record(&self, name: &AgentName, version: &Version) -> Option<Record> {
        read_json(&self.version_folder(name, version).join(".ops-updater")).ok().flatten()
    }

    /// Gives what was staged its name. A folder of that name is thrown away in the same moment; the caller knows that it
    /// is neither in use nor the same.
    pub fn publish(&self, name: &AgentName, version: &Version) -> Result<(), Fault> {
        let (staged, folder) =
            (self.agent_staging(name).join("unpacked"), self.version_folder(name, version));
        make_folder(&self.agent(name), 0o755)?;
        self.put_in_place(&staged, &folder)?;
        self.discard(&staged)?;
        remove_all(&self.agent_staging(name))
    }

    /// At every moment the one or the other bears the name `to`; what bore it before is `staged` afterwards.
    fn put_in_place(&self, staged: &Path, to: &Path) -> Result<(), Fault> {
        if to.symlink_metadata().is_err() {
            return rename_without_replacing(staged, to);
        }
        match rename_with(staged, to, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => [to, staged].into_iter().filter_map(Path::parent).try_for_each(sync_folder),
            // A file system that cannot.
            Err(nix::Error::EINVAL | nix::Error::ENOSYS) => {
                self.discard(to)?;
                rename_without_replacing(staged, to)
            }
            Err(error) => Err(Fault::io(&format!("exchange `{}` with", staged.display()), to, &error.into())),
        }
    }

    /// What a child unpacked in vain goes.
    pub fn discard_unpacked(&self, name: &AgentName) -> Result<(), Fault> {
        self.discard(&self.agent_staging(name).join("unpacked"))
    }

    /// Out of sight at once, if it is there: nobody ever sees half a folder under a version's name. A child deletes it.
    fn discard(&self, path: &Path) -> Result<(), Fault> {
        match path.symlink_metadata() {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            it => it.map_err(|error| Fault::io("look at", path, &error))?,
        };
        let mut names = (0_u64..).map(|number| self.staging().join(format!("{DISCARDED}{number}")));
        names.find(|it| it.symlink_metadata().is_err()).map_or(Ok(()), |aside| rename(path, &aside))
    }

    /// Something waits to be deleted.
    pub fn has_discarded(&self) -> bool {
        !discarded(&self.staging()).is_empty()
    }

    /// Takes an agent off this host.
    pub fn remove_agent(&self, name: &AgentName) -> Result<(), Fault> {
        if self.exists(name) {
            self.discard(&self.agent(name))?;
        }
        self.discard(&self.agent_staging(name))?;
        remove_if_there(&self.out(name))
    }

    pub fn remove_version(&self, name: &AgentName, version: &Version) -> Result<(), Fault> {
        self.discard(&self.version_folder(name, version))
    }

    /// When a version's folder was made, for garbage collection; the older the smaller.
    pub fn age_key(&self, name: &AgentName, version: &Version) -> i64 {
        let folder = self.version_folder(name, version);
        let record =
            fs::symlink_metadata(folder.join(".ops-updater")).or_else(|_| fs::symlink_metadata(&folder));
        record.map_or(0, |it| it.mtime())
    }

    /// Puts aside what earlier children left. Partial downloads stay for a day: they are resumed. What cannot be moved is
    /// told, and hinders nothing else.
    pub fn clear_staging(&self) -> Vec<Fault> {
        let staging = self.staging();
        let entries = match fs::read_dir(&staging) {
            Ok(entries) => entries,
            Err(error) => return vec![Fault::io("list", &staging, &error)],
        };
        let clear = |entry: fs::DirEntry| {
            let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|it| it.elapsed().ok());
            if age.is_some_and(|age| age > PARTIAL_KEPT) {
                return self.discard(&entry.path());
            }
            let discarded = self.discard(&entry.path().join("unpacked"));
            // Only an empty one goes.
            let _ = fs::remove_dir(entry.path());
            discarded
        };
        let left = entries.flatten().filter(|it| !is_discarded(it));
        left.filter_map(|entry| clear(entry).err()).collect()
    }

    /// Why an agent is held, when it is.
    pub fn held(&self, name: &AgentName) -> Option<String> {
        match read_bounded(&self.hold_file(name)) {
            Ok(None) => None,
            Ok(Some(text)) => Some(crate::error::tail(&text, 500)),
            Err(_) => Some("`.hold` is there and cannot be read".to_owned()),
        }
    }

    pub fn hold(&self, name: &AgentName, why: &str) -> Result<(), Fault> {
        self.make_agent(name)?;
        self.write_atomically(&self.hold_file(name), why.as_bytes(), 0o644)
    }

    pub fn release(&self, name: &AgentName) -> Result<(), Fault> {
        remove_if_there(&self.hold_file(name))?;
        remove_if_there(&self.agent(name).join(".failed"))
    }

    pub fn intent_file(&self, name: &AgentName) -> PathBuf {
        self.agent(name).join(".upgrade")
    }

    pub fn failed_file(&self, name: &AgentName) -> PathBuf {
        self.agent(name).join(".failed")
    }

    /// Writes a file into an agent's folder, which may not be there yet: a first install can fail, too.
    pub fn write_agent_json(
        &self,
        name: &AgentName,
        path: &Path,
        value: &impl Serialize,
    ) -> Result<(), Fault> {
        make_folder(&self.agent(name), 0o755)?;
        let bytes = serde_json::to_vec(value).map_err(|error| Fault::io("print", path, &error.into()))?;
        self.write_atomically(path, &bytes, 0o600)
    }

    /// Writes only when the content differs: what did not change costs no write.
    pub fn write_if_changed(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        match read_bounded(path) {
            Ok(Some(before)) if before == bytes => Ok(()),
            _ => self.write_atomically(path, bytes, mode),
        }
    }

    /// The whole new content or the whole old one, whatever happens.
    fn write_atomically(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        self.write_synced(&temporary, bytes, mode)?;
        rename(&temporary, path)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        self.make_way(path)?;
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
        let opened =
            OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(flags).open(path);
        let written = opened.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        written.map_err(|error| {
            let _ = fs::remove_file(path);
            Fault::io("write", path, &error)
        })
    }

    /// Whatever bears the name of a file that is being written (`*.new`) would be in the way for ever. A folder may hold a
    /// whole tree: it is put aside.
    fn make_way(&self, path: &Path) -> Result<(), Fault> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => self.discard(path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::io("remove", path, &error)),
            _ => Ok(()),
        }
    }

    /// What failed with an agent; nothing of it, and there is no file.
    pub fn write_failed(&self, name: &AgentName, past: &Past) -> Result<(), Fault> {
        let path = self.failed_file(name);
        if past.failures.is_empty() {
            return remove_if_there(&path);
        }
        self.write_agent_json(name, &path, past)
    }

    /// Makes sure that there is some `.failed` for a release to remove: an empty one takes no room. Tells whether there is.
    pub fn mark_failed(&self, name: &AgentName) -> bool {
        let mut options = OpenOptions::new();
        open_own(&self.failed_file(name), options.write(true).create(true).truncate(false)).is_ok()
    }

    fn out(&self, name: &AgentName) -> PathBuf {
        self.own().join("out").join(format!("{name}.log"))
    }

    /// Where the output of an agent is, below the base folder.
    pub fn out_below_base(&self, name: &AgentName) -> PathBuf {
        let path = self.out(name);
        path.strip_prefix(&self.base).map(Path::to_owned).unwrap_or(path)
    }

    /// Where the output of an agent's `start` goes: never a pipe, since whoever inherits one keeps its reader waiting.
    pub fn open_out(&self, name: &AgentName) -> Result<File, Fault> {
        open_own(&self.out(name), OpenOptions::new().read(true).append(true).create(true))
    }

    /// For an output that cannot be kept.
    pub fn open_nowhere(&self) -> Result<File, Fault> {
        let path = Path::new("/dev/null");
        let file = OpenOptions::new().read(true).write(true).open(path);
        file.map_err(|error| Fault::io("open", path, &error))
    }

    /// Cuts an agent's output that grew too long. It is written with O_APPEND, so writers go on at the new end.
    pub fn bound_out(&self, name: &AgentName) {
        let path = self.out(name);
        if fs::symlink_metadata(&path).is_ok_and(|it| it.len() > OUT_BYTES_MAX)
            && let Ok(file) = open_own(&path, OpenOptions::new().write(true))
        {
            let _ = file.set_len(0);
        }
    }

    /// Moves the log aside when it is too long and is what standard error writes to; gives the new one.
    pub fn rotate_log(&self) -> Option<File> {
        let path = self.base.join("ops-updater.log");
        let (log, stderr) = (fs::symlink_metadata(&path).ok()?, fs::metadata("/proc/self/fd/2").ok()?);
        let ours = (log.dev(), log.ino()) == (stderr.dev(), stderr.ino());
        if !ours || log.len() <= LOG_BYTES_MAX {
            return None;
        }
        rename(&path, &self.base.join("ops-updater.log.1")).ok()?;
        open_own(&path, OpenOptions::new().append(true).create(true)).ok()
    }
}

/// Deletes what was put aside in the folder `staging`; tells what cannot be deleted. Only a child has the time.
pub fn remove_discarded(staging: &Path) -> Vec<Fault> {
    discarded(staging).iter().filter_map(|path| remove_all(path).err()).collect()
}

fn discarded(staging: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(staging).into_iter().flatten().flatten();
    entries.filter(is_discarded).map(|it| it.path()).collect()
}

fn is_discarded(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(DISCARDED.as_bytes())
}

fn make_folder(path: &Path, mode: u32) -> Result<(), Fault> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::symlink_metadata(path) {
            Ok(it) if it.is_dir() => Ok(()),
            _ => {
                Err(Fault::new(ErrorCode::Io, format!("`{}` has to be a folder and is none", path.display())))
            }
        },
        Err(error) => Err(Fault::io("make the folder", path, &error)),
    }
}

/// Opens a file of our own: never through a link, never inherited.
fn open_own(path: &Path, options: &mut OpenOptions) -> Result<File, Fault> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
    options.mode(0o600).custom_flags(flags).open(path).map_err(|error| Fault::io("open", path, &error))
}

fn names(path: &Path, version: &Version) -> bool {
    matches!(read_bounded(path), Ok(Some(bytes)) if bytes.trim_ascii() == version.as_str().as_bytes())
}

/// A small file, or `None` when it is not there. Never through a link, never waits for a fifo's writer.
pub fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Fault::io("open", path, &error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(OWN_FILE_BYTES_MAX).read_to_end(&mut bytes);
    read.map(|_| Some(bytes)).map_err(|error| Fault::io("read", path, &error))
}

pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Fault> {
    let Some(bytes) = read_bounded(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let sentence =
            format!("`{}` cannot be understood: {error}; it is as if it were not there", path.display());
        Fault::new(ErrorCode::Io, sentence)
    })
}

fn rename(from: &Path, to: &Path) -> Result<(), Fault> {
    rename_unsynced(from, to)?;
    to.parent().map_or(Ok(()), sync_folder)
}

fn rename_unsynced(from: &Path, to: &Path) -> Result<(), Fault> {
    just_rename(from, to).map_err(|error| Fault::io(&format!("rename `{}` to", from.display()), to, &error))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that renames")]
fn just_rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// In open folders, whatever their paths lead to by now.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames")]
fn rename_at(from: &OwnedFd, name: &CStr, to: &OwnedFd, other: &CStr) -> nix::Result<()> {
    nix::fcntl::renameat(from, name, to, other)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that renames")]
fn rename_with(from: &Path, to: &Path, flags: RenameFlags) -> nix::Result<()> {
    nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, from, nix::fcntl::AT_FDCWD, to, flags)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that renames")]
fn rename_without_replacing(from: &Path, to: &Path) -> Result<(), Fault> {
    let renamed = match rename_with(from, to, RenameFlags::RENAME_NOREPLACE) {
        // A file system without the flag: the name was looked at before, and a folder replaces an empty folder only.
        Err(nix::Error::EINVAL | nix::Error::ENOSYS) => fs::rename(from, to),
        other => other.map_err(io::Error::from),
    };
    renamed.map_err(|error| Fault::io(&format!("rename `{}` to", from.display()), to, &error))?;
    to.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(path: &Path) -> Result<(), Fault> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Fault::io("sync", path, &error))
}

pub fn remove_if_there(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::io("remove", path, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
