//! Writes what the walk tells into a new empty folder, and syncs it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use ops_package::{EntryPath, Limits, Sink, WalkError};
use ops_wire::ErrorCode;

use super::Job;
use super::config_file::ConfigFile;
use crate::error::Fault;
use crate::fs_layout::remove_if_there;
use crate::plan::Record;

/// Room is looked at again whenever this much is about to be written.
const UNCHECKED_BYTES_MAX: u64 = 1 << 20;

/// Unpacks the verified file, and records what it is.
pub(super) fn unpack(
    job: &Job,
    mut file: File,
    record: &Record,
    config: Option<&ConfigFile>,
) -> Result<(), Fault> {
    let folder = job.unpacked();
    file.rewind().map_err(|error| Fault::io("rewind", &folder, &error))?;
    fs::DirBuilder::new()
        .mode(0o755)
        .create(&folder)
        .map_err(|error| Fault::io("make the folder", &folder, &error))?;
    let limits = Limits {
        unpacked_bytes_max: job.settings.unpacked_bytes_max,
        entries_max: job.settings.unpacked_entries_max,
        ..Limits::default()
    };
    let mut writer = Writer { job, folder: &folder, unchecked: UNCHECKED_BYTES_MAX };
    ops_package::walk(file, &limits, &mut writer).map_err(|error| match error {
        WalkError::Refused(refusal) => {
            let code = ErrorCode::parse(refusal.code()).unwrap_or(ErrorCode::ArchiveInvalid);
            Fault::new(code, format!("the archive of version {} is refused: {refusal}", job.version))
        }
        WalkError::Sink(fault) => fault,
        WalkError::Read(error) => Fault::io("read the download in", &job.folder, &error),
    })?;
    if let Some(config) = config {
        write_config(job, &folder, config)?;
    }
    write_record(&folder, record)
}

/// In the place of one that the package brought along.
fn write_config(job: &Job, folder: &Path, config: &ConfigFile) -> Result<(), Fault> {
    let path = folder.join(&config.name);
    if path.symlink_metadata().is_ok_and(|it| it.is_dir()) {
        let sentence = format!(
            "{} cannot be the name of the configuration file: the package of version {} has a folder of that name; change `configFileName` and release it, or order another version",
            config.name, job.version
        );
        return Err(Fault::new(ErrorCode::BadName, sentence));
    }
    remove_if_there(&path)?;
    let written = create(&path, 0o640, job.owner).and_then(|mut file| file.write_all(&config.content));
    written.map_err(|error| Fault::io("write", &path, &error))
}

/// The updater's own, whoever the rest belongs to: what it says is believed later.
fn write_record(folder: &Path, record: &Record) -> Result<(), Fault> {
    let path = folder.join(".ops-updater");
    let written = serde_json::to_vec(record)
        .map_err(io::Error::from)
        .and_then(|bytes| create(&path, 0o644, None)?.write_all(&bytes));
    written.map_err(|error| Fault::io("write", &path, &error))
}

/// Makes all of it durable by one `syncfs`. A failed one is final: the pages are marked clean, and a second try would lie.
pub(super) fn sync(folder: &Path) -> Result<(), Fault> {
    let synced = File::open(folder).and_then(|it| nix::unistd::syncfs(it).map_err(io::Error::from));
    synced.map_err(|error| Fault::io("sync", folder, &error))
}

fn create(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(flags).open(path)?;
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
    }
    Ok(file)
}

struct Writer<'a> {
    job: &'a Job,
    folder: &'a Path,
    /// Bytes written since room was looked at.
    unchecked: u64,
}

impl Writer<'_> {
    fn make_sure_of_room(&mut self, size: u64) -> Result<(), Fault> {
        self.unchecked = self.unchecked.saturating_add(size);
        if self.unchecked >= UNCHECKED_BYTES_MAX {
            self.job.make_sure_of_room(size)?;
            self.unchecked = 0;
        }
        Ok(())
    }

    /// Never through a link.
    fn give_away(&self, path: &Path) -> io::Result<()> {
        let Some((uid, gid)) = self.job.owner else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))
    }

    fn at(&self, path: &EntryPath) -> PathBuf {
        self.folder.join(path.as_path())
    }
}

impl Sink for Writer<'_> {
    type Error = Fault;

    fn folder(&mut self, path: &EntryPath, mode: u32) -> Result<(), Fault> {
        let path = self.at(path);
        fs::DirBuilder::new()
            .mode(mode)
            .create(&path)
            .and_then(|()| self.give_away(&path))
            .map_err(|error| Fault::io("make the folder", &path, &error))
    }

    fn folder_mode(&mut self, path: &EntryPath, mode: u32) -> Result<(), Fault> {
        let path = self.at(path);
        let set = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        set.map_err(|error| Fault::io("set the mode of", &path, &error))
    }

    fn file(
        &mut self,
        path: &EntryPath,
        mode: u32,
        size: u64,
        content: &mut dyn BufRead,
    ) -> Result<(), Fault> {
        self.make_sure_of_room(size)?;
        let path = self.at(path);
        let written = create(&path, mode, self.job.owner).and_then(|file| copy(content, file));
        written.map_err(|error| Fault::io("write", &path, &error))
    }

    fn symlink(&mut self, path: &EntryPath, target: &str) -> Result<(), Fault> {
        let path = self.at(path);
        let made = std::os::unix::fs::symlink(target, &path).and_then(|()| self.give_away(&path));
        made.map_err(|error| Fault::io("make the link", &path, &error))
    }

    /// A copy: Landlock of older kernels refuses links across folders.
    fn hard_link(&mut self, path: &EntryPath, existing: &EntryPath) -> Result<(), Fault> {
        let (path, existing) = (self.at(path), self.at(existing));
        let copied = File::open(&existing).and_then(|mut from| {
            let mode = from.metadata()?.permissions().mode() & 0o777;
            io::copy(&mut from, &mut create(&path, mode, self.job.owner)?)
        });
        copied.map(drop).map_err(|error| Fault::io("write", &path, &error))
    }
}

/// From the reader's own buffer: no second one is needed.
fn copy(content: &mut dyn BufRead, mut file: File) -> io::Result<()> {
    loop {
        let chunk = content.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        file.write_all(chunk)?;
        let bytes = chunk.len();
        content.consume(bytes);
    }
}
