//! How far the hosts of a rollout are, in numbers.

use std::collections::BinaryHeap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::admission::is_selected;
use super::class::Class;

/// What of one host counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Bit `n`: wave `n` selects it.
    pub selected: u32,
    /// The first of the waves that admit it.
    pub admitted_by: Option<usize>,
    pub class: Class,
    /// It has not what is to change, and a freeze or a window keeps it from that, whatever else is so.
    pub is_kept: bool,
}

impl Seen {
    pub fn is_selected_by(&self, wave: usize) -> bool {
        is_selected(self.selected, wave)
    }

    /// Has the change, or is to have it.
    fn is_reached(&self) -> bool {
        self.admitted_by.is_some() || self.class == Class::There
    }
}

/// Hosts of one wave.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Those that it selects, as far as they count ([`Class::is_counted`]).
    pub hosts: u32,
    /// Those that it selects and that do not count.
    pub left_out: u32,
    /// Of them those that some wave admitted, or that are there anyway.
    pub reached: u32,
    /// Of them those that have the change, whoever admitted them.
    #[serde(skip)]
    pub have_it: u32,
    /// Of those left out the ones that are silent, or lack what their package requires: so may be a part of the fleet that
    /// fares badly.
    #[serde(skip)]
    pub missing: u32,
    /// Those that this wave was the first to admit, by how far they are.
    pub of: Classes,
}

/// A number for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Classes([u32; Class::ALL.len()]);

/// Hosts that were admitted and may not begin yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// For what their package requires.
    pub requires: u32,
    /// For the end of a freeze, or for a window.
    pub shut: u32,
}

impl Waiting {
    pub fn all(self) -> u32 {
        self.requires.saturating_add(self.shut)
    }
}

impl Classes {
    pub fn get(&self, class: Class) -> u32 {
        self.0.get(class as usize).copied().unwrap_or(0)
    }

    fn add(&mut self, class: Class) {
        if let Some(count) = self.0.get_mut(class as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn sum(&self, classes: &[Class]) -> u32 {
        classes.iter().fold(0, |sum, class| sum.saturating_add(self.get(*class)))
    }

    /// Told, or about to be, and not settled.
    pub fn in_flight(&self) -> u32 {
        self.sum(&[Class::Ordered, Class::Moving, Class::Trial]).saturating_add(self.waiting().all())
    }

    /// Of them those that may not begin yet.
    pub fn waiting(&self) -> Waiting {
        Waiting { requires: self.get(Class::Waiting), shut: self.get(Class::Shut) }
    }

    /// As [`Counts::missing`].
    pub fn missing(&self) -> u32 {
        Class::ALL.iter().filter(|it| it.is_missing()).fold(0, |sum, it| sum.saturating_add(self.get(*it)))
    }

    pub fn failures(&self) -> u32 {
        self.sum(&[Class::Failed, Class::RolledBack, Class::TimedOut, Class::Vanished])
    }

    /// Whatever was ordered and can be judged.
    pub fn ordered(&self) -> u32 {
        self.sum(&[Class::Ordered, Class::Moving, Class::Trial, Class::Done]).saturating_add(self.failures())
    }
}

/// Only what there is: `{"done": 12, "timed_out": 1}`.
impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for class in Class::ALL.iter().copied().filter(|class| self.get(*class) > 0) {
            map.serialize_entry(&class, &self.get(class))?;
        }
        map.end()
    }
}

/// All hosts of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    pub waves: Vec<Counts>,
    /// Those that no wave admits.
    pub rest: Classes,
    /// Those that a freeze or a window keeps from having it.
    pub kept: u32,
}

impl Tally {
    pub fn new(waves: usize) -> Self {
        Self { waves: vec![Counts::default(); waves], ..Self::default() }
    }

    pub fn add(&mut self, seen: &Seen) {
        for (wave, counts) in self.waves.iter_mut().enumerate() {
            match (seen.is_selected_by(wave), seen.class.is_counted()) {
                (false, _) => {}
                (true, false) => {
                    counts.left_out = counts.left_out.saturating_add(1);
                    counts.missing = counts.missing.saturating_add(seen.class.is_missing().into());
                }
                (true, true) => {
                    counts.hosts = counts.hosts.saturating_add(1);
                    counts.reached = counts.reached.saturating_add(seen.is_reached().into());
                    let has_it = matches!(seen.class, Class::Done | Class::There);
                    counts.have_it = counts.have_it.saturating_add(has_it.into());
                }
            }
        }
        self.kept = self.kept.saturating_add(seen.is_kept.into());
        match seen.admitted_by.and_then(|wave| self.waves.get_mut(wave)) {
            Some(counts) => counts.of.add(seen.class),
            None => self.rest.add(seen.class),
        }
    }

    /// Of all hosts those that have the change, rounded down: 100 are all of them. The last wave is of all.
    pub fn percent_done(&self) -> u32 {
        let percent = |it: &Counts| {
            let hosts = u64::from(it.hosts) + u64::from(it.left_out);
            (u64::from(it.have_it) * 100).checked_div(hosts)
        };
        let percent = self.waves.last().and_then(percent).unwrap_or(100);
        u32::try_from(percent).unwrap_or(100).min(100)
    }

    /// Of all waves.
    pub fn in_flight(&self) -> u32 {
        self.sum(Classes::in_flight)
    }

    pub fn waiting(&self) -> Waiting {
        Waiting { requires: self.sum(|it| it.waiting().requires), shut: self.sum(|it| it.waiting().shut) }
    }

    fn sum(&self, each: impl Fn(&Classes) -> u32) -> u32 {
        self.waves.iter().fold(0, |sum, counts| sum.saturating_add(each(&counts.of)))
    }
}

/// The positions of the hosts that are moved next: the smallest, or the largest on the way back. Keeps no more than can
/// be used.
#[derive(Debug, Clone)]
pub struct Nearest {
    most: usize,
    /// Positions are kept so that the first to be moved is the smallest.
    kept: BinaryHeap<u64>,
    flip: u64,
}

impl Nearest {
    pub(super) fn smallest(most: u32) -> Self {
        Self { most: most as usize, kept: BinaryHeap::new(), flip: 0 }
    }

    pub(super) fn largest(most: u32) -> Self {
        Self { flip: u64::MAX, ..Self::smallest(most) }
    }

    pub fn offer(&mut self, position: u64) {
        let key = position ^ self.flip;
        if self.kept.len() < self.most {
            self.kept.push(key);
        } else if let Some(mut last) = self.kept.peek_mut()
            && key < *last
        {
            *last = key;
        }
    }

    /// The first to be moved is the first.
    pub fn sorted(self) -> Vec<u64> {
        let flip = self.flip;
        self.kept.into_sorted_vec().into_iter().map(|key| key ^ flip).collect()
    }
}
