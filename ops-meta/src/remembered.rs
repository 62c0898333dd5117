//! What a host remembers of the answer it gets.

use std::sync::atomic::{AtomicU32, Ordering};

/// The number of an answer, see `current`; 0: none. Whoever only looks at the host may set it.
#[derive(Debug, Default)]
pub struct Remembered(AtomicU32);

impl Remembered {
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, number: u32) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The host is not what it was.
    pub fn forget(&mut self) {
        *self.0.get_mut() = 0;
    }
}

impl Clone for Remembered {
    fn clone(&self) -> Self {
        Self(AtomicU32::new(self.get()))
    }
}
