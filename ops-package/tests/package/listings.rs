//! What a listing tells of a package.

use ops_package::{
    Entry, EntryKind, Inspected, Limits, Listing, MANIFEST_BYTES_MAX, ManifestError, Mode, Outline,
    Sink as _, Summary, WalkError, inspect,
};

use crate::recording::small_limits;
use crate::tarball::Tar;

fn inspected(tar: &Tar) -> Result<Inspected, WalkError<ManifestError>> {
    inspect(&tar.clone().gz()[..], &small_limits())
}

fn entry(path: &str, kind: EntryKind, mode: u32, size: u64, target: Option<&str>) -> Entry {
    Entry { path: path.to_owned(), kind, mode, size, target: target.map(str::to_owned) }
}

#[test]
fn everything_is_listed_by_path() {
    let tar = Tar::package()
        .file("./lib/x/agent", 0o700, b"elf")
        .symlink("current", "lib/x")
        .hard_link("again", "lib/x/agent")
        .folder("lib/", 0o711);
    let inspected = inspected(&tar).unwrap();
    assert_eq!(
        inspected.entries,
        [
            entry("again", EntryKind::Hardlink, 0o700, 3, Some("lib/x/agent")),
            entry("control", EntryKind::File, 0o755, 10, None),
            entry("current", EntryKind::Symlink, 0o777, 0, Some("lib/x")),
            entry("lib", EntryKind::Folder, 0o711, 0, None),
            entry("lib/x", EntryKind::Folder, 0o755, 0, None),
            entry("lib/x/agent", EntryKind::File, 0o700, 3, None),
        ]
    );
    assert_eq!((inspected.summary.entries, inspected.truncated, inspected.manifest), (6, false, None));
}

#[test]
fn the_manifest_at_the_root_is_read() {
    let text = br#"{"name": "agent", "owner": "x"}"#;
    let manifest = inspected(&Tar::package().file("./manifest.json", 0o644, text)).unwrap().manifest.unwrap();
    assert_eq!((manifest.name.unwrap().as_str(), manifest.unknown), ("agent", vec!["owner".to_owned()]));
    let deeper = inspected(&Tar::package().file("etc/manifest.json", 0o644, b"no JSON")).unwrap();
    assert_eq!(deeper.manifest, None);
}

#[test]
fn a_manifest_that_is_no_file_or_no_manifest_is_refused() {
    let refused = |tar: Tar| match inspected(&tar) {
        Err(WalkError::Sink(why)) => why,
        other => panic!("{other:?}"),
    };
    let file = Tar::package().file("x", 0o644, b"{}");
    assert_eq!(refused(file.clone().symlink("manifest.json", "x")), ManifestError::NoFile);
    assert_eq!(refused(file.clone().hard_link("manifest.json", "x")), ManifestError::NoFile);
    assert_eq!(refused(file.clone().folder("manifest.json/", 0o755)), ManifestError::NoFile);
    assert_eq!(refused(file.clone().file("manifest.json/y", 0o644, b"")), ManifestError::NoFile);
    let long = vec![b' '; MANIFEST_BYTES_MAX + 1];
    assert_eq!(refused(Tar::package().file("manifest.json", 0o644, &long)), ManifestError::TooLarge);
    let wrong = refused(Tar::package().file("manifest.json", 0o644, br#"{"os": 1}"#));
    assert_eq!(wrong.to_string(), "`os` in `manifest.json` is refused: a text is wanted, not `1`");
}

#[test]
fn a_manifest_that_is_cut_off_is_the_archives_fault() {
    let tar = Tar::package().file("manifest.json", 0o644, &[b' '; 2000]).ended();
    let cut = inspect(&crate::tarball::gz(&tar[..2500])[..], &small_limits());
    assert!(matches!(cut, Err(WalkError::Refused(_))), "{cut:?}");
}

/// Told of files of these names, without the tar that would hold them.
fn listed(names: impl Iterator<Item = String>) -> Inspected {
    let limits = Limits::default();
    let mut listing = Listing::default();
    for name in names {
        let path = Outline::new(&limits).file(name.as_bytes(), 0, Mode::Plain).unwrap();
        listing.file(&path, 0o644, 0, &mut &b""[..]).unwrap();
    }
    listing.inspected(Summary { entries: 0, unpacked_bytes: 0, tar_bytes: 0 })
}

#[test]
fn a_long_list_is_cut() {
    let many = listed((0..65_537).map(|n| n.to_string()));
    assert_eq!((many.entries.len(), many.truncated), (65_536, true));
    assert!(!listed((0..65_536).map(|n| n.to_string())).truncated);

    let name = "n".repeat(240);
    let long = listed((0..9000).map(|n| format!("{name}/{name}/{name}/{name}/{n:04}")));
    let bytes: usize = long.entries.iter().map(|entry| entry.path.len()).sum();
    assert!(long.truncated && bytes <= 8 << 20 && bytes > 7 << 20, "{bytes}");
}
