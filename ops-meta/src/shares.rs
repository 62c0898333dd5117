//! What each address has of something that all want: places for connections, room for bodies. Whoever has his share gets
//! no more, and leaves the rest to others. An address without anything takes no memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So that two connections seldom wait for each other.
const SHARDS: usize = 64;

/// Who has how much.
pub struct Shares {
    shards: Box<[Mutex<HashMap<IpAddr, usize>>]>,
    hasher: RandomState,
    /// What one address may have.
    most: usize,
}

/// What somebody has, until it is dropped.
pub struct Share {
    of: Arc<Shares>,
    address: IpAddr,
    amount: usize,
}

impl Shares {
    pub fn new(most: usize) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { shards, hasher: RandomState::new(), most })
    }

    /// Nothing yet.
    pub fn of(self: &Arc<Self>, address: IpAddr) -> Share {
        Share { of: self.clone(), address: of_one_guest(address), amount: 0 }
    }

    fn shard(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        #[allow(clippy::indexing_slicing, reason = "there are SHARDS of them")]
        let shard = &self.shards[self.hasher.hash_one(address) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// So much more, unless the address would have too much; whether it got it.
    pub fn grow(&mut self, more: usize) -> bool {
        let mut shard = self.of.shard(self.address);
        let has = shard.get(&self.address).copied().unwrap_or_default();
        let fits = has.saturating_add(more) <= self.of.most;
        if fits {
            shard.insert(self.address, has + more);
            self.amount += more;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        if let Entry::Occupied(mut has) = self.of.shard(self.address).entry(self.address) {
            *has.get_mut() = has.get().saturating_sub(self.amount);
            if *has.get() == 0 {
                has.remove();
            }
        }
    }
}

/// Whoever has an IPv6 address has a network of 64 bits.
pub fn of_one_guest(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => Ipv6Addr::from(u128::from(it) >> 64 << 64).into(),
        it => it,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let shares = Shares::new(3);
        let of = |address: &str| shares.of(address.parse().unwrap());
        let (mut one, mut same) = (of("2001:db8::1"), of("2001:db8::2"));
        assert!(one.grow(2) && same.grow(1), "one network");
        assert!(!one.grow(1) && !same.grow(1));
        assert!(of("2001:db8:0:1::1").grow(3) && of("10.0.0.1").grow(3), "others");
        drop(one);
        assert!(same.grow(2) && !same.grow(1));
        drop((same, of("10.0.0.2")));
        assert!(shares.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
