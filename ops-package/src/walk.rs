//! The walk: every member of an archive, checked and told.

use std::fmt;
use std::io::{self, Read};

use crate::content::Content;
use crate::gunzip::{Gunzipped, Stop, with_gunzip};
use crate::limits::Limits;
use crate::link::symlink_target;
use crate::members::{Member, Members};
use crate::path::{EntryPath, entry_path, folder_path};
use crate::refusal::{Refusal, shown};
use crate::sink::Sink;
use crate::tree::{FolderIs, Node, Tree};

/// Folders a package only implies.
const IMPLIED_MODE: u32 = 0o755;

/// What a walk went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Files, folders (implied ones too) and links: the inodes an unpacked package needs at most.
    pub entries: u64,
    /// Bytes of all files together, a hard link counted like the file it names.
    pub unpacked_bytes: u64,
    /// Bytes of the whole tar.
    pub tar_bytes: u64,
}

/// Why a walk ended early.
#[derive(Debug)]
pub enum WalkError<E> {
    /// The archive is not accepted. It never will be.
    Refused(Refusal),
    /// The sink failed.
    Sink(E),
    /// The tarball could not be read, or no thread could be had.
    Read(io::Error),
}

impl<E> From<Refusal> for WalkError<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E> From<Stop> for WalkError<E> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refusal) => Self::Refused(refusal),
            Stop::Read(error) => Self::Read(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for WalkError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Sink(error) => error.fmt(f),
            Self::Read(error) => write!(f, "failed to read the tarball: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for WalkError<E> {}

/// Walks through a `.tar.gz` and tells `sink` what is in it.
///
/// On success the tarball was read to its very end, every check was made, and `control` is there. Gunzip runs on a
/// thread of its own, which has ended when this returns. Memory: 2 MiB, and up to 80 bytes for each entry.
pub fn walk<S: Sink>(
    tarball: impl Read + Send,
    limits: &Limits,
    sink: &mut S,
) -> Result<Summary, WalkError<S::Error>> {
    with_gunzip(tarball, |tar| Walk::new(tar, limits, sink).run()).map_err(WalkError::Read)?
}

struct Walk<'a, S> {
    members: Members<'a>,
    tree: Tree<'a>,
    limits: &'a Limits,
    sink: &'a mut S,
    unpacked_bytes: u64,
}

impl<'a, S: Sink> Walk<'a, S> {
    fn new(tar: Gunzipped, limits: &'a Limits, sink: &'a mut S) -> Self {
        Self { members: Members::new(tar, limits), tree: Tree::new(limits), limits, sink, unpacked_bytes: 0 }
    }

    fn run(mut self) -> Result<Summary, WalkError<S::Error>> {
        while let Some(member) = self.members.next()? {
            self.member(&member)?;
        }
        let summary = Summary {
            entries: self.tree.entries(),
            unpacked_bytes: self.unpacked_bytes,
            tar_bytes: self.members.bytes_taken(),
        };
        self.tree.check_control()?;
        Ok(summary)
    }

    fn member(&mut self, member: &Member) -> Result<(), WalkError<S::Error>> {
        if member.sparse {
            return Err(Refusal::Sparse { path: shown(&member.name) }.into());
        }
        // A NUL for a regular file is from before POSIX.
        match member.kind {
            b'0' | 0 => self.file(member),
            b'1' => self.hard_link(member),
            b'2' => self.symlink(member),
            b'5' => self.folder(member),
            kind => Err(Refusal::Kind { path: shown(&member.name), kind }.into()),
        }
    }

    fn folder(&mut self, member: &Member) -> Result<(), WalkError<S::Error>> {
        without_content(member)?;
        let Some(path) = folder_path(&member.name, self.limits)? else {
            return Ok(self.tree.name_root()?);
        };
        self.folders_above(&path)?;
        let mode = member.mode & 0o755 | 0o700;
        match self.tree.folder(&path)? {
            FolderIs::New => self.sink.folder(&path, mode),
            FolderIs::Known => self.sink.folder_mode(&path, mode),
        }
        .map_err(WalkError::Sink)
    }

    /// Modes lose setuid, setgid and sticky, which nobody may bring along, and write for group and others, which
    /// would let them change what the host runs.
    fn file(&mut self, member: &Member) -> Result<(), WalkError<S::Error>> {
        let mode = member.mode & 0o755 | 0o600;
        let node = Node::File { bytes: member.size, executable: mode & 0o100 != 0 };
        self.count(member.size)?;
        let path = self.place(member, node)?;
        let mut content = Content::new(&mut self.members, member.size);
        let told = self.sink.file(&path, mode, member.size, &mut content);
        if let Some(stop) = content.stopped() {
            return Err(stop.into());
        }
        told.map_err(WalkError::Sink)?;
        Ok(content.drain()?)
    }

    fn symlink(&mut self, member: &Member) -> Result<(), WalkError<S::Error>> {
        without_content(member)?;
        let path = self.place(member, Node::Symlink)?;
        let target = symlink_target(&path, &member.link_name, self.limits)?;
        self.sink.symlink(&path, target).map_err(WalkError::Sink)
    }

    /// A link counts like the file it names: a sink may copy, and many links to one large file would fill a disk.
    fn hard_link(&mut self, member: &Member) -> Result<(), WalkError<S::Error>> {
        without_content(member)?;
        let existing = entry_path(&member.link_name, self.limits)?;
        let Some(node @ Node::File { bytes, .. }) = self.tree.get(&existing) else {
            let (path, target) = (shown(&member.name), existing.to_string());
            return Err(Refusal::HardLink { path, target }.into());
        };
        self.count(bytes)?;
        let path = self.place(member, node)?;
        self.sink.hard_link(&path, &existing).map_err(WalkError::Sink)
    }

    /// Makes room in the tree for something that is no folder.
    fn place(&mut self, member: &Member, node: Node) -> Result<EntryPath, WalkError<S::Error>> {
        let path = entry_path(&member.name, self.limits)?;
        self.folders_above(&path)?;
        self.tree.add(&path, node)?;
        Ok(path)
    }

    fn folders_above(&mut self, path: &EntryPath) -> Result<(), WalkError<S::Error>> {
        for folder in self.tree.imply_folders(path)? {
            self.sink.folder(&folder, IMPLIED_MODE).map_err(WalkError::Sink)?;
        }
        Ok(())
    }

    /// Refuses by the claimed size, before a byte of it is written.
    fn count(&mut self, size: u64) -> Result<(), Refusal> {
        let limit = self.limits.unpacked_bytes_max;
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(size);
        if self.unpacked_bytes > limit { Err(Refusal::UnpackedTooLarge { limit }) } else { Ok(()) }
    }
}

/// Tools differ about whether content follows an entry that is no file.
fn without_content(member: &Member) -> Result<(), Refusal> {
    match member.size {
        0 => Ok(()),
        _ => Err(Refusal::Header { at: member.at, why: "a folder or link has a size" }),
    }
}
