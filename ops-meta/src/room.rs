//! Memory for bodies that come in pieces: so much for all of them, and a share of it for those of one address.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::shares::{Share, Shares};

/// So many addresses have to hold unfinished bodies before there is no room for others.
const SHARES: usize = 4;

/// What bodies that come in more than one piece may take.
pub struct Room {
    /// A permit for each byte.
    bytes: Semaphore,
    shares: Arc<Shares>,
}

impl Room {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes: Semaphore::new(bytes_max), shares: Shares::new(bytes_max / SHARES) }
    }

    /// For a body from this address.
    pub fn at(&self, from: IpAddr) -> Corner<'_> {
        Corner { room: self, from }
    }
}

/// The room, as one address may use it.
#[derive(Clone, Copy)]
pub struct Corner<'a> {
    room: &'a Room,
    from: IpAddr,
}

/// What one body holds of it.
pub struct Held<'a> {
    permit: SemaphorePermit<'a>,
    share: Share,
}

impl<'a> Corner<'a> {
    /// So many bytes beside those that are `held`, if there is room for them.
    pub fn grow(self, held: Option<Held<'a>>, bytes: usize) -> Option<Held<'a>> {
        let permit = self.room.bytes.try_acquire_many(u32::try_from(bytes).ok()?).ok()?;
        let Some(mut held) = held else {
            let mut share = self.room.shares.of(self.from);
            return share.grow(bytes).then_some(Held { permit, share });
        };
        held.permit.merge(permit);
        held.share.grow(bytes).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn there_is_room_for_so_much_and_a_share_of_it_for_each_address() {
        let room = Room::new(16);
        let at = |n: u8| room.at([10, 0, 0, n].into());
        let held = at(1).grow(None, 3).unwrap();
        assert!(at(1).grow(None, 2).is_none(), "its share");
        let held = at(1).grow(Some(held), 1).unwrap();
        let others: Vec<_> = (2..5).map(|n| at(n).grow(None, 4).unwrap()).collect();
        assert!(at(5).grow(None, 1).is_none(), "all of it");
        drop((held, others));
        assert_eq!(room.bytes.available_permits(), 16);
    }
}
