//! A model of a host and its updater.

use ops_wire::Phase;

use super::random::Random;

pub const OLD: &str = "1";
pub const NEW: &str = "2";
pub const INTERVAL_SECS: i64 = 60;
pub const MOVE_SECS: i64 = 20;
pub const TRIAL_SECS: i64 = 30;
/// Longer than any wave waits.
const SLOW_SECS: i64 = 900;

/// What the new version does to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    Good,
    WillNotStart,
    FailsOnTrial,
    Kills,
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Rest,
    Move { to: &'static str, until: i64 },
    Trial { from: &'static str, until: i64 },
    Failed { to: &'static str },
}

/// What it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub version: &'static str,
    pub rollout: Option<u64>,
}

/// What it says.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    pub version: &'static str,
    pub phase: Phase,
    pub error_code: &'static str,
    pub rollout: Option<u64>,
}

#[derive(Debug)]
pub struct Host {
    #[allow(dead_code, reason = "an assertion that fails shows it")]
    pub name: String,
    pub nature: Nature,
    pub version: &'static str,
    pub doing: Doing,
    pub order: Option<Order>,
    pub held: bool,
    /// It says and hears nothing until then.
    pub silent_until: i64,
    pub beat_at: i64,
    /// Every version it ever began to move to.
    pub moves: Vec<&'static str>,
}

impl Host {
    pub fn new(name: String, nature: Nature, beat_at: i64) -> Self {
        Self {
            name,
            nature,
            version: OLD,
            doing: Doing::Rest,
            order: None,
            held: false,
            silent_until: 0,
            beat_at,
            moves: Vec::new(),
        }
    }

    pub fn is_silent(&self, now: i64) -> bool {
        now < self.silent_until
    }

    /// Whether it moves to the new version, or tries it.
    pub fn is_under_way(&self) -> bool {
        match self.doing {
            Doing::Move { to, .. } => to == NEW,
            Doing::Trial { .. } => self.version == NEW,
            _ => false,
        }
    }

    /// The faults are over: who comes back tries again.
    pub fn heal(&mut self) {
        self.nature = Nature::Good;
        self.held = false;
        self.silent_until = 0;
        if matches!(self.doing, Doing::Failed { .. }) {
            self.doing = Doing::Rest;
        }
        if let Doing::Move { until, .. } = &mut self.doing {
            *until = 0;
        }
    }

    pub fn goes_on(&mut self, now: i64) {
        match self.doing {
            Doing::Move { to, until } if now >= until => self.arrive(to, now),
            Doing::Trial { from, until } if now >= until => {
                self.doing = Doing::Rest;
                if self.version == NEW && self.nature == Nature::FailsOnTrial {
                    self.doing = Doing::Failed { to: NEW };
                    self.version = from;
                }
            }
            _ => {}
        }
    }

    fn arrive(&mut self, to: &'static str, now: i64) {
        match (to, self.nature) {
            (NEW, Nature::WillNotStart) => self.doing = Doing::Failed { to },
            (NEW, Nature::Kills) => self.silent_until = i64::MAX,
            _ => {
                self.doing = Doing::Trial { from: self.version, until: now + TRIAL_SECS };
                self.version = to;
            }
        }
    }

    pub fn says(&self) -> Said {
        let (phase, error_code) = match self.doing {
            _ if self.held => (Phase::Held, "held"),
            Doing::Rest => (Phase::Idle, ""),
            Doing::Move { .. } => (Phase::Downloading, ""),
            Doing::Trial { .. } => (Phase::Trial, ""),
            Doing::Failed { .. } => (Phase::RolledBack, "trial_failed"),
        };
        Said { version: self.version, phase, error_code, rollout: self.order.and_then(|it| it.rollout) }
    }

    pub fn hears(&mut self, order: Option<Order>, now: i64, random: &mut Random) {
        let Some(order) = order else { return };
        self.order = Some(order);
        let is_on_it = match self.doing {
            _ if self.held => true,
            Doing::Move { to, .. } | Doing::Failed { to } => to == order.version,
            Doing::Rest | Doing::Trial { .. } => self.version == order.version,
        };
        if is_on_it {
            return;
        }
        if self.version == order.version {
            self.doing = Doing::Rest;
            return;
        }
        let slow = if order.version == NEW && self.nature == Nature::Slow { SLOW_SECS } else { 0 };
        let until = now + slow + random.between(5, MOVE_SECS);
        self.doing = Doing::Move { to: order.version, until };
        self.moves.push(order.version);
    }

    pub fn is_at_rest_with(&self, version: &str) -> bool {
        self.version == version && self.doing == Doing::Rest
    }
}
