//! A folder that is to become a package: looked at whole, and checked, before anything is written.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use ops_package::{
    EntryPath, Limits, MANIFEST, MANIFEST_BYTES_MAX, Manifest, ManifestError, Mode, Outline, Packed, Packer,
    Refusal,
};

use super::shown;

/// Problems of one folder that are told.
const PROBLEMS_MAX: usize = 20;

pub struct Contents {
    folder: PathBuf,
    items: Vec<Item>,
    pub manifest: Option<Manifest>,
    pub unpacked_bytes: u64,
}

enum Item {
    Folder(EntryPath),
    File(EntryPath, u64, Mode),
    Symlink(EntryPath, String),
}

impl Contents {
    /// What lies in `folder`, in the order of the paths' bytes; or all that is wrong with it.
    pub fn look(folder: &Path) -> Result<Self, Vec<String>> {
        let found = find(folder).map_err(|why| vec![why])?;
        let limits = Limits::default();
        let mut looking = Looking { outline: Outline::new(&limits), items: Vec::new(), problems: Vec::new() };
        looking.take_all(folder, &found);
        let manifest = match found.iter().find(|(path, _)| path == MANIFEST.as_bytes()) {
            Some((_, about)) => read_manifest(folder, about).map_err(|why| looking.problem(why)).ok(),
            None => None,
        };
        let Looking { outline, items, mut problems } = looking;
        // Of a folder that was not taken whole this would be no news.
        if problems.is_empty() {
            problems.extend(outline.finish().err().map(|refusal| with_advice(folder, &refusal)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let bytes = |item: &Item| if let Item::File(_, bytes, _) = item { *bytes } else { 0 };
        let unpacked_bytes = items.iter().map(bytes).sum();
        Ok(Self { folder: folder.to_owned(), items, manifest, unpacked_bytes })
    }

    pub fn entries(&self) -> usize {
        self.items.len()
    }

    /// Writes the package. A sentence tells what failed.
    pub fn pack<W: Write>(&self, to: W, mtime: u64) -> Result<(W, Packed), String> {
        let mut packer = Packer::new(to, mtime);
        for item in &self.items {
            let (path, packed) = match item {
                Item::Folder(path) => (path, packer.folder(path)),
                Item::Symlink(path, target) => (path, packer.symlink(path, target)),
                Item::File(path, bytes, mode) => (path, self.pack_file(&mut packer, path, *bytes, *mode)),
            };
            packed.map_err(|error| format!("failed to pack `{path}`: {error}"))?;
        }
        packer.finish().map_err(|error| format!("failed to write the package: {error}"))
    }

    fn pack_file<W: Write>(
        &self,
        packer: &mut Packer<W>,
        path: &EntryPath,
        bytes: u64,
        mode: Mode,
    ) -> io::Result<()> {
        let mut file = open(&self.folder.join(path.as_path()))?;
        packer.file(path, bytes, mode, &mut file)
    }
}

/// Neither follows a link nor waits for the other end of a pipe, whatever has come in the place of the file since.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    File::options().read(true).custom_flags(flags.bits()).open(path)
}

/// Everything below a folder, by path. More than a package may hold is not looked for.
fn find(root: &Path) -> Result<Vec<(Vec<u8>, Metadata)>, String> {
    let entries_max = usize::try_from(Limits::default().entries_max).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let failed = |error| match folder.as_os_str().is_empty() {
            true => format!("failed to read the folder: {error}"),
            false => format!("failed to read the folder `{}`: {error}", shown(&folder)),
        };
        for entry in root.join(&folder).read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = folder.join(entry.file_name());
            let about = entry.metadata().map_err(failed)?;
            if about.is_dir() {
                folders.push(path.clone());
            }
            found.push((path.as_os_str().as_bytes().to_owned(), about));
            // One more, for the refusal.
            if found.len() > entries_max {
                folders.clear();
                break;
            }
        }
    }
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

struct Looking<'a> {
    outline: Outline<'a>,
    items: Vec<Item>,
    problems: Vec<String>,
}

impl Looking<'_> {
    fn take_all(&mut self, folder: &Path, found: &[(Vec<u8>, Metadata)]) {
        let mut refused: Option<&[u8]> = None;
        for (path, about) in found {
            // What lies in a refused folder is refused for the same reason.
            let below = |folder: &[u8]| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"));
            if refused.is_some_and(below) {
                continue;
            }
            match self.take(folder, path, about) {
                Ok(item) => self.items.push(item),
                Err(why) => {
                    self.problem(why);
                    refused = Some(path);
                }
            }
            if self.problems.len() > PROBLEMS_MAX {
                self.problems.truncate(PROBLEMS_MAX);
                self.problems.push("there may be more".to_owned());
                return;
            }
        }
    }

    fn take(&mut self, folder: &Path, path: &[u8], about: &Metadata) -> Result<Item, String> {
        let words = |refusal: Refusal| refusal.to_string();
        let kind = about.file_type();
        if kind.is_dir() {
            self.outline.folder(path).map(Item::Folder).map_err(words)
        } else if kind.is_file() {
            let (bytes, mode) = (about.len(), Mode::of(about.mode()));
            let taken = self.outline.file(path, bytes, mode).map_err(words)?;
            Ok(Item::File(taken, bytes, mode))
        } else if kind.is_symlink() {
            let at = folder.join(Path::new(std::ffi::OsStr::from_bytes(path)));
            let target = fs::read_link(&at)
                .map_err(|error| format!("failed to read the link `{}`: {error}", shown(&at)))?;
            let taken = self.outline.symlink(path, target.as_os_str().as_bytes()).map_err(words)?;
            Ok(Item::Symlink(taken.0, taken.1))
        } else {
            let what = match () {
                () if kind.is_fifo() => "a fifo",
                () if kind.is_socket() => "a socket",
                () => "a device",
            };
            let path = shown(Path::new(std::ffi::OsStr::from_bytes(path)));
            Err(format!(
                "`{path}` is refused: it is {what}, and a package holds files, folders and symlinks; remove it"
            ))
        }
    }

    /// The same sentence again says nothing.
    fn problem(&mut self, why: String) {
        if self.problems.last() != Some(&why) {
            self.problems.push(why);
        }
    }
}

/// What is wrong with `control` is what most beginners meet.
fn with_advice(folder: &Path, refusal: &Refusal) -> String {
    match refusal {
        Refusal::ControlNotExecutable => {
            format!("{refusal}; say `chmod +x {}`", shown(&folder.join("control")))
        }
        Refusal::NoControl => {
            format!(
                "{refusal}: the script that starts and stops the agent; `ops-meta package new` writes one"
            )
        }
        Refusal::TopFolder { folder: inner } => {
            format!("{refusal}; pack `{}`", shown(&folder.join(inner)))
        }
        _ => refusal.to_string(),
    }
}

fn read_manifest(folder: &Path, about: &Metadata) -> Result<Manifest, String> {
    if !about.is_file() {
        return Err(ManifestError::NoFile.to_string());
    }
    let mut bytes = Vec::new();
    open(&folder.join(MANIFEST))
        .and_then(|file| file.take(MANIFEST_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("failed to read `{MANIFEST}`: {error}"))?;
    Manifest::read(&bytes).map_err(|why| why.to_string())
}
