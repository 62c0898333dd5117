//! What an archive has made so far.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::limits::Limits;
use crate::path::EntryPath;
use crate::refusal::Refusal;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Folder,
    /// A folder only because something lies in it; the archive may still name it, once.
    ImpliedFolder,
    File {
        bytes: u64,
        executable: bool,
    },
    Symlink,
}

/// What became of a folder that an archive names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderIs {
    New,
    Known,
}

/// A path's name in the table: 16 bytes in place of up to a kilobyte, so that an archive at the limit on entries needs
/// some 10 MB. A cut sha256, and not a hash with a key of this process, because every host has to decide alike.
type Key = [u8; 16];

pub(crate) struct Tree<'a> {
    limits: &'a Limits,
    nodes: HashMap<Key, Node>,
    /// The folder that was last made sure of, and its key: mostly the next entry lies in it too.
    last: (String, Key),
    root_named: bool,
    tops: Tops,
}

/// The names at the root, as far as a sentence about them needs.
#[derive(Debug, Default, PartialEq, Eq)]
enum Tops {
    #[default]
    None,
    One(String),
    Several,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self { limits, nodes: HashMap::new(), last: Default::default(), root_named: false, tops: Tops::None }
    }

    /// Entries so far, implied folders included.
    pub(crate) fn entries(&self) -> u64 {
        self.nodes.len() as u64
    }

    pub(crate) fn get(&self, path: &EntryPath) -> Option<Node> {
        self.nodes.get(&self.key(path)).copied()
    }

    /// The archive names its root. It may do so once.
    pub(crate) fn name_root(&mut self) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.root_named, true) {
            false => Ok(()),
            true => Err(Refusal::Duplicate { path: "./".to_owned() }),
        }
    }

    /// Makes sure that everything `path` lies in is a folder, and gives those that had to be implied, outermost first.
    pub(crate) fn imply_folders(&mut self, path: &EntryPath) -> Result<Vec<EntryPath>, Refusal> {
        let mut implied = Vec::new();
        if path.folder() == self.last.0 {
            return Ok(implied);
        }
        let mut key = Key::default();
        for folder in path.folders() {
            key = below(&key, folder.name());
            match self.nodes.get(&key) {
                Some(Node::Folder | Node::ImpliedFolder) => {}
                Some(_) => {
                    return Err(Refusal::BelowNoFolder { path: path.to_string(), above: folder.to_string() });
                }
                None => {
                    self.insert(key, Node::ImpliedFolder)?;
                    implied.push(folder);
                }
            }
        }
        self.last = (path.folder().to_owned(), key);
        Ok(implied)
    }

    /// A folder the archive names: new, or known by what lies in it.
    pub(crate) fn folder(&mut self, path: &EntryPath) -> Result<FolderIs, Refusal> {
        let key = self.key(path);
        match self.nodes.get_mut(&key) {
            Some(node @ Node::ImpliedFolder) => {
                *node = Node::Folder;
                Ok(FolderIs::Known)
            }
            Some(_) => Err(Refusal::Duplicate { path: path.to_string() }),
            None => self.add(path, Node::Folder).map(|()| FolderIs::New),
        }
    }

    /// Anything but a folder.
    pub(crate) fn add(&mut self, path: &EntryPath, node: Node) -> Result<(), Refusal> {
        let key = self.key(path);
        if self.nodes.contains_key(&key) {
            return Err(Refusal::Duplicate { path: path.to_string() });
        }
        self.insert(key, node)?;
        self.note_top(path.top());
        Ok(())
    }

    /// What is wrong with the `control` at the root, or with its absence.
    pub(crate) fn check_control(self) -> Result<(), Refusal> {
        match self.nodes.get(&below(&Key::default(), "control")) {
            Some(Node::File { executable: true, .. }) => Ok(()),
            Some(Node::File { .. }) => Err(Refusal::ControlNotExecutable),
            Some(_) => Err(Refusal::ControlNoFile),
            None => Err(self.no_control()),
        }
    }

    fn key(&self, path: &EntryPath) -> Key {
        if path.folder() == self.last.0 {
            return below(&self.last.1, path.name());
        }
        path.components().fold(Key::default(), |above, name| below(&above, name))
    }

    fn no_control(self) -> Refusal {
        match self.tops {
            Tops::One(folder)
                if self.nodes.get(&below(&Key::default(), &folder)).is_some_and(Node::is_folder) =>
            {
                Refusal::TopFolder { folder }
            }
            _ => Refusal::NoControl,
        }
    }

    fn insert(&mut self, key: Key, node: Node) -> Result<(), Refusal> {
        let limit = self.limits.entries_max;
        if self.entries() >= limit {
            return Err(Refusal::TooManyEntries { limit });
        }
        self.nodes.insert(key, node);
        Ok(())
    }

    fn note_top(&mut self, top: &str) {
        match &self.tops {
            Tops::None => self.tops = Tops::One(top.to_owned()),
            Tops::One(one) if one != top => self.tops = Tops::Several,
            _ => {}
        }
    }
}

impl Node {
    fn is_folder(&self) -> bool {
        matches!(self, Self::Folder | Self::ImpliedFolder)
    }
}

/// The key of `name` in the folder of key `above`.
fn below(above: &Key, name: &str) -> Key {
    let digest: [u8; 32] = Sha256::new().chain_update(above).chain_update(name).finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}
