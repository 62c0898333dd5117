use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::programs::debian;

/// A pair of keys of the real minisign, which signs with it.
#[derive(Debug)]
pub struct Signer {
    folder: TempDir,
    /// As `publicKeys` names it.
    pub public_key: String,
}

impl Signer {
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-keys-").tempdir().unwrap();
        minisign(folder.path(), &["-G", "-W", "-p", "public", "-s", "secret"]);
        let public = fs::read_to_string(folder.path().join("public")).unwrap();
        let public_key = public.lines().nth(1).unwrap().to_owned();
        Self { folder, public_key }
    }

    /// The signature file of these bytes; its trusted comment names this file.
    pub fn sign(&self, bytes: &[u8], file_name: &str) -> String {
        let folder = self.folder.path();
        fs::write(folder.join("file"), bytes).unwrap();
        let comment = format!("timestamp:1700000000\tfile:{file_name}\thashed");
        minisign(folder, &["-S", "-H", "-s", "secret", "-m", "file", "-x", "signature", "-t", &comment]);
        fs::read_to_string(folder.join("signature")).unwrap()
    }
}

fn minisign(folder: &Path, words: &[&str]) {
    let mut command = Command::new(debian("minisign"));
    let output = command.args(words).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "minisign {words:?}: {output:?}");
}
