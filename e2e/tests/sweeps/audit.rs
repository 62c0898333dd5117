//! What an upgrade makes last, and in which order, from the trace of a good one: a sync that is missing shows in no other
//! test, since nothing here really loses what was written.

use std::path::Path;

use crate::host::{NEW, OLD, Scenario};
use crate::record;
use crate::strace::Call;

struct Trace {
    calls: Vec<Call>,
    /// Everything before it was found in its order.
    at: usize,
}

impl Trace {
    /// The next call that is one of these, which also has to be the first one of them at all.
    #[track_caller]
    fn first(&mut self, what: &str, is: impl Fn(&Call) -> bool) -> usize {
        let first = self.calls.iter().position(|it| it.succeeded() && is(it));
        let first = first.unwrap_or_else(|| panic!("never: {what}"));
        assert!(first >= self.at, "too early: {what}");
        self.at = first + 1;
        first
    }

    /// The call that changes or syncs something next, of the same process.
    #[track_caller]
    fn at_once(&mut self, what: &str, is: impl Fn(&Call) -> bool) {
        let pid = self.calls[self.at - 1].pid;
        let next = (self.at..self.calls.len()).find(|at| {
            let call = &self.calls[*at];
            call.pid == pid && call.mutates() && call.paths.iter().any(|it| !it.starts_with("/dev"))
        });
        let next = next.unwrap_or_else(|| panic!("never: {what}"));
        let call = &self.calls[next];
        assert!(is(call) && call.succeeded(), "not at once: {what}, but {call:?}");
        self.at = next + 1;
    }

    fn none_after(&self, at: usize, what: &str, is: impl Fn(&Call) -> bool) {
        let wrong = self.calls.iter().skip(at + 1).find(|it| is(it));
        assert!(wrong.is_none(), "{what}: {wrong:?}");
    }
}

fn syncs<'a>(path: &'a Path) -> impl Fn(&Call) -> bool + 'a {
    move |it| it.name == "fsync" && it.touches(path)
}

fn renames<'a>(from: &'a Path, to: &'a Path) -> impl Fn(&Call) -> bool + 'a {
    move |it| it.name.starts_with("rename") && it.paths == [from, to]
}

fn calls_control<'a>(script: &'a Path, verb: &'a str) -> impl Fn(&Call) -> bool + 'a {
    move |it| it.name == "execve" && it.touches(script) && it.args.contains(&format!("\"{verb}\"]"))
}

fn audit(trial_secs: u32) {
    let (base, updater, calls) = record(Scenario::Upgrade { trial_secs });
    let alpha = base.join("alpha");
    let staged = base.join(".ops-updater/staging/alpha/unpacked");
    let control = |version: &str| alpha.join(version).join("control");
    let [upgrade, upgrade_new, version, version_new] =
        [".upgrade", ".upgrade.new", ".version", ".version.new"].map(|it| alpha.join(it));
    let mut trace = Trace { calls, at: 0 };

    let synced =
        trace.first("the unpacked folder is synced", |it| it.name == "syncfs" && it.touches(&staged));
    let is_content =
        |it: &Call| it.pid != updater && it.mutates() && it.paths.iter().any(|it| it.starts_with(&staged));
    assert!(
        trace.calls[..synced].iter().filter(|it| is_content(it)).count() > 8,
        "the content is written first"
    );
    trace.none_after(synced, "the content changes after it was synced", is_content);
    trace.first("the folder gets its name", renames(&staged, &alpha.join(NEW)));
    trace.at_once("that is made to last", syncs(&alpha));

    trace.first("the intent is synced", syncs(&upgrade_new));
    trace.at_once("the intent gets its name", renames(&upgrade_new, &upgrade));
    trace.at_once("that is made to last", syncs(&alpha));

    let prepared = trace.first("the new `.version` is synced", syncs(&version_new));
    trace.none_after(prepared, "it changes after it was synced", |it| {
        it.name == "write" && it.touches(&version_new)
    });
    trace.first("the old version is stopped", calls_control(&control(OLD), "stop"));
    trace.first("the new version is started", calls_control(&control(NEW), "start"));
    trace.first("`.version` flips", renames(&version_new, &version));
    trace.at_once("that is made to last", syncs(&alpha));

    if trial_secs > 0 {
        // A record of it was synced before: the second of its kind.
        let noted = trace.calls[trace.at..].iter().position(syncs(&upgrade_new)).expect("the trial is noted");
        trace.at += noted + 1;
        trace.at_once("the trial gets its record", renames(&upgrade_new, &upgrade));
        trace.at_once("that is made to last", syncs(&alpha));
    }
    trace.first("the upgrade is over", |it| it.name.starts_with("unlink") && it.touches(&upgrade));
    every_rename_is_durable(&trace.calls, &base);
}

/// Whatever is renamed was synced after its last change, and so is the folder above, next of all.
fn every_rename_is_durable(calls: &[Call], base: &Path) {
    for (at, rename) in calls.iter().enumerate().filter(|(_, it)| it.name.starts_with("rename")) {
        let [from, to] = rename.paths.as_slice() else { panic!("{rename:?}") };
        assert!(to.starts_with(base), "{rename:?}");
        let last = calls[..at].iter().rev().find(|it| it.mutates() && it.touches(from));
        assert!(
            last.is_some_and(|it| it.name.contains("sync")),
            "renamed and not synced: {rename:?}, after {last:?}"
        );
        let next = calls[at + 1..].iter().find(|it| it.pid == rename.pid && it.mutates());
        let parent = to.parent().unwrap();
        assert!(next.is_some_and(syncs(parent)), "the folder above is not synced: {rename:?}, then {next:?}");
    }
}

#[test]
fn everything_is_synced_before_the_next_step_depends_on_it() {
    audit(0);
    audit(1);
}
