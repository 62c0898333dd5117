//! Lists of hosts: filtered, sorted, a page at a time, without sorting the whole fleet.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Bound::{Excluded, Unbounded};

use super::{Fleet, Host, locked};

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
}

/// A part of a list.
pub struct Page {
    pub hosts: Vec<(Position, Host)>,
    /// Behind which the next page begins, where there are more.
    pub next: Option<Position>,
    /// How many the filter admits, on all pages; where it was asked for.
    pub total: Option<usize>,
}

impl Fleet {
    /// Looks at every host once, a shard at a time; in the order of names, at as few as it can.
    pub fn page(&self, mut asked: Asked<'_>) -> Page {
        let mut places = Places::new(asked.order, asked.limit);
        let total = match (&mut asked.rank, asked.total) {
            (None, false) => {
                self.first_by_name(&mut asked, &mut places);
                None
            }
            _ => {
                let admitted = self.all(&mut asked, &mut places);
                asked.total.then_some(admitted)
            }
        };
        let (positions, next) = places.taken();
        // Who left meanwhile is left out.
        let hosts = positions.into_iter().filter_map(|position| {
            let host = self.find(&position.hostname)?;
            Some((position, host))
        });
        Page { hosts: hosts.collect(), next, total }
    }

    fn all(&self, asked: &mut Asked<'_>, places: &mut Places) -> usize {
        let mut total = 0;
        self.visit(|hostname, host| {
            if !(asked.admits)(hostname, host) {
                return;
            }
            total += 1;
            let rank = asked.rank.as_mut().map_or(0, |rank| rank(hostname, host));
            places.offer(rank, hostname, asked.after.as_ref());
        });
        total
    }

    /// Every shard has its hosts in the order of their names: each is left where a place is no longer to be had.
    fn first_by_name(&self, asked: &mut Asked<'_>, places: &mut Places) {
        let after = asked.after.as_ref().map_or(Unbounded, |position| Excluded(&*position.hostname));
        for shard in &self.shards {
            let shard = locked(shard);
            let mut has_room = |hostname: &str, host: &Host| match (asked.admits)(hostname, host) {
                true => places.offer(0, hostname, None),
                false => true,
            };
            // Whoever stands behind the one that is found stands too far behind.
            let _ = match asked.order {
                Order::Ascending => {
                    let mut rest = shard.hosts.range::<str, _>((after, Unbounded));
                    rest.find(|(hostname, host)| !has_room(hostname, host))
                }
                Order::Descending => {
                    let mut rest = shard.hosts.range::<str, _>((Unbounded, after));
                    rest.rfind(|(hostname, host)| !has_room(hostname, host))
                }
            };
        }
    }
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
