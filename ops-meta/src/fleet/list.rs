//! Lists of hosts: filtered, sorted, a page at a time, without sorting the whole fleet.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Mutex;
use std::time::Instant;

use super::{Fleet, Host, Shard, locked};

/// Hosts that are looked at under one lock.
const PIECE_HOSTS: usize = 32;

/// Which way a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Where a host stands in a list: by rank, and by name where ranks are equal. So every host has a place of its own, and
/// a page goes on where the last one ended, whatever came or went between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub rank: i64,
    pub hostname: Box<str>,
}

/// Where a host comes in a list: small ranks first.
pub type Rank<'a> = &'a mut dyn FnMut(&str, &Host) -> i64;

/// What is asked for.
pub struct Asked<'a> {
    pub admits: &'a mut dyn FnMut(&str, &Host) -> bool,
    /// `None`: all are equal, so that names decide.
    pub rank: Option<Rank<'a>>,
    pub order: Order,
    /// The last host of the page before.
    pub after: Option<Position>,
    pub limit: usize,
    pub total: bool,
    /// When it is given up.
    pub until: Instant,
}

/// The list was not done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLate;

/// A part of a list.
pub struct Page {
    pub hosts: Vec<(Position, Host)>,
    /// Behind which the next page begins, where there are more.
    pub next: Option<Position>,
    /// How many the filter admits, on all pages; where it was asked for.
    pub total: Option<usize>,
}

impl Fleet {
    /// Looks at every host once; in the order of names, at as few as it can.
    pub fn page(&self, mut asked: Asked<'_>) -> Result<Page, TooLate> {
        let mut places = Places::new(asked.order, asked.limit);
        let total = match (&asked.rank, asked.total) {
            (None, false) => {
                self.first_by_name(&mut asked, &mut places)?;
                None
            }
            (_, counted) => {
                let total = self.all(&mut asked, &mut places)?;
                counted.then_some(total)
            }
        };
        let (positions, next) = places.taken();
        // Who left meanwhile is left out.
        let hosts = positions.into_iter().filter_map(|position| {
            let host = self.find(&position.hostname)?;
            Some((position, host))
        });
        Ok(Page { hosts: hosts.collect(), next, total })
    }

    fn all(&self, asked: &mut Asked<'_>, places: &mut Places) -> Result<usize, TooLate> {
        let (mut total, until) = (0, asked.until);
        let mut each = |hostname: &str, host: &Host| {
            if (asked.admits)(hostname, host) {
                total += 1;
                let rank = asked.rank.as_mut().map_or(0, |rank| rank(hostname, host));
                places.offer(rank, hostname, asked.after.as_ref());
            }
            true
        };
        for shard in &self.shards {
            walk(shard, Order::Ascending, None, Some(until), &mut each)?;
        }
        Ok(total)
    }

    /// Every shard has its hosts in the order of their names: each is left where a place is no longer to be had.
    fn first_by_name(&self, asked: &mut Asked<'_>, places: &mut Places) -> Result<(), TooLate> {
        let after = asked.after.as_ref().map(|position| &*position.hostname);
        // Whoever stands behind the one that finds none stands too far behind.
        let mut has_room =
            |hostname: &str, host: &Host| !(asked.admits)(hostname, host) || places.offer(0, hostname, None);
        let mut shards = self.shards.iter();
        shards.try_for_each(|shard| walk(shard, asked.order, after, Some(asked.until), &mut has_room))
    }
}

/// Calls `each` for the hosts of a shard behind `after`, in the order of their names, until it has seen enough. What it
/// does may take long, so the shard is locked for a few hosts at a time, and others have their turn between.
pub(super) fn walk(
    shard: &Mutex<Shard>,
    order: Order,
    after: Option<&str>,
    until: Option<Instant>,
    each: &mut impl FnMut(&str, &Host) -> bool,
) -> Result<(), TooLate> {
    let mut next: Option<Box<str>> = after.map(Into::into);
    loop {
        if until.is_some_and(|until| until <= Instant::now()) {
            return Err(TooLate);
        }
        let shard = locked(shard);
        let after = next.as_deref().map_or(Unbounded, Excluded);
        let last = match order {
            Order::Ascending => piece(shard.hosts.range::<str, _>((after, Unbounded)), each),
            Order::Descending => piece(shard.hosts.range::<str, _>((Unbounded, after)).rev(), each),
        };
        match last {
            Some(last) => next = Some(last),
            None => return Ok(()),
        }
    }
}

/// The name of the last one, where it goes on behind it.
fn piece<'a>(
    hosts: impl Iterator<Item = (&'a Box<str>, &'a Box<Host>)>,
    each: &mut impl FnMut(&str, &Host) -> bool,
) -> Option<Box<str>> {
    for (count, (hostname, host)) in (1..).zip(hosts) {
        if !each(hostname, host) {
            return None;
        }
        if count == PIECE_HOSTS {
            return Some(hostname.clone());
        }
    }
    None
}

/// The first so many positions of those offered, and one more. The last one of them is on top.
struct Places {
    heap: BinaryHeap<Place>,
    order: Order,
    limit: usize,
}

/// A position that knows which way the list goes.
#[derive(PartialEq, Eq)]
struct Place(Position, Order);

impl Places {
    fn new(order: Order, limit: usize) -> Self {
        Self { heap: BinaryHeap::new(), order, limit }
    }

    /// Whether there is a place for one that comes behind this one. No name is copied that does not get a place.
    fn offer(&mut self, rank: i64, hostname: &str, after: Option<&Position>) -> bool {
        let comes_after = |other: &Position| self.order.compare((rank, hostname), other) == Ordering::Greater;
        if !after.is_none_or(comes_after) {
            return true;
        }
        if self.heap.len() > self.limit {
            if self.heap.peek().is_some_and(|Place(last, _)| comes_after(last)) {
                return false;
            }
            self.heap.pop();
        }
        self.heap.push(Place(Position { rank, hostname: hostname.into() }, self.order));
        true
    }

    /// In order, and the last of them where there were more.
    fn taken(self) -> (Vec<Position>, Option<Position>) {
        let sorted = self.heap.into_sorted_vec().into_iter();
        let mut positions: Vec<Position> = sorted.map(|Place(position, _)| position).collect();
        let more = positions.len() > self.limit;
        positions.truncate(self.limit);
        let next = positions.last().filter(|_| more).cloned();
        (positions, next)
    }
}

impl Order {
    fn compare(self, (rank, hostname): (i64, &str), other: &Position) -> Ordering {
        let ascending = (rank, hostname).cmp(&(other.rank, &*other.hostname));
        match self {
            Self::Ascending => ascending,
            Self::Descending => ascending.reverse(),
        }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.1.compare((self.0.rank, &self.0.hostname), &other.0)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
