//! Where keys are configured, only what one of them has signed is installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use e2e::{Base, FakeMeta, Fault, FileServer, Package, Signer, error_code};
use serde_json::{Value, json};

/// A host that trusts one key, and a package that can be had.
struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
    signer: Signer,
    package: Package,
}

impl Host {
    fn new() -> Self {
        let (meta, files, signer) = (FakeMeta::new(), FileServer::new(), Signer::new());
        let mut base = Base::new(&meta.address());
        base.set("publicKeys", json!([signer.public_key]));
        let package = Package::agent("alpha", "1.0.0");
        files.offer(&package);
        Self { meta, files, base, signer, package }
    }

    fn sign(&self) -> String {
        self.signer.sign(&self.package.bytes, &self.package.file_name())
    }

    /// Lays a signature beside the tarball.
    fn put(&self, files: &FileServer, signature: impl Into<Vec<u8>>) {
        files.put(&self.signature_path(), signature);
    }

    fn signature_path(&self) -> String {
        format!("/{}.minisig", self.package.file_name())
    }

    /// Orders the package, with this beside the order or instead.
    fn order(&self, more: &Value) {
        let mut order = self.files.order(&self.package, "start");
        more.as_object().unwrap().iter().for_each(|(key, value)| order[key] = value.clone());
        self.meta.order(&[order]);
    }

    #[track_caller]
    fn installs(&self, more: &Value) {
        self.order(more);
        self.base.once().exits(0);
        self.base.daemon("alpha", "1.0.0");
    }

    #[track_caller]
    fn refuses(&self, more: &Value, code: &str) {
        self.order(more);
        self.base.once().exits(1);
        assert_eq!(error_code(&self.meta.agent("alpha")), code, "{}", self.meta.agent("alpha"));
        assert!(self.base.daemons("alpha").is_empty() && !self.base.has("alpha", "1.0.0"));
        assert_eq!(self.base.version("alpha"), None);
    }
}

fn nothing() -> Value {
    json!({})
}

#[test]
fn what_a_trusted_key_signed_is_installed() {
    let host = Host::new();
    host.put(&host.files, host.sign());
    host.installs(&nothing());
}

#[test]
fn a_signature_can_come_with_the_order() {
    let host = Host::new();
    host.installs(&json!({"signature": host.sign()}));
    assert_eq!(host.files.asked(&host.signature_path()), 0);
}

#[test]
fn any_of_the_keys_will_do() {
    let mut host = Host::new();
    let other = Signer::new();
    host.base.set("publicKeys", json!([other.public_key, host.signer.public_key]));
    host.put(&host.files, host.sign());
    host.installs(&nothing());
}

#[test]
fn without_a_signature_nothing_is_installed() {
    let host = Host::new();
    host.refuses(&nothing(), "signature_missing");
    assert_eq!(host.files.asked_tarball(&host.package), 0);
}

#[test]
fn a_signature_by_another_key_is_invalid() {
    let host = Host::new();
    let other = Signer::new();
    host.put(&host.files, other.sign(&host.package.bytes, &host.package.file_name()));
    host.refuses(&nothing(), "signature_invalid");
}

#[test]
fn a_signature_for_another_file_name_is_invalid() {
    let host = Host::new();
    // As whoever answers for the download server would do, who wants an old and weak version installed again.
    host.put(&host.files, host.signer.sign(&host.package.bytes, "alpha-0.9.0.tar.gz"));
    host.refuses(&nothing(), "signature_invalid");
}

#[test]
fn a_trusted_comment_that_was_rewritten_is_invalid() {
    let host = Host::new();
    let signed = host.signer.sign(&host.package.bytes, "alpha-0.9.0.tar.gz");
    host.put(&host.files, signed.replace("alpha-0.9.0", "alpha-1.0.0"));
    host.refuses(&nothing(), "signature_invalid");
}

#[test]
fn a_package_that_was_altered_after_it_was_signed_is_invalid() {
    let mut host = Host::new();
    host.put(&host.files, host.sign());
    // Its digest is right: whoever alters the one alters the other.
    host.package = Package::with_script("alpha", "1.0.0", &format!("{}\n# altered", e2e::agent_script()));
    host.files.offer(&host.package);
    host.refuses(&nothing(), "signature_invalid");
}

#[test]
fn rubbish_for_a_signature_is_invalid() {
    let host = Host::new();
    for rubbish in ["", "<html></html>\n", &host.sign()[..100]] {
        host.put(&host.files, rubbish);
        host.refuses(&nothing(), "signature_invalid");
        host.base.run(&["release", "alpha"]).exits(0);
    }
}

#[test]
fn a_mirror_without_a_good_signature_is_passed_over() {
    let host = Host::new();
    host.put(&host.files, host.sign());
    let (strange, rotten, empty) = (FileServer::new(), FileServer::new(), FileServer::new());
    strange.offer(&host.package);
    host.put(&strange, Signer::new().sign(&host.package.bytes, &host.package.file_name()));
    host.put(&rotten, "rubbish\n");
    rotten.spoil_tarball(&host.package, Fault::Status(500));
    host.installs(&json!({"mirrors": [strange.url(), rotten.url(), empty.url()]}));
}

#[test]
fn a_version_that_came_unsigned_is_fetched_again_once_signatures_are_demanded() {
    let mut host = Host::new();
    host.base.unset("publicKeys");
    // Known beforehand, the digest alone would do.
    let order = json!({"sha256": host.package.sha256()});
    host.installs(&order);
    host.meta.order(&[host.files.offer(&Package::agent("alpha", "1.0.1"))]);
    host.base.once().exits(0);

    host.base.set("publicKeys", json!([host.signer.public_key]));
    host.put(&host.files, host.sign());
    let asked = host.files.asked_tarball(&host.package);
    host.installs(&order);
    assert_eq!(host.files.asked_tarball(&host.package), asked + 1);
}

#[test]
fn a_version_of_a_withdrawn_key_is_told_while_in_use_and_verified_anew_before_it_is_used_again() {
    let mut host = Host::new();
    let order = json!({"sha256": host.package.sha256()});
    host.put(&host.files, host.sign());
    host.installs(&order);
    let running = host.base.daemon("alpha", "1.0.0");
    let (other, next) = (Signer::new(), Package::agent("alpha", "1.0.1"));
    host.base.set("publicKeys", json!([other.public_key]));

    host.base.once().exits(0);
    assert_eq!(error_code(&host.meta.agent("alpha")), "key_withdrawn");
    host.base.run(&["status"]).exits(0);
    assert_eq!(host.base.daemon("alpha", "1.0.0"), running, "it is left running");

    host.files.put("/alpha-1.0.1.tar.gz.minisig", other.sign(&next.bytes, &next.file_name()));
    host.meta.order(&[host.files.offer(&next)]);
    host.base.once().exits(0);
    assert!(host.base.has("alpha", "1.0.0"), "it is still on the disk");
    host.order(&order);
    host.base.once().exits(1);
    assert_eq!(error_code(&host.meta.agent("alpha")), "signature_invalid");
    host.base.daemon("alpha", "1.0.1");

    host.put(&host.files, other.sign(&host.package.bytes, &host.package.file_name()));
    host.base.run(&["release", "alpha"]).exits(0);
    let folder = host.base.agent("alpha").join("1.0.0");
    let mut user = std::process::Command::new("sleep").arg("600").current_dir(folder).spawn().unwrap();
    let asked = host.files.asked_tarball(&host.package);
    host.base.once().exits(1);
    assert_eq!(error_code(&host.meta.agent("alpha")), "version_reused");
    assert_eq!(
        host.files.asked_tarball(&host.package),
        asked,
        "it is not fetched while it cannot be replaced"
    );

    user.kill().and_then(|()| user.wait()).unwrap();
    host.base.run(&["release", "alpha"]).exits(0);
    host.installs(&order);
}
