//! Answers that were worked out, by numbers that hosts remember.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Base, Kind};

/// Answers that are kept prepared; hosts of whom there are more kinds are answered one by one.
pub(super) const KEPT_MAX: usize = 65_536;
/// And so many bytes of them.
pub(super) const KEPT_BYTES_MAX: usize = 128 << 20;

/// Answers that were worked out.
pub(super) struct Kept {
    /// Gives numbers to them.
    numbers: Arc<Numbers>,
    /// The first number of this generation.
    first: u32,
    answers: RwLock<Answers>,
    /// Of the bodies of variants.
    pub(super) variants_bytes: AtomicUsize,
}

#[derive(Default)]
struct Answers {
    /// By their numbers.
    all: Vec<Arc<Base>>,
    by_kind: HashMap<Kind, Answered>,
    /// Of all bodies; what they were made of takes two or three times as much.
    bytes: usize,
}

/// Numbers of answers, never the same twice: whoever remembers one from an earlier generation knows it by that.
pub struct Numbers(Mutex<Next>);

struct Next {
    /// The first number of the newest generation; older ones get no more.
    first: u32,
    next: u32,
}

pub(super) type Answered = (u32, Arc<Base>);

impl Kept {
    pub(super) fn new(numbers: &Arc<Numbers>) -> Arc<Self> {
        let (numbers, first) = (numbers.clone(), numbers.begin());
        Arc::new(Self { numbers, first, answers: RwLock::default(), variants_bytes: AtomicUsize::new(0) })
    }

    pub(super) fn get(&self, number: u32) -> Option<Arc<Base>> {
        let index = number.checked_sub(self.first)?;
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.all.get(index as usize).cloned()
    }

    pub(super) fn of_kind(&self, kind: &Kind) -> Option<Answered> {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).by_kind.get(kind).cloned()
    }

    /// Another may have worked it out meanwhile; it is the same.
    pub(super) fn keep(&self, base: Arc<Base>) -> Answered {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.by_kind.get(&base.kind) {
            return known.clone();
        }
        let has_room = answers.all.len() < KEPT_MAX && answers.bytes < KEPT_BYTES_MAX;
        let number = has_room.then(|| self.numbers.next(self.first)).flatten();
        let Some(number) = number else { return (0, base) };
        answers.bytes += base.wanted.answer.len();
        answers.all.push(base.clone());
        answers.by_kind.insert(base.kind.clone(), (number, base.clone()));
        (number, base)
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self(Mutex::new(Next { first: 1, next: 1 }))
    }
}

impl Numbers {
    fn begin(&self) -> u32 {
        let mut it = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A generation without an answer has a number, too: no two begin with the same.
        it.next = it.next.saturating_add(1);
        it.first = it.next;
        it.first
    }

    /// `None`: the generation is over, or there are no more numbers.
    fn next(&self, first: u32) -> Option<u32> {
        let mut it = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = it.next;
        it.next = (it.first == first).then(|| number.checked_add(1)).flatten()?;
        Some(number)
    }
}
