//! What is being uploaded: nobody else uploads the same meanwhile, or takes its file away.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The names of packages and of files.
#[derive(Default)]
pub struct Underway(Arc<Mutex<HashSet<String>>>);

/// These are being uploaded, until this is dropped.
pub struct Begun {
    all: Arc<Mutex<HashSet<String>>>,
    names: Vec<String>,
    ended: Option<oneshot::Sender<()>>,
}

impl Underway {
    /// `None`: one of them is being uploaded already.
    pub fn begin(&self, names: Vec<String>) -> Option<Begun> {
        let mut all = locked(&self.0);
        if names.iter().any(|name| all.contains(name)) {
            return None;
        }
        all.extend(names.iter().cloned());
        Some(Begun { all: self.0.clone(), names, ended: None })
    }

    pub fn has(&self, name: &str) -> bool {
        locked(&self.0).contains(name)
    }
}

impl Begun {
    /// Fails once it has ended, whoever ends it.
    pub fn ended(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.ended = Some(sender);
        receiver
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut all = locked(&self.all);
        self.names.iter().for_each(|name| _ = all.remove(name));
    }
}

/// Nothing panics while it is locked.
fn locked(all: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
