//! Downloads: whatever a server does, beats and other agents go on, and the running version is untouched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::{Authority, Base, Entry, FakeMeta, Fault, FileServer, Package, error_code, wait_for};
use md5::{Digest, Md5};
use serde_json::{Value, json};

/// A host on which alpha 1.0.0 runs and 1.0.1 is about to be ordered.
struct Host {
    meta: FakeMeta,
    files: FileServer,
    base: Base,
    next: Package,
    running: i32,
}

impl Host {
    fn new() -> Self {
        Self::on(FileServer::new(), |_| ())
    }

    fn on(files: FileServer, prepare: impl FnOnce(&mut Base)) -> Self {
        let meta = FakeMeta::new();
        let mut base = Base::new(&meta.address());
        base.set("answerTimeoutSecs", 2);
        prepare(&mut base);
        meta.order(&[files.offer(&Package::agent("alpha", "1.0.0"))]);
        base.once().exits(0);
        let (next, running) = (Package::agent("alpha", "1.0.1"), base.daemon("alpha", "1.0.0"));
        files.offer(&next);
        Self { meta, files, base, next, running }
    }

    /// The order for 1.0.1 with this beside it or instead.
    fn order(&self, more: &Value) {
        let mut order = self.files.order(&self.next, "start");
        more.as_object().unwrap().iter().for_each(|(key, value)| order[key] = value.clone());
        self.meta.order(&[order]);
    }

    /// 1.0.1 is ordered and fails with this code; 1.0.0 runs on as if nothing were.
    #[track_caller]
    fn fails(&self, more: &Value, code: &str) -> Value {
        self.order(more);
        self.base.once().exits(1);
        let agent = self.meta.agent("alpha");
        assert_eq!(error_code(&agent), code, "{agent}");
        assert_eq!(self.base.daemon("alpha", "1.0.0"), self.running);
        assert_eq!(self.base.version("alpha").as_deref(), Some("1.0.0"));
        assert!(!self.base.has("alpha", "1.0.1"));
        agent
    }

    #[track_caller]
    fn works(&self, more: &Value) {
        self.order(more);
        self.base.once().exits(0);
        self.base.daemon("alpha", "1.0.1");
    }

    fn md5_path(&self) -> String {
        format!("/{}.md5", self.next.file_name())
    }

    /// The agent's memory of failures is cleared, as an operator does.
    fn release(&self) {
        self.base.run(&["release", "alpha"]).exits(0);
    }
}

fn nothing() -> Value {
    json!({})
}

#[test]
fn a_server_that_falls_silent_in_the_middle_is_a_timeout() {
    let host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Stall);
    host.fails(&nothing(), "timeout");
}

#[test]
fn a_server_that_never_answers_is_a_timeout() {
    let host = Host::new();
    host.files.spoil(&host.md5_path(), Fault::Silent);
    host.fails(&nothing(), "timeout");
}

#[test]
fn a_slow_honest_download_is_waited_for() {
    let host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Drip(host.next.bytes.len() / 50));
    host.works(&nothing());
}

#[test]
fn a_download_that_takes_longer_than_it_may_is_given_up() {
    let host = Host::on(FileServer::new(), |base| {
        base.set("downloadTimeoutSecs", 1);
    });
    host.files.spoil_tarball(&host.next, Fault::Drip(100));
    host.fails(&nothing(), "timeout");
}

#[test]
fn a_download_that_breaks_off_is_resumed_where_it_broke() {
    let host = Host::new();
    let half = host.next.bytes.len() / 2;
    host.files.spoil_tarball(&host.next, Fault::Truncated(half));
    host.fails(&nothing(), "unreachable");
    host.files.mend();
    host.release();
    host.works(&nothing());
    let path = format!("/{}", host.next.file_name());
    assert_eq!(host.files.last_header(&path, "range"), Some(format!("bytes={half}-")));
    assert!(host.files.last_header(&path, "if-range").is_some());
}

#[test]
fn a_file_that_changed_meanwhile_is_not_glued_together() {
    let mut host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Truncated(1000));
    host.fails(&nothing(), "unreachable");
    host.files.mend();
    host.next = Package::with_script("alpha", "1.0.1", &format!("{}\n# other", e2e::agent_script()));
    host.files.offer(&host.next);
    host.release();
    host.works(&nothing());
}

#[test]
fn an_md5_file_of_rubbish_verifies_nothing() {
    let host = Host::new();
    host.files.put(&host.md5_path(), "<html>welcome to our network</html>\n");
    host.fails(&nothing(), "md5_missing");
}

#[test]
fn the_md5_can_be_the_digest_itself() {
    let host = Host::new();
    host.files.remove(&host.md5_path());
    host.works(&json!({"md5": host.next.md5()}));
}

#[test]
fn a_wrong_digest_in_the_order_is_a_mismatch() {
    let host = Host::new();
    host.fails(&json!({"md5": format!("{:x}", Md5::digest("other"))}), "md5_mismatch");
}

#[test]
fn the_md5_file_can_lie_below_another_prefix() {
    let (host, elsewhere) = (Host::new(), FileServer::new());
    host.files.remove(&host.md5_path());
    elsewhere.put(&format!("/sums{}", host.md5_path()), host.next.md5_file());
    host.works(&json!({"md5": format!("{}/sums", elsewhere.url())}));
}

#[test]
fn a_sha256_wins_over_the_md5() {
    let host = Host::new();
    host.files.remove(&host.md5_path());
    host.works(&json!({"sha256": host.next.sha256(), "md5": format!("{:x}", Md5::digest("other"))}));
}

#[test]
fn a_server_that_answers_with_the_rest_of_nothing_for_ever_is_an_error() {
    for status in [206, 416] {
        let host = Host::new();
        host.files.spoil_tarball(&host.next, Fault::Status(status));
        host.fails(&nothing(), "http_status");
        host.release();
        // The same to whoever asks for the rest of something.
        host.files.spoil_tarball(&host.next, Fault::Truncated(1000));
        host.fails(&nothing(), "unreachable");
        host.release();
        host.files.spoil_tarball(&host.next, Fault::Status(status));
        host.fails(&nothing(), "http_status");
        assert!(host.files.asked_tarball(&host.next) <= 4, "asked and asked again");
    }
}

#[test]
fn a_package_of_another_size_than_the_order_promises_is_a_mismatch() {
    let host = Host::new();
    let size = host.next.bytes.len();
    for promised in [size - 1, size + 1] {
        host.fails(&json!({"size": promised}), "md5_mismatch");
        host.release();
        let order = json!({"size": promised, "sha256": host.next.sha256()});
        host.fails(&order, "sha256_mismatch");
        host.release();
    }
    host.works(&json!({"size": size}));
}

#[test]
fn a_wrong_sha256_is_a_mismatch_whatever_the_md5_says() {
    let host = Host::new();
    host.fails(
        &json!({"sha256": Package::agent("alpha", "7").sha256(), "md5": host.next.md5()}),
        "sha256_mismatch",
    );
}

#[test]
fn a_file_that_is_announced_too_large_is_not_fetched() {
    let host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Length(1 << 50));
    host.fails(&nothing(), "too_large");
}

#[test]
fn a_file_without_an_end_is_cut_off() {
    let host = Host::on(FileServer::new(), |base| {
        base.set("tarballBytesMax", 1 << 20);
    });
    host.files.spoil_tarball(&host.next, Fault::Endless);
    host.fails(&nothing(), "too_large");
}

#[test]
fn a_file_that_is_shorter_than_announced_is_not_installed() {
    let host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Length(host.next.bytes.len() as u64 + 7));
    host.fails(&nothing(), "unreachable");
}

#[test]
fn a_file_that_is_shorter_than_ordered_is_fetched_again() {
    let host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Unannounced(host.next.bytes.len() / 2));
    let order = json!({"size": host.next.bytes.len()});
    let agent = host.fails(&order, "unreachable");
    assert!(
        agent["nextTry"].as_i64().unwrap() > now(),
        "the network broke, the package is not to blame: {agent}"
    );
    host.files.mend();
    host.release();
    host.works(&order);
}

#[test]
fn an_md5_file_that_drips_is_a_timeout() {
    let host = Host::new();
    // Each byte comes in time; all of them would take minutes.
    host.files.put(&host.md5_path(), vec![b'a'; 4000]);
    host.files.spoil(&host.md5_path(), Fault::Drip(1));
    host.fails(&nothing(), "timeout");
}

#[test]
fn a_password_in_a_url_is_not_told() {
    let host = Host::new();
    let prefix = format!("{}/nowhere", host.files.url().replace("//", "//me:s3cret@"));
    for (more, code) in [(json!({}), "md5_missing"), (json!({"sha256": host.next.sha256()}), "not_there_yet")]
    {
        let mut order = more;
        order["tarball"] = json!(prefix);
        let agent = host.fails(&order, code);
        assert!(agent["error"].as_str().unwrap().contains("/nowhere/"), "{agent}");
        host.release();
    }
    assert!(!host.base.log().contains("s3cret"), "in the log");
    assert!(!json!(host.meta.beats()).to_string().contains("s3cret"), "in a beat");
}

#[test]
fn a_few_packages_are_fetched_at_a_time_and_all_in_the_end() {
    let (meta, files) = (FakeMeta::new(), FileServer::new());
    let mut base = Base::new(&meta.address());
    // An agent without a daemon: it is what is staged that counts.
    let script = "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
case $1 in
start) >up ;;
stop) rm -f up ;;
status) if [ -e up ]; then echo started; else echo stoped; fi ;;
esac
";
    let packages: Vec<Package> = (0..40)
        .map(|it| Package::of(&format!("a{it}"), "1.0.0", &[Entry::file("control", 0o755, script)]))
        .collect();
    meta.order(&packages.iter().map(|it| files.offer(it)).collect::<Vec<_>>());
    // Long enough that they would all be under way together.
    packages.iter().for_each(|it| files.spoil_tarball(it, Fault::Drip(it.bytes.len() / 3)));
    base.start();

    let mut most = 0;
    wait_for("all are installed", Duration::from_secs(60), || {
        most = most.max(staging_children(base.updater_pid()));
        packages.iter().all(|it| base.version(&it.name).is_some())
    });

    assert!((1..=4).contains(&most), "{most} at a time");
}

/// Children of the updater that fetch and unpack.
fn staging_children(updater: i32) -> usize {
    let children = std::fs::read_to_string(format!("/proc/{updater}/task/{updater}/children")).unwrap();
    let stages = |pid: &&str| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split('\0').any(|it| it == "stage")
    };
    children.split_whitespace().filter(stages).count()
}

#[test]
fn a_redirect_is_followed() {
    let (host, elsewhere) = (Host::new(), FileServer::new());
    elsewhere.offer(&host.next);
    host.files
        .spoil_tarball(&host.next, Fault::Redirect(format!("{}/{}", elsewhere.url(), host.next.file_name())));
    host.works(&nothing());
}

#[test]
fn a_redirect_in_a_circle_ends() {
    let host = Host::new();
    host.files.spoil_tarball(
        &host.next,
        Fault::Redirect(format!("{}/{}", host.files.url(), host.next.file_name())),
    );
    host.fails(&nothing(), "http_status");
    assert!(host.files.asked_tarball(&host.next) <= 4);
}

#[test]
fn a_redirect_from_https_down_to_http_is_refused() {
    let (authority, plain) = (Authority::new(), FileServer::new());
    let host = Host::on(FileServer::tls(&authority), |base| {
        authority.put_ca(&base.outside().join("ca.pem"));
        base.set("caFile", "ca.pem");
    });
    plain.offer(&host.next);
    host.files
        .spoil_tarball(&host.next, Fault::Redirect(format!("{}/{}", plain.url(), host.next.file_name())));
    host.fails(&nothing(), "tls_failed");
    assert_eq!(plain.requests(), 0);
}

#[test]
fn a_redirect_from_http_up_to_https_is_followed_to_whom_we_trust() {
    let authority = Authority::new();
    let secure = FileServer::tls(&authority);
    let host = Host::on(FileServer::new(), |base| {
        authority.put_ca(&base.outside().join("ca.pem"));
        base.set("caFile", "ca.pem");
    });
    secure.offer(&host.next);
    host.files
        .spoil_tarball(&host.next, Fault::Redirect(format!("{}/{}", secure.url(), host.next.file_name())));
    host.works(&nothing());
    assert_eq!(secure.asked_tarball(&host.next), 1);
}

#[test]
fn a_redirect_from_http_up_to_https_of_whom_we_do_not_trust_is_refused() {
    let (host, strange) = (Host::new(), FileServer::tls(&Authority::new()));
    strange.offer(&host.next);
    host.files
        .spoil_tarball(&host.next, Fault::Redirect(format!("{}/{}", strange.url(), host.next.file_name())));
    host.fails(&nothing(), "tls_failed");
    assert_eq!(strange.requests(), 0);
}

#[test]
fn a_certificate_that_nobody_trusted_signed_is_refused() {
    let host = Host::new();
    let strange = FileServer::tls(&Authority::new());
    strange.offer(&host.next);
    host.fails(&json!({"tarball": strange.url(), "md5": host.next.md5()}), "tls_failed");
    assert_eq!(strange.requests(), 0);
}

#[test]
fn a_package_that_is_not_there_yet_is_waited_for() {
    let host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Status(404));
    let agent = host.fails(&nothing(), "not_there_yet");
    assert!(agent["nextTry"].as_i64().unwrap() > now(), "{agent}");
    let asked = host.files.requests();
    host.fails(&nothing(), "not_there_yet");
    assert_eq!(host.files.requests(), asked, "it is not asked for before that");
}

#[test]
fn a_server_that_fails_is_an_http_status_and_tried_again() {
    let host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::Status(500));
    let agent = host.fails(&nothing(), "http_status");
    assert!(agent["nextTry"].as_i64().unwrap() > now() && agent["attempt"] == 1, "{agent}");
}

#[test]
fn a_server_that_asks_for_time_gets_it_up_to_an_hour() {
    let host = Host::new();
    for (asked, least, most) in [("600", 590, 660), ("999999", 3500, 3960)] {
        host.files.spoil_tarball(&host.next, Fault::RetryAfter(asked.to_owned()));
        let agent = host.fails(&nothing(), "http_status");
        let wait = agent["nextTry"].as_i64().unwrap() - now();
        assert!((least..=most).contains(&wait), "{asked} asked, {wait} given");
        host.release();
    }
}

#[test]
fn a_server_that_asks_for_a_moment_is_asked_again_by_itself() {
    let mut host = Host::new();
    host.files.spoil_tarball(&host.next, Fault::RetryAfter("1".to_owned()));
    host.order(&nothing());
    host.base.start();
    wait_for("it was asked once", Duration::from_secs(20), || host.files.asked_tarball(&host.next) > 0);
    host.files.mend();
    wait_for("it is installed", Duration::from_secs(20), || host.base.daemons("alpha").contains_key("1.0.1"));
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let host = Host::new();
    host.fails(&json!({"tarball": format!("http://127.0.0.1:{}", e2e::free_port())}), "unreachable");
}

#[test]
fn a_mirror_that_fails_is_passed_over() {
    let (host, mirror) = (Host::new(), FileServer::new());
    host.works(&json!({"mirrors": [mirror.url()]}));
    assert_eq!(mirror.requests(), 1);
}

#[test]
fn a_version_in_use_is_never_replaced_by_another_content() {
    let host = Host::new();
    let other = Package::with_script("alpha", "1.0.0", &format!("{}\n# other", e2e::agent_script()));
    host.files.offer(&other);
    let before = std::fs::read(host.base.agent("alpha").join("1.0.0/control")).unwrap();
    let mut order = host.files.order(&other, "start");
    order["md5"] = json!(other.md5());
    host.meta.order(&[order]);
    host.base.once().exits(1);
    assert_eq!(error_code(&host.meta.agent("alpha")), "version_reused");
    assert_eq!(host.base.daemon("alpha", "1.0.0"), host.running);
    assert_eq!(std::fs::read(host.base.agent("alpha").join("1.0.0/control")).unwrap(), before);
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}
