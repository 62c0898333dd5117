//! The whole way over TLS: beats and tarballs of the real ops-meta.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;
use std::process::{Child, Command, Stdio};

use e2e::{Authority, Base, Package, SOON, binary, free_port, wait_for};
use serde_json::json;
use tempfile::TempDir;

/// An ops-meta that speaks TLS only, and wants this package on every host.
struct SecureMeta {
    child: Child,
    folder: TempDir,
    url: String,
}

impl SecureMeta {
    fn start(authority: &Authority, package: &Package) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-meta-").tempdir().unwrap();
        let path = folder.path();
        // The order names the port, so it has to be known before the start.
        let address = format!("127.0.0.1:{}", free_port());
        let url = format!("https://{address}");
        fs::write(path.join("cert.pem"), &authority.cert_pem).unwrap();
        fs::write(path.join("key.pem"), &authority.key_pem).unwrap();
        fs::create_dir(path.join("tarball")).unwrap();
        package.put(&path.join("tarball"));
        let order = json!({"name": package.name, "version": package.version, "tarball": url, "md5": "", "cmd": "start"});
        let cfg = json!({"tarballDir": path.join("tarball"), "http": {"enabled": true, "listen": address},
                         "tls": {"certFile": path.join("cert.pem"), "keyFile": path.join("key.pem")},
                         "agents": [{"default": order, "others": []}]});
        fs::write(path.join("cfg.json"), cfg.to_string()).unwrap();
        let log = fs::File::create(path.join("log")).unwrap();
        let mut command = Command::new(binary("ops-meta"));
        command.arg("-c").arg(path.join("cfg.json")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut meta = Self { child: command.spawn().unwrap(), folder, url };
        wait_for("ops-meta listens", SOON, || {
            assert!(meta.child.try_wait().unwrap().is_none(), "{}", meta.log());
            meta.log().contains("listening=")
        });
        meta
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for SecureMeta {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_agent_comes_over_tls_from_an_ops_meta_that_the_host_trusts() {
    let (authority, package) = (Authority::new(), Package::agent("alpha", "1.0.0"));
    let meta = SecureMeta::start(&authority, &package);
    let mut base = Base::new(&meta.url);
    authority.put_ca(&base.outside().join("ca.pem"));
    base.set("caFile", "ca.pem");

    base.once().exits(0);

    base.daemon("alpha", "1.0.0");
}

#[test]
fn a_host_that_does_not_trust_it_hears_nothing_and_says_why() {
    let meta = SecureMeta::start(&Authority::new(), &Package::agent("alpha", "1.0.0"));
    let mut base = Base::new(&meta.url);
    Authority::new().put_ca(&base.outside().join("ca.pem"));
    base.set("caFile", "ca.pem");

    let once = base.once().exits(1);

    assert!(once.stderr.contains("code=tls_failed"), "{}", once.stderr);
    assert!(!base.agent("alpha").exists());
}
