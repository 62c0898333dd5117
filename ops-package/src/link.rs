//! Where a symlink may lead.

use crate::limits::Limits;
use crate::path::{EntryPath, readable};
use crate::refusal::{Refusal, shown};

/// Checks a symlink's target and hands it back as text.
///
/// A `..` counts only at the target's beginning. There it is exact, because the folders a link lies in are never
/// symlinks; after a name it is not, because that name may be a symlink whose parent is another one than it seems:
/// with `d/up -> ..`, `d/out -> up/../..` looks like the root and is the folder above it. As every link of the
/// archive stays inside by itself, going down through others stays inside too.
pub(crate) fn symlink_target<'a>(
    link: &EntryPath,
    target: &'a [u8],
    limits: &Limits,
) -> Result<&'a str, Refusal> {
    let refused = |why| Err(Refusal::Symlink { path: link.to_string(), target: shown(target), why });
    let text = readable(target, limits)?;
    if text.is_empty() {
        return refused("its target is empty");
    }
    if text.starts_with('/') {
        return refused("its target is absolute");
    }
    let mut ups = 0;
    let mut named = false;
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." if named => return refused("its target goes up after going down"),
            ".." => ups += 1,
            _ => named = true,
        }
    }
    if ups > link.depth() { refused("its target lies outside the archive") } else { Ok(text) }
}
