//! Texts that many hosts have in common, each kept once in a shard for as long as a host has it; and how much all of them
//! may take together, so that hosts that say much, and each something else, do not fill the memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::host::{Agents, Facts, Real};

/// Larger ones find room in the first half only: hosts that say as much as they may keep nobody from being known who says
/// what hosts say.
const LARGE_BYTES: usize = 16 << 10;
/// What a label takes besides its words.
const LABEL_BYTES: usize = 2 * size_of::<String>();

/// Something that takes memory.
pub trait Text: Eq + Hash {
    /// About so much of it.
    fn bytes(&self) -> usize;
}

impl Text for Facts {
    fn bytes(&self) -> usize {
        let words = [&self.os, &self.arch, &self.updater_version, &self.run_user];
        let labels = self.labels.iter().map(|(key, value)| LABEL_BYTES + key.len() + value.len());
        size_of::<Self>() + words.map(String::len).iter().sum::<usize>() + labels.sum::<usize>()
    }
}

impl Text for Agents {
    fn bytes(&self) -> usize {
        let words = |it: &Real| {
            let words = [&it.name, &it.version, &it.desired_version, &it.error_code, &it.sha256];
            size_of::<Real>() + it.status.as_str().len() + words.map(|it| it.len()).iter().sum::<usize>()
        };
        size_of::<Self>() + self.0.iter().map(words).sum::<usize>()
    }
}

/// What the texts of all shards take, in bytes.
#[derive(Debug, Default)]
pub struct Room(AtomicUsize);

impl Room {
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize, most: usize) -> bool {
        let most = if bytes > LARGE_BYTES { most / 2 } else { most };
        let more = |taken: usize| taken.checked_add(bytes).filter(|&all| all <= most);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// Each text, and how many hosts have it. It stands there twice, so that it is found and counted with one look.
#[derive(Debug)]
pub struct Shared<T>(HashMap<Arc<T>, (Arc<T>, u32)>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Text + Default> Shared<T> {
    /// For a new host; `None`: there is no room for it.
    pub fn of(&mut self, text: T, room: &Room, most: usize) -> Option<Arc<T>> {
        if let Some((known, hosts)) = self.0.get_mut(&text) {
            *hosts = hosts.saturating_add(1);
            return Some(known.clone());
        }
        if !room.take(text.bytes(), most) {
            return None;
        }
        let text = Arc::new(text);
        self.0.insert(text.clone(), (text.clone(), 1));
        Some(text)
    }

    /// For a host that has `before`; `None`: there is no room, and it still has that.
    pub fn instead_of(&mut self, before: &Arc<T>, text: T, room: &Room, most: usize) -> Option<Arc<T>> {
        // What is replaced makes room.
        self.leave(before, room);
        let text = self.of(text, room, most);
        if text.is_none() {
            self.adopt(before, room);
        }
        text
    }

    /// For a host of which nothing is known that there was room for.
    pub fn nothing(&mut self, room: &Room) -> Arc<T> {
        let nothing = Arc::default();
        self.adopt(&nothing, room);
        nothing
    }

    /// One more host has it, whether there is room or not. It may be shared with other shards.
    pub fn adopt(&mut self, text: &Arc<T>, room: &Room) {
        match self.0.get_mut(text) {
            Some((_, hosts)) => *hosts = hosts.saturating_add(1),
            None => {
                room.0.fetch_add(text.bytes(), Ordering::Relaxed);
                self.0.insert(text.clone(), (text.clone(), 1));
            }
        }
    }

    /// A host has it no longer.
    pub fn leave(&mut self, text: &Arc<T>, room: &Room) {
        let Some((_, hosts)) = self.0.get_mut(text) else { return };
        *hosts = hosts.saturating_sub(1);
        if *hosts == 0 {
            self.0.remove(text);
            room.0.fetch_sub(text.bytes(), Ordering::Relaxed);
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.keys().map(|text| &**text)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn facts(os: &str) -> Facts {
        Facts { os: os.to_owned(), ..Facts::default() }
    }

    #[test]
    fn a_text_takes_room_once_until_the_last_host_has_another() {
        let (mut shared, room, most) = (Shared::default(), Room::default(), 1 << 20);
        let one = shared.of(facts("linux"), &room, most).unwrap();
        let taken = room.taken();
        assert!(taken > size_of::<Facts>());
        let two = shared.of(facts("linux"), &room, most).unwrap();
        assert!(Arc::ptr_eq(&one, &two) && room.taken() == taken);
        let other = shared.instead_of(&one, facts("plan9"), &room, most).unwrap();
        assert_eq!((shared.len(), room.taken()), (2, 2 * taken));
        shared.leave(&two, &room);
        shared.leave(&other, &room);
        shared.leave(&other, &room);
        assert_eq!((shared.len(), room.taken()), (0, 0));
    }

    #[test]
    fn where_there_is_no_room_what_was_there_stays() {
        let (mut shared, room) = (Shared::default(), Room::default());
        let most = 2 * facts("linux").bytes();
        let one = shared.of(facts("linux"), &room, most).unwrap();
        assert!(shared.instead_of(&one, facts(&"x".repeat(most)), &room, most).is_none());
        assert!(shared.of(facts("plan9"), &room, most).is_some());
        assert!(shared.of(facts("other"), &room, most).is_none());
        assert!(shared.instead_of(&one, facts("other"), &room, most).is_some(), "it makes its own room");
        assert_eq!(shared.len(), 2);
    }

    #[test]
    fn large_texts_leave_room_for_small_ones() {
        let (mut shared, room, most) = (Shared::default(), Room::default(), 8 * LARGE_BYTES);
        let large = |n: usize| facts(&"x".repeat(LARGE_BYTES + n));
        let taken = (0..8).filter(|&n| shared.of(large(n), &room, most).is_some()).count();
        assert_eq!(taken, 3);
        assert!(shared.of(facts("linux"), &room, most).is_some());
    }
}
