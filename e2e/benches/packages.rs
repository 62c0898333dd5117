//! What packages cost: a large one on its way in, and one that a hundred fetch at once.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::{binary, peak_bytes, resident_bytes};
use tempfile::TempDir;

use super::FEW_ROUNDS;
use super::sides::Side;
use super::table::{Sides, row};

/// Digits, which gzip makes a little more than half of.
const LARGE_UNPACKED_BYTES: usize = 1_750_000_000;
const FETCHED_UNPACKED_BYTES: usize = 36_000_000;
const FETCHERS: usize = 100;

/// `ops-meta push` of some 1 GB, beside `cp`, `sha256sum` and `gzip -t` of the same file.
pub fn upload() {
    let (folder, ours) = (tempfile::Builder::new().prefix("bench-").tempdir().unwrap(), Side::ours(None));
    let (mut sides, mut grown) = (Sides::default(), Vec::new());
    for round in 0..FEW_ROUNDS {
        let tarball = tarball(folder.path(), &format!("1.0.{round}"), LARGE_UNPACKED_BYTES);
        sides.theirs.push(secs(|| by_hand(&tarball, &folder)));
        let before = resident_bytes(ours.pid());
        sides.ours.push(secs(|| ours.push(&tarball)));
        grown.push(peak_bytes(ours.pid()).saturating_sub(before) as f64 / 1e6);
        fs::remove_file(tarball).unwrap();
    }
    sides.row("push of 1 GB (cp, sha256sum, gzip -t)", "s", 1.5);
    let most = grown.into_iter().fold(0.0, f64::max);
    let figure = "    the server's memory grew by, at most";
    row(figure, &format!("{most:.0} MB"), "", "", "<= 40 MB", Some(most <= 40.0));
}

fn by_hand(tarball: &Path, folder: &TempDir) {
    let copy = folder.path().join("copy");
    let run = |program: &str, args: &[&Path]| {
        let status = Command::new(program).args(args).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{program}");
    };
    run("cp", &[tarball, &copy]);
    run("sha256sum", &[&copy]);
    run("gzip", &[Path::new("-t"), tarball]);
    fs::remove_file(copy).unwrap();
}

/// A hundred at once, of ops-meta and of nginx that copies as we do (`sendfile off`).
pub fn download() {
    let folder = tempfile::Builder::new().prefix("bench-").tempdir().unwrap();
    let tarball = tarball(folder.path(), "1.0.0", FETCHED_UNPACKED_BYTES);
    let (ours, theirs) = (Side::ours(None), Side::nginx_of_files(folder.path()));
    ours.push(&tarball);
    let name = tarball.file_name().unwrap().to_str().unwrap();
    let bytes = (fs::metadata(&tarball).unwrap().len() * FETCHERS as u64) as f64;
    let millis_of_a_gigabyte = |side: &Side, path: &str| {
        let before = side.cpu_secs();
        fetch(&format!("http://{}{path}", side.address()));
        (side.cpu_secs() - before) / bytes * 1e12
    };
    let mut sides = Sides::default();
    for _ in 0..FEW_ROUNDS {
        sides.theirs.push(millis_of_a_gigabyte(&theirs, &format!("/{name}")));
        sides.ours.push(millis_of_a_gigabyte(&ours, &format!("/packages/{name}")));
    }
    sides.row("CPU of 1 GB, 100 downloads at once (nginx)", "ms", 1.3);
}

fn fetch(url: &str) {
    let parallel =
        ["-c", "0", "curl", "--silent", "--fail", "--parallel", "--parallel-immediate", "--noproxy", "*"];
    let mut command = Command::new("taskset");
    command.args(parallel).args(["--parallel-max", &FETCHERS.to_string()]);
    for _ in 0..FETCHERS {
        command.args(["--output", "/dev/null", url]);
    }
    assert!(command.status().unwrap().success(), "curl {url}");
}

fn secs(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// `agent-VERSION.tar.gz`: a control script, and a file of digits that are different each time.
fn tarball(folder: &Path, version: &str, unpacked_bytes: usize) -> PathBuf {
    let content = folder.join("content");
    fs::create_dir_all(&content).unwrap();
    let script = content.join("control");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, executable).unwrap();
    let mut file = BufWriter::new(fs::File::create(content.join("data")).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ unpacked_bytes as u64;
    version.bytes().for_each(|byte| state = state.wrapping_mul(31).wrapping_add(byte.into()));
    for _ in 0..unpacked_bytes / 16 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(file, "{state:016x}").unwrap();
    }
    file.flush().unwrap();
    let tarball = folder.join(format!("agent-{version}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--use-compress-program=gzip -1", "--owner=0", "--group=0", "-C"]).arg(&content);
    assert!(tar.arg("-cf").arg(&tarball).args(["control", "data"]).status().unwrap().success(), "tar");
    fs::remove_dir_all(content).unwrap();
    tarball
}

impl Side {
    /// As the first admin.
    fn push(&self, tarball: &Path) {
        let mut command = Command::new(binary("ops-meta"));
        command.arg("push").arg(tarball).arg("--url").arg(format!("http://{}", self.address()));
        command.arg("--token-file").arg(self.path("data/admin.token")).stdout(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
