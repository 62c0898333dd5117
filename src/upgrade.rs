//! The states of one agent, what can happen to it, and the one table that says what follows. Pure: it reads no
//! clock, no file and no process; [`Action`]s are carried out elsewhere and come back as [`Event`]s.
//!
//! An upgrade, in order: a child stages the package; the folder gets its name; the new version's own precheck; the
//! intent is recorded; the new `.version` is prepared; the old version is stopped and seen stopped; the new version is
//! started and seen started; `.version` flips; the trial. From the moment the old one stops, every failure leads back
//! to the last proven version.

use std::time::Duration;

use ops_wire::{ErrorCode, HexDigest, Status, Version};
use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// How often one upgrade may be started before it is taken back: a host that reboots in every trial is sick.
pub const STARTS_MAX: u32 = 3;
/// A trial of any length needs this many looks.
pub const TRIAL_LOOKS_MIN: u32 = 3;
/// How long a killed version may take to disappear.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// A reading of the two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since boot, including suspension: what deadlines are made of, as nobody can set it.
    pub boot: Duration,
    /// Unix seconds: what other machines and people understand.
    pub unix: i64,
}

/// Time limits of one agent.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
}

/// One change of version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The last proven version: what a take-back starts.
    pub from: Option<Version>,
    /// What has to be stopped first. Another one than `from` when the order changed in mid-trial.
    pub replaces: Option<Version>,
    pub to: Version,
    /// Of the package, for the memory of failures.
    #[serde(default)]
    pub digest: Option<HexDigest>,
    pub trial_secs: u32,
    #[serde(default)]
    pub rollout: Option<u64>,
    /// How often the new version was begun to be started, this time included.
    #[serde(default)]
    pub starts: u32,
}

/// How far a recorded upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The old version is being stopped or the new one being started.
    Switching,
    /// `.version` names the new one, which can still be taken back.
    Trial,
    TakingBack,
}

/// The content of `.upgrade`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    #[serde(flatten)]
    pub upgrade: Upgrade,
    pub phase: Phase,
    /// End of the trial, in seconds of the boot clock; means something in the boot of `boot_id` only.
    #[serde(default)]
    pub deadline: Option<u64>,
    #[serde(default)]
    pub boot_id: String,
    /// Why it is taken back.
    #[serde(default)]
    pub fault: Option<Fault>,
}

/// What one look at a version showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub status: Status,
    /// Why `status` is no answer, when it is none.
    pub fault: Option<Fault>,
    /// Some process executes a file below the version's folder.
    pub executing: bool,
    /// Some process executes a file or works below the version's folder.
    pub present: bool,
    /// These processes in words.
    pub processes: String,
    /// What `./control pid` said, where the agent offers it.
    pub pid: Option<u32>,
    /// The agent's own `./control health` refused.
    pub unhealthy: Option<String>,
}

impl Look {
    /// A look that found nothing but the status.
    pub fn status(status: Status) -> Self {
        Self {
            status,
            fault: None,
            executing: false,
            present: false,
            processes: String::new(),
            pid: None,
            unhealthy: None,
        }
    }

    /// Compared, not searched.
    pub fn is_started(&self) -> bool {
        self.status == Status::Started
    }

    /// The status says so and nothing of it executes, or the status cannot say and no process is to be seen.
    pub fn is_stopped(&self) -> bool {
        match self.status {
            Status::Started => false,
            Status::Stopped => !self.executing,
            Status::Other(_) => !self.present,
        }
    }

    /// The status, and what it should have been.
    pub fn status_words(&self) -> String {
        match (&self.status, &self.fault) {
            (Status::Other(words), None) => format!("{words:?}, neither `started` nor `stoped`"),
            (status, _) => format!("{:?}", status.as_str()),
        }
    }

    fn words(&self) -> String {
        let processes =
            if self.processes.is_empty() { String::new() } else { format!(", {}", self.processes) };
        format!("its status is {}{processes}", self.status_words())
    }
}

/// The verbs of a control script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Status,
    /// Optional: may this version take over on this host?
    Check,
    /// Optional: the process id of the running version.
    Pid,
    /// Optional: does the running version do its work?
    Health,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Status => "status",
            Self::Check => "check",
            Self::Pid => "pid",
            Self::Health => "health",
        }
    }
}

/// How a call of a control script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub verb: Verb,
    pub success: bool,
    /// How it ended and what it printed last, in words.
    pub words: String,
}

/// Where an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    AtRest,
    /// A child fetches, verifies and unpacks.
    Staging(Upgrade),
    /// The folder gets its name.
    Publishing(Upgrade),
    /// The new version's own `./control check`.
    Prechecking(Upgrade),
    /// The intent is written.
    Recording(Upgrade),
    Stopping(Stopping),
    /// The new `.version` is prepared under a temporary name.
    Preparing(Upgrade),
    Starting(Starting),
    Flipping(Upgrade),
    Trial {
        upgrade: Upgrade,
        until: Duration,
        looks: u32,
        pid: Option<u32>,
    },
    /// `.version` names the old version again.
    Restoring(Upgrade, Fault),
    Removing,
}

/// A version on its way to a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopping {
    pub version: Version,
    pub next: Next,
    deadline: Duration,
    killed: bool,
    call: Option<Ended>,
}

/// A version on its way to a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starting {
    version: Version,
    pub role: Role,
    deadline: Duration,
    /// `./control start` was begun by us, and not merely looked whether it runs already.
    called: bool,
    call: Option<Ended>,
}

/// What a stop is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Rest,
    Remove,
    Start(Upgrade),
    TakeBack(Upgrade, Fault),
}

/// What a start is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The version in use, which is wanted and does not run.
    InUse,
    New(Upgrade),
    /// The version before, after the new one failed.
    Old(Upgrade, Fault),
}

/// What can happen to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    StartOrdered(Version),
    StopOrdered(Version),
    UninstallOrdered(Option<Version>),
    /// The package is not here: stage it.
    StageOrdered(Upgrade),
    /// The package's folder is here.
    UpgradeOrdered(Upgrade),
    /// `.upgrade` tells of an upgrade that somebody, perhaps an earlier process, left under way.
    Resumed {
        intent: Intent,
        same_boot: bool,
    },
    /// Nobody wants what is being staged any more.
    Withdrawn,
    /// The digest that the package was verified by.
    Staged {
        digest: Option<HexDigest>,
    },
    StagingFailed(Fault),
    /// The file operation that the last transition asked for went well.
    Done,
    Failed(Fault),
    Looked(Look),
    CallEnded(Ended),
    /// The state's deadline passed.
    Overdue,
}

impl Event {
    /// The version that an order is about.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::StartOrdered(version)
            | Self::StopOrdered(version)
            | Self::UninstallOrdered(Some(version)) => Some(version),
            Self::StageOrdered(up) | Self::UpgradeOrdered(up) => Some(&up.to),
            Self::Resumed { intent, .. } => Some(&intent.upgrade.to),
            _ => None,
        }
    }

    /// What an order, or whatever else happens, is called in the log and in plans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StartOrdered(_) => "starting",
            Self::StopOrdered(_) => "stopping",
            Self::UninstallOrdered(_) => "uninstalling",
            Self::StageOrdered(_) => "staging",
            Self::UpgradeOrdered(_) => "upgrading",
            Self::Resumed { .. } => "resuming",
            Self::Withdrawn => "withdrawn",
            Self::Staged { .. } => "staged",
            Self::StagingFailed(_) => "staging failed",
            Self::Done => "done",
            Self::Failed(_) => "failed",
            Self::Looked(look) if look.is_started() => "looked: started",
            Self::Looked(look) if look.is_stopped() => "looked: stopped",
            Self::Looked(_) => "looked: neither",
            Self::CallEnded(ended) => ended.verb.as_str(),
            Self::Overdue => "overdue",
        }
    }
}

/// What is to be carried out. File operations answer with [`Event::Done`] or [`Event::Failed`] at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Stage(Upgrade),
    EndStaging,
    Publish(Upgrade),
    Call(Version, Verb),
    Look(Version),
    /// The processes that execute a file below this version's folder, and our own calls.
    Kill(Version),
    /// What our own start of this version left behind in its process group: it might start the agent late.
    EndStart(Version),
    Record(Intent),
    /// Like `Record`, but what follows does not depend on it.
    Note(Intent),
    /// `.version` is going to name `to`, and perhaps `from` again.
    Prepare {
        from: Option<Version>,
        to: Version,
    },
    Flip(Version),
    Restore(Option<Version>),
    Remove,
    /// The upgrade is over, well or not: its record goes. After a good end garbage is collected; `previous` is kept.
    Settle {
        previous: Option<Version>,
    },
    Remember {
        version: Version,
        fault: Fault,
    },
    /// Nothing is held against this version any more.
    Forget(Version),
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub state: State,
    pub actions: Vec<Action>,
}

fn to(state: State, actions: impl Into<Vec<Action>>) -> Transition {
    Transition { state, actions: actions.into() }
}

impl State {
    pub fn is_at_rest(&self) -> bool {
        matches!(self, Self::AtRest)
    }

    /// When [`Event::Overdue`] happens, on the boot clock.
    pub fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Stopping(Stopping { deadline, .. }) | Self::Starting(Starting { deadline, .. }) => {
                Some(*deadline)
            }
            _ => None,
        }
    }

    /// The version to look at again and again, if any.
    pub fn watched(&self) -> Option<&Version> {
        match self {
            Self::Stopping(Stopping { version, .. }) | Self::Starting(Starting { version, .. }) => {
                Some(version)
            }
            Self::Trial { upgrade, .. } => Some(&upgrade.to),
            _ => None,
        }
    }

    /// The upgrade under way, if one is.
    pub fn upgrade(&self) -> Option<&Upgrade> {
        match self {
            Self::Staging(upgrade)
            | Self::Publishing(upgrade)
            | Self::Prechecking(upgrade)
            | Self::Recording(upgrade)
            | Self::Preparing(upgrade)
            | Self::Flipping(upgrade)
            | Self::Restoring(upgrade, _)
            | Self::Trial { upgrade, .. }
            | Self::Stopping(Stopping { next: Next::Start(upgrade) | Next::TakeBack(upgrade, _), .. })
            | Self::Starting(Starting { role: Role::New(upgrade) | Role::Old(upgrade, _), .. }) => {
                Some(upgrade)
            }
            Self::AtRest | Self::Removing | Self::Stopping(_) | Self::Starting(_) => None,
        }
    }

    /// Between stopping the old version and the flip: the only time in which the updater should not end.
    pub fn is_switching(&self) -> bool {
        match self {
            Self::Flipping(_) | Self::Restoring(..) => true,
            Self::Stopping(it) => matches!(it.next, Next::Start(_) | Next::TakeBack(..)),
            Self::Starting(it) => !matches!(it.role, Role::InUse),
            _ => false,
        }
    }

    /// The name of the step that this state is, as reports call it.
    pub fn step(&self) -> Option<&'static str> {
        match self {
            Self::Stopping(Stopping { next: Next::TakeBack(..), .. })
            | Self::Starting(Starting { role: Role::Old(..), .. }) => Some("take_back"),
            Self::Stopping(_) => Some("stop"),
            Self::Starting(_) => Some("start"),
            Self::Flipping(_) => Some("flip"),
            Self::Trial { .. } => Some("trial"),
            _ => None,
        }
    }
}

/// The transition table. A pair that is not in it changes nothing.
pub fn on(state: State, event: Event, now: Moment, limits: &Limits) -> Transition {
    let table = Table { now: now.boot, limits };
    match (state, event) {
        (State::AtRest, event) => table.ordered(event),
        (State::Staging(upgrade), event) => table.staging(upgrade, event),
        (State::Publishing(up), Event::Done) => {
            let check = Action::Call(up.to.clone(), Verb::Check);
            to(State::Prechecking(up), [check])
        }
        (State::Publishing(up) | State::Recording(up), Event::Failed(fault)) => refused(&up, fault),
        (State::Prechecking(up), Event::CallEnded(ended)) => table.prechecked(up, &ended),
        (State::Recording(up), Event::Done) => prepare(up),
        (State::Prechecking(_), Event::Withdrawn) => to(State::AtRest, []),
        (State::Stopping(it), event) => table.stopping(it, event),
        (State::Preparing(up), Event::Done) => table.prepared(up),
        // One that was begun before may run already.
        (State::Preparing(up), Event::Failed(fault)) if up.starts > 1 => table.take_back(up, fault),
        (State::Preparing(up), Event::Failed(fault)) => taken_back(&up, fault),
        (State::Starting(it), event) => table.starting(it, event),
        (State::Flipping(up), Event::Done) => table.trial(up),
        (State::Flipping(up), Event::Failed(fault)) => table.take_back(up, fault),
        (State::Trial { upgrade, until, looks, pid }, event) => {
            table.tried(upgrade, until, looks, pid, event)
        }
        (State::Restoring(up, fault), Event::Done) => taken_back(&up, fault),
        (State::Restoring(up, _), Event::Failed(fault)) => waits(&up.to, fault),
        (State::Removing, Event::Done | Event::Failed(_)) => to(State::AtRest, []),
        (state, _) => to(state, []),
    }
}

/// Before anything was touched: only the memory remains.
fn refused(upgrade: &Upgrade, fault: Fault) -> Transition {
    let fault = if fault.digest.is_some() { fault } else { fault.with_digest(upgrade.digest.as_ref()) };
    to(State::AtRest, [Action::Remember { version: upgrade.to.clone(), fault }])
}

/// The old version runs (or there is none): the upgrade is over and did not work.
fn taken_back(upgrade: &Upgrade, fault: Fault) -> Transition {
    let fault = fault.with_digest(upgrade.digest.as_ref());
    to(
        State::AtRest,
        [Action::Settle { previous: None }, Action::Remember { version: upgrade.to.clone(), fault }],
    )
}

/// Nothing more can be done now; `.upgrade` stays, and it goes on from there at the next try.
fn waits(version: &Version, fault: Fault) -> Transition {
    to(State::AtRest, [Action::Remember { version: version.clone(), fault }])
}

struct Table<'a> {
    now: Duration,
    limits: &'a Limits,
}

impl Table<'_> {
    fn ordered(&self, event: Event) -> Transition {
        match event {
            Event::StartOrdered(version) => self.start(Role::InUse, version),
            Event::StopOrdered(version) => self.stop(version, Next::Rest),
            Event::UninstallOrdered(Some(version)) => self.stop(version, Next::Remove),
            Event::UninstallOrdered(None) => to(State::Removing, [Action::Remove]),
            Event::StageOrdered(upgrade) => to(State::Staging(upgrade.clone()), [Action::Stage(upgrade)]),
            Event::UpgradeOrdered(up) => {
                let check = Action::Call(up.to.clone(), Verb::Check);
                to(State::Prechecking(up), [check])
            }
            Event::Resumed { intent, same_boot } => self.resumed(intent, same_boot),
            _ => to(State::AtRest, []),
        }
    }

    fn staging(&self, mut upgrade: Upgrade, event: Event) -> Transition {
        match event {
            Event::Staged { digest } => {
                upgrade.digest = digest;
                to(State::Publishing(upgrade.clone()), [Action::Publish(upgrade)])
            }
            Event::StagingFailed(fault) => refused(&upgrade, fault),
            Event::Withdrawn => to(State::AtRest, [Action::EndStaging]),
            _ => to(State::Staging(upgrade), []),
        }
    }

    /// What is recorded here was begun by somebody; what runs is found out by looking, on the way.
    fn resumed(&self, intent: Intent, same_boot: bool) -> Transition {
        let up = intent.upgrade;
        match intent.phase {
            Phase::TakingBack => {
                let fault = intent.fault.unwrap_or_else(|| interrupted(&up));
                self.take_back(up, fault)
            }
            // Only the updater was started anew: the trial goes on.
            Phase::Trial if same_boot => {
                let until = intent.deadline.map_or(self.now, Duration::from_secs);
                let look = Action::Look(up.to.clone());
                to(State::Trial { upgrade: up, until, looks: 0, pid: None }, [look])
            }
            _ if up.starts >= STARTS_MAX => {
                let fault = interrupted(&up);
                self.take_back(up, fault)
            }
            phase => self.begun_again(up, phase),
        }
    }

    /// Counted before it is done: a version that takes the whole host down with it must not get a fourth start.
    fn begun_again(&self, mut up: Upgrade, phase: Phase) -> Transition {
        up.starts += 1;
        let note = Action::Note(recorded_as(&up, phase));
        let mut again = match phase {
            Phase::Switching | Phase::TakingBack => prepare(up),
            // The host came up anew, and the new version with it or not: the trial begins again.
            Phase::Trial => self.look_before_start(up),
        };
        again.actions.insert(0, note);
        again
    }

    fn look_before_start(&self, up: Upgrade) -> Transition {
        let (version, deadline) = (up.to.clone(), self.now + self.limits.start_timeout);
        let look = Action::Look(version.clone());
        let role = Role::New(up);
        to(State::Starting(Starting { version, role, deadline, called: false, call: None }), [look])
    }

    /// A script that does not know `check` is one more that has nothing to object.
    fn prechecked(&self, mut up: Upgrade, ended: &Ended) -> Transition {
        if !ended.success {
            let sentence = format!("version {} refuses this host: ./control check: {}", up.to, ended.words);
            return refused(&up, Fault::new(ErrorCode::PrecheckRefused, sentence));
        }
        up.starts = 1;
        let intent = recorded_as(&up, Phase::Switching);
        to(State::Recording(up), [Action::Record(intent)])
    }

    fn prepared(&self, up: Upgrade) -> Transition {
        match up.replaces.clone() {
            Some(version) => self.stop(version, Next::Start(up)),
            None => self.start_new(up),
        }
    }

    /// One that was begun before may run already.
    fn start_new(&self, up: Upgrade) -> Transition {
        if up.starts > 1 {
            return self.look_before_start(up);
        }
        let version = up.to.clone();
        self.start(Role::New(up), version)
    }

    fn stop(&self, version: Version, next: Next) -> Transition {
        let deadline = self.now + self.limits.stop_timeout;
        let call = Action::Call(version.clone(), Verb::Stop);
        to(State::Stopping(Stopping { version, next, deadline, killed: false, call: None }), [call])
    }

    fn stopping(&self, mut it: Stopping, event: Event) -> Transition {
        match event {
            Event::CallEnded(ended) if ended.verb == Verb::Stop => {
                it.call = Some(ended);
                let look = Action::Look(it.version.clone());
                to(State::Stopping(it), [look])
            }
            Event::Looked(look) if look.is_stopped() => self.stopped(it),
            Event::Looked(look) if it.killed && self.now >= it.deadline => self.stop_failed(it, &look),
            Event::Overdue if !it.killed => {
                (it.killed, it.deadline) = (true, self.now + KILL_GRACE);
                let (kill, look) = (Action::Kill(it.version.clone()), Action::Look(it.version.clone()));
                to(State::Stopping(it), [kill, look])
            }
            _ => to(State::Stopping(it), []),
        }
    }

    fn stopped(&self, it: Stopping) -> Transition {
        match it.next {
            Next::Rest => to(State::AtRest, [Action::Settle { previous: None }, Action::Forget(it.version)]),
            Next::Remove => to(State::Removing, [Action::Remove]),
            Next::Start(up) => self.start_new(up),
            Next::TakeBack(up, fault) => self.start_old(up, fault),
        }
    }

    /// Nothing is started beside it. A take-back stays recorded; another upgrade begins anew at the next try.
    fn stop_failed(&self, it: Stopping, look: &Look) -> Transition {
        let called = it.call.map(|call| format!("; ./control stop: {}", call.words)).unwrap_or_default();
        let sentence = format!(
            "version {} does not stop, not even killed: {}{called}; no other version is started beside it",
            it.version,
            look.words()
        );
        let fault = Fault::new(ErrorCode::StopFailed, sentence);
        match it.next {
            Next::TakeBack(..) => waits(&it.version, fault),
            Next::Start(up) if up.from == up.replaces => {
                let remember = Action::Remember { version: it.version, fault };
                to(State::AtRest, [Action::Settle { previous: None }, remember])
            }
            Next::Start(_) | Next::Rest | Next::Remove => waits(&it.version, fault),
        }
    }

    fn start(&self, role: Role, version: Version) -> Transition {
        let deadline = self.now + self.limits.start_timeout;
        let call = Action::Call(version.clone(), Verb::Start);
        to(State::Starting(Starting { version, role, deadline, called: true, call: None }), [call])
    }

    fn start_old(&self, up: Upgrade, fault: Fault) -> Transition {
        match up.from.clone() {
            Some(version) => self.start(Role::Old(up, fault), version),
            None => to(State::Restoring(up, fault), [Action::Restore(None)]),
        }
    }

    fn starting(&self, mut it: Starting, event: Event) -> Transition {
        match event {
            Event::CallEnded(ended) if ended.verb == Verb::Start => {
                it.call = Some(ended);
                let look = Action::Look(it.version.clone());
                to(State::Starting(it), [look])
            }
            Event::Looked(look) if look.is_started() => self.started(it),
            Event::Looked(_) if !it.called => self.start(it.role, it.version),
            Event::Looked(look) if it.call.as_ref().is_some_and(|call| !call.success) => {
                self.start_failed(it, ErrorCode::StartFailed, &look)
            }
            Event::Looked(look) if self.now >= it.deadline => {
                self.start_failed(it, ErrorCode::StartTimeout, &look)
            }
            Event::Overdue => {
                let look = Action::Look(it.version.clone());
                to(State::Starting(it), [look])
            }
            _ => to(State::Starting(it), []),
        }
    }

    fn started(&self, it: Starting) -> Transition {
        match it.role {
            Role::InUse => to(State::AtRest, [Action::Forget(it.version)]),
            Role::New(up) => to(State::Flipping(up.clone()), [Action::Flip(up.to)]),
            Role::Old(up, fault) => {
                let restore = Action::Restore(up.from.clone());
                to(State::Restoring(up, fault), [restore])
            }
        }
    }

    fn start_failed(&self, it: Starting, code: ErrorCode, look: &Look) -> Transition {
        let called = match &it.call {
            Some(call) => format!("./control start: {}", call.words),
            None => "./control start did not end, and it has to".to_owned(),
        };
        let sentence = format!("version {} does not start: {}; {called}", it.version, look.words());
        match it.role {
            Role::InUse => waits(&it.version, Fault::new(code, sentence)),
            Role::New(up) => self.take_back(up, Fault::new(code, sentence)),
            Role::Old(up, first) => {
                let sentence = format!("{sentence}; it had to come back since {}", first.sentence);
                waits(&up.to, Fault::new(ErrorCode::RollbackFailed, sentence))
            }
        }
    }

    fn trial(&self, up: Upgrade) -> Transition {
        if up.trial_secs == 0 {
            return to(State::AtRest, [Action::Settle { previous: up.from }, Action::Forget(up.to)]);
        }
        let until = self.now + Duration::from_secs(up.trial_secs.into());
        let mut intent = recorded_as(&up, Phase::Trial);
        intent.deadline = Some(until.as_secs() + 1);
        to(State::Trial { upgrade: up, until, looks: 0, pid: None }, [Action::Note(intent)])
    }

    fn tried(&self, up: Upgrade, until: Duration, looks: u32, pid: Option<u32>, event: Event) -> Transition {
        match event {
            Event::Looked(look) => match judge(pid, &look) {
                Some(reason) => {
                    let sentence = format!("version {} started and did not stay: {reason}", up.to);
                    self.take_back(up, Fault::new(ErrorCode::TrialFailed, sentence))
                }
                None if looks + 1 >= TRIAL_LOOKS_MIN && self.now >= until => {
                    to(State::AtRest, [Action::Settle { previous: up.from }, Action::Forget(up.to)])
                }
                None => to(State::Trial { upgrade: up, until, looks: looks + 1, pid: look.pid.or(pid) }, []),
            },
            // An order that changes in mid-trial keeps the last proven version as `from`.
            Event::StageOrdered(next) => {
                let next = Upgrade { from: up.from, replaces: Some(up.to), ..next };
                to(State::Staging(next.clone()), [Action::Stage(next)])
            }
            Event::UpgradeOrdered(next) => {
                let next = Upgrade { from: up.from, replaces: Some(up.to), ..next };
                let check = Action::Call(next.to.clone(), Verb::Check);
                to(State::Prechecking(next), [check])
            }
            Event::StopOrdered(version) => self.stop(version, Next::Rest),
            Event::UninstallOrdered(version) => {
                let version = version.unwrap_or(up.to);
                self.stop(version, Next::Remove)
            }
            _ => to(State::Trial { upgrade: up, until, looks, pid }, []),
        }
    }

    fn take_back(&self, up: Upgrade, fault: Fault) -> Transition {
        let intent = Intent { fault: Some(fault.clone()), ..recorded_as(&up, Phase::TakingBack) };
        let version = up.to.clone();
        let mut back = self.stop(version.clone(), Next::TakeBack(up, fault));
        back.actions.splice(0..0, [Action::Note(intent), Action::EndStart(version)]);
        back
    }
}

/// What a look in a trial speaks against the new version, if anything: it has to be started at every look, by the
/// same process, and well by its own account.
fn judge(pid: Option<u32>, look: &Look) -> Option<String> {
    match (pid, look.pid) {
        _ if !look.is_started() => Some(look.words()),
        (Some(before), Some(after)) if before != after => {
            Some(format!("process {before} was replaced by process {after} behind our back"))
        }
        _ => look.unhealthy.as_ref().map(|words| format!("./control health: {words}")),
    }
}

/// Before anything is stopped: what can fail for lack of space fails here.
fn prepare(up: Upgrade) -> Transition {
    let prepare = Action::Prepare { from: up.from.clone(), to: up.to.clone() };
    to(State::Preparing(up), [prepare])
}

fn interrupted(up: &Upgrade) -> Fault {
    let sentence = format!("version {} was started {} times and its trial never ended", up.to, up.starts);
    Fault::new(ErrorCode::TrialFailed, sentence)
}

fn recorded_as(up: &Upgrade, phase: Phase) -> Intent {
    Intent { upgrade: up.clone(), phase, deadline: None, boot_id: String::new(), fault: None }
}

#[cfg(test)]
mod tests;
