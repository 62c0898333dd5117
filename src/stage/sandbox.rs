//! Less right for the child that reads what others packed: limits on memory, file size, descriptors and CPU, no new
//! privileges, and (Landlock) no write outside its staging folder.

use std::path::Path;

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use nix::sys::resource::{Resource, setrlimit};
use ops_wire::ErrorCode;

use super::Settings;
use crate::error::Fault;

/// Address space; what is really used stays far below.
const MEMORY_BYTES_MAX: u64 = 512 << 20;
const DESCRIPTORS_MAX: u64 = 64;
/// An hour of computing is more than the largest package needs.
const CPU_SECS_MAX: u64 = 3600;

/// Limits for the whole life of the child.
pub(super) fn bound(settings: &Settings) -> Result<(), Fault> {
    let largest_file = settings.tarball_bytes_max.max(settings.unpacked_bytes_max);
    let limits = [
        (Resource::RLIMIT_AS, MEMORY_BYTES_MAX),
        (Resource::RLIMIT_FSIZE, largest_file),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS_MAX),
        (Resource::RLIMIT_CPU, CPU_SECS_MAX),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit)
            .map_err(|error| refused(&format!("limit {resource:?}"), &error.to_string()))?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(|error| refused("give up new privileges", &error.to_string()))
}

/// From here on this process writes below `folder` only. A kernel that confines nothing comes back as a sentence.
pub(super) fn confine(folder: &Path) -> Result<Option<String>, Fault> {
    let write = AccessFs::from_write(ABI::V3);
    let confined = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(write)
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules([folder], write)))
        .and_then(|rules| rules.restrict_self())
        .map_err(|error| refused("confine itself", &error.to_string()))?;
    Ok(match confined.ruleset {
        // Partly: an older kernel that does not know every right to write, and confines what it knows.
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => None,
        RulesetStatus::NotEnforced => {
            Some("this kernel has no Landlock: unpacking is not confined to its folder".to_owned())
        }
    })
}

/// The same, as far as it goes, for who moves folders from one to another below `folder`: kernels that know no such right
/// refuse it to everybody whom they confine.
pub fn confine_who_moves(folder: &Path) {
    let known = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if known.handle_access(AccessFs::Refer).is_ok() {
        // A second wall: the first is how `fs_layout` deletes.
        let _ = confine(folder);
    }
}

fn refused(what: &str, why: &str) -> Fault {
    Fault::new(ErrorCode::NotConfined, format!("the staging child failed to {what}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "as above, and a move is what this is about")]
    fn who_is_confined_and_moves_does_so_in_its_own_folder_only() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (folder, other) = (inside.path().to_owned(), outside.path().join("x"));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        let confined = std::thread::spawn(move || {
            confine_who_moves(&folder);
            fs::rename(folder.join("a/b"), folder.join("b")).unwrap();
            fs::remove_dir(folder.join("b")).unwrap();
            let known = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
            assert_eq!(fs::write(other, "x").is_err(), known.handle_access(AccessFs::Refer).is_ok());
        });
        confined.join().unwrap();
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "Landlock confines one thread, and the others have to go on"
    )]
    fn what_is_confined_writes_in_its_own_folder_only() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (folder, other) = (inside.path().to_owned(), outside.path().join("x"));
        fs::write(&other, "before").unwrap();
        let confined = std::thread::spawn(move || {
            if let Some(why) = confine(&folder).unwrap() {
                // An old kernel: there is nothing to see.
                eprintln!("{why}");
                return;
            }
            fs::write(folder.join("x"), "y").unwrap();
            fs::remove_file(folder.join("x")).unwrap();
            assert!(fs::write(&other, "after").is_err() && fs::remove_file(&other).is_err());
            assert!(fs::create_dir(other.with_extension("d")).is_err());
            assert_eq!(fs::read_to_string(&other).unwrap(), "before");
        });
        confined.join().unwrap();
    }
}
