//! Who holds a lock on a file. The kernel is asked: a number in the file could be of a process that is gone.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;

use nix::sys::stat::{major, minor};

/// `None` where the kernel does not tell: to whom it belongs is in another container, or the file system has other
/// numbers for its devices in one place than in the other (btrfs, overlayfs).
pub fn of(file: &File) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let device = metadata.dev();
    holder(&fs::read_to_string("/proc/locks").ok()?, (major(device), minor(device)), metadata.ino())
}

/// proc_locks(5): `1: FLOCK  ADVISORY  WRITE 708 fd:01:1234 0 EOF`. Of who waits for one the second word is `->`.
fn holder(locks: &str, (major, minor): (u64, u64), inode: u64) -> Option<u32> {
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            [_, "FLOCK", _, _, pid, found, ..] if found == file => pid.parse().ok().filter(|&pid| pid > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_by_device_and_inode() {
        let locks = "1: FLOCK  ADVISORY  WRITE 708 fd:01:1234 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 9 fd:01:1235 0 EOF\n\
                     2: POSIX  ADVISORY  READ 710 fd:01:1235 0 EOF\n3: FLOCK ADVISORY WRITE 0 00:19:77 0 EOF\nodd\n";
        assert_eq!(holder(locks, (0xfd, 1), 1234), Some(708));
        for (device, inode) in [((0xfd, 1), 1235), ((0xfe, 1), 1234), ((0, 0x19), 77), ((1, 1), 1)] {
            assert_eq!(holder(locks, device, inode), None, "{device:?} {inode}");
        }
    }
}
