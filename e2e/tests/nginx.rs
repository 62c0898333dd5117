//! Tarballs from a real nginx, plain and over TLS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use e2e::{
    Authority, Base, FakeMeta, Package, SOON, debian, error_code, free_port, get, libraries, wait_for,
};
use serde_json::{Value, json};

struct Nginx {
    folder: tempfile::TempDir,
    child: Child,
    plain: u16,
    tls: u16,
}

impl Nginx {
    fn start(authority: &Authority) -> Self {
        let program = debian("nginx");
        let folder = tempfile::Builder::new().prefix("e2e-nginx-").tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("files")).unwrap();
        fs::create_dir(path.join("tmp")).unwrap();
        fs::write(path.join("cert.pem"), &authority.cert_pem).unwrap();
        fs::write(path.join("key.pem"), &authority.key_pem).unwrap();
        let (plain, tls) = (free_port(), free_port());
        fs::write(path.join("nginx.conf"), configuration(path, plain, tls)).unwrap();
        let child = Command::new(&program)
            .arg("-p")
            .arg(path)
            .arg("-c")
            .arg(path.join("nginx.conf"))
            .env("LD_LIBRARY_PATH", libraries(&program))
            .stdin(Stdio::null())
            .stderr(fs::File::create(path.join("error.log")).unwrap())
            .spawn()
            .unwrap();
        let mut nginx = Self { folder, child, plain, tls };
        wait_for("nginx listens", SOON, || {
            let ended = nginx.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{ended:?}: {}",
                fs::read_to_string(nginx.folder.path().join("error.log")).unwrap()
            );
            get(([127, 0, 0, 1], plain).into(), "/").is_some()
        });
        nginx
    }

    fn order(&self, package: &Package, url: &str) -> Value {
        package.put(&self.folder.path().join("files"));
        json!({"name": package.name, "version": package.version, "tarball": url, "md5": "", "cmd": "start"})
    }

    fn plain_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.plain)
    }

    fn tls_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.tls)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(path: &Path, plain: u16, tls: u16) -> String {
    let path = path.display();
    format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr;
         events {{ }}
         http {{
             access_log off; root {path}/files;
             client_body_temp_path {path}/tmp/a; proxy_temp_path {path}/tmp/b; fastcgi_temp_path {path}/tmp/c;
             uwsgi_temp_path {path}/tmp/d; scgi_temp_path {path}/tmp/e;
             server {{ listen 127.0.0.1:{plain}; }}
             server {{
                 listen 127.0.0.1:{tls} ssl; ssl_certificate {path}/cert.pem; ssl_certificate_key {path}/key.pem;
             }}
         }}\n"
    )
}

#[test]
fn a_package_comes_from_nginx_and_then_over_tls_from_an_authority_of_our_own() {
    let (authority, meta) = (Authority::new(), FakeMeta::new());
    let nginx = Nginx::start(&authority);
    let mut base = Base::new(&meta.address());
    meta.order(&[nginx.order(&Package::agent("alpha", "1.0.0"), &nginx.plain_url())]);
    base.once().exits(0);
    base.daemon("alpha", "1.0.0");

    let over_tls = nginx.order(&Package::agent("alpha", "1.0.1"), &nginx.tls_url());
    meta.order(&[over_tls]);
    base.once().exits(1);
    base.daemon("alpha", "1.0.0");
    assert_eq!(error_code(&meta.agent("alpha")), "tls_failed", "nobody trusts this authority yet");

    authority.put_ca(&base.outside().join("ca.pem"));
    base.set("caFile", "ca.pem");
    base.run(&["release", "alpha"]).exits(0);
    base.once().exits(0);
    base.daemon("alpha", "1.0.1");
}

#[test]
fn a_package_that_nginx_does_not_have_is_waited_for() {
    let meta = FakeMeta::new();
    let nginx = Nginx::start(&Authority::new());
    let base = Base::new(&meta.address());
    let package = Package::agent("alpha", "1.0.0");
    let mut order = nginx.order(&package, &nginx.plain_url());
    fs::remove_file(nginx.folder.path().join("files").join(package.file_name())).unwrap();
    order["md5"] = json!(package.md5());
    meta.order(&[order]);
    base.once().exits(1);
    assert_eq!(error_code(&meta.agent("alpha")), "not_there_yet");
}
