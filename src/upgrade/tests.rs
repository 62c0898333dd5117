//! The table, driven against a small world of versions that start, stop, stay and die as a script says, with file
//! operations that fail where the script says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { start_timeout: Duration::from_secs(60), stop_timeout: Duration::from_secs(30) };

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn upgrade(from: Option<&str>, to: &str) -> Upgrade {
    Upgrade {
        from: from.map(version),
        replaces: from.map(version),
        to: version(to),
        digest: None,
        trial_secs: 40,
        rollout: None,
        starts: 0,
    }
}

/// How a version behaves.
#[derive(Debug, Clone)]
struct Nature {
    starts: bool,
    stops: bool,
    dies_when_killed: bool,
    /// Looks that see it started before it dies.
    stays_for: u32,
}

const GOOD: Nature = Nature { starts: true, stops: true, dies_when_killed: true, stays_for: u32::MAX };

/// One agent's files and processes.
#[derive(Debug, Default)]
struct World {
    natures: BTreeMap<Version, Nature>,
    running: BTreeSet<Version>,
    dot_version: Option<Version>,
    prepared: Option<Version>,
    intent: Option<Intent>,
    remembered: Vec<(Version, ErrorCode)>,
    /// The number of the file operation that fails.
    fails_at: Option<usize>,
    operations: usize,
    most_running: usize,
    boot: Duration,
}

impl World {
    fn new(current: Option<&str>) -> Self {
        let running = current.map(version);
        Self {
            dot_version: running.clone(),
            running: running.into_iter().collect(),
            most_running: 1,
            ..Self::default()
        }
    }

    fn with(mut self, name: &str, nature: Nature) -> Self {
        self.natures.insert(version(name), nature);
        self
    }

    fn nature(&self, version: &Version) -> Nature {
        self.natures.get(version).cloned().unwrap_or(GOOD)
    }

    fn now(&self) -> Moment {
        Moment { boot: self.boot, unix: 0 }
    }

    /// Runs from `order` until the agent rests or nothing more can happen.
    fn run(&mut self, order: Event) -> State {
        let mut state = State::AtRest;
        let mut events = VecDeque::from([order]);
        let mut asked: VecDeque<Action> = VecDeque::new();
        for _ in 0..2000 {
            let Some(event) = events.pop_front().or_else(|| self.next_event(&state, &mut asked)) else {
                break;
            };
            let transition = on(state, event, self.now(), &LIMITS);
            state = transition.state;
            for action in transition.actions {
                match action {
                    Action::Call(..) => asked = VecDeque::from([action]),
                    Action::Look(_) => asked.push_back(action),
                    other => events.extend(self.carry_out(other)),
                }
            }
            self.most_running = self.most_running.max(self.running.len());
            if state.is_at_rest() && events.is_empty() {
                break;
            }
        }
        state
    }

    fn next_event(&mut self, state: &State, asked: &mut VecDeque<Action>) -> Option<Event> {
        match asked.pop_front() {
            Some(Action::Call(version, verb)) => return Some(self.call(&version, verb)),
            Some(Action::Look(version)) => return Some(Event::Looked(self.look(&version))),
            _ => {}
        }
        let version = state.watched()?.clone();
        self.boot += Duration::from_secs(10);
        if state.deadline().is_some_and(|deadline| self.boot >= deadline) {
            asked.push_back(Action::Look(version));
            return Some(Event::Overdue);
        }
        Some(Event::Looked(self.look(&version)))
    }

    fn call(&mut self, version: &Version, verb: Verb) -> Event {
        match verb {
            Verb::Start if self.nature(version).starts => self.running.extend([version.clone()]),
            Verb::Stop if self.nature(version).stops => self.running.retain(|it| it != version),
            _ => {}
        }
        Event::CallEnded(Ended { verb, success: true, words: String::new() })
    }

    fn look(&mut self, version: &Version) -> Look {
        let mut nature = self.nature(version);
        if self.running.contains(version) && nature.stays_for == 0 {
            self.running.remove(version);
        }
        nature.stays_for = nature.stays_for.saturating_sub(u32::from(nature.stays_for != u32::MAX));
        self.natures.insert(version.clone(), nature);
        let started = self.running.contains(version);
        Look::status(if started { Status::Started } else { Status::Stopped })
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Kill(version) => {
                let dies = self.nature(&version).dies_when_killed;
                self.running.retain(|it| !dies || *it != version);
            }
            Action::Note(intent) => self.intent = Some(intent),
            Action::Settle { .. } => self.intent = None,
            Action::Remember { version, fault } => self.remembered.push((version, fault.code)),
            Action::Stage(_) => return Some(Event::Staged { digest: None }),
            Action::Publish(_) => return Some(self.operation(|_| ())),
            Action::Record(intent) => return Some(self.operation(|world| world.intent = Some(intent))),
            Action::Prepare { to, .. } => return Some(self.operation(|world| world.prepared = Some(to))),
            Action::Flip(version) if self.dot_version.as_ref() == Some(&version) => return Some(Event::Done),
            Action::Flip(version) => {
                assert_eq!(self.prepared.as_ref(), Some(&version), "what is flipped was prepared");
                return Some(self.operation(|world| world.dot_version = world.prepared.take()));
            }
            Action::Restore(version) => {
                self.prepared = None;
                self.dot_version = version;
                return Some(Event::Done);
            }
            Action::Remove => return Some(self.operation(|world| world.dot_version = None)),
            _ => {}
        }
        None
    }

    fn operation(&mut self, work: impl FnOnce(&mut Self)) -> Event {
        self.operations += 1;
        if self.fails_at == Some(self.operations) {
            return Event::Failed(Fault::new(ErrorCode::NoSpace, "the disk is full"));
        }
        work(self);
        Event::Done
    }

    fn runs(&self) -> Vec<&str> {
        self.running.iter().map(Version::as_str).collect()
    }

    fn names(&self) -> Option<&str> {
        self.dot_version.as_ref().map(Version::as_str)
    }
}

#[test]
fn a_first_install_starts_and_flips() {
    let mut world = World::new(None);
    assert_eq!(world.run(Event::StageOrdered(upgrade(None, "1"))), State::AtRest);
    assert_eq!((world.runs(), world.names(), world.intent.is_none()), (vec!["1"], Some("1"), true));
}

#[test]
fn an_upgrade_replaces_the_old_version() {
    let mut world = World::new(Some("1"));
    world.run(Event::StageOrdered(upgrade(Some("1"), "2")));
    assert_eq!((world.runs(), world.names(), world.most_running), (vec!["2"], Some("2"), 1));
}

#[test]
fn keeps_the_old_version_when_the_new_one_will_not_start() {
    let mut world = World::new(Some("1")).with("2", Nature { starts: false, ..GOOD });
    world.run(Event::StageOrdered(upgrade(Some("1"), "2")));
    assert_eq!((world.runs(), world.names(), world.most_running), (vec!["1"], Some("1"), 1));
    assert_eq!(world.remembered, [(version("2"), ErrorCode::StartTimeout)]);
}

#[test]
fn takes_back_a_version_that_starts_and_does_not_stay() {
    let mut world = World::new(Some("1")).with("2", Nature { stays_for: 2, ..GOOD });
    world.run(Event::StageOrdered(upgrade(Some("1"), "2")));
    assert_eq!((world.runs(), world.names()), (vec!["1"], Some("1")));
    assert_eq!(world.remembered, [(version("2"), ErrorCode::TrialFailed)]);
}

#[test]
fn starts_nothing_beside_a_version_that_will_not_stop() {
    let stubborn = Nature { stops: false, dies_when_killed: false, ..GOOD };
    let mut world = World::new(Some("1")).with("1", stubborn);
    world.run(Event::StageOrdered(upgrade(Some("1"), "2")));
    assert_eq!((world.runs(), world.names(), world.most_running), (vec!["1"], Some("1"), 1));
    assert_eq!(world.remembered, [(version("1"), ErrorCode::StopFailed)]);
}

#[test]
fn a_first_install_that_fails_leaves_no_version_and_nothing_running() {
    let mut world = World::new(None).with("1", Nature { stays_for: 1, ..GOOD });
    world.run(Event::StageOrdered(upgrade(None, "1")));
    assert_eq!((world.runs(), world.names()), (vec![], None));
}

#[test]
fn a_full_disk_at_any_step_leaves_the_old_version_running_and_named() {
    for fails_at in 1..=4 {
        let mut world = World { fails_at: Some(fails_at), ..World::new(Some("1")) };
        let state = world.run(Event::StageOrdered(upgrade(Some("1"), "2")));
        assert_eq!(
            (state, world.runs(), world.names()),
            (State::AtRest, vec!["1"], Some("1")),
            "operation {fails_at}"
        );
        assert_eq!(world.remembered, [(version("2"), ErrorCode::NoSpace)], "operation {fails_at}");
    }
}

#[test]
fn when_even_the_old_version_will_not_start_the_upgrade_stays_recorded() {
    let dead = Nature { starts: false, ..GOOD };
    let mut world = World::new(Some("1")).with("1", dead.clone()).with("2", dead);
    world.run(Event::StageOrdered(upgrade(Some("1"), "2")));
    assert_eq!(world.remembered, [(version("2"), ErrorCode::RollbackFailed)]);
    assert_eq!(world.intent.map(|it| it.phase), Some(Phase::TakingBack));
}

#[test]
fn an_order_that_changes_in_mid_trial_keeps_the_last_proven_version() {
    let now = Moment { boot: Duration::ZERO, unix: 0 };
    let trial = State::Trial {
        upgrade: upgrade(Some("1"), "2"),
        until: Duration::from_secs(40),
        looks: 1,
        pid: None,
    };
    let next = on(trial, Event::UpgradeOrdered(upgrade(Some("2"), "3")), now, &LIMITS);
    let next = next.state.upgrade().cloned().unwrap();
    assert_eq!((next.from, next.replaces, next.to), (Some(version("1")), Some(version("2")), version("3")));
}

#[test]
fn a_trial_needs_three_looks_and_the_same_process() {
    let table = Table { now: Duration::from_secs(100), limits: &LIMITS };
    let look = |pid| Look { pid: Some(pid), ..Look::status(Status::Started) };
    let tried = |looks, before, pid| {
        table.tried(upgrade(Some("1"), "2"), Duration::ZERO, looks, before, Event::Looked(look(pid)))
    };
    assert!(matches!(tried(1, Some(7), 7).state, State::Trial { looks: 2, .. }));
    assert!(tried(2, Some(7), 7).state.is_at_rest());
    assert!(matches!(tried(2, Some(7), 8).state, State::Stopping(Stopping { next: Next::TakeBack(..), .. })));
}

#[test]
fn the_third_start_of_one_upgrade_is_its_last() {
    let intent = Intent {
        upgrade: Upgrade { starts: STARTS_MAX, ..upgrade(Some("1"), "2") },
        ..recorded_as(&upgrade(Some("1"), "2"), Phase::Trial)
    };
    let mut world = World::new(Some("2"));
    world.run(Event::Resumed { intent, same_boot: false });
    assert_eq!((world.runs(), world.names()), (vec!["1"], Some("1")));
}

#[test]
fn a_version_that_takes_the_host_down_with_it_gets_three_starts() {
    let now = Moment { boot: Duration::ZERO, unix: 0 };
    let noted = |transition: &Transition| {
        transition.actions.iter().find_map(|it| match it {
            Action::Record(intent) | Action::Note(intent) => Some(intent.clone()),
            _ => None,
        })
    };
    let checked = Event::CallEnded(Ended { verb: Verb::Check, success: true, words: String::new() });
    for phase in [Phase::Switching, Phase::Trial] {
        let first = on(State::Prechecking(upgrade(Some("1"), "2")), checked.clone(), now, &LIMITS);
        let mut intent = Intent { phase, ..noted(&first).unwrap() };
        assert_eq!(intent.upgrade.starts, 1);
        for starts in 2..=STARTS_MAX {
            let again = on(State::AtRest, Event::Resumed { intent, same_boot: false }, now, &LIMITS);
            intent = noted(&again).unwrap();
            assert_eq!((intent.phase, intent.upgrade.starts), (phase, starts));
        }
        let last = on(State::AtRest, Event::Resumed { intent, same_boot: false }, now, &LIMITS);
        assert_eq!(noted(&last).unwrap().phase, Phase::TakingBack);
    }
}

#[test]
fn a_new_updater_in_the_same_boot_goes_on_with_the_trial() {
    let upgrade = Upgrade { starts: STARTS_MAX, ..upgrade(Some("1"), "2") };
    let intent = recorded_as(&upgrade, Phase::Trial);
    let mut world = World::new(Some("2"));
    world.run(Event::Resumed { intent, same_boot: true });
    assert_eq!((world.runs(), world.names(), &world.intent), (vec!["2"], Some("2"), &None));
}

#[test]
fn a_reboot_in_mid_trial_begins_the_trial_again_and_counts_as_a_start() {
    let begun = Upgrade { starts: 1, ..upgrade(Some("1"), "2") };
    let intent = recorded_as(&begun, Phase::Trial);
    let mut world = World { running: BTreeSet::new(), dot_version: Some(version("2")), ..World::new(None) };
    assert!(world.run(Event::Resumed { intent, same_boot: false }).is_at_rest());
    assert_eq!((world.runs(), world.names(), &world.intent), (vec!["2"], Some("2"), &None));
}

#[test]
fn an_interrupted_switch_is_gone_on_with_whatever_runs() {
    for (running, named) in [(Some("1"), "1"), (None, "1"), (Some("2"), "1"), (Some("2"), "2"), (None, "2")] {
        let intent = recorded_as(&upgrade(Some("1"), "2"), Phase::Switching);
        let running = running.map(version).into_iter().collect();
        let mut world = World { running, dot_version: Some(version(named)), ..World::new(None) };
        assert!(world.run(Event::Resumed { intent, same_boot: true }).is_at_rest());
        assert_eq!((world.runs(), world.names(), world.most_running), (vec!["2"], Some("2"), 1));
    }
}

#[test]
fn compared_not_searched() {
    let look = |status: &str| Look::status(Status::read(status));
    assert!(!look("not started").is_started() && look("started").is_started());
    assert!(look("stopped").is_stopped() && look("stoped").is_stopped());
    assert!(!Look { executing: true, ..look("stoped") }.is_stopped());
    assert!(!Look { present: true, ..look("hm") }.is_stopped() && look("hm").is_stopped());
}

fn nature() -> impl Strategy<Value = Nature> {
    let stays = prop_oneof![Just(u32::MAX), 0..6_u32];
    (any::<bool>(), any::<bool>(), any::<bool>(), stays).prop_map(
        |(starts, stops, dies_when_killed, stays_for)| Nature { starts, stops, dies_when_killed, stays_for },
    )
}

proptest! {
    /// Whatever the versions do and wherever the disk is full, and wherever it is gone on with after an interruption:
    /// never two versions at once, and what is at rest with no record left is named by `.version` or nothing.
    #[test]
    fn never_two_versions_at_once(
        old in nature(),
        new in nature(),
        installed in any::<bool>(),
        fails_at in proptest::option::of(1..6_usize),
    ) {
        let from = installed.then_some("1");
        let mut world = World::new(from).with("1", old).with("2", new);
        world.fails_at = fails_at;
        let state = world.run(Event::StageOrdered(upgrade(from, "2")));
        prop_assert!(state.is_at_rest(), "{state:?}");
        for _ in 0..4 {
            prop_assert!(world.most_running <= 1, "{world:?}");
            let Some(intent) = world.intent.clone() else { break };
            world.run(Event::Resumed { intent, same_boot: true });
        }
        if world.intent.is_none() {
            let named = world.dot_version.clone();
            prop_assert!(world.running.iter().all(|it| Some(it) == named.as_ref() || world.remembered.iter().any(|(_, code)| *code == ErrorCode::StopFailed)), "{world:?}");
        }
    }

    /// Whatever the new version does and wherever the disk is full: one version runs, and `.version` names it.
    #[test]
    fn a_good_old_version_survives_every_bad_new_one(new in nature(), fails_at in proptest::option::of(1..6_usize)) {
        let mut world = World::new(Some("1")).with("2", Nature { stops: true, ..new });
        world.fails_at = fails_at;
        world.run(Event::StageOrdered(upgrade(Some("1"), "2")));
        prop_assert_eq!(world.running.len(), 1, "{:?}", world);
        prop_assert_eq!(world.running.first(), world.dot_version.as_ref());
    }
}
