//! Deletes what was put aside. A child does it: a tree of many files takes long, and the parent never waits.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::child::{self, Child};
use crate::error::Fault;
use crate::fs_layout::{self, Layout};
use crate::log::{self, Level};
use crate::stage;

/// The name of this child.
pub const KIND: &str = "sweep";
/// Nothing takes that long unless the disk is sick; what is left then goes the next time.
const SWEEP_TIME: Duration = Duration::from_secs(4 * 3600);

/// A child that could not be begun is begun again after this.
const RETRY_WAIT: Duration = Duration::from_secs(60);

/// The child that sweeps, when there is something to delete.
#[derive(Debug, Default)]
pub struct Sweeper {
    wanted: bool,
    not_before: Duration,
    child: Option<Child>,
}

impl Sweeper {
    /// Something may have been put aside.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    pub fn is_idle(&self) -> bool {
        !self.wanted && self.child.is_none()
    }

    pub fn tick(&mut self, layout: &Layout, now: Duration) {
        if self.child.as_mut().is_some_and(|child| has_ended(child, now)) {
            self.child = None;
        }
        if self.wanted && self.child.is_none() && now >= self.not_before {
            let needed = layout.has_discarded();
            self.began(needed, needed.then(|| begin(layout, now)).flatten(), now);
        }
    }

    fn began(&mut self, needed: bool, child: Option<Child>, now: Duration) {
        self.wanted = needed && child.is_none();
        if self.wanted {
            self.not_before = now + RETRY_WAIT;
        }
        self.child = child;
    }

    /// When it is to be ticked at the latest.
    pub fn next_wake(&self) -> Option<Duration> {
        let soon = self.wanted.then_some(self.not_before);
        self.child.as_ref().map(Child::deadline).or(soon)
    }

    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref()?.pipe()
    }
}

fn begin(layout: &Layout, now: Duration) -> Option<Child> {
    Child::begin(KIND, &layout.staging(), now + SWEEP_TIME).map_err(tell).ok()
}

fn has_ended(child: &mut Child, now: Duration) -> bool {
    let polled = child.poll(now);
    polled.lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).for_each(tell);
    polled.ended.map(|it| it.map_err(tell)).is_some()
}

/// What cannot be removed hinders nothing else.
fn tell(fault: Fault) {
    log::event(Level::Error, "not_removed", &[("error", &fault.sentence)]);
}

/// The child's whole life.
pub fn run() -> Result<(), Fault> {
    let staging: PathBuf = child::take_job()?;
    stage::confine_who_moves(&staging);
    fs_layout::remove_discarded(&staging).iter().for_each(child::say);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_could_not_be_begun_is_begun_later() {
        let (mut sweeper, now) = (Sweeper::default(), Duration::from_secs(1000));
        sweeper.want();
        assert_eq!(sweeper.next_wake(), Some(Duration::ZERO));
        sweeper.began(true, None, now);
        assert!(!sweeper.is_idle());
        assert_eq!(sweeper.next_wake(), Some(now + RETRY_WAIT));
        sweeper.began(false, None, now + RETRY_WAIT);
        assert!(sweeper.is_idle());
    }
}
