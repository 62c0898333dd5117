//! Decisions as a table: what is here, what is wanted, what follows.

use std::time::Duration;

use ops_wire::Status;

use super::*;

const NOW: Moment = Moment { boot: Duration::from_secs(1000), unix: 1_700_000_000 };
const SETTINGS: Settings =
    Settings { only: None, trial_secs: 120, public_keys: Vec::new(), account: String::new() };
const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
const OTHER_MD5: &str = "00000000000000000000000000000000";

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn digest(text: &str) -> HexDigest {
    HexDigest::md5(text).unwrap()
}

/// An agent that is here in version 1.0.0 and says `status`.
fn real(status: &str) -> Real {
    Real {
        name: "falcon-agent".parse().unwrap(),
        version: Some(version("1.0.0")),
        complete: true,
        record: None,
        wanted_record: None,
        exists: true,
        look: Some(Look::status(Status::read(status))),
        held: None,
        intent: None,
        same_boot: true,
        past: Past::default(),
    }
}

fn nothing_here() -> Real {
    Real { version: None, complete: false, exists: false, look: None, ..real("stoped") }
}

fn desired(wanted: &str, cmd: &str) -> DesiredAgent {
    let cmd = serde_json::from_value(cmd.into()).unwrap();
    DesiredAgent::new("falcon-agent".parse().unwrap(), version(wanted), "http://x".into(), cmd)
}

fn decision(real: &Real, desired: &DesiredAgent) -> Decision {
    decide(real, Some(desired), &SETTINGS, NOW)
}

/// What is done, by the name it has in the log; `none` when nothing is.
fn done(real: &Real, desired: &DesiredAgent) -> &'static str {
    decision(real, desired).order.as_ref().map_or("none", Event::name)
}

fn code(real: &Real, desired: &DesiredAgent) -> Option<ErrorCode> {
    decision(real, desired).fault.map(|fault| fault.code)
}

#[test]
fn only_the_order_acts() {
    for (status, wanted, cmd, expected) in [
        ("started", "1.0.0", "start", "none"),
        ("stoped", "1.0.0", "start", "starting"),
        ("stopped", "1.0.0", "start", "starting"),
        ("not started", "1.0.0", "start", "starting"),
        ("started", "1.0.1", "start", "staging"),
        ("stoped", "1.0.1", "start", "staging"),
        ("started", "1.0.0", "stop", "stopping"),
        ("started", "9.9.9", "stop", "stopping"),
        ("stoped", "1.0.0", "stop", "none"),
        ("started", "9.9.9", "uninstall", "uninstalling"),
        ("stoped", "1.0.0", "uninstall", "uninstalling"),
        ("started", "1.0.1", "", "none"),
        ("stoped", "1.0.0", "", "none"),
        ("started", "1.0.0", "dance", "none"),
    ] {
        assert_eq!(done(&real(status), &desired(wanted, cmd)), expected, "{status} {wanted} {cmd}");
    }
}

#[test]
fn what_is_not_here_is_installed_and_never_stopped() {
    for (cmd, expected) in [("start", "staging"), ("stop", "none"), ("uninstall", "none"), ("", "none")] {
        assert_eq!(done(&nothing_here(), &desired("1.0.0", cmd)), expected, "{cmd}");
    }
}

#[test]
fn without_an_order_nothing_happens() {
    assert_eq!(decide(&real("stoped"), None, &SETTINGS, NOW).order, None);
}

#[test]
fn an_unknown_order_is_reported() {
    assert_eq!(code(&real("started"), &desired("1.0.0", "dance")), Some(ErrorCode::UnknownCmd));
}

#[test]
fn only_the_agent_that_the_configuration_names_is_acted_on() {
    let settings = Settings { only: Some("other".parse().unwrap()), ..SETTINGS };
    assert_eq!(decide(&real("stoped"), Some(&desired("1.0.0", "start")), &settings, NOW).order, None);
}

#[test]
fn a_hold_suspends_everything() {
    let held = Real { held: Some("mine".into()), ..real("stoped") };
    for cmd in ["start", "stop", "uninstall"] {
        assert_eq!(done(&held, &desired("2.0.0", cmd)), "none");
        assert_eq!(code(&held, &desired("2.0.0", cmd)), Some(ErrorCode::Held));
    }
}

#[test]
fn a_status_that_cannot_say_starts_nothing_beside_a_process() {
    let silent =
        Look { fault: Some(Fault::new(ErrorCode::StatusTimeout, "slow")), ..Look::status(Status::read("?")) };
    let nobody = Real { look: Some(silent.clone()), ..real("") };
    let somebody = Real { look: Some(Look { present: true, ..silent }), ..real("") };
    assert_eq!(done(&nobody, &desired("1.0.0", "start")), "starting");
    assert_eq!(done(&somebody, &desired("1.0.0", "start")), "none");
    assert_eq!(code(&somebody, &desired("1.0.0", "start")), Some(ErrorCode::StatusTimeout));
}

#[test]
fn a_folder_of_the_wanted_digest_is_not_fetched_again() {
    let record = Record { md5: Some(digest(MD5)), ..Record::default() };
    let kept = Real { wanted_record: Some(record), ..real("started") };
    let with = |text| DesiredAgent { md5: Md5::Digest(digest(text)), ..desired("1.0.1", "start") };
    assert_eq!(done(&kept, &with(MD5)), "upgrading");
    assert_eq!(done(&kept, &with(OTHER_MD5)), "staging");
    assert_eq!(done(&kept, &desired("1.0.1", "start")), "staging");
}

fn signed_by(key: &str) -> Record {
    Record { md5: Some(digest(MD5)), signed_by: key.to_owned(), ..Record::default() }
}

fn with_keys() -> Settings {
    Settings { public_keys: vec!["old".to_owned(), "new".to_owned()], ..SETTINGS }
}

#[test]
fn what_was_staged_unsigned_does_not_count_once_keys_are_configured() {
    let order = DesiredAgent { md5: Md5::Digest(digest(MD5)), ..desired("1.0.1", "start") };
    let settings = with_keys();
    for (key, expected) in
        [("old", "upgrading"), ("new", "upgrading"), ("withdrawn", "staging"), ("", "staging")]
    {
        let kept = Real { wanted_record: Some(signed_by(key)), ..real("started") };
        let order = decide(&kept, Some(&order), &settings, NOW).order;
        assert_eq!(order.as_ref().map(Event::name), Some(expected));
    }
}

#[test]
fn a_version_in_use_whose_key_was_withdrawn_runs_on_and_is_told() {
    let decided = |key, settings: &Settings| {
        let here = Real { record: Some(signed_by(key)), ..real("started") };
        let decision = decide(&here, Some(&desired("1.0.0", "start")), settings, NOW);
        (decision.order, decision.fault.map(|it| it.code))
    };
    assert_eq!(decided("withdrawn", &with_keys()), (None, Some(ErrorCode::KeyWithdrawn)));
    // Keys that came later say nothing of it, nor does a host that demands no signature any more.
    for (key, settings) in [("old", with_keys()), ("", with_keys()), ("withdrawn", SETTINGS)] {
        assert_eq!(decided(key, &settings), (None, None));
    }
}

#[test]
fn another_content_under_the_version_in_use_is_reported_and_nothing_is_done() {
    let record = Record { md5: Some(digest(MD5)), ..Record::default() };
    let here = Real { record: Some(record), ..real("started") };
    let reused = DesiredAgent { md5: Md5::Digest(digest(OTHER_MD5)), ..desired("1.0.0", "start") };
    assert_eq!((done(&here, &reused), code(&here, &reused)), ("none", Some(ErrorCode::VersionReused)));
}

#[test]
fn a_version_whose_folder_is_gone_is_staged_again_and_what_still_runs_of_it_is_stopped() {
    let gone = Real { complete: false, look: None, ..real("") };
    let Some(Event::StageOrdered(upgrade)) = decision(&gone, &desired("1.0.0", "start")).order else {
        panic!()
    };
    assert_eq!((upgrade.from, upgrade.replaces), (None, Some(version("1.0.0"))));
}

fn failed(code: ErrorCode, times: u32, digest: Option<HexDigest>) -> Past {
    let mut past = Past::default();
    let fault = Fault::new(code, "no").with_digest(digest.as_ref());
    (0..times).for_each(|_| past.remember(&version("1.0.1"), &fault, true, NOW.unix, 0.0));
    past
}

#[test]
fn a_failure_waits_by_its_class() {
    for (code, times, waits) in [
        (ErrorCode::Unreachable, 1, Some(30)),
        (ErrorCode::Unreachable, 2, Some(60)),
        (ErrorCode::NotThereYet, 20, Some(3600)),
        (ErrorCode::NoSpace, 5, Some(60)),
        (ErrorCode::StartTimeout, 1, Some(10)),
        (ErrorCode::StartTimeout, 2, None),
        (ErrorCode::TrialFailed, 2, None),
        (ErrorCode::Md5Mismatch, 1, None),
        (ErrorCode::ArchiveUnsafe, 1, None),
        (ErrorCode::RollbackFailed, 9, Some(600)),
    ] {
        let past = failed(code, times, None);
        let next = past.failures[0].next_try.map(|next| next - NOW.unix);
        assert_eq!((past.failures.len(), next), (1, waits), "{code} {times}");
    }
}

#[test]
fn what_failed_is_not_tried_before_its_time() {
    let here = Real { past: failed(ErrorCode::Unreachable, 1, None), ..real("started") };
    assert_eq!(done(&here, &desired("1.0.1", "start")), "none");
    let later = Moment { unix: NOW.unix + 31, ..NOW };
    assert!(decide(&here, Some(&desired("1.0.1", "start")), &SETTINGS, later).order.is_some());
    assert_eq!(done(&here, &desired("1.0.2", "start")), "staging", "another version is another matter");
}

#[test]
fn the_version_in_use_is_kept_running_while_the_wanted_one_cannot_be_had() {
    let here = Real { past: failed(ErrorCode::Md5Mismatch, 1, None), ..real("stoped") };
    let decision = decision(&here, &desired("1.0.1", "start"));
    assert_eq!(decision.order, Some(Event::StartOrdered(version("1.0.0"))));
    assert_eq!(decision.fault.map(|fault| fault.code), Some(ErrorCode::Md5Mismatch));
}

#[test]
fn a_clock_that_was_set_back_does_not_lock_a_version_out() {
    let here = Real { past: failed(ErrorCode::Unreachable, 1, None), ..real("started") };
    let earlier = Moment { unix: NOW.unix - 1_000_000, ..NOW };
    assert!(decide(&here, Some(&desired("1.0.1", "start")), &SETTINGS, earlier).order.is_some());
}

#[test]
fn another_digest_is_another_package() {
    let here = Real { past: failed(ErrorCode::Md5Mismatch, 1, Some(digest(MD5))), ..real("started") };
    let with = |text| DesiredAgent { md5: Md5::Digest(digest(text)), ..desired("1.0.1", "start") };
    assert_eq!(done(&here, &with(MD5)), "none");
    assert_eq!(done(&here, &with(OTHER_MD5)), "staging");
}

#[test]
fn retry_after_is_obeyed() {
    let mut past = Past::default();
    let busy = |secs| Fault { retry_after_secs: Some(secs), ..Fault::new(ErrorCode::HttpStatus, "busy") };
    past.remember(&version("1.0.1"), &busy(600), true, NOW.unix, 0.0);
    assert_eq!(past.failures[0].next_try, Some(NOW.unix + 600));
    for waits in [1, 2, 4] {
        past.remember(&version("1.0.2"), &busy(0), true, NOW.unix, 0.0);
        assert_eq!(past.failures[1].next_try, Some(NOW.unix + waits), "and more each time");
    }
}

#[test]
fn an_upgrade_that_was_left_under_way_goes_on() {
    let upgrade = Upgrade {
        from: Some(version("1.0.0")),
        replaces: Some(version("1.0.0")),
        to: version("1.0.1"),
        digest: None,
        trial_secs: 1,
        rollout: None,
        starts: 0,
    };
    let intent =
        Intent { upgrade, phase: Phase::Switching, deadline: None, boot_id: String::new(), fault: None };
    let here = Real { intent: Some(intent), ..real("stoped") };
    assert_eq!(done(&here, &desired("1.0.1", "start")), "resuming");
    assert_eq!(decide(&here, None, &SETTINGS, NOW).order.as_ref().map(Event::name), Some("resuming"));
    for other in [desired("1.0.2", "start"), desired("1.0.1", "stop"), desired("1.0.1", "uninstall")] {
        assert_eq!(done(&here, &other), "resuming", "either version may run");
    }
    let mut in_trial = here.clone();
    in_trial.intent.as_mut().unwrap().phase = Phase::Trial;
    in_trial.version = Some(version("1.0.1"));
    assert_eq!(done(&in_trial, &desired("1.0.2", "start")), "staging");
    assert_eq!(done(&real("started"), &desired("1.0.0", "stop")), "stopping");
}

#[test]
fn only_root_runs_an_agent_as_somebody_else_and_another_account_comes_with_another_version() {
    let wanted = |version: &str, account: &str| {
        let mut wanted = desired(version, "start");
        wanted.run_user = account.to_owned();
        wanted
    };
    let as_account = |own: &str, wanted: &DesiredAgent, real: &Real| {
        let settings = Settings { account: own.to_owned(), ..SETTINGS };
        let decision = decide(real, Some(wanted), &settings, NOW);
        (decision.order.as_ref().map(Event::name), decision.fault.map(|it| it.code))
    };
    let here = real("started");
    assert_eq!(as_account("root", &wanted("1.0.1", "agent"), &here), (Some("staging"), None));
    assert_eq!(as_account("me", &wanted("1.0.1", "me"), &here), (Some("staging"), None));
    assert_eq!(
        as_account("me", &wanted("1.0.1", "agent"), &here),
        (None, Some(ErrorCode::AccountMissing)),
        "nothing is started as another account than the ordered one"
    );
    assert_eq!(as_account("root", &wanted("1.0.0", "root"), &here), (None, None));
    assert_eq!(as_account("root", &wanted("1.0.0", "agent"), &here), (None, Some(ErrorCode::VersionReused)));
    let record = |account: &str| {
        Some(Record { run_user: account.to_owned(), md5: Some(digest(MD5)), ..Record::default() })
    };
    let mut one = wanted("1.0.1", "agent");
    one.md5 = Md5::Digest(digest(MD5));
    let staged = Real { wanted_record: record("agent"), ..here.clone() };
    assert_eq!(as_account("root", &one, &staged), (Some("upgrading"), None));
    let staged = Real { wanted_record: record("other"), ..here };
    assert_eq!(as_account("root", &one, &staged), (Some("staging"), None), "it belongs to another account");
}
