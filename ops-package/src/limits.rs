//! How much an archive may claim.

/// How much an archive may claim; above any of these it is refused with `too_large`.
///
/// The size of the tarball itself is the affair of whoever fetches it (see [`crate::Limited`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together; a hard link counts like the file it names, as a sink may copy.
    pub unpacked_bytes_max: u64,
    /// Files, folders and links, and folders that are only implied by what lies in them: each costs an inode.
    pub entries_max: u64,
    /// Bytes of one path, and of one symlink's target.
    pub path_bytes_max: usize,
    /// Components of one path.
    pub depth_max: usize,
    /// Bytes of the extension headers (PAX, GNU long names) in front of one entry, together.
    pub metadata_bytes_max: u64,
}

impl Default for Limits {
    /// What hosts allow where their cfg.json says nothing: far beyond the largest agent known.
    fn default() -> Self {
        Self {
            unpacked_bytes_max: 8 << 30,
            entries_max: 200_000,
            path_bytes_max: 1024,
            depth_max: 32,
            metadata_bytes_max: 64 << 10,
        }
    }
}

impl Limits {
    /// Bytes of the whole tar, headers and padding included: what a gzip bomb meets that unpacks to neither files nor
    /// entries. A PAX entry of ordinary size has 2.5 KiB of headers.
    pub(crate) fn tar_bytes_max(&self) -> u64 {
        const ENTRY_OVERHEAD_BYTES: u64 = 4096;
        const PADDING_BYTES: u64 = 1 << 20;
        let overhead = self.entries_max.saturating_mul(ENTRY_OVERHEAD_BYTES);
        self.unpacked_bytes_max.saturating_add(overhead).saturating_add(PADDING_BYTES)
    }
}
