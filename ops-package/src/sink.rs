//! Who is told what an archive holds.

use std::io::BufRead;

use crate::path::EntryPath;

/// Is told what an archive holds, in its order, after the checks.
///
/// Every path is new, and its folder has been told before. No path leads through a symlink. Owners, times, extended
/// attributes and access lists are not told: a package has none. A walk may end in a refusal at any point, so what a
/// sink has made counts only when the walk returns `Ok`.
pub trait Sink {
    /// What can go wrong in the sink itself. It ends the walk.
    type Error;

    /// A folder. `mode` has no bit outside 0o755 and at least 0o700; a folder the archive only implies has 0o755.
    fn folder(&mut self, path: &EntryPath, mode: u32) -> Result<(), Self::Error>;

    /// The mode of a folder that was told before because something lies in it, and that the archive names only now.
    fn folder_mode(&mut self, path: &EntryPath, mode: u32) -> Result<(), Self::Error>;

    /// A regular file of `size` bytes. `mode` has no bit outside 0o755 and at least 0o600. `content` ends after `size`
    /// bytes; it may be copied from its own buffer (`fill_buf`, up to 128 KiB), and need not be read.
    fn file(
        &mut self,
        path: &EntryPath,
        mode: u32,
        size: u64,
        content: &mut dyn BufRead,
    ) -> Result<(), Self::Error>;

    /// A symlink. `target` is relative and stays inside the archive; what it names need not exist.
    fn symlink(&mut self, path: &EntryPath, target: &str) -> Result<(), Self::Error>;

    /// Another name of `existing`, a regular file told before. A copy will do.
    fn hard_link(&mut self, path: &EntryPath, existing: &EntryPath) -> Result<(), Self::Error>;
}
