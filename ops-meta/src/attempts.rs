//! Who came with tokens that nobody gave: after some of them an address is told to wait. The table has a fixed size; of
//! two addresses that share a place the later one has it.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::shares::of_one_guest;

const PLACES: usize = 4096;
/// So many within the time are answered as they deserve.
const FAILURES_MAX: u32 = 10;
const TIME: Duration = Duration::from_secs(60);

/// One address, and how often it failed since.
#[derive(Clone, Copy)]
struct Failing {
    address: IpAddr,
    since: Instant,
    times: u32,
}

/// The failures of all addresses.
pub struct Attempts {
    hasher: RandomState,
    places: Mutex<Box<[Option<Failing>]>>,
}

impl Attempts {
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), places: Mutex::new(vec![None; PLACES].into()) }
    }

    /// Counts a failure; after too many, how many seconds the address has to wait before the next is looked at.
    pub fn failed(&self, address: IpAddr) -> Option<u64> {
        let (address, now) = (of_one_guest(address), Instant::now());
        let at = self.hasher.hash_one(address) as usize % PLACES;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get_mut(at)?;
        let known = place.filter(|it| it.address == address && now.duration_since(it.since) < TIME);
        let mut failing = known.unwrap_or(Failing { address, since: now, times: 0 });
        failing.times = failing.times.saturating_add(1);
        *place = Some(failing);
        let left = TIME.saturating_sub(now.duration_since(failing.since));
        (failing.times > FAILURES_MAX).then(|| left.as_secs().max(1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn after_some_failures_an_address_waits_and_no_other() {
        let attempts = Attempts::new();
        let fail = |address: &str| attempts.failed(address.parse().unwrap());
        for _ in 0..FAILURES_MAX {
            assert_eq!(fail("2001:db8::1"), None);
        }
        assert!(fail("2001:db8::2").is_some_and(|secs| (1..=60).contains(&secs)));
        assert_eq!(fail("2001:db8:0:1::1"), None);
        assert_eq!(fail("10.0.0.1"), None);
    }

    #[test]
    fn it_is_forgotten_after_a_while() {
        let attempts = Attempts::new();
        let address = "10.0.0.1".parse().unwrap();
        (0..99).for_each(|_| _ = attempts.failed(address));
        for failing in attempts.places.lock().unwrap().iter_mut().flatten() {
            failing.since -= TIME;
        }
        assert_eq!(attempts.failed(address), None);
    }
}
