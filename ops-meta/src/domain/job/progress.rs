//! How far the hosts of a job are, and which may be told now.

use std::collections::BTreeSet;

use super::{HostState, IN_FLIGHT_MS_MAX, Outcome};

/// One host of a job. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub hostname: Box<str>,
    pub state: HostState,
    /// When it was told first.
    pub told: Option<i64>,
    pub answered: Option<i64>,
    /// Why it failed.
    pub code: Box<str>,
}

impl Host {
    pub fn new(hostname: impl Into<Box<str>>) -> Self {
        let (told, answered) = (None, None);
        Self { hostname: hostname.into(), state: HostState::Pending, told, answered, code: "".into() }
    }
}

/// What a host hears that beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// For the first time: that is to be written.
    First,
    /// It has not answered yet; the answer to its beat may have been lost.
    Again,
    Nothing,
}

/// The hosts of a job that runs.
#[derive(Debug, Clone)]
pub struct Progress {
    /// By name.
    hosts: Vec<Host>,
    max_in_flight: Option<u32>,
    /// When they were told, and their places: those that are waited for.
    in_flight: BTreeSet<(i64, usize)>,
    /// How many have not answered.
    left: usize,
}

impl Progress {
    pub fn new(mut hosts: Vec<Host>, max_in_flight: Option<u32>) -> Self {
        hosts.sort_unstable_by(|one, other| one.hostname.cmp(&other.hostname));
        hosts.dedup_by(|one, other| one.hostname == other.hostname);
        let sent =
            |(at, host): (usize, &Host)| Some((host.told?, at)).filter(|_| host.state == HostState::Sent);
        let in_flight = hosts.iter().enumerate().filter_map(sent).collect();
        let left = hosts.iter().filter(|host| host.is_awaited()).count();
        Self { hosts, max_in_flight, in_flight, left }
    }

    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub fn get(&self, at: usize) -> Option<&Host> {
        self.hosts.get(at)
    }

    /// Whether every host has answered.
    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    /// What the host at this place hears at `now`.
    pub fn tell(&mut self, at: usize, now: i64) -> Tell {
        match self.hosts.get(at).map(|host| host.state) {
            Some(HostState::Sent) => Tell::Again,
            Some(HostState::Pending) if self.has_room(now) => {
                if let Some(host) = self.hosts.get_mut(at) {
                    (host.state, host.told) = (HostState::Sent, Some(now));
                    self.in_flight.insert((now, at));
                }
                Tell::First
            }
            _ => Tell::Nothing,
        }
    }

    fn has_room(&mut self, now: i64) -> bool {
        let Some(most) = self.max_in_flight else { return true };
        while self.in_flight.first().is_some_and(|(told, _)| *told <= now - IN_FLIGHT_MS_MAX) {
            self.in_flight.pop_first();
        }
        // By a clock that was set back, nobody is waited for longer than that either.
        while self.in_flight.last().is_some_and(|(told, _)| *told > now + IN_FLIGHT_MS_MAX) {
            self.in_flight.pop_last();
        }
        self.in_flight.len() < most as usize
    }

    /// The host at this place has answered: with an empty code that it is done. Whether that was not known yet.
    pub fn answered(&mut self, at: usize, code: &str, now: i64) -> bool {
        let Some(host) = self.hosts.get_mut(at).filter(|host| host.is_awaited()) else { return false };
        host.state = if code.is_empty() { HostState::Done } else { HostState::Failed };
        (host.answered, host.code) = (Some(now), code.into());
        if let Some(told) = host.told {
            self.in_flight.remove(&(told, at));
        }
        self.left -= 1;
        true
    }

    /// The time is over. Whoever has not answered.
    pub fn expire(&mut self) -> Vec<usize> {
        let awaited = self.hosts.iter_mut().enumerate().filter(|(_, host)| host.is_awaited());
        let expire = |(at, host): (usize, &mut Host)| {
            host.state = HostState::Expired;
            at
        };
        let expired = awaited.map(expire).collect();
        self.in_flight.clear();
        self.left = 0;
        expired
    }

    pub fn outcome(&self) -> Outcome {
        Outcome::of(&self.hosts)
    }
}

impl Host {
    fn is_awaited(&self) -> bool {
        matches!(self.state, HostState::Pending | HostState::Sent)
    }
}
