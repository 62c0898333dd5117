//! The whole way over TLS: beats and tarballs of the real ops-meta.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use e2e::{Authority, Base, Identity, Meta, Package, SOON, Valid, binary, free_port, wait_for};
use serde_json::json;
use tempfile::TempDir;

/// An ops-meta that speaks TLS only, and wants this package on every host.
struct SecureMeta {
    child: Child,
    folder: TempDir,
    url: String,
}

impl SecureMeta {
    /// With the certificate for 127.0.0.1 that `authority` signed.
    fn start(authority: &Authority, package: &Package) -> Self {
        Self::with(&authority.signs("127.0.0.1", Valid::Now), None, package)
    }

    /// It shows `identity`; with `fleet` it wants certificates of hosts, signed by that authority.
    fn with(identity: &Identity, fleet: Option<&Authority>, package: &Package) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-meta-").tempdir().unwrap();
        let path = folder.path();
        // The order names the port, so it has to be known before the start.
        let address = format!("127.0.0.1:{}", free_port());
        let url = format!("https://{address}");
        fs::write(path.join("cert.pem"), &identity.cert_pem).unwrap();
        fs::write(path.join("key.pem"), &identity.key_pem).unwrap();
        fs::create_dir(path.join("tarball")).unwrap();
        package.put(&path.join("tarball"));
        let order = json!({"name": package.name, "version": package.version, "tarball": url, "md5": "", "cmd": "start"});
        let mut tls = json!({"certFile": path.join("cert.pem"), "keyFile": path.join("key.pem")});
        if let Some(fleet) = fleet {
            fleet.put_ca(&path.join("fleet.pem"));
            tls["clientCaFile"] = json!(path.join("fleet.pem"));
        }
        let cfg = json!({"tarballDir": path.join("tarball"), "http": {"enabled": true, "listen": address}, "tls": tls,
                         "agents": [{"default": order, "others": []}]});
        fs::write(path.join("cfg.json"), cfg.to_string()).unwrap();
        let log = fs::File::create(path.join("log")).unwrap();
        let mut command = Command::new(binary("ops-meta"));
        command
            .arg("-c")
            .arg(path.join("cfg.json"))
            .current_dir(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
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

/// A host that beats to `url` and believes `authority`.
fn host(url: &str, authority: &Authority) -> Base {
    let mut base = Base::new(url);
    authority.put_ca(&base.outside().join("ca.pem"));
    base.set("caFile", "ca.pem");
    base
}

/// It shows this certificate to whoever asks.
fn shows(base: &mut Base, identity: &Identity) {
    fs::write(base.outside().join("cert.pem"), &identity.cert_pem).unwrap();
    fs::write(base.outside().join("key.pem"), &identity.key_pem).unwrap();
    base.set("clientCertFile", "cert.pem").set("clientKeyFile", "key.pem");
}

/// The host hears nothing, and says so with this code and in these words.
#[track_caller]
fn refuses(base: &Base, code: &str, words: &str) {
    let once = base.once().exits(1);
    let said = |line: &str| line.contains(&format!("code={code}")) && line.contains(words);
    assert!(once.stderr.lines().any(said), "not {code}, {words}: {}", once.stderr);
    assert!(!base.agent("alpha").exists());
}

fn package() -> Package {
    Package::agent("alpha", "1.0.0")
}

#[test]
fn an_agent_comes_over_tls_from_an_ops_meta_that_the_host_trusts() {
    let authority = Authority::new();
    let meta = SecureMeta::start(&authority, &package());
    let base = host(&meta.url, &authority);

    base.once().exits(0);

    base.daemon("alpha", "1.0.0");
}

#[test]
fn another_authority_is_refused() {
    let meta = SecureMeta::start(&Authority::new(), &package());
    refuses(&host(&meta.url, &Authority::new()), "tls_failed", "no trusted authority signed its certificate");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    for name in ["meta.example", "127.0.0.2"] {
        let meta = SecureMeta::with(&authority.signs(name, Valid::Now), None, &package());
        refuses(&host(&meta.url, &authority), "tls_failed", "its certificate is for another name");
    }
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    for (valid, words) in
        [(Valid::LongAgo, "its certificate has expired"), (Valid::NotYet, "its certificate is not valid yet")]
    {
        let meta = SecureMeta::with(&authority.signs("127.0.0.1", valid), None, &package());
        refuses(&host(&meta.url, &authority), "tls_failed", words);
    }
}

#[test]
fn plain_http_spoken_to_a_port_of_tls_says_so() {
    let authority = Authority::new();
    let meta = SecureMeta::start(&authority, &package());
    let plain = meta.url.replace("https://", "");
    refuses(&host(&plain, &authority), "http_status", "should it be https?");
}

#[test]
fn tls_spoken_to_a_port_of_plain_http_says_so() {
    let meta = Meta::new();
    let base = host(&format!("https://{}", meta.address()), &Authority::new());
    refuses(&base, "tls_failed", "should it be http?");
}

#[test]
fn a_host_with_a_certificate_is_served_where_one_is_wanted() {
    let (ours, fleet) = (Authority::new(), Authority::new());
    let meta = SecureMeta::with(&ours.signs("127.0.0.1", Valid::Now), Some(&fleet), &package());
    let mut base = host(&meta.url, &ours);
    shows(&mut base, &fleet.signs("host-1", Valid::Now));

    base.once().exits(0);

    base.daemon("alpha", "1.0.0");
}

#[test]
fn a_host_without_a_certificate_hears_that_one_is_wanted() {
    let (ours, fleet) = (Authority::new(), Authority::new());
    let meta = SecureMeta::with(&ours.signs("127.0.0.1", Valid::Now), Some(&fleet), &package());
    refuses(&host(&meta.url, &ours), "tls_failed", "it wants a certificate of this host");
}

#[test]
fn a_host_whose_certificate_is_no_good_hears_that_it_is_refused() {
    let (ours, fleet) = (Authority::new(), Authority::new());
    let meta = SecureMeta::with(&ours.signs("127.0.0.1", Valid::Now), Some(&fleet), &package());
    for identity in [Authority::new().signs("host-1", Valid::Now), fleet.signs("host-1", Valid::LongAgo)] {
        let mut base = host(&meta.url, &ours);
        shows(&mut base, &identity);
        refuses(&base, "tls_failed", "it refuses the certificate of this host");
    }
}

/// An ops-meta, or somebody in between, that says it speaks only TLS 1.1.
#[test]
fn an_old_tls_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    // RFC 5246, 7.2: a fatal alert of protocol_version.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&[21, 3, 2, 0, 2, 2, 70]);
        }
    });
    refuses(&host(&url, &Authority::new()), "tls_failed", "it speaks neither TLS 1.2 nor 1.3");
}
