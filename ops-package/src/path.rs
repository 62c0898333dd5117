//! Paths that were checked.

use std::fmt;
use std::path::Path;

use crate::limits::Limits;
use crate::refusal::{Refusal, shown};

/// Linux' NAME_MAX.
const COMPONENT_BYTES_MAX: usize = 255;

/// Where the host records what a version folder was made from. An archive that brought it could forge the record.
const RESERVED: &str = ".ops-updater";

/// A path inside a package: relative, not empty, normal components only, UTF-8 without control characters, within
/// the limits. Only a walk makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPath(String);

impl EntryPath {
    /// The path as the archive spells it, without a leading `./` and a folder's trailing `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for file functions, to be joined to a folder.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The path's components, from the root of the package downwards; there is at least one.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The folders this path lies in, outermost first.
    pub(crate) fn folders(&self) -> impl Iterator<Item = Self> {
        self.0.match_indices('/').filter_map(|(at, _)| self.0.get(..at)).map(|text| Self(text.to_owned()))
    }

    /// The outermost component.
    pub(crate) fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The folder this path lies in; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The innermost component.
    pub(crate) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// How many folders this path lies in.
    pub(crate) fn depth(&self) -> usize {
        self.0.matches('/').count()
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the name of anything but a folder.
///
/// Names that are not UTF-8 are refused: they could not be told to the operator, and no agent has one.
pub(crate) fn entry_path(raw: &[u8], limits: &Limits) -> Result<EntryPath, Refusal> {
    let text = readable(raw, limits)?;
    checked(text, without_dot(text), limits)
}

/// Checks the name of a folder, which may end in a slash. `None` is the root itself: `.` or `./`.
pub(crate) fn folder_path(raw: &[u8], limits: &Limits) -> Result<Option<EntryPath>, Refusal> {
    let text = readable(raw, limits)?;
    match text {
        "." | "./" => Ok(None),
        _ => {
            let inner = without_dot(text);
            checked(text, inner.strip_suffix('/').unwrap_or(inner), limits).map(Some)
        }
    }
}

/// `tar czf X .` writes `./control`.
fn without_dot(text: &str) -> &str {
    text.strip_prefix("./").unwrap_or(text)
}

/// Text that can be shown and given to the system, within the limit on its length.
pub(crate) fn readable<'a>(raw: &'a [u8], limits: &Limits) -> Result<&'a str, Refusal> {
    let refused = |why| Refusal::Path { path: shown(raw), why };
    if raw.len() > limits.path_bytes_max {
        return Err(Refusal::PathTooLong { path: shown(raw), limit: limits.path_bytes_max });
    }
    let text = std::str::from_utf8(raw).map_err(|_| refused("it is not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(refused("it has control characters"));
    }
    Ok(text)
}

fn checked(text: &str, inner: &str, limits: &Limits) -> Result<EntryPath, Refusal> {
    let path = || shown(text.as_bytes());
    let refused = |why| Err(Refusal::Path { path: path(), why });
    if text.is_empty() {
        return refused("it is empty");
    }
    if text.starts_with('/') {
        return refused("it is absolute");
    }
    for component in inner.split('/') {
        match component {
            "" => return refused("it has an empty component"),
            "." | ".." => return refused("it has a `.` or `..` component"),
            _ if component.len() > COMPONENT_BYTES_MAX => {
                return Err(Refusal::PathTooLong {
                    path: shown(text.as_bytes()),
                    limit: COMPONENT_BYTES_MAX,
                });
            }
            _ => {}
        }
    }
    if inner.split('/').next() == Some(RESERVED) {
        return Err(Refusal::Reserved { path: path() });
    }
    if inner.split('/').count() > limits.depth_max {
        return Err(Refusal::TooDeep { path: path(), limit: limits.depth_max });
    }
    Ok(EntryPath(inner.to_owned()))
}
