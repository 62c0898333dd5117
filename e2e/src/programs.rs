use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One of the programs under test.
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("OPS_BIN_DIR");
    let folder = folder.expect(
        "set OPS_BIN_DIR to the folder that holds ops-updater, ops-meta and fleet-sim, as `make test` does",
    );
    let path = workspace().join(folder).join(name);
    assert!(path.is_file(), "`{}` is not there: run make build, or set OPS_BIN_DIR", path.display());
    path
}

/// A program of Debian's that was only unpacked, or the installed one.
pub fn debian(program: &str) -> PathBuf {
    let named =
        ["OPS_DEBIAN_DIR", "OPS_DEPS_DIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let usual =
        [target, workspace().join("target")].into_iter().flat_map(|it| [it.join("deps"), it.join("debian")]);
    let roots: Vec<PathBuf> = named.chain(usual).map(|it| workspace().join(it)).collect();
    let unpacked =
        roots.iter().flat_map(|root| ["usr/sbin", "usr/bin"].map(|bin| root.join(bin).join(program)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|bin| bin.join(program));
    let found = unpacked.chain(installed).find(|it| it.is_file());
    found.unwrap_or_else(|| panic!("there is no {program} on this machine: run make deps"))
}

/// Libraries that were unpacked beside a program of Debian's, if any: its `LD_LIBRARY_PATH`.
pub fn libraries(program: &Path) -> OsString {
    let lib = program.ancestors().nth(2).unwrap().join("lib");
    let folders = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|it| it.path());
    let multiarch = folders.filter(|it| it.to_string_lossy().contains("-linux-") && !it.starts_with("/usr"));
    std::env::join_paths(multiarch).unwrap()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
