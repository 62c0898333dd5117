//! What is to become a package, checked by the rules of the walk before a byte of it is written.

use crate::limits::Limits;
use crate::link::symlink_target;
use crate::path::{EntryPath, entry_path, folder_path};
use crate::refusal::{Refusal, shown};
use crate::tree::{Node, Tree};

/// Takes what a package is to hold, folders before what lies in them, and refuses what [`crate::walk`] would.
pub struct Outline<'a> {
    limits: &'a Limits,
    tree: Tree<'a>,
    unpacked_bytes: u64,
}

impl<'a> Outline<'a> {
    pub fn new(limits: &'a Limits) -> Self {
        Self { limits, tree: Tree::new(limits), unpacked_bytes: 0 }
    }

    /// Paths are bytes as the system has them; they come back as text.
    pub fn folder(&mut self, path: &[u8]) -> Result<EntryPath, Refusal> {
        let why = "it is the root itself";
        let path = folder_path(path, self.limits)?.ok_or_else(|| Refusal::Path { path: shown(path), why })?;
        self.tree.imply_folders(&path)?;
        self.tree.folder(&path)?;
        Ok(path)
    }

    pub fn file(&mut self, path: &[u8], bytes: u64, mode: Mode) -> Result<EntryPath, Refusal> {
        let limit = self.limits.unpacked_bytes_max;
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        if self.unpacked_bytes > limit {
            return Err(Refusal::UnpackedTooLarge { limit });
        }
        self.place(path, Node::File { bytes, executable: mode == Mode::Executable })
    }

    pub fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<(EntryPath, String), Refusal> {
        let path = self.place(path, Node::Symlink)?;
        let target = symlink_target(&path, target, self.limits)?.to_owned();
        Ok((path, target))
    }

    /// The number of entries, when `control` is there as it has to be.
    pub fn finish(self) -> Result<u64, Refusal> {
        let entries = self.tree.entries();
        self.tree.check_control().map(|()| entries)
    }

    fn place(&mut self, path: &[u8], node: Node) -> Result<EntryPath, Refusal> {
        let path = entry_path(path, self.limits)?;
        self.tree.imply_folders(&path)?;
        self.tree.add(&path, node)?;
        Ok(path)
    }
}

/// What a package keeps of a file's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0755: its owner may execute it.
    Executable,
    /// 0644
    Plain,
}

impl Mode {
    /// By the bits that the system tells.
    pub fn of(bits: u32) -> Self {
        if bits & 0o100 == 0 { Self::Plain } else { Self::Executable }
    }

    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Executable => 0o755,
            Self::Plain => 0o644,
        }
    }
}
