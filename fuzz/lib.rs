//! What has to hold whatever the bytes are. A target feeds them; libFuzzer finds those for which it does not.

use std::path::{Component, Path};

use ops_wire::{Refused, Unreadable};

use recording::{Recording, Told, record, small_limits};

// The sink of the package's own tests: it asserts what every sink may rely on while it is told.
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../ops-package/tests/package/recording.rs"]
mod recording;
// What reads the updater's cfg.json: a program has no crate to link, and this file needs no other room of it.
#[path = "../src/config/values.rs"]
pub mod values;
// ops-meta is a program, too; what it decides by needs none of its other rooms.
#[allow(dead_code, unused_imports, reason = "the program uses more of it")]
#[path = "../ops-meta/src/domain/mod.rs"]
pub mod domain;

/// The longest sentence that one bad entry may bring about.
const SENTENCE_BYTES_MAX: usize = 2048;

/// A tarball is refused with a sentence for logs, or it is a package that harms nobody.
pub fn tarball(bytes: &[u8]) {
    let limits = small_limits();
    match record(bytes, &limits) {
        Err(refusal) => sentence(&refusal.to_string()),
        Ok((summary, Recording { told, .. })) => {
            assert_eq!(told.len() as u64, summary.entries);
            assert!(summary.entries <= limits.entries_max);
            let len = |it: &Told| if let Told::File(_, content) = it { content.len() as u64 } else { 0 };
            let bytes: u64 = told.values().map(len).sum();
            assert!(bytes <= summary.unpacked_bytes && summary.unpacked_bytes <= limits.unpacked_bytes_max);
            assert!(
                matches!(&told["control"], Told::File(mode, _) if mode & 0o100 != 0)
                    || matches!(told["control"], Told::HardLink(_))
            );
            for (path, it) in &told {
                let path = Path::new(path);
                assert!(!path.starts_with(".ops-updater"), "{path:?} forges the host's record");
                match it {
                    Told::Folder(mode) => assert_eq!(mode & !0o755, 0),
                    Told::File(mode, _) => assert_eq!(mode & !0o755, 0),
                    Told::Symlink(target) => stays_inside(path, Path::new(target)),
                    Told::HardLink(_) => {}
                }
            }
        }
    }
}

/// No step on the way of a symlink leads above the package.
fn stays_inside(link: &Path, target: &Path) {
    let mut depth = link.components().count() - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => {
                depth =
                    depth.checked_sub(1).unwrap_or_else(|| panic!("{link:?} -> {target:?} leads outside"));
            }
            _ => panic!("{link:?} -> {target:?} is absolute"),
        }
    }
}

/// A text that others caused and that goes into logs and reports: one line, and bounded.
pub fn sentence(text: &str) {
    assert!(text.len() <= SENTENCE_BYTES_MAX && !text.contains(char::is_control), "{text:?}");
}

pub fn unreadable(why: &Unreadable) {
    sentence(&why.0);
}

pub fn refused(refused: &[Refused]) {
    for it in refused {
        sentence(&it.agent);
        sentence(&it.why);
    }
}
