//! The files beside a tarball that carry its digest, as coreutils' `md5sum` and `sha256sum` write and read them.
//!
//! A digest counts only for the file it names. 2015's `md5sum -c` passed when the file listed something else that
//! happened to be there, and a tarball went in unverified.

use std::fmt;

use ops_wire::HexDigest;

use crate::digest::Algorithm;
use crate::refusal::shown;

/// Bytes of such a file; a longer one is none.
pub const SUMS_BYTES_MAX: usize = 64 << 10;

/// Bytes of the `.minisig` beside a tarball, which has four lines; a longer one is none.
pub const SIGNATURE_BYTES_MAX: usize = 16 << 10;

/// Why a file of digests says nothing about the wanted file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SumsError {
    /// More than [`SUMS_BYTES_MAX`] bytes.
    TooLarge,
    /// No line names the file; `other` is the first name there is.
    NotNamed { file: String, other: Option<String> },
    /// A digest stands alone, without a file's name.
    Bare { file: String },
    /// Two lines give the file different digests.
    Contradiction { file: String },
}

impl SumsError {
    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            // The wire has one code for "no digest to be had", whichever the digest.
            Self::NotNamed { .. } | Self::Bare { .. } | Self::Contradiction { .. } => "md5_missing",
        }
    }
}

impl fmt::Display for SumsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the file of digests has more than {SUMS_BYTES_MAX} bytes"),
            Self::NotNamed { file, other: None } => {
                write!(f, "the file of digests has no digest of `{file}`: no line has the form md5sum writes")
            }
            Self::NotNamed { file, other: Some(other) } => {
                write!(f, "the file of digests has no digest of `{file}`: it names `{other}`")
            }
            Self::Bare { file } => {
                write!(f, "the file of digests has a digest that names no file: `DIGEST  {file}` is wanted")
            }
            Self::Contradiction { file } => {
                write!(f, "the file of digests has two different digests of `{file}`")
            }
        }
    }
}

impl std::error::Error for SumsError {}

/// The digest that `text` gives for the file `file`, which is named exactly or as `./file`.
///
/// Forms: `DIGEST  NAME`, `DIGEST *NAME` (binary), `DIGEST NAME` (BSD's reversed form, which `md5sum -c` takes too) and
/// `MD5 (NAME) = DIGEST`. Case of the digits and CRLF do not matter. A line that begins with a backslash has an
/// escaped name, which is no package's; such lines, and any that have another form, are passed over.
pub fn find_sum(text: &[u8], algorithm: Algorithm, file: &str) -> Result<HexDigest, SumsError> {
    if text.len() > SUMS_BYTES_MAX {
        return Err(SumsError::TooLarge);
    }
    let text = String::from_utf8_lossy(text);
    let lines = || text.lines().map(str::trim_ascii);
    let sums = || lines().filter_map(|line| sum(line, algorithm));
    let mut named = sums().filter(|(_, name)| *name == file || name.strip_prefix("./") == Some(file));
    let Some((digest, _)) = named.next() else {
        let bare = lines().any(|line| parse(algorithm, line).is_some());
        let other = sums().next().map(|(_, name)| shown(name.as_bytes()));
        return Err(if bare {
            bare_error(file)
        } else {
            SumsError::NotNamed { file: file.to_owned(), other }
        });
    };
    if named.any(|(other, _)| other != digest) {
        return Err(SumsError::Contradiction { file: file.to_owned() });
    }
    Ok(digest)
}

fn bare_error(file: &str) -> SumsError {
    SumsError::Bare { file: file.to_owned() }
}

/// A line's digest and name.
fn sum(line: &str, algorithm: Algorithm) -> Option<(HexDigest, &str)> {
    tagged(line, algorithm).or_else(|| plain(line, algorithm))
}

fn plain(line: &str, algorithm: Algorithm) -> Option<(HexDigest, &str)> {
    let (digest, name) = line.split_once(' ')?;
    let name = name.strip_prefix([' ', '*']).unwrap_or(name);
    Some((parse(algorithm, digest)?, name))
}

fn tagged(line: &str, algorithm: Algorithm) -> Option<(HexDigest, &str)> {
    let tag = match algorithm {
        Algorithm::Md5 => "MD5 (",
        Algorithm::Sha256 => "SHA256 (",
    };
    let (name, digest) = line.strip_prefix(tag)?.rsplit_once(") = ")?;
    Some((parse(algorithm, digest)?, name))
}

fn parse(algorithm: Algorithm, digits: &str) -> Option<HexDigest> {
    match algorithm {
        Algorithm::Md5 => HexDigest::md5(digits),
        Algorithm::Sha256 => HexDigest::sha256(digits),
    }
}
