//! `control` at the root.

use crate::frozen::refused;
use crate::recording::{record, small_limits};
use crate::tarball::Tar;

fn case(case: &str, expected: &str, tar: Tar) {
    refused("control", case, expected, &tar.gz());
}

#[test]
fn an_archive_without_control_is_refused() {
    case("empty", "control_missing NoControl", Tar::empty());
    case("root-only", "control_missing NoControl", Tar::empty().folder("./", 0o755));
    case("missing", "control_missing NoControl", Tar::empty().file("a", 0o755, b"").file("b", 0o755, b""));
    case("one-file", "control_missing NoControl", Tar::empty().file("agent", 0o755, b""));
    case("other-case", "control_missing NoControl", Tar::empty().file("Control", 0o755, b""));
}

#[test]
fn a_folder_in_place_of_the_root_is_named() {
    let implied = Tar::empty().file("agent-1.0/control", 0o755, b"").file("agent-1.0/bin/x", 0o755, b"");
    let named =
        Tar::empty().folder("./", 0o755).folder("./agent/", 0o755).file("./agent/control", 0o755, b"");
    case("top-folder", "control_missing TopFolder", implied.clone());
    case("top-folder-named", "control_missing TopFolder", named);
    let refusal = record(&implied.gz(), &small_limits()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the archive has no `control` at its root: everything lies below the folder `agent-1.0`"
    );
}

#[test]
fn control_is_a_regular_file() {
    let file = || Tar::empty().file("run", 0o755, b"");
    case("symlink", "control_missing ControlNoFile", file().symlink("control", "run"));
    case("folder", "control_missing ControlNoFile", file().folder("control/", 0o755));
    case("implied-folder", "control_missing ControlNoFile", file().file("control/x", 0o755, b""));
}

#[test]
fn control_is_executable_by_its_owner() {
    case("not-executable", "control_missing ControlNotExecutable", Tar::empty().file("control", 0o644, b""));
    case(
        "executable-by-others",
        "control_missing ControlNotExecutable",
        Tar::empty().file("control", 0o655, b""),
    );
}
