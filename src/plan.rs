//! What to do next with an agent, and why: a pure function of what is real, what is desired, what failed before and
//! the time. Also the memory of failures, whose rules are part of the decision.

mod garbage;
mod starts;

use ops_wire::{AgentName, Cmd, DesiredAgent, ErrorCode, HexDigest, Md5, Version};
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::upgrade::{Event, Intent, Look, Moment, Phase, Upgrade};

pub use garbage::garbage;
pub use starts::Starts;

/// First wait after a failure of the network, doubled each time, with jitter.
const NETWORK_WAIT_SECS: i64 = 30;
/// Longest wait after a failure of the network, and the most that a `Retry-After` is obeyed (WIRE).
pub const NETWORK_WAIT_SECS_MAX: i64 = 3600;
/// First wait after a control script failed.
const CONTROL_WAIT_SECS: i64 = 10;
const CONTROL_WAIT_SECS_MAX: i64 = 600;
/// Room on a disk comes back when somebody makes it; looking costs next to nothing.
const RESOURCE_WAIT_SECS: i64 = 60;
/// A new version that will not start or stay gets this many tries.
pub const UPGRADE_TRIES_MAX: u32 = 2;
/// Failures kept of one agent; the oldest go first.
const FAILURES_MAX: usize = 16;

/// What is known of one agent before a decision.
#[derive(Debug, Clone)]
pub struct Real {
    pub name: AgentName,
    /// What `.version` names.
    pub version: Option<Version>,
    /// Its folder is there and holds a control script.
    pub complete: bool,
    /// What the folder of `version` was made from.
    pub record: Option<Record>,
    /// What the folder of the desired version was made from; `None` when there is no such folder or nobody recorded it.
    pub wanted_record: Option<Record>,
    /// Something of this agent is here.
    pub exists: bool,
    /// The last look; `None` when there is no version to look at.
    pub look: Option<Look>,
    pub held: Option<String>,
    pub intent: Option<Intent>,
    /// The record of an upgrade was written since this boot.
    pub same_boot: bool,
    pub past: Past,
}

/// What a version's folder was made from, kept in it as `.ops-updater`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<HexDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<HexDigest>,
    /// Bytes of the tarball.
    #[serde(default)]
    pub size: u64,
    /// The configured key whose signature was checked; empty: nobody checked one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signed_by: String,
    /// The account that its control script runs as, and that its content belongs to; empty: the updater's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_user: String,
}

impl Record {
    /// Whether `digest` is that of this content; `None` when it was never computed.
    pub fn agrees(&self, digest: &HexDigest) -> Option<bool> {
        let known = if digest.is_md5() { &self.md5 } else { &self.sha256 };
        known.as_ref().map(|known| known == digest)
    }

    /// Whether it would be taken with these keys configured: what a key that is withdrawn has verified is not.
    pub fn is_trusted(&self, keys: &[String]) -> bool {
        keys.is_empty() || keys.contains(&self.signed_by)
    }
}

/// One thing that failed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<HexDigest>,
    pub code: ErrorCode,
    pub class: Class,
    pub error: String,
    pub count: u32,
    /// Unix seconds.
    pub at: i64,
    /// Unix seconds; `None`: not before another version, another digest or the operator.
    pub next_try: Option<i64>,
}

/// What a failure says about when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The package itself is wrong.
    Content,
    Resource,
    Network,
    /// The new version does not start or stay; it was taken back.
    Upgrade,
    /// A control script of the version in use failed.
    Control,
}

impl Class {
    /// The class of a failure that ended an upgrade or a call.
    pub fn of(code: ErrorCode) -> Self {
        use ErrorCode::*;
        match code {
            BadName | TooLarge | Md5Mismatch | Sha256Mismatch | SignatureInvalid | ArchiveInvalid
            | ArchiveUnsafe | ControlMissing => Self::Content,
            NoSpace | Io | AccountMissing => Self::Resource,
            TrialFailed | PrecheckRefused | ControlUnsafe => Self::Upgrade,
            StopFailed | StartFailed | StartTimeout | RollbackFailed | StatusFailed | StatusTimeout => {
                Self::Control
            }
            _ => Self::Network,
        }
    }

    /// Seconds until the next try after the `count`th failure; `None`: not by itself. `spread` in 0..1 is the jitter.
    fn wait_secs(self, count: u32, spread: f64) -> Option<i64> {
        let secs = match self {
            Self::Content => return None,
            Self::Upgrade if count >= UPGRADE_TRIES_MAX => return None,
            Self::Resource => RESOURCE_WAIT_SECS,
            Self::Network => doubled(NETWORK_WAIT_SECS, count, NETWORK_WAIT_SECS_MAX),
            Self::Upgrade | Self::Control => doubled(CONTROL_WAIT_SECS, count, CONTROL_WAIT_SECS_MAX),
        };
        // Between 75 % and 100 % of the wait: never above the bound.
        Some(secs - (secs as f64 * 0.25 * spread) as i64)
    }
}

fn doubled(first: i64, count: u32, most: i64) -> i64 {
    (first << (count.clamp(1, 16) - 1)).min(most)
}

/// What failed on this host with one agent: the content of `.failed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    #[serde(default)]
    pub failures: Vec<Failure>,
}

impl Past {
    /// Remembers one more failure of `version`. `while_upgrading`: it was the new version that failed.
    pub fn remember(
        &mut self,
        version: &Version,
        fault: &Fault,
        while_upgrading: bool,
        unix: i64,
        spread: f64,
    ) {
        let class = match Class::of(fault.code) {
            Class::Control if while_upgrading && fault.code != ErrorCode::StopFailed => Class::Upgrade,
            class => class,
        };
        let class = if fault.code == ErrorCode::RollbackFailed { Class::Control } else { class };
        let same = |it: &Failure| it.version == *version && it.class == class && it.digest == fault.digest;
        let count = self.failures.iter().find(|it| same(it)).map_or(0, |it| it.count) + 1;
        self.failures.retain(|it| !same(it));
        let wait = match (class, fault.retry_after_secs) {
            // What was asked for; a server that asks for nothing again and again gets more.
            (Class::Network, Some(asked)) => {
                let secs = doubled(asked.max(1).into(), count, NETWORK_WAIT_SECS_MAX);
                Some((secs + (secs as f64 * 0.1 * spread) as i64).min(NETWORK_WAIT_SECS_MAX))
            }
            _ => class.wait_secs(count, spread),
        };
        self.failures.push(Failure {
            version: version.clone(),
            digest: fault.digest.clone(),
            code: fault.code,
            class,
            error: fault.sentence.clone(),
            count,
            at: unix,
            next_try: wait.map(|secs| unix + secs),
        });
        let surplus = self.failures.len().saturating_sub(FAILURES_MAX);
        self.failures.drain(..surplus);
    }

    pub fn forget(&mut self, version: &Version) {
        self.failures.retain(|it| it.version != *version);
    }

    /// The failure that keeps `version` from being tried now. A package of another digest is another package.
    pub fn blocks(&self, version: &Version, digest: Option<&HexDigest>, unix: i64) -> Option<&Failure> {
        self.failures
            .iter()
            .find(|it| it.version == *version && !it.is_of_another_digest(digest) && it.waits(unix))
    }

    /// The newest failure of `version`, whether it still waits or not.
    pub fn last(&self, version: &Version, digest: Option<&HexDigest>) -> Option<&Failure> {
        self.failures.iter().rfind(|it| it.version == *version && !it.is_of_another_digest(digest))
    }

    /// Digests of `version` that are not to be downloaded again.
    pub fn refused_digests(&self, version: &Version) -> Vec<Failure> {
        let given_up = |it: &&Failure| it.version == *version && it.digest.is_some() && it.next_try.is_none();
        self.failures.iter().filter(given_up).cloned().collect()
    }
}

impl Failure {
    fn is_of_another_digest(&self, wanted: Option<&HexDigest>) -> bool {
        match (&self.digest, wanted) {
            (Some(failed), Some(wanted)) => {
                failed.as_str().len() == wanted.as_str().len() && failed != wanted
            }
            _ => false,
        }
    }

    /// A clock that was set back must not make the wait longer than the longest there is.
    fn waits(&self, unix: i64) -> bool {
        self.next_try.is_none_or(|next| next > unix && next - unix <= NETWORK_WAIT_SECS_MAX)
    }

    /// With the digest only to be had from the server, its small file is read again to see whether it changed.
    fn may_have_changed(&self, unix: i64) -> bool {
        self.digest.is_some() && unix - self.at >= NETWORK_WAIT_SECS_MAX / 2
    }
}

/// What was decided for one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to do, if anything.
    pub order: Option<Event>,
    /// Why, as a sentence's end.
    pub why: String,
    /// What stands in the way of what is desired, if something does.
    pub fault: Option<Fault>,
}

fn leave(why: impl Into<String>) -> Decision {
    Decision { order: None, why: why.into(), fault: None }
}

fn hindered(code: ErrorCode, why: impl Into<String>) -> Decision {
    let why = why.into();
    Decision { order: None, fault: Some(Fault::new(code, why.clone())), why }
}

fn act(order: Event, why: impl Into<String>) -> Decision {
    Decision { order: Some(order), why: why.into(), fault: None }
}

/// What the host's configuration adds to a decision.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Only this agent is acted on, when there is one.
    pub only: Option<AgentName>,
    pub trial_secs: u32,
    /// When there are any, what none of them has signed does not count.
    pub public_keys: Vec<String>,
    /// What the updater itself runs as. Only root can run anything as another account.
    pub account: String,
}

/// Decides for one agent at rest, or (a changed order) in its trial.
pub fn decide(real: &Real, desired: Option<&DesiredAgent>, settings: &Settings, now: Moment) -> Decision {
    if settings.only.as_ref().is_some_and(|only| *only != real.name) {
        return leave("`desiredAgent` in the configuration names another agent");
    }
    if let Some(fault) = held(real) {
        return Decision { order: None, why: fault.sentence.clone(), fault: Some(fault) };
    }
    if let Some(decision) = resume(real, desired, now) {
        return decision;
    }
    let Some(desired) = desired else {
        return leave("nobody ordered anything");
    };
    match &desired.cmd {
        Cmd::Blank => leave("the order is to leave it alone"),
        Cmd::Unknown(cmd) => hindered(
            ErrorCode::UnknownCmd,
            format!("the order {:?} is unknown to this version; the agent is left alone", short(cmd)),
        ),
        Cmd::Start => match &desired.version {
            Ok(version) => start(real, desired, version, settings, now),
            Err(why) => hindered(ErrorCode::BadName, format!("start without a good version: {why}")),
        },
        Cmd::Stop => stop(real, now),
        Cmd::Uninstall => uninstall(real, now),
    }
}

/// A hold, as what stands in the way.
pub fn held(real: &Real) -> Option<Fault> {
    let why = real.held.as_ref()?;
    let why = if why.is_empty() { "no reason given" } else { why };
    Some(Fault::new(ErrorCode::Held, format!("held on this host: {why}")))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// An upgrade that somebody left under way goes on. Another order waits for its end, since two versions may have to be
/// stopped; only in the trial is it known which one runs.
fn resume(real: &Real, desired: Option<&DesiredAgent>, now: Moment) -> Option<Decision> {
    let intent = real.intent.as_ref()?;
    let up = &intent.upgrade;
    if let (Phase::Trial, Some(DesiredAgent { cmd, version, .. })) = (intent.phase, desired) {
        let other_version = version.as_ref().is_ok_and(|it| *it != up.to && up.from.as_ref() != Some(it));
        if matches!(cmd, Cmd::Stop | Cmd::Uninstall) || (*cmd == Cmd::Start && other_version) {
            return None;
        }
    }
    Some(go_on(real, intent, now))
}

fn go_on(real: &Real, intent: &Intent, now: Moment) -> Decision {
    let up = &intent.upgrade;
    let mut blocking = [Some(&up.to), up.from.as_ref()].into_iter().flatten();
    let failure =
        blocking.find_map(|it| real.past.blocks(it, None, now.unix).filter(|it| it.class == Class::Control));
    if let Some(failure) = failure {
        return waiting(failure);
    }
    let why = format!("the upgrade to {} was left under way", up.to);
    act(Event::Resumed { intent: intent.clone(), same_boot: real.same_boot }, why)
}

fn waiting(failure: &Failure) -> Decision {
    let mut fault = Fault::new(failure.code, failure.error.clone());
    fault.digest = failure.digest.clone();
    let until = if failure.next_try.is_some() {
        "the next try comes by itself"
    } else {
        "it is not tried again before another version, another digest (looked for every half hour) or `ops-updater release`"
    };
    let why =
        format!("version {} failed ({}, {}): {until}", failure.version, failure.code, times(failure.count));
    Decision { order: None, why, fault: Some(fault) }
}

/// A count in words.
pub fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn start(
    real: &Real,
    desired: &DesiredAgent,
    version: &Version,
    settings: &Settings,
    now: Moment,
) -> Decision {
    if real.version.as_ref() == Some(version) && real.complete {
        return keep_running(real, desired, version, settings, now);
    }
    if let Some(fault) = other_account(desired, settings) {
        let waiting = Decision { order: None, why: fault.sentence.clone(), fault: Some(fault) };
        return meanwhile(real, waiting, now);
    }
    if let Some(failure) = blocked(real, desired, version, now) {
        let waiting = waiting(failure);
        return match &real.intent {
            // What was under way before the order changed is not left half done.
            Some(intent) => Decision { fault: waiting.fault, ..go_on(real, intent, now) },
            None => meanwhile(real, waiting, now),
        };
    }
    let from = real.version.clone().filter(|_| real.complete);
    let proven = real.intent.as_ref().map_or(from.clone(), |intent| intent.upgrade.from.clone());
    let upgrade = Upgrade {
        // What is ordered now cannot be what one falls back to.
        from: proven.filter(|it| it != version),
        // Whatever its folder still holds, something of it may run.
        replaces: real.version.clone(),
        to: version.clone(),
        digest: desired.digest().cloned(),
        trial_secs: desired.trial_secs.unwrap_or(settings.trial_secs),
        rollout: desired.rollout,
        starts: 0,
    };
    let why = match &real.version {
        Some(current) if current != version => format!("{version} is wanted, {current} is here"),
        Some(_) => format!("{version} is wanted and its folder is gone"),
        None => format!("{version} is wanted, none is here"),
    };
    let usable = real.wanted_record.as_ref().filter(|it| it.is_trusted(&settings.public_keys));
    // What belonged to one account is not run as another.
    let usable = usable.filter(|it| it.run_user == run_user(desired, &settings.account));
    let verified = usable.zip(desired.digest());
    match verified.and_then(|(record, digest)| record.agrees(digest)) {
        Some(true) => act(Event::UpgradeOrdered(upgrade), why),
        _ => act(Event::StageOrdered(upgrade), why),
    }
}

/// Nobody but root can run an agent as somebody else.
fn other_account(desired: &DesiredAgent, settings: &Settings) -> Option<Fault> {
    let wanted = run_user(desired, &settings.account);
    (!wanted.is_empty() && settings.account != "root").then(|| {
        let sentence = format!(
            "it is to run as {:?}, and an updater that runs as {:?} cannot change accounts",
            short(wanted),
            settings.account
        );
        Fault::new(ErrorCode::AccountMissing, sentence)
    })
}

/// The account to run as; empty: the updater's own.
pub fn run_user<'a>(desired: &'a DesiredAgent, own: &str) -> &'a str {
    if desired.run_user == own { "" } else { &desired.run_user }
}

/// While the wanted version cannot be had, the one in use is kept running.
fn meanwhile(real: &Real, waiting: Decision, now: Moment) -> Decision {
    match down(real, now) {
        Some(version) => {
            let why = format!("it does not run; {}", waiting.why);
            Decision { order: Some(Event::StartOrdered(version)), why, fault: waiting.fault }
        }
        None => waiting,
    }
}

/// The version in use, when it does not run and nothing speaks against starting it.
pub fn down(real: &Real, now: Moment) -> Option<Version> {
    let version = real.version.as_ref().filter(|_| real.complete)?;
    let stopped = real.look.as_ref().is_some_and(Look::is_stopped);
    let blocked = real.past.blocks(version, None, now.unix).is_some_and(|it| it.class == Class::Control);
    (stopped && !blocked).then(|| version.clone())
}

fn blocked<'a>(
    real: &'a Real,
    desired: &DesiredAgent,
    version: &Version,
    now: Moment,
) -> Option<&'a Failure> {
    let stuck = real.version.as_ref().and_then(|current| real.past.blocks(current, None, now.unix));
    if let Some(failure) = stuck.filter(|it| it.code == ErrorCode::StopFailed) {
        return Some(failure);
    }
    let failure = real.past.blocks(version, desired.digest(), now.unix)?;
    let from_server = desired.digest().is_none() && !matches!(desired.md5, Md5::Digest(_));
    let ask_again = from_server && failure.next_try.is_none() && failure.may_have_changed(now.unix);
    (!ask_again).then_some(failure)
}

fn keep_running(
    real: &Real,
    desired: &DesiredAgent,
    version: &Version,
    settings: &Settings,
    now: Moment,
) -> Decision {
    let other = not_what_is_ordered(real, desired, version, settings);
    let Some(look) = &real.look else {
        return leave("it was not looked at yet");
    };
    if look.is_started() {
        return Decision { order: None, why: "as wanted".to_owned(), fault: other };
    }
    if !look.is_stopped() {
        return unclear(look);
    }
    match real.past.blocks(version, None, now.unix).filter(|it| it.class == Class::Control) {
        Some(failure) => waiting(failure),
        None => Decision {
            fault: other,
            ..act(Event::StartOrdered(version.clone()), "it is wanted and does not run")
        },
    }
}

/// Why the version in use would not be taken as it is today. It is told, and left running.
fn not_what_is_ordered(
    real: &Real,
    desired: &DesiredAgent,
    version: &Version,
    settings: &Settings,
) -> Option<Fault> {
    let record = real.record.as_ref();
    if record.zip(desired.digest()).and_then(|(record, digest)| record.agrees(digest)) == Some(false) {
        let sentence = format!(
            "version {version} is in use here and another content is offered under its name; versions do not change, so give the new content a new version"
        );
        return Some(Fault::new(ErrorCode::VersionReused, sentence));
    }
    let recorded = record.map_or("", |it| it.run_user.as_str());
    let wanted = run_user(desired, &settings.account);
    if recorded != wanted {
        let sentence = format!(
            "version {version} runs here as {recorded:?} (empty: the updater's account), not as {:?}; another account comes with another version",
            short(wanted)
        );
        return Some(Fault::new(ErrorCode::VersionReused, sentence));
    }
    let withdrawn = record.filter(|it| !it.signed_by.is_empty() && !it.is_trusted(&settings.public_keys))?;
    let sentence = format!(
        "version {version} is in use here and was verified with the key {}, which is no longer among `publicKeys`; order a version that another key has signed",
        withdrawn.signed_by
    );
    Some(Fault::new(ErrorCode::KeyWithdrawn, sentence))
}

/// Neither started nor to be started: two of a kind could run.
fn unclear(look: &Look) -> Decision {
    let sentence = match &look.fault {
        Some(fault) => format!("{}; {}, so nothing is started", fault.sentence, look.processes),
        None => {
            format!("its status is {}, and {}, so nothing is started", look.status_words(), look.processes)
        }
    };
    hindered(look.fault.as_ref().map_or(ErrorCode::StatusFailed, |fault| fault.code), sentence)
}

fn stop(real: &Real, now: Moment) -> Decision {
    let Some(version) = &real.version else {
        return leave("it is not installed, so there is nothing to stop");
    };
    match &real.look {
        None => leave("it was not looked at yet"),
        Some(look) if look.is_stopped() => leave("as wanted"),
        Some(_) => unless_it_failed(
            real,
            version,
            now,
            Event::StopOrdered(version.clone()),
            "it is not wanted to run",
        ),
    }
}

fn uninstall(real: &Real, now: Moment) -> Decision {
    if !real.exists {
        return leave("as wanted: it is not installed");
    }
    match &real.version {
        Some(version) => {
            let order = Event::UninstallOrdered(Some(version.clone()));
            unless_it_failed(real, version, now, order, "it is not wanted on this host")
        }
        None => act(Event::UninstallOrdered(None), "it is not wanted on this host"),
    }
}

fn unless_it_failed(real: &Real, version: &Version, now: Moment, order: Event, why: &str) -> Decision {
    match real.past.blocks(version, None, now.unix).filter(|it| it.code == ErrorCode::StopFailed) {
        Some(failure) => waiting(failure),
        None => act(order, why),
    }
}

/// The version that a restart is about: one that is wanted to run, and left to the updater.
pub fn restart(real: &Real, desired: Option<&DesiredAgent>, settings: &Settings) -> Result<Version, Fault> {
    if let Some(fault) = held(real) {
        return Err(fault);
    }
    if settings.only.as_ref().is_some_and(|only| *only != real.name) {
        return Err(Fault::new(ErrorCode::Held, "`desiredAgent` in the configuration names another agent"));
    }
    if !desired.is_some_and(|it| it.cmd == Cmd::Start) {
        return Err(Fault::new(ErrorCode::UnknownCmd, "it is not ordered to run"));
    }
    let version = real.version.clone().filter(|_| real.complete);
    version.ok_or_else(|| Fault::new(ErrorCode::ControlMissing, "it is not installed"))
}

#[cfg(test)]
mod tests;
