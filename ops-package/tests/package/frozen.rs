//! The frozen archives below `tests/bad/DANGER/CASE.tar.gz`, each with `CASE.expected` beside it: code and variant of
//! the refusal. Files are added, never edited: `FREEZE=1 cargo test -p ops-package` writes those that are missing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::recording::{named, record, small_limits};

fn bad() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

/// Asserts that `tarball` is refused as `expected`, and that the case is frozen.
pub(crate) fn refused(danger: &str, case: &str, expected: &str, tarball: &[u8]) {
    let got = record(tarball, &small_limits()).map_err(|refusal| named(&refusal));
    assert_eq!(got.map(|(_, recording)| recording.told), Err(expected.to_owned()), "{danger}/{case}");
    let file = bad().join(danger).join(format!("{case}.tar.gz"));
    if !file.exists() && std::env::var_os("FREEZE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, tarball).unwrap();
        fs::write(expectation(&file), format!("{expected}\n")).unwrap();
    }
    assert!(file.exists(), "{danger}/{case} is not frozen");
}

fn expectation(tarball: &Path) -> PathBuf {
    let name = tarball.file_name().unwrap().to_str().unwrap();
    tarball.with_file_name(name.replace(".tar.gz", ".expected"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_frozen_archive_is_still_refused_for_its_reason() {
    if std::env::var_os("FREEZE").is_some() {
        return;
    }
    let tarballs: Vec<_> = files(&bad())
        .iter()
        .flat_map(|danger| files(danger))
        .filter(|file| file.extension().unwrap() == "gz")
        .collect();
    assert!(tarballs.len() > 80, "only {} frozen archives", tarballs.len());
    for file in tarballs {
        let expected = fs::read_to_string(expectation(&file)).unwrap();
        let refusal =
            record(&fs::read(&file).unwrap(), &small_limits()).expect_err(&file.display().to_string());
        assert_eq!(named(&refusal), expected.trim_end(), "{}", file.display());
        let sentence = refusal.to_string();
        assert!(sentence.len() < 2048 && !sentence.contains(char::is_control), "{sentence:?}");
    }
}
