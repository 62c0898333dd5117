//! What runs inside a staging child, in order: know the digest, fetch, verify, confine, unpack, sync. Nothing is unpacked
//! before it is verified, and what is unpacked is the descriptor that was verified.

mod config_file;
mod fetch;
mod sandbox;
mod signature;
mod unpack;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ops_wire::{DesiredAgent, ErrorCode, HexDigest, StepDone, Version};
use serde::{Deserialize, Serialize};

use crate::child;
use crate::error::Fault;
use crate::fs_layout::remove_all;
use crate::http;
use crate::plan::{Class, Failure, Record};
use crate::wake;

pub use sandbox::confine_who_moves;
pub use signature::is_key;

/// The name of this child.
pub const KIND: &str = "stage";
/// Inodes that a package may need when nobody says how many it has.
const INODES_MIN: u64 = 256;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    pub http: http::Settings,
    /// A download slower than this over half a minute is given up.
    pub bytes_per_sec_min: u64,
    pub tarball_bytes_max: u64,
    pub unpacked_bytes_max: u64,
    pub unpacked_entries_max: u64,
    /// Bytes that have to stay free.
    pub disk_reserve_bytes: u64,
    /// Minisign keys; when there are any, a package needs the signature of one of them.
    pub public_keys: Vec<String>,
}

/// What a child is to stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub desired: DesiredAgent,
    pub version: Version,
    /// The folder to work in; the result is its entry `unpacked`.
    pub folder: PathBuf,
    /// What a folder of this version is made from that is here already.
    pub kept: Option<Record>,
    /// Whom the content of the folder is given to, by name and number, if not to the updater.
    pub run_user: String,
    pub owner: Option<(u32, u32)>,
    /// Packages that are known to be wrong and are not fetched again.
    pub refused: Vec<Failure>,
    pub download_timeout: Duration,
    /// Waited for before the download.
    pub download_delay: Duration,
    pub settings: Settings,
}

/// What a child says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Of the download.
    Percent(u8),
    Unpacking,
    Step(StepDone),
    /// The kernel does not confine the child as it should; the sentence says what is missing.
    NotConfined(String),
    /// The package lies in `unpacked`.
    Staged(Option<HexDigest>),
    /// The folder that is here already is the package.
    Kept(Option<HexDigest>),
    Failed(Fault),
}

/// The child's whole life.
pub fn run() -> Result<(), Fault> {
    let job: Job = child::take_job()?;
    http::resolve_without_foreign_modules();
    child::say(&job.stage().unwrap_or_else(|fault| {
        job.clean_up(&fault);
        Message::Failed(fault)
    }));
    Ok(())
}

type Fetched = (fetch::Package, Option<config_file::ConfigFile>);

impl Job {
    fn stage(&self) -> Result<Message, Fault> {
        sandbox::bound(&self.settings)?;
        let (expected, fetched) = step("fetch", || self.fetch())?;
        let Some((mut package, config)) = fetched else { return Ok(Message::Kept(Some(expected))) };
        let record = step("verify", || package.verify(self, &expected))?;
        child::say(&Message::Unpacking);
        if let Some(missing) = sandbox::confine(&self.folder)? {
            child::say(&Message::NotConfined(missing));
        }
        step("unpack", || {
            unpack::unpack(self, package.into_file(), &record, config.as_ref())?;
            // Before the sync, which would bring the tarball to the disk for nothing.
            fetch::forget(self)?;
            unpack::sync(&self.unpacked())
        })?;
        Ok(Message::Staged(Some(expected)))
    }

    /// The digest that is promised, and what has to be fetched unless it is here already: the large package last.
    fn fetch(&self) -> Result<(HexDigest, Option<Fetched>), Fault> {
        let expected = fetch::expected(self)?;
        self.refuse_known(&expected)?;
        let usable = self.kept.as_ref().filter(|it| it.is_trusted(&self.settings.public_keys));
        let usable = usable.filter(|it| it.run_user == self.run_user);
        if usable.and_then(|record| record.agrees(&expected)) == Some(true) {
            return Ok((expected, None));
        }
        remove_all(&self.unpacked())?;
        let config = config_file::fetch(self)?;
        let signatures = signature::find(self)?;
        wake::pause(wake::now().boot + self.download_delay, &[]);
        let package = fetch::fetch(self, &expected)?.with_signatures(signatures);
        Ok((expected, Some((package, config))))
    }

    fn refuse_known(&self, expected: &HexDigest) -> Result<(), Fault> {
        match self.refused.iter().find(|it| it.digest.as_ref() == Some(expected)) {
            None => Ok(()),
            Some(known) => Err(Fault::new(known.code, known.error.clone()).with_digest(Some(expected))),
        }
    }

    /// Only a download that a later try can go on with is kept. The parent puts aside what was unpacked: a child that is
    /// killed could not, and a confined one cannot everywhere.
    fn clean_up(&self, fault: &Fault) {
        if Class::of(fault.code) != Class::Network {
            let _ = fetch::forget(self);
        }
    }

    fn unpacked(&self) -> PathBuf {
        self.folder.join("unpacked")
    }

    /// Whether `bytes` more leave the reserve untouched.
    fn make_sure_of_room(&self, bytes: u64) -> Result<(), Fault> {
        let room = room(&self.folder)?;
        let needed = bytes.saturating_add(self.settings.disk_reserve_bytes);
        if room.bytes < needed {
            let sentence = format!(
                "`{}` has {} bytes free, {needed} are needed ({} of them stay free: `diskReserveBytes`)",
                self.folder.display(),
                room.bytes,
                self.settings.disk_reserve_bytes
            );
            return Err(Fault::new(ErrorCode::NoSpace, sentence));
        }
        if room.inodes.is_some_and(|free| free < INODES_MIN) {
            let sentence = format!("`{}` has fewer than {INODES_MIN} inodes free", self.folder.display());
            return Err(Fault::new(ErrorCode::NoSpace, sentence));
        }
        Ok(())
    }
}

struct Room {
    bytes: u64,
    /// `None`: this file system makes them as needed.
    inodes: Option<u64>,
}

fn room(folder: &Path) -> Result<Room, Fault> {
    let it = nix::sys::statvfs::statvfs(folder)
        .map_err(|error| Fault::io("look for room in", folder, &error.into()))?;
    let inodes = (it.files() > 0).then(|| it.files_available());
    Ok(Room { bytes: it.blocks_available().saturating_mul(it.fragment_size()), inodes })
}

/// Does one step and tells the parent how it went.
fn step<T>(name: &str, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let begun = Instant::now();
    let result = work();
    let code = result.as_ref().err().map(|fault| fault.code.to_string()).unwrap_or_default();
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs() as i64);
    let ms = begun.elapsed().as_millis() as u64;
    child::say(&Message::Step(StepDone { step: name.to_owned(), at, ms, code }));
    result
}
