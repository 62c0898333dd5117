//! Why an archive is refused.

use std::fmt;

/// Characters of an archive's own text that a sentence repeats.
const SHOWN_CHARS_MAX: usize = 200;

/// Why an archive is refused. Names in it are escaped and bounded: they come from outside and go into logs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No gzip, a damaged one, or one that is cut off.
    Gzip {
        why: String,
    },
    /// Something follows the gzip stream, another gzip member included.
    AfterGzip,
    /// Something other than zeros follows the tar's end.
    AfterTar,
    /// The tar ends in the middle of something, or without the zero block that ends a tar.
    Truncated {
        at: u64,
    },
    /// A header block that cannot be read. `at` is its offset in the tar, in bytes.
    Header {
        at: u64,
        why: &'static str,
    },
    /// An extension header (PAX, GNU long name) that cannot be read.
    Extension {
        at: u64,
        why: &'static str,
    },

    UnpackedTooLarge {
        limit: u64,
    },
    TarTooLarge {
        limit: u64,
    },
    TooManyEntries {
        limit: u64,
    },
    ExtensionTooLarge {
        at: u64,
        limit: u64,
    },
    PathTooLong {
        path: String,
        limit: usize,
    },
    TooDeep {
        path: String,
        limit: usize,
    },

    /// A name, or a link's target, that no path of a package can be.
    Path {
        path: String,
        why: &'static str,
    },
    /// An entry of a name that is the host's own.
    Reserved {
        path: String,
    },
    /// The same path twice.
    Duplicate {
        path: String,
    },
    /// Something below a path that is a file or a symlink.
    BelowNoFolder {
        path: String,
        above: String,
    },
    Symlink {
        path: String,
        target: String,
        why: &'static str,
    },
    /// A hard link to something other than a regular file that came before it.
    HardLink {
        path: String,
        target: String,
    },
    /// A device, a fifo, a socket or anything else that is no file, folder or link.
    Kind {
        path: String,
        kind: u8,
    },
    Sparse {
        path: String,
    },

    NoControl,
    /// Everything lies below one folder; `control` has to stand at the root.
    TopFolder {
        folder: String,
    },
    ControlNoFile,
    ControlNotExecutable,
}

impl Refusal {
    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gzip { .. }
            | Self::AfterGzip
            | Self::AfterTar
            | Self::Truncated { .. }
            | Self::Header { .. }
            | Self::Extension { .. } => "archive_invalid",
            Self::UnpackedTooLarge { .. }
            | Self::TarTooLarge { .. }
            | Self::TooManyEntries { .. }
            | Self::ExtensionTooLarge { .. }
            | Self::PathTooLong { .. }
            | Self::TooDeep { .. } => "too_large",
            Self::Path { .. }
            | Self::Reserved { .. }
            | Self::Duplicate { .. }
            | Self::BelowNoFolder { .. }
            | Self::Symlink { .. }
            | Self::HardLink { .. }
            | Self::Kind { .. }
            | Self::Sparse { .. } => "archive_unsafe",
            Self::NoControl | Self::TopFolder { .. } | Self::ControlNoFile | Self::ControlNotExecutable => {
                "control_missing"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip { why } => write!(f, "failed to gunzip the archive: {why}"),
            Self::AfterGzip => f.write_str("the archive has bytes after the end of its gzip stream"),
            Self::AfterTar => f.write_str("the archive has data after the end of its tar"),
            Self::Truncated { at } => {
                write!(f, "the archive's tar ends after {at} bytes without an end-of-archive block")
            }
            Self::Header { at, why } => write!(f, "failed to read the tar header at byte {at}: {why}"),
            Self::Extension { at, why } => {
                write!(f, "failed to read the extension header at byte {at}: {why}")
            }
            Self::UnpackedTooLarge { limit } => {
                write!(f, "the archive's files have more than {limit} bytes together")
            }
            Self::TarTooLarge { limit } => write!(f, "the archive's tar has more than {limit} bytes"),
            Self::TooManyEntries { limit } => write!(f, "the archive has more than {limit} entries"),
            Self::ExtensionTooLarge { at, limit } => {
                write!(f, "the extension headers at byte {at} have more than {limit} bytes")
            }
            Self::PathTooLong { path, limit } => {
                write!(f, "`{path}` has more than {limit} bytes, in all or in one component")
            }
            Self::TooDeep { path, limit } => write!(f, "`{path}` lies more than {limit} levels deep"),
            Self::Path { path, why } => write!(f, "the path `{path}` is refused: {why}"),
            Self::Reserved { path } => write!(f, "`{path}` is refused: the name is reserved for the host"),
            Self::Duplicate { path } => write!(f, "`{path}` is in the archive twice"),
            Self::BelowNoFolder { path, above } => {
                write!(f, "`{path}` is refused: the archive made `{above}` something other than a folder")
            }
            Self::Symlink { path, target, why } => {
                write!(f, "the symlink `{path}` to `{target}` is refused: {why}")
            }
            Self::HardLink { path, target } => write!(
                f,
                "the hard link `{path}` is refused: no regular file `{target}` comes before it in the archive"
            ),
            Self::Kind { path, kind } => write!(
                f,
                "`{path}` is refused: it is neither file, folder nor link (tar type `{}`)",
                kind.escape_ascii()
            ),
            Self::Sparse { path } => write!(f, "`{path}` is refused: it is a sparse file"),
            Self::NoControl => f.write_str("the archive has no `control` at its root"),
            Self::TopFolder { folder } => write!(
                f,
                "the archive has no `control` at its root: everything lies below the folder `{folder}`"
            ),
            Self::ControlNoFile => f.write_str("`control` is not a regular file"),
            Self::ControlNotExecutable => f.write_str("`control` is not executable by its owner"),
        }
    }
}

impl std::error::Error for Refusal {}

/// An archive's own text as a sentence may repeat it.
pub(crate) fn shown(raw: &[u8]) -> String {
    let head = raw.get(..SHOWN_CHARS_MAX * 4).unwrap_or(raw);
    let text = String::from_utf8_lossy(head);
    let mut shown: String = text.chars().flat_map(char::escape_debug).take(SHOWN_CHARS_MAX).collect();
    if shown.chars().count() == SHOWN_CHARS_MAX {
        shown.push_str("...");
    }
    shown
}
