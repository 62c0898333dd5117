//! Answers to calls that may be made again, by the key that came with them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;

const KEPT_FOR: Duration = Duration::from_secs(3600);
const KEPT_MAX: usize = 1000;
/// Larger answers are not kept.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// In memory, for an hour or until the next start.
#[derive(Default)]
pub struct Keys(Mutex<HashMap<Digested, Kept>>);

/// Of a key and who asked with it, or of a call.
pub type Digested = [u8; 32];

struct Kept {
    call: Digested,
    since: Instant,
    /// `None`: it is under way.
    answer: Option<Answer>,
}

#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: Option<HeaderValue>,
    pub body: Bytes,
}

/// What is known of a key.
pub enum Known {
    /// Nothing until now: the call is to be made, and its answer put in.
    New,
    Answered(Answer),
    UnderWay,
    /// Another call was made with it.
    OtherCall,
}

impl Keys {
    pub fn begin(&self, key: Digested, call: Digested) -> Known {
        let mut kept = self.kept();
        kept.retain(|_, it| it.since.elapsed() < KEPT_FOR);
        match kept.get(&key) {
            Some(known) if known.call != call => return Known::OtherCall,
            Some(known) => return known.answer.clone().map_or(Known::UnderWay, Known::Answered),
            None => {}
        }
        if kept.len() >= KEPT_MAX {
            let oldest = kept.iter().min_by_key(|(_, it)| it.since).map(|(key, _)| *key);
            oldest.map(|key| kept.remove(&key));
        }
        kept.insert(key, Kept { call, since: Instant::now(), answer: None });
        Known::New
    }

    /// What was refused for now may be done when it is asked for again.
    pub fn end(&self, key: Digested, answer: Answer) {
        let refused = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT];
        let is_final = answer.status.is_success() || refused.contains(&answer.status);
        let mut kept = self.kept();
        if !is_final || answer.body.len() > ANSWER_BYTES_MAX {
            kept.remove(&key);
        } else if let Some(kept) = kept.get_mut(&key) {
            kept.answer = Some(answer);
        }
    }

    pub fn forget(&self, key: Digested) {
        self.kept().remove(&key);
    }

    /// Nothing panics while it is locked.
    fn kept(&self) -> MutexGuard<'_, HashMap<Digested, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
