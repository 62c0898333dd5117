//! Hosts, the server, and what goes wrong between them.

use std::collections::{BTreeMap, BTreeSet};

use super::host::{Doing, Host, INTERVAL_SECS, NEW, Nature, OLD};
use super::invariants;
use super::random::Random;
use super::server::{Facts, Server};
use crate::domain::rollout::{
    Class, Next, OnBreach, Opening, Plan, PlanText, Progress, Rollout, Seen, State, Step, Verb, Wait,
    WaveText, position,
};
use crate::domain::selector::{HostFacts, Lists};

const START: i64 = 1_800_000_000;
const TICK_SECS: i64 = 10;
const FAULT_SECS: i64 = 1500;
/// No rollout of this size takes longer once nothing goes wrong any more.
const REST_SECS: i64 = 40_000;
/// So many steps are made at once.
const STEPS_MAX: usize = 3;

/// How often something goes wrong: in 100, or in 10,000 ticks.
struct Faults {
    lost_in_100: u64,
    silent_in_10_000: u64,
    restart_in_10_000: u64,
    jump_in_10_000: u64,
    verb_in_10_000: u64,
    crash_in_100: u64,
    new_in_10_000: u64,
    shut_in_10_000: u64,
}

/// What the simulation came across.
#[derive(Debug, Default)]
pub struct Happened {
    pub steps: BTreeMap<&'static str, u32>,
    pub verbs: u32,
    pub refused: u32,
    pub restarts: u32,
    pub jumps: u32,
    pub lost: u32,
    pub looked: u32,
}

impl Happened {
    pub fn add(&mut self, other: &Self) {
        for (step, count) in &other.steps {
            *self.steps.entry(step).or_default() += count;
        }
        self.verbs += other.verbs;
        self.refused += other.refused;
        self.restarts += other.restarts;
        self.jumps += other.jumps;
        self.lost += other.lost;
        self.looked += other.looked;
    }

    pub fn is_enough(&self) -> bool {
        let others = [self.verbs, self.refused, self.restarts, self.jumps, self.lost, self.looked];
        self.steps.len() == 9 && self.steps.values().copied().chain(others).all(|count| count > 5)
    }
}

pub struct World {
    pub random: Random,
    pub now: i64,
    /// The server's clock is ahead by this.
    ahead: i64,
    pub hosts: Vec<Host>,
    pub server: Server,
    down_until: i64,
    faults: Faults,
    bad_in_100: u64,
    /// Positions of hosts that were not waited for at some time.
    given_up: BTreeSet<u64>,
    pub happened: Happened,
}

fn faults(random: &mut Random) -> Faults {
    let mut rate = |most: i64| if random.in_100(40) { 0 } else { random.between(1, most) as u64 };
    Faults {
        lost_in_100: rate(30),
        silent_in_10_000: rate(20),
        restart_in_10_000: rate(150),
        jump_in_10_000: rate(60),
        verb_in_10_000: rate(400),
        crash_in_100: rate(20),
        new_in_10_000: rate(100),
        shut_in_10_000: rate(100),
    }
}

fn plan(random: &mut Random) -> Plan {
    let shares = random.one_of(&["100%", "1,100%", "10%,100%", "5%,20%,50%,100%", "3,30%,100%"]);
    let max_in_flight = random.one_of(&[None, Some(1), Some(3), Some(10)]);
    let text = crate::domain::rollout::PresetText {
        waves: shares,
        soak: random.one_of(&[None, Some("60s"), Some("3m")]),
        timeout: Some("4m"),
        max_failed: random.one_of(&[None, Some("0"), Some("2"), Some("10%"), Some("30%")]),
        max_in_flight,
        hosts_per_minute: random.one_of(&[None, None, Some(2), Some(30)]),
    };
    let mut waves = crate::domain::rollout::preset(&text).unwrap();
    if random.in_100(30) {
        let canaries = WaveText {
            name: "canaries".to_owned(),
            select: "hostname=c*".to_owned(),
            ..waves.last().unwrap().clone()
        };
        waves.insert(0, canaries);
    }
    waves.iter_mut().for_each(|wave| wave.approval = random.in_100(15));
    let on_breach = random.one_of(&[OnBreach::Pause, OnBreach::Rollback, OnBreach::Stop]);
    let text =
        PlanText { agent: "a".to_owned(), version: NEW.to_owned(), waves, on_breach, ..PlanText::default() };
    Plan::check(&text, &Lists::new()).unwrap()
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let plan = plan(&mut random);
        let now = START * 1000;
        let progress = if random.in_100(20) { Progress::draft(now) } else { Progress::started(now) };
        let server = Server::new(Rollout { id: seed + 1, plan, progress }, START);
        let faults = faults(&mut random);
        let bad_in_100 = if random.in_100(40) { 0 } else { random.between(1, 60) as u64 };
        let mut world = Self {
            random,
            now: START,
            ahead: 0,
            hosts: Vec::new(),
            server,
            down_until: 0,
            faults,
            bad_in_100,
            given_up: BTreeSet::new(),
            happened: Happened::default(),
        };
        for _ in 0..world.random.between(1, 30) {
            world.host_appears();
        }
        world
    }

    fn host_appears(&mut self) {
        let n = self.hosts.len();
        let name = if self.random.in_100(10) { format!("c{n}") } else { format!("h{n}") };
        let bad = [Nature::WillNotStart, Nature::FailsOnTrial, Nature::Kills, Nature::Slow];
        let nature = match self.random.in_100(self.bad_in_100) {
            true => self.random.one_of(&bad),
            false => Nature::Good,
        };
        let excluded = self.random.in_100(3);
        let late = self.random.between(0, 1000);
        let ready_at = if self.random.in_100(10) { self.clock() + late } else { 0 };
        let labels = BTreeMap::new();
        let facts = HostFacts { hostname: &name, os: "", arch: "", ip: None, labels: &labels };
        let selected = self.server.rollout.plan.selected(&facts);
        let position = position(self.server.rollout.id, &name);
        let grouped = self.random.in_100(30);
        self.server.meet(Facts { position, selected, excluded, unmet: false, grouped, ready_at });
        let mut host = Host::new(name, nature, self.now + self.random.between(0, INTERVAL_SECS));
        host.held = self.random.in_100(3);
        self.hosts.push(host);
    }

    fn clock(&self) -> i64 {
        self.now + self.ahead
    }

    fn is_down(&self) -> bool {
        self.now < self.down_until
    }

    pub fn has_faults(&mut self) {
        let end = self.now + FAULT_SECS;
        while self.now < end {
            self.something_goes_wrong();
            self.tick(self.faults.lost_in_100);
            self.truth_keeps_the_limit();
        }
    }

    /// Not only what the server knows: where all hosts can be heard, and none comes besides, no more are under way than may
    /// be, whatever becomes of the server, its clock and what is sent.
    fn truth_keeps_the_limit(&mut self) {
        let Faults { silent_in_10_000, new_in_10_000, .. } = self.faults;
        if self.bad_in_100 + silent_in_10_000 + new_in_10_000 > 0 || self.is_down() {
            return;
        }
        let most = self.server.rollout.plan.waves.iter().filter_map(|wave| wave.max_in_flight).max();
        // A host that nobody heard for a while may have begun all the same.
        let is_given_up = |class| matches!(class, Class::Vanished | Class::TimedOut | Class::Away);
        let given_up = self.server.seen(self.clock()).into_iter().filter(|(_, seen)| is_given_up(seen.class));
        self.given_up.extend(given_up.map(|(position, _)| position));
        let allowed = most.map_or(usize::MAX, |most| most as usize + self.given_up.len());
        let under_way = self.hosts.iter().filter(|host| host.is_under_way()).count();
        assert!(
            under_way <= allowed,
            "{under_way} under way, {allowed} may be: {:?}",
            self.server.rollout.progress
        );
        self.happened.looked += 1;
    }

    fn something_goes_wrong(&mut self) {
        if !self.is_down() && self.random.in_10_000(self.faults.restart_in_10_000) {
            self.server_goes_down();
        }
        if self.random.in_10_000(self.faults.jump_in_10_000) {
            self.ahead += self.random.one_of(&[-200_000, -4000, -90, 90, 4000, 200_000]);
            self.happened.jumps += 1;
        }
        if self.random.in_10_000(self.faults.new_in_10_000) {
            self.host_appears();
        }
        if self.random.in_10_000(self.faults.shut_in_10_000) {
            self.server.frozen = self.random.in_100(30);
            let until = Some(self.clock() * 1000);
            self.server.window = self.random.one_of(&[Opening::ALWAYS, Opening::Closed { until }]);
            self.server.shut = self.random.in_100(50);
            let lack = self.random.between(0, 100) as u64;
            for n in 0..self.server.facts.len() {
                self.server.facts[n].unmet = lack > 60 && self.random.in_100(lack);
            }
        }
        for host in &mut self.hosts {
            if self.random.in_10_000(self.faults.silent_in_10_000) {
                host.silent_until = host.silent_until.max(self.now + self.random.between(60, 1200));
            }
        }
        if !self.is_down() && self.random.in_10_000(self.faults.verb_in_10_000) {
            let verb = self.random.one_of(Verb::ALL);
            let wave = self.random.one_of(&[None, Some(0), Some(1), Some(2), Some(9)]);
            self.says(verb, wave);
        }
    }

    fn server_goes_down(&mut self) {
        self.down_until = self.now + self.random.between(1, 400);
        self.happened.restarts += 1;
    }

    /// As an operator does; what cannot be is refused, and changes nothing.
    fn says(&mut self, verb: Verb, wave: Option<usize>) {
        let now = self.clock() * 1000;
        let before = self.server.rollout.progress.clone();
        self.happened.verbs += 1;
        match before.after(verb, wave, now) {
            Ok(Some(after)) => {
                invariants::verb(&before, verb, &after);
                if verb != Verb::Retry {
                    assert_eq!(after.after(verb, wave, now + 1), Ok(None), "{verb} twice");
                }
                self.server.rollout.progress = after;
            }
            Ok(None) => {}
            Err(refused) => {
                self.happened.refused += 1;
                assert!(refused.to_string().len() > 20);
            }
        }
    }

    fn tick(&mut self, lost_in_100: u64) {
        self.now += TICK_SECS;
        let was_down = self.down_until > 0 && !self.is_down();
        if was_down {
            self.down_until = 0;
            self.server.starts_again(self.clock());
        }
        for n in 0..self.hosts.len() {
            self.hosts[n].goes_on(self.now);
            if self.now >= self.hosts[n].beat_at {
                self.hosts[n].beat_at = self.now + INTERVAL_SECS + self.random.between(-3, 3);
                self.beat(n, lost_in_100);
            }
        }
        if !self.is_down() {
            let now = self.clock();
            self.server.goes_on(now);
            self.evaluate();
        }
    }

    fn beat(&mut self, n: usize, lost_in_100: u64) {
        let lost_on_the_way = self.random.in_100(lost_in_100);
        if self.hosts[n].is_silent(self.now) || self.is_down() || lost_on_the_way {
            self.happened.lost += u32::from(lost_on_the_way);
            return;
        }
        let said = self.hosts[n].says();
        let now = self.clock();
        let order = self.server.hears(n, said, now);
        invariants::told(&self.server, n, &said, order, now);
        if self.random.in_100(lost_in_100) {
            self.happened.lost += 1;
            return;
        }
        self.hosts[n].hears(order, self.now, &mut self.random);
    }

    fn evaluate(&mut self) {
        for _ in 0..STEPS_MAX {
            let now = self.clock();
            let (next, tally, seen) = self.server.evaluates(now);
            let before = self.server.rollout.clone();
            invariants::judged(&self.server, &next, &seen, now);
            let Next::Do(step) = next else { return };
            *self.happened.steps.entry(name(&step)).or_default() += 1;
            if self.random.in_100(self.faults.crash_in_100) && self.random.in_100(10) {
                // Before it is written: it never was.
                return self.server_goes_down();
            }
            self.server.rollout.progress.take(&step, now * 1000);
            invariants::stepped(&before, &self.server.rollout, &step, &tally, &seen);
            if matches!(step, Step::TakenBack { .. }) {
                self.nobody_has_it(&seen);
            }
        }
    }

    /// But for those that the server cannot reach or has given up.
    fn nobody_has_it(&self, seen: &[(u64, Seen)]) {
        for (host, (_, seen)) in self.hosts.iter().zip(seen) {
            let has_it = host.version == NEW || host.is_under_way();
            let given_up = [Class::Away, Class::Held, Class::TimedOut, Class::Failed];
            assert!(!has_it || given_up.contains(&seen.class), "{seen:?} {host:?}");
        }
    }

    /// Nothing goes wrong any more, and an operator looks after it.
    pub fn comes_to_rest(&mut self) -> State {
        self.faults.crash_in_100 = 0;
        self.down_until = self.down_until.min(self.now + 1);
        self.server.frozen = false;
        self.server.window = Opening::ALWAYS;
        self.server.shut = false;
        self.server.facts.iter_mut().for_each(|facts| (facts.ready_at, facts.unmet) = (0, false));
        self.hosts.iter_mut().for_each(Host::heal);
        let end = self.now + REST_SECS;
        while !self.server.rollout.progress.state.is_over() {
            assert!(self.now < end, "it never ends: {:?}", self.server.rollout.progress);
            self.tick(0);
            if self.now % INTERVAL_SECS == 0 {
                self.operator_acts();
            }
        }
        for _ in 0..3 * INTERVAL_SECS / TICK_SECS + 1 {
            self.tick(0);
        }
        let state = self.server.rollout.progress.state;
        (0..self.hosts.len()).for_each(|n| self.is_as_it_should_be(n, state));
        state
    }

    fn operator_acts(&mut self) {
        if self.is_down() || self.server.is_learning(self.clock()) {
            return;
        }
        match self.server.evaluates(self.clock()).0 {
            Next::Wait(Wait::Draft | Wait::Approval) => self.says(Verb::Approve, None),
            Next::Wait(Wait::Paused) => {
                let verb = self.random.one_of(&[Verb::Resume, Verb::Retry, Verb::Rollback]);
                self.says(verb, None);
            }
            Next::Wait(Wait::TooFewDone { .. }) => self.says(Verb::Retry, None),
            Next::Wait(Wait::Missing { .. } | Wait::Nobody { .. }) => self.says(Verb::Next, None),
            _ => {}
        }
    }

    fn is_as_it_should_be(&self, n: usize, state: State) {
        let (host, barred) = (&self.hosts[n], self.server.facts[n].excluded);
        let right = match state {
            State::Completed if !barred => host.is_at_rest_with(NEW),
            State::RolledBack => host.is_at_rest_with(OLD),
            // Whatever it has.
            _ => host.doing == Doing::Rest,
        };
        assert!(right, "{state} {host:?} {:?}", self.server.rollout.progress);
        assert!(!barred || host.moves.is_empty(), "there is nothing for {host:?}");
    }
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Raise { .. } => "raise",
        Step::Settle => "settle",
        Step::Recover { .. } => "recover",
        Step::Begin { .. } => "begin",
        Step::Await { .. } => "await",
        Step::Complete => "complete",
        Step::Breach { .. } => "breach",
        Step::Lower { .. } => "lower",
        Step::TakenBack { .. } => "taken back",
    }
}
